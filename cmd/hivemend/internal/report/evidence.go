package report

import (
	"fmt"
	"slices"
	"strings"

	"hivemend/analyze"
	"hivemend/hive"
)

// fact is one line of a table of facts.
type fact struct {
	Name string
	Text string
}

// factTable is a list of things with the same facts each, such as values or
// members of a group.
type factTable struct {
	Name    string
	Columns []string
	Rows    [][]string
}

// decodedField is one field of a certificate or licence with its bytes.
type decodedField struct {
	Name, Text     string
	Depth          int
	Offset, Length int64
	Mark           string // as in hexRun: whether wrong bytes lie in it
}

// evidenceView sorts evidence for a page: plain facts, tables, and the decoded
// fields of a value.
func evidenceView(e analyze.Evidence) (facts []fact, tables []factTable, fields []decodedField) {
	for _, f := range e {
		switch list := evidenceList(f.Value); {
		case f.Name == "fields" && list != nil:
			fields = decodedFields(list, e)
		case list != nil:
			tables = append(tables, newFactTable(f.Name, list))
		default:
			facts = appendFacts(facts, f.Name, f.Value)
		}
	}
	return facts, tables, fields
}

// evidenceList returns v where it is a list of groups of facts, as the rules
// make it or as it comes back from JSON, else nil.
func evidenceList(v any) []analyze.Evidence {
	switch v := v.(type) {
	case []analyze.Evidence:
		return v
	case []any:
		var list []analyze.Evidence
		for _, item := range v {
			e, ok := item.(analyze.Evidence)
			if !ok {
				return nil
			}
			list = append(list, e)
		}
		return list
	}
	return nil
}

// appendFacts adds a fact, or those of a group each with the group's name in
// front.
func appendFacts(facts []fact, name string, v any) []fact {
	group, ok := v.(analyze.Evidence)
	if !ok {
		return append(facts, fact{name, evidenceText(v)})
	}
	for _, f := range group {
		facts = appendFacts(facts, name+"."+f.Name, f.Value)
	}
	return facts
}

func newFactTable(name string, list []analyze.Evidence) factTable {
	t := factTable{Name: name}
	for _, e := range list {
		for _, f := range e {
			if !slices.Contains(t.Columns, f.Name) {
				t.Columns = append(t.Columns, f.Name)
			}
		}
	}
	for _, e := range list {
		row := make([]string, len(t.Columns))
		for i, c := range t.Columns {
			if v := e.Get(c); v != nil {
				row[i] = evidenceText(v)
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// decodedFields reads the fields of a value, and marks those in which the wrong
// bytes lie.
func decodedFields(list []analyze.Evidence, e analyze.Evidence) []decodedField {
	var fields []decodedField
	one, known := integer(e.Get("failingByte"))
	for _, item := range list {
		offset, _ := integer(item.Get("offset"))
		length, _ := integer(item.Get("length"))
		depth, _ := integer(item.Get("depth"))
		f := decodedField{Name: item.Text("name"), Text: evidenceText(item.Get("value")), Depth: int(min(max(depth, 0), 8)), Offset: offset, Length: length}
		if known && one >= offset && one < offset+length {
			f.Mark = "byte"
		}
		fields = append(fields, f)
	}
	return fields
}

// evidenceText returns one fact as text for people.
func evidenceText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return hive.Printable(v)
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case []string:
		return printableList(v)
	case []any:
		var texts []string
		for _, item := range v {
			texts = append(texts, evidenceText(item))
		}
		return strings.Join(texts, ", ")
	case analyze.Evidence:
		var texts []string
		for _, f := range v {
			texts = append(texts, f.Name+" "+evidenceText(f.Value))
		}
		return strings.Join(texts, ", ")
	}
	return hive.Printable(fmt.Sprint(v))
}

func printableList(list []string) string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = hive.Printable(s)
	}
	return strings.Join(texts, ", ")
}
