package regf

import (
	"container/heap"
	"fmt"
	"iter"
	"math"
	"math/bits"
	"slices"

	"hivemend/hive"
)

// This file is the editor's allocator. Bins are never moved, joined or given
// back. A new cell is cut from the free cell that fits best, in the bin of the
// record that it belongs to if there is one, else anywhere; only when there is
// none, a bin is added at the end. A cell that is freed becomes one with free
// neighbours inside its bin, so that no two free cells ever lie side by side:
// all of this is what Windows does as well.

// freeCell is a free cell and its size.
type freeCell struct {
	size uint32
	at   cellOffset
}

// freeIndex finds the free cell that fits best. Cells that were used or joined
// with others since stay in it until they are met; the editor knows better.
type freeIndex struct {
	sizes []uint32               // ascending, each with cells in at
	at    map[uint32]*offsetHeap // by size
}

// offsetHeap is a heap of offsets with the lowest on top.
type offsetHeap []cellOffset

func (h offsetHeap) Len() int           { return len(h) }
func (h offsetHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h offsetHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *offsetHeap) Push(c any)        { *h = append(*h, c.(cellOffset)) }
func (h *offsetHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func (f *freeIndex) add(c freeCell) {
	h := f.at[c.size]
	if h == nil {
		h = &offsetHeap{}
		f.at[c.size] = h
		i, _ := slices.BinarySearch(f.sizes, c.size)
		f.sizes = slices.Insert(f.sizes, i, c.size)
	}
	heap.Push(h, c.at)
}

// best returns the smallest cell of at least that size, the first in the hive
// of several, among those that are really free.
func (f *freeIndex) best(need uint32, isFree func(freeCell) bool) (freeCell, bool) {
	i, _ := slices.BinarySearch(f.sizes, need)
	for i < len(f.sizes) {
		size := f.sizes[i]
		for h := f.at[size]; h.Len() > 0; heap.Pop(h) {
			if c := (freeCell{size, (*h)[0]}); isFree(c) {
				return c, true
			}
		}
		delete(f.at, size)
		f.sizes = slices.Delete(f.sizes, i, i+1)
	}
	return freeCell{}, false
}

// largeBin is from which size on a bin is not looked through cell by cell.
const largeBin = 64 << 10

// allocate implements cellStore.
func (e *Editor) allocate(size int, near cellOffset) (cellOffset, error) {
	need := uint32(roundUp(size+cellHeaderSize, cellUnit))
	cell, ok := e.bestFit(need, near)
	if !ok {
		var err error
		if cell, err = e.addBin(need); err != nil {
			return noCell, err
		}
	}
	e.touch(cell.at, int(need))
	le.PutUint32(e.im.bins[cell.at:], -need)
	clear(e.fresh(cell.at))
	if rest := cell.size - need; rest > 0 {
		e.putFree(cell.at+cellOffset(need), rest)
	}
	return cell.at, nil
}

// fresh implements cellStore.
func (e *Editor) fresh(c cellOffset) []byte {
	end := c + cellOffset(-le.Uint32(e.im.bins[c:]))
	return e.im.bins[c+cellHeaderSize : end : end]
}

// bestFit returns the smallest free cell of at least that size, the first of
// several, and one in near's bin before any other.
func (e *Editor) bestFit(need uint32, near cellOffset) (best freeCell, ok bool) {
	if near != noCell && near >= e.reuseFrom {
		start, end := e.bin(near)
		if end-start <= largeBin && e.soundBin(start, end) == nil {
			for c := range e.freeCells(start, end) {
				if c.size >= need && (!ok || c.size < best.size) {
					best, ok = c, true
				}
			}
		}
	}
	if ok {
		return best, true
	}
	e.indexFree()
	return e.free.best(need, e.isFree)
}

// isFree reports whether a free cell of that size begins there.
func (e *Editor) isFree(c freeCell) bool {
	size, used := cellSize(e.im.bins[c.at:])
	return e.starts.has(c.at) && !used && size == c.size
}

// indexFree looks through all bins for free cells, once. A bin whose cells do
// not fit together offers none.
func (e *Editor) indexFree() {
	if e.free != nil {
		return
	}
	e.free = &freeIndex{at: map[uint32]*offsetHeap{}}
	for start := e.reuseFrom; uint64(start) < uint64(len(e.im.bins)); {
		_, end := e.bin(start)
		if e.soundBin(start, end) == nil {
			for c := range e.freeCells(start, end) {
				e.free.add(c)
			}
		}
		start = end
	}
}

// freeCells iterates over the free cells of a sound bin.
func (e *Editor) freeCells(start, end cellOffset) iter.Seq[freeCell] {
	return func(yield func(freeCell) bool) {
		for at := start + binHeaderSize; at < end; {
			size, used := cellSize(e.im.bins[at:])
			if !used && !yield(freeCell{size, at}) {
				return
			}
			at += cellOffset(size)
		}
	}
}

// cellSize returns the size of the cell that b begins with, and whether it is
// in use. The size is 0 or larger than any bin where it is no size at all.
func cellSize(b []byte) (size uint32, used bool) {
	if size = le.Uint32(b); size>>31 != 0 {
		return -size, true
	}
	return size, false
}

// bin returns where the bin around a cell begins and ends.
func (e *Editor) bin(c cellOffset) (start, end cellOffset) {
	page := int(c / binUnit)
	last := e.im.binEnd[page]
	for page > 0 && e.im.binEnd[page-1] == last {
		page--
	}
	return cellOffset(page * binUnit), cellOffset(last)
}

// soundBin reports whether the cells of a bin fill it exactly, so that a
// change in it cannot reach into something else, and notes where they begin.
func (e *Editor) soundBin(start, end cellOffset) error {
	if e.sound[start] {
		return nil
	}
	e.starts.grow(end)
	e.starts.clearRange(start, end)
	for at := start + binHeaderSize; at < end; {
		size, _ := cellSize(e.im.bins[at:])
		if size == 0 || size%cellUnit != 0 || size > uint32(end-at) {
			return &hive.FormatError{
				File: e.im.file, Struct: "cell", Offset: int64(at.file()),
				Want:  fmt.Sprintf("a size that is a multiple of %d and at most the %d bytes left in the bin", cellUnit, end-at),
				Found: fmt.Sprint(int32(le.Uint32(e.im.bins[at:]))),
			}
		}
		e.starts.set(at)
		at += cellOffset(size)
	}
	e.sound[start] = true
	return nil
}

// cellStarts has one bit for each place where a cell may begin. What it says
// holds for the bins that were found sound.
type cellStarts []uint64

func (s *cellStarts) grow(end cellOffset) {
	for uint64(len(*s))*64*cellUnit < uint64(end) {
		*s = append(*s, 0)
	}
}

func (s cellStarts) bit(c cellOffset) (word cellOffset, mask uint64) {
	return c / (64 * cellUnit), 1 << (c / cellUnit % 64)
}

func (s cellStarts) has(c cellOffset) bool {
	word, mask := s.bit(c)
	return s[word]&mask != 0
}

func (s cellStarts) set(c cellOffset) {
	word, mask := s.bit(c)
	s[word] |= mask
}

func (s cellStarts) unset(c cellOffset) {
	word, mask := s.bit(c)
	s[word] &^= mask
}

// clearRange forgets a whole bin. Bins are multiples of what a word stands for.
func (s cellStarts) clearRange(start, end cellOffset) {
	clear(s[start/(64*cellUnit) : end/(64*cellUnit)])
}

// before returns the last beginning of a cell before c, but not before start.
func (s cellStarts) before(c, start cellOffset) cellOffset {
	word, mask := s.bit(c)
	set := s[word] & (mask - 1)
	for set == 0 {
		if word == start/(64*cellUnit) {
			return noCell
		}
		word--
		set = s[word]
	}
	return (word*64 + cellOffset(bits.Len64(set)-1)) * cellUnit
}

// place proves that a cell in use begins at c and returns the cell before it
// in its bin (noCell where there is none), its size, and where the bin ends.
func (e *Editor) place(structure string, c cellOffset) (before cellOffset, size uint32, end cellOffset, err error) {
	if _, _, f := e.im.raw(c); f != faultNone {
		return noCell, 0, 0, e.im.fault(structure, c, f)
	}
	start, end := e.bin(c)
	if err := e.soundBin(start, end); err != nil {
		return noCell, 0, 0, err
	}
	size, used := cellSize(e.im.bins[c:])
	switch {
	case !e.starts.has(c):
		return noCell, 0, 0, &hive.FormatError{
			File: e.im.file, Struct: structure, Offset: int64(c.file()), Want: "the beginning of a cell", Found: "the inside of one",
		}
	case !used:
		return noCell, 0, 0, &hive.FormatError{File: e.im.file, Struct: structure, Offset: int64(c.file()), Want: "a cell in use", Found: "a free cell"}
	}
	return e.starts.before(c, start), size, end, nil
}

// writable returns the payload of a cell in use for changing it.
func (e *Editor) writable(structure string, c cellOffset) ([]byte, error) {
	_, size, _, err := e.place(structure, c)
	if err != nil {
		return nil, err
	}
	e.touch(c, int(size))
	return e.fresh(c), nil
}

// release frees the cell at c.
func (e *Editor) release(structure string, c cellOffset) error {
	before, size, end, err := e.place(structure, c)
	if err != nil {
		return err
	}
	at := c
	if e.opt.Wipe {
		e.touch(c, int(size))
		clear(e.im.bins[c+cellHeaderSize : c+cellOffset(size)])
	}
	if next := c + cellOffset(size); next < end {
		if n, used := cellSize(e.im.bins[next:]); !used {
			e.joined(next)
			size += n
		}
	}
	if before != noCell {
		if n, used := cellSize(e.im.bins[before:]); !used {
			e.joined(c)
			at = before
			size += n
		}
	}
	e.putFree(at, size)
	return nil
}

// joined forgets a cell that is now part of the one before it.
func (e *Editor) joined(c cellOffset) {
	e.starts.unset(c)
	if e.opt.Wipe {
		e.touch(c, cellHeaderSize)
		clear(e.im.bins[c : c+cellHeaderSize])
	}
}

// shrink gives the end of a cell back, so that size bytes of payload are left.
func (e *Editor) shrink(structure string, c cellOffset, payload int) error {
	_, size, _, err := e.place(structure, c)
	if err != nil {
		return err
	}
	need := uint32(roundUp(payload+cellHeaderSize, cellUnit))
	if need >= size {
		return nil
	}
	e.touch(c, cellHeaderSize)
	le.PutUint32(e.im.bins[c:], -need)
	tail := c + cellOffset(need)
	e.touch(tail, cellHeaderSize)
	le.PutUint32(e.im.bins[tail:], -(size - need))
	e.starts.set(tail)
	return e.release(structure, tail)
}

// putFree makes a free cell and indexes it.
func (e *Editor) putFree(at cellOffset, size uint32) {
	e.touch(at, cellHeaderSize)
	le.PutUint32(e.im.bins[at:], size)
	e.starts.set(at)
	if e.free != nil && at >= e.reuseFrom {
		e.free.add(freeCell{size, at})
	}
}

// addBin appends a bin that holds one free cell of at least that size. What
// lay in the file behind the bins is overwritten.
func (e *Editor) addBin(cell uint32) (freeCell, error) {
	if e.defects.keepLength {
		if err := e.unlessForced("it needs a new bin, and elsewhere in the hive a damaged reference leads beyond the last one; repair the hive first"); err != nil {
			return freeCell{}, err
		}
	}
	start := len(e.im.bins)
	size := roundUp(binHeaderSize+int(cell), binUnit)
	if uint64(start)+uint64(size) > maxBins || uint64(start)+uint64(size)+binsStart > math.MaxInt {
		return freeCell{}, fmt.Errorf("the hive would grow over %d bytes, the most that there can be", int64(maxBins))
	}
	end := binsStart + start + size
	e.touchFile(binsStart+start, min(size, max(0, len(e.im.data)-binsStart-start)))
	if missing := end - len(e.im.data); missing > 0 {
		e.im.data = append(e.im.data, make([]byte, missing)...)
	}
	e.setLength(start + size)
	clear(e.im.bins[start:])
	h := binHeader(e.im.bins[start:])
	h.setSignature()
	h.setOffset(cellOffset(start))
	h.setSize(uint32(size))
	at := cellOffset(start + binHeaderSize)
	e.starts.grow(cellOffset(start + size))
	e.starts.clearRange(cellOffset(start), cellOffset(start+size))
	e.putFree(at, uint32(size-binHeaderSize))
	e.sound[cellOffset(start)] = true
	return freeCell{uint32(size - binHeaderSize), at}, nil
}

// setLength makes the hive's bins so many bytes long.
func (e *Editor) setLength(length int) {
	e.touchFile(0, baseBlockSize)
	e.im.base = baseBlock(e.im.data[:baseBlockSize:baseBlockSize])
	e.im.base.setLength(uint32(length))
	e.im.bins = e.im.data[binsStart : binsStart+length : binsStart+length]
	e.im.appendBin(length)
}
