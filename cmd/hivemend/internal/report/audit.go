package report

import (
	"fmt"
	"io"
	"math"
	"strings"

	"hivemend/analyze"
	"hivemend/analyze/fleet"
)

// Audit is a report about many machines, with what only shows across them.
type Audit struct {
	*Report
	// Paths are where the machines were found, one for each.
	Paths []string
	// Places are the places of the machines, and FailurePlaces those of the
	// errors, among everything that was found: what shards are joined by.
	Places, FailurePlaces []int
	Summary               fleet.Summary
	// Baseline is nil where there was no earlier audit to compare with.
	Baseline *Changes
}

// Changes is what is new and gone since an earlier audit.
type Changes struct {
	New       []int        `json:"new"` // how many findings of each machine are new
	Unchanged int          `json:"unchanged"`
	Gone      []fleet.Gone `json:"gone"`
}

// machineLine is a machine in the JSON Lines of an audit.
type machineLine struct {
	Path  string `json:"path"`
	Place int    `json:"place"`
	analyze.Result
}

// failureLine is an input that could not be read.
type failureLine struct {
	Failure
	Place int `json:"place"`
}

// fleetLine is the last of the JSON Lines of an audit.
type fleetLine struct {
	Fleet    fleet.Summary `json:"fleet"`
	Baseline *Changes      `json:"baseline,omitempty"`
}

// AuditLines writes an audit as JSON Lines: the machines and the inputs that
// failed, in the order in which they were found, and last what is known of all together.
func AuditLines(w io.Writer, a *Audit) error {
	next := 0
	failures := func(before int) error {
		for ; next < len(a.Errors) && a.FailurePlaces[next] < before; next++ {
			if err := JSONLine(w, failureLine{a.Errors[next], a.FailurePlaces[next]}); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range a.Machines {
		if err := failures(a.Places[i]); err != nil {
			return err
		}
		if err := JSONLine(w, machineLine{a.Paths[i], a.Places[i], a.Machines[i]}); err != nil {
			return err
		}
	}
	if err := failures(math.MaxInt); err != nil {
		return err
	}
	return JSONLine(w, fleetLine{a.Summary, a.Baseline})
}

// AuditText writes an audit for people: the counts, then a line for each
// machine, machines with the same findings folded into one line unless expand
// is set, and then the clones.
func AuditText(w io.Writer, a *Audit, from analyze.Severity, expand, colour bool) error {
	p := &printer{w: w, colour: colour}
	p.summary(a.Report)
	p.line("")
	for _, row := range a.rows(from, expand) {
		p.line("%s", p.row(row))
	}
	for _, g := range a.Summary.Clones {
		p.line("")
		p.line("%s share one %s (group %s):", plural(g.MemberCount, "machine"), cloneWords[g.Cause], g.Group)
		for _, m := range g.Members {
			p.line("  %s: %s", m.ComputerName, strings.Join(m.IDs, ", "))
		}
	}
	if b := a.Baseline; b != nil {
		total := 0
		for _, n := range b.New {
			total += n
		}
		p.line("")
		p.line("against the baseline: %d new, %d unchanged, %d gone", total, b.Unchanged, len(b.Gone))
		for _, g := range b.Gone {
			name, note := g.ComputerName, ""
			if name == "" {
				name = g.ID
			}
			if g.MachineMissing {
				note = " (the machine is not in this audit)"
			}
			p.line("  gone: %s %s on %s%s", g.Finding.Severity, g.Finding.Rule, name, note)
		}
	}
	if len(a.Errors) > 0 {
		p.line("")
		p.line("%s:", p.paint(severityStyles[analyze.Error], plural(len(a.Errors), "input")+" could not be read"))
		for _, e := range a.Errors {
			p.line("  %s", e.Error)
		}
	}
	return p.err
}

var cloneWords = map[string]string{"hwid": "hardware identifier", "certificate": "certificate key", "machineguid": "MachineGuid"}

// auditRow is a line of the table: one machine, or several that are alike.
type auditRow struct {
	status, what string
	names        []string
}

// row returns a row as a line, its status in its colour.
func (p *printer) row(r auditRow) string {
	const shown = 3
	names := strings.Join(r.names, ", ")
	if len(r.names) > shown {
		names = fmt.Sprintf("%s and %d more", strings.Join(r.names[:shown], ", "), len(r.names)-shown)
	}
	status := fmt.Sprintf("%-7s", r.status)
	if s, err := analyze.ParseSeverity(r.status); err == nil {
		status = p.severity(s)
	}
	return strings.TrimRight(fmt.Sprintf("%s  %-40s  %s", status, names, r.what), " ")
}

// rows puts machines whose findings are alike into one row each, in the order
// of the first machine.
func (a *Audit) rows(from analyze.Severity, expand bool) []auditRow {
	var rows []auditRow
	at := map[string]int{}
	for i := range a.Machines {
		m := &a.Machines[i]
		row := auditRow{status: "ok", what: findingsLine(m, from), names: []string{a.name(i)}}
		if worst, any := m.Worst(); any && worst >= from {
			row.status = worst.String()
		}
		key := row.status + "\x00" + row.what
		if j, ok := at[key]; ok && !expand {
			rows[j].names = append(rows[j].names, row.names...)
			continue
		}
		at[key] = len(rows)
		rows = append(rows, row)
	}
	return rows
}

// name is how a machine is called in a row: by its computer name, and by the
// generation where that is not the live one.
func (a *Audit) name(i int) string {
	m := &a.Machines[i]
	name := m.ComputerName
	if name == "" {
		name = a.Paths[i]
	}
	if g := string(m.Generation); g != "live" && g != "unknown" {
		name += " (" + g + ")"
	}
	return name
}

// findingsLine names the rules that spoke on a machine, with causes.
func findingsLine(m *analyze.Result, from analyze.Severity) string {
	var parts []string
	seen := map[string]bool{}
	for i := range m.Findings {
		f := &m.Findings[i]
		if f.Severity < from {
			continue
		}
		part := f.Rule
		if cause := f.Cause(); cause != "" {
			part += " " + cause
		}
		if !seen[part] {
			seen[part] = true
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ")
}
