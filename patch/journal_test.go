package patch

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"hivemend/hive"
)

func TestJournalGivesBackAnyChange(t *testing.T) {
	in := &hive.Input{Path: "SYSTEM", Hive: hive.System, Mounts: []hive.Mount{{Prefix: hive.System.Prefix()}}}
	original := long(20000, 1)
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 5))
		patched := bytes.Clone(original)
		for range rng.IntN(20) {
			at := rng.IntN(len(patched))
			copy(patched[at:], long(rng.IntN(40), byte(seed)))
		}
		switch rng.IntN(3) {
		case 0:
			patched = append(patched, long(1+rng.IntN(5000), 3)...)
		case 1:
			patched = patched[:rng.IntN(len(patched))]
		}
		j := newHiveJournal(in, original, patched)
		text, err := (&Journal{Hives: []HiveJournal{j}}).JSON()
		if err != nil {
			t.Fatal(err)
		}
		read, err := ReadJournal(text)
		if err != nil {
			t.Fatal(err)
		}
		end, covered := int64(0), int64(0)
		for _, r := range read.Hives[0].Ranges {
			if r.Offset < end {
				t.Fatalf("seed %d: ranges overlap", seed)
			}
			if got := hash(patched[r.Offset : r.Offset+r.Length]); got != r.NewSHA256 {
				t.Fatalf("seed %d: range at %#x: the hash is not that of the new bytes", seed, r.Offset)
			}
			if !bytes.Equal(original[end:min(r.Offset, int64(len(original)))], patched[end:min(r.Offset, int64(len(original)))]) {
				t.Fatalf("seed %d: a change before %#x is in no range", seed, r.Offset)
			}
			end, covered = r.Offset+r.Length, covered+r.Length
		}
		if got, err := read.Hives[0].Revert(patched); err != nil || !bytes.Equal(got, original) {
			t.Fatalf("seed %d: the original did not come back: %v", seed, err)
		}
		if len(patched) > 0 {
			patched[len(patched)/2]++
			if _, err := read.Hives[0].Revert(patched); !errors.Is(err, ErrDrifted) {
				t.Fatalf("seed %d: another hive: want ErrDrifted, found %v", seed, err)
			}
		}
	}
}

func TestForgedJournalCannotAskForMemory(t *testing.T) {
	patched := long(100, 1)
	j := HiveJournal{Patched: stateOf(patched), Original: FileState{Size: 1 << 50}}
	if _, err := j.Revert(patched); err == nil {
		t.Error("an original larger than all known bytes was believed")
	}
	j = HiveJournal{Patched: stateOf(patched), Original: FileState{Size: 100}, Ranges: []JournalRange{{Offset: 1 << 40, Old: "00"}}}
	if _, err := j.Revert(patched); err == nil {
		t.Error("a range outside the hive was believed")
	}
}
