package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hivemend/analyze"
	"hivemend/analyze/rdp"
	"hivemend/hive"
	"hivemend/hive/source"
	"hivemend/testdata/gen/fixtures"
)

const testdata = "../../testdata"

// TestTestdataIsGenerated proves that what is checked in is what the
// generators make, byte for byte, and nothing else.
func TestTestdataIsGenerated(t *testing.T) {
	files, err := fixtures.Files()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range files {
		got, err := os.ReadFile(filepath.Join(testdata, filepath.FromSlash(path)))
		if err != nil {
			t.Errorf("%v: run `go run ./testdata/gen`", err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("testdata/%s is not what the generator makes: run `go run ./testdata/gen`", path)
		}
	}
	for _, folder := range fixtures.Folders {
		err := filepath.WalkDir(filepath.Join(testdata, folder), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			rel, err := filepath.Rel(testdata, path)
			if _, ok := files[filepath.ToSlash(rel)]; !ok {
				t.Errorf("testdata/%s is made by no generator", rel)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// table reads a tab-separated table with a header line.
func table(t *testing.T, path string) []map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testdata, path))
	if err != nil {
		t.Fatal(err)
	}
	var header []string
	var rows []map[string]string
	for _, line := range strings.Split(strings.TrimRight(string(text), "\n"), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.Split(line, "\t")
		if header == nil {
			header = cells
			continue
		}
		row := map[string]string{}
		for i, c := range cells {
			row[header[i]] = c
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		t.Fatalf("%s holds no rows", path)
	}
	return rows
}

func moment(t *testing.T, text string) hive.FileTime {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return hive.FileTimeOf(at)
}

// TestMachines holds every bundled machine against what is to be found on it.
// At warning and above there must be exactly that.
func TestMachines(t *testing.T) {
	rows := table(t, "machines/expected.tsv")
	byMachine := map[string][]map[string]string{}
	for _, row := range rows {
		byMachine[row["machine"]] = append(byMachine[row["machine"]], row)
	}
	folders, err := os.ReadDir(filepath.Join(testdata, "machines"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if !f.IsDir() {
			continue
		}
		t.Run(f.Name(), func(t *testing.T) {
			want := byMachine[f.Name()]
			if want == nil {
				t.Fatal("expected.tsv does not mention this machine")
			}
			judgeFolder(t, filepath.Join(testdata, "machines", f.Name()), want)
		})
	}
}

func judgeFolder(t *testing.T, dir string, want []map[string]string) {
	opened, err := source.Open([]string{dir}, source.Options{})
	if err != nil || len(opened.Failures) > 0 || len(opened.Machines) != 1 {
		t.Fatalf("%v, %v, %d machines", err, opened.Failures, len(opened.Machines))
	}
	res := analyze.Run(opened.Machines[0], rdp.Rules, analyze.Options{AsOf: moment(t, want[0]["asOf"])})
	var left []analyze.Finding
	for _, f := range res.Findings {
		if f.Severity >= analyze.Warning {
			left = append(left, f)
		}
	}
	for _, w := range want {
		if w["rule"] == "-" {
			continue
		}
		i := slices.IndexFunc(left, func(f analyze.Finding) bool {
			return f.Rule == w["rule"] && f.Severity.String() == w["severity"] && (w["cause"] == "" || f.Cause() == w["cause"]) &&
				f.Location != nil && strings.HasSuffix(f.Location.Key.String(), w["key"])
		})
		if i < 0 {
			t.Errorf("%s %s is not found", w["rule"], w["cause"])
			continue
		}
		if w["failingByte"] != "" {
			at, _ := strconv.Atoi(w["failingByte"])
			was, _ := strconv.Atoi(w["original"])
			if left[i].Evidence.Get("failingByte") != at || left[i].Evidence.Get("original") != was {
				t.Errorf("%s: byte %v was %v, want byte %d, %d", w["rule"], left[i].Evidence.Get("failingByte"), left[i].Evidence.Get("original"), at, was)
			}
		}
		left = slices.Delete(left, i, i+1)
	}
	for _, f := range left {
		t.Errorf("unexpected %s %s: %s", f.Severity, f.Rule, f.Message)
	}
}

// TestHiveVectors holds every hive with one structural defect against the code
// that must be found, and against finding anything else.
func TestHiveVectors(t *testing.T) {
	for _, row := range table(t, "vectors/hives.tsv") {
		t.Run(row["file"], func(t *testing.T) {
			opened, err := source.Open([]string{filepath.Join(testdata, "vectors", filepath.FromSlash(row["file"]))}, source.Options{AllHives: true, NoReplay: true})
			if err != nil {
				t.Fatal(err)
			}
			if len(opened.Machines) != 1 {
				// These are refused before they are checked: no magic, a version
				// that is not known, and what says that it is a log.
				if !slices.Contains([]string{"BB01", "BB04", "BB05"}, row["code"]) {
					t.Fatalf("not read: %v", opened.Failures)
				}
				return
			}
			may := append(strings.FieldsFunc(row["also"], func(r rune) bool { return r == ' ' || r == ',' }), row["code"], "LG01", "BB03")
			found := false
			for _, i := range opened.Machines[0].Inputs[0].Issues {
				if i.Code == row["code"] {
					found = true
					if row["severity"] != "" && i.Damage.String() != row["severity"] {
						t.Errorf("%s is %s, want %s", i.Code, i.Damage, row["severity"])
					}
				}
				if !slices.Contains(may, i.Code) {
					t.Errorf("unexpected %s at %#x: %s", i.Code, i.Offset, i.Detail)
				}
			}
			if !found && row["code"] != "-" {
				t.Errorf("%s is not found", row["code"])
			}
		})
	}
}
