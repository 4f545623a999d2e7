package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"

	"hivemend/analyze"
	"hivemend/hive"
)

//go:embed report.html.tmpl
var htmlSource string

var htmlTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"title":     Title,
	"inputLine": InputLine,
	"where":     Where,
	"nothing":   NothingFound,
	"bytes":     BytesLine,
	"fixLines":  FixLines,
	"counts":    CountRules,
	"groups":    notCheckedRows,
	"evidence":  evidenceRows,
	"plural":    func(n int, noun string) string { return plural(n, noun) },
	"summary":   func(m []analyze.Result) string { return countSeverities(m).String() },
}).Parse(htmlSource))

// HTML writes r as one page that needs no network and no script. Every value
// from a hive is escaped by the template engine.
func HTML(w io.Writer, r *Report, _ HTMLOptions) error { return htmlTemplate.Execute(w, r) }

// HTMLOptions are what the page shows beside the report.
type HTMLOptions struct {
	// Diffs are the changes that a package makes, as unified diffs by machine id.
	Diffs map[string]string
}

// evidenceRow is one line of a finding's table of evidence.
type evidenceRow struct {
	Name  string
	Text  string
	Depth int
}

// evidenceRows flattens evidence into the lines of a table.
func evidenceRows(e analyze.Evidence) []evidenceRow { return appendEvidence(nil, e, 0) }

func appendEvidence(rows []evidenceRow, e analyze.Evidence, depth int) []evidenceRow {
	for _, f := range e {
		switch v := f.Value.(type) {
		case analyze.Evidence:
			rows = append(rows, evidenceRow{Name: f.Name, Depth: depth})
			rows = appendEvidence(rows, v, depth+1)
		case []analyze.Evidence:
			for i, item := range v {
				rows = append(rows, evidenceRow{Name: fmt.Sprintf("%s %d", f.Name, i+1), Depth: depth})
				rows = appendEvidence(rows, item, depth+1)
			}
		default:
			rows = append(rows, evidenceRow{f.Name, evidenceText(f.Value), depth})
		}
	}
	return rows
}

// evidenceText returns one fact as text for people.
func evidenceText(v any) string {
	switch v := v.(type) {
	case string:
		return hive.Printable(v)
	case []string:
		text := ""
		for i, s := range v {
			if i > 0 {
				text += ", "
			}
			text += hive.Printable(s)
		}
		return text
	}
	return fmt.Sprint(v)
}

type notCheckedRow struct {
	Rules  []string
	Reason string
}

func notCheckedRows(list []analyze.NotChecked) []notCheckedRow {
	var rows []notCheckedRow
	for _, g := range groupNotChecked(list) {
		rows = append(rows, notCheckedRow{g.rules, g.reason})
	}
	return rows
}
