package der

import (
	"bytes"
	"encoding/asn1"
	"testing"
)

func TestNext(t *testing.T) {
	for _, tt := range []struct {
		name  string
		data  []byte
		start int // of the content; -1: an error is due
		end   int
	}{
		{"short", []byte{0x30, 2, 5, 0}, 2, 4},
		{"empty", []byte{0x30, 0}, 2, 2},
		{"one length octet", append([]byte{4, 0x81, 0x80}, make([]byte, 128)...), 3, 131},
		{"two length octets", append([]byte{4, 0x82, 1, 0}, make([]byte, 256)...), 4, 260},
		{"nothing", nil, -1, 0},
		{"tag alone", []byte{0x30}, -1, 0},
		{"overrun", []byte{0x30, 3, 5, 0}, -1, 0},
		{"indefinite", []byte{0x30, 0x80, 0, 0}, -1, 0},
		{"long form of a short length", []byte{4, 0x81, 1, 0}, -1, 0},
		{"leading zero length octet", append([]byte{4, 0x82, 0, 0x80}, make([]byte, 128)...), -1, 0},
		{"five length octets", []byte{4, 0x85, 1, 0, 0, 0, 0}, -1, 0},
		{"length of 4 GiB", []byte{4, 0x84, 0xff, 0xff, 0xff, 0xff, 0}, -1, 0},
		{"length cut off", []byte{4, 0x82, 1}, -1, 0},
		{"long tag", []byte{0x1f, 0x81, 1, 0}, -1, 0},
	} {
		r := NewReader(tt.data, 0, len(tt.data))
		e, err := r.Next()
		if tt.start < 0 {
			if err == nil {
				t.Errorf("%s: no error", tt.name)
			} else if r.Pos() != 0 {
				t.Errorf("%s: the reader moved to %d", tt.name, r.Pos())
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if e.Start != tt.start || e.End != tt.end || r.More() {
			t.Errorf("%s: content %d..%d, want %d..%d", tt.name, e.Start, e.End, tt.start, tt.end)
		}
	}
}

func TestReaderStaysInsideItsElement(t *testing.T) {
	data := []byte{0x30, 3, 4, 2, 1, 9, 9, 9}
	outer, err := NewReader(data, 0, len(data)).Next()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := outer.Children().Next(); err == nil || !err.Overrun || err.Offset != 2 {
		t.Errorf("the inner string reaches past its parent: %v", err)
	}
}

func TestOID(t *testing.T) {
	for _, tt := range []struct {
		content []byte
		want    string // "": not valid
	}{
		{[]byte{0x2b, 0x0e, 0x03, 0x02, 0x1d}, "1.3.14.3.2.29"},
		{[]byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02}, "1.2.840.113549.1.7.2"},
		{[]byte{0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x12, 0x05}, "1.3.6.1.4.1.311.18.5"},
		{[]byte{0x55, 0x1d, 0x23}, "2.5.29.35"},
		{[]byte{0x88, 0x37}, "2.999"},
		{nil, ""},
		{[]byte{0x2a, 0x86}, ""},
		{[]byte{0x2a, 0x80, 0x01}, ""},
		{bytes.Repeat([]byte{0xff}, 12), ""},
		{make([]byte, 65), ""},
	} {
		got, ok := OID(tt.content)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("OID(%x) = %q, %v; want %q", tt.content, got, ok, tt.want)
		}
	}
}

// FuzzNext holds the reader against the standard library's: what this one
// accepts has the same extent there, and the other way round for elements
// inside what this one supports.
func FuzzNext(f *testing.F) {
	f.Add([]byte{0x30, 2, 5, 0})
	f.Add([]byte{4, 0x81, 0x80, 0})
	f.Add([]byte{0x30, 0x80, 0, 0})
	f.Add(append([]byte{4, 0x82, 1, 0}, make([]byte, 256)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(data, 0, len(data))
		e, err := r.Next()
		var raw asn1.RawValue
		rest, stdErr := asn1.Unmarshal(data, &raw)
		if err != nil {
			if stdErr == nil && data[0]&0x1f != 0x1f {
				t.Fatalf("refused (%v), but it is %d bytes of DER", err, len(raw.FullBytes))
			}
			return
		}
		if total, ok := Header(data, 0, len(data)); !ok || total != uint64(e.Len()) {
			t.Fatalf("Header says %d, %v; Next %d", total, ok, e.Len())
		}
		if stdErr == nil && (e.End != len(data)-len(rest) || !bytes.Equal(e.Content(), raw.Bytes) || !bytes.Equal(e.Raw(), raw.FullBytes)) {
			t.Fatalf("%x: ends at %d with content %x; encoding/asn1 has %x", data, e.End, e.Content(), raw.Bytes)
		}
	})
}

func FuzzOID(f *testing.F) {
	f.Add([]byte{0x2b, 0x0e, 0x03, 0x02, 0x1d})
	f.Fuzz(func(t *testing.T, content []byte) {
		got, ok := OID(content)
		var std asn1.ObjectIdentifier
		if len(content) > 64 {
			return
		}
		_, err := asn1.Unmarshal(append([]byte{6, byte(len(content))}, content...), &std)
		if err == nil && (!ok || got != std.String()) {
			t.Fatalf("%x: %q, %v; encoding/asn1 says %v", content, got, ok, std)
		}
	})
}
