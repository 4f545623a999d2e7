package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"hivemend/analyze"
	"hivemend/hive"
)

// TextOptions say what the text for people lists.
type TextOptions struct {
	MinSeverity analyze.Severity // findings below it are only counted
	Next        string           // the command to run next, "" for none
	Colour      bool             // with the colours of a terminal
}

// Text writes r for people: first the counts, then each machine with its
// findings, what was not checked, and what to do next.
func Text(w io.Writer, r *Report, opt TextOptions) error {
	p := &printer{w: w, colour: opt.Colour}
	p.summary(r)
	for i := range r.Machines {
		p.machine(&r.Machines[i], opt)
	}
	for _, e := range r.Errors {
		p.line("")
		p.line("%s %s", p.paint(severityStyles[analyze.Error], "could not read"), hive.Printable(e.Error))
	}
	if opt.Next != "" {
		p.line("")
		p.line("next: %s", p.paint(bold, opt.Next))
	}
	return p.err
}

// printer writes lines and remembers the first error.
type printer struct {
	w      io.Writer
	colour bool
	err    error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// field writes a named line under a finding, the label in a column of its own.
func (p *printer) field(label, format string, args ...any) {
	p.line("    %s %s", p.paint(dim, fmt.Sprintf("%-8s", label)), fmt.Sprintf(format, args...))
}

// severity returns a severity in its colour, as wide as the widest.
func (p *printer) severity(s analyze.Severity) string {
	return p.paint(severityStyles[s], fmt.Sprintf("%-7s", s))
}

func (p *printer) summary(r *Report) {
	counts := countSeverities(r.Machines)
	headline := bold
	if r.Status == StatusClean {
		headline = good
	}
	switch {
	case len(r.Machines) == 0:
		p.line("no machine could be read")
		return
	case counts.total() == 0:
		p.line("%s", p.paint(headline, "nothing found on "+plural(len(r.Machines), "machine")))
	default:
		p.line("%s", p.paint(headline, fmt.Sprintf("%s on %s", counts, plural(len(r.Machines), "machine"))))
	}
	for _, c := range CountRules(r.Machines) {
		p.line("  %4d  %s  %s", c.Count, p.severity(c.Severity), c.Rule)
	}
}

// severityCounts counts findings by severity.
type severityCounts [analyze.Error + 1]int

func countSeverities(machines []analyze.Result) (c severityCounts) {
	for _, m := range machines {
		for _, f := range m.Findings {
			c[f.Severity]++
		}
	}
	return c
}

func (c severityCounts) total() int {
	return c[analyze.Error] + c[analyze.Warning] + c[analyze.Note]
}

func (c severityCounts) String() string {
	var parts []string
	for _, s := range []analyze.Severity{analyze.Error, analyze.Warning, analyze.Note} {
		if c[s] > 0 {
			parts = append(parts, plural(c[s], s.String()))
		}
	}
	return strings.Join(parts, ", ")
}

// RuleCount is how often a rule spoke with a severity.
type RuleCount struct {
	Rule     string
	Severity analyze.Severity
	Count    int
}

// CountRules counts findings by rule and severity, the severest first.
func CountRules(machines []analyze.Result) []RuleCount {
	var counts []RuleCount
	for _, m := range machines {
		for _, f := range m.Findings {
			i := slices.IndexFunc(counts, func(c RuleCount) bool { return c.Rule == f.Rule && c.Severity == f.Severity })
			if i < 0 {
				i = len(counts)
				counts = append(counts, RuleCount{f.Rule, f.Severity, 0})
			}
			counts[i].Count++
		}
	}
	slices.SortStableFunc(counts, func(a, b RuleCount) int {
		if a.Severity != b.Severity {
			return int(b.Severity) - int(a.Severity)
		}
		return strings.Compare(a.Rule, b.Rule)
	})
	return counts
}

func (p *printer) machine(m *analyze.Result, opt TextOptions) {
	p.line("")
	p.line("%s", p.paint(bold, Title(m)))
	p.line("  judged as of %s", Moment(m))
	for i := range m.Inputs {
		p.line("  %s", InputLine(&m.Inputs[i]))
	}
	hidden := 0
	for i := range m.Findings {
		if m.Findings[i].Severity < opt.MinSeverity {
			hidden++
			continue
		}
		p.finding(&m.Findings[i])
	}
	if hidden > 0 {
		p.line("")
		p.line("  %s below %s not listed", plural(hidden, "finding"), opt.MinSeverity)
	}
	if len(m.Findings) == 0 {
		p.line("  %s", NothingFound(m))
	}
	if len(m.NotChecked) > 0 {
		p.line("")
		p.line("  not checked:")
		for _, group := range groupNotChecked(m.NotChecked) {
			p.line("    %s: %s", strings.Join(group.rules, ", "), hive.Printable(group.reason))
		}
	}
}

// Title names a machine in one line: computer, generation, Windows and roles.
func Title(m *analyze.Result) string {
	title := hive.Printable(m.Name)
	if m.ComputerName != "" && m.ComputerName != m.Name {
		title += " (computer name " + hive.Printable(m.ComputerName) + ")"
	}
	if m.Generation != hive.Live && m.Generation != hive.Unknown {
		title += ", " + string(m.Generation)
	}
	if windows := WindowsLine(m.Windows); windows != "" {
		title += ", " + windows
	}
	if len(m.Roles) > 0 {
		title += ", " + strings.Join(m.Roles, " and ")
	}
	return title
}

// NothingFound says what it means that a machine has no findings: not looking
// is never the same as finding nothing.
func NothingFound(m *analyze.Result) string {
	for i := range m.Inputs {
		if h := m.Inputs[i].Hive; h == hive.System || h == hive.Software || h == hive.Mixed {
			return "nothing found: what was looked at is in order"
		}
	}
	return "no SYSTEM or SOFTWARE hive is here: only the structure was looked at, and it is in order"
}

// Moment says in words as of when a machine was judged.
func Moment(m *analyze.Result) string {
	switch m.AsOfSource {
	case "now":
		return "now"
	case "hive":
		return m.AsOf.String() + ", its own last life"
	}
	return m.AsOf.String()
}

// WindowsLine names the Windows of a machine in words, "" where nothing is known.
func WindowsLine(w analyze.Windows) string {
	var parts []string
	if w.Product != "" {
		parts = append(parts, hive.Printable(w.Product))
	}
	switch {
	case w.Version != "" && w.Build != "":
		parts = append(parts, fmt.Sprintf("version %s build %s", hive.Printable(w.Version), hive.Printable(w.Build)))
	case w.Version != "":
		parts = append(parts, "version "+hive.Printable(w.Version))
	case w.Build != "":
		parts = append(parts, "build "+hive.Printable(w.Build))
	}
	return strings.Join(parts, " ")
}

// InputLine describes an input in one line: which hive, where, in what state.
func InputLine(in *analyze.Input) string {
	line := fmt.Sprintf("%-8s  %s, %s, %s", in.Hive, hive.Printable(in.Path), plural(int(in.Size), "byte"), in.State)
	if in.Replay != nil && in.Replay.Entries > 0 {
		line += fmt.Sprintf(" (%s in memory)", plural(in.Replay.Entries, "log entry", "log entries"))
	}
	if in.ControlSet != "" {
		line += ", " + in.ControlSet
	}
	return line
}

func (p *printer) finding(f *analyze.Finding) {
	p.line("")
	p.line("  %s %s", p.severity(f.Severity), p.paint(bold, f.Rule))
	p.line("    %s", hive.Printable(f.Message))
	if where := Where(f.Location); where != "" {
		p.field("where", "%s", where)
	}
	if bytes := BytesLine(f); bytes != "" {
		p.field("bytes", "%s", bytes)
	}
	if cause := f.Cause(); cause != "" {
		p.field("cause", "%s (confidence %s)", cause, f.Confidence)
	}
	for i, line := range FixLines(f) {
		label := ""
		if i == 0 {
			label = "fix"
		}
		p.field(label, "%s", line)
	}
}

// Where says in one line where a finding stands in the registry.
func Where(l *analyze.Location) string {
	if l == nil {
		return ""
	}
	where := hive.Printable(l.Key.String())
	if l.HasValue {
		if where != "" {
			where += ", "
		}
		where += "value " + hive.ValueLabel(l.Value)
	}
	if l.Line > 0 {
		where += fmt.Sprintf(", line %d of %s", l.Line, hive.Printable(l.Input))
	}
	return where
}

// BytesLine says in one line where the finding's bytes lie and which of them
// is wrong, "" where that is not known.
func BytesLine(f *analyze.Finding) string {
	var parts []string
	if l := f.Location; l != nil && l.HasValue && l.SHA256 != "" {
		text := fmt.Sprintf("%s, %s", l.Type, plural(int(l.Size), "byte"))
		switch {
		case l.Origin != nil && l.Origin.LogSequence > 0:
			text += fmt.Sprintf(", at %#x of %s (log entry %d)", l.Origin.Offset, hive.Printable(l.Origin.File), l.Origin.LogSequence)
		case l.FileOffset > 0:
			text += fmt.Sprintf(", at %#x of %s", l.FileOffset, hive.Printable(l.Input))
		}
		parts = append(parts, text)
	}
	if at, ok := integer(f.Evidence.Get("failingByte")); ok {
		text := fmt.Sprintf("byte %d is wrong", at)
		if was, ok := integer(f.Evidence.Get("original")); ok {
			text += fmt.Sprintf(" (it was %#02x)", was)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

// integer returns v where it is a whole number of any Go type.
func integer(v any) (int64, bool) {
	switch n := v.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	case int32:
		return int64(n), true
	case uint32:
		return int64(n), true
	case uint8:
		return int64(n), true
	}
	return 0, false
}

// FixLines says what a finding's fix does, a line an edit.
func FixLines(f *analyze.Finding) []string {
	if f.Fix == nil || len(f.Fix.Edits) == 0 {
		if len(f.ManualSteps) > 0 {
			return []string{"by hand; the steps are in the report"}
		}
		return nil
	}
	var lines []string
	for _, e := range f.Fix.Edits {
		lines = append(lines, e.String())
	}
	if !f.Fix.Default {
		lines[0] += " (only when asked for)"
	}
	return lines
}

type notCheckedGroup struct {
	reason string
	rules  []string
}

// groupNotChecked puts the rules that could not look for the same reason
// together, in order.
func groupNotChecked(list []analyze.NotChecked) []notCheckedGroup {
	var groups []notCheckedGroup
	for _, n := range list {
		i := slices.IndexFunc(groups, func(g notCheckedGroup) bool { return g.reason == n.Reason })
		if i < 0 {
			i = len(groups)
			groups = append(groups, notCheckedGroup{reason: n.Reason})
		}
		groups[i].rules = append(groups[i].rules, n.Rule)
	}
	return groups
}

// plural returns n with its noun: the plural form is the singular and an s
// unless it is given.
func plural(n int, noun string, form ...string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case len(form) > 0:
		return fmt.Sprintf("%d %s", n, form[0])
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// sortedKeys returns the keys of m in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
