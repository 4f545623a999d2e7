package witness

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"hivemend/hive"
)

// sample returns a tree with what is easily read wrongly: names in Latin-1 and
// UTF-16, data of 0 to 4 bytes, and data that begins like segmented data.
func sample() *hive.Node {
	long := bytes.Repeat([]byte("0123456789"), 30)
	return &hive.Node{Name: "ROOT", Keys: []*hive.Node{
		{Name: "café", Values: []hive.NodeValue{{Name: "which", Type: hive.RegSZ, Data: []byte("e\x00\x00\x00")}}},
		{Name: "cafè"},
		{Name: "ключ", Values: []hive.NodeValue{
			{Name: "значение", Type: hive.RegMultiSZ, Data: []byte("a\x00b\x00c")},
			{Name: "", Type: hive.RegDWORD, Data: []byte{1, 2, 3}},
			{Name: "none", Type: hive.RegNone},
			{Name: "db", Type: hive.RegBinary, Data: []byte("db\x01\x00 is only how it begins")},
			{Name: "qword", Type: hive.RegQWORD, Data: []byte("12345678")},
			{Name: "odd type", Type: hive.Type(0xffff0012), Data: long},
		}},
		{Name: "deep", Keys: []*hive.Node{{Name: "deeper", Keys: []*hive.Node{{Name: "deepest"}}}}},
	}}
}

func TestCompareAgrees(t *testing.T) {
	n := sample()
	differences, err := Compare(makeHive(n), n.Key())
	if err != nil || len(differences) != 0 {
		t.Fatalf("a sound hive differs from its own tree: %v, %v", differences, err)
	}
}

func TestCompareIgnoresOrder(t *testing.T) {
	data := makeHive(sample())
	n := sample()
	n.Keys[0], n.Keys[2] = n.Keys[2], n.Keys[0]
	values := n.Keys[0].Values
	values[0], values[3] = values[3], values[0]
	if differences, err := Compare(data, n.Key()); err != nil || len(differences) != 0 {
		t.Fatalf("another order counts as a difference: %v, %v", differences, err)
	}
}

func TestCompareFinds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(n *hive.Node)
		want   string
	}{
		{"byte", func(n *hive.Node) { n.Keys[2].Values[5].Data[7] ^= 1 }, `ключ, value "odd type": its data (300 bytes) is other data to the second reader, from byte 7 on`},
		{"short", func(n *hive.Node) { n.Keys[2].Values[1].Data = []byte{1, 2} }, `ключ, value (Default): its data is 2 bytes long, to the second reader 3`},
		{"type", func(n *hive.Node) { n.Keys[2].Values[4].Type = hive.RegBinary }, `ключ, value "qword": its type is REG_BINARY, to the second reader REG_QWORD`},
		{"value name", func(n *hive.Node) { n.Keys[0].Values[0].Name = "whose" }, `café, value "whose": the second reader does not see this value`},
		{"value gone", func(n *hive.Node) { n.Keys[0].Values = nil }, `café, value "which": only the second reader sees this value`},
		{"key name", func(n *hive.Node) { n.Keys[3].Keys[0].Keys[0].Name = "Deepest" }, `deep\deeper\Deepest: the second reader does not see this key`},
		{"key gone", func(n *hive.Node) { n.Keys[3].Keys = nil }, `deep\deeper: only the second reader sees this key`},
		{"root", func(n *hive.Node) { n.Name = "OTHER" }, `the root key: the root key is named "OTHER", to the second reader "ROOT"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := sample()
			tt.change(n)
			differences, err := Compare(makeHive(sample()), n.Key())
			if err != nil || len(differences) == 0 {
				t.Fatalf("got %v, %v", differences, err)
			}
			if got := differences[0].String(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestVeto edits the bytes of a hive wrongly, as a broken editor might, and
// demands that the tree taken before is then contradicted.
func TestVeto(t *testing.T) {
	n := sample()
	root := n.Key()
	data := makeHive(n)
	t.Run("one byte of data", func(t *testing.T) {
		bad := bytes.Clone(data)
		at := bytes.Index(bad, []byte("0123456789012"))
		bad[at+299]++
		wantOne(t, bad, root, `value "odd type"`)
	})
	t.Run("element of a list", func(t *testing.T) {
		bad := bytes.Clone(data)
		// The list of the root is the last lf; let its first element name the second key.
		at := bytes.LastIndex(bad, []byte("lf\x04\x00")) + 4
		copy(bad[at:at+4], bad[at+8:at+12])
		wantOne(t, bad, root, "café: the second reader does not see this key")
	})
	t.Run("element of a value list", func(t *testing.T) {
		m := newMaker()
		a := m.vk(hive.NodeValue{Name: "a", Type: hive.RegDWORD, Data: []byte{1, 0, 0, 0}})
		b := m.vk(hive.NodeValue{Name: "b", Type: hive.RegDWORD, Data: []byte{2, 0, 0, 0}})
		tree := &hive.Node{Name: "R", Values: []hive.NodeValue{
			{Name: "a", Type: hive.RegDWORD, Data: []byte{1, 0, 0, 0}}, {Name: "b", Type: hive.RegDWORD, Data: []byte{2, 0, 0, 0}}}}
		root := m.nk("R", 0, noList, []uint32{a, a})
		wantOne(t, m.hive(root), tree.Key(), `value "b": the second reader does not see`)
		good := newMaker()
		good.bin = m.bin
		if d, err := Compare(good.hive(good.nk("R", 0, noList, []uint32{a, b})), tree.Key()); err != nil || len(d) > 0 {
			t.Errorf("the right list: %v, %v", d, err)
		}
	})
}

func wantOne(t *testing.T, data []byte, root hive.Key, want string) {
	t.Helper()
	differences, err := Compare(data, root)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range differences {
		if strings.Contains(d.String(), want) {
			return
		}
	}
	t.Errorf("no difference says %q: %v", want, differences)
}

func TestCompareStops(t *testing.T) {
	n := &hive.Node{Name: "R"}
	for i := range 3 * MaxDifferences {
		n.Keys = append(n.Keys, &hive.Node{Name: fmt.Sprintf("k%d", i)})
	}
	differences, err := Compare(makeHive(&hive.Node{Name: "R"}), n.Key())
	if err != nil || len(differences) != MaxDifferences {
		t.Errorf("got %d differences, %v; want %d", len(differences), err, MaxDifferences)
	}
}

func TestValue(t *testing.T) {
	r, err := Open(makeHive(sample()))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path  hive.Path
		name  string
		typ   hive.Type
		data  string
		found bool
	}{
		{hive.Path{"КЛЮЧ"}, "Значение", hive.RegMultiSZ, "a\x00b\x00c", true},
		{hive.Path{"ключ"}, "", hive.RegDWORD, "\x01\x02\x03", true},
		{hive.Path{"ключ"}, "none", hive.RegNone, "", true},
		{hive.Path{"ключ"}, "DB", hive.RegBinary, "db\x01\x00 is only how it begins", true},
		{hive.Path{"CAFÉ"}, "which", hive.RegSZ, "e\x00\x00\x00", true},
		{hive.Path{"cafè"}, "which", 0, "", false},
		{hive.Path{"no", "such"}, "which", 0, "", false},
		{nil, "which", 0, "", false},
	} {
		typ, data, found, err := r.Value(tt.path, tt.name)
		if err != nil || typ != tt.typ || string(data) != tt.data || found != tt.found {
			t.Errorf("Value(%v, %q) = %v, %q, %v, %v", tt.path, tt.name, typ, data, found, err)
		}
	}
}

func TestDecodeName(t *testing.T) {
	for _, tt := range []struct {
		stored     string
		compressed bool
		want       string
	}{
		{"plain", true, "plain"}, {"caf\xe9", true, "café"}, {"", true, ""}, {"", false, ""},
		{"a\x00\x3d\xd8\x00\xde", false, "a😀"},
		{"\x3d\xd8", false, "\xed\xa0\xbd"},
		{"\x00\xde\x3d\xd8", false, "\xed\xb8\x80\xed\xa0\xbd"},
		{"\xfd\xff", false, "\uFFFD"}, {"a\x00b", false, "a"},
	} {
		if got := decodeName(tt.stored, tt.compressed); got != tt.want {
			t.Errorf("decodeName(%q, %v) = %q, want %q", tt.stored, tt.compressed, got, tt.want)
		}
	}
}

// TestHostile feeds what Check would have refused: none of it may end the
// process, hang, or pass for sound.
func TestHostile(t *testing.T) {
	root := (&hive.Node{Name: "R"}).Key()
	t.Run("list of itself", func(t *testing.T) {
		m := newMaker()
		self := uint32(len(m.bin))
		m.list("ri", self, self)
		_, err := Compare(m.hive(m.nk("R", 2, self, nil)), root)
		if !errors.Is(err, hive.ErrCorrupt) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("li of itself", func(t *testing.T) {
		m := newMaker()
		self := uint32(len(m.bin))
		m.list("li", self)
		_, err := Compare(m.hive(m.nk("R", 1, self, nil)), root)
		if !errors.Is(err, hive.ErrCorrupt) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("shared leaves", func(t *testing.T) {
		m := newMaker()
		key := m.nk("k", 0, noList, nil)
		keys := make([]uint32, 2000)
		for i := range keys {
			keys[i] = key
		}
		leaf := m.list("li", keys...)
		for i := range keys {
			keys[i] = leaf
		}
		_, err := Compare(m.hive(m.nk("R", 1, m.list("ri", keys...), nil)), root)
		if !errors.Is(err, errWork) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("cycle of keys", func(t *testing.T) {
		m := newMaker()
		// R holds A, and A's list names R's cell, which is the next one to be made.
		list := m.list("lf", 0)
		a := m.nk("A", 1, list, nil)
		rootList := m.list("lf", a)
		top := m.nk("R", 1, rootList, nil)
		le.PutUint32(m.bin[list+8:], top)
		n := &hive.Node{Name: "R", Keys: []*hive.Node{{Name: "A", Keys: []*hive.Node{{Name: "R"}}}}}
		wantOne(t, m.hive(top), n.Key(), `A\R: the second reader meets this key twice`)
	})
	t.Run("value count", func(t *testing.T) {
		m := newMaker()
		top := m.nk("R", 0, noList, nil)
		le.PutUint32(m.bin[top+4+36:], 0xfffffff0)
		if _, err := Compare(m.hive(top), root); !errors.Is(err, errWork) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("data behind the end", func(t *testing.T) {
		m := newMaker()
		v := m.vk(hive.NodeValue{Name: "v", Type: hive.RegQWORD, Data: []byte("12345678")})
		le.PutUint32(m.bin[v+4+8:], 0x7fffff00)
		n := &hive.Node{Name: "R", Values: []hive.NodeValue{{Name: "v", Type: hive.RegQWORD, Data: []byte("12345678")}}}
		if _, err := Compare(m.hive(m.nk("R", 0, noList, []uint32{v})), n.Key()); err == nil {
			t.Error("no error")
		}
	})
	t.Run("no hive", func(t *testing.T) {
		for _, data := range [][]byte{nil, []byte("regf"), make([]byte, 8192), append([]byte("regf"), make([]byte, 8192)...)} {
			if _, err := Compare(data, root); err == nil {
				t.Errorf("%d bytes that are no hive were accepted", len(data))
			}
		}
	})
}

func FuzzCompare(f *testing.F) {
	n := sample()
	f.Add(makeHive(n))
	root := n.Key()
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			t.Skip("longer than any seed")
		}
		differences, err := Compare(data, root)
		if len(differences) > MaxDifferences {
			t.Fatalf("%d differences", len(differences))
		}
		if err != nil {
			return
		}
		// What passes for equal must hold the sample's longest data somewhere.
		if len(differences) == 0 && !bytes.Contains(data, n.Keys[2].Values[5].Data) {
			t.Fatal("a hive without the sample's data passes for the sample")
		}
	})
}
