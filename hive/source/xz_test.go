package source

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/ulikunitz/xz"
)

// xzData compresses with the library's own writer.
func xzData(t testing.TB, data []byte, config xz.WriterConfig) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := config.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestXZ(t *testing.T) {
	data := bytes.Repeat([]byte("hive bins and cells "), 20000)
	one := xzData(t, data, xz.WriterConfig{})
	for name, tt := range map[string]struct{ packed, want []byte }{
		"crc64":   {one, data},
		"crc32":   {xzData(t, data, xz.WriterConfig{CheckSum: xz.CRC32}), data},
		"sha256":  {xzData(t, data, xz.WriterConfig{CheckSum: xz.SHA256}), data},
		"none":    {xzData(t, data, xz.WriterConfig{NoCheckSum: true}), data},
		"blocks":  {xzData(t, data, xz.WriterConfig{BlockSize: 50000}), data},
		"empty":   {xzData(t, nil, xz.WriterConfig{}), nil},
		"streams": {append(append(bytes.Clone(one), 0, 0, 0, 0), one...), append(bytes.Clone(data), data...)},
	} {
		got, err := io.ReadAll(newXZReader(bytes.NewReader(tt.packed), 128<<20))
		if err != nil || !bytes.Equal(got, tt.want) {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(tt.want))
		}
	}
}

func TestXZDamage(t *testing.T) {
	data := bytes.Repeat([]byte("hive bins and cells "), 500)
	packed := xzData(t, data, xz.WriterConfig{BlockSize: 4000, DictCap: 4096})
	for n := range packed {
		if _, err := io.ReadAll(newXZReader(bytes.NewReader(packed[:n]), 128<<20)); err == nil {
			t.Fatalf("cut at %d of %d: no error", n, len(packed))
		}
		bad := bytes.Clone(packed)
		bad[n] ^= 0x10
		// A length that the decoder does not need may change without harm.
		if got, err := io.ReadAll(newXZReader(bytes.NewReader(bad), 128<<20)); err == nil && !bytes.Equal(got, data) {
			t.Fatalf("byte %d changed: other data, and no error", n)
		}
	}
	var limit *LimitError
	if _, err := io.ReadAll(newXZReader(bytes.NewReader(packed), 1<<10)); !errors.As(err, &limit) || limit.Flag != "--max-window" {
		t.Errorf("a dictionary that is too large: %v", err)
	}
}

func FuzzXZ(f *testing.F) {
	f.Add(xzData(f, []byte("hive"), xz.WriterConfig{DictCap: 4096}))
	f.Add(xzData(f, bytes.Repeat([]byte("ab"), 3000), xz.WriterConfig{DictCap: 4096, BlockSize: 1000, CheckSum: xz.CRC32}))
	f.Fuzz(func(t *testing.T, packed []byte) {
		const most = 1 << 20
		got, err := io.ReadAll(io.LimitReader(newXZReader(bytes.NewReader(packed), 1<<20), most))
		if err != nil || len(got) == most {
			return
		}
		// What we accept the library must accept, with the same result.
		r, err := xz.ReaderConfig{}.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatalf("the library refuses it: %v", err)
		}
		want, err := io.ReadAll(io.LimitReader(r, most))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("got %d bytes; the library, %d bytes and %v", len(got), len(want), err)
		}
	})
}
