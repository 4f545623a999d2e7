package report

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"hivemend/analyze"
	"hivemend/hive"
	"hivemend/hive/cursor"
)

// personal are the names of the bundled machines: of computers, of the one user
// and the one organisation, and of the licence server.
var personal = []string{
	"TS2003", "TS2003B", "XPCLIENT", "DESK-014", "W2KTS", "RDS2008R2", "RDS2016", "LICSRV01", "clerk", "example.com", "example",
}

// leaks returns the names that stand in text as themselves or in hexadecimal
// digits.
func leaks(text string) []string {
	var found []string
	lower := strings.ToLower(text)
	for _, name := range personal {
		wide := cursor.Bytes(cursor.UnitsFromString(name))
		for _, form := range []string{
			strings.ToLower(name), hex.EncodeToString([]byte(name)), hex.EncodeToString([]byte(strings.ToLower(name))),
			hex.EncodeToString([]byte(strings.ToUpper(name))), hex.EncodeToString(wide),
		} {
			if strings.Contains(lower, form) {
				found = append(found, name+" as "+form)
			}
		}
	}
	return found
}

func TestRedactedReportsHoldNoNames(t *testing.T) {
	r := scan(t)
	r.Errors = append(r.Errors, Failure{"C:/Users/clerk/TS2003.hiv", "C:/Users/clerk/TS2003.hiv: no hive and no .reg text (TS2003.example.com)"})
	before, after := 0, Redact(r)
	for _, format := range Formats() {
		var plain, redacted bytes.Buffer
		if err := Render(&plain, format, r, testOptions()); err != nil {
			t.Fatal(err)
		}
		if err := Render(&redacted, format, after, testOptions()); err != nil {
			t.Fatal(err)
		}
		before += len(leaks(plain.String()))
		for _, leak := range leaks(redacted.String()) {
			t.Errorf("%s: %s", format, leak)
		}
		for _, want := range []string{"machine-1", "TS-CERT-CORRUPT"} {
			if !strings.Contains(redacted.String(), want) {
				t.Errorf("%s: %s is not in it", format, want)
			}
		}
	}
	if before < len(personal) {
		t.Errorf("only %d names stand in reports that are not redacted: the test looks for the wrong ones", before)
	}
}

func TestRedactKeepsWhatIsNoName(t *testing.T) {
	r := scan(t, "ts2003", "client-xp")
	after := Redact(r)
	for i := range r.Machines {
		m, n := &r.Machines[i], &after.Machines[i]
		if len(m.Findings) != len(n.Findings) || len(m.Inputs) != len(n.Inputs) || len(m.NotChecked) != len(n.NotChecked) {
			t.Fatalf("%s lost something", m.ID)
		}
		for j := range m.Findings {
			f, g := &m.Findings[j], &n.Findings[j]
			if f.Rule != g.Rule || f.Fingerprint != g.Fingerprint || f.Location.Key.String() != g.Location.Key.String() || f.Location.SHA256 != g.Location.SHA256 {
				t.Errorf("%s %s changed beyond names", m.ID, f.Rule)
			}
		}
		for j := range m.Inputs {
			if m.Inputs[j].SHA256 != n.Inputs[j].SHA256 {
				t.Errorf("the hash of %s changed", m.Inputs[j].Path)
			}
		}
	}
	var again bytes.Buffer
	if err := JSON(&again, Redact(r)); err != nil {
		t.Fatal(err)
	}
	var first bytes.Buffer
	if err := JSON(&first, after); err != nil || first.String() != again.String() {
		t.Errorf("%v, or redacting twice gives two results", err)
	}
	if len(leaks(mustJSON(t, r))) == 0 {
		t.Error("redacting changed the original")
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRedactText(t *testing.T) {
	d := NewRedactor()
	d.Learn(&analyze.Result{
		ID: "TS-live-1", ComputerName: "TS", Personal: []string{"TS", "TS.corp.example", "Ünit Ltd", "ab"},
		Inputs: []analyze.Input{{Path: "case/TS/SYSTEM", Hive: hive.System}, {Path: "case/b.zip::TS/SYSTEM", Hive: hive.System}, {Path: "SYSTEM", Hive: hive.System}},
	})
	d.expect("case/TS/SYSTEM", "case/b.zip::TS/SYSTEM", "SYSTEM")
	for text, want := range map[string]string{
		"":                                  "",
		"ts, Ts; TSX xTS TS2 and TS.":       "machine-1, machine-1; TSX xTS TS2 and machine-1.",
		"ts.corp.example of corp.example":   "name-1 of name-2",
		"üNIT lTD & co":                     "name-4 & co",
		"read case/TS/SYSTEM at 0x20":       "read machine-1/SYSTEM at 0x20",
		"case/b.zip is damaged":             "input-1 is damaged",
		`SYSTEM\ControlSet001`:              `SYSTEM\ControlSet001`,
		"in 54005300 and 00540053 and 5453": "in 78007800 and 00780078 and 5453",
		"lone \xed\xa0\x80 surrogate, TS":   "lone \xed\xa0\x80 surrogate, machine-1",
	} {
		if got := d.text(text); got != want {
			t.Errorf("text(%q) = %q, want %q", text, got, want)
		}
	}
}

// FuzzRedact feeds texts that hold a name, and looks for the name afterwards.
func FuzzRedact(f *testing.F) {
	f.Add("see ", "SRV01", " for more")
	f.Add("a/", "é", "\xff")
	f.Add("", "a.b", "")
	f.Fuzz(func(t *testing.T, before, name, after string) {
		d := NewRedactor()
		d.learnOther(name)
		_, known := d.names[hive.Fold(strings.Trim(name, " \t\r\n\x00"))]
		got := d.text(before + " " + name + " " + after)
		if known && len(d.names) == 1 && !strings.Contains(got, "name-1") {
			t.Errorf("%q of %q is left: %q", name, before+" "+name+" "+after, got)
		}
	})
}
