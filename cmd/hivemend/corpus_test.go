package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"hivemend/analyze"
	"hivemend/analyze/rdp"
	"hivemend/hive"
	"hivemend/hive/source"
)

// corpusHives unpacks the folder of one real hive, logs included, or skips.
func corpusHives(t *testing.T, folder string) string {
	t.Helper()
	corpus := os.Getenv("HIVEMEND_CORPUS")
	if corpus == "" {
		t.Skip("HIVEMEND_CORPUS does not name a folder with real hives")
	}
	files, err := os.ReadDir(filepath.Join(corpus, "hives", folder))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(corpus, "hives", folder, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f.Name(), ".xz") {
			r, err := xz.NewReader(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if data, err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, strings.TrimSuffix(f.Name(), ".xz")), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func corpusFolders(t *testing.T) []string {
	t.Helper()
	corpus := os.Getenv("HIVEMEND_CORPUS")
	if corpus == "" {
		t.Skip("HIVEMEND_CORPUS does not name a folder with real hives")
	}
	entries, err := os.ReadDir(filepath.Join(corpus, "hives"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// damagedOnPurpose are the real hives that are known to be damaged, by what
// their name begins with.
var damagedOnPurpose = []string{
	"plaso-corrupt", "regipy-corrupted", "yarp-Bad", "yarp-DuplicateSubkeys", "yarp-EffectiveSize", "yarp-InvalidParent", "yarp-Truncated",
	"yarp-WrongOrder", "yarp-DeletedDataHiveTruncated", "yarp-DupName",
}

func damagedByName(name string) bool {
	for _, start := range damagedOnPurpose {
		if strings.HasPrefix(name, start) {
			return true
		}
	}
	return false
}

// TestRealHivesAreHealthy holds that no undamaged real hive gives a finding at
// warning or above, and that every certificate in them verifies.
func TestRealHivesAreHealthy(t *testing.T) {
	certificates := 0
	for _, name := range corpusFolders(t) {
		t.Run(name, func(t *testing.T) {
			opened, err := source.Open([]string{corpusHives(t, name)}, source.Options{AllHives: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range opened.Failures {
				if !damagedByName(name) {
					t.Errorf("%s: %v", f.Path, f.Err)
				}
			}
			for _, m := range opened.Machines {
				res := analyze.Run(m, rdp.Rules, analyze.Options{AsOf: moment(t, "2026-11-22T00:00:00Z")})
				for _, f := range res.Findings {
					if f.Severity >= analyze.Warning && !damagedByName(name) {
						t.Errorf("%s: %s", f.Rule, f.Message)
					}
				}
				certificates += countCertificates(t, m)
			}
		})
	}
	if certificates < 4 {
		t.Errorf("only %d certificates were found in the real hives", certificates)
	}
}

// countCertificates decodes every proprietary certificate of every control set
// and holds that it is sound.
func countCertificates(t *testing.T, m *hive.Machine) int {
	n := 0
	for _, root := range m.Roots(hive.System) {
		for _, set := range hive.FindControlSets(root.Root, false).All {
			for _, path := range []string{`Services\TermService\Parameters`, `Control\Terminal Server\RCM`} {
				key, ok := set.Key.Lookup(hive.ParsePath(path))
				if !ok {
					continue
				}
				for _, name := range []string{"Certificate", "CertificateOld"} {
					v, ok := key.Value(name)
					if !ok {
						continue
					}
					n++
					if d := rdp.DecodeAt(root.Prefix.Join(set.Name).Join(hive.ParsePath(path)...), v); d.Problem != "" || len(d.Fields) == 0 {
						t.Errorf("%s\\%s, %s: %s", set.Name, path, name, d.Problem)
					}
				}
			}
		}
	}
	return n
}

func TestCorruptedHiveIsReadAsFarAsItGoes(t *testing.T) {
	opened, err := source.Open([]string{corpusHives(t, "regipy-corrupted_system_hive")}, source.Options{})
	if err != nil || len(opened.Machines) != 1 {
		t.Fatalf("%v, %v", err, opened.Failures)
	}
	in := opened.Machines[0].Inputs[0]
	keys, values := countTree(in.Mounts[0].Root, 0)
	if keys < 1687 || values < 5625 {
		t.Errorf("%d keys and %d values were read, want at least 1687 and 5625", keys, values)
	}
	if in.State != hive.Damaged || len(in.Issues) == 0 {
		t.Errorf("state %s with %d issues", in.State, len(in.Issues))
	}
}

func countTree(k hive.Key, depth int) (keys, values int) {
	keys = 1
	for range k.Values() {
		values++
	}
	if depth >= hive.MaxDepth {
		return keys, values
	}
	for sub := range k.Subkeys() {
		a, b := countTree(sub, depth+1)
		keys, values = keys+a, values+b
	}
	return keys, values
}
