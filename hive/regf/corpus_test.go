package regf

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"hivemend/hive"
)

// corpusFile is a line of the corpus's MANIFEST.tsv.
type corpusFile struct {
	path         string // below the corpus, as it lies there
	regf         string
	state        string
	keys, values int
}

func (f corpusFile) name() string {
	return strings.TrimSuffix(strings.TrimPrefix(f.path, "hives/"), ".xz")
}

func (f corpusFile) isLog() bool {
	ext := filepath.Ext(strings.TrimSuffix(f.path, ".xz"))
	return strings.HasPrefix(ext, ".LOG")
}

// corpusFolder is where real hives lie, or "".
func corpusFolder() string { return os.Getenv("HIVEMEND_CORPUS") }

// corpus lists the files of the corpus that HIVEMEND_CORPUS names.
func corpus(t testing.TB) []corpusFile {
	t.Helper()
	dir := corpusFolder()
	if dir == "" {
		t.Skip("HIVEMEND_CORPUS does not name a folder of hives")
	}
	manifest, err := os.ReadFile(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var files []corpusFile
	for _, line := range strings.Split(strings.TrimSpace(string(manifest)), "\n")[1:] {
		f := strings.Split(line, "\t")
		keys, errKeys := strconv.Atoi(f[6])
		values, errValues := strconv.Atoi(f[7])
		if errKeys != nil || errValues != nil {
			t.Fatalf("manifest: %q", line)
		}
		files = append(files, corpusFile{f[0], f[4], f[5], keys, values})
	}
	return files
}

// corpusBytes returns a file of the corpus, unpacked.
func corpusBytes(t testing.TB, path string) []byte {
	t.Helper()
	dir := corpusFolder()
	if dir == "" {
		t.Skip("HIVEMEND_CORPUS does not name a folder of hives")
	}
	data, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(path, ".xz") {
		return data
	}
	r, err := xz.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	data, err = io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// count walks everything below k, k included.
func count(k hive.Key) (keys, values, bytes int) {
	keys = 1
	for v := range k.Values() {
		values++
		data, _ := v.Data()
		bytes += len(data)
	}
	for sub := range k.Subkeys() {
		a, b, c := count(sub)
		keys, values, bytes = keys+a, values+b, bytes+c
	}
	return keys, values, bytes
}

func TestCorpusCounts(t *testing.T) {
	for _, f := range corpus(t) {
		if f.isLog() {
			continue
		}
		t.Run(f.name(), func(t *testing.T) {
			data := corpusBytes(t, f.path)
			im, err := Open(data, OpenOptions{File: f.path, Lenient: true})
			if err != nil {
				t.Fatal(err)
			}
			keys, values, _ := count(im.Root())
			if keys != f.keys || values != f.values {
				t.Errorf("%d keys and %d values, want %d and %d", keys, values, f.keys, f.values)
			}
			if dirty := strings.HasPrefix(f.state, "DIRTY"); dirty != im.Dirty() {
				t.Errorf("dirty %v, want %v", im.Dirty(), dirty)
			}
			if _, err := Open(data, OpenOptions{File: f.path}); err != nil {
				t.Log("strict:", err)
			}
		})
	}
}
