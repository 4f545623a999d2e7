package regf

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hivemend/hive"
)

// repairTest repairs a hive that can be opened leniently and makes sure of
// what every repair promises.
func repairTest(t testing.TB, data []byte, opt RepairOptions) *Repaired {
	t.Helper()
	im, err := Open(data, OpenOptions{Lenient: true})
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(data)
	r, err := Repair(im, opt)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, data) {
		t.Fatal("the original was changed")
	}
	again, err := Repair(im, opt)
	if err != nil || !bytes.Equal(again.Data, r.Data) {
		t.Fatalf("a second repair gives other bytes (%v)", err)
	}
	if r.Method == RepairNone {
		return r
	}
	mended := openTest(t, r.Data)
	if report := mended.Check(); !report.Sound() || !report.Bounded() || mended.Dirty() {
		t.Fatalf("damaged after the repair: %s", damageCodes(report))
	}
	if n := mended.Header().Sequence1; int32(n-im.Header().Sequence1) <= 0 || int32(n-opt.MinSequence) <= 0 {
		t.Errorf("sequence number %d is not above those before", n)
	}
	return r
}

// readable holds what could be read before against what is there now: every
// key, and every value whose data was whole.
func readable(t testing.TB, before, after hive.Key, path hive.Path) {
	t.Helper()
	for v := range before.Values() {
		data, err := v.Data()
		if err != nil {
			continue
		}
		found := false
		for w := range after.Values() {
			now, _ := w.Data()
			// A name may have got a number.
			found = found || strings.HasPrefix(w.Name(), v.Name()) && w.Type() == v.Type() && bytes.Equal(now, data)
		}
		if !found {
			t.Errorf("%s: value %q is lost", path, v.Name())
		}
	}
	for sub := range before.Subkeys() {
		name := strings.ReplaceAll(sub.Name(), `\`, "_")
		if name == "" {
			name = "(no name)"
		}
		now, ok := after.Subkey(name)
		if !ok {
			t.Errorf("%s: subkey %q is lost", path, name)
			continue
		}
		if now.LastWrite() != sub.LastWrite() {
			if second, ok := after.Subkey(name + " (2)"); ok {
				now = second
			}
		}
		readable(t, sub, now, path.Join(name))
	}
}

const vectors = "../../testdata/vectors"

// TestRepairVectors repairs a hive of every kind of damage.
func TestRepairVectors(t *testing.T) {
	table, err := os.ReadFile(filepath.Join(vectors, "hives.tsv"))
	mustDo(t, err)
	rebuilt := map[string]bool{}
	for _, code := range []string{"CL04", "CL05", "NK02", "LS03", "LS07", "VL01", "VL02", "SK04"} {
		rebuilt[code] = true
	}
	for _, line := range strings.Split(strings.TrimSpace(string(table)), "\n")[1:] {
		fields := strings.Split(line, "\t")
		t.Run(fields[0], func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(vectors, fields[0]))
			mustDo(t, err)
			im, err := Open(data, OpenOptions{Lenient: true})
			mustDo(t, err)
			r := repairTest(t, data, RepairOptions{Time: editTime, MinSequence: 70})
			want := RepairInPlace
			switch {
			case fields[2] == "-" || fields[2] == "anomaly" || fields[2] == "info" && fields[1] != "BB03":
				want = RepairNone
			case rebuilt[fields[1]]:
				want = RepairRebuilt
			}
			if r.Method != want {
				t.Errorf("want the method %s, found %s", want, r.Method)
			}
			if want == RepairNone && !bytes.Equal(r.Data, data) {
				t.Error("a sound hive was changed")
			}
			readable(t, im.Root(), openTest(t, r.Data).Root(), nil)
			for _, notes := range [][]RepairNote{r.Changed, r.Lost, r.Left} {
				for _, n := range notes {
					t.Logf("%s %#x: %s", n.Kind, n.Offset, n.Text)
				}
			}
		})
	}
}

// TestCorpusRepair repairs the damaged hives of the corpus, and lets hivexml,
// which believes what it reads, read the result.
func TestCorpusRepair(t *testing.T) {
	for _, f := range corpus(t) {
		codes := corpusDamage[f.name()]
		if codes == "" {
			continue
		}
		t.Run(f.name(), func(t *testing.T) {
			data := corpusBytes(t, f.path)
			im, err := Open(data, OpenOptions{Lenient: true})
			mustDo(t, err)
			r := repairTest(t, data, RepairOptions{Time: editTime})
			after := openTest(t, r.Data)
			keys, values, _ := count(im.Root())
			nowKeys, nowValues, _ := count(after.Root())
			t.Logf("%s: %s; %d keys and %d values before, %d and %d after; %d changed, %d lost, %d left", codes, r.Method,
				keys, values, nowKeys, nowValues, len(r.Changed), len(r.Lost), len(r.Left))
			if nowKeys < keys || nowValues < values {
				t.Error("keys or values were lost")
			}
			readable(t, im.Root(), after.Root(), nil)
			hivexKeys(t, r.Data, nowKeys)
		})
	}
}

// hivexKeys fails unless hivexml finds that many keys.
func hivexKeys(t *testing.T, data []byte, want int) {
	t.Helper()
	output, err := exec.Command(needTool(t, "hivexml"), writeHive(t, data)).Output()
	mustDo(t, err)
	// Damaged names may hold what XML does not allow, so it is only counted.
	found := bytes.Count(output, []byte("<node "))
	if found != want {
		t.Errorf("hivexml finds %d keys, want %d", found, want)
	}
}

// FuzzRepair: whatever can be opened is repaired or refused with a reason.
func FuzzRepair(f *testing.F) {
	for _, data := range smallHives(f) {
		f.Add(data)
	}
	files, _ := filepath.Glob(filepath.Join(vectors, "hives", "*.hive"))
	for _, file := range files {
		data, err := os.ReadFile(file)
		mustDo(f, err)
		f.Add(data)
	}
	f.Fuzz(tryRepair)
}

// tryRepair repairs data, whatever it is, as it lies and with a good checksum.
func tryRepair(t *testing.T, data []byte) {
	for _, data := range [][]byte{data, resign(bytes.Clone(data))} {
		im, err := Open(data, OpenOptions{Lenient: true})
		if err != nil {
			continue
		}
		keys, values, _ := count(im.Root())
		r, err := Repair(im, RepairOptions{Time: 7})
		var refused *RefusedError
		var format *hive.FormatError
		switch {
		case errors.As(err, &refused) && refused.Why != "", errors.As(err, &format):
			continue
		case err != nil:
			t.Fatal(err)
		case r.Method == RepairNone:
			continue
		}
		after, err := Open(r.Data, OpenOptions{})
		mustDo(t, err)
		if report := after.Check(); !report.Sound() || !report.Bounded() || after.Dirty() {
			t.Fatalf("damaged after the repair: %s", damageCodes(report))
		}
		nowKeys, nowValues, _ := count(after.Root())
		// Only values that are there twice may become fewer, and keys that are
		// deeper than keys can be.
		if nowKeys < keys && len(r.Lost) == 0 || nowValues < values && len(r.Changed)+len(r.Lost) == 0 {
			t.Fatalf("%d keys and %d values became %d and %d", keys, values, nowKeys, nowValues)
		}
	}
}

// TestRepairMutations changes hives, sound ones and damaged ones, in a few
// random places before they are repaired.
func TestRepairMutations(t *testing.T) {
	seeds := smallHives(t)
	files, err := filepath.Glob(filepath.Join(vectors, "hives", "*.hive"))
	mustDo(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		mustDo(t, err)
		seeds = append(seeds, data)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 1500 {
		data := bytes.Clone(seeds[random.IntN(len(seeds))])
		for range 1 + random.IntN(6) {
			at := random.IntN(len(data))
			if random.IntN(4) > 0 { // most records lie near the beginning
				at = binsStart + random.IntN(min(1600, len(data)-binsStart))
			}
			at &^= 3
			switch random.IntN(5) {
			case 0:
				data[at+random.IntN(4)] ^= 1 << random.IntN(8)
			case 1:
				data[at+random.IntN(4)] = byte(random.Uint32())
			case 2:
				le.PutUint32(data[at:], uint32(random.IntN(len(data)))&^7)
			case 3:
				from := min(at+random.IntN(64), len(data))
				copy(data[at:], data[from:min(from+8, len(data))])
			case 4:
				if random.IntN(10) == 0 && at > binsStart+600 {
					data = data[:at]
				}
			}
		}
		tryRepair(t, data)
	}
}
