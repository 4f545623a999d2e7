package regf

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"hivemend/hive"
)

// fuzzBase is a hive with something of every structure in it.
func fuzzBase(minor uint32) []byte {
	root := smallTree()
	root.Security = testDescriptor(1)
	root.Keys[0].Class = []byte("c\x00l\x00")
	root.Keys[0].Keys[0].Security = testDescriptor(2)
	root.Keys[0].Values = append(root.Keys[0].Values, hive.NodeValue{Name: "big", Type: hive.RegBinary, Data: make([]byte, 17000)})
	for i := range 1020 {
		root.Keys[1].Keys = append(root.Keys[1].Keys, &hive.Node{Name: fmt.Sprintf("w%d", i)})
	}
	data, err := Build(root.Key(), BuildOptions{Minor: minor, Time: editTime - 1})
	if err != nil {
		panic(err)
	}
	return data
}

// FuzzEdit damages a hive and edits it. Whatever the damage, nothing panics,
// the original stays as it is, and the journal leads back. Unless forced, no
// damage is added; a sound hive stays free of the least oddity that it had not.
//
// patch holds pairs of a place (3 bytes, in units of 2 bytes) and what to write
// there (4 bytes).
func FuzzEdit(f *testing.F) {
	bases := map[uint32][]byte{}
	for minor := uint32(2); minor <= 6; minor++ {
		bases[minor] = fuzzBase(minor)
	}
	f.Add(byte(5), []byte{}, uint64(1), byte(0))
	f.Add(byte(3), []byte{}, uint64(2), byte(1))
	f.Add(byte(5), []byte{0x12, 8, 0, 0x20, 0, 0, 0}, uint64(3), byte(3))
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 200 {
		patch := make([]byte, 7*(1+i%3))
		for j := 0; j < len(patch); j += 7 {
			at := (binsStart + r.IntN(4096)) / 2
			value := []uint32{0, 1, 0xffffffff, 0x20, uint32(r.IntN(0x2000) &^ 7), 0x80000000, r.Uint32()}[r.IntN(7)]
			copy(patch[j:], []byte{byte(at), byte(at >> 8), byte(at >> 16), byte(value), byte(value >> 8), byte(value >> 16), byte(value >> 24)})
		}
		f.Add(byte(2+i%5), patch, uint64(i), byte(i/5))
	}
	f.Fuzz(func(t *testing.T, minor byte, patch []byte, seed uint64, flags byte) {
		data := bytes.Clone(bases[2+uint32(minor)%5])
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
	})
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
