package witness_test

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hivemend/hive"
	"hivemend/hive/regf"
	"hivemend/hive/witness"

	"github.com/ulikunitz/xz"
)

// corpus calls do for each hive of the corpus of real hives whose file name
// begins with prefix.
func corpus(t testing.TB, prefix string, do func(name string, data []byte)) {
	root := os.Getenv("HIVEMEND_CORPUS")
	if root == "" {
		t.Skip("HIVEMEND_CORPUS is not set")
	}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || !strings.HasPrefix(entry.Name(), prefix) {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, ".xz") {
			r, err := xz.NewReader(bytes.NewReader(data))
			if err != nil {
				return err
			}
			if data, err = io.ReadAll(r); err != nil {
				return err
			}
		}
		if bytes.HasPrefix(data, []byte("regf")) {
			do(filepath.Base(path), data)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestCorpus holds the two readers against each other on real hives: on each
// that Windows would load as it is, they must see the same.
func TestCorpus(t *testing.T) {
	compared := 0
	corpus(t, "", func(name string, data []byte) {
		im, err := regf.Open(data, regf.OpenOptions{})
		if err != nil {
			return // a log, or too damaged
		}
		report := im.Check()
		if !report.Bounded() {
			return
		}
		differences, err := witness.Compare(data, im.Root())
		if !report.Sound() {
			t.Logf("%s is damaged: %d differences, %v", name, len(differences), err)
			return
		}
		compared++
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for i, d := range differences {
			if i == 5 {
				break
			}
			t.Errorf("%s: %s", name, d)
		}
	})
	if compared < 20 {
		t.Errorf("only %d hives were compared", compared)
	}
}

// TestRealVeto changes one byte of one value's data in a real hive.
func TestRealVeto(t *testing.T) {
	done := false
	corpus(t, "SYSTEM_2", func(name string, data []byte) {
		im, err := regf.Open(data, regf.OpenOptions{})
		if err != nil {
			return
		}
		key, ok := im.Root().Lookup(hive.Path{"ControlSet001", "Services"})
		if !ok {
			return
		}
		for k := range key.Subkeys() {
			v, ok := k.Value("ImagePath")
			if !ok {
				continue
			}
			bad := bytes.Clone(data)
			bad[v.Origin().Image+6] ^= 1
			differences, err := witness.Compare(bad, im.Root())
			if err != nil || len(differences) != 1 || differences[0].Value != "ImagePath" || differences[0].Key.Name() != k.Name() {
				t.Errorf("%s: got %v, %v; want one difference in ImagePath of %s", name, differences, err, k.Name())
			}
			done = true
			return
		}
	})
	if !done {
		t.Error("no hive to try it on was found")
	}
}

func BenchmarkCompare(b *testing.B) {
	var data []byte
	corpus(b, "SYSTEM.xz", func(_ string, d []byte) { data = d })
	im, err := regf.Open(data, regf.OpenOptions{Lenient: true})
	if err != nil {
		b.Fatal(err)
	}
	root := im.Root()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if differences, err := witness.Compare(data, root); err != nil || len(differences) > 0 {
			b.Fatal(err, differences)
		}
	}
}
