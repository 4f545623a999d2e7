package treejson

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"hivemend/hive"
)

func sample() *hive.Node {
	return &hive.Node{
		Name: "ROOT", LastWrite: 129551251991234567, Flags: 0x2c, Security: []byte{1, 2, 3},
		Values: []hive.NodeValue{{Name: "", Type: hive.RegSZ, Data: []byte{}}, {Name: "v\"\\\x01é😀", Type: 0xffff0012, Data: []byte{0, 255}}},
		Keys: []*hive.Node{
			{Name: "lone \xed\xa0\x80", Class: []byte{'J', 0}, Values: []hive.NodeValue{{Name: "\xed\xb0\x80", Type: hive.RegNone, Data: []byte{1}}}},
			{Name: "empty class", Class: []byte{}},
		},
	}
}

func TestRoundTrip(t *testing.T) {
	want := sample()
	var b bytes.Buffer
	prefix := hive.Path{hive.LocalMachine, "SYSTEM"}
	if err := Write(&b, want.Key(), prefix, 5); err != nil {
		t.Fatal(err)
	}
	doc, err := Read(b.Bytes())
	if err != nil {
		t.Fatalf("%v in\n%s", err, b.Bytes())
	}
	if !reflect.DeepEqual(doc.Root, want) {
		t.Errorf("got %+v, want %+v, from\n%s", doc.Root, want, b.Bytes())
	}
	if !doc.Prefix.Equal(prefix) || doc.Minor != 5 {
		t.Errorf("prefix %s, minor %d", doc.Prefix, doc.Minor)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"no JSON":      {"regf", "JSON"},
		"other schema": {`{"schema":"hivemend/tree/9","root":{"name":"x"}}`, "schema"},
		"no root":      {`{"schema":"hivemend/tree/1"}`, "root"},
		"odd hex":      {`{"schema":"hivemend/tree/1","prefix":"A","root":{"name":"x","values":[{"name":"v","type":1,"data":"0"}]}}`, `value "v", data`},
		"half a unit":  {`{"schema":"hivemend/tree/1","root":{"name":"x","nameUTF16":"00"}}`, "UTF-16"},
		"no time":      {`{"schema":"hivemend/tree/1","root":{"name":"x","lastWrite":"yesterday"}}`, "lastWrite"},
		"null key":     {`{"schema":"hivemend/tree/1","root":{"name":"x","keys":[null]}}`, "null"},
		"version":      {`{"schema":"hivemend/tree/1","regf":"two","root":{"name":"x"}}`, "version"},
		"too deep":     {`{"schema":"hivemend/tree/1","root":` + strings.Repeat(`{"name":"x","keys":[`, 600) + strings.Repeat("]}", 600) + `}`, "levels"},
	} {
		if _, err := Read([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one that names %q", name, err, tt.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	if err := Write(&b, sample().Key(), nil, 0); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, text []byte) {
		doc, err := Read(text)
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := Write(&out, doc.Root.Key(), doc.Prefix, doc.Minor); err != nil {
			t.Fatal(err)
		}
		again, err := Read(out.Bytes())
		if err != nil {
			t.Fatalf("what was written is refused: %v", err)
		}
		if hive.Digest(again.Root.Key()) != hive.Digest(doc.Root.Key()) {
			t.Fatal("what was written reads back as another tree")
		}
	})
}
