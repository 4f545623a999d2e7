package regf

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
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

// corpusMiscounts are hives of which the manifest counts what their keys claim
// to hold, not what is there: zeroed blocks and a list outside the file took
// the rest.
var corpusMiscounts = map[string]struct{ keys, values int }{
	"regipy-corrupted_system_hive/corrupted_system_hive":     {1687, 5625},
	"yarp-DeletedDataHiveTruncated/DeletedDataHiveTruncated": {2, 0},
}

// corpusDamage says which defects of fatal damage or loss the damaged hives of
// the corpus have. All others have none.
var corpusDamage = map[string]string{
	"plaso-corrupt_sub_key_list.hiv/corrupt_sub_key_list.hiv": "CL05",
	"regipy-corrupted_system_hive/corrupted_system_hive":      "BN01 CL01 CL04 CL05 LS01 NK01 NK14 SK01 VK01 VK04 VL01",
	"yarp-BadBaseBlockHive-BadBaseBlockHive/BadBaseBlockHive": "BB02 BB04",
	"yarp-BadListHive/BadListHive":                            "CL04 NK12",
	"yarp-BadSubkeyHive/BadSubkeyHive":                        "NK12",
	"yarp-DeletedDataHiveTruncated/DeletedDataHiveTruncated":  "VL01",
	"yarp-DuplicateSubkeysHive/DuplicateSubkeysHive":          "LS07",
	"yarp-EffectiveSizeHive/EffectiveSizeHive":                "BB02 BN02",
	"yarp-InvalidParentHive/InvalidParentHive":                "NK05",
	"yarp-TruncatedDirtyHive/TruncatedDirtyHive":              "BB08 CL05",
	"yarp-TruncatedHive/TruncatedHive":                        "BB08 CL05",
	"yarp-TruncatedNameHive/TruncatedNameHive":                "NK01",
	"yarp-WrongOrderHive/WrongOrderHive":                      "LS06",
}

// TestCorpus opens, walks and checks every hive of the corpus as it lies.
func TestCorpus(t *testing.T) {
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
			wantKeys, wantValues := f.keys, f.values
			if m, ok := corpusMiscounts[f.name()]; ok {
				wantKeys, wantValues = m.keys, m.values
			}
			keys, values, _ := count(im.Root())
			if keys != wantKeys || values != wantValues {
				t.Errorf("a walk sees %d keys and %d values, want %d and %d", keys, values, wantKeys, wantValues)
			}
			r := im.Check()
			if r.Keys != wantKeys || r.Values != wantValues {
				t.Errorf("Check sees %d keys and %d values, want %d and %d", r.Keys, r.Values, wantKeys, wantValues)
			}
			damage := damageCodes(r)
			if damage != corpusDamage[f.name()] {
				t.Errorf("damage %q, want %q", damage, corpusDamage[f.name()])
			}
			if r.Sound() && !r.Bounded() {
				t.Error("sound, but not bounded")
			}
			unfinished := strings.HasPrefix(f.state, "DIRTY")
			if h := im.Header(); unfinished != (h.Sequence1 != h.Sequence2) {
				t.Errorf("sequence numbers %d and %d, want them as %s", h.Sequence1, h.Sequence2, f.state)
			}
			_, err = Open(data, OpenOptions{File: f.path})
			refused := strings.Contains(damage, "BB") || strings.Contains(damage, "BN")
			if refused != (err != nil) {
				t.Errorf("strict: %v; want an error: %v", err, refused)
			}
		})
	}
}

// damageCodes lists the codes of the issues that keep a hive from being sound.
func damageCodes(r *Report) string {
	var codes []string
	for _, i := range r.Issues {
		if i.Damage >= hive.DamageLoss && !slices.Contains(codes, i.Code) {
			codes = append(codes, i.Code)
		}
	}
	slices.Sort(codes)
	return strings.Join(codes, " ")
}

// corpusLogs returns the logs that lie beside a hive of the corpus.
func corpusLogs(t testing.TB, hivePath string) (logs []Log) {
	prefix := strings.TrimSuffix(hivePath, ".xz") + ".LOG"
	for _, f := range corpus(t) {
		if strings.HasPrefix(f.path, prefix) {
			logs = append(logs, Log{f.path, corpusBytes(t, f.path)})
		}
	}
	return logs
}

func TestCorpusReplay(t *testing.T) {
	const hives = "hives/"
	for _, tt := range []struct {
		primary     string
		entries     int
		pages       int
		first, last uint32
		headerFrom  bool
		keys        int
		values      int
		highest     uint32
		err         error
	}{
		{"regipy-SYSTEM_B/SYSTEM_B.xz", 24, 315, 2107, 2130, false, 35595, 78901, 2130, nil},
		{"yarp-NewDirtyHive1-NewDirtyHive/NewDirtyHive.xz", 4, 4, 2, 5, false, 5, 1, 5, nil},
		{"yarp-OldDirtyHive-OldDirtyHive/OldDirtyHive.xz", 1, 64, 5, 5, false, 5003, 1, 5, nil},
		{"yarp-BadBaseBlockHive-BadBaseBlockHive/BadBaseBlockHive.xz", 1, 64, 5, 5, true, 5003, 1, 5, nil},
		{"yarp-BadLogHive1-BadLogHive/BadLogHive.xz", 0, 0, 0, 0, false, 5003, 0, 0, ErrNoUsableLog},
		{"yarp-BadLogHive2-BadLogHive/BadLogHive.xz", 0, 0, 0, 0, false, 5003, 0, 5, ErrNoUsableLog},
		{"regipy-SYSTEM_2/SYSTEM_2.xz", 0, 0, 0, 0, false, 20015, 49779, 0, ErrNoUsableLog},
	} {
		t.Run(tt.primary, func(t *testing.T) {
			primary, logs := corpusBytes(t, hives+tt.primary), corpusLogs(t, hives+tt.primary)
			before := bytes.Clone(primary)
			r, err := Replay(primary, logs)
			if !errors.Is(err, tt.err) || r == nil {
				t.Fatalf("%v, %v; want %v", r, err, tt.err)
			}
			if !bytes.Equal(primary, before) {
				t.Fatal("the primary was changed")
			}
			if r.Entries != tt.entries || r.Pages != tt.pages || r.FirstSequence != tt.first || r.LastSequence != tt.last || r.HeaderFromLog != tt.headerFrom || r.Stopped != "" {
				t.Errorf("%d entries, %d pages, %d to %d, header from log %v, stopped %q", r.Entries, r.Pages, r.FirstSequence, r.LastSequence, r.HeaderFromLog, r.Stopped)
			}
			if highest, _ := MaxSequence(logs); highest != tt.highest {
				t.Errorf("highest sequence number %d, want %d", highest, tt.highest)
			}
			im, err := Open(r.Data, OpenOptions{Provenance: r.Provenance})
			if err != nil {
				t.Fatal(err)
			}
			report := im.Check()
			if report.Keys != tt.keys || report.Values != tt.values || !report.Sound() || !report.Bounded() {
				t.Errorf("%d keys, %d values, %q; want %d and %d", report.Keys, report.Values, damageCodes(report), tt.keys, tt.values)
			}
			if im.Dirty() != (tt.err != nil) {
				t.Errorf("dirty %v", im.Dirty())
			}
			if tt.err == nil {
				checkProvenance(t, before, r, logs)
			}
		})
	}
}

// checkProvenance proves that every byte of a replayed hive, its base block
// apart, is where Provenance says: in a log, or else unchanged in the primary;
// what was added to the length of the bins is zero until an entry fills it.
func checkProvenance(t *testing.T, primary []byte, r *Replayed, logs []Log) {
	t.Helper()
	at := int64(baseBlockSize)
	bins := binsStart + int64(baseBlock(primary).length())
	same := func(upTo int64) {
		for ; at < upTo; at++ {
			missing := at >= min(bins, int64(len(primary))) || r.HeaderFromLog
			if (!missing || r.Data[at] != 0) && (at >= int64(len(primary)) || primary[at] != r.Data[at]) {
				t.Fatalf("byte %#x changed, and no log is named for it", at)
			}
		}
	}
	for _, p := range r.Provenance {
		if p.Offset < baseBlockSize {
			continue
		}
		same(p.Offset)
		for _, l := range logs {
			if l.Path == p.Log && !bytes.Equal(l.Data[p.LogOffset:p.LogOffset+p.Length], r.Data[p.Offset:p.Offset+p.Length]) {
				t.Fatalf("%+v: the log holds other bytes", p)
			}
		}
		at = p.Offset + p.Length
	}
	same(int64(len(r.Data)))
}

// TestCorpusReplayLikeWindows compares with hives that Windows recovered.
func TestCorpusReplayLikeWindows(t *testing.T) {
	for _, tt := range []struct {
		primary, recovered string
		differences        int // bytes of bins in which Windows' result differs
	}{
		{"hives/yarp-NewDirtyHive1-NewDirtyHive/NewDirtyHive.xz", "hives/yarp-NewDirtyHive1-RecoveredHive_Windows10/RecoveredHive_Windows10.xz", 0},
		// The time in the first bin, which Windows 7 sets anew (5 of its bytes
		// differ), and a hint of the longest name that it lowers.
		{"hives/yarp-OldDirtyHive-OldDirtyHive/OldDirtyHive.xz", "hives/yarp-OldDirtyHive-RecoveredHive_Windows7/RecoveredHive_Windows7.xz", 6},
	} {
		t.Run(tt.primary, func(t *testing.T) {
			r, err := Replay(corpusBytes(t, tt.primary), corpusLogs(t, tt.primary))
			if err != nil {
				t.Fatal(err)
			}
			windows := corpusBytes(t, tt.recovered)
			ours, theirs := mustOpen(t, r.Data), mustOpen(t, windows)
			if len(ours.bins) != len(theirs.bins) {
				t.Fatalf("%d bytes of bins, want %d", len(ours.bins), len(theirs.bins))
			}
			differences := 0
			for i := range ours.bins {
				if ours.bins[i] != theirs.bins[i] {
					differences++
				}
			}
			if differences != tt.differences {
				t.Errorf("%d bytes of bins differ from what Windows made, want %d", differences, tt.differences)
			}
		})
	}
}

// TestCorpusOrigin looks for a value that only the log of SYSTEM_B holds.
func TestCorpusOrigin(t *testing.T) {
	const path = "hives/regipy-SYSTEM_B/SYSTEM_B.xz"
	logs := corpusLogs(t, path)
	r, err := Replay(corpusBytes(t, path), logs)
	if err != nil {
		t.Fatal(err)
	}
	im, err := Open(r.Data, OpenOptions{Provenance: r.Provenance})
	if err != nil {
		t.Fatal(err)
	}
	inLogs := 0
	var walk func(k hive.Key)
	walk = func(k hive.Key) {
		for v := range k.Values() {
			o := v.Origin()
			if o.File == "" {
				continue
			}
			inLogs++
			data, err := v.Data()
			if err != nil || o.Length != int64(len(data)) {
				continue // big data, of which the first part is named
			}
			for _, l := range logs {
				if l.Path == o.File && o.Length <= logUnit && o.Image%logUnit+o.Length <= logUnit && !bytes.Equal(l.Data[o.Offset:o.Offset+o.Length], data) {
					t.Fatalf("%+v: the log holds other bytes", o)
				}
			}
		}
		for sub := range k.Subkeys() {
			walk(sub)
		}
	}
	walk(im.Root())
	if inLogs < 3944 {
		t.Errorf("%d values come from the logs, want at least the 3944 that are new", inLogs)
	}
}
