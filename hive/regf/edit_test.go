package regf

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"hivemend/hive"
)

func buildTest(t testing.TB, root *hive.Node, opt BuildOptions) []byte {
	t.Helper()
	if opt.Time == 0 {
		opt.Time = editTime - 1
	}
	data, err := Build(root.Key(), opt)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func editTest(t testing.TB, data []byte, opt EditorOptions) *Editor {
	t.Helper()
	if opt.Time == 0 {
		opt.Time = editTime
	}
	e, err := NewEditor(openTest(t, data), opt)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// commit ends the editing, and checks what always has to hold.
func commit(t testing.TB, e *Editor) ([]byte, Journal) {
	t.Helper()
	after, journal, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	before := e.original
	if reverted, err := journal.Revert(after); err != nil || !bytes.Equal(reverted, before) {
		t.Fatalf("the journal does not lead back: %v", err)
	}
	last := int64(-mergeGap)
	for _, r := range journal.Ranges {
		if r.Offset-last < mergeGap {
			t.Errorf("range at %#x is too near to the one before, which ends at %#x", r.Offset, last)
		}
		last = r.Offset + int64(len(r.New))
		n := len(r.New)
		if len(r.Old) == n && (r.Old[0] == r.New[0] || r.Old[n-1] == r.New[n-1]) {
			t.Errorf("range at %#x begins or ends with bytes that did not change", r.Offset)
		}
	}
	return after, journal
}

func mustDo(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func smallTree() *hive.Node {
	return &hive.Node{Name: "ROOT", Keys: []*hive.Node{
		{Name: "A", Values: []hive.NodeValue{
			{Name: "text", Type: hive.RegSZ, Data: []byte("o\x00l\x00d\x00\x00\x00")},
			{Name: "number", Type: hive.RegDWORD, Data: []byte{1, 0, 0, 0}},
			{Name: "", Type: hive.RegBinary, Data: bytes.Repeat([]byte{0xcc}, 100)},
		}, Keys: []*hive.Node{{Name: "Below"}}},
		{Name: "B", Keys: []*hive.Node{{Name: "Link", Flags: nkSymlink}, {Name: "Kept", Flags: nkNoDelete}}},
	}}
}

// TestEditTouchesLittle says in bytes what the smallest edits may change.
func TestEditTouchesLittle(t *testing.T) {
	// The time before differs from that of the edit in its lowest byte only.
	data := buildTest(t, smallTree(), BuildOptions{Time: editTime + 1})
	// Sequence numbers and time, checksum, time in the first bin.
	header := []string{"0x4 9", "0x1fc 1", "0x1014 1"}
	for _, tt := range []struct {
		name string
		edit func(e *Editor) error
		want int // bytes that differ, those of the header not counted
	}{
		// 1 byte of data and 1 of the key's time (they differ by one tick).
		{"inline", func(e *Editor) error { return e.SetValue(hive.Path{"a"}, "NUMBER", hive.RegDWORD, []byte{2, 0, 0, 0}) }, 2},
		{"in place", func(e *Editor) error {
			return e.SetValue(hive.Path{"A"}, "text", hive.RegSZ, []byte("n\x00l\x00d\x00\x00\x00"))
		}, 2},
		{"type", func(e *Editor) error { return e.SetValue(hive.Path{"A"}, "number", hive.RegBinary, []byte{1, 0, 0, 0}) }, 2},
	} {
		e := editTest(t, data, EditorOptions{})
		mustDo(t, tt.edit(e))
		after, journal := commit(t, e)
		checkClean(t, openTest(t, after))
		differ := 0
		for i := baseBlockSize + binHeaderSize; i < len(data); i++ {
			if data[i] != after[i] {
				differ++
			}
		}
		if differ != tt.want {
			t.Errorf("%s: %d bytes differ behind the headers, want %d", tt.name, differ, tt.want)
		}
		for i, want := range header {
			if r := journal.Ranges[i]; fmt.Sprintf("%#x %d", r.Offset, len(r.New)) != want {
				t.Errorf("%s: range %d is %#x %d, want %s", tt.name, i, r.Offset, len(r.New), want)
			}
		}
	}
}

// TestEditNothing makes edits whose after-state already stands.
func TestEditNothing(t *testing.T) {
	data := buildTest(t, smallTree(), BuildOptions{})
	e := editTest(t, data, EditorOptions{Wipe: true})
	mustDo(t, e.SetValue(hive.Path{"a"}, "NUMBER", hive.RegDWORD, []byte{1, 0, 0, 0}))
	mustDo(t, e.SetValue(hive.Path{"a"}, "", hive.RegBinary, bytes.Repeat([]byte{0xcc}, 100)))
	mustDo(t, e.DeleteValue(hive.Path{"a"}, "absent"))
	mustDo(t, e.DeleteValue(hive.Path{"absent", "too"}, "x"))
	mustDo(t, e.DeleteKey(hive.Path{"absent", "too"}))
	mustDo(t, e.DeleteKey(hive.Path{"a", "absent"}))
	mustDo(t, e.CreateKey(hive.Path{"A", "BELOW"}))
	mustDo(t, e.CreateKey(nil))
	after, journal := commit(t, e)
	if !bytes.Equal(after, data) || !journal.Empty() {
		t.Errorf("%d ranges changed, want none", len(journal.Ranges))
	}
	if err := e.CreateKey(hive.Path{"late"}); err == nil {
		t.Error("an edit after the commit was made")
	}
	if _, _, err := e.Commit(); err == nil {
		t.Error("a second commit was made")
	}
}

// TestFailedEditChangesNothing makes edits that fail after a part of them is done.
func TestFailedEditChangesNothing(t *testing.T) {
	long := strings.Repeat("x", 300)
	big := make([]byte, maxSingleData+1)
	deep := make(hive.Path, hive.MaxDepth+1)
	for i := range deep {
		deep[i] = "d"
	}
	data := buildTest(t, smallTree(), BuildOptions{Minor: 3})
	for _, tt := range []struct {
		name string
		edit func(e *Editor) error
	}{
		{"long key name", func(e *Editor) error { return e.SetValue(hive.Path{"new", "newer", long}, "v", 1, big[:20000]) }},
		{"backslash", func(e *Editor) error { return e.CreateKey(hive.Path{"new", `a\b`}) }},
		{"empty name", func(e *Editor) error { return e.CreateKey(hive.Path{"new", ""}) }},
		{"long value name", func(e *Editor) error { return e.SetValue(hive.Path{"new"}, strings.Repeat(long, 60), 1, nil) }},
		{"long data", func(e *Editor) error { return e.SetValue(hive.Path{"new"}, "v", 1, big) }},
		{"deep", func(e *Editor) error { return e.CreateKey(deep) }},
		{"no delete", func(e *Editor) error { return e.DeleteKey(hive.Path{"B"}) }},
		{"below a link", func(e *Editor) error { return e.CreateKey(hive.Path{"B", "Link", "x"}) }},
		{"value of a link", func(e *Editor) error { return e.SetValue(hive.Path{"B", "Link"}, "x", 1, big[:5000]) }},
		{"root", func(e *Editor) error { return e.DeleteKey(nil) }},
	} {
		e := editTest(t, data, EditorOptions{})
		if err := tt.edit(e); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want a refusal", tt.name, err)
		}
		if after, journal := commit(t, e); !bytes.Equal(after, data) || !journal.Empty() {
			t.Errorf("%s: the hive was changed", tt.name)
		}
	}
	// And between edits that succeed, growing the hive on the way.
	e := editTest(t, data, EditorOptions{})
	mustDo(t, e.SetValue(hive.Path{"A"}, "one", 3, big[:9000]))
	want := bytes.Clone(e.im.data)
	if err := e.SetValue(hive.Path{"new", "newer", "newest", long}, "v", 3, nil); err == nil {
		t.Fatal("no error")
	}
	if err := e.run("break off", func() error {
		mustDo(t, e.addValue(e.im.root, encodeName("x"), 3, big[:200000]))
		mustDo(t, e.releaseTree(e.subkeys(e.im.root, nk(mustUse(e.key(e.im.root))), encodeName("A")).found))
		return errors.New("enough")
	}); err == nil {
		t.Fatal("no error")
	}
	if !bytes.Equal(e.im.data, want) {
		t.Error("a failed edit left something behind")
	}
	for i, name := range []string{"two", "three", "four", "five"} {
		mustDo(t, e.SetValue(hive.Path{"A", name}, name, 3, big[:9000+i*3000]))
	}
	mustDo(t, e.DeleteValue(hive.Path{"A", "three"}, "three"))
	mustDo(t, e.SetValue(hive.Path{"A", "five"}, "six", 3, big[:8000]))
	after, _ := commit(t, e)
	checkClean(t, openTest(t, after))
}

func mustUse[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestRefusals has one hive for each reason to refuse one as a whole.
func TestRefusals(t *testing.T) {
	build := func(minor uint32, change func(b baseBlock, data []byte)) []byte {
		data := buildTest(t, smallTree(), BuildOptions{Minor: minor})
		b := baseBlock(data)
		change(b, data)
		return data
	}
	sum := func(b baseBlock) { b.setChecksum(b.computeChecksum()) }
	for _, tt := range []struct {
		name      string
		data      []byte
		lenient   bool
		why       string // "" where the hive is edited
		forceable bool
	}{
		{"sound", build(5, func(baseBlock, []byte) {}), false, "", false},
		{"sequence", build(5, func(b baseBlock, _ []byte) { b.setSequence1(9); sum(b) }), false, "dirty: its sequence numbers are 9 and 1", true},
		{"checksum", build(5, func(b baseBlock, _ []byte) { b[508] ^= 1 }), true, "dirty: the checksum", true},
		{"layered", build(6, func(b baseBlock, _ []byte) { copy(b[164:], "rmtm"); b[144] = baseFlagLayered; sum(b) }), false, "layered keys", true},
		{"flags before Vista", build(3, func(b baseBlock, _ []byte) { b[144] = baseFlagLayered; sum(b) }), false, "", false},
		{"version", build(5, func(b baseBlock, _ []byte) { b.setMinor(7); sum(b) }), true, "version 1.7", false},
		{"length", build(5, func(b baseBlock, data []byte) { b.setLength(b.length() + binUnit); sum(b) }), true, "repair the hive first", false},
		{"bin", build(5, func(_ baseBlock, data []byte) { data[binsStart] = 'x' }), true, "repair the hive first", false},
		{"cell", build(5, func(_ baseBlock, data []byte) { le.PutUint32(data[len(data)-4:], 0); breakLastCell(data) }), false, "CL01", true},
		{"root", build(5, func(b baseBlock, data []byte) { b.setRoot(0x28); sum(b) }), true, "root key is not where", false},
	} {
		im, err := Open(tt.data, OpenOptions{Lenient: tt.lenient})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		_, err = NewEditor(im, EditorOptions{})
		var refused *RefusedError
		switch {
		case tt.why == "":
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		case !errors.As(err, &refused):
			t.Errorf("%s: %v, want a refusal", tt.name, err)
			continue
		case !strings.Contains(refused.Error(), tt.why) || refused.Forceable != tt.forceable:
			t.Errorf("%s: %v (forceable: %v), want %q (%v)", tt.name, err, refused.Forceable, tt.why, tt.forceable)
		}
		e, err := NewEditor(im, EditorOptions{Force: true, Time: editTime})
		if (err == nil) != tt.forceable {
			t.Errorf("%s: with force: %v", tt.name, err)
		}
		if err != nil {
			continue
		}
		err = e.SetValue(hive.Path{"A"}, "number", hive.RegDWORD, []byte{9, 0, 0, 0})
		if broken := tt.name == "cell"; (err != nil) != broken {
			t.Errorf("%s: with force: %v", tt.name, err)
		}
		if after, _ := commit(t, e); openTest(t, after).Dirty() {
			t.Errorf("%s: dirty after the edit", tt.name)
		}
	}
}

// breakLastCell gives the last cell of a hive, a free one, a size that leads
// out of its bin.
func breakLastCell(data []byte) {
	at := binsStart + binHeaderSize
	for {
		size, _ := cellSize(data[at:])
		if at+int(size) == len(data) {
			le.PutUint32(data[at:], size+8)
			return
		}
		at += int(size)
	}
}

func TestForcedEdits(t *testing.T) {
	data := buildTest(t, smallTree(), BuildOptions{})
	e := editTest(t, data, EditorOptions{Force: true})
	mustDo(t, e.SetValue(hive.Path{"B", "Link"}, "SymbolicLinkValue", hive.RegLink, []byte("x\x00")))
	mustDo(t, e.DeleteKey(hive.Path{"B"}))
	if err := e.DeleteKey(nil); err == nil {
		t.Error("the root was deleted")
	}
	after, _ := commit(t, e)
	checkClean(t, openTest(t, after))
	if _, ok := openTest(t, after).Root().Subkey("B"); ok {
		t.Error("B is still there")
	}
}

// TestDamageElsewhere edits hives with one damaged key: only edits that touch
// it are refused, and new records keep away from where it may lead.
func TestDamageElsewhere(t *testing.T) {
	a, b := hive.Path{"A"}, hive.Path{"B"}
	number := func(e *Editor, path hive.Path) error {
		return e.SetValue(path, "number", hive.RegDWORD, []byte{8, 0, 0, 0})
	}
	long := func(e *Editor, path hive.Path) error {
		return e.SetValue(path, "long", hive.RegBinary, make([]byte, 9000))
	}
	text := func(im *Image) vk { // the value "text" of A, whose data is in a cell of its own
		key, _ := im.Root().Subkey("A")
		_, ref := key.Store()
		k := nk(mustUse(im.key(cellOffset(ref))))
		entries, _ := im.valueList(k)
		return im.valueQuick(reference(entries))
	}
	for _, tt := range []struct {
		name   string
		damage func(im *Image)
		grow   bool // whether new bins are added without force
	}{
		{"data in a free cell", func(im *Image) { c := text(im).data(); le.PutUint32(im.bins[c:], -le.Uint32(im.bins[c:])) }, true},
		{"data in no cell", func(im *Image) { text(im).setData(0x7ffffff0) }, false},
		{"no value", func(im *Image) { text(im)[0] = 'x' }, true},
	} {
		data := buildTest(t, smallTree(), BuildOptions{})
		im := openTest(t, data)
		tt.damage(im)
		for _, force := range []bool{false, true} {
			e := editTest(t, data, EditorOptions{Force: force})
			for _, err := range []error{number(e, a), e.DeleteValue(a, "number"), long(e, a), e.CreateKey(a.Join("x")), e.DeleteKey(a)} {
				if (err == nil) != force || err != nil && (!errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "A is damaged")) {
					t.Errorf("%s, force %v: %v", tt.name, force, err)
				}
			}
			if err := e.DeleteKey(b.Join("Link")); (err == nil) != force {
				t.Errorf("%s, force %v: %v", tt.name, force, err)
			}
			if err := long(e, b); (err == nil) != (force || tt.grow) {
				t.Errorf("%s, force %v: %v", tt.name, force, err)
			}
			after, _ := commit(t, e)
			if force {
				continue
			}
			for at, free := range freeBytes(im) {
				if !bytes.Equal(after[at:at+len(free)], free) {
					t.Errorf("%s: the free cell at %#x was used though references are damaged", tt.name, at)
				}
			}
		}
	}
}

// TestPredefinedHandle has a key whose value count is a handle.
func TestPredefinedHandle(t *testing.T) {
	data := buildTest(t, smallTree(), BuildOptions{})
	im := openTest(t, data)
	below, _ := im.Root().Lookup(hive.Path{"A", "Below"})
	_, ref := below.Store()
	k, err := im.key(cellOffset(ref))
	mustDo(t, err)
	k.setFlags(k.flags() | nkPredefined)
	k.setValueCount(0x80000050)
	for _, force := range []bool{false, true} {
		e := editTest(t, data, EditorOptions{Force: force})
		for _, err := range []error{
			e.SetValue(hive.Path{"A", "Below"}, "x", 1, nil),
			e.DeleteValue(hive.Path{"A", "Below"}, "x"),
			e.CreateKey(hive.Path{"A", "Below", "x"}),
		} {
			var refused *RefusedError
			if !errors.As(err, &refused) || refused.Forceable {
				t.Errorf("%v, want a refusal that cannot be forced", err)
			}
		}
		if err := e.DeleteKey(hive.Path{"A"}); (err == nil) != force {
			t.Errorf("force %v: %v", force, err)
		}
		after, _ := commit(t, e)
		checkClean(t, openTest(t, after))
	}
}

func TestSequenceNumbers(t *testing.T) {
	for _, tt := range []struct{ stored, logs, want uint32 }{
		{1, 0, 2}, {7, 3, 8}, {7, 7, 8}, {7, 30, 31}, {0xfffffff0, 5, 6}, {0xffffffff, 0, 1}, {5, 0xfffffff0, 6}, {0x90000000, 0, 0x90000001},
	} {
		data := buildTest(t, smallTree(), BuildOptions{Sequence: tt.stored})
		e := editTest(t, data, EditorOptions{MinSequence: tt.logs})
		mustDo(t, e.DeleteKey(hive.Path{"A"}))
		after, _ := commit(t, e)
		if h := openTest(t, after).Header(); h.Sequence1 != tt.want || h.Sequence2 != tt.want {
			t.Errorf("%d with logs up to %d gives %d and %d, want %d", tt.stored, tt.logs, h.Sequence1, h.Sequence2, tt.want)
		}
	}
}

// TestWipe looks for deleted data in the bytes of the hive.
func TestWipe(t *testing.T) {
	secret := []byte("this is the secret that must be gone")
	for _, wipe := range []bool{false, true} {
		root := smallTree()
		for i, n := range []int{1, 600, 1500} {
			root.Keys[0].Values = append(root.Keys[0].Values, hive.NodeValue{Name: fmt.Sprint(i), Type: hive.RegBinary, Data: bytes.Repeat(secret, n)})
		}
		root.Keys[0].Values = append(root.Keys[0].Values, hive.NodeValue{Name: "replaced", Type: hive.RegBinary, Data: bytes.Repeat(secret, 40)})
		root.Keys[0].Keys[0].Name = string(secret)
		root.Keys[0].Keys[0].Class = secret
		e := editTest(t, buildTest(t, root, BuildOptions{}), EditorOptions{Wipe: wipe})
		for i := range 3 {
			mustDo(t, e.DeleteValue(hive.Path{"A"}, fmt.Sprint(i)))
		}
		mustDo(t, e.SetValue(hive.Path{"A"}, "replaced", hive.RegBinary, make([]byte, 300)))
		mustDo(t, e.DeleteKey(hive.Path{"A", string(secret)}))
		after, _ := commit(t, e)
		checkClean(t, openTest(t, after))
		if found := bytes.Contains(after, secret[:20]); found == wipe {
			t.Errorf("wipe %v: found %v", wipe, found)
		}
		left := 0
		for _, free := range freeBytes(openTest(t, after)) {
			left += len(free) - bytes.Count(free, []byte{0})
		}
		if (left == 0) != wipe {
			t.Errorf("wipe %v: %d bytes left in free cells", wipe, left)
		}
	}
}

// freeBytes iterates over the payloads of the free cells of a sound hive, and
// where they lie in the file.
func freeBytes(im *Image) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for at := 0; at < len(im.bins); {
			end := int(im.binEnd[at/binUnit])
			for at += binHeaderSize; at < end; {
				size, used := cellSize(im.bins[at:])
				if !used && !yield(binsStart+at+cellHeaderSize, im.bins[at+cellHeaderSize:at+int(size)]) {
					return
				}
				at += int(size)
			}
		}
	}
}

// TestShrink sets much shorter data: what is not needed any more is free.
func TestShrink(t *testing.T) {
	root := smallTree()
	root.Keys[0].Values[0].Data = make([]byte, 3000)
	data := buildTest(t, root, BuildOptions{})
	before := openTest(t, data).Check().BytesFree
	for _, tt := range []struct {
		length  int
		atLeast int64
	}{{2990, 0}, {1500, 0}, {600, 2000}, {100, 2800}, {4, 3000}, {0, 3000}} {
		e := editTest(t, data, EditorOptions{})
		mustDo(t, e.SetValue(hive.Path{"A"}, "text", hive.RegBinary, bytes.Repeat([]byte{7}, tt.length)))
		after, _ := commit(t, e)
		im := openTest(t, after)
		checkClean(t, im)
		if freed := im.Check().BytesFree - before; freed < tt.atLeast || tt.atLeast == 0 && freed != 0 {
			t.Errorf("%d bytes: %d freed, want %d or more", tt.length, freed, tt.atLeast)
		}
	}
}

// TestTrailingBytes edits hives with something behind their bins.
func TestTrailingBytes(t *testing.T) {
	for _, n := range []int{1, 4095, 4096, 5000, 300000} {
		data := append(buildTest(t, smallTree(), BuildOptions{}), bytes.Repeat([]byte{0xee}, n)...)
		e := editTest(t, data, EditorOptions{})
		if err := e.run("break off", func() error {
			mustDo(t, e.addValue(e.im.root, encodeName("x"), 3, make([]byte, 30000)))
			return errors.New("enough")
		}); err == nil || !bytes.Equal(e.im.data, data) {
			t.Fatalf("%d: a failed edit left something behind, or did not fail: %v", n, err)
		}
		mustDo(t, e.SetValue(hive.Path{"A"}, "long", hive.RegBinary, make([]byte, 50000)))
		after, _ := commit(t, e)
		checkGrown := openTest(t, after)
		for _, issue := range checkGrown.Check().Issues {
			if issue.Damage > hive.DamageInfo {
				t.Errorf("%d: %s: %s", n, issue.Code, issue.Detail)
			}
		}
		if end := binsStart + len(checkGrown.bins); n > 100000 && bytes.Count(after[end:], []byte{0xee}) != len(after)-end {
			t.Errorf("%d: what trails the new bins was changed", n)
		}
	}
}

// TestListGrowth puts 2,100 keys into one and takes them out again, in several
// orders, in all versions: every kind of list grows, splits and empties.
func TestListGrowth(t *testing.T) {
	const n = 2100
	for _, minor := range []uint32{2, 3, 5} {
		for order := range 4 {
			t.Run(fmt.Sprintf("1.%d/%d", minor, order), func(t *testing.T) {
				t.Parallel()
				names := make([]int, n)
				for i := range names {
					names[i] = i
				}
				switch order {
				case 1:
					slices.Reverse(names)
				case 2, 3:
					rand.New(rand.NewPCG(uint64(order), 0)).Shuffle(n, func(i, j int) { names[i], names[j] = names[j], names[i] })
				}
				data := buildTest(t, smallTree(), BuildOptions{Minor: minor})
				edit := func(part []int, one func(e *Editor, p hive.Path) error, want int) {
					e := editTest(t, data, EditorOptions{})
					for _, i := range part {
						mustDo(t, one(e, hive.Path{"A", "Below", fmt.Sprintf("k%05d", i)}))
					}
					data, _ = commit(t, e)
					im := openTest(t, data)
					checkClean(t, im)
					k, _ := im.Root().Lookup(hive.Path{"A", "Below"})
					if found := len(slices.Collect(k.Subkeys())); found != want {
						t.Fatalf("%d subkeys, want %d", found, want)
					}
				}
				for i := 0; i < n; i += 700 {
					edit(names[i:i+700], (*Editor).CreateKey, i+700)
				}
				size := len(data)
				for i := 0; i < n; i += 700 {
					edit(names[i:i+700], (*Editor).DeleteKey, n-i-700)
				}
				below, _ := openTest(t, data).Root().Lookup(hive.Path{"A", "Below"})
				_, ref := below.Store()
				if k, _ := openTest(t, data).key(cellOffset(ref)); k.subkeyList() != noCell || k.maxSubkeyName() != 0 {
					t.Errorf("list %s and longest name %d of a key without subkeys", k.subkeyList(), k.maxSubkeyName())
				}
				edit(names, (*Editor).CreateKey, n)
				if len(data) > size+size/8 {
					t.Errorf("the hive grew from %d to %d bytes though the same keys were there before", size, len(data))
				}
			})
		}
	}
}

// TestListKinds looks at the lists that grow past the limit of one leaf.
func TestListKinds(t *testing.T) {
	for _, tt := range []struct {
		minor  uint32
		before int
		want   string
	}{
		{2, 1013, "ri li 507 507"}, {3, 507, "li 508"}, {4, 1013, "ri li 507 507"}, {5, 507, "ri lh 254 254"}, {6, 506, "lh 507"},
	} {
		root := &hive.Node{Name: "ROOT"}
		for i := range tt.before {
			root.Keys = append(root.Keys, &hive.Node{Name: fmt.Sprintf("k%05d", i)})
		}
		e := editTest(t, buildTest(t, root, BuildOptions{Minor: tt.minor}), EditorOptions{})
		mustDo(t, e.CreateKey(hive.Path{"one more"}))
		after, _ := commit(t, e)
		im := openTest(t, after)
		checkClean(t, im)
		k := nk(mustUse(im.key(im.root)))
		var found []string
		if mustUse(im.list(k.subkeyList())).kind() == "ri" {
			found = append(found, "ri")
		}
		im.leaves(k.subkeyList(), func(l list) bool {
			if kind := l.kind(); !slices.Contains(found, kind) {
				found = append(found, kind)
			}
			found = append(found, fmt.Sprint(l.count()))
			return true
		})
		if text := strings.Join(found, " "); text != tt.want {
			t.Errorf("1.%d, one more than %d: %s, want %s", tt.minor, tt.before, text, tt.want)
		}
	}
}

// TestLongHashLeaf has a leaf longer than new ones are made, as Windows 10
// writes them: it may go on to 1,013 elements.
func TestLongHashLeaf(t *testing.T) {
	root := &hive.Node{Name: "ROOT"}
	for i := range 900 {
		root.Keys = append(root.Keys, &hive.Node{Name: fmt.Sprintf("k%05d", 2*i)})
	}
	e := editTest(t, buildTest(t, root, BuildOptions{}), EditorOptions{})
	mustDo(t, e.run("join the leaves", func() error {
		k := nk(mustUse(e.key(e.im.root)))
		list := e.subkeys(e.im.root, k, storedName{})
		var all []leafEntry
		for _, leaf := range list.leaves {
			entries, _, err := e.entries(leaf)
			mustDo(t, err)
			all = append(all, entries...)
		}
		c, err := storeList(e, "lh", all, e.im.root)
		mustDo(t, err)
		nk(mustUse(e.writableKey(e.im.root))).setSubkeyList(c)
		for _, leaf := range append(list.leaves, list.index) {
			mustDo(t, e.release("list of subkeys", leaf))
		}
		return nil
	}))
	data, _ := commit(t, e)
	leaves := func() (kind string, n int) {
		im := openTest(t, data)
		checkClean(t, im)
		k := nk(mustUse(im.key(im.root)))
		im.leaves(k.subkeyList(), func(list) bool { n++; return true })
		return mustUse(im.list(k.subkeyList())).kind(), n
	}
	if kind, n := leaves(); kind != "lh" || n != 1 {
		t.Fatalf("%s over %d leaves to begin with", kind, n)
	}
	e = editTest(t, data, EditorOptions{})
	for i := range 113 {
		mustDo(t, e.CreateKey(hive.Path{fmt.Sprintf("k%05d", 2*i+1)}))
	}
	data, _ = commit(t, e)
	if kind, n := leaves(); kind != "lh" || n != 1 {
		t.Errorf("%s over %d leaves with 1,013 subkeys, want one lh", kind, n)
	}
	e = editTest(t, data, EditorOptions{})
	mustDo(t, e.CreateKey(hive.Path{"one more"}))
	data, _ = commit(t, e)
	if kind, n := leaves(); kind != "ri" || n != 2 {
		t.Errorf("%s over %d leaves with 1,014 subkeys, want an ri over two", kind, n)
	}
}

// TestRevertRefuses changes the file or the journal in every way that matters.
func TestRevertRefuses(t *testing.T) {
	e := editTest(t, buildTest(t, smallTree(), BuildOptions{}), EditorOptions{})
	mustDo(t, e.SetValue(hive.Path{"A"}, "long", hive.RegBinary, make([]byte, 50000)))
	after, journal := commit(t, e)
	for name, change := range map[string]func(data []byte, j *Journal) []byte{
		"a changed byte":    func(data []byte, j *Journal) []byte { data[j.Ranges[3].Offset] ^= 1; return data },
		"a byte elsewhere":  func(data []byte, j *Journal) []byte { data[600] ^= 1; return data },
		"a shorter file":    func(data []byte, j *Journal) []byte { return data[:len(data)-1] },
		"a longer file":     func(data []byte, j *Journal) []byte { return append(data, 0) },
		"a changed journal": func(data []byte, j *Journal) []byte { j.Ranges[3].Old[0] ^= 1; return data },
		"a range outside":   func(data []byte, j *Journal) []byte { j.Ranges[3].Offset = 1 << 62; return data },
		"a range before":    func(data []byte, j *Journal) []byte { j.Ranges[3].Offset = -1; return data },
		"more old than new": func(data []byte, j *Journal) []byte { j.Ranges[0].Old = make([]byte, 1<<20); return data },
		"a size below zero": func(data []byte, j *Journal) []byte { j.OldSize = -1; return data },
		"a range left out":  func(data []byte, j *Journal) []byte { j.Ranges = j.Ranges[1:]; return data },
	} {
		j := journal
		j.Ranges = slices.Clone(j.Ranges)
		for i := range j.Ranges {
			j.Ranges[i].Old = bytes.Clone(j.Ranges[i].Old)
		}
		if _, err := j.Revert(change(bytes.Clone(after), &j)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
