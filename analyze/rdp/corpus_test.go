package rdp_test

import (
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

// realHives are hives from real machines, and everything that may be found on
// each at warning or above.
var realHives = map[string][]string{
	"regipy-SYSTEM/SYSTEM.xz":                               nil,
	"regipy-SYSTEM_2/SYSTEM_2.xz":                           nil,
	"regipy-SYSTEM_B/SYSTEM_B.xz":                           nil,
	"shimcache-SYSTEM.zip_zip-SYSTEM/SYSTEM.xz":             nil,
	"aiowinreg-nt-system.reg/system.reg.xz":                 nil,
	"aiowinreg-nt-software.reg/software.reg.xz":             nil,
	"regipy-corrupted_system_hive/corrupted_system_hive.xz": {"HIVE-DAMAGED fatal"},
}

func TestRealHives(t *testing.T) {
	corpus := os.Getenv("HIVEMEND_CORPUS")
	if corpus == "" {
		t.Skip("HIVEMEND_CORPUS names no folder with real hives")
	}
	certificates := 0
	for name, want := range realHives {
		t.Run(name, func(t *testing.T) {
			m := realMachine(t, filepath.Join(corpus, "hives", filepath.FromSlash(name)))
			res := analyze.Run(m, rdp.Rules, analyze.Options{AsOf: moment("2026-11-22T00:00:00Z"), AsOfHive: true})
			got := verdicts(res.Findings)
			for i, f := range res.Findings {
				if f.Severity > analyze.Note && (len(want) == 0 || want[0] != got[i]) {
					t.Errorf("%s: %s", got[i], f.Message)
				}
			}
			for _, nc := range res.NotChecked {
				if strings.Contains(nc.Reason, "the rule failed") || strings.Contains(nc.Reason, "could not be read") {
					t.Errorf("%s: %s", nc.Rule, nc.Reason)
				}
			}
			certificates += everyCertificateVerifies(t, m)
		})
	}
	if certificates < 4 { // all in regipy-SYSTEM, in two control sets
		t.Errorf("only %d certificates were seen", certificates)
	}
}

// everyCertificateVerifies decodes the certificates of all control sets and
// returns their number.
func everyCertificateVerifies(t *testing.T, m *hive.Machine) int {
	t.Helper()
	n := 0
	for _, root := range m.Roots(hive.System) {
		for _, set := range hive.FindControlSets(root.Root, false).All {
			for _, path := range []string{`Control\Terminal Server\RCM`, `Services\TermService\Parameters`} {
				k, ok := set.Key.Lookup(hive.ParsePath(path))
				if !ok {
					continue
				}
				for _, name := range []string{"Certificate", "CertificateOld"} {
					if v, ok := k.Value(name); ok {
						n++
						if d := rdp.Decode(v); d.Kind == "" || d.Problem != "" {
							t.Errorf("%s in %s of %s: %s", name, path, set.Name, d.Problem)
						}
					}
				}
			}
		}
	}
	return n
}

// realMachine reads one packed hive as a machine of its own.
func realMachine(t *testing.T, path string) *hive.Machine {
	t.Helper()
	packed, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	r, err := xz.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "hive")
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, r); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	res, err := source.Open([]string{file}, source.Options{})
	if err != nil || len(res.Machines) != 1 {
		t.Fatalf("%d machines, %v, %v", len(res.Machines), res.Failures, err)
	}
	return res.Machines[0]
}
