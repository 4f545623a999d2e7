package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"

	"hivemend/analyze"
	"hivemend/hive"
)

//go:embed audit.html.tmpl
var auditSource string

// sortScript makes the columns of the table sortable. The page is whole without
// it.
//
//go:embed sort.js
var sortScript string

var auditTemplate = pageTemplate("audit", auditSource)

// AuditHTML writes an audit as one page that needs no network and, but for
// sorting the table, no script: findings by rule as a chart, what is new and
// gone, groups of clones, and a table with a row for each machine that names
// its findings from that severity on.
func AuditHTML(w io.Writer, a *Audit, from analyze.Severity) error {
	return auditTemplate.Execute(w, newAuditPage(a, from))
}

type auditPage struct {
	*Audit
	Counts severityCounts
	Bars   []ruleBar
	Rows   []machineRow
	From   analyze.Severity
	// Script is what the page runs, and ScriptHash its hash: nothing else is
	// allowed to run.
	Script     template.JS
	ScriptHash string
}

// ruleBar is one bar of the chart.
type ruleBar struct {
	RuleCount
	Percent int // of the longest bar
}

// machineRow is one machine of the table.
type machineRow struct {
	ID, Name, Path, Windows, Status, Findings string
	Generation                                hive.Generation
	Errors, Warnings, Notes, Rank             int
	New                                       int // findings that the baseline has not
}

func newAuditPage(a *Audit, from analyze.Severity) auditPage {
	sum := sha256.Sum256([]byte(sortScript))
	p := auditPage{
		Audit: a, Counts: countSeverities(a.Machines), From: from,
		Script: template.JS(sortScript), ScriptHash: "sha256-" + base64.StdEncoding.EncodeToString(sum[:]),
	}
	longest := 1
	counts := CountRules(a.Machines)
	for _, c := range counts {
		longest = max(longest, c.Count)
	}
	for _, c := range counts {
		p.Bars = append(p.Bars, ruleBar{c, max(c.Count*100/longest, 1)})
	}
	for i := range a.Machines {
		p.Rows = append(p.Rows, a.newMachineRow(i, from))
	}
	return p
}

func (a *Audit) newMachineRow(i int, from analyze.Severity) machineRow {
	m := &a.Machines[i]
	counts := countSeverities(a.Machines[i : i+1])
	row := machineRow{
		ID: m.ID, Name: hive.Printable(m.Name), Path: hive.Printable(a.Paths[i]), Windows: WindowsLine(m.Windows), Generation: m.Generation,
		Errors: counts[analyze.Error], Warnings: counts[analyze.Warning], Notes: counts[analyze.Note],
		Status: "ok", Findings: findingsLine(m, from),
	}
	if worst, any := m.Worst(); any {
		row.Status, row.Rank = worst.String(), int(worst)+1
	}
	if a.Baseline != nil && i < len(a.Baseline.New) {
		row.New = a.Baseline.New[i]
	}
	return row
}

// Words says in words how much was found.
func (p auditPage) Words() string {
	machines := plural(len(p.Machines), "machine")
	if p.Counts.total() == 0 {
		return "Nothing found on " + machines
	}
	return fmt.Sprintf("%s on %s", p.Counts, machines)
}

// Shared says in words what the members of a group of clones share.
func (p auditPage) Shared(cause string) string {
	if words, ok := cloneWords[cause]; ok {
		return words
	}
	return cause
}

// NewFindings is how many findings the baseline has not.
func (p auditPage) NewFindings() int {
	total := 0
	for _, n := range p.Baseline.New {
		total += n
	}
	return total
}
