// Package report renders what was found, one file a format. Every format
// carries the same facts; none of them decides anything.
package report

import (
	"hivemend/analyze"
)

// Schema names the form of the JSON report.
const Schema = "hivemend/report/1"

// Report is everything one run found, in the form that the JSON shows.
type Report struct {
	Schema   string           `json:"schema"`
	Tool     Tool             `json:"tool"`
	Status   Status           `json:"status"`
	Machines []analyze.Result `json:"machines"`
	Errors   []Failure        `json:"errors"`
}

// Tool says which program made a report.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Status is the short answer of a report.
type Status string

// The answers.
const (
	StatusClean      Status = "clean"      // everything was read, nothing at warning or above
	StatusFindings   Status = "findings"   // something at warning or above
	StatusIncomplete Status = "incomplete" // something could not be read
)

// Failure is an input that could not be read.
type Failure struct {
	Path  string `json:"path"`
	Error string `json:"error"`
}

// New puts a report together from what the rules said of each machine and the
// inputs that could not be read.
func New(tool Tool, machines []analyze.Result, failures []Failure) *Report {
	r := &Report{Schema: Schema, Tool: tool, Machines: orEmpty(machines), Errors: orEmpty(failures)}
	r.Status = r.status()
	return r
}

// status follows the rule that whatever could not be read makes a report
// incomplete, and that notes alone leave it clean.
func (r *Report) status() Status {
	switch {
	case len(r.Errors) > 0:
		return StatusIncomplete
	case r.Reaches(analyze.Warning):
		return StatusFindings
	}
	return StatusClean
}

// Reaches reports whether any finding is at that severity or above.
func (r *Report) Reaches(s analyze.Severity) bool {
	for _, m := range r.Machines {
		if worst, any := m.Worst(); any && worst >= s {
			return true
		}
	}
	return false
}

// orEmpty makes a missing list an empty one, so that JSON shows [] and not null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
