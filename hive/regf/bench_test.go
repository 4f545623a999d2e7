package regf

import (
	"fmt"
	"testing"

	"hivemend/hive"
)

// benchHive is a real SYSTEM hive of 13.9 MB where the corpus is at hand, and
// a built one of the same shape otherwise.
func benchHive(b *testing.B) ([]byte, hive.Path) {
	b.Helper()
	if corpusFolder() != "" {
		return corpusBytes(b, "hives/shimcache-SYSTEM.zip_zip-SYSTEM/SYSTEM.xz"), hive.ParsePath(`ControlSet001\Services\TermService\Parameters`)
	}
	root := &hive.Node{Name: "ROOT"}
	for i := range 100 {
		group := &hive.Node{Name: fmt.Sprintf("Group%03d", i)}
		for j := range 300 {
			k := &hive.Node{Name: fmt.Sprintf("{4D36E972-E325-11CE-%04X-08002BE10318}", j)}
			k.Values = append(k.Values,
				hive.NodeValue{Name: "ImagePath", Type: hive.RegExpandSZ, Data: make([]byte, 90)},
				hive.NodeValue{Name: "Start", Type: hive.RegDWORD, Data: []byte{3, 0, 0, 0}},
				hive.NodeValue{Name: "Parameters", Type: hive.RegBinary, Data: make([]byte, 120)})
			group.Keys = append(group.Keys, k)
		}
		root.Keys = append(root.Keys, group)
	}
	data, err := Build(root.Key(), BuildOptions{Minor: 5})
	if err != nil {
		b.Fatal(err)
	}
	return data, hive.ParsePath(`Group077\{4D36E972-E325-11CE-0099-08002BE10318}`)
}

func mustOpen(t testing.TB, data []byte) *Image {
	t.Helper()
	im, err := Open(data, OpenOptions{Lenient: true})
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func BenchmarkOpen(b *testing.B) {
	data, _ := benchHive(b)
	b.ReportAllocs()
	for b.Loop() {
		mustOpen(b, data)
	}
}

func BenchmarkCheck(b *testing.B) {
	data, _ := benchHive(b)
	im := mustOpen(b, data)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		im.Check()
	}
}

func BenchmarkWalk(b *testing.B) {
	data, _ := benchHive(b)
	im := mustOpen(b, data)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		count(im.Root())
	}
}

func BenchmarkLookup(b *testing.B) {
	data, path := benchHive(b)
	im := mustOpen(b, data)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := im.Root().Lookup(path); !ok {
			b.Fatal("not found")
		}
	}
}
