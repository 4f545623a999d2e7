package regf

import (
	"fmt"
	"testing"

	"hivemend/hive"
)

// benchTree is a tree of about the shape of a SYSTEM hive: 40,000 keys with
// 80,000 values.
func benchTree() *hive.Node {
	root := &hive.Node{Name: "ROOT"}
	for i := range 200 {
		k := &hive.Node{Name: fmt.Sprintf("Service%03d", i)}
		for j := range 200 {
			sub := &hive.Node{Name: fmt.Sprintf("Parameters%03d", j)}
			sub.Values = []hive.NodeValue{
				{Name: "ImagePath", Type: hive.RegExpandSZ, Data: make([]byte, 80+j)},
				{Name: "Start", Type: hive.RegDWORD, Data: []byte{3, 0, 0, 0}},
			}
			k.Keys = append(k.Keys, sub)
		}
		root.Keys = append(root.Keys, k)
	}
	cert := &hive.Node{Name: "RCM"}
	for _, name := range []string{"Certificate", "X509 Certificate", "X509 Certificate ID", "Kept"} {
		cert.Values = append(cert.Values, hive.NodeValue{Name: name, Type: hive.RegBinary, Data: make([]byte, 1500)})
	}
	root.Keys = append(root.Keys, cert)
	return root
}

// BenchmarkEditDeleteThree deletes three values from a large hive that was
// checked before: what it costs should be the copy and the checksums.
func BenchmarkEditDeleteThree(b *testing.B) {
	data, err := Build(benchTree().Key(), BuildOptions{})
	if err != nil {
		b.Fatal(err)
	}
	im := openTest(b, data)
	report := im.Check()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		e, err := NewEditor(im, EditorOptions{Time: editTime, Report: report})
		if err != nil {
			b.Fatal(err)
		}
		for _, name := range []string{"Certificate", "X509 Certificate", "X509 Certificate ID"} {
			if err := e.DeleteValue(hive.Path{"RCM"}, name); err != nil {
				b.Fatal(err)
			}
		}
		if _, journal, err := e.Commit(); err != nil || journal.Empty() {
			b.Fatal(err, journal)
		}
	}
}

// BenchmarkEditSet adds a value, for which the free cells of the whole hive
// are looked through.
func BenchmarkEditSet(b *testing.B) {
	data, err := Build(benchTree().Key(), BuildOptions{})
	if err != nil {
		b.Fatal(err)
	}
	im := openTest(b, data)
	report := im.Check()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		e, err := NewEditor(im, EditorOptions{Time: editTime, Report: report})
		if err != nil {
			b.Fatal(err)
		}
		if err := e.SetValue(hive.Path{"Service100", "New"}, "Value", hive.RegBinary, make([]byte, 3000)); err != nil {
			b.Fatal(err)
		}
		if _, _, err := e.Commit(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCopy is what any editing of a private copy costs at least.
func BenchmarkCopy(b *testing.B) {
	data, err := Build(benchTree().Key(), BuildOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		c := make([]byte, len(data))
		copy(c, data)
	}
}

func BenchmarkBuild(b *testing.B) {
	root := benchTree().Key()
	b.ReportAllocs()
	for b.Loop() {
		data, err := Build(root, BuildOptions{})
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(data)))
	}
}
