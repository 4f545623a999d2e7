package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"hivemend/analyze"
	"hivemend/analyze/rdp"
	"hivemend/hive"
)

//go:embed report.html.tmpl
var htmlSource string

// styleSource is the look that all pages share, as the template "style".
//
//go:embed style.tmpl
var styleSource string

var htmlTemplate = pageTemplate("report", htmlSource)

// pageTemplate returns the template of a page.
func pageTemplate(name, source string) *template.Template {
	t := template.New(name).Funcs(pageFuncs)
	return template.Must(template.Must(t.Parse(styleSource)).Parse(source))
}

var pageFuncs = template.FuncMap{
	"inputLine": InputLine,
	"where":     Where,
	"nothing":   NothingFound,
	"bytes":     BytesLine,
	"moment":    Moment,
	"plain":     hive.Printable,
	"plural":    func(n int, noun string) string { return plural(n, noun) },
	"webpage":   func(s string) bool { return strings.HasPrefix(s, "https://") },
	"entries":   func(n int) string { return plural(n, "log entry", "log entries") },
}

// HTMLOptions are what the page shows beside the report.
type HTMLOptions struct {
	// Diffs are the changes that a package makes, as unified diffs by machine
	// id. The page shows them cut short.
	Diffs map[string]string
}

// HTML writes r as one page that needs no network and no script. Every value
// from a hive is escaped by the template engine.
func HTML(w io.Writer, r *Report, opt HTMLOptions) error {
	return htmlTemplate.Execute(w, newPage(r, opt))
}

// page is what the template shows.
type page struct {
	*Report
	Counts     severityCounts
	RuleCounts []RuleCount
	Views      []machineView
	Rules      []*analyze.Rule // those that found something, with their explanations
}

// machineView is one machine of the page.
type machineView struct {
	*analyze.Result
	Anchor   string
	Title    string
	Errors   int
	Warnings int
	Notes    int
	Views    []findingView
	Steps    []stepGroup
	Unlooked []notCheckedGroup
	Diff     []diffLine
}

// findingView is one finding of the page.
type findingView struct {
	*analyze.Finding
	Anchor  string
	Edits   []string
	Choices []choiceView
	Facts   []fact
	Tables  []factTable
	Fields  []decodedField
	Hex     *hexView
	Steps   string // the anchor of the machine's checklist, "" without steps
}

// choiceView is another fix that may be asked for.
type choiceView struct {
	Flag  string
	Edits []string
}

// stepGroup is what a person does about the findings of one rule.
type stepGroup struct {
	Rule  string
	Steps []string
}

// diffLine is a line of a unified diff; Kind is "add", "del", "place", "file"
// or "".
type diffLine struct{ Kind, Text string }

func newPage(r *Report, opt HTMLOptions) page {
	p := page{Report: r, Counts: countSeverities(r.Machines), RuleCounts: CountRules(r.Machines)}
	for i := range r.Machines {
		p.Views = append(p.Views, newMachineView(&r.Machines[i], fmt.Sprintf("machine-%d", i+1), opt))
	}
	for _, c := range p.RuleCounts {
		rule := rdp.Find(c.Rule)
		if rule != nil && (len(p.Rules) == 0 || p.Rules[len(p.Rules)-1] != rule) {
			p.Rules = append(p.Rules, rule)
		}
	}
	return p
}

// Summary says in words how much was found.
func (p page) Summary() string {
	return fmt.Sprintf("%s on %s", p.Counts, plural(len(p.Machines), "machine"))
}

// Found reports whether there is any finding.
func (p page) Found() bool { return p.Counts.total() > 0 }

// Explained reports whether the page explains a rule.
func (p page) Explained(id string) bool {
	for _, r := range p.Rules {
		if r.ID == id {
			return true
		}
	}
	return false
}

func newMachineView(m *analyze.Result, anchor string, opt HTMLOptions) machineView {
	counts := countSeverities([]analyze.Result{*m})
	v := machineView{
		Result: m, Anchor: anchor, Title: Title(m),
		Errors: counts[analyze.Error], Warnings: counts[analyze.Warning], Notes: counts[analyze.Note],
		Steps: stepGroups(m), Unlooked: groupNotChecked(m.NotChecked), Diff: diffLines(ShortDiff(opt.Diffs[m.ID])),
	}
	for i := range m.Findings {
		v.Views = append(v.Views, newFindingView(m, &m.Findings[i], fmt.Sprintf("%s-finding-%d", anchor, i+1), anchor+"-steps"))
	}
	return v
}

func newFindingView(m *analyze.Result, f *analyze.Finding, anchor, steps string) findingView {
	v := findingView{Finding: f, Anchor: anchor}
	v.Facts, v.Tables, v.Fields = evidenceView(f.Evidence)
	v.Hex = newHexView(valueBytes(m.Machine, f.Location), f)
	if f.Fix != nil {
		v.Edits = editLines(f.Fix.Edits)
		for _, c := range f.Fix.Choices {
			v.Choices = append(v.Choices, choiceView{choiceFlag(c.Name), editLines(c.Edits)})
		}
	}
	if len(f.ManualSteps) > 0 {
		v.Steps = steps
	}
	return v
}

// choiceFlag returns the flag of fix that asks for a choice.
func choiceFlag(name string) string {
	if name == analyze.ChoiceRestore {
		return "--restore"
	}
	return "--encryption-level " + name
}

func editLines(edits []hive.Edit) []string {
	lines := make([]string, len(edits))
	for i, e := range edits {
		lines[i] = e.String()
	}
	return lines
}

// stepGroups returns the steps of every finding in its order, each said once.
func stepGroups(m *analyze.Result) []stepGroup {
	seen := map[string]bool{}
	var groups []stepGroup
	for i := range m.Findings {
		f := &m.Findings[i]
		var steps []string
		for _, s := range f.ManualSteps {
			if !seen[s] {
				seen[s] = true
				steps = append(steps, s)
			}
		}
		if len(steps) > 0 {
			groups = append(groups, stepGroup{f.Rule, steps})
		}
	}
	return groups
}

// diffLines tells the lines of a unified diff apart.
func diffLines(diff string) []diffLine {
	if diff == "" {
		return nil
	}
	var lines []diffLine
	for _, text := range strings.Split(strings.TrimRight(diff, "\r\n"), "\n") {
		text = strings.TrimRight(text, "\r")
		kind := ""
		switch {
		case strings.HasPrefix(text, "+++ "), strings.HasPrefix(text, "--- "):
			kind = "file"
		case strings.HasPrefix(text, "@@"):
			kind = "place"
		case strings.HasPrefix(text, "+"):
			kind = "add"
		case strings.HasPrefix(text, "-"):
			kind = "del"
		}
		lines = append(lines, diffLine{kind, text})
	}
	return lines
}

// Rules lists the rules of a group with commas.
func (g notCheckedGroup) Rules() string { return strings.Join(g.rules, ", ") }

// Reason says why they could not look.
func (g notCheckedGroup) Reason() string { return hive.Printable(g.reason) }
