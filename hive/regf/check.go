package regf

import (
	"fmt"
	"slices"

	"hivemend/hive"
)

// MaxIssues is how many issues of one code a Report lists. The rest is counted.
const MaxIssues = 1000

// Report is what [Image.Check] found.
type Report struct {
	// Issues are in the order of the examination: the base block, the bins
	// and cells, the tree, its strays, the security records.
	Issues []hive.Issue
	// More is how many issues were found beyond those listed.
	More int

	Keys   int // keys that can be reached, the root included
	Values int
	Depth  int // levels of keys below the root

	Bins         int
	CellsInUse   int
	CellsFree    int
	BytesFree    int64 // in free cells, their size fields included
	Unreferenced int   // cells in use that nothing refers to

	found   [4]int // issues by damage, unlisted ones included
	bounded bool
}

// Count returns how many issues of that damage were found.
func (r *Report) Count(d hive.Damage) int { return r.found[d] }

// Sound reports whether Windows would load the hive and change nothing in it:
// there is no issue of fatal damage or of loss. A dirty hive may be sound.
func (r *Report) Sound() bool { return r.found[hive.DamageFatal]+r.found[hive.DamageLoss] == 0 }

// Bounded reports whether even a reader that believes what it reads comes to
// an end on this hive: lists of subkeys are at most two levels deep, no key and
// no list is reached twice, and no count and no reference on the way leads out
// of its cell or the bins.
func (r *Report) Bounded() bool { return r.bounded }

// Check examines the whole hive: in one pass over all cells and one walk over
// everything that the root key leads to. It reports every defect, and what is
// odd though harmless, with the codes of the hive check: BB base block, BN
// bins, CL cells, NK keys, LS lists of subkeys, VL lists of values, VK values,
// DB big data, SK security.
//
// What Check says of a dirty hive is said of the bytes as they lie; apply the
// logs first to judge the hive.
func (im *Image) Check() *Report {
	c := newChecker(im)
	c.run()
	return &c.report
}

// findStrays examines the hive to learn who owns the keys that do not name the
// key in whose list they stand.
func (im *Image) findStrays() *map[cellOffset]cellOffset {
	c := newChecker(im)
	c.run()
	im.strays.CompareAndSwap(nil, &c.strays)
	return im.strays.Load()
}

// checker is one examination.
type checker struct {
	*Image
	report Report
	listed map[string]int // issues by code

	versionKnown bool // the base block can be believed

	cells         cellMap
	visited       bitmap // cells that were visited as keys
	stack         []keyPlace
	element       keyPlace                  // the entry of a list that is looked at
	deferred      []keyPlace                // keys in a list of another than they name
	deferredOnce  bitmap                    // the keys that were deferred
	oddEntries    int                       // see affords
	strays        map[cellOffset]cellOffset // of those, the ones found nowhere else, and the key whose list they stand in
	security      securityCheck
	names         nameTable
	staleVolatile int // keys with volatile subkeys on record
	firstStale    cellOffset
	freePairs     int
	firstPair     cellOffset
}

// keyPlace is a key that is still to be visited.
type keyPlace struct {
	key   cellOffset
	owner cellOffset
	depth int32
}

func newChecker(im *Image) *checker {
	c := &checker{Image: im, listed: map[string]int{}, strays: map[cellOffset]cellOffset{}}
	c.report.bounded = true
	c.cells = newCellMap(len(im.bins))
	c.visited, c.deferredOnce = newBitmap(len(im.bins)), newBitmap(len(im.bins))
	c.versionKnown = im.base.checksumValid()
	c.oddEntries = len(im.bins) / 4
	return c
}

func (c *checker) run() {
	c.checkBaseBlock()
	c.checkBins()
	c.checkRoot()
	c.walk()
	c.checkSecurity()
	c.checkLeftOver()
}

// walk visits all keys below the root in stored order, then those that do not
// name the key in whose list they stand and were found nowhere else.
func (c *checker) walk() {
	c.visited.set(c.root)
	c.cells.refer(c.root)
	c.stack = append(c.stack, keyPlace{c.root, noCell, 0})
	for {
		for n := len(c.stack); n > 0; n = len(c.stack) {
			place := c.stack[n-1]
			c.stack = c.stack[:n-1]
			c.visit(place)
		}
		if len(c.deferred) == 0 {
			return
		}
		stray := c.deferred[0]
		c.deferred = c.deferred[1:]
		c.adopt(stray)
	}
}

// adopt visits a stray as a subkey of the key in whose list it stands, unless
// it was found where it belongs.
func (c *checker) adopt(stray keyPlace) {
	if c.visited.setAgain(stray.key) {
		c.secondReference(stray)
		return
	}
	c.strays[stray.key] = stray.owner
	k := c.keyQuick(stray.key)
	c.issue("NK05", hive.DamageLoss, stray.key+nkParentField, stray.key, "want parent %s, found %s", stray.owner, k.parent())
	if stray.depth > hive.MaxDepth {
		c.issue("NK13", hive.DamageFatal, stray.key, stray.owner, "want at most %d levels of keys, found one more", hive.MaxDepth)
		return
	}
	c.claim(stray.key, stray.key)
	c.stack = append(c.stack, stray)
}

// secondReference reports an entry for a key that was found elsewhere.
func (c *checker) secondReference(place keyPlace) {
	c.unbounded()
	c.issue("NK12", hive.DamageFatal, place.key, place.owner, "want a key that is in one list, found the key at %s in a second place", place.key.file())
}

// claim notes that something refers to the cell at off, which raw could read,
// and reports whether nothing else does. What is wrong is reported under the
// key.
func (c *checker) claim(off, key cellOffset) bool {
	return c.cells.claim(off) || c.claimOdd(off, key)
}

// claimOdd is claim for what is not as it should be.
func (c *checker) claimOdd(off, key cellOffset) bool {
	if !c.cells.inUse.has(off) {
		want := "want the start of a cell"
		if c.cells.free.has(off) {
			want = "want a cell in use"
		}
		c.issue("CL05", hive.DamageFatal, off, key, "%s, found %s", want, c.placeOf(off))
	}
	if !c.cells.refer(off) {
		c.unbounded()
		c.issue("CL04", hive.DamageFatal, off, key, "want a cell that one thing refers to, found a second reference")
		return false
	}
	return true
}

// affords reports whether the n entries of a list may be gone through. Cells in
// use do not overlap, so all their entries together are no more than the hive
// has room for. What is taken for a list elsewhere may overlap with thousands
// of others; of such entries no more than that are looked at in all.
func (c *checker) affords(list cellOffset, n int) bool {
	if c.cells.inUse.has(list) {
		return true
	}
	if n > c.oddEntries {
		c.unbounded()
		return false
	}
	c.oddEntries -= n
	return true
}

func (c *checker) placeOf(off cellOffset) string {
	if c.cells.free.has(off) {
		return "a free cell"
	}
	return c.whatIsAt(off)
}

func (c *checker) whatIsAt(off cellOffset) string {
	if _, _, f := c.raw(off); f != faultNone {
		return f.String()
	}
	return "the middle of one"
}

// badReference reports a reference that leads to nothing that could be read.
func (c *checker) badReference(code string, damage hive.Damage, off, from, key cellOffset, what string) {
	_, _, f := c.raw(off)
	c.unbounded()
	c.issue(code, damage, from, key, "%s: want a cell, found %s (%s)", what, f, off)
}

func (c *checker) unbounded() { c.report.bounded = false }

// issue reports a defect at an offset in the bins; key is the key that it
// touches, or noCell.
func (c *checker) issue(code string, damage hive.Damage, at, key cellOffset, format string, args ...any) {
	c.issueAt(code, damage, at.file(), key, format, args...)
}

// issueAt is issue for an offset in the file.
func (c *checker) issueAt(code string, damage hive.Damage, at fileOffset, key cellOffset, format string, args ...any) {
	c.report.found[damage]++
	if c.listed[code]++; c.listed[code] > MaxIssues {
		c.report.More++
		return
	}
	c.report.Issues = append(c.report.Issues, hive.Issue{
		Code: code, Damage: damage, Offset: int64(at), Key: c.path(key),
		Detail: fmt.Sprintf(format, args...), Effect: effects[code],
	})
}

// path is the way from the root down to a key that was visited.
func (c *checker) path(key cellOffset) hive.Path {
	if key == noCell {
		return nil
	}
	path := hive.Path{}
	for ; key != c.root && len(path) <= hive.MaxDepth; key = c.ownerOf(key) {
		k := c.keyQuick(key)
		if k == nil {
			return nil
		}
		path = append(path, k.name().text())
	}
	slices.Reverse(path)
	return path
}

func (c *checker) ownerOf(key cellOffset) cellOffset {
	if key == c.element.key {
		return c.element.owner
	}
	if owner, stray := c.strays[key]; stray {
		return owner
	}
	return c.keyQuick(key).parent()
}

// bitmapSpan is how many bytes of bins a word of a bitmap stands for.
const bitmapSpan = 64 * cellUnit

// bitmap has one bit for each place where a cell could begin.
type bitmap []uint64

func newBitmap(bytes int) bitmap { return make(bitmap, bytes/bitmapSpan+1) }

func (b bitmap) has(off cellOffset) bool { return b[off/bitmapSpan]>>(off/cellUnit%64)&1 != 0 }
func (b bitmap) set(off cellOffset)      { b[off/bitmapSpan] |= 1 << (off / cellUnit % 64) }

// setAgain sets a bit and reports whether it was set before.
func (b bitmap) setAgain(off cellOffset) bool {
	again := b.has(off)
	b.set(off)
	return again
}

// cellMap knows where cells begin and which of them something refers to. What
// is asked for every reference is one bit in one bitmap, which stays in the
// processor's cache where four of them would not.
type cellMap struct {
	inUse   bitmap // cells in use
	free    bitmap // free cells
	waiting bitmap // cells in use that nothing was found to refer to yet
	odd     bitmap // other places that something refers to
}

func newCellMap(bytes int) cellMap {
	return cellMap{newBitmap(bytes), newBitmap(bytes), newBitmap(bytes), newBitmap(bytes)}
}

// claim reports whether a cell in use begins at off that nothing was found to
// refer to before, and notes that something does.
func (m *cellMap) claim(off cellOffset) bool {
	word, bit := &m.waiting[off/bitmapSpan], uint64(1)<<(off/cellUnit%64)
	if *word&bit == 0 {
		return false
	}
	*word &^= bit
	return true
}

// refer is claim for any place: it reports whether the reference is the first.
func (m *cellMap) refer(off cellOffset) bool {
	return m.claim(off) || !m.inUse.has(off) && !m.odd.setAgain(off)
}
