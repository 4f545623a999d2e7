package patch

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"hivemend/hive"
)

// randomEdits proposes edits of what root holds and of what it does not.
func randomEdits(rng *rand.Rand, root hive.Key, prefix hive.Path, n int) []hive.Edit {
	var paths []hive.Path
	var walk func(k hive.Key, path hive.Path)
	walk = func(k hive.Key, path hive.Path) {
		paths = append(paths, path)
		for sub := range k.Subkeys() {
			walk(sub, path.Join(sub.Name()))
		}
	}
	walk(root, nil)
	var edits []hive.Edit
	for range n {
		path := paths[rng.IntN(len(paths))]
		k, _ := root.Lookup(path)
		name := fmt.Sprintf("new %d", rng.IntN(3))
		for v := range k.Values() {
			if rng.IntN(2) == 0 {
				name = v.Name()
			}
		}
		e := hive.Edit{Key: prefix.Join(path...), Rule: fmt.Sprintf("R%d", rng.IntN(3))}
		switch rng.IntN(6) {
		case 0, 1:
			e.Op, e.Value = hive.DeleteValue, name
		case 2, 3:
			sizes := []int{0, 1, 4, 5, 100, 4000, 16344, 16345, 40000}
			e.Op, e.Value, e.Type, e.Data = hive.SetValue, name, hive.RegBinary, long(sizes[rng.IntN(len(sizes))], byte(rng.IntN(9)))
			if rng.IntN(3) == 0 {
				e.Key = e.Key.Join(fmt.Sprintf("Sub%d", rng.IntN(3)), "Deep")
			}
		case 4:
			e.Op, e.Key = hive.CreateKey, e.Key.Join(fmt.Sprintf("Sub%d", rng.IntN(3)))
		case 5:
			if len(path) == 0 {
				continue
			}
			e.Op = hive.DeleteKey
		}
		edits = append(edits, e)
	}
	return edits
}

// checkPlan applies p and goes back both ways.
func checkPlan(t *testing.T, p *Plan, in *hive.Input, opt ApplyOptions) {
	t.Helper()
	r, err := Apply(p, []*hive.Input{in}, opt)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Changed() {
		return
	}
	text, err := p.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if !p.Ordered {
		if p, err = ReadPlan(text); err != nil {
			t.Fatal(err)
		}
	}
	exact, err := Undo(p, r.Journal(), afterOf(r), opt)
	if err != nil {
		t.Fatalf("by journal: %v", err)
	}
	if !bytes.Equal(exact.Inputs[0].After.Data, in.Data) {
		t.Fatal("the journal did not give back the same bytes")
	}
	inverse, err := Undo(p, nil, afterOf(r), opt)
	if err != nil {
		t.Fatalf("by inverse edits: %v", err)
	}
	if left := Diff(in.Mounts[0].Root, inverse.Inputs[0].After.Mounts[0].Root, nil); len(left) > 0 {
		t.Fatalf("the inverse edits leave %v", left)
	}
}

func TestRandomPlansAreTakenBack(t *testing.T) {
	planned, clashes := 0, 0
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 3))
		in := hiveInput(t, "OTHER", hive.Other, randomTree(rng, 3))
		o := options()
		o.Ordered = seed%2 == 1
		o.FillExpect = !o.Ordered
		edits := randomEdits(rng, in.Mounts[0].Root, hive.Other.Prefix(), 1+rng.IntN(10))
		p, err := NewPlan(edits, machine(in), o)
		if errors.Is(err, ErrConflict) {
			clashes++
			continue
		}
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		planned++
		checkPlan(t, p, in, ApplyOptions{Wipe: seed%3 == 0})
	}
	if planned < 30 || clashes == 0 {
		t.Errorf("the edits are not as random as they should be: %d plans, %d contradictions", planned, clashes)
	}
}
