package regtext

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"hivemend/hive"
	"hivemend/hive/cursor"
)

// damagedStore is a tree in which the values named "bad" cannot be read.
type damagedStore struct{ hive.Store }

var errBadCell = errors.New("bad cell")

func (s damagedStore) ValueData(v hive.Ref) ([]byte, error) {
	if s.ValueName(v) == "bad" {
		return nil, errBadCell
	}
	return s.Store.ValueData(v)
}

func damaged(n *hive.Node) hive.Key {
	store, _ := n.Key().Store()
	return hive.RootKey(damagedStore{store})
}

func damagedTree() *hive.Node {
	return below(node("root", value("a\nb", 4, 1), value("bad", 4, 2), value("x", 4, 3), value("X", 4, 4)),
		below(node(`back\slash`), node("lost with it")),
		node("good", value("y", 4, 5)),
		below(node("GOOD", value("z", 4, 6)), node("lost too")),
		node("nul\x00"))
}

func TestWriteTreeSkips(t *testing.T) {
	var out bytes.Buffer
	var skipped []string
	w := NewWriter(&out, WriterOptions{Skip: func(err error) { skipped = append(skipped, err.Error()) }})
	if err := WriteTree(w, key, damaged(damagedTree())); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	want := v5Header + "\r\n" + top + "\"x\"=dword:00000003\r\n\r\n" + strings.Replace(top, "K]", "K\\good]", 1) + "\"y\"=dword:00000005\r\n\r\n"
	if got := cursor.String(out.Bytes()); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	k := `key HKEY_LOCAL_MACHINE\Software\K`
	wantSkipped := []string{
		k + `, value "a\u000ab": .reg text cannot carry a value name with a line break inside`,
		k + `, value "bad": bad cell`,
		k + `, value "X": .reg text cannot carry two values of one name; the first one was written`,
		k + `\back\slash: .reg text cannot carry a key name with a backslash inside`,
		k + `\GOOD: .reg text cannot carry two keys of one name; the first one was written`,
		k + `\nul\u0000: .reg text cannot carry a key name with a NUL inside`,
	}
	if !reflect.DeepEqual(skipped, wantSkipped) {
		t.Errorf("skipped %q, want %q", skipped, wantSkipped)
	}
}

func TestWriteTreeRefuses(t *testing.T) {
	for _, n := range []*hive.Node{
		node("r", value("a\nb", 4, 1)), node("r", value("bad", 4, 1)), below(node("r"), node("a"), node("A")), below(node("r"), node("a\\b")),
	} {
		err := WriteTree(NewWriter(&bytes.Buffer{}, WriterOptions{}), key, damaged(n))
		if !errors.Is(err, ErrUnrepresentable) && !errors.Is(err, errBadCell) {
			t.Errorf("%+v: %v", n, err)
		}
	}
}

func TestManyNamesOfOneKey(t *testing.T) {
	n := node("r")
	for i := range 40 {
		n.Keys = append(n.Keys, node(strings.Repeat("k", i+1)))
	}
	n.Keys = append(n.Keys, node("KKKKK"), node("KKKKKKKKKKKKKKKKKKKK"))
	skipped := 0
	w := NewWriter(&bytes.Buffer{}, WriterOptions{Skip: func(error) { skipped++ }})
	n.Keys = append(n.Keys, node("new"), node("NEW"), node("o"), node("O"))
	if err := WriteTree(w, key, n.Key()); err != nil || skipped != 4 {
		t.Errorf("%d skipped, %v; want 4", skipped, err)
	}
}

// failingWriter takes some bytes and then no more.
type failingWriter struct{ left int }

var errFull = errors.New("disk full")

func (w *failingWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestWriterReportsItsWriter(t *testing.T) {
	n := node("r")
	for range 3 {
		n.Values = append(n.Values, hive.NodeValue{Name: strings.Repeat("v", 1+len(n.Values)), Type: 3, Data: make([]byte, flushAt)})
	}
	for _, left := range []int{0, 1 << 19} {
		skip := func(err error) { t.Errorf("skipped: %v", err) }
		w := NewWriter(&failingWriter{left}, WriterOptions{Skip: skip})
		if err := WriteTree(w, key, n.Key()); !errors.Is(err, errFull) {
			t.Errorf("%d: WriteTree gives %v", left, err)
		}
		for _, err := range []error{w.Close(), w.Key(key), w.Comment("c"), w.Value("a", 1, nil), w.DeleteValue("a"), w.DeleteKey(key)} {
			if !errors.Is(err, errFull) {
				t.Errorf("%d: a later call gives %v", left, err)
			}
		}
	}
	if err := NewWriter(&failingWriter{}, WriterOptions{}).Close(); !errors.Is(err, errFull) {
		t.Errorf("Close gives %v", err)
	}
}

func TestWriteEdits(t *testing.T) {
	edits := []hive.Edit{
		{Op: hive.DeleteValue, Key: key, Value: "a"},
		{Op: hive.SetValue, Key: key, Value: "", Type: 1, Data: sz("x")},
		{Op: hive.DeleteKey, Key: key.Join("sub")},
		{Op: hive.DeleteValue, Key: key, Value: "b"},
		{Op: hive.CreateKey, Key: key},
	}
	got := cursor.String(printEdits(t, WriterOptions{}, edits))
	want := v5Header + "\r\n" + top + "\"a\"=-\r\n@=\"x\"\r\n\r\n[-" + top[1:len(top)-3] + "\\sub]\r\n\r\n" + top + "\"b\"=-\r\n\r\n" + top + "\r\n"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if err := WriteEdits(NewWriter(&bytes.Buffer{}, WriterOptions{}), []hive.Edit{{Op: "x", Key: key}}); err == nil {
		t.Error("an unknown op is written")
	}
}

func TestKeyLines(t *testing.T) {
	n := below(node("k\n", value("", 4, 1), hive.NodeValue{Name: "a\r\n\\", Type: 1, Data: sz("x\u202ey")},
		hive.NodeValue{Name: "h", Type: 3, Data: counting(24)}, value("bad", 4, 1), hive.NodeValue{Name: "s", Type: 1, Data: []byte("x")}), node("below"))
	got := KeyLines(hive.Path{hive.Users, "k\n"}, damaged(n))
	want := []string{
		`[HKEY_USERS\k\u000a]`, `@=dword:00000001`, `"a\u000d\u000a\\"="x\u202ey"`,
		`"h"=hex:` + list(0, 23) + `,\`, "  " + list(23, 24), `; "bad" cannot be read: bad cell`, `"s"=hex(1):78`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestCommentsAreRead: a comment ahead of the first section disturbs no reader.
func TestCommentsAreRead(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out, WriterOptions{})
	for _, err := range []error{w.Comment("a \\\r\n[b]\r\x00c"), w.Key(key), w.Comment("\"x\"=\"y\""), w.Value("h", 3, counting(50)), w.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if f := parse(t, out.Bytes(), Options{Strict: true}); len(f.Ops) != 2 {
		t.Errorf("ops %+v", f.Ops)
	}
}

func TestParseDialect(t *testing.T) {
	for _, d := range []Dialect{Lossless, Regedit, Regedit4} {
		if got, err := ParseDialect(d.String()); got != d || err != nil {
			t.Errorf("%s gives %v, %v", d, got, err)
		}
	}
	if _, err := ParseDialect("unknown"); err == nil {
		t.Error("unknown is taken for a dialect")
	}
}
