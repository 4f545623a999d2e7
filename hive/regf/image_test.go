package regf

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"hivemend/hive"
)

// TestOpenRefuses gives Open files that are no hives and hives that Windows
// would refuse, and wants the place and the reason.
func TestOpenRefuses(t *testing.T) {
	sound := soundHive(t, 5)
	change := func(f func(b baseBlock)) []byte {
		data := bytes.Clone(sound)
		f(data)
		baseBlock(data).setChecksum(baseBlock(data).computeChecksum())
		return data
	}
	for _, tt := range []struct {
		name    string
		data    []byte
		offset  int64
		text    string
		lenient bool // refused by a lenient Open too
	}{
		{"empty", nil, -1, "an empty file", true},
		{"no magic", []byte("MZ\x90\x00 and more"), 0, `want "regf", found "MZ\x90\x00"`, true},
		{"short magic", []byte("re"), 0, "no registry hive", true},
		{"base block only", sound[:4096], -1, "4096 bytes: the file is truncated", true},
		{"half", sound[:len(sound)/2], 40, "the file is truncated", false},
		{"checksum", append([]byte("regf\xff"), sound[5:]...), 508, "want checksum", false},
		{"major", change(func(b baseBlock) { b.setMajor(2) }), 20, "want major version 1, found 2", false},
		{"minor", change(func(b baseBlock) { b.setMinor(7) }), 24, "found 7", false},
		{"log", change(func(b baseBlock) { b.setFileType(6) }), 28, "a transaction log", false},
		{"format", change(func(b baseBlock) { b.setFormat(0) }), 32, "want format 1", false},
		{"length", change(func(b baseBlock) { b.setLength(100) }), 40, "multiple of 4096", false},
		{"root", change(func(b baseBlock) { b.setRoot(0x7ffffff8) }), -1, "root key", false},
		{"bin", change(func(b baseBlock) { b[4096] = 'H' }), 4096, `bin at 0x1000: want "hbin"`, false},
		{"bin offset", change(func(b baseBlock) { binHeader(b[4096:]).setOffset(8) }), 4100, "want its own offset", false},
		{"bin size", change(func(b baseBlock) { binHeader(b[4096:]).setSize(100) }), 4104, "multiple of 4096", false},
		{"bin too large", change(func(b baseBlock) { binHeader(b[4096:]).setSize(1 << 30) }), 4104, "at most", false},
		{"no root at all", change(func(b baseBlock) {
			for at := range b[4096:] {
				if string(b[4096+at:][:min(2, len(b)-4096-at)]) == "nk" {
					b[4096+at] = 'x'
				}
			}
		}), 4132, `root key at 0x1024: want "nk", found "xk"`, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open(tt.data, OpenOptions{File: "X.hiv"})
			var format *hive.FormatError
			if !errors.As(err, &format) || !errors.Is(err, hive.ErrCorrupt) {
				t.Fatalf("error %v, want a FormatError", err)
			}
			if format.Offset != tt.offset || format.File != "X.hiv" || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %v (at %#x), want %q at %#x", err, format.Offset, tt.text, tt.offset)
			}
			if _, err := Open(tt.data, OpenOptions{Lenient: true}); (err != nil) != tt.lenient {
				t.Errorf("lenient: %v", err)
			}
		})
	}
}

func TestOpenRefusesOldVersions(t *testing.T) {
	for minor := range uint32(2) {
		data := soundHive(t, 5)
		baseBlock(data).setMinor(minor)
		baseBlock(data).setChecksum(baseBlock(data).computeChecksum())
		for _, lenient := range []bool{false, true} {
			if _, err := Open(data, OpenOptions{Lenient: lenient}); !errors.Is(err, hive.ErrUnsupported) || !strings.Contains(err.Error(), "NT 3") {
				t.Errorf("version 1.%d, lenient %v: %v", minor, lenient, err)
			}
		}
	}
}

// TestOpenLenientlyReadsAll damages what stands around the tree and wants the
// whole tree all the same.
func TestOpenLenientlyReadsAll(t *testing.T) {
	sound := soundHive(t, 5)
	keys, values, size := count(mustOpen(t, sound).Root())
	for _, tt := range []struct {
		name  string
		spoil func(b baseBlock)
	}{
		{"base block zeroed", func(b baseBlock) { clear(b[4:4096]) }},
		{"length zero", func(b baseBlock) { b.setLength(0) }},
		{"length too small", func(b baseBlock) { b.setLength(4096) }},
		{"length too large", func(b baseBlock) { b.setLength(1 << 30) }},
		{"version 1.0", func(b baseBlock) { b.setMinor(0) }},
		{"bin headers gone", func(b baseBlock) {
			for at := 4096; at < len(b); at += 4096 {
				if string(b[at:at+4]) == "hbin" {
					clear(b[at : at+32])
				}
			}
		}},
		{"bin sizes gone", func(b baseBlock) {
			for at := 4096; at < len(b); at += 4096 {
				if string(b[at:at+4]) == "hbin" {
					binHeader(b[at:]).setSize(4096 * 3)
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := bytes.Clone(sound)
			tt.spoil(data)
			im := mustOpen(t, data)
			if k, v, n := count(im.Root()); k != keys || v != values || n != size {
				t.Errorf("%d keys, %d values, %d bytes; want %d, %d, %d", k, v, n, keys, values, size)
			}
			if r := im.Check(); r.Sound() {
				t.Error("Check finds nothing")
			}
		})
	}
}

func TestHeader(t *testing.T) {
	im := mustOpen(t, soundHive(t, 3))
	h := im.Header()
	if h.Version() != "1.3" || h.Sequence1 != 7 || h.Sequence2 != 7 || h.FileName != `C:\TEST\HIVE` || h.LastWritten != 130000000000000000 ||
		h.Root != 0x1020 || h.Type != 0 || h.Format != 1 || h.Checksum != h.ComputedChecksum || int(h.Length) != len(im.Bytes())-4096 || h.Flags != 0 {
		t.Errorf("%+v", h)
	}
	if im.Dirty() {
		t.Error("dirty")
	}
	im.base.setSequence1(8)
	im.base.setChecksum(im.base.computeChecksum())
	if !im.Dirty() {
		t.Error("not dirty with sequence numbers 8 and 7")
	}
	copy(im.base[144:], "\xff\xff\xff\xff")
	if im.Header().Flags != 0 {
		t.Error("flags of an old hive are uninitialised memory")
	}
}

func TestChecksum(t *testing.T) {
	b := baseBlock(make([]byte, 512))
	for _, tt := range []struct{ first, want uint32 }{{0, 1}, {0xffffffff, 0xfffffffe}, {5, 5}} {
		le.PutUint32(b, tt.first)
		if got := b.computeChecksum(); got != tt.want {
			t.Errorf("checksum of %#x: %#x, want %#x", tt.first, got, tt.want)
		}
	}
}
