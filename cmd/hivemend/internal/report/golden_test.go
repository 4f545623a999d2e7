package report

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew; look at what changed before it is kept")

// TestGolden compares the text and the page of two bundled machines with those
// that a person has looked at.
func TestGolden(t *testing.T) {
	folder, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, machine := range []string{"ts2003", "client-xp"} {
		t.Run(machine, func(t *testing.T) {
			r := scan(t, machine)
			for format, end := range map[string]string{"text": ".txt", "html": ".html"} {
				compareGolden(t, filepath.Join(folder, machine+end), render(t, format, r))
			}
		})
	}
}

func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: run the test with -update", err)
	}
	want := strings.ReplaceAll(string(text), "\r\n", "\n")
	if got == want {
		return
	}
	is, was := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(is), len(was)) {
		if i >= len(is) || i >= len(was) || is[i] != was[i] {
			t.Errorf("%s differs from line %d on; with -update it is written anew\nis:  %.300s\nwas: %.300s", filepath.Base(file), i+1, lineAt(is, i), lineAt(was, i))
			return
		}
	}
}

func lineAt(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(the end)"
}
