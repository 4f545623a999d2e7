package regf

import (
	"cmp"
	"iter"
	"math/bits"
	"slices"
)

// stretch is a range of the file that is not part of the tree.
type stretch struct {
	start, end fileOffset
	source     RecoverySource
	values     cellOffset // the key whose list of values has this slack, or noCell
}

// minStretch is the least that is worth looking at: one reference in the slack
// of a list.
const minStretch = 4

// findGround finds all stretches of the file that are not part of the tree, in
// order.
func (r *recovery) findGround() {
	r.use = usedCells{used: newBitmap(len(r.bins)), room: map[cellOffset]int{}, lists: map[cellOffset]cellOffset{}}
	r.walk()
	starts := newBitmap(len(r.bins))
	for at := 0; at < len(r.bins); {
		end := int(r.binEnd[at/binUnit])
		if r.binStartsAt(at) {
			at += binHeaderSize
		}
		r.binGround(at, end, starts)
		at = end
	}
	r.addGround(binsStart+fileOffset(len(r.bins)), fileOffset(len(r.data)), SourceTrailing, noCell)
	var odd []stretch // what the tree uses though no cell begins there
	for off := range r.use.used.all() {
		if payload, _, f := r.raw(off); f.readable() && !starts.has(off) {
			start := off.file()
			odd = append(odd, stretch{start: start, end: start + cellHeaderSize + fileOffset(len(payload))})
		}
	}
	if len(odd) > 0 {
		r.ground = subtract(r.ground, odd)
	}
}

// binGround finds the stretches of one bin, whose cells begin at a place. Where
// the cells end before the bin does, the rest is taken for no one's.
func (r *recovery) binGround(at, end int, starts bitmap) {
	for at <= end-cellUnit {
		size, inUse := cellSize(r.bins[at:])
		if size < cellUnit || size%cellUnit != 0 || uint64(size) > uint64(end-at) {
			break
		}
		off := cellOffset(at)
		at += int(size)
		next := cellOffset(at).file()
		starts.set(off)
		switch {
		case r.use.used.has(off):
			if n, ok := r.use.room[off]; ok {
				owner, isList := r.use.lists[off]
				if !isList {
					owner = noCell
				}
				r.addGround(off.file()+cellHeaderSize+fileOffset(n), next, SourceSlack, owner)
			}
		case inUse:
			r.addGround(off.file(), next, SourceUnreferenced, noCell)
		default:
			r.addGround(off.file(), next, SourceFree, noCell)
		}
	}
	r.addGround(cellOffset(at).file(), cellOffset(end).file(), SourceUnreferenced, noCell)
}

// all iterates over the places whose bit is set.
func (b bitmap) all() iter.Seq[cellOffset] {
	return func(yield func(cellOffset) bool) {
		for i, word := range b {
			for ; word != 0; word &= word - 1 {
				if !yield(cellOffset(i*bitmapSpan + bits.TrailingZeros64(word)*cellUnit)) {
					return
				}
			}
		}
	}
}

func (r *recovery) addGround(start, end fileOffset, source RecoverySource, values cellOffset) {
	if end-start >= minStretch {
		r.ground = append(r.ground, stretch{start, end, source, values})
	}
}

// subtract takes away from stretches, which are in order, what others cover;
// those are in order of their starts.
func subtract(from, others []stretch) []stretch {
	var out []stretch
	first := 0
	reach := fileOffset(0) // how far the others before first reach
	for _, g := range from {
		for first < len(others) && others[first].start < g.start {
			reach = max(reach, others[first].end)
			first++
		}
		start := max(g.start, reach)
		for ; first < len(others) && others[first].start < g.end; first++ {
			if o := others[first]; o.start-start >= minStretch {
				out = append(out, stretch{start, o.start, g.source, g.values})
			}
			reach = max(reach, others[first].end)
			start = max(start, reach)
		}
		if g.end-start >= minStretch {
			out = append(out, stretch{start, g.end, g.source, g.values})
		}
	}
	return out
}

// groundAt returns the stretch that holds the place at, or nil.
func (r *recovery) groundAt(at fileOffset) *stretch {
	i, ok := slices.BinarySearchFunc(r.ground, at, func(g stretch, at fileOffset) int { return cmp.Compare(g.start, at) })
	if !ok {
		i--
	}
	if i < 0 || at >= r.ground[i].end {
		return nil
	}
	return &r.ground[i]
}

// usedCells knows how much of the cells of the tree is in use. One that is
// referred to twice counts as wholly in use.
type usedCells struct {
	used  bitmap
	room  map[cellOffset]int        // bytes of payload that are used, where enough are left to matter
	lists map[cellOffset]cellOffset // lists of values among them, and their keys
}

// walk goes through the whole tree.
func (r *recovery) walk() {
	r.live = newBitmap(len(r.bins))
	stack := []cellOffset{r.root}
	for len(stack) > 0 {
		key := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if r.live.setAgain(key) {
			continue
		}
		r.useKey(key)
		r.subkeys(key, func(child cellOffset) bool {
			stack = append(stack, child)
			return true
		})
	}
}

// note records that the first n bytes of the payload at off are used, and
// reports whether the cell is met for the first time.
func (r *recovery) note(off cellOffset, n int) bool {
	payload, _, f := r.raw(off)
	if !f.readable() {
		return false
	}
	if r.use.used.setAgain(off) {
		delete(r.use.room, off)
		return false
	}
	if len(payload)-n >= vkSize {
		r.use.room[off] = n
	}
	return true
}

func (r *recovery) useKey(off cellOffset) {
	k := r.keyQuick(off)
	if k == nil {
		return
	}
	r.note(off, nkSize+len(k.name().bytes))
	if n := int(k.classLength()); n > 0 {
		r.note(k.class(), n)
	}
	r.useSecurity(k.security())
	if k.subkeyCount() > 0 {
		r.useList(k.subkeyList(), true)
	}
	entries, _ := r.valueList(k)
	if len(entries) == 0 || !r.note(k.valueList(), len(entries)) {
		return
	}
	r.use.lists[k.valueList()], r.use.room[k.valueList()] = off, len(entries)
	for ; len(entries) > 0; entries = entries[4:] {
		r.useValue(reference(entries))
	}
}

// useSecurity notes a security record, which many keys share.
func (r *recovery) useSecurity(off cellOffset) {
	if payload, _, f := r.raw(off); f.readable() && !r.use.used.has(off) {
		r.note(off, len(payload))
	}
}

func (r *recovery) useList(off cellOffset, top bool) {
	l := r.listQuick(off)
	if l == nil {
		return
	}
	elements, size := l.elements()
	if !r.note(off, listHeaderSize+len(elements)) || l[0] != 'r' || !top {
		return
	}
	for ; len(elements) > 0; elements = elements[size:] {
		r.useList(reference(elements), false)
	}
}

func (r *recovery) useValue(off cellOffset) {
	v := r.valueQuick(off)
	if v == nil || !r.note(off, vkSize+len(v.name().bytes)) || v.isInline() || v.dataSize() == 0 {
		return
	}
	size := v.dataSize()
	payload, _, _ := r.raw(v.data())
	switch {
	case uint64(size) <= uint64(len(payload)):
		r.note(v.data(), int(size))
	case r.isBigData(size, payload):
		if r.note(v.data(), dbSize) {
			r.useSegments(db(payload), int(size))
		}
	default:
		r.note(v.data(), len(payload))
	}
}

func (r *recovery) useSegments(d db, size int) {
	refs, _, _ := r.raw(d.segments())
	refs = refs[:min(len(refs)/4, int(d.count()))*4]
	if !r.note(d.segments(), len(refs)) {
		return
	}
	for ; len(refs) > 0; refs = refs[4:] {
		n := min(size, segmentSize)
		r.note(reference(refs), n)
		size -= n
	}
}
