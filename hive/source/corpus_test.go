package source

import (
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
