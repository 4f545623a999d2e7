package cli

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hivemend/analyze"
	"hivemend/hive/regf"
	"hivemend/hive/source"
)

const machines = "../../../../testdata/machines"

// TestWhatReplayChangedIsSaid judges a machine whose logs took a damaged
// certificate away.
func TestWhatReplayChangedIsSaid(t *testing.T) {
	opened, err := source.Open([]string{machines + "/ts2003-healthy/SYSTEM"}, source.Options{})
	if err != nil || len(opened.Machines) != 1 {
		t.Fatalf("%v, %v", err, opened.Failures)
	}
	m := opened.Machines[0]
	damaged, err := os.ReadFile(machines + "/ts2003/SYSTEM")
	if err != nil {
		t.Fatal(err)
	}
	m.Inputs[0].AsItLay = damaged
	res := judgeMachine(m, analyze.Options{AsOf: 128800000000000000})
	for _, f := range res.Findings {
		if f.Rule != "TS-CERT-CORRUPT" {
			continue
		}
		if f.Severity != analyze.Note || f.Fix != nil || f.Evidence.Text("replay") != "only-before" {
			t.Errorf("%s is %s with fix %v: %v", f.Rule, f.Severity, f.Fix, f.Evidence)
		}
		return
	}
	t.Error("what held before the logs were applied is not said")
}

// TestPatchedHiveIsNewerThanItsLogs holds that old logs beside a clean hive can
// never be applied to the patched one.
func TestPatchedHiveIsNewerThanItsLogs(t *testing.T) {
	dir := t.TempDir()
	system, err := os.ReadFile(machines + "/ts2003/SYSTEM")
	if err != nil {
		t.Fatal(err)
	}
	log := bytes.Clone(system[:512])
	le := binary.LittleEndian
	le.PutUint32(log[4:], 5000)
	le.PutUint32(log[8:], 5000)
	le.PutUint32(log[28:], 6)
	var sum uint32
	for i := 0; i < 508; i += 4 {
		sum ^= le.Uint32(log[i:])
	}
	le.PutUint32(log[508:], sum)
	for name, data := range map[string][]byte{"SYSTEM": system, "SYSTEM.LOG1": log} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pkg := filepath.Join(t.TempDir(), "pkg")
	var out bytes.Buffer
	if code := Run(context.Background(), []string{"fix", dir, "-o", pkg}, Streams{In: strings.NewReader(""), Out: &out, Err: &out}); code != 0 {
		t.Fatalf("fix exits with %d: %s", code, out.String())
	}
	patched, err := os.ReadFile(filepath.Join(pkg, "hives", "SYSTEM"))
	if err != nil {
		t.Fatal(err)
	}
	im, err := regf.Open(patched, regf.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if h := im.Header(); h.Sequence1 != h.Sequence2 || h.Sequence1 <= 5000 {
		t.Errorf("sequence numbers %d and %d, want both equal and above 5000", h.Sequence1, h.Sequence2)
	}
}
