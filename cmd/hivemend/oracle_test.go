package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hivemend/cmd/hivemend/internal/cli"
	"hivemend/hive"
	"hivemend/patch"
)

// tool returns the path of an outside program. Where it is absent the test is
// skipped; in CI that is a failure.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed, and in CI it has to be", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// hivexNode is a key as hivexml prints it.
type hivexNode struct {
	Name   string `xml:"name,attr"`
	Values []struct {
		Type    string   `xml:"type,attr"`
		Key     string   `xml:"key,attr"`
		Default string   `xml:"default,attr"`
		Value   string   `xml:"value,attr"`
		Strings []string `xml:"string"`
	} `xml:"value"`
	Nodes []hivexNode `xml:"node"`
}

// hivexSees lists every key and value of a hive as hivex reads it, a line each.
func hivexSees(t *testing.T, path string) []string {
	t.Helper()
	out, err := exec.Command(tool(t, "hivexml"), path).Output()
	if err != nil {
		t.Fatalf("hivexml %s: %v", path, err)
	}
	var doc struct {
		Root hivexNode `xml:"node"`
	}
	dec := xml.NewDecoder(bytes.NewReader(out))
	dec.Strict = false
	if err := dec.Decode(&doc); err != nil {
		t.Fatalf("hivexml %s: %v", path, err)
	}
	var lines []string
	var walk func(prefix string, n hivexNode)
	walk = func(prefix string, n hivexNode) {
		lines = append(lines, prefix+`\`)
		for _, v := range n.Values {
			lines = append(lines, fmt.Sprintf(`%s\%s = %s %s %q`, prefix, v.Key, v.Type, v.Value, v.Strings))
		}
		for _, sub := range n.Nodes {
			walk(prefix+`\`+sub.Name, sub)
		}
	}
	walk("", doc.Root)
	slices.Sort(lines)
	return lines
}

// reglookupSees lists every key and value of a hive as reglookup reads it,
// without the times.
func reglookupSees(t *testing.T, path string) []string {
	t.Helper()
	out, err := exec.Command(tool(t, "reglookup"), "-H", path).Output()
	if err != nil {
		t.Fatalf("reglookup %s: %v", path, err)
	}
	var lines []string
	for _, line := range strings.Split(string(out), "\n") {
		if i := strings.LastIndexByte(line, ','); i >= 0 {
			line = line[:i]
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// missing returns the lines of a that b lacks.
func missing(a, b []string) []string {
	var out []string
	for _, line := range a {
		if _, ok := slices.BinarySearch(b, line); !ok {
			out = append(out, line)
		}
	}
	return out
}

// hivemend runs one command line and returns its exit code and output.
func hivemend(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	code := cli.Run(context.Background(), args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &out})
	return code, out.String()
}

// proveWithOthers fixes the machine in dir and holds what two other programs
// see in each patched hive against the plan, and the way back against the
// original bytes.
func proveWithOthers(t *testing.T, dir string) {
	t.Helper()
	pkg := filepath.Join(t.TempDir(), "package")
	if code, out := hivemend(t, "fix", dir, "-o", pkg); code != 0 {
		t.Fatalf("fix exits with %d: %s", code, out)
	}
	text, err := os.ReadFile(filepath.Join(pkg, "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := patch.ReadPlan(text)
	if err != nil {
		t.Fatal(err)
	}
	patched, err := filepath.Glob(filepath.Join(pkg, "hives", "*"))
	if err != nil || len(patched) == 0 {
		t.Fatalf("no patched hive: %v", err)
	}
	for _, path := range patched {
		name := filepath.Base(path)
		original := originalOf(t, dir, name)
		prefix := hive.Kind(name).Prefix()
		for reader, sees := range map[string]func(*testing.T, string) []string{"hivex": hivexSees, "reglookup": reglookupSees} {
			before, after := sees(t, original), sees(t, path)
			if added := missing(after, before); len(added) > 0 {
				t.Errorf("%s sees what was not there before: %q", reader, added)
			}
			gone := missing(before, after)
			if len(gone) == 0 {
				t.Errorf("%s sees no change in %s", reader, name)
			}
			for _, line := range gone {
				if !plannedDeletion(plan, prefix, strings.ReplaceAll(line, "/", `\`)) {
					t.Errorf("%s no longer sees what the plan does not delete: %.120s", reader, line)
				}
			}
		}
		back := filepath.Join(t.TempDir(), "back")
		if code, out := hivemend(t, "undo", pkg, path, "-o", back); code != 0 {
			t.Fatalf("undo exits with %d: %s", code, out)
		}
		if a, b := mustRead(t, back), mustRead(t, original); !bytes.Equal(a, b) {
			t.Errorf("undo does not give back the bytes of %s", name)
		}
	}
}

// plannedDeletion reports whether a line about a key or value is about one
// that the plan deletes.
func plannedDeletion(p *patch.Plan, prefix hive.Path, line string) bool {
	return slices.ContainsFunc(p.Edits, func(e patch.Edit) bool {
		rel, ok := e.Key.CutPrefix(prefix)
		if !ok {
			return false
		}
		at := `\` + rel.String()
		switch e.Op {
		case hive.DeleteValue:
			return strings.HasPrefix(line, at+`\`+e.Value+` `) || strings.HasPrefix(line, at+`\`+e.Value+`,`)
		case hive.DeleteKey:
			return strings.HasPrefix(line, at+`\`) || strings.HasPrefix(line, at+`,`)
		}
		return false
	})
}

func originalOf(t *testing.T, dir, name string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.EqualFold(e.Name(), name) {
			return filepath.Join(dir, e.Name())
		}
	}
	if len(entries) == 1 {
		return filepath.Join(dir, entries[0].Name())
	}
	t.Fatalf("%s holds no %s", dir, name)
	return ""
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestOthersSeeWhatThePlanSays(t *testing.T) {
	for _, name := range []string{"ts2003", "client-xp", "rds2008r2", "ts2000"} {
		t.Run(name, func(t *testing.T) { proveWithOthers(t, filepath.Join(testdata, "machines", name)) })
	}
}

// TestRealHivesAreRepaired damages a certificate in real hives and repairs it.
func TestRealHivesAreRepaired(t *testing.T) {
	dir := corpusHives(t, "regipy-SYSTEM")
	path := originalOf(t, dir, "SYSTEM")
	data := mustRead(t, path)
	// A 2048-bit proprietary certificate begins like this; the modulus stands
	// at offset 36.
	start := []byte{1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 6, 0, 0x1c, 1, 'R', 'S', 'A', '1'}
	n := 0
	for at := 0; ; n++ {
		i := bytes.Index(data[at:], start)
		if i < 0 {
			break
		}
		at += i + 100
		data[at] ^= 0x20
	}
	if n == 0 {
		t.Fatal("the hive holds no certificate to damage")
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out := hivemend(t, "scan", path)
	if code != 1 || !strings.Contains(out, "TS-CERT-CORRUPT") || !strings.Contains(out, "byte 100 is wrong") {
		t.Fatalf("scan exits with %d: %s", code, out)
	}
	proveWithOthers(t, dir)
}
