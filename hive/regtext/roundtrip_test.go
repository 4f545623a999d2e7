package regtext

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"hivemend/hive"
	"hivemend/hive/cursor"
)

// printEdits writes edits, all of which must be representable.
func printEdits(t testing.TB, opt WriterOptions, edits []hive.Edit) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out, opt)
	if err := WriteEdits(w, edits); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// sameEdits compares edits; no data and data of no length are the same.
func sameEdits(a, b []hive.Edit) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		if !bytes.Equal(x.Data, y.Data) {
			return false
		}
		x.Data, y.Data = nil, nil
		if !reflect.DeepEqual(x, y) {
			return false
		}
	}
	return true
}

// checkReprint: what was read can be written, and is read again as the same.
func checkReprint(t testing.TB, f *File, anyRoot bool) {
	edits := f.Edits()
	text := printEdits(t, WriterOptions{AnyRoot: anyRoot}, edits)
	again, err := Parse(text, Options{AnyRoot: anyRoot, Strict: true})
	if err != nil {
		t.Fatalf("%v in\n%s", err, cursor.String(text))
	}
	if !sameEdits(again.Edits(), edits) {
		t.Fatalf("read again as %v, want %v", again.Edits(), edits)
	}
}

func TestVectorsAreReprinted(t *testing.T) {
	for _, v := range readVectors(t) {
		if f, err := Parse(v.data(t), Options{AllowSwallowed: true}); err == nil {
			checkReprint(t, f, false)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range readVectors(f) {
		f.Add(v.data(f), false, 0)
		f.Add(v.data(f), true, 932)
	}
	f.Add([]byte("REGEDIT\nHKEY_CLASSES_ROOT\\a = b"), true, 0)
	f.Fuzz(func(t *testing.T, data []byte, lax bool, codePage int) {
		Sniff(data)
		opt := Options{AllowSwallowed: lax, AnyRoot: lax, TerminateStrings: lax, CodePage: codePage}
		file, err := Parse(data, opt)
		if err != nil {
			return
		}
		checkReprint(t, file, lax)
		tree := file.Tree()
		var out bytes.Buffer
		w := NewWriter(&out, WriterOptions{AnyRoot: lax})
		if err := WriteTree(w, nil, tree.Key()); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		again := parse(t, out.Bytes(), Options{Strict: true, AnyRoot: lax}).Tree()
		for _, k := range tree.Keys {
			settleUnknown(k)
		}
		forgetOrigins(tree)
		forgetOrigins(again)
		if !sameTree(tree, again) {
			t.Fatalf("tree read again differs:\n%s", cursor.String(out.Bytes()))
		}
	})
}

// settleUnknown makes complete the keys that have no section and nothing below
// them, which are left where a key was deleted: they are written with one.
func settleUnknown(n *hive.Node) {
	n.Partial = n.Partial && len(n.Keys) > 0
	for _, k := range n.Keys {
		settleUnknown(k)
	}
}

func sameTree(a, b *hive.Node) bool {
	if a.Name != b.Name || a.Partial != b.Partial || len(a.Keys) != len(b.Keys) || len(a.Values) != len(b.Values) {
		return false
	}
	for i, v := range a.Values {
		w := b.Values[i]
		if v.Name != w.Name || v.Type != w.Type || !bytes.Equal(v.Data, w.Data) {
			return false
		}
	}
	for i := range a.Keys {
		if !sameTree(a.Keys[i], b.Keys[i]) {
			return false
		}
	}
	return true
}

// FuzzRoundTrip writes one value and reads it back. Names are given as
// UTF-16LE, so that every run of units is tried.
func FuzzRoundTrip(f *testing.F) {
	f.Add(wide("K"), wide("a"), uint32(1), sz("text"))
	f.Add(wide("a]b;\"c"), wide(`\"@=-`), uint32(1), sz("a\r\nb"))
	f.Add([]byte{0, 0xd8}, []byte{0, 0xdc, 0, 0xd8}, uint32(1), []byte{0, 0xd8, 0, 0})
	f.Add(wide(" "), []byte{}, uint32(0xffffffff), bytes.Repeat([]byte{7}, 300))
	f.Add(wide("a\\b"), wide("\n"), uint32(4), dword(7))
	f.Fuzz(func(t *testing.T, keyName, valueName []byte, typ uint32, data []byte) {
		path := hive.Path{hive.Users, cursor.String(keyName), "sub"}
		name := cursor.String(valueName)
		var out bytes.Buffer
		w := NewWriter(&out, WriterOptions{})
		err := w.Key(path)
		if err == nil {
			err = w.Value(name, hive.Type(typ), data)
		}
		bad := badName(path[1], maxKeyName, "\\\r\n\x00") || path[1] == "" || badName(name, maxValueName, "\r\n\x00")
		if bad != errors.Is(err, ErrUnrepresentable) || !bad && err != nil {
			t.Fatalf("%q, %q: %v", path, name, err)
		}
		if bad {
			return
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got := parse(t, out.Bytes(), Options{Strict: true}).Edits()
		want := []hive.Edit{{Op: hive.CreateKey, Key: path}, {Op: hive.SetValue, Key: path, Value: name, Type: hive.Type(typ), Data: data}}
		if !sameEdits(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

func badName(name string, most int, bad string) bool {
	return strings.ContainsAny(name, bad) || cursor.UnitLen(name) > most
}

// randomTree returns a tree of random shape, names and data. Every key below
// the registry roots is complete or has something below it.
func randomTree(rng *rand.Rand) *hive.Node {
	root := &hive.Node{Partial: true}
	for _, name := range []string{hive.LocalMachine, hive.Users} {
		k := &hive.Node{Name: name, Partial: true}
		root.Keys = append(root.Keys, k)
		fillRandom(rng, k, 4)
	}
	return root
}

func fillRandom(rng *rand.Rand, n *hive.Node, depth int) {
	seen := map[string]bool{}
	for range rng.IntN(20) {
		v := hive.NodeValue{Name: randomName(rng), Type: randomType(rng), Data: randomData(rng)}
		if n.Partial || seen[hive.Fold(v.Name)] {
			continue
		}
		seen[hive.Fold(v.Name)] = true
		n.Values = append(n.Values, v)
	}
	clear(seen)
	for range 1 + rng.IntN(depth) {
		k := &hive.Node{Name: "k" + randomName(rng), Partial: depth > 1 && rng.IntN(4) == 0}
		if seen[hive.Fold(k.Name)] {
			continue
		}
		seen[hive.Fold(k.Name)] = true
		n.Keys = append(n.Keys, k)
		if depth > 1 {
			fillRandom(rng, k, depth-1)
		}
	}
}

func randomName(rng *rand.Rand) string {
	const special = "@=-[];,\"# \tAaZz09\u00e9\u4e2d\u2028\ufeff"
	alphabet := append(cursor.UnitsFromString(special), 0xd800, 0xdc00, 0xdfff)
	units := make([]uint16, rng.IntN(30))
	for i := range units {
		units[i] = alphabet[rng.IntN(len(alphabet))]
	}
	return cursor.StringFromUnits(units)
}

func randomType(rng *rand.Rand) hive.Type {
	if rng.IntN(8) == 0 {
		return hive.Type(rng.Uint32())
	}
	return hive.Type(rng.IntN(12))
}

func randomData(rng *rand.Rand) []byte {
	switch rng.IntN(4) {
	case 0:
		return dword(rng.Uint32())
	case 1:
		return sz(strings.Repeat(`a\"`, rng.IntN(50)))
	case 2:
		return sz(strings.ReplaceAll(randomName(rng), "\x00", "") + "\n")
	}
	data := make([]byte, rng.IntN(200))
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	return data
}

func TestRandomTreesComeBack(t *testing.T) {
	for seed := range uint64(60) {
		tree := randomTree(rand.New(rand.NewPCG(seed, 0)))
		var out bytes.Buffer
		w := NewWriter(&out, WriterOptions{})
		if err := WriteTree(w, nil, tree.Key()); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		again := parse(t, out.Bytes(), Options{Strict: true}).Tree()
		if !sameTree(tree, again) {
			t.Fatalf("seed %d: the tree is not the same", seed)
		}
		if wide := out.Bytes(); !bytes.Equal(rewrite(t, again), wide) {
			t.Fatalf("seed %d: the text is not the same", seed)
		}
	}
}

func rewrite(t *testing.T, tree *hive.Node) []byte {
	var out bytes.Buffer
	w := NewWriter(&out, WriterOptions{})
	if err := WriteTree(w, nil, tree.Key()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestRegeditDialectKeepsLineBreaks(t *testing.T) {
	for _, text := range []string{"a\nb", "a\r\nb", "\n", "\r", "a\r", "\r\n\r\n", "\"\n\\", "a\n\n\"x\""} {
		data := write(t, WriterOptions{Dialect: Regedit}, key, entry{"a", hive.RegSZ, sz(text)}, entry{"b", hive.RegDWORD, dword(1)})
		f := parse(t, data, Options{})
		if got := f.Ops[1].Data; len(f.Ops) != 3 || !bytes.Equal(got, sz(text)) {
			t.Errorf("%q comes back as %q", text, cursor.String(got))
		}
	}
}

func TestRegedit4(t *testing.T) {
	entries := []entry{
		{"Gr\u00f6\u00dfe", hive.RegSZ, sz("\u20ac")},
		{"b", hive.RegExpandSZ, sz("\u00e9")},
		{"c", hive.RegMultiSZ, sz("a\x00b\x00")},
		{"d", hive.RegBinary, []byte{0xe9, 0}},
		{"e", hive.RegLink, wide("l")},
	}
	got := write(t, WriterOptions{Dialect: Regedit4}, key, entries...)
	want := "REGEDIT4\r\n\r\n" + top + "\"Gr\xf6\xdfe\"=\"\x80\"\r\n\"b\"=hex(2):e9,00\r\n\"c\"=hex(7):61,00,62,00,00\r\n\"d\"=hex:e9,00\r\n\"e\"=hex(6):6c,00\r\n\r\n"
	if string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
	f := parse(t, got, Options{CodePage: 1252})
	for i, e := range entries {
		if op := f.Ops[i+1]; op.Name != e.name || op.Type != e.typ || !bytes.Equal(op.Data, e.data) {
			t.Errorf("%q comes back as %+v", e.name, op)
		}
	}
	got = write(t, WriterOptions{Dialect: Regedit4, CodePage: 932}, key, entry{"\u30bd", hive.RegMultiSZ, sz("\u30bd\x00")})
	if want := "REGEDIT4\r\n\r\n" + top + "\"\x83\\\"=hex(7):83,5c,00,00\r\n\r\n"; string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestRegedit4Refuses(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out, WriterOptions{Dialect: Regedit4})
	if err := w.Key(hive.Path{hive.Users, "\u4e2d"}); !errors.Is(err, ErrUnrepresentable) {
		t.Errorf("key: %v", err)
	}
	if err := w.Key(key); err != nil {
		t.Fatal(err)
	}
	for _, e := range []entry{
		{"\u4e2d", hive.RegDWORD, nil}, {"a", hive.RegSZ, sz("\u4e2d")}, {"a", hive.RegExpandSZ, sz("\u4e2d")},
		{"a", hive.RegMultiSZ, []byte{'a', 0, 0}}, {"a", hive.RegExpandSZ, []byte{0, 0xd8}},
	} {
		if err := w.Value(e.name, e.typ, e.data); !errors.Is(err, ErrUnrepresentable) {
			t.Errorf("%v: %v", e, err)
		}
	}
	if err := w.Comment("\u4e2d"); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if got, want := out.String(), "REGEDIT4\r\n\r\n"+top+"; ?\r\n\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if err := NewWriter(&out, WriterOptions{Dialect: Regedit4, CodePage: 7}).Key(key); err == nil {
		t.Error("an unknown code page is no error")
	}
}
