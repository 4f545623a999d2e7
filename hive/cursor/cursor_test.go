package cursor

import (
	"slices"
	"testing"
	"time"
)

func TestSubNeverWraps(t *testing.T) {
	b := make([]byte, 8)
	for _, tt := range []struct {
		off, n uint64
		ok     bool
	}{
		{0, 8, true}, {8, 0, true}, {4, 4, true},
		{0, 9, false}, {9, 0, false}, {4, 5, false},
		{1 << 63, 1 << 63, false}, {^uint64(0), 2, false}, {2, ^uint64(0), false},
	} {
		s, ok := Sub(b, tt.off, tt.n)
		if ok != tt.ok || ok && uint64(len(s)) != tt.n {
			t.Errorf("Sub(8 bytes, %d, %d) = %d bytes, %v; want ok %v", tt.off, tt.n, len(s), ok, tt.ok)
		}
	}
}

func TestCursorStaysWhereItFailed(t *testing.T) {
	c := New([]byte{1, 0, 2, 0, 0, 0, 9})
	if v, err := c.U16(); v != 1 || err != nil {
		t.Fatalf("U16 = %d, %v", v, err)
	}
	if v, err := c.U32(); v != 2 || err != nil {
		t.Fatalf("U32 = %d, %v", v, err)
	}
	if _, err := c.U16(); err == nil {
		t.Fatal("U16 over the end gave no error")
	}
	if c.Pos() != 6 || c.Len() != 1 {
		t.Errorf("after a failed read: pos %d, len %d; want 6, 1", c.Pos(), c.Len())
	}
	if v, err := c.U8(); v != 9 || err != nil {
		t.Errorf("U8 = %d, %v", v, err)
	}
}

func TestUnitsSurviveAsString(t *testing.T) {
	for _, units := range [][]uint16{
		nil, {'a', 0, 'b'}, {0xd800}, {0xdc00, 0xd800}, {0xd83d, 0xde00}, {0xd800, 'x', 0xdfff}, {0xe9, 0x4e2d, 0xffff, 0xfffd},
	} {
		s := StringFromUnits(units)
		if got := UnitsFromString(s); !slices.Equal(got, units) {
			t.Errorf("%x -> %q -> %x", units, s, got)
		}
		if got := UnitLen(s); got != len(units) {
			t.Errorf("UnitLen(%q) = %d, want %d", s, got, len(units))
		}
	}
}

func TestFileTime(t *testing.T) {
	at := time.Date(2011, 7, 14, 4, 53, 19, 123456700, time.UTC)
	f := FromTime(at)
	if !f.Time().Equal(at) {
		t.Errorf("%v -> %v", at, f.Time())
	}
	if got, want := f.String(), "2011-07-14T04:53:19.1234567Z"; got != want {
		t.Errorf("String = %s, want %s", got, want)
	}
	if got := FileTime(0).String(); got != "" {
		t.Errorf("zero FILETIME prints %q", got)
	}
	if got := FileTime(1).String(); got != "1601-01-01T00:00:00.0000001Z" {
		t.Errorf("first tick prints %q", got)
	}
	if got := (^FileTime(0)).String(); got != "9999-12-31T23:59:59.9999999Z" {
		t.Errorf("last FILETIME prints %q", got)
	}
}

func FuzzUTF16(f *testing.F) {
	f.Add([]byte("a\x00b\x00"))
	f.Add([]byte{0x00, 0xd8, 0x3d, 0xd8, 0x00, 0xde})
	f.Fuzz(func(t *testing.T, b []byte) {
		units := Units(b)
		s := StringFromUnits(units)
		if got := UnitsFromString(s); !slices.Equal(got, units) {
			t.Fatalf("%x -> %q -> %x", units, s, got)
		}
		if UnitLen(s) != len(units) {
			t.Fatalf("length of %q", s)
		}
	})
}
