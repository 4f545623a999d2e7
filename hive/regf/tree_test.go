package regf

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"hivemend/hive"
)

// TestHashVectors compares with hashes that stand in hives Windows wrote.
func TestHashVectors(t *testing.T) {
	for name, hash := range map[string]uint32{
		"": 0, "a": 0x41, "AB": 0x9a7, "Select": 0x5f0024a0, "Setup": 0x097cb881, "Software": 0xe9fe1463, "Microsoft": 0x7f00cd26,
		"ControlSet001": 0x8f3ba9a2, "MountedDevices": 0xfc7a072b, "Services": 0x227af730, "Control": 0x55c16481, "Parameters": 0x6e7fea98,
		"Hardware Profiles": 0x84027bba, "key95": 0x0898078f, "Key96": 0x08980790, "äöü": 0x000437ee, "Café": 0x00352f57, "Ωmega": 0x68e8c913,
		"\U00010400": 0x00201425, "\U00010438": 0x0020145d, "Ａ": 0x0000ff21, "Class": 0x07b82c9a,
	} {
		if got := want(name).hash; got != hash {
			t.Errorf("wanted %q: %#x, want %#x", name, got, hash)
		}
		if got := encodeName(name).hash(); got != hash {
			t.Errorf("stored %q: %#x, want %#x", name, got, hash)
		}
	}
}

// TestFoldKey wants the same number for names that differ in case only,
// however they are stored.
func TestFoldKey(t *testing.T) {
	wide := func(name string) storedName {
		n := encodeName(name)
		if n.compressed {
			b := make([]byte, 0, 2*len(n.bytes))
			for _, c := range n.bytes {
				b = append(b, c, 0)
			}
			n = storedName{b, false}
		}
		return n
	}
	for _, pair := range [][2]string{
		{"ImagePath", "IMAGEPATH"}, {"", ""}, {"Größe", "GRÖßE"}, {"ÿ", "Ÿ"}, {"日本", "日本"}, {"{4d36e972-e325}", "{4D36E972-E325}"}, {"ωmega", "ΩMEGA"},
	} {
		a, b := encodeName(pair[0]), encodeName(pair[1])
		if a.foldKey() != b.foldKey() || wide(pair[0]).foldKey() != b.foldKey() {
			t.Errorf("%q and %q: %#x, %#x, stored wide %#x", pair[0], pair[1], a.foldKey(), b.foldKey(), wide(pair[0]).foldKey())
		}
		if a.compare(b) != 0 || a.compare(wide(pair[1])) != 0 {
			t.Errorf("%q and %q are not the same", pair[0], pair[1])
		}
	}
	if encodeName("Start").foldKey() == encodeName("Type").foldKey() {
		t.Error("different names, same number")
	}
}

func TestOrder(t *testing.T) {
	for _, sorted := range [][]string{{"ss1", "SS3", "ß2"}, {"ss1", "SS3", "\U00010400"}, {"a", "AB", "b", "_"}, {"key", "KEY1"}} {
		for i := range sorted[1:] {
			a, b := encodeName(sorted[i]), encodeName(sorted[i+1])
			if a.compare(b) >= 0 || b.compare(a) <= 0 {
				t.Errorf("%q does not come before %q", sorted[i], sorted[i+1])
			}
		}
	}
}

// TestReadBack reads the sound hive in all versions.
func TestReadBack(t *testing.T) {
	for minor := uint32(2); minor <= 6; minor++ {
		root := mustOpen(t, soundHive(t, minor)).Root()
		alpha, ok := root.Subkey("ALPHA")
		if !ok || alpha.Name() != "Alpha" {
			t.Fatalf("1.%d: no Alpha", minor)
		}
		for name, want := range map[string]string{
			"": "d\x00e\x00f\x00\x00\x00", "NUMBER": "\x01\x02\x03\x04", "empty": "", "GRÖßE": "0123456789", "日本": "9876543210",
		} {
			v, ok := alpha.Value(name)
			if !ok {
				t.Errorf("1.%d: no value %q", minor, name)
				continue
			}
			if data, err := v.Data(); err != nil || string(data) != want || v.Size() != int64(len(want)) {
				t.Errorf("1.%d: value %q: %q, %v; want %q", minor, name, data, err, want)
			}
			o := v.Origin()
			if len(want) > 0 && string(mustStoreBytes(alpha)[o.Image:o.Image+o.Length]) != want {
				t.Errorf("1.%d: value %q does not lie at %+v", minor, name, o)
			}
		}
		if v, ok := alpha.Value("big"); ok {
			data, err := v.Data()
			if err != nil || !bytes.Equal(data, bytes.Repeat([]byte("0123456789"), 4000)) {
				t.Errorf("1.%d: big data: %d bytes, %v", minor, len(data), err)
			}
		} else if minor > 2 {
			t.Errorf("1.%d: no value big", minor)
		}
		if _, ok := alpha.Value("missing"); ok {
			t.Error("found what is not there")
		}
		beta, _ := root.Subkey("beta")
		if string(beta.Class()) != "c\x00l\x00a\x00s\x00s\x00" || len(beta.Security()) == 0 || !beta.Complete() || beta.LastWrite() == 0 {
			t.Errorf("1.%d: Beta: class %q, security %d bytes, complete %v", minor, beta.Class(), len(beta.Security()), beta.Complete())
		}
		if o := beta.Origin(); string(mustStoreBytes(beta)[o.Image:o.Image+2]) != "nk" {
			t.Errorf("1.%d: no key at %+v", minor, o)
		}
		for _, path := range []string{`Gamma\Child\Grandchild`, `many\KEY0777`, "ωMEGA", `Beta\three`} {
			if _, ok := root.Lookup(hive.ParsePath(path)); !ok {
				t.Errorf("1.%d: no key %s", minor, path)
			}
		}
		for _, path := range []string{`Gamma\Child\x`, `many\key1100`, "Omega", `Beta\three\four`} {
			if _, ok := root.Lookup(hive.ParsePath(path)); ok {
				t.Errorf("1.%d: found %s, which is not there", minor, path)
			}
		}
	}
}

func mustStoreBytes(k hive.Key) []byte {
	store, _ := k.Store()
	return store.(tree).data
}

// TestLookupTrustsNothing spoils hashes, hints and order, and wants every key
// to be found all the same.
func TestLookupTrustsNothing(t *testing.T) {
	for _, minor := range []uint32{2, 3, 5} {
		s := &spoiled{t: t, data: soundHive(t, minor)}
		s.im = mustOpen(t, s.data)
		l := s.leaf("Beta")
		elements, size := l.elements()
		reversed := make([]byte, 0, len(elements))
		for i := len(elements) - size; i >= 0; i -= size {
			reversed = append(reversed, elements[i:i+size]...)
		}
		copy(elements, reversed)
		for i := 4; size == 8 && i < len(elements); i += 8 {
			copy(elements[i:], "\xff\xff\xff\xff")
		}
		for _, name := range []string{"one", "TWO", "three"} {
			if _, ok := s.im.Root().Lookup(hive.Path{"Beta", name}); !ok {
				t.Errorf("1.%d: %s is not found", minor, name)
			}
		}
	}
}

// TestDamageCostsOnlyItself spoils one record and wants its siblings to stay.
func TestDamageCostsOnlyItself(t *testing.T) {
	s := &spoiled{t: t, data: soundHive(t, 5)}
	s.im = mustOpen(t, s.data)
	s.nk("Beta\\one")[0] = 'x'
	s.vk("Alpha", "number")[1] = 'x'
	s.vk("Alpha", "text").setData(0x7ffffff8)
	le.PutUint32(s.payload(db(s.payload(s.vk("Alpha", "big").data())).segments())[4:], 0x7ffffff8)
	beta, _ := s.im.Root().Subkey("Beta")
	var names []string
	for k := range beta.Subkeys() {
		names = append(names, k.Name())
	}
	if got := strings.Join(names, " "); got != "three two" || beta.Complete() {
		t.Errorf("subkeys %q, complete %v", got, beta.Complete())
	}
	alpha, _ := s.im.Root().Subkey("Alpha")
	if alpha.Complete() {
		t.Error("Alpha is said to be complete")
	}
	if _, ok := alpha.Value("number"); ok {
		t.Error("a value without signature was read")
	}
	for _, tt := range []struct {
		name string
		n    int
	}{{"text", 0}, {"big", segmentSize}} {
		v, ok := alpha.Value(tt.name)
		if !ok {
			t.Fatalf("no value %s", tt.name)
		}
		if data, err := v.Data(); !errors.Is(err, hive.ErrCorrupt) || len(data) != tt.n {
			t.Errorf("%s: %d bytes, %v; want %d and an error", tt.name, len(data), err, tt.n)
		}
	}
	v, _ := alpha.Value("Größe")
	s.free(s.vk("Alpha", "Größe").data())
	if data, err := v.Data(); err == nil || string(data) != "0123456789" {
		t.Errorf("data in a free cell: %q, %v; want the data and an error", data, err)
	}
}

// TestBigDataIsNotMultiplied lets all segments of big data be the same one and
// claims more than the hive could hold.
func TestBigDataIsNotMultiplied(t *testing.T) {
	s := &spoiled{t: t, data: soundHive(t, 5)}
	s.im = mustOpen(t, s.data)
	v := s.vk("Alpha", "big")
	record := db(s.payload(v.data()))
	segment := le.Uint32(s.payload(record.segments()))
	list := s.vk("Alpha", "blob").data()
	for i := 0; i < 2500; i++ {
		le.PutUint32(s.payload(list)[4*i:], segment)
	}
	record.setSegments(list)
	record.setCount(2500)
	v.setDataSize(2500 * segmentSize)
	data, ok := s.im.Root().Lookup(hive.Path{"Alpha"})
	if !ok {
		t.Fatal("no Alpha")
	}
	value, _ := data.Value("big")
	if got, err := value.Data(); err == nil || len(got) > len(s.data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestDataThatLooksLikeBigData wants ordinary data that begins with the two
// letters of big data as it is.
func TestDataThatLooksLikeBigData(t *testing.T) {
	for _, n := range []int{5, 20, segmentSize - 1, segmentSize, segmentSize + 1, 2 * segmentSize, 2*segmentSize + 1} {
		want := append([]byte("db\x02\x00"), bytes.Repeat([]byte{7}, n-4)...)
		root := &hive.Node{Name: "r", Values: []hive.NodeValue{{Name: "v", Type: hive.RegBinary, Data: want}}}
		for _, minor := range []uint32{3, 5} {
			data, err := Build(root.Key(), BuildOptions{Minor: minor})
			if err != nil {
				t.Fatal(err)
			}
			im := mustOpen(t, data)
			v, _ := im.Root().Value("v")
			if got, err := v.Data(); err != nil || !bytes.Equal(got, want) {
				t.Errorf("1.%d, %d bytes: %d bytes, %v", minor, n, len(got), err)
			}
			if r := im.Check(); len(r.Issues) != 0 {
				t.Errorf("1.%d, %d bytes: %v", minor, n, r.Issues)
			}
		}
	}
}

// TestSharedListStaysWithItsOwner makes two keys share a list of subkeys; the
// subkeys stay with the key that they name as their parent.
func TestSharedListStaysWithItsOwner(t *testing.T) {
	for _, thief := range []string{"Alpha", "Own"} { // one before the owner in the tree, one behind
		s := &spoiled{t: t, data: soundHive(t, 5)}
		s.im = mustOpen(t, s.data)
		s.nk(thief).setSubkeyList(s.nk("Beta").subkeyList())
		s.nk(thief).setSubkeyCount(3)
		im := mustOpen(t, s.data)
		for path, want := range map[string]int{"Beta": 4, thief: 1} {
			k, _ := im.Root().Subkey(path)
			if keys, _, _ := count(k); keys != want {
				t.Errorf("%s lists what is Beta's: %s and below has %d keys, want %d", thief, path, keys, want)
			}
		}
		if r := im.Check(); r.Bounded() || r.Sound() {
			t.Error("Check finds nothing")
		}
	}
}

// TestCyclesEnd points lists of subkeys at each other in every way.
func TestCyclesEnd(t *testing.T) {
	sound := soundHive(t, 5)
	paths := []string{"", "Beta", "Gamma", `Gamma\Child`, `Gamma\Child\Grandchild`}
	for _, from := range paths {
		for _, to := range paths {
			s := &spoiled{t: t, data: bytes.Clone(sound)}
			s.im = mustOpen(t, s.data)
			list, n := s.nk(to).subkeyList(), s.nk(to).subkeyCount()
			s.nk(from).setSubkeyList(list)
			s.nk(from).setSubkeyCount(n)
			im := mustOpen(t, s.data)
			keys, _, _ := count(im.Root())
			if r := im.Check(); r.Keys != keys {
				t.Errorf("%q lists what is of %q: a walk sees %d keys, Check %d", from, to, keys, r.Keys)
			}
		}
	}
}

// TestRootIsNoSubkey lists the root under a key that it names as its parent.
func TestRootIsNoSubkey(t *testing.T) {
	s := &spoiled{t: t, data: soundHive(t, 5)}
	s.im = mustOpen(t, s.data)
	child := s.key(`Gamma\Child`)
	s.nk("").setParent(child)
	le.PutUint32(s.leaf(`Gamma\Child`)[4:], uint32(s.im.root))
	k, _ := s.im.Root().Lookup(hive.Path{"Gamma", "Child"})
	if keys, _, _ := count(k); keys != 1 {
		t.Errorf("%d keys, want the key alone", keys)
	}
}
