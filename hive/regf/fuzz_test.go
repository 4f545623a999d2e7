package regf

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"hivemend/hive"
)

// smallHives are seeds: hives of one or two bins in several versions.
func smallHives(t testing.TB) (hives [][]byte) {
	root := &hive.Node{Name: "r", Keys: []*hive.Node{
		{Name: "A", Class: []byte("c\x00"), Values: []hive.NodeValue{{Name: "", Type: 1, Data: []byte("x\x00\x00\x00")}, {Name: "v", Type: 3, Data: make([]byte, 30)}}},
		{Name: "B", Keys: []*hive.Node{{Name: "C"}, {Name: "Ωd", Keys: []*hive.Node{{Name: "E"}}}}},
	}}
	for _, minor := range []uint32{2, 3, 5, 6} {
		data, err := Build(root.Key(), BuildOptions{Minor: minor, Time: 9, FileName: "f"})
		if err != nil {
			t.Fatal(err)
		}
		hives = append(hives, data)
	}
	root.Keys[0].Values = append(root.Keys[0].Values, hive.NodeValue{Name: "big", Type: 3, Data: make([]byte, segmentSize+9)})
	data, err := Build(root.Key(), BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return append(hives, data)
}

// fuzzWalk walks a tree and fails if a key comes twice, or if data is longer
// than the hive.
func fuzzWalk(t *testing.T, im *Image) (keys, values, unreadable int) {
	seen := map[hive.Ref]bool{}
	var walk func(k hive.Key)
	walk = func(k hive.Key) {
		_, ref := k.Store()
		if seen[ref] {
			t.Fatalf("the key at %#x comes twice", ref)
		}
		seen[ref] = true
		keys++
		_, _, _, _ = k.Class(), k.Security(), k.Complete(), k.Origin()
		for v := range k.Values() {
			values++
			data, err := v.Data()
			if len(data) > len(im.data) {
				t.Fatalf("%d bytes of data in a hive of %d", len(data), len(im.data))
			}
			if err != nil {
				unreadable++
			}
			if o := v.Origin(); o.Image < 0 || o.Image+o.Length > int64(len(im.data)) {
				t.Fatalf("data outside the file: %+v", o)
			}
		}
		for sub := range k.Subkeys() {
			if found, ok := k.Subkey(sub.Name()); !ok || !hive.EqualFold(found.Name(), sub.Name()) {
				t.Fatalf("subkey %q is not found by its name", sub.Name())
			}
			walk(sub)
		}
	}
	walk(im.Root())
	return keys, values, unreadable
}

// resign puts the checksum right, so that what is behind it is tried too.
func resign(data []byte) []byte {
	data = bytes.Clone(data)
	if len(data) >= baseBlockSize {
		baseBlock(data).setChecksum(baseBlock(data).computeChecksum())
	}
	return data
}

func FuzzOpen(f *testing.F) {
	for _, data := range smallHives(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tryOpen(t, data)
		tryOpen(t, resign(data))
	})
}

// tryOpen opens whatever it is given and walks what opens.
func tryOpen(t *testing.T, data []byte) {
	_, strictErr := Open(data, OpenOptions{})
	im, err := Open(data, OpenOptions{Lenient: true})
	switch {
	case err == nil:
		fuzzWalk(t, im)
	case strictErr == nil:
		t.Fatalf("opens strictly, but leniently: %v", err)
	case !errors.Is(err, hive.ErrCorrupt) && !errors.Is(err, hive.ErrUnsupported):
		t.Fatalf("no proper error: %v", err)
	}
}

func FuzzCheck(f *testing.F) {
	for _, data := range smallHives(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { tryCheck(t, resign(data)) })
}

// tryCheck checks whatever opens, and walks what is found sound.
func tryCheck(t *testing.T, data []byte) {
	im, err := Open(data, OpenOptions{Lenient: true})
	if err != nil {
		return
	}
	before := bytes.Clone(data)
	r := im.Check()
	if !bytes.Equal(data, before) {
		t.Fatal("Check changed the hive")
	}
	if len(r.Issues) > MaxIssues*len(effects) || len(r.Issues)+r.More != r.found[0]+r.found[1]+r.found[2]+r.found[3] {
		t.Fatalf("%d issues, %d more, %v", len(r.Issues), r.More, r.found)
	}
	if !r.Sound() || !r.Bounded() {
		return
	}
	if _, err := Open(data, OpenOptions{}); err != nil {
		t.Fatalf("sound, but: %v", err)
	}
	keys, values, unreadable := fuzzWalk(t, im)
	if keys != r.Keys || values != r.Values || unreadable != 0 {
		t.Fatalf("sound; a walk sees %d keys, %d values, %d of them unreadable, Check %d and %d", keys, values, unreadable, r.Keys, r.Values)
	}
}

func FuzzReplay(f *testing.F) {
	for _, data := range smallHives(f)[:3] {
		b := baseBlock(data)
		b.setSequence1(b.sequence1() + 1)
		b.setChecksum(b.computeChecksum())
		n := b.sequence2()
		f.Add(data, testLog(data, n, testEntry(n, b.length(), testPage{512, fill(1, 512)}), testEntry(n+1, b.length()+4096, testPage{4096, fill(2, 1024)})), true)
		f.Add(data, oldLog(data, 1, 7), false)
	}
	f.Fuzz(func(t *testing.T, primary, log []byte, rehashed bool) {
		log = bytes.Clone(log)
		if len(log) >= logHeaderSize {
			baseBlock(log).setChecksum(baseBlock(log).computeChecksum())
		}
		for at := logHeaderSize; rehashed && at+entryFixedSize <= len(log); at += logUnit {
			if e := logEntry(log[at:]); bytes.Equal(e.signature(), entrySignature) && e.size() >= entryFixedSize && uint64(e.size()) <= uint64(len(e)) {
				rehash(e[:e.size()])
			}
		}
		logs := []Log{{"LOG1", log}, {"LOG2", log}}
		MaxSequence(logs)
		before := bytes.Clone(primary)
		r, err := Replay(primary, logs)
		if !bytes.Equal(primary, before) {
			t.Fatal("the primary was changed")
		}
		if err != nil || r.Clean {
			if r != nil && !bytes.Equal(r.Data, primary) {
				t.Fatal("nothing was applied, and yet the data differs")
			}
			return
		}
		if len(r.Data) > len(primary)+len(log)+growthLimit {
			t.Fatalf("%d bytes out of %d and a log of %d", len(r.Data), len(primary), len(log))
		}
		checkProvenance(t, primary, r, logs)
		if again, err := Replay(r.Data, logs); err != nil || !again.Clean {
			t.Fatalf("the result is not clean: %v", err)
		}
		if im, err := Open(r.Data, OpenOptions{Lenient: true, Provenance: r.Provenance}); err == nil {
			fuzzWalk(t, im)
		}
	})
}

// TestMutations spoils fields of hives at random, always the same way, and
// wants of every result what the fuzz tests want.
func TestMutations(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	special := []uint32{0, 1, 2, 3, 7, 8, 0x20, 0x1000, 0x7ffffff8, 0x80000000, 0x80000001, 0xfffffff8, 0xffffffff}
	seeds := smallHives(t)
	seeds = append(seeds, soundHive(t, 5))
	for _, seed := range seeds {
		var starts []uint32 // of cells, to point at
		im := mustOpen(t, seed)
		for at := uint32(binHeaderSize); at < uint32(len(im.bins)); {
			size := int32(le.Uint32(im.bins[at:]))
			starts = append(starts, at)
			if at += uint32(max(size, -size)); at%binUnit == 0 {
				at += binHeaderSize
			}
		}
		rounds := 300
		if len(seed) > 100_000 {
			rounds = 30
		}
		for range rounds {
			data := bytes.Clone(seed)
			for range 1 + random.IntN(3) {
				at := binsStart + 4*random.IntN((len(data)-binsStart)/4)
				if random.IntN(2) == 0 { // most bytes are data or free; the first of a cell are not
					at = binsStart + int(starts[random.IntN(len(starts))]) + 4*random.IntN(20)
				}
				at = min(at, len(data)-4)
				switch random.IntN(5) {
				case 0:
					data[at+random.IntN(4)] ^= 1 << random.IntN(8)
				case 1:
					le.PutUint32(data[at:], special[random.IntN(len(special))])
				case 2:
					le.PutUint32(data[at:], starts[random.IntN(len(starts))])
				case 3:
					other := binsStart + int(starts[random.IntN(len(starts))])
					copy(data[at:], seed[other:min(other+80, len(seed))])
				case 4:
					data = data[:max(at, baseBlockSize)]
					data = data[:len(data)&^511]
				}
				if len(data) <= binsStart+4 {
					break
				}
			}
			tryOpen(t, data)
			tryCheck(t, resign(data))
		}
	}
}
