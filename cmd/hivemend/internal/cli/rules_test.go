package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// try runs one command line and returns its exit code and what it printed.
func try(t *testing.T, args ...string) (code int, out, err string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = Run(context.Background(), args, Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr})
	return code, stdout.String(), stderr.String()
}

func TestRulesNamesEveryRule(t *testing.T) {
	code, out, _ := try(t, "rules")
	lines := strings.Split(strings.TrimRight(out, "\n"), "\n")
	if code != exitDone || len(lines) != len(allRules()) {
		t.Fatalf("exit %d, %d lines for %d rules", code, len(lines), len(allRules()))
	}
	for i, r := range allRules() {
		if fields := strings.Fields(lines[i]); fields[0] != r.ID || fields[1] != r.Severity.String() || !strings.HasSuffix(lines[i], r.Title) {
			t.Errorf("line %d is %q, want %s", i+1, lines[i], r.ID)
		}
	}
	_, out, _ = try(t, "rules", "--format", "json")
	var list []ruleJSON
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != len(allRules()) || list[0].Explain == "" {
		t.Errorf("rules --format json: %v, %d rules", err, len(list))
	}
	if code, _, said := try(t, "rules", "--format", "xml"); code != exitTrouble || !strings.Contains(said, "xml") {
		t.Errorf("rules --format xml: exit %d, %q", code, said)
	}
}

func TestExplain(t *testing.T) {
	for _, r := range allRules() {
		code, out, _ := try(t, "explain", strings.ToLower(r.ID))
		if code != exitDone || !strings.HasPrefix(out, r.ID+" (") || !strings.Contains(out, "\nWhat it means\n") {
			t.Errorf("explain %s: exit %d, %.60q", r.ID, code, out)
		}
	}
	for typed, want := range map[string]string{
		"TS-CERT-CORUPT":  "did you mean TS-CERT-CORRUPT?",
		"ts-cret-corrupt": "did you mean TS-CERT-CORRUPT?",
		"ORPHAN":          "did you mean TS-X509-ORPHAN?",
		"nonsense":        "`hivemend rules` lists them",
	} {
		if code, out, said := try(t, "explain", typed); code != exitTrouble || out != "" || !strings.Contains(said, want) {
			t.Errorf("explain %s: exit %d, %q, want %q", typed, code, said, want)
		}
	}
	if code, _, said := try(t, "explain"); code != exitTrouble || !strings.Contains(said, "no RULE") {
		t.Errorf("explain: exit %d, %q", code, said)
	}
}

func TestTypingDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"abc", "abc", 0}, {"abc", "", 3}, {"abc", "acb", 1}, {"abcd", "bacde", 2}, {"kitten", "sitting", 3}, {"a", "abcdefghijk", 9},
	} {
		if got := typingDistance(c.a, c.b, 8); got != c.want {
			t.Errorf("typingDistance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// completions asks the program as a shell does.
func completions(t *testing.T, args ...string) []string {
	t.Helper()
	_, out, _ := try(t, append([]string{"__completeNoDesc"}, args...)...)
	lines := strings.Split(strings.TrimRight(out, "\n"), "\n")
	return lines[:len(lines)-1] // the last is a number for the shell
}

func TestCompletions(t *testing.T) {
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"explain", "ts-cert"}, []string{"TS-CERT-CORRUPT"}},
		{[]string{"scan", "--only", "TS-CERT-CORRUPT,sys"}, []string{"TS-CERT-CORRUPT,SYS-SELECT"}},
		{[]string{"scan", "--format", ""}, []string{"text", "json", "jsonl", "csv", "sarif", "junit", "html"}},
		{[]string{"--format", "s"}, []string{"sarif"}},
		{[]string{"scan", "--fail-on", ""}, []string{"error", "warning", "note", "never"}},
		{[]string{"scan", "--as-of", ""}, []string{"hive"}},
		{[]string{"fix", "--encryption-level", ""}, []string{"low", "client-compatible"}},
		{[]string{"completion", ""}, shells},
		{[]string{"expl"}, []string{"explain"}},
	} {
		got := completions(t, c.args...)
		if c.args[0] == "--format" { // what stands before a command completes with all that fits
			got = slices.DeleteFunc(got, func(s string) bool { return s != "sarif" })
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q completes to %q, want %q", c.args, got, c.want)
		}
	}
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range shells {
		code, out, _ := try(t, "completion", shell)
		if code != exitDone || !strings.Contains(out, "__complete") {
			t.Errorf("completion %s: exit %d, %d bytes", shell, code, len(out))
		}
	}
	for _, args := range [][]string{{"completion"}, {"completion", "tcsh"}} {
		if code, out, said := try(t, args...); code != exitTrouble || out != "" || !strings.Contains(said, "powershell") {
			t.Errorf("%q: exit %d, %q", args, code, said)
		}
	}
}

func TestMan(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man", "man1")
	for range 2 {
		if code, _, said := try(t, "man", dir); code != exitDone {
			t.Fatalf("man: exit %d, %q", code, said)
		}
	}
	for _, page := range []string{"hivemend.1", "hivemend-scan.1", "hivemend-explain.1"} {
		text, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil || !bytes.Contains(text, []byte(".SH NAME")) {
			t.Errorf("%s: %v, %d bytes", page, err, len(text))
		}
	}
	if code, _, said := try(t, "man"); code != exitTrouble || !strings.Contains(said, "one DIR") {
		t.Errorf("man: exit %d, %q", code, said)
	}
}

func TestColours(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if colours(file, false) || colours(null, false) || colours(&bytes.Buffer{}, false) {
		t.Error("colours on what is no terminal")
	}
}

func TestMistypedFlagsGetASuggestion(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"scan", "--fromat", "json", "x"}, "did you mean --format?"},
		{[]string{"fix", "--dryrun", "x"}, "did you mean --dry-run?"},
		{[]string{"--as-off", "x"}, "did you mean --as-of?"},
		{[]string{"scan", "--nothing-like-it"}, "see `hivemend scan --help`"},
		{[]string{"scan", "-Z"}, "see `hivemend scan --help`"},
	} {
		code, _, said := try(t, c.args...)
		if code != exitTrouble || !strings.Contains(said, c.want) {
			t.Errorf("%q: exit %d, %q, want %q", c.args, code, said, c.want)
		}
	}
}
