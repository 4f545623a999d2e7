package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"hivemend/analyze"
)

// format is one way to write a report.
type format struct {
	name  string
	write func(io.Writer, *Report, Options) error
}

// formats are all there are, in the order in which the help names them.
var formats = []format{
	{"text", func(w io.Writer, r *Report, opt Options) error { return Text(w, r, opt.Text) }},
	{"json", func(w io.Writer, r *Report, _ Options) error { return JSON(w, r) }},
	{"jsonl", func(w io.Writer, r *Report, _ Options) error { return JSONLines(w, r) }},
	{"csv", func(w io.Writer, r *Report, _ Options) error { return CSV(w, r) }},
	{"sarif", SARIF},
	{"junit", JUnit},
	{"html", func(w io.Writer, r *Report, opt Options) error { return HTML(w, r, opt.HTML) }},
}

// Options are what the formats need to know beside the report.
type Options struct {
	Text TextOptions
	HTML HTMLOptions
	// Rules are those that were asked, in order; SARIF and JUnit name them all.
	Rules []*analyze.Rule
	// FailOn is the severity from which a finding counts as a failure; with
	// NeverFail none does.
	FailOn    analyze.Severity
	NeverFail bool
}

// exitCode is what the program ends with after it has written r.
func (o Options) exitCode(r *Report) int {
	switch {
	case len(r.Errors) > 0:
		return 2
	case !o.NeverFail && r.Reaches(o.FailOn):
		return 1
	}
	return 0
}

// fails reports whether f counts as a failure.
func (o Options) fails(f *analyze.Finding) bool { return !o.NeverFail && f.Severity >= o.FailOn }

// Formats returns the names of all formats.
func Formats() []string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.name
	}
	return names
}

// CheckFormat returns an error that lists the formats where name is none.
func CheckFormat(name string) error {
	names := Formats()
	if slices.Contains(names, name) {
		return nil
	}
	last := len(names) - 1
	return fmt.Errorf("--format %s: want %s or %s", name, strings.Join(names[:last], ", "), names[last])
}

// Render writes r in the format of that name.
func Render(w io.Writer, name string, r *Report, opt Options) error {
	for _, f := range formats {
		if f.name == name {
			return f.write(w, r, opt)
		}
	}
	return CheckFormat(name)
}
