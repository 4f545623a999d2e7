package report

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"hivemend/analyze"
)

var escapes = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// TestColoursChangeNothingElse compares text with and without colours.
func TestColoursChangeNothingElse(t *testing.T) {
	a := audit(t)
	for name, write := range map[string]func(*bytes.Buffer, bool) error{
		"scan": func(b *bytes.Buffer, colour bool) error {
			return Text(b, a.Report, TextOptions{Colour: colour, Next: "hivemend fix x"})
		},
		"audit": func(b *bytes.Buffer, colour bool) error { return AuditText(b, a, analyze.Note, true, colour) },
	} {
		var plain, coloured bytes.Buffer
		if err := write(&plain, false); err != nil {
			t.Fatal(err)
		}
		if err := write(&coloured, true); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(plain.String(), "\x1b") {
			t.Errorf("%s: colours that nobody asked for", name)
		}
		if n := len(escapes.FindAllString(coloured.String(), -1)); n < 10 {
			t.Errorf("%s: only %d colours", name, n)
		}
		if escapes.ReplaceAllString(coloured.String(), "") != plain.String() {
			t.Errorf("%s: colours change the text", name)
		}
	}
}

func TestOneGreenLineWhenAllIsWell(t *testing.T) {
	var b bytes.Buffer
	if err := Text(&b, scan(t, "w11-healthy"), TextOptions{Colour: true}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\x1b["+string(good)); n != 1 || !strings.HasPrefix(b.String(), "\x1b["+string(good)+"mnothing found on 1 machine") {
		t.Errorf("%d green places:\n%s", n, b.String())
	}
}

// TestTextCannotBeSteeredByNames hands the text a name that holds an escape
// sequence, a line end, and a mark that turns the direction of writing.
func TestTextCannotBeSteeredByNames(t *testing.T) {
	const evil = "a\x1b[2Jb\nc\u202ed"
	r := New(Tool{Name: "hivemend"}, []analyze.Result{{
		Name: evil, ComputerName: evil + "x", Inputs: []analyze.Input{{Path: evil}},
		Windows:    analyze.Windows{Product: evil},
		NotChecked: []analyze.NotChecked{{Rule: "RESIDUE", Reason: evil}},
		Findings: []analyze.Finding{{
			Rule: "RESIDUE", Message: evil, Evidence: analyze.Evidence{{Name: "cause", Value: "x"}},
			Location: &analyze.Location{Key: []string{evil}, HasValue: true, Value: evil, Line: 3, Input: evil},
		}},
	}}, []Failure{{evil, evil}})
	var b bytes.Buffer
	if err := Text(&b, r, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"\x1b", "b\nc", "\u202e"} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("the text holds %q:\n%q", bad, b.String())
		}
	}
}
