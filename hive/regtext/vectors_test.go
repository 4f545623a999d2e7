package regtext

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"hivemend/hive"
)

// vector is one file of testdata/vectors.json and what it must be read as.
type vector struct {
	ID     string          `json:"id"`
	File   string          `json:"file_base64"`
	Root   string          `json:"root"`
	Expect json.RawMessage `json:"expect"`
	Note   string          `json:"note"`
}

func readVectors(t testing.TB) []vector {
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	return vectors
}

func (v vector) data(t testing.TB) []byte {
	data, err := base64.StdEncoding.DecodeString(v.File)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// laxer are files that Windows refuses for a fault that leaves no doubt about
// the content. They are read with a warning, and refused in strict reading.
var laxer = map[string]string{"F08": CodeEncoding, "F09": CodeEncoding, "F18": CodeHeaderBlank}

func TestVectors(t *testing.T) {
	vectors := readVectors(t)
	if len(vectors) != 98 {
		t.Fatalf("%d vectors, want 98", len(vectors))
	}
	for _, v := range vectors {
		t.Run(v.ID, func(t *testing.T) {
			t.Log(v.Note)
			var keys map[string]map[string][2]any
			if json.Unmarshal(v.Expect, &keys) != nil {
				testRefused(t, v)
				return
			}
			f, err := Parse(v.data(t), Options{File: v.ID + ".reg", CodePage: 1252, AllowSwallowed: true})
			if err != nil {
				t.Fatal(err)
			}
			logDiagnostics(t, f)
			at := hive.ParsePath(v.Root)
			if f.Version == Win31 {
				at = hive.Path{hive.ClassesRoot, "T", v.ID} // the only root that REGEDIT text knows
			}
			root, ok := f.Tree().Key().Lookup(at)
			if !ok {
				t.Fatalf("%s is missing", at)
			}
			for path, values := range keys {
				checkKey(t, root, path, values)
			}
			checkNoOtherKeys(t, root, nil, keys)
		})
	}
}

func testRefused(t *testing.T, v vector) {
	_, strict := Parse(v.data(t), Options{File: v.ID + ".reg", Strict: true})
	if !errors.Is(strict, hive.ErrCorrupt) {
		t.Errorf("strict reading gives %v", strict)
	}
	f, err := Parse(v.data(t), Options{File: v.ID + ".reg"})
	code, lax := laxer[v.ID]
	switch {
	case lax && err != nil:
		t.Error(err)
	case lax && (len(f.Diagnostics) != 1 || f.Diagnostics[0].Code != code):
		t.Errorf("diagnostics %v, want one %s", f.Diagnostics, code)
	case !lax && err == nil:
		t.Error("not refused")
	}
	t.Log(strict)
}

func logDiagnostics(t *testing.T, f *File) {
	for _, d := range f.Diagnostics {
		t.Log(d)
	}
}

// checkKey compares the values of the key at path below root with want, both ways.
func checkKey(t *testing.T, root hive.Key, path string, want map[string][2]any) {
	k, ok := root.Lookup(hive.ParsePath(path))
	if !ok {
		t.Errorf("key %q is missing", path)
		return
	}
	for v := range k.Values() {
		w, ok := want[v.Name()]
		if !ok {
			t.Errorf("key %q: value %q should not be there", path, v.Name())
			continue
		}
		data, _ := v.Data()
		if got := hex.EncodeToString(data); float64(v.Type()) != w[0].(float64) || got != w[1] {
			t.Errorf("key %q, value %q = %d:%s, want %v", path, v.Name(), v.Type(), got, w)
		}
	}
	for name := range want {
		if _, ok := k.Value(name); !ok {
			t.Errorf("key %q: value %q is missing", path, name)
		}
	}
}

// checkNoOtherKeys fails for every key below k, which stands at path, that is
// neither wanted nor above one that is.
func checkNoOtherKeys(t *testing.T, k hive.Key, path hive.Path, want map[string]map[string][2]any) {
	for sub := range k.Subkeys() {
		below := path.Join(sub.Name())
		found := false
		for p := range want {
			_, above := hive.ParsePath(p).CutPrefix(below)
			found = found || above
		}
		if !found {
			t.Errorf("key %s should not be there", below)
		}
		checkNoOtherKeys(t, sub, below, want)
	}
}
