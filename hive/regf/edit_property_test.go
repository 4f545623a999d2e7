package regf

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"hivemend/hive"
)

// The tests in this file make random edits to generated hives and to a simple
// model of the tree at the same time, and compare the two after each commit.

const editTime hive.FileTime = 133500000000000000

// names that the random edits choose from: short, long, of every kind of
// storage, and some that differ in case only.
var testNames = []string{
	"a", "B", "Key", "key2", "caf\u00e9", "CAF\u00c9S", "\u03a9mega", "\u044f", "emoji\U0001f600", "x\x00y", "line\r\nbreak", "\xed\xa0\x80lone",
	"0", "~", "long name of a key that does not fit into a small free cell, whatever is tried", "\u00ff", "\u0178",
}

func randomName(r *rand.Rand, spread int) string {
	if r.IntN(4) == 0 {
		return testNames[r.IntN(len(testNames))]
	}
	return fmt.Sprintf("n%d", r.IntN(spread))
}

func randomData(r *rand.Rand) []byte {
	var n int
	switch r.IntN(12) {
	case 0:
		n = 0
	case 1, 2, 3:
		n = r.IntN(6)
	case 4:
		n = 4000 + r.IntN(400)
	case 5:
		n = []int{16343, 16344, 16345, 32688, 32689, 40000}[r.IntN(6)]
	default:
		n = r.IntN(200)
	}
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}

// randomTree makes a model to begin with. wide keys get a great many subkeys,
// so that lists of all kinds occur.
func randomTree(r *rand.Rand, depth, wide int) *hive.Node {
	n := &hive.Node{Name: "ROOT", Security: testDescriptor(r.IntN(3))}
	fillTree(r, n, depth)
	w := &hive.Node{Name: "wide"}
	for i := range wide {
		w.Keys = append(w.Keys, &hive.Node{Name: fmt.Sprintf("w%05d", 3*i), Security: testDescriptor(i % 3)})
	}
	n.Keys = append(n.Keys, w)
	return n
}

func fillTree(r *rand.Rand, n *hive.Node, depth int) {
	for range r.IntN(6) {
		if name := randomName(r, 50); n.Value(name) == nil {
			n.Values = append(n.Values, hive.NodeValue{Name: name, Type: hive.Type(r.IntN(12)), Data: randomData(r)})
		}
	}
	if depth == 0 {
		return
	}
	for range r.IntN(6) {
		if name := randomName(r, 50); n.Subkey(name) == nil {
			k := &hive.Node{Name: name, Security: testDescriptor(r.IntN(3))}
			if r.IntN(4) == 0 {
				k.Class = []byte("c\x00l\x00a\x00s\x00s\x00")
			}
			fillTree(r, k, depth-1)
			n.Keys = append(n.Keys, k)
		}
	}
}

// testDescriptor returns one of three sound descriptors; nil for the first.
func testDescriptor(i int) []byte {
	if i == 0 {
		return nil
	}
	sd := []byte(defaultDescriptor)
	sd[32] = byte(i) // some access right of the first entry
	return sd
}

// model is the tree as it should be, in plain memory.
type model struct{ root *hive.Node }

func (m model) find(path hive.Path) *hive.Node {
	n := m.root
	for _, name := range path {
		if n = n.Subkey(name); n == nil {
			return nil
		}
	}
	return n
}

func (m model) make(path hive.Path, at hive.FileTime) *hive.Node {
	n := m.root
	for _, name := range path {
		next := n.Subkey(name)
		if next == nil {
			next = &hive.Node{Name: name, LastWrite: at, Security: n.Security}
			n.Keys = append(n.Keys, next)
			n.LastWrite = at
		}
		n = next
	}
	return n
}

func (m model) set(path hive.Path, name string, typ hive.Type, data []byte, at hive.FileTime) {
	n := m.make(path, at)
	if v := n.Value(name); v != nil {
		if v.Type != typ || !bytes.Equal(v.Data, data) {
			v.Type, v.Data = typ, data
			n.LastWrite = at
		}
		return
	}
	n.Values = append(n.Values, hive.NodeValue{Name: name, Type: typ, Data: data})
	n.LastWrite = at
}

func (m model) deleteValue(path hive.Path, name string, at hive.FileTime) {
	n := m.find(path)
	if n == nil {
		return
	}
	for i, v := range n.Values {
		if hive.EqualFold(v.Name, name) {
			n.Values = slices.Delete(n.Values, i, i+1)
			n.LastWrite = at
			return
		}
	}
}

func (m model) deleteKey(path hive.Path, at hive.FileTime) {
	n := m.find(path.Parent())
	if n == nil {
		return
	}
	for i, k := range n.Keys {
		if hive.EqualFold(k.Name, path.Name()) {
			n.Keys = slices.Delete(n.Keys, i, i+1)
			n.LastWrite = at
			return
		}
	}
}

// compareTree reports the first difference between a model and a hive: names,
// times, classes, descriptors, types and data of everything, and the order of
// values.
func compareTree(n *hive.Node, k hive.Key, path hive.Path) error {
	if len(path) > 0 && n.Name != k.Name() {
		return fmt.Errorf("%s: want the name %q, found %q", path, n.Name, k.Name())
	}
	if n.LastWrite != k.LastWrite() {
		return fmt.Errorf("%s: want the time %v, found %v", path, n.LastWrite, k.LastWrite())
	}
	if !bytes.Equal(n.Class, k.Class()) {
		return fmt.Errorf("%s: want the class %x, found %x", path, n.Class, k.Class())
	}
	if !bytes.Equal(n.Security, k.Security()) {
		return fmt.Errorf("%s: want the descriptor %x, found %x", path, n.Security, k.Security())
	}
	i := 0
	for v := range k.Values() {
		data, _ := v.Data() // the check of the hive tells of errors
		switch {
		case i >= len(n.Values):
			return fmt.Errorf("%s: a value %q too many", path, v.Name())
		case n.Values[i].Name != v.Name() || n.Values[i].Type != v.Type() || !bytes.Equal(n.Values[i].Data, data):
			return fmt.Errorf("%s: value %d: want %q %v of %d bytes, found %q %v of %d", path, i,
				n.Values[i].Name, n.Values[i].Type, len(n.Values[i].Data), v.Name(), v.Type(), len(data))
		}
		i++
	}
	if i < len(n.Values) {
		return fmt.Errorf("%s: the value %q is missing", path, n.Values[i].Name)
	}
	// The check of the hive tells of wrong order.
	sorted := slices.Clone(n.Keys)
	slices.SortFunc(sorted, func(a, b *hive.Node) int { return hive.CompareFold(a.Name, b.Name) })
	subkeys := slices.SortedFunc(k.Subkeys(), func(a, b hive.Key) int { return hive.CompareFold(a.Name(), b.Name()) })
	i = 0
	for _, sub := range subkeys {
		if i >= len(sorted) {
			return fmt.Errorf("%s: a key %q too many", path, sub.Name())
		}
		if err := compareTree(sorted[i], sub, path.Join(sorted[i].Name)); err != nil {
			return err
		}
		i++
	}
	if i < len(sorted) {
		return fmt.Errorf("%s: the key %q is missing", path, sorted[i].Name)
	}
	return nil
}

// settle gives a whole model the times and descriptors that Build gives to keys
// without any.
func settle(n *hive.Node, at hive.FileTime, security []byte) {
	n.LastWrite = at
	if n.Security == nil {
		n.Security = security
	}
	for _, k := range n.Keys {
		settle(k, at, n.Security)
	}
}

// randomEdit makes one edit to the hive and, if that succeeds, to the model.
func randomEdit(r *rand.Rand, e *Editor, m model, wide int) error {
	path := randomPath(r, m)
	switch r.IntN(10) {
	case 0, 1, 2:
		name, typ, data := randomName(r, 30), hive.Type(r.IntN(12)), randomData(r)
		if n := m.find(path); len(n.Values) > 0 && r.IntN(4) == 0 {
			name = n.Values[r.IntN(len(n.Values))].Name
		}
		return both(e.SetValue(path, name, typ, data), func() { m.set(path, name, typ, data, editTime) })
	case 3, 4:
		name := randomName(r, 30)
		if n := m.find(path); len(n.Values) > 0 && r.IntN(4) > 0 {
			name = n.Values[r.IntN(len(n.Values))].Name
		}
		return both(e.DeleteValue(path, name), func() { m.deleteValue(path, name, editTime) })
	case 5:
		if len(path) == 0 || hive.EqualFold(path[0], "wide") && len(path) == 1 {
			return nil
		}
		return both(e.DeleteKey(path), func() { m.deleteKey(path, editTime) })
	case 6, 7:
		path = path.Join(randomName(r, 30))
		return both(e.CreateKey(path), func() { m.make(path, editTime) })
	case 8:
		path = hive.Path{"wide", fmt.Sprintf("w%05d", r.IntN(3*wide+10))}
		return both(e.CreateKey(path), func() { m.make(path, editTime) })
	}
	path = hive.Path{"WIDE", fmt.Sprintf("W%05d", 3*r.IntN(wide+1))}
	return both(e.DeleteKey(path), func() { m.deleteKey(path, editTime) })
}

// both changes the model too if the edit to the hive succeeded.
func both(err error, change func()) error {
	if err == nil {
		change()
	}
	return err
}

// randomPath returns the path of some key of the model.
func randomPath(r *rand.Rand, m model) hive.Path {
	var path hive.Path
	for n := m.root; len(n.Keys) > 0 && r.IntN(4) > 0; {
		n = n.Keys[r.IntN(len(n.Keys))]
		path = path.Join(n.Name)
	}
	return path
}

func openTest(t testing.TB, data []byte) *Image {
	t.Helper()
	im, err := Open(data, OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// checkClean fails if the hive has any defect but harmless remarks.
func checkClean(t testing.TB, im *Image) {
	t.Helper()
	for _, issue := range im.Check().Issues {
		if issue.Damage > hive.DamageInfo {
			t.Fatalf("%s at %#x, %s: %s", issue.Code, issue.Offset, issue.Key, issue.Detail)
		}
	}
}

func testRandomEdits(t *testing.T, seed uint64, minor uint32, wide, rounds, edits int) {
	r := rand.New(rand.NewPCG(seed, uint64(minor)))
	m := model{randomTree(r, 3, wide)}
	data, err := Build(m.root.Key(), BuildOptions{Minor: minor, Time: editTime - 1})
	if err != nil {
		t.Fatal(err)
	}
	settle(m.root, editTime-1, []byte(defaultDescriptor))
	checkClean(t, openTest(t, data))
	if err := compareTree(m.root, openTest(t, data).Root(), nil); err != nil {
		t.Fatalf("after building: %v", err)
	}
	for round := range rounds {
		before := bytes.Clone(data)
		e, err := NewEditor(openTest(t, data), EditorOptions{Time: editTime, Wipe: round%2 == 1})
		if err != nil {
			t.Fatal(err)
		}
		for range edits {
			if err := randomEdit(r, e, m, wide); err != nil {
				t.Fatal(err)
			}
		}
		after, journal, err := e.Commit()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(before, data) {
			t.Fatal("the original was changed")
		}
		im := openTest(t, after)
		if im.Dirty() {
			t.Fatal("the edited hive is dirty")
		}
		checkClean(t, im)
		if err := compareTree(m.root, im.Root(), nil); err != nil {
			t.Fatalf("after round %d: %v", round, err)
		}
		reverted, err := journal.Revert(after)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(reverted, before) {
			t.Fatalf("round %d: the journal does not lead back", round)
		}
		data = after
	}
}

func TestRandomEdits(t *testing.T) {
	rounds := 6
	if testing.Short() {
		rounds = 3
	}
	for _, minor := range []uint32{2, 3, 4, 5, 6} {
		for _, wide := range []int{3, 600, 2000} {
			t.Run(fmt.Sprintf("1.%d/%d", minor, wide), func(t *testing.T) {
				t.Parallel()
				for seed := range uint64(2) {
					testRandomEdits(t, seed, minor, wide, rounds, 1+int(seed)*40)
				}
			})
		}
	}
}
