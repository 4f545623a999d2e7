package regf

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"hivemend/hive"
)

// spoiled is a sound hive that a test changes in one place.
type spoiled struct {
	t    *testing.T
	data []byte
	im   *Image
}

// soundHive has every kind of record: a class name, data of all sizes, leaves
// and, under Many, a list of lists.
func soundHive(t testing.TB, minor uint32) []byte {
	t.Helper()
	root := &hive.Node{Name: "ROOT", LastWrite: 1, Keys: []*hive.Node{
		{Name: "Alpha", Values: []hive.NodeValue{
			{Name: "", Type: hive.RegSZ, Data: []byte("d\x00e\x00f\x00\x00\x00")},
			{Name: "number", Type: hive.RegDWORD, Data: []byte{1, 2, 3, 4}},
			{Name: "text", Type: hive.RegSZ, Data: bytes.Repeat([]byte("x\x00"), 40)},
			{Name: "empty", Type: hive.RegBinary},
			{Name: "Gr\u00f6\u00dfe", Type: hive.RegBinary, Data: []byte("0123456789")},
			{Name: "\u65e5\u672c", Type: hive.RegBinary, Data: []byte("9876543210")},
		}},
		{Name: "Beta", Class: []byte("c\x00l\x00a\x00s\x00s\x00"), Keys: []*hive.Node{{Name: "one"}, {Name: "three"}, {Name: "two"}}},
		{Name: "Gamma", Keys: []*hive.Node{{Name: "Child", Keys: []*hive.Node{{Name: "Grandchild"}}}}},
		{Name: "\u03a9mega"},
	}}
	root.Keys[0].Values = append(root.Keys[0].Values, hive.NodeValue{Name: "blob", Type: hive.RegBinary, Data: make([]byte, 10000)})
	if minor > 2 {
		root.Keys[0].Values = append(root.Keys[0].Values, hive.NodeValue{Name: "big", Type: hive.RegBinary, Data: bytes.Repeat([]byte("0123456789"), 4000)})
	}
	root.Keys = append(root.Keys, &hive.Node{Name: strings.Repeat("L", 255)})
	own := &hive.Node{Name: "Own", Security: bytes.Clone(testSecurity)}
	deep := &hive.Node{Name: "d"}
	root.Keys = append(root.Keys, own, deep)
	for range hive.MaxDepth - 1 {
		next := &hive.Node{Name: "d"}
		deep.Keys = append(deep.Keys, next)
		deep = next
	}
	many := &hive.Node{Name: "Many"}
	for i := range 1100 {
		many.Keys = append(many.Keys, &hive.Node{Name: fmt.Sprintf("key%04d", i)})
	}
	root.Keys = append(root.Keys, many)
	data, err := Build(root.Key(), BuildOptions{Minor: minor, Time: 130000000000000000, Sequence: 7, FileName: `C:\TEST\HIVE`})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// testSecurity is a descriptor as long as the one that Build gives to a root.
var testSecurity = func() []byte {
	data, err := Build((&hive.Node{Name: "x"}).Key(), BuildOptions{})
	if err != nil {
		panic(err)
	}
	im, err := Open(data, OpenOptions{})
	if err != nil {
		panic(err)
	}
	descriptor := bytes.Clone(im.Root().Security())
	descriptor[len(descriptor)-4] ^= 1 // another account in the last entry
	return descriptor
}()

// manyElements returns the elements of both leaves below Many.
func (s *spoiled) manyElements() (elements []byte) {
	s.im.leaves(s.nk("Many").subkeyList(), func(leaf list) bool {
		part, _ := leaf.elements()
		elements = append(elements, part...)
		return true
	})
	return elements
}

func (s *spoiled) key(path string) cellOffset {
	s.t.Helper()
	k, ok := s.im.Root().Lookup(hive.ParsePath(path))
	if !ok {
		s.t.Fatalf("no key %s", path)
	}
	_, ref := k.Store()
	return cellOffset(ref)
}

func (s *spoiled) nk(path string) nk { return s.im.keyQuick(s.key(path)) }

func (s *spoiled) vkAt(key, name string) cellOffset {
	s.t.Helper()
	ref, ok := tree{s.im}.Value(hive.Ref(s.key(key)), name)
	if !ok {
		s.t.Fatalf("no value %s", name)
	}
	return cellOffset(ref)
}

func (s *spoiled) vk(key, name string) vk { return s.im.valueQuick(s.vkAt(key, name)) }
func (s *spoiled) base() baseBlock        { return s.im.base }
func (s *spoiled) payload(c cellOffset) []byte {
	payload, _, _ := s.im.raw(c)
	return payload
}
func (s *spoiled) leaf(path string) list { return list(s.payload(s.nk(path).subkeyList())) }

// size sets the size field of a cell.
func (s *spoiled) size(c cellOffset, n int32) { le.PutUint32(s.im.bins[c:], uint32(n)) }

func (s *spoiled) free(c cellOffset) { s.size(c, -int32(le.Uint32(s.im.bins[c:]))) }

func (s *spoiled) freeCell() cellOffset {
	for at := cellOffset(binHeaderSize); ; {
		n := int32(le.Uint32(s.im.bins[at:]))
		if n > 0 {
			return at
		}
		if at += cellOffset(-n); at%binUnit == 0 {
			at += binHeaderSize
		}
	}
}

func (s *spoiled) sign() { s.base().setChecksum(s.base().computeChecksum()) }

// TestCheckFindsEachDefect spoils a sound hive in one place at a time.
func TestCheckFindsEachDefect(t *testing.T) {
	put16, put32 := le.PutUint16, le.PutUint32
	for _, tt := range []struct {
		name    string
		minor   uint32
		spoil   func(s *spoiled)
		want    string // the codes, each once, in alphabetical order
		bounded bool
	}{
		{"sound", 5, func(s *spoiled) {}, "", true},
		{"sound 1.3", 3, func(s *spoiled) {}, "", true},
		{"sound 1.2", 2, func(s *spoiled) {}, "", true},

		{"checksum", 5, func(s *spoiled) { s.base().setChecksum(99) }, "BB02", true},
		{"dirty", 5, func(s *spoiled) { s.base().setSequence1(8); s.sign() }, "BB03", true},
		{"version", 5, func(s *spoiled) { s.base().setMinor(9); s.sign() }, "BB04", true},
		{"file type", 5, func(s *spoiled) { s.base().setFileType(6); s.sign() }, "BB05", true},
		{"format", 5, func(s *spoiled) { s.base().setFormat(3); s.sign() }, "BB06", true},
		{"cluster", 5, func(s *spoiled) { s.base().setCluster(8); s.sign() }, "BB07", true},
		{"length odd", 5, func(s *spoiled) { s.base().setLength(4097); s.sign() }, "BB08", true},
		{"truncated", 5, func(s *spoiled) { s.data = s.data[:len(s.data)-4096] }, "BB08 CL03 CL05 SK03", false},
		{"root", 5, func(s *spoiled) { s.base().setRoot(0x30); s.sign() }, "BB09", true},
		{"trailing", 5, func(s *spoiled) { s.data = append(s.data, 1, 2, 3) }, "BB10", true},
		{"timestamp", 5, func(s *spoiled) { binHeader(s.im.bins).setTimestamp(5) }, "BB11", true},
		{"pending", 5, func(s *spoiled) { copy(s.data[164:], "rmtm"); s.base().setFlags(1); s.sign() }, "BB12", true},
		{"offreg", 5, func(s *spoiled) { copy(s.data[176:], "OfRg"); s.sign() }, "BB13", true},

		{"bin signature", 5, func(s *spoiled) { s.im.bins[0] = 'X' }, "BN01", true},
		{"bin offset", 5, func(s *spoiled) { binHeader(s.im.bins).setOffset(4096) }, "BN01", true},
		{"length short", 5, func(s *spoiled) { s.base().setLength(s.base().length() - 4096) }, "BB02 BN02", true},

		{"zeros at the end", 5, func(s *spoiled) { clear(s.im.bins[len(s.im.bins)-4096:]) }, "BN03 CL03 CL05 SK03", false},
		{"bins shifted", 5, func(s *spoiled) {
			last := len(s.im.bins) - 4096
			copy(s.im.bins[last+512:], s.im.bins[last:])
			clear(s.im.bins[last : last+512])
		}, "BN04 CL03 CL05 SK03", false},

		{"cell size 0", 5, func(s *spoiled) { s.size(s.freeCell(), 0) }, "CL01", true},
		{"cell size odd", 5, func(s *spoiled) { s.size(s.freeCell(), 12) }, "CL01", true},
		{"cell size minimum", 5, func(s *spoiled) { s.size(s.freeCell(), -1<<31) }, "CL01", true},
		{"cell too large", 5, func(s *spoiled) { s.size(s.freeCell(), 1<<20) }, "CL01", true},
		{"adjacent free", 5, func(s *spoiled) {
			c := s.freeCell()
			n := int32(le.Uint32(s.im.bins[c:]))
			s.size(c, 8)
			s.size(c+8, n-8)
		}, "CL02", true},
		{"leaked", 5, func(s *spoiled) { s.free(s.freeCell()) }, "CL03", true},
		{"shared data", 5, func(s *spoiled) { s.vk("Alpha", "\u65e5\u672c").setData(s.vk("Alpha", "Gr\u00f6\u00dfe").data()) }, "CL03 CL04", false},
		{"shared list", 5, func(s *spoiled) {
			s.nk("Gamma").setSubkeyList(s.nk("Beta").subkeyList())
			s.nk("Gamma").setSubkeyCount(3)
		}, "CL03 CL04 SK03", false},
		{"free key", 5, func(s *spoiled) { s.free(s.key("Beta\\two")) }, "CL05", true},
		{"key in the middle of a cell", 5, func(s *spoiled) {
			put32(s.leaf("Beta")[4:], uint32(s.key("Beta\\one")+8))
		}, "CL03 CL05 NK01 SK03", false},
		{"key outside", 5, func(s *spoiled) { put32(s.leaf("Beta")[4:], 0x7ffffff8) }, "CL03 CL05 SK03", false},
		{"key in memory", 5, func(s *spoiled) { put32(s.leaf("Beta")[4:], 0x80000020) }, "CL03 CL05 SK03", false},

		{"nk signature", 5, func(s *spoiled) { s.nk("Beta\\one")[0] = 'x' }, "NK01 SK03", false},
		{"name too long", 5, func(s *spoiled) { s.nk("Beta\\two").setNameLength(60) }, "NK01", true},
		{"name empty", 5, func(s *spoiled) { s.nk("Beta\\one").setNameLength(0) }, "LS08 NK02", true},
		{"backslash", 5, func(s *spoiled) { s.nk("Beta\\two")[nkSize+2] = '\\' }, "LS08 NK04", true},
		{"half a character", 5, func(s *spoiled) { k := s.nk("\u03a9mega"); k.setNameLength(k.nameLength() - 1) }, "LS08 NK02", true},
		{"long name", 5, func(s *spoiled) { s.nk(strings.Repeat("L", 255)).setNameLength(256) }, "LS08 NK03 NK09", true},
		{"name not compressed", 5, func(s *spoiled) { put16(s.nk("\u03a9mega")[nkSize:], 'P') }, "LS08 NK08", true},
		{"too deep", 5, func(s *spoiled) {
			deep := strings.Repeat(`d\`, 512)
			k, from := s.nk(deep), s.nk("Gamma")
			k.setSubkeyList(from.subkeyList())
			k.setSubkeyCount(1)
			k.setMaxSubkeyName(10)
			s.nk("Gamma\\Child").setParent(s.key(deep))
			from.setSubkeyList(noCell)
			from.setSubkeyCount(0)
		}, "CL03 NK13 SK03", true},
		{"parent", 5, func(s *spoiled) { s.nk("Beta").setParent(s.key("Alpha")) }, "NK05", true},
		{"volatile", 5, func(s *spoiled) { k := s.nk("Beta"); k.setFlags(k.flags() | nkVolatile) }, "NK06", true},
		{"volatile count", 5, func(s *spoiled) { put32(s.nk("Beta")[24:], 3) }, "NK07", true},
		{"hint", 5, func(s *spoiled) { s.nk("Beta").setMaxSubkeyName(2) }, "NK09", true},
		{"hint of values", 5, func(s *spoiled) { s.nk("Alpha").setMaxValueData(2) }, "NK09", true},
		{"class outside", 5, func(s *spoiled) { s.nk("Beta").setClass(0x7ffffff8) }, "CL03 NK10", false},
		{"class too long", 5, func(s *spoiled) { s.nk("Beta").setClassLength(100); s.nk("").setMaxSubkeyClass(100) }, "NK10", true},
		{"class missing", 5, func(s *spoiled) { s.nk("Beta").setClass(noCell) }, "CL03 NK11", true},
		{"cycle", 5, func(s *spoiled) {
			put32(s.leaf("Gamma\\Child")[4:], uint32(s.key("Gamma")))
		}, "CL03 LS08 NK12 SK03", false},
		{"root below itself", 5, func(s *spoiled) { put32(s.leaf("Gamma\\Child")[4:], uint32(s.im.root)) }, "CL03 LS08 NK12 SK03", false},
		{"the same key twice", 5, func(s *spoiled) { copy(s.leaf("Beta")[12:20], s.leaf("Beta")[4:12]) }, "CL03 LS07 NK12 SK03", false},
		{"security outside", 5, func(s *spoiled) { s.nk("Beta").setSecurity(noCell) }, "NK14 SK03", false},
		{"security is none", 5, func(s *spoiled) { s.nk("Beta").setSecurity(s.key("Alpha")) }, "NK14 SK03", true},
		{"root unmarked", 5, func(s *spoiled) { s.nk("").setFlags(nkCompressed) }, "NK15", true},

		{"list signature", 5, func(s *spoiled) { s.leaf("Beta").setKind("zz") }, "CL03 LS01 SK03", false},
		{"list count", 5, func(s *spoiled) { s.leaf("Gamma").setCount(500) }, "LS02", false},
		{"list in list in list", 5, func(s *spoiled) {
			ri := s.nk("Many").subkeyList()
			put32(s.payload(ri)[4:], uint32(ri))
		}, "CL03 LS03 SK03", false},
		{"empty list", 5, func(s *spoiled) { s.leaf("Gamma").setCount(0) }, "CL03 LS04 LS05 SK03", true},
		{"subkey count", 5, func(s *spoiled) { s.nk("Beta").setSubkeyCount(4) }, "LS05", true},
		{"subkeys not counted", 5, func(s *spoiled) { s.nk("Beta").setSubkeyCount(0) }, "CL03 LS05 SK03", false},
		{"order", 5, func(s *spoiled) {
			l := s.leaf("Beta")
			first := slices.Clone(l[4:12])
			copy(l[4:], l[12:20])
			copy(l[12:], first)
		}, "LS06", true},
		{"order 1.2", 2, func(s *spoiled) {
			l := s.leaf("Beta")
			a, b := le.Uint32(l[4:]), le.Uint32(l[8:])
			put32(l[4:], b)
			put32(l[8:], a)
		}, "LS06", true},
		{"same name", 5, func(s *spoiled) { copy(s.nk("Many\\key0001")[nkSize:], "KEY0000") }, "LS07 LS08", true},
		{"hash", 5, func(s *spoiled) { put32(s.leaf("Beta")[8:], 1) }, "LS08", true},
		{"hint of name", 3, func(s *spoiled) { put32(s.leaf("Beta")[8:], 1) }, "LS08", true},
		{"leaf of another version", 5, func(s *spoiled) {
			l := s.leaf("Gamma")
			l.setKind("lf")
			copy(l[8:], "Chil")
		}, "LS10", true},
		{"leaf too long", 5, func(s *spoiled) {
			blob := s.vk("Alpha", "blob")
			merged := append([]byte("lh\x4c\x04"), s.manyElements()...)
			copy(s.payload(blob.data()), merged)
			s.nk("Many").setSubkeyList(blob.data())
			blob.setDataSize(inlineBit)
		}, "CL03 LS09", true},

		{"value list outside", 5, func(s *spoiled) { s.nk("Alpha").setValueList(0x7ffffff8) }, "CL03 VL01", false},
		{"value count", 5, func(s *spoiled) { s.nk("Alpha").setValueCount(9000) }, "CL05 VK01 VL01", false},
		{"same value name", 5, func(s *spoiled) { copy(s.vk("Alpha", "text")[vkSize:], "BIG!"); s.vk("Alpha", "BIG!").setNameLength(3) }, "VL02", true},
		{"vk signature", 5, func(s *spoiled) { s.vk("Alpha", "number")[0] = 'x' }, "VK01", false},
		{"vk name", 5, func(s *spoiled) { s.vk("Alpha", "number").setNameLength(400) }, "VK01", true},
		{"inline size", 5, func(s *spoiled) { s.vk("Alpha", "number").setDataSize(5 | inlineBit) }, "VK02", true},
		{"no data but a cell", 5, func(s *spoiled) { s.vk("Alpha", "Gr\u00f6\u00dfe").setDataSize(0) }, "CL03 VK03", true},
		{"data outside", 5, func(s *spoiled) { s.vk("Alpha", "text").setData(0x7ffffff8) }, "CL03 VK04", false},
		{"data free", 5, func(s *spoiled) { s.free(s.vk("Alpha", "text").data()) }, "VK04", true},
		{"data too long", 5, func(s *spoiled) { s.vk("Alpha", "text").setDataSize(900) }, "VK05", false},
		{"value flags", 5, func(s *spoiled) { s.vk("Alpha", "text").setFlags(0x11) }, "VK06", true},

		{"db signature", 5, func(s *spoiled) { s.payload(s.vk("Alpha", "big").data())[0] = 'x' }, "CL03 DB01", false},
		{"db count", 5, func(s *spoiled) { db(s.payload(s.vk("Alpha", "big").data())).setCount(2) }, "CL03 DB02", false},
		{"big data in one cell", 3, func(s *spoiled) { s.base().setMinor(5); s.sign() }, "DB04 LS10", true},
		{"db segments", 5, func(s *spoiled) { db(s.payload(s.vk("Alpha", "big").data())).setSegments(noCell) }, "CL03 DB03", false},
		{"db segment", 5, func(s *spoiled) {
			put32(s.payload(db(s.payload(s.vk("Alpha", "big").data())).segments()), 0x7ffffff8)
		}, "CL03 DB03", false},

		{"sk next", 5, func(s *spoiled) { sk(s.payload(s.nk("").security())).setNext(noCell) }, "SK01", true},
		{"sk previous", 5, func(s *spoiled) { sk(s.payload(s.nk("").security())).setPrevious(0x20) }, "SK01", true},
		{"sk used more", 5, func(s *spoiled) { sk(s.payload(s.nk("").security())).setReferences(2) }, "SK02", true},
		{"sk used less", 5, func(s *spoiled) { sk(s.payload(s.nk("").security())).setReferences(9999) }, "SK03", true},
		{"sk unused", 5, func(s *spoiled) {
			owner := s.key("Own")
			used, unused := sk(s.payload(s.nk("").security())), sk(s.payload(s.nk("Own").security()))
			s.im.keyQuick(owner).setSecurity(s.nk("").security())
			used.setReferences(used.references() + 1)
			unused.setReferences(0)
		}, "SK05", true},
		{"sk twice", 5, func(s *spoiled) {
			copy(s.payload(s.nk("Own").security())[skSize:], sk(s.payload(s.nk("").security())).descriptor())
		}, "SK06", true},
		{"sk descriptor length", 5, func(s *spoiled) { sk(s.payload(s.nk("").security())).setDescriptorLength(1 << 31) }, "SK04", true},
		{"sk descriptor", 5, func(s *spoiled) { put16(s.payload(s.nk("").security())[skSize:], 7) }, "SK04", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &spoiled{t: t, data: soundHive(t, tt.minor)}
			s.im = mustOpen(t, s.data)
			tt.spoil(s)
			r := mustOpen(t, s.data).Check()
			var codes []string
			worst := hive.DamageInfo
			for _, i := range r.Issues {
				if !slices.Contains(codes, i.Code) {
					codes = append(codes, i.Code)
				}
				worst = max(worst, i.Damage)
				if i.Offset < 0 || i.Offset >= int64(len(s.data)) || i.Detail == "" || i.Effect == "" {
					t.Errorf("issue without place or words: %+v", i)
				}
			}
			slices.Sort(codes)
			if got := strings.Join(codes, " "); got != tt.want || r.Bounded() != tt.bounded {
				t.Errorf("codes %q, bounded %v; want %q, %v", got, r.Bounded(), tt.want, tt.bounded)
				for _, i := range r.Issues[:min(12, len(r.Issues))] {
					t.Logf("%s %s %#x %s: %s", i.Code, i.Damage, i.Offset, i.Key, i.Detail)
				}
			}
			if sound := worst < hive.DamageLoss; sound != r.Sound() {
				t.Errorf("Sound() = %v, the worst issue is %s", r.Sound(), worst)
			}
			if keys, values, _ := count(mustOpen(t, s.data).Root()); keys != r.Keys && tt.name != "too deep" {
				t.Errorf("Check counts %d keys, a walk %d (values %d, %d)", r.Keys, keys, r.Values, values)
			}
		})
	}
}
