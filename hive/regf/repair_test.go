package regf

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"hivemend/hive"
)

// repairTest repairs a hive that can be opened leniently and makes sure of
// what every repair promises.
func repairTest(t testing.TB, data []byte, opt RepairOptions) *Repaired {
	t.Helper()
	im, err := Open(data, OpenOptions{Lenient: true})
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(data)
	r, err := Repair(im, opt)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, data) {
		t.Fatal("the original was changed")
	}
	again, err := Repair(im, opt)
	if err != nil || !bytes.Equal(again.Data, r.Data) {
		t.Fatalf("a second repair gives other bytes (%v)", err)
	}
	if r.Method == RepairNone {
		return r
	}
	mended := openTest(t, r.Data)
	if report := mended.Check(); !report.Sound() || !report.Bounded() || mended.Dirty() {
		t.Fatalf("damaged after the repair: %s", damageCodes(report))
	}
	if n := mended.Header().Sequence1; int32(n-im.Header().Sequence1) <= 0 || int32(n-opt.MinSequence) <= 0 {
		t.Errorf("sequence number %d is not above those before", n)
	}
	return r
}

// readable holds what could be read before against what is there now: every
// key, and every value whose data was whole.
func readable(t testing.TB, before, after hive.Key, path hive.Path) {
	t.Helper()
	for v := range before.Values() {
		data, err := v.Data()
		if err != nil {
			continue
		}
		found := false
		for w := range after.Values() {
			now, _ := w.Data()
			// A name may have got a number.
			found = found || strings.HasPrefix(w.Name(), v.Name()) && w.Type() == v.Type() && bytes.Equal(now, data)
		}
		if !found {
			t.Errorf("%s: value %q is lost", path, v.Name())
		}
	}
	for sub := range before.Subkeys() {
		name := strings.ReplaceAll(sub.Name(), `\`, "_")
		if name == "" {
			name = "(no name)"
		}
		now, ok := after.Subkey(name)
		if !ok {
			t.Errorf("%s: subkey %q is lost", path, name)
			continue
		}
		if now.LastWrite() != sub.LastWrite() {
			if second, ok := after.Subkey(name + " (2)"); ok {
				now = second
			}
		}
		readable(t, sub, now, path.Join(name))
	}
}

const vectors = "../../testdata/vectors"

// TestRepairVectors repairs a hive of every kind of damage.
func TestRepairVectors(t *testing.T) {
	table, err := os.ReadFile(filepath.Join(vectors, "hives.tsv"))
	mustDo(t, err)
	rebuilt := map[string]bool{}
	for _, code := range []string{"CL04", "CL05", "NK02", "LS03", "LS07", "VL01", "VL02", "SK04"} {
		rebuilt[code] = true
	}
	for _, line := range strings.Split(strings.TrimSpace(string(table)), "\n")[1:] {
		fields := strings.Split(line, "\t")
		t.Run(fields[0], func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(vectors, fields[0]))
			mustDo(t, err)
			im, err := Open(data, OpenOptions{Lenient: true})
			mustDo(t, err)
			r := repairTest(t, data, RepairOptions{Time: editTime, MinSequence: 70})
			want := RepairInPlace
			switch {
			case fields[2] == "-" || fields[2] == "anomaly" || fields[2] == "info" && fields[1] != "BB03":
				want = RepairNone
			case rebuilt[fields[1]]:
				want = RepairRebuilt
			}
			if r.Method != want {
				t.Errorf("want the method %s, found %s", want, r.Method)
			}
			if want == RepairNone && !bytes.Equal(r.Data, data) {
				t.Error("a sound hive was changed")
			}
			readable(t, im.Root(), openTest(t, r.Data).Root(), nil)
			for _, notes := range [][]RepairNote{r.Changed, r.Lost, r.Left} {
				for _, n := range notes {
					t.Logf("%s %#x: %s", n.Kind, n.Offset, n.Text)
				}
			}
		})
	}
}

// TestCorpusRepair repairs the damaged hives of the corpus, and lets hivexml,
// which believes what it reads, read the result.
func TestCorpusRepair(t *testing.T) {
	for _, f := range corpus(t) {
		codes := corpusDamage[f.name()]
		if codes == "" {
			continue
		}
		t.Run(f.name(), func(t *testing.T) {
			data := corpusBytes(t, f.path)
			im, err := Open(data, OpenOptions{Lenient: true})
			mustDo(t, err)
			r := repairTest(t, data, RepairOptions{Time: editTime})
			after := openTest(t, r.Data)
			keys, values, _ := count(im.Root())
			nowKeys, nowValues, _ := count(after.Root())
			t.Logf("%s: %s; %d keys and %d values before, %d and %d after; %d changed, %d lost, %d left", codes, r.Method,
				keys, values, nowKeys, nowValues, len(r.Changed), len(r.Lost), len(r.Left))
			if nowKeys < keys || nowValues < values {
				t.Error("keys or values were lost")
			}
			readable(t, im.Root(), after.Root(), nil)
			hivexKeys(t, r.Data, nowKeys)
		})
	}
}

// hivexKeys fails unless hivexml finds that many keys.
func hivexKeys(t *testing.T, data []byte, want int) {
	t.Helper()
	output, err := exec.Command(needTool(t, "hivexml"), writeHive(t, data)).Output()
	mustDo(t, err)
	// Damaged names may hold what XML does not allow, so it is only counted.
	found := bytes.Count(output, []byte("<node "))
	if found != want {
		t.Errorf("hivexml finds %d keys, want %d", found, want)
	}
}

// FuzzRepair: whatever can be opened is repaired or refused with a reason.
func FuzzRepair(f *testing.F) {
	for _, data := range smallHives(f) {
		f.Add(data)
	}
	files, _ := filepath.Glob(filepath.Join(vectors, "hives", "*.hive"))
	for _, file := range files {
		data, err := os.ReadFile(file)
		mustDo(f, err)
		f.Add(data)
	}
	f.Fuzz(tryRepair)
}

// tryRepair repairs data, whatever it is, as it lies and with a good checksum.
func tryRepair(t *testing.T, data []byte) {
	for _, data := range [][]byte{data, resign(bytes.Clone(data))} {
		im, err := Open(data, OpenOptions{Lenient: true})
		if err != nil {
			continue
		}
		keys, values, _ := count(im.Root())
		r, err := Repair(im, RepairOptions{Time: 7})
		var refused *RefusedError
		var format *hive.FormatError
		switch {
		case errors.As(err, &refused) && refused.Why != "", errors.As(err, &format):
			continue
		case err != nil:
			t.Fatal(err)
		case r.Method == RepairNone:
			continue
		}
		after, err := Open(r.Data, OpenOptions{})
		mustDo(t, err)
		if report := after.Check(); !report.Sound() || !report.Bounded() || after.Dirty() {
			t.Fatalf("damaged after the repair: %s", damageCodes(report))
		}
		nowKeys, nowValues, _ := count(after.Root())
		// Only values that are there twice may become fewer, and keys that are
		// deeper than keys can be.
		if nowKeys < keys && len(r.Lost) == 0 || nowValues < values && len(r.Changed)+len(r.Lost) == 0 {
			t.Fatalf("%d keys and %d values became %d and %d", keys, values, nowKeys, nowValues)
		}
	}
}

// TestRepairMutations changes hives, sound ones and damaged ones, in a few
// random places before they are repaired.
func TestRepairMutations(t *testing.T) {
	seeds := smallHives(t)
	files, err := filepath.Glob(filepath.Join(vectors, "hives", "*.hive"))
	mustDo(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		mustDo(t, err)
		seeds = append(seeds, data)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 1500 {
		data := bytes.Clone(seeds[random.IntN(len(seeds))])
		for range 1 + random.IntN(6) {
			at := random.IntN(len(data))
			if random.IntN(4) > 0 { // most records lie near the beginning
				at = binsStart + random.IntN(min(1600, len(data)-binsStart))
			}
			at &^= 3
			switch random.IntN(5) {
			case 0:
				data[at+random.IntN(4)] ^= 1 << random.IntN(8)
			case 1:
				data[at+random.IntN(4)] = byte(random.Uint32())
			case 2:
				le.PutUint32(data[at:], uint32(random.IntN(len(data)))&^7)
			case 3:
				from := min(at+random.IntN(64), len(data))
				copy(data[at:], data[from:min(from+8, len(data))])
			case 4:
				if random.IntN(10) == 0 && at > binsStart+600 {
					data = data[:at]
				}
			}
		}
		tryRepair(t, data)
	}
}

// TestRepairs breaks a sound hive in one way at a time and says what has to
// come back.
func TestRepairs(t *testing.T) {
	for _, tt := range []struct {
		name   string
		spoil  func(s *spoiled)
		method RepairMethod
		change func(s *spoiled, tree *hive.Node) // what may differ from the sound hive
		say    []string                          // parts of notes
	}{
		{"checksum", func(s *spoiled) { s.base().setChecksum(7) }, RepairInPlace, nil, nil},
		{"root", func(s *spoiled) { s.base().setRoot(0x88); s.sign() }, RepairInPlace, nil, nil},
		{"order in a list of lists", func(s *spoiled) {
			var leaves []list
			s.im.leaves(s.nk("Many").subkeyList(), func(leaf list) bool { leaves = append(leaves, leaf); return true })
			first, _ := leaves[0].elements()
			last, _ := leaves[len(leaves)-1].elements()
			swapped := bytes.Clone(first[:8])
			copy(first[:8], last[:8])
			copy(last[:8], swapped)
		}, RepairInPlace, nil, nil},
		{"subkey count 0", func(s *spoiled) { s.nk("Beta").setSubkeyCount(0) }, RepairInPlace, nil, []string{`Beta\one: no list named it`}},
		{"signature of a list", func(s *spoiled) { s.leaf("Beta").setKind("xx") }, RepairInPlace, nil, []string{"Beta: the signature of its list"}},
		{"signature of a key", func(s *spoiled) { copy(s.nk("Gamma"), "kn") }, RepairInPlace, nil, []string{"Gamma: the signature of its record"}},
		{"signature of a leaf below a list of lists", func(s *spoiled) {
			refs, _ := s.leaf("Many").elements()
			list(s.payload(reference(refs[4:]))).setKind("??")
		}, RepairInPlace, nil, []string{"Many: the signature"}},
		{"list nowhere", func(s *spoiled) { s.nk("Many").setSubkeyList(0x7ffffff8) }, RepairRebuilt, nil, []string{`Many\key0000: no list named it`, `Many\key1099:`}},
		{"two names", func(s *spoiled) { copy(s.nk(`Beta\two`)[nkSize:], "ONE") }, RepairRebuilt, func(_ *spoiled, tree *hive.Node) {
			tree.Subkey("Beta").Subkey("two").Name = "ONE (2)"
		}, []string{`the subkey "ONE" is now called "ONE (2)"`}},
		{"backslash", func(s *spoiled) { s.nk(`Beta\two`)[nkSize+1] = '\\' }, RepairInPlace, func(_ *spoiled, tree *hive.Node) {
			tree.Subkey("Beta").Subkey("two").Name = "t_o"
		}, []string{`"t\o" is now called "t_o"`}},
		{"backslash in UTF-16", func(s *spoiled) { le.PutUint16(s.nk("\u03a9mega")[nkSize+2:], '\\') }, RepairInPlace, func(_ *spoiled, tree *hive.Node) {
			tree.Subkey("\u03a9mega").Name = "\u03a9_ega"
		}, nil},
		{"backslash that gives a name that is there", func(s *spoiled) {
			copy(s.nk(`Beta\two`)[nkSize:], "a_b")
			copy(s.nk(`Beta\one`)[nkSize:], `a\b`)
		}, RepairRebuilt, func(_ *spoiled, tree *hive.Node) {
			beta := tree.Subkey("Beta")
			beta.Subkey("two").Name, beta.Subkey("one").Name = "a_b", "a_b (2)"
		}, nil},
		{"no name", func(s *spoiled) { s.nk(`Beta\two`).setNameLength(0) }, RepairRebuilt, func(_ *spoiled, tree *hive.Node) {
			tree.Subkey("Beta").Subkey("two").Name = "(no name)"
		}, nil},
		{"the same value twice", func(s *spoiled) {
			k := s.nk("Alpha")
			copy(s.payload(k.valueList())[4:8], s.payload(k.valueList())[:4])
		}, RepairRebuilt, func(_ *spoiled, tree *hive.Node) {
			alpha := tree.Subkey("Alpha")
			alpha.Values = append(alpha.Values[:1:1], alpha.Values[2:]...)
		}, []string{"it was there twice, with the same data"}},
		{"two values of one name", func(s *spoiled) {
			v := s.vk("Alpha", "empty")
			copy(v[vkSize:], "TEXT")
			v.setNameLength(4)
		}, RepairRebuilt, func(_ *spoiled, tree *hive.Node) { tree.Subkey("Alpha").Value("empty").Name = "TEXT (2)" }, []string{`is now "TEXT (2)"`}},
		{"data cut", func(s *spoiled) { s.vk("Alpha", "text").setDataSize(4000) }, RepairInPlace, func(_ *spoiled, tree *hive.Node) {
			v := tree.Subkey("Alpha").Value("text")
			v.Data = append(bytes.Clone(v.Data), 0, 0, 0, 0)
		}, []string{`value "text": 84 of its 4000 bytes`}},
		{"big data with a segment lost", func(s *spoiled) {
			record := db(s.payload(s.vk("Alpha", "big").data()))
			le.PutUint32(s.payload(record.segments())[4:], 0x7ffffff0)
		}, RepairRebuilt, func(_ *spoiled, tree *hive.Node) {
			v := tree.Subkey("Alpha").Value("big")
			v.Data = v.Data[:segmentSize]
		}, []string{`value "big": 16344 of its 40000 bytes`}},
		{"data freed", func(s *spoiled) { s.free(s.vk("Alpha", "text").data()) }, RepairRebuilt, nil, []string{`value "text": its data lay in a cell that was free`}},
		{"security", func(s *spoiled) { s.nk("Own").setSecurity(noCell) }, RepairInPlace, func(_ *spoiled, tree *hive.Node) {
			tree.Subkey("Own").Security = tree.Security
		}, []string{"Own: its security descriptor cannot be read"}},
		{"descriptor", func(s *spoiled) { sk(s.payload(s.nk("Own").security()))[skSize] = 9 }, RepairRebuilt, func(_ *spoiled, tree *hive.Node) {
			tree.Subkey("Own").Security = tree.Security
		}, nil},
		{"ring and counts", func(s *spoiled) {
			k := sk(s.payload(s.nk("Own").security()))
			k.setNext(s.nk("Own").security())
			k.setReferences(0)
		}, RepairInPlace, nil, nil},
		{"shifted reference to a value", func(s *spoiled) {
			le.PutUint32(s.payload(s.nk("Alpha").valueList())[8:], 0x44)
		}, RepairInPlace, func(_ *spoiled, tree *hive.Node) {
			alpha := tree.Subkey("Alpha")
			alpha.Values = append(alpha.Values[:2:2], alpha.Values[3:]...)
		}, []string{"Alpha: a value of it, number 3 of 8, is lost"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &spoiled{t: t, data: soundHive(t, 5)}
			s.im = mustUse(Open(s.data, OpenOptions{}))
			want := load(s.im.Root())
			cloneValues(want) // what is spoiled below must not show in it
			if tt.change != nil {
				tt.change(s, want)
			}
			tt.spoil(s)
			r := repairTest(t, s.data, RepairOptions{Time: editTime, MinSequence: 90})
			if r.Method != tt.method {
				t.Errorf("want the method %s, found %s", tt.method, r.Method)
			}
			after := openTest(t, r.Data)
			if err := compareTree(want, after.Root(), nil); err != nil {
				t.Error(err)
			}
			if n := after.Header().Sequence1; n != 91 {
				t.Errorf("want the sequence number 91, found %d", n)
			}
			if got := after.Header().FileName; got != `C:\TEST\HIVE` {
				t.Errorf("the file name is now %q", got)
			}
			var texts []string
			for _, notes := range [][]RepairNote{r.Changed, r.Lost} {
				for _, n := range notes {
					texts = append(texts, n.Text)
				}
			}
			for _, say := range tt.say {
				if all := strings.Join(texts, "\n"); !strings.Contains(all, say) {
					t.Errorf("want a note with %q, found %.500s", say, all)
				}
			}
			if r.Method == RepairInPlace {
				different := 0
				for i := range r.Data {
					if r.Data[i] != s.data[i] {
						different++
					}
				}
				if different > 120 {
					t.Errorf("%d bytes changed", different)
				}
			}
		})
	}
}

// cloneValues makes a tree independent of the hive that it was loaded from.
func cloneValues(n *hive.Node) {
	n.Class, n.Security = bytes.Clone(n.Class), bytes.Clone(n.Security)
	for i, v := range n.Values {
		n.Values[i].Data = bytes.Clone(v.Data)
	}
	for _, k := range n.Keys {
		cloneValues(k)
	}
}

// TestRebuildCarriesOver: what a tree does not hold survives as well.
func TestRebuildCarriesOver(t *testing.T) {
	s := &spoiled{t: t, data: soundHive(t, 5)}
	s.im = mustUse(Open(s.data, OpenOptions{}))
	s.nk("Gamma").setVirtFlags(0x81)
	copy(s.nk("Gamma")[12:14], "\x01\x00")
	s.nk("Own").setFlags(s.nk("Own").flags() | nkPredefined)
	s.nk("Own").setValueCount(0x80000001)
	s.nk(`Beta\one`).setLastWritten(0)
	copy(s.base()[112:168], "0123456789abcdef0123456789abcdef\x00\x00\x00\x000123456789abcdefrmtm")
	s.sign()
	s.free(s.vk("Alpha", "text").data())
	r := repairTest(t, s.data, RepairOptions{Time: editTime})
	if r.Method != RepairRebuilt {
		t.Fatalf("method %s", r.Method)
	}
	after := &spoiled{t: t, data: r.Data, im: openTest(t, r.Data)}
	if k := after.nk("Gamma"); k.virtFlags() != 0x81 || k[12] != 1 {
		t.Errorf("flags %#x, access bits %#x", k.virtFlags(), k[12])
	}
	if k := after.nk("Own"); k.flags()&nkPredefined == 0 || k.valueCount() != 0x80000001 {
		t.Errorf("flags %#x, handle %#x", k.flags(), k.valueCount())
	}
	if k := after.nk(`Beta\one`); k.lastWritten() != 0 {
		t.Errorf("a key without a time has now %d", k.lastWritten())
	}
	if !bytes.Equal(after.base()[112:168], s.base()[112:168]) {
		t.Errorf("identifiers and flags: %q", after.base()[112:168])
	}
	if after.base().lastWritten() != uint64(editTime) {
		t.Errorf("time of the hive: %d", after.base().lastWritten())
	}
}

// TestRepairRefuses: what is better not repaired needs Force.
func TestRepairRefuses(t *testing.T) {
	refused := func(data []byte) {
		t.Helper()
		im := mustUse(Open(data, OpenOptions{Lenient: true}))
		var r *RefusedError
		if _, err := Repair(im, RepairOptions{}); !errors.As(err, &r) || !r.Forceable {
			t.Errorf("want a refusal, found %v", err)
		}
		repairTest(t, data, RepairOptions{Force: true})
	}
	layered := soundHive(t, 6)
	s := &spoiled{t: t, data: layered, im: mustUse(Open(layered, OpenOptions{}))}
	copy(s.base()[164:], "rmtm")
	s.base().setFlags(baseFlagLayered)
	s.sign()
	s.free(s.vk("Alpha", "text").data())
	refused(layered)

	shifted := soundHive(t, 5)
	s = &spoiled{t: t, data: shifted, im: mustUse(Open(shifted, OpenOptions{}))}
	last := len(shifted) - binUnit
	for !s.im.binStartsAt(last - binsStart) {
		last -= binUnit
	}
	copy(shifted[last+512:], bytes.Clone(shifted[last:len(shifted)-512]))
	copy(shifted[last:last+512], bytes.Repeat([]byte{0xff}, 512))
	refused(shifted)
}

// TestRepairSharedData: damage cannot make a repaired hive many times as large.
func TestRepairSharedData(t *testing.T) {
	root := &hive.Node{Name: "r"}
	for i := range 3000 {
		root.Values = append(root.Values, hive.NodeValue{Name: strconv.Itoa(i), Type: hive.RegBinary, Data: make([]byte, 8)})
	}
	root.Values[0].Data = bytes.Repeat([]byte("x"), 16000)
	data := buildTest(t, root, BuildOptions{})
	im := openTest(t, data)
	entries, _ := im.valueList(im.keyQuick(im.root))
	first := im.valueQuick(reference(entries))
	for ; len(entries) > 0; entries = entries[4:] {
		v := im.valueQuick(reference(entries))
		v.setDataSize(16000)
		v.setData(first.data())
	}
	if _, err := Repair(im, RepairOptions{}); !errors.Is(err, hive.ErrCorrupt) {
		t.Errorf("want an error, found %v", err)
	}
}
