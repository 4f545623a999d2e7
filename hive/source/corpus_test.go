package source

import (
	"path/filepath"
	"slices"
	"testing"

	"hivemend/hive"
)

func TestRealHive(t *testing.T) {
	root := lay(t, map[string][]byte{"config/SYSTEM": corpus(t, "hives/regipy-SYSTEM/SYSTEM.xz"), "config/SOFTWARE": corpus(t, "hives/regipy-ntuser_software_partial/ntuser_software_partial.xz")})
	r := open(t, Options{}, root)
	if len(r.Failures) > 0 || len(r.Machines) != 1 {
		t.Fatalf("got %q, failures %v", summary(root, r), r.Failures)
	}
	m := r.Machines[0]
	if m.ComputerName == "" || m.Generation != hive.Live {
		t.Errorf("computer %q, generation %s", m.ComputerName, m.Generation)
	}
	for _, in := range m.Inputs {
		if in.State != hive.Clean || !in.Bounded {
			t.Errorf("%s is %s, bounded %v: %v", in.Path, in.State, in.Bounded, in.Issues)
		}
	}
}

func TestRealReplay(t *testing.T) {
	const dir = "hives/regipy-SYSTEM_B/SYSTEM_B"
	primary, log1, log2 := corpus(t, dir+".xz"), corpus(t, dir+".LOG1.xz"), corpus(t, dir+".LOG2.xz")
	root := lay(t, map[string][]byte{"SYSTEM": primary, "system.log1": log1, "SYSTEM.LOG2": log2})
	for _, paths := range [][]string{{root}, {filepath.Join(root, "SYSTEM")}, {filepath.Join(root, "SYSTEM"), filepath.Join(root, "SYSTEM.LOG2")}} {
		r := open(t, Options{}, paths...)
		if len(r.Failures) > 0 || len(r.Machines) != 1 || len(r.Machines[0].Inputs) != 1 {
			t.Fatalf("%q: got %q, failures %v", paths, summary(root, r), r.Failures)
		}
		in := r.Machines[0].Inputs[0]
		if in.State != hive.Replayed || in.Replay == nil || in.Replay.Entries != 24 || in.Replay.Pages != 315 || len(in.Replay.Logs) != 2 {
			t.Fatalf("%q: %s, %+v; want 24 entries with 315 pages replayed", paths, in.State, in.Replay)
		}
		if in.SHA256 != hexSHA256(primary) || in.Replay.SHA256 != hexSHA256(in.Data) || in.SHA256 == in.Replay.SHA256 {
			t.Errorf("the hashes are of the wrong bytes")
		}
	}
	in := open(t, Options{NoReplay: true}, root).Machines[0].Inputs[0]
	if in.State != hive.Dirty || in.Replay != nil {
		t.Errorf("without replay: %s, %+v", in.State, in.Replay)
	}
	alone := lay(t, map[string][]byte{"SYSTEM": primary})
	in = open(t, Options{}, alone).Machines[0].Inputs[0]
	if in.State != hive.Dirty || in.Replay != nil || !slices.ContainsFunc(in.Issues, func(i hive.Issue) bool { return i.Code == "LG01" }) {
		t.Errorf("without logs: %s, %+v, %v", in.State, in.Replay, in.Issues)
	}
	junk := lay(t, map[string][]byte{"SYSTEM": primary, "SYSTEM.LOG1": make([]byte, 4096)})
	in = open(t, Options{}, junk).Machines[0].Inputs[0]
	if in.State != hive.Dirty || in.Replay == nil || in.Replay.Stopped == "" {
		t.Errorf("with a useless log: %s, %+v", in.State, in.Replay)
	}
}

func BenchmarkOpenFolder(b *testing.B) {
	system := corpus(b, "hives/regipy-SYSTEM/SYSTEM.xz")
	root := lay(b, map[string][]byte{"config/SYSTEM": system})
	b.SetBytes(int64(len(system)))
	for b.Loop() {
		if r := open(b, Options{}, root); len(r.Machines) != 1 {
			b.Fatal(r.Failures)
		}
	}
}
