package regf

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"hivemend/hive"
)

// fuzzBase is a hive with something of every structure in it. A wide one has
// enough subkeys in one key for lists of lists.
func fuzzBase(minor uint32, wide bool) []byte {
	root := smallTree()
	root.Security = testDescriptor(1)
	root.Keys[0].Class = []byte("c\x00l\x00")
	root.Keys[0].Keys[0].Security = testDescriptor(2)
	root.Keys[0].Values = append(root.Keys[0].Values, hive.NodeValue{Name: "big", Type: hive.RegBinary, Data: make([]byte, 17000)})
	subkeys := 20
	if wide {
		subkeys = 1020
	}
	for i := range subkeys {
		root.Keys[1].Keys = append(root.Keys[1].Keys, &hive.Node{Name: fmt.Sprintf("w%d", i)})
	}
	data, err := Build(root.Key(), BuildOptions{Minor: minor, Time: editTime - 1})
	if err != nil {
		panic(err)
	}
	return data
}

// fuzzBases are hives of all versions, each small and wide.
var fuzzBases = sync.OnceValue(func() (bases [][]byte) {
	for minor := uint32(2); minor <= 6; minor++ {
		bases = append(bases, fuzzBase(minor, false), fuzzBase(minor, true))
	}
	return bases
})

// randomPatch damages one to three fields, with values that tend to hurt.
func randomPatch(r *rand.Rand) []byte {
	patch := make([]byte, 7*(1+r.IntN(3)))
	for j := 0; j < len(patch); j += 7 {
		at := (binsStart + r.IntN(6*4096)) / 2
		value := []uint32{0, 1, 0xffffffff, 0x20, uint32(r.IntN(0x6000) &^ 7), 0x80000000, r.Uint32()}[r.IntN(7)]
		copy(patch[j:], []byte{byte(at), byte(at >> 8), byte(at >> 16), byte(value), byte(value >> 8), byte(value >> 16), byte(value >> 24)})
	}
	return patch
}

// FuzzEdit damages a hive and edits it.
func FuzzEdit(f *testing.F) {
	f.Add(byte(6), []byte{}, uint64(1), byte(0))
	f.Add(byte(2), []byte{}, uint64(2), byte(1))
	f.Add(byte(7), []byte{0x12, 8, 0, 0x20, 0, 0, 0}, uint64(3), byte(3))
	f.Fuzz(editDamaged)
}

// TestEditDamaged is FuzzEdit at random.
func TestEditDamaged(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 1000 {
		base := byte(r.IntN(5) * 2)
		if i%20 == 0 {
			base++
		}
		patch, seed, flags := randomPatch(r), r.Uint64(), byte(r.IntN(4))
		t.Run("", func(t *testing.T) { editDamaged(t, base, patch, seed, flags) })
	}
}

// editDamaged patches one of fuzzBases and makes random edits to it. Whatever
// the damage, nothing panics, the original stays as it is, and the journal
// leads back. Unless forced, no damage is added; a sound hive stays free of
// the least oddity that it had not.
//
// patch holds pairs of a place (3 bytes, in units of 2 bytes) and what to write
// there (4 bytes). Bit 0 of flags forces, bit 1 wipes.
func editDamaged(t *testing.T, base byte, patch []byte, seed uint64, flags byte) {
	bases := fuzzBases()
	data := bytes.Clone(bases[int(base)%len(bases)])
	for ; len(patch) >= 7; patch = patch[7:] {
		at := 2 * (int(patch[0]) | int(patch[1])<<8 | int(patch[2])<<16)
		if at+4 <= len(data) {
			copy(data[at:], patch[3:7])
		}
	}
	b := baseBlock(data)
	b.setSequence2(b.sequence1())
	b.setChecksum(b.computeChecksum())
	im, err := Open(data, OpenOptions{Lenient: true})
	if err != nil {
		return
	}
	before := im.Check()
	original := bytes.Clone(data)
	e, err := NewEditor(im, EditorOptions{Time: editTime, Force: flags&1 != 0, Wipe: flags&2 != 0, Report: before})
	if err != nil {
		if !errors.Is(err, ErrRefused) {
			t.Fatal(err)
		}
		return
	}
	r := rand.New(rand.NewPCG(seed, 0))
	for range 12 {
		if err := fuzzEdit(r, e); err != nil && !errors.Is(err, ErrRefused) {
			t.Fatal(err)
		}
	}
	after, journal, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, original) {
		t.Fatal("the original was changed")
	}
	if reverted, err := journal.Revert(after); err != nil || !bytes.Equal(reverted, original) {
		t.Fatalf("the journal does not lead back: %v", err)
	}
	opened, err := Open(after, OpenOptions{Lenient: true})
	if err != nil {
		t.Fatal(err)
	}
	if flags&1 == 0 {
		notWorse(t, before, opened.Check())
	}
}

// notWorse fails if a check finds more than one before did.
func notWorse(t *testing.T, before, after *Report) {
	t.Helper()
	bad := func(r *Report) int { return r.Count(hive.DamageLoss) + r.Count(hive.DamageFatal) }
	worse := bad(after) > bad(before)
	if before.Sound() && after.Count(hive.DamageAnomaly) > before.Count(hive.DamageAnomaly) {
		worse = true
	}
	if !worse {
		return
	}
	for _, issue := range before.Issues {
		t.Logf("before: %s at %#x, %s: %s", issue.Code, issue.Offset, issue.Key, issue.Detail)
	}
	for _, issue := range after.Issues {
		t.Logf("after: %s at %#x, %s: %s", issue.Code, issue.Offset, issue.Key, issue.Detail)
	}
	t.Fatal("the edits made the hive worse")
}

// fuzzEdit makes one edit somewhere in what can be read of the tree.
func fuzzEdit(r *rand.Rand, e *Editor) error {
	path, key := hive.Path{}, e.im.Root()
	for r.IntN(4) > 0 && len(path) < 5 {
		skip, found := r.IntN(20), false
		for sub := range key.Subkeys() {
			key, found = sub, true
			if skip--; skip < 0 {
				break
			}
		}
		if !found {
			break
		}
		path = path.Join(key.Name())
	}
	name := randomName(r, 10)
	for v := range key.Values() {
		if r.IntN(2) == 0 {
			name = v.Name()
		}
	}
	switch r.IntN(6) {
	case 0, 1:
		return e.SetValue(path, name, hive.RegBinary, randomData(r))
	case 2:
		return e.DeleteValue(path, name)
	case 3:
		return e.DeleteKey(path)
	case 4:
		return e.CreateKey(path.Join(name))
	}
	return e.CreateKey(hive.Path{"B", fmt.Sprintf("w%d", r.IntN(3000))})
}
