package patch

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"hivemend/hive"
	"hivemend/hive/regf"
)

// corpusHives lists the hives (not the logs) of the corpus that
// HIVEMEND_CORPUS names.
func corpusHives(t testing.TB) []string {
	t.Helper()
	dir := os.Getenv("HIVEMEND_CORPUS")
	if dir == "" {
		t.Skip("HIVEMEND_CORPUS does not name a folder of hives")
	}
	var files []string
	err := filepath.WalkDir(filepath.Join(dir, "hives"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !strings.Contains(filepath.Base(path), ".LOG") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func corpusBytes(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(path) != ".xz" {
		return data
	}
	r, err := xz.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if data, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	return data
}

// corpusInput opens a hive of the corpus with its logs applied. It returns nil
// for one that cannot be opened, or cannot be made clean.
func corpusInput(t testing.TB, path string) *hive.Input {
	t.Helper()
	data := corpusBytes(t, path)
	logs, err := filepath.Glob(strings.TrimSuffix(path, ".xz") + ".LOG*")
	if err != nil {
		t.Fatal(err)
	}
	var replayLogs []regf.Log
	for _, log := range logs {
		replayLogs = append(replayLogs, regf.Log{Path: log, Data: corpusBytes(t, log)})
	}
	if replayed, err := regf.Replay(data, replayLogs); err == nil {
		data = replayed.Data
	}
	im, err := regf.Open(data, regf.OpenOptions{Lenient: true})
	if err != nil || im.Dirty() {
		return nil
	}
	kind := hive.KindOf(im.Header().FileName, im.Root())
	return &hive.Input{
		Path: path, Kind: hive.Regf, Hive: kind, SHA256: hash(data), State: hive.Clean, Data: data,
		Mounts: []hive.Mount{{Kind: kind, Prefix: kind.Prefix(), Root: im.Root()}},
	}
}

func TestCorpusPlansAreTakenBack(t *testing.T) {
	for i, path := range corpusHives(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			in := corpusInput(t, path)
			if in == nil {
				t.Skip("cannot be opened, or is dirty without logs")
			}
			im, err := regf.Open(in.Data, regf.OpenOptions{Lenient: true})
			if err != nil {
				t.Fatal(err)
			}
			report := im.Check()
			rng := rand.New(rand.NewPCG(uint64(i), 4))
			o := options()
			rounds := 3
			if len(in.Data) > 1<<20 {
				rounds = 1
			}
			for range rounds {
				edits := randomEdits(rng, im.Root(), in.Mounts[0].Prefix, 8)
				edits = slices.DeleteFunc(edits, func(e hive.Edit) bool { return e.Op == hive.DeleteKey && len(e.Key) < 6 })
				p, err := NewPlan(edits, machine(in), o)
				if errors.Is(err, ErrConflict) || errors.Is(err, ErrProtected) || errors.Is(err, ErrRefused) {
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if !report.Sound() || !report.Bounded() {
					// A damaged hive may be refused, but not with a result that is not proved.
					if _, err := Apply(p, []*hive.Input{in}, ApplyOptions{}); err != nil {
						t.Logf("refused: %v", err)
						continue
					}
				}
				checkPlan(t, p, in, ApplyOptions{})
			}
		})
	}
}

func BenchmarkApply(b *testing.B) {
	files := corpusHives(b)
	at := slices.IndexFunc(files, func(f string) bool { return strings.Contains(f, "regipy-SYSTEM/") })
	if at < 0 {
		b.Skip("the corpus lacks the hive")
	}
	in := corpusInput(b, files[at])
	p, err := NewPlan([]hive.Edit{deleteKey(`HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Services\TermService\Parameters`, "")}, machine(in), options())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(in.Size)
	b.ReportAllocs()
	for b.Loop() {
		if r, err := Apply(p, []*hive.Input{in}, ApplyOptions{}); err != nil || !r.Changed() {
			b.Fatal(err)
		}
	}
}
