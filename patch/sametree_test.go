package patch

import (
	"errors"
	"strings"
	"testing"

	"hivemend/hive"
	"hivemend/hive/regf"
)

func TestSameTreeForgivesNothing(t *testing.T) {
	rcm := func(n *hive.Node) *hive.Node {
		return n.Subkey("ControlSet001").Subkey("Control").Subkey("Terminal Server").Subkey("RCM")
	}
	for name, change := range map[string]func(n *hive.Node){
		"type":           func(n *hive.Node) { rcm(n).Value("Keep").Type = hive.RegBinary },
		"bytes":          func(n *hive.Node) { rcm(n).Value("Keep").Data = []byte{8, 0, 0, 0} },
		"value name":     func(n *hive.Node) { rcm(n).Value("Keep").Name = "KEEP" },
		"value order":    func(n *hive.Node) { v := rcm(n).Values; v[0], v[1] = v[1], v[0] },
		"value missing":  func(n *hive.Node) { rcm(n).Values = rcm(n).Values[:3] },
		"value more":     func(n *hive.Node) { rcm(n).Values = append(rcm(n).Values, dword("x", 1)) },
		"key name":       func(n *hive.Node) { rcm(n).Name = "Rcm" },
		"key missing":    func(n *hive.Node) { rcm(n).Keys = rcm(n).Keys[:1] },
		"key more":       func(n *hive.Node) { rcm(n).Keys = append(rcm(n).Keys, key("ZZ")) },
		"last write":     func(n *hive.Node) { rcm(n).LastWrite++ },
		"class":          func(n *hive.Node) { rcm(n).Class = []byte("x\x00") },
		"flags":          func(n *hive.Node) { rcm(n).Flags |= 8 },
		"security":       func(n *hive.Node) { rcm(n).Security = []byte{1} },
		"deep secret":    func(n *hive.Node) { rcm(n).Subkey("Secrets").Values[0].Data[5]++ },
		"duplicate name": func(n *hive.Node) { rcm(n).Keys = append(rcm(n).Keys, key("secrets")) },
	} {
		changed := systemTree()
		change(changed)
		text := sameTree(systemTree().Key(), changed.Key(), hive.Path{"ROOT"}, 0)
		if !strings.Contains(text, `Terminal Server`) {
			t.Errorf("%s: want the place in words, found %q", name, text)
		}
	}
	if text := sameTree(systemTree().Key(), systemTree().Key(), nil, 0); text != "" {
		t.Errorf("equal trees differ: %s", text)
	}
}

// TestProofIsNotGivenToAnotherHive hands prove hives that are not what was planned.
func TestProofIsNotGivenToAnotherHive(t *testing.T) {
	in := hiveInput(t, "SYSTEM", hive.System, systemTree())
	r := mustApply(t, mustPlan(t, machine(in), deleteValue(rcmKey, "Keep", "")), []*hive.Input{in})
	planned := r.work.mounts[0].tree.key()
	im, err := regf.Open(in.Data, regf.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	good := r.Inputs[0].After.Data
	if _, _, err := prove(in, im, im.Check(), good, planned, false); err != nil {
		t.Fatal(err)
	}
	if _, _, err := prove(in, im, im.Check(), in.Data, planned, false); err == nil {
		t.Error("the unchanged hive was taken for the patched one")
	}
	after, err := regf.Open(good, regf.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	eachValue(after.Root(), func(v hive.Value) {
		o := v.Origin()
		for at := o.Image; at < o.Image+o.Length; at += 61 {
			bad := append([]byte(nil), good...)
			bad[at] ^= 0x40
			tried++
			if _, _, err := prove(in, im, im.Check(), bad, planned, false); err == nil {
				t.Errorf("a changed byte at %#x, in value %q, was believed", at, v.Name())
			}
		}
	})
	if tried < 50 {
		t.Errorf("only %d changes were tried", tried)
	}
}

func eachValue(k hive.Key, visit func(hive.Value)) {
	for v := range k.Values() {
		visit(v)
	}
	for sub := range k.Subkeys() {
		eachValue(sub, visit)
	}
}

func TestProofSeesAnotherTime(t *testing.T) {
	in := hiveInput(t, "SYSTEM", hive.System, systemTree())
	p := mustPlan(t, machine(in), deleteValue(rcmKey, "Keep", ""))
	r := mustApply(t, p, []*hive.Input{in})
	p.EditTime++
	other := mustApply(t, p, []*hive.Input{in})
	im, err := regf.Open(in.Data, regf.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// Only this program reads times; the second reader sees the same tree.
	if _, _, err := prove(in, im, im.Check(), other.Inputs[0].After.Data, r.work.mounts[0].tree.key(), false); !errors.Is(err, ErrUnproved) {
		t.Errorf("want ErrUnproved, found %v", err)
	}
}

func TestProofSeesANewDefect(t *testing.T) {
	in := hiveInput(t, "SYSTEM", hive.System, systemTree())
	r := mustApply(t, mustPlan(t, machine(in), deleteValue(rcmKey, "Keep", "")), []*hive.Input{in})
	im, err := regf.Open(in.Data, regf.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	bad := append([]byte(nil), r.Inputs[0].After.Data...)
	sk := strings.Index(string(bad), "sk\x00\x00")
	if sk < 0 {
		t.Fatal("the hive has no sk record")
	}
	bad[sk+12]++ // the reference count, which no tree shows
	_, _, err = prove(in, im, im.Check(), bad, r.work.mounts[0].tree.key(), false)
	if !errors.Is(err, ErrUnproved) || !strings.Contains(err.Error(), "SK03") {
		t.Errorf("want ErrUnproved with the defect, found %v", err)
	}
}

func TestSecondReaderHasAVeto(t *testing.T) {
	in := hiveInput(t, "SYSTEM", hive.System, systemTree())
	im, err := regf.Open(in.Data, regf.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := secondReading(in, im, im.Check(), in.Data, im.Root()); err != nil {
		t.Fatal(err)
	}
	other := newOverlay(im.Root(), testTime)
	other.setValue(hive.ParsePath(`Select`), "Current", hive.RegDWORD, []byte{2, 0, 0, 0})
	if err := secondReading(in, im, im.Check(), in.Data, other.key()); !errors.Is(err, ErrUnproved) {
		t.Errorf("want ErrUnproved, found %v", err)
	}
}
