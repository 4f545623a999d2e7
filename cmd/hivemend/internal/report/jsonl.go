package report

import (
	"encoding/json"
	"io"
)

// JSONLines writes one machine a line, then one line for each input that could
// not be read. Each line is an object as it stands in the JSON report.
func JSONLines(w io.Writer, r *Report) error {
	for i := range r.Machines {
		if err := JSONLine(w, &r.Machines[i]); err != nil {
			return err
		}
	}
	for i := range r.Errors {
		if err := JSONLine(w, &r.Errors[i]); err != nil {
			return err
		}
	}
	return nil
}

// JSONLine writes v as one line of JSON.
func JSONLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
