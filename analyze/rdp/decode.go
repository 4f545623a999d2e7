package rdp

import (
	"fmt"

	"hivemend/analyze"
	"hivemend/analyze/internal/verdict"
	"hivemend/hive"
)

// faultEvidence starts the evidence of a damaged value.
func faultEvidence(f verdict.Fault) analyze.Evidence {
	var e analyze.Evidence
	e.Set("cause", string(f.Cause))
	e.Set("detail", f.Detail)
	if f.FailingLength > 0 {
		e.Set("failingOffset", f.FailingOffset)
		e.Set("failingLength", f.FailingLength)
	}
	return e
}

// addSearch adds what the search for one changed byte gave.
func addSearch(e *analyze.Evidence, s verdict.Search) {
	e.Set("search", string(s.Outcome))
	if s.Outcome == verdict.Found {
		e.Set("failingByte", s.FailingByte)
		e.Set("original", int(s.Original))
	}
}

// searchSentence says in words what the search gave, with a space before it.
func searchSentence(s verdict.Search, data []byte) string {
	if s.Outcome != verdict.Found {
		return ""
	}
	return fmt.Sprintf(" One byte was changed: at offset %d stands %02x, and %02x makes it whole again.", s.FailingByte, data[s.FailingByte], s.Original)
}

// fieldEvidence lists decoded fields with the bytes they stand in.
func fieldEvidence(fields []verdict.Field) []analyze.Evidence {
	list := make([]analyze.Evidence, len(fields))
	for i, f := range fields {
		list[i] = analyze.Evidence{{Name: "name", Value: f.Name}, {Name: "offset", Value: f.Offset}, {Name: "length", Value: f.Length}, {Name: "value", Value: f.Value}}
		if f.Depth > 0 {
			list[i].Set("depth", f.Depth)
		}
	}
	return list
}

// typeFault is the fault of a value that should be REG_BINARY and is not.
func typeFault(v hive.Value) verdict.Fault {
	return verdict.Fault{Cause: verdict.Type, Detail: fmt.Sprintf("The value is %s; %s is due.", v.Type(), hive.RegBinary)}
}

// restore returns the edit that puts the one changed byte back.
func restore(at analyze.Place, v hive.Value, data []byte, s verdict.Search, rule string) hive.Edit {
	whole := append([]byte(nil), data...)
	whole[s.FailingByte] = s.Original
	return at.SetValue(v.Name(), v.Type(), whole, rule, fmt.Sprintf("put back the one changed byte, at offset %d", s.FailingByte))
}

// label names a value for a sentence.
func label(name string) string { return hive.ValueLabel(name) }
