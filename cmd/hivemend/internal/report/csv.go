package report

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"

	"hivemend/analyze"
	"hivemend/hive"
)

// csvHeader names the columns of the CSV report.
var csvHeader = []string{
	"machine", "rule", "severity", "confidence", "cause", "input", "key", "value", "type", "fileOffset", "message", "fingerprint",
}

// CSV writes one finding a line (RFC 4180, lines end in CR LF). What a
// spreadsheet would take for a formula gets an apostrophe in front.
func CSV(w io.Writer, r *Report) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(csvHeader); err != nil {
		return err
	}
	for i := range r.Machines {
		m := &r.Machines[i]
		for j := range m.Findings {
			if err := out.Write(csvRow(m, &m.Findings[j])); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

func csvRow(m *analyze.Result, f *analyze.Finding) []string {
	var input, key, value, typ, offset string
	if l := f.Location; l != nil {
		input, key = l.Input, l.Key.String()
		if l.HasValue {
			value = l.Value
		}
		if l.SHA256 != "" {
			typ = l.Type.String()
		}
		if l.FileOffset > 0 {
			offset = strconv.FormatInt(l.FileOffset, 10)
		}
	}
	row := []string{
		m.ID, f.Rule, f.Severity.String(), f.Confidence.String(), f.Cause(), input, key, value, typ, offset, f.Message, f.Fingerprint,
	}
	for i, cell := range row {
		row[i] = csvCell(cell)
	}
	return row
}

// csvCell returns text as a cell that no spreadsheet evaluates: names in a
// hive are chosen by whoever could write to it. The set of characters is that
// of the OWASP page on CSV injection.
func csvCell(text string) string {
	if text != "" && strings.IndexByte("=+-@\t\r", text[0]) >= 0 {
		text = "'" + text
	}
	return hive.Printable(text)
}
