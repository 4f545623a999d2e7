package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"go/ast"
	"go/parser"
	"go/token"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"hivemend/analyze"
	"hivemend/analyze/rdp"
	"hivemend/hive"
)

// render writes r in a format.
func render(t testing.TB, format string, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := Render(&b, format, r, testOptions()); err != nil {
		t.Fatalf("%s: %v", format, err)
	}
	return b.String()
}

// everything is a report of all bundled machines and of inputs that could not
// be read.
func everything(t testing.TB) *Report {
	r := scan(t)
	return New(r.Tool, r.Machines, []Failure{{"a b/broken.hiv", "a b/broken.hiv: no hive"}, {"C:/x.reg", "C:/x.reg: no .reg text"}})
}

func readSchema(t *testing.T) *jsonschema.Compiler {
	t.Helper()
	text, err := os.ReadFile("report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiler(t, string(text))
}

// compiler returns a compiler that knows a schema under the name
// report.schema.json.
func compiler(t *testing.T, text string) *jsonschema.Compiler {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("report.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestReportsFollowTheSchema(t *testing.T) {
	c := readSchema(t)
	whole, err := c.Compile("report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	machine, err := c.Compile("report.schema.json#/$defs/machine")
	if err != nil {
		t.Fatal(err)
	}
	failure, err := c.Compile("report.schema.json#/$defs/failure")
	if err != nil {
		t.Fatal(err)
	}
	all := everything(t)
	for _, r := range []*Report{all, Redact(all), New(all.Tool, nil, nil)} {
		if err := valid(whole, render(t, "json", r)); err != nil {
			t.Errorf("%#v", err)
		}
	}
	for i, line := range strings.Split(strings.TrimSuffix(render(t, "jsonl", all), "\n"), "\n") {
		s := machine
		if i >= len(all.Machines) {
			s = failure
		}
		if err := valid(s, line); err != nil {
			t.Errorf("line %d: %#v", i+1, err)
		}
	}
	text := render(t, "json", all)
	for _, wrong := range [][2]string{
		{`"status": "incomplete"`, `"status": "fine"`}, {`"rule": "TS-CERT-CORRUPT"`, `"rule": ""`}, {`"sha256": "`, `"sha256": "X`},
		{`"hive": "SYSTEM"`, `"hive": "system"`}, {`"op": "delete-value"`, `"op": "delete"`}, {`"errors": [`, `"mistakes": [`},
		{`"failingByte": `, `"failingByte": -`}, {`"asOf": "2009-11-30`, `"asOf": "30.11.2009`},
	} {
		if !strings.Contains(text, wrong[0]) {
			t.Errorf("the report does not hold %s", wrong[0])
		} else if valid(whole, strings.Replace(text, wrong[0], wrong[1], 1)) == nil {
			t.Errorf("the schema allows %s", wrong[1])
		}
	}
}

// sarifStandard returns the schema of the standard. The library go-sarif
// carries it in a constant of its source.
func sarifStandard(t *testing.T) string {
	t.Helper()
	pkg := reflect.TypeFor[sarif.Report]().PkgPath()
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", pkg).Output()
	if err != nil {
		t.Fatalf("go list %s: %v", pkg, err)
	}
	file := filepath.Join(strings.TrimSpace(string(dir)), "schema.go")
	source, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	ast.Inspect(source, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			text, err = strconv.Unquote(lit.Value)
		}
		return true
	})
	if err != nil || !strings.Contains(text, "SARIF") {
		t.Fatalf("%s holds no schema: %v", file, err)
	}
	return text
}

func TestSARIFFollowsTheStandard(t *testing.T) {
	schema, err := compiler(t, sarifStandard(t)).Compile("report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	all := everything(t)
	for _, r := range []*Report{all, Redact(all), New(all.Tool, nil, nil)} {
		if err := valid(schema, render(t, "sarif", r)); err != nil {
			t.Errorf("%v", err)
		}
	}
	text := render(t, "sarif", all)
	for _, wrong := range [][2]string{{`"level": "error"`, `"level": "fatal"`}, {`"startLine": `, `"startLine": -`}, {`"ruleIndex"`, `"ruleNumber"`}} {
		if changed := strings.Replace(text, wrong[0], wrong[1], 1); changed == text || valid(schema, changed) == nil {
			t.Errorf("the schema allows %s", wrong[1])
		}
	}
}

func valid(s *jsonschema.Schema, text string) error {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

func TestSARIFNamesBytesAndHashes(t *testing.T) {
	r := everything(t)
	var log sarifLog
	if err := json.Unmarshal([]byte(render(t, "sarif", r)), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if inv := run.Invocations[0]; inv.ExitCode != 2 || inv.Successful {
		t.Errorf("exit code %d, successful %v", inv.ExitCode, inv.Successful)
	}
	var said []string
	for _, n := range run.Invocations[0].Notifications {
		if n.Level == "error" {
			said = append(said, n.Locations[0].Physical.Artifact.URI)
		}
	}
	if !reflect.DeepEqual(said, []string{"a%20b/broken.hiv", "file:///C:/x.reg"}) {
		t.Errorf("could not be read: %q", said)
	}
	for _, res := range run.Results {
		rule := run.Tool.Driver.Rules[res.RuleIndex]
		if rule.ID != res.RuleID || rule.Help == nil || rule.Help.Text == "" {
			t.Errorf("%s: rule %d is %s", res.RuleID, res.RuleIndex, rule.ID)
		}
		if res.Properties["location"] == nil {
			continue
		}
		place := res.Locations[0].Physical
		a := run.Artifacts[*place.Artifact.Index]
		if a.Location.URI != place.Artifact.URI || len(a.Hashes["sha-256"]) != 64 || a.Length == nil {
			t.Errorf("%s: artifact %+v", res.RuleID, a)
			continue
		}
		data, err := os.ReadFile(a.Location.URI)
		if err != nil {
			t.Fatal(err)
		}
		if res.Properties["evidence"].(map[string]any)["failingByte"] == nil || place.Region == nil || place.Region.ByteOffset == nil {
			continue
		}
		// The byte at that place in the file must be the one that the message names.
		want := "stands " + strconv.FormatUint(uint64(data[*place.Region.ByteOffset]), 16)
		if place.Region.ByteLength != 1 || !strings.Contains(res.Message.Text, want) {
			t.Errorf("%s: %q, but %s", res.RuleID, res.Message.Text, want)
		}
		said = append(said, res.RuleID)
	}
	if len(said) < 4 {
		t.Errorf("only %q name bytes", said)
	}
}

func TestFileURI(t *testing.T) {
	for path, want := range map[string]string{
		"SYSTEM": "SYSTEM", "a b/SYSTEM": "a%20b/SYSTEM", "/x/SYSTEM": "file:///x/SYSTEM", "C:/x/SYSTEM": "file:///C:/x/SYSTEM",
		"//srv/share/SYSTEM": "file://srv/share/SYSTEM", "a.zip::SYSTEM": "./a.zip::SYSTEM", "-": "-",
	} {
		if got := fileURI(path); got != want {
			t.Errorf("fileURI(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestCSV(t *testing.T) {
	r := everything(t)
	hostile := analyze.Finding{
		Rule: "RESIDUE", Message: "=cmd|' /C calc'!A0", Evidence: analyze.Evidence{{Name: "cause", Value: "@SUM(1)"}},
		Location: &analyze.Location{Input: "+1", Key: hive.Path{"-2", "b,\"c\""}, HasValue: true, Value: "\tx"},
	}
	r.Machines = append(r.Machines, analyze.Result{ID: "-m", Findings: []analyze.Finding{hostile}})
	text := render(t, "csv", r)
	if strings.Count(text, "\n") != strings.Count(text, "\r\n") || !strings.HasPrefix(text, strings.Join(csvHeader, ",")+"\r\n") {
		t.Error("lines do not end in CR LF, or the header is another")
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	n := 1
	for _, m := range r.Machines {
		n += len(m.Findings)
	}
	if len(rows) != n {
		t.Fatalf("%d lines, want %d", len(rows), n)
	}
	want := []string{"'-m", "RESIDUE", "note", "low", "'@SUM(1)", "'+1", `'-2\b,"c"`, `'\u0009x`, "", "", "'=cmd|' /C calc'!A0", ""}
	if got := rows[len(rows)-1]; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestJUnit(t *testing.T) {
	r := everything(t)
	for _, c := range []struct {
		opt  Options
		fail func(analyze.Severity) bool
	}{
		{Options{Rules: rdp.Rules, FailOn: analyze.Warning}, func(s analyze.Severity) bool { return s >= analyze.Warning }},
		{Options{Rules: rdp.Rules, FailOn: analyze.Note}, func(analyze.Severity) bool { return true }},
		{Options{Rules: rdp.Rules, NeverFail: true}, func(analyze.Severity) bool { return false }},
	} {
		var b bytes.Buffer
		if err := JUnit(&b, r, c.opt); err != nil {
			t.Fatal(err)
		}
		var all junitSuites
		if err := xml.Unmarshal(b.Bytes(), &all); err != nil {
			t.Fatal(err)
		}
		if all.Errors != len(r.Errors) || all.Tests != len(r.Machines)*len(rdp.Rules)+len(r.Errors) || len(all.Suites) != len(r.Machines)+1 {
			t.Errorf("%d tests, %d errors in %d suites", all.Tests, all.Errors, len(all.Suites))
		}
		failures := 0
		for i, m := range r.Machines {
			failed := map[string]bool{}
			for _, f := range m.Findings {
				if c.fail(f.Severity) {
					failed[f.Rule] = true
				}
			}
			failures += len(failed)
			for _, tc := range all.Suites[i].Cases {
				if (tc.Failure != nil) != failed[tc.Name] {
					t.Errorf("%s %s: failure %v", m.ID, tc.Name, tc.Failure)
				}
			}
		}
		if all.Failures != failures {
			t.Errorf("%d failures, want %d", all.Failures, failures)
		}
	}
}

// TestFormatsCarryTheSameFacts looks for every finding, for what was not
// checked and for what could not be read in every format that has a place for
// it.
func TestFormatsCarryTheSameFacts(t *testing.T) {
	r := everything(t)
	unescape := map[string]func(string) string{
		"html": html.UnescapeString, "junit": html.UnescapeString,
		"csv":  func(s string) string { return strings.ReplaceAll(s, `""`, `"`) },
		"json": jsonText, "jsonl": jsonText, "sarif": jsonText,
	}
	for _, format := range Formats() {
		text := render(t, format, r)
		if f := unescape[format]; f != nil {
			text = f(text)
		}
		has := func(what ...string) {
			for _, s := range what {
				if s != "" && !strings.Contains(text, s) {
					t.Errorf("%s does not hold %q", format, s)
				}
			}
		}
		for _, m := range r.Machines {
			if len(m.Findings) > 0 {
				has(m.Name)
			}
			for _, f := range m.Findings {
				has(f.Rule, f.Severity.String(), f.Message, f.Cause())
				if f.Location != nil {
					has(f.Location.Key.String(), f.Location.Value)
				}
			}
			if format == "csv" { // one finding a line and nothing else
				continue
			}
			for _, nc := range m.NotChecked {
				has(nc.Rule, nc.Reason)
			}
			for _, in := range m.Inputs {
				has(in.Path)
			}
		}
		for _, e := range r.Errors {
			if format != "csv" {
				has(e.Error)
			}
		}
	}
}

func jsonText(s string) string {
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(s)
}

func TestCheckFormat(t *testing.T) {
	for _, name := range Formats() {
		if err := CheckFormat(name); err != nil {
			t.Error(err)
		}
	}
	if err := CheckFormat("yaml"); err == nil || !strings.Contains(err.Error(), "sarif") {
		t.Errorf("yaml: %v", err)
	}
}
