package patch

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hivemend/hive"
)

// patchAccepts runs GNU patch over the diff of c and compares what comes out.
func patchAccepts(t *testing.T, c Change) {
	t.Helper()
	program, err := exec.LookPath("patch")
	if err != nil {
		t.Skip("the program patch is not installed")
	}
	before, after := c.Text()
	file := filepath.Join(t.TempDir(), c.Name)
	if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--fuzz=0", "-p1")
	cmd.Dir = filepath.Dir(file)
	cmd.Stdin = bytes.NewReader(Unified(c))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("patch: %v\n%s\n%s", err, out, Unified(c))
	}
	if bytes.Contains(out, []byte("offset")) || bytes.Contains(out, []byte("fuzz")) {
		t.Errorf("patch had to search: %s", out)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != after {
		t.Errorf("patch gave another text:\n%s\nwant:\n%s", got, after)
	}
}

func TestDiffOfAPlanIsAcceptedByPatch(t *testing.T) {
	m := testMachine(t)
	r := mustApply(t, mustPlan(t, m, repair()...), m.Inputs)
	changes := r.changes()
	for _, c := range changes {
		patchAccepts(t, c)
	}
	text := string(r.Diff())
	for _, want := range []string{
		"--- a/SYSTEM.reg\n+++ b/SYSTEM.reg\n@@ -", "--- a/SOFTWARE.reg\n", "\n-\"Certificate\"=hex:",
		"\n \"Keep\"=dword:00000007\n", "\n-\"fDenyTSConnections\"=dword:00000000\n+\"fDenyTSConnections\"=dword:00000001\n",
		"\n-[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\MSLicensing\\Store\\LICENSE000]\n", "Example & Söhne",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the diff lacks %q:\n%s", want, text)
		}
	}
	for _, never := range []string{"Secrets", "GracePeriod", "Services"} {
		if strings.Contains(text, never) {
			t.Errorf("the diff names %s", never)
		}
	}
}

func TestDiffNeverShowsSecrets(t *testing.T) {
	a, b := systemTree(), systemTree()
	rcm := b.Subkey("ControlSet001").Subkey("Control").Subkey("Terminal Server").Subkey("RCM")
	secret := rcm.Subkey("Secrets").Value("L$HYDRAENCKEY")
	secret.Data = long(598, 200)
	c := Change{Name: "SYSTEM.reg", Prefix: hive.System.Prefix(), Before: a.Key(), After: b.Key()}
	text := string(Unified(c))
	if !strings.Contains(text, `+; "L$HYDRAENCKEY": REG_BINARY of 598 bytes`) || strings.Contains(text, "hex:") {
		t.Errorf("want name and size and nothing else, found\n%s", text)
	}
	shown, withheld := Withhold(Diff(c.Before, c.After, c.Prefix))
	if len(shown) != 0 || len(withheld) != 1 {
		t.Errorf("want one edit withheld and none shown, found %d and %d", len(withheld), len(shown))
	}
}

// randomTree grows a tree whose names collide often, so that two of them share much.
func randomTree(rng *rand.Rand, depth int) *hive.Node {
	n := &hive.Node{Name: "ROOT"}
	for i := range rng.IntN(8) {
		switch rng.IntN(3) {
		case 0:
			n.Values = append(n.Values, dword(fmt.Sprintf("v%d", i), uint32(rng.IntN(3))))
		case 1:
			n.Values = append(n.Values, text(fmt.Sprintf("v%d", i), strings.Repeat("ä", rng.IntN(4))))
		default:
			n.Values = append(n.Values, binaryValue(fmt.Sprintf("v%d", i), long(1+rng.IntN(200), byte(rng.IntN(3)))...))
		}
	}
	if depth > 0 {
		for i := range rng.IntN(5) {
			sub := randomTree(rng, depth-1)
			sub.Name = fmt.Sprintf("k%d", i)
			n.Keys = append(n.Keys, sub)
		}
	}
	return n
}

func TestRandomDiffsAreAcceptedByPatch(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		a, b := randomTree(rng, 3), randomTree(rng, 3)
		c := Change{Name: "OTHER.reg", Prefix: hive.Other.Prefix(), Before: a.Key(), After: b.Key()}
		if len(Diff(c.Before, c.After, c.Prefix)) > 0 {
			patchAccepts(t, c)
		}
	}
}

func TestDiffTurnsOneTreeIntoTheOther(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 2))
		a, b := randomTree(rng, 3).Key(), randomTree(rng, 3).Key()
		prefix := hive.Other.Prefix()
		o := newOverlay(a, 0)
		for _, e := range Diff(a, b, prefix) {
			rel, ok := e.Key.CutPrefix(prefix)
			if !ok {
				t.Fatalf("seed %d: %s lies outside the prefix", seed, e)
			}
			s := step{at: &mounted{tree: o}, rel: rel, edit: e}
			if state, detail := s.judge(); state != ToDo {
				t.Fatalf("seed %d: %s: %s %s", seed, e, state, detail)
			}
			o.apply(e, rel)
		}
		if digestOf(o.key()) != digestOf(b) {
			t.Fatalf("seed %d: the edits of the diff do not give the second tree", seed)
		}
		if left := Diff(o.key(), b, prefix); len(left) > 0 {
			t.Fatalf("seed %d: left: %v", seed, left)
		}
	}
}

func TestBigKeysAreComparedValueByValue(t *testing.T) {
	tree := func(skip int) hive.Key {
		n := key("ROOT")
		for i := range 6000 {
			if i != skip {
				n.Values = append(n.Values, dword(fmt.Sprintf("value %d", i), uint32(i)))
			}
		}
		n.Values[0].Data = []byte{byte(skip >> 8), 0, 0, 0}
		n.Values[len(n.Values)-1].Data = []byte{byte(skip >> 8), 1, 0, 0}
		return n.Key()
	}
	c := Change{Name: "OTHER.reg", Prefix: hive.Other.Prefix(), Before: tree(3000), After: tree(4000)}
	text := string(Unified(c))
	if got := strings.Count(text, "\n-") + strings.Count(text, "\n+"); got > 12 {
		t.Errorf("want a diff of the few values that differ, found %d changed lines", got)
	}
	patchAccepts(t, c)
}

func BenchmarkDiff(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	root := &hive.Node{Name: "ROOT"}
	for i := range 40 {
		sub := randomTree(rng, 5)
		sub.Name = fmt.Sprintf("Key%d", i)
		root.Keys = append(root.Keys, sub)
	}
	before, after := root.Key(), root.Key()
	b.ReportAllocs()
	for b.Loop() {
		if len(Diff(before, after, nil)) != 0 {
			b.Fatal("equal trees differ")
		}
	}
}
