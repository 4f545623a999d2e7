package regf

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"hivemend/hive"
)

// load reads a whole key into memory.
func load(k hive.Key) *hive.Node {
	n := &hive.Node{Name: k.Name(), LastWrite: k.LastWrite(), Class: k.Class(), Flags: k.Flags(), Security: k.Security()}
	for v := range k.Values() {
		data, _ := v.Data()
		n.Values = append(n.Values, hive.NodeValue{Name: v.Name(), Type: v.Type(), Data: data})
	}
	for sub := range k.Subkeys() {
		n.Keys = append(n.Keys, load(sub))
	}
	return n
}

// issueCounts counts the issues of a hive by code.
func issueCounts(im *Image) map[string]int {
	counts := map[string]int{}
	for _, issue := range im.Check().Issues {
		counts[issue.Code]++
	}
	return counts
}

// noNewIssues fails if a hive has more issues of any kind than it had before.
func noNewIssues(t *testing.T, before, after *Image) {
	t.Helper()
	old := issueCounts(before)
	for code, n := range issueCounts(after) {
		if n > old[code] {
			for _, issue := range after.Check().Issues {
				if issue.Code == code {
					t.Logf("%s at %#x, %s: %s", issue.Code, issue.Offset, issue.Key, issue.Detail)
				}
			}
			t.Fatalf("%s: %d before the edits, %d after", code, old[code], n)
		}
	}
}

// TestCorpusEdits makes random edits to real hives: what Windows wrote lays
// out cells in ways that Build does not.
func TestCorpusEdits(t *testing.T) {
	for _, f := range corpus(t) {
		if f.isLog() || f.state != "clean" || f.regf == "1.1" {
			continue
		}
		t.Run(f.name(), func(t *testing.T) {
			data := corpusBytes(t, f.path)
			im, err := Open(data, OpenOptions{})
			if err != nil {
				t.Skip(err)
			}
			if im.Check().Count(hive.DamageLoss)+im.Check().Count(hive.DamageFatal) > 0 {
				testDamagedEdits(t, im)
				return
			}
			r := rand.New(rand.NewPCG(1, uint64(len(data))))
			m := model{load(im.Root())}
			e, err := NewEditor(im, EditorOptions{Time: editTime})
			if err != nil {
				t.Fatal(err)
			}
			refused := 0
			for range 200 {
				if err := randomEdit(r, e, m, 10); errors.Is(err, ErrRefused) {
					refused++
				} else if err != nil {
					t.Fatal(err)
				}
			}
			after, journal, err := e.Commit()
			if err != nil {
				t.Fatal(err)
			}
			noNewIssues(t, im, openTest(t, after))
			if err := compareTree(m.root, openTest(t, after).Root(), nil); err != nil {
				t.Fatal(err)
			}
			if reverted, err := journal.Revert(after); err != nil || !bytes.Equal(reverted, data) {
				t.Fatalf("the journal does not lead back: %v", err)
			}
			t.Logf("%d of 200 edits refused; %d ranges changed; %d bytes longer", refused, len(journal.Ranges), journal.NewSize-journal.OldSize)
		})
	}
}

// testDamagedEdits edits a hive that has damage somewhere: what is refused
// changes nothing, and what is done makes nothing worse.
func testDamagedEdits(t *testing.T, im *Image) {
	for _, force := range []bool{false, true} {
		e, err := NewEditor(im, EditorOptions{Time: editTime, Force: force})
		if errors.Is(err, ErrRefused) {
			t.Log(err)
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(1, 2))
		m := model{load(im.Root())}
		refused := 0
		for range 100 {
			if err := randomEdit(r, e, m, 10); err != nil {
				if !errors.Is(err, ErrRefused) {
					t.Fatal(err)
				}
				refused++
			}
		}
		after, journal, err := e.Commit()
		if err != nil {
			t.Fatal(err)
		}
		if reverted, err := journal.Revert(after); err != nil || !bytes.Equal(reverted, im.Bytes()) {
			t.Fatalf("the journal does not lead back: %v", err)
		}
		t.Logf("force %v: %d of 100 edits refused", force, refused)
		if force {
			continue
		}
		noNewIssues(t, im, openTest(t, after))
		if err := compareTree(m.root, openTest(t, after).Root(), nil); err != nil {
			t.Fatal(err)
		}
	}
}
