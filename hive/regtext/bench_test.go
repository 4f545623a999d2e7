package regtext

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"hivemend/hive"
)

// export returns the tree of an export whose text takes about 20 MB: keys of a
// few values each, of the kinds and sizes that a SOFTWARE hive has.
func export() *hive.Node {
	rng := rand.New(rand.NewPCG(1, 2))
	root := &hive.Node{Name: hive.LocalMachine, Partial: true}
	for i := range 100 {
		vendor := &hive.Node{Name: fmt.Sprintf("Vendor%03d", i)}
		root.Keys = append(root.Keys, vendor)
		for j := range 100 {
			vendor.Keys = append(vendor.Keys, exportKey(rng, j))
		}
	}
	return &hive.Node{Partial: true, Keys: []*hive.Node{root}}
}

func exportKey(rng *rand.Rand, n int) *hive.Node {
	k := &hive.Node{Name: fmt.Sprintf("{%08X-0000-1000-8000-%012X}", rng.Uint32(), n)}
	add := func(name string, t hive.Type, data []byte) {
		k.Values = append(k.Values, hive.NodeValue{Name: name, Type: t, Data: data})
	}
	add("", hive.RegSZ, sz("Component of no particular name"))
	add("Start", hive.RegDWORD, dword(rng.Uint32()))
	add("InprocServer32", hive.RegSZ, sz(`C:\Program Files\Common Files\System\component.dll`))
	add("ImagePath", hive.RegExpandSZ, sz(`%SystemRoot%\System32\svchost.exe -k`))
	data := make([]byte, rng.IntN(400))
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	add("FailureActions", hive.RegBinary, data)
	return k
}

// exportText returns the text of export.
func exportText(b *testing.B) []byte {
	var out bytes.Buffer
	w := NewWriter(&out, WriterOptions{})
	if err := WriteTree(w, nil, export().Key()); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

func BenchmarkParse(b *testing.B) {
	text := exportText(b)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		if _, err := Parse(text, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTree(b *testing.B) {
	text := exportText(b)
	f, err := Parse(text, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		f.Tree()
	}
}

func BenchmarkPrint(b *testing.B) {
	k := export().Key()
	b.SetBytes(int64(len(exportText(b))))
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		w := NewWriter(io.Discard, WriterOptions{})
		if err := WriteTree(w, nil, k); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadOnce is the least that any reader can do: to look at each byte.
func BenchmarkReadOnce(b *testing.B) {
	text := exportText(b)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if bytes.IndexByte(text, 0xee) == -2 {
			b.Fatal()
		}
	}
}
