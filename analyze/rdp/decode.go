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

// maxSearches bounds the searches for one changed byte on one machine: a
// store full of damaged licences must not cost hours. Those beyond it count as
// exhausted.
const maxSearches = 8

// searchByte looks once for the one changed byte of a damaged value, where the
// kind of damage allows that there is one. The second result is false where it
// was not looked for.
func searchByte(p *analyze.Pass, at analyze.Place, v hive.Value, cause verdict.Cause, search func() verdict.Search) (verdict.Search, bool) {
	switch cause {
	case verdict.None, verdict.Type, verdict.Empty, verdict.Truncated:
		return verdict.Search{Outcome: verdict.NotFound}, false
	}
	if !at.InScope {
		return verdict.Search{Outcome: verdict.NotFound}, false
	}
	key := searched{at.Input, at.Path.Join(v.Name()).String()}
	return p.Once(key, func() any {
		done := p.Once(searched{}, func() any { return new(int) }).(*int)
		if *done++; *done > maxSearches {
			return verdict.Search{Outcome: verdict.Exhausted}
		}
		return search()
	}).(verdict.Search), true
}

// searched names a value that was searched.
type searched struct {
	input *hive.Input
	path  string
}

// addRestore offers to put the changed byte back instead of deleting.
func addRestore(p *analyze.Pass, f *analyze.Finding, at analyze.Place, v hive.Value, data []byte, s verdict.Search) {
	if s.Outcome == verdict.Found {
		f.Fix.Choices = []analyze.Choice{{Name: analyze.ChoiceRestore, Edits: []hive.Edit{restore(at, v, data, s, p.Rule.ID)}}}
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
