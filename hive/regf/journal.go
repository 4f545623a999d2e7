package regf

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math/bits"
)

// Journal says which bytes of a file an edit changed, and is the exact way
// back. The zero Journal is that of an edit that changed nothing in a file
// of no bytes.
type Journal struct {
	OldSize int64 // of the file before, in bytes
	NewSize int64 // of the file after, never smaller
	// OldSum and NewSum are CRC-32C checksums of the whole file before and
	// after. They guard against mistakes, not against malice.
	OldSum uint32
	NewSum uint32
	Ranges []Range // ascending, at least mergeGap bytes apart
}

// Range is one run of bytes that changed.
type Range struct {
	Offset int64  // in the file
	Old    []byte // what stood there; shorter than New, or empty, where the file ended
	New    []byte // what stands there now
}

// mergeGap is how many equal bytes between two changes are needed to make two
// ranges of them.
const mergeGap = 16

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Empty reports whether nothing was changed.
func (j Journal) Empty() bool { return len(j.Ranges) == 0 && j.OldSize == j.NewSize }

// Revert returns the file as it was before, made from data, which must be the
// file as the edit left it: its size, the changed bytes and the checksum of
// all of it are compared first, and that of the result afterwards. data itself
// is not changed.
func (j Journal) Revert(data []byte) ([]byte, error) {
	if int64(len(data)) != j.NewSize || j.OldSize < 0 || j.OldSize > j.NewSize {
		return nil, fmt.Errorf("revert: want a file of %d bytes, as it was left, found %d", j.NewSize, len(data))
	}
	old := bytes.Clone(data)
	for _, r := range j.Ranges {
		end := r.Offset + int64(len(r.New))
		switch {
		case r.Offset < 0 || end < r.Offset || end > j.NewSize || len(r.Old) > len(r.New):
			return nil, fmt.Errorf("revert: the journal has a range at %#x that is not one of this file", r.Offset)
		case !bytes.Equal(data[r.Offset:end], r.New):
			return nil, fmt.Errorf("revert: the %d bytes at %#x are not as they were left: the file was changed since", len(r.New), r.Offset)
		}
		copy(old[r.Offset:], r.Old)
	}
	if sum := crc32.Checksum(data, castagnoli); sum != j.NewSum {
		return nil, fmt.Errorf("revert: want the checksum %#08x, found %#08x: the file was changed since, though not where the edit was", j.NewSum, sum)
	}
	old = old[:j.OldSize]
	if sum := crc32.Checksum(old, castagnoli); sum != j.OldSum {
		return nil, fmt.Errorf("revert: want the checksum %#08x of the original, found %#08x: the journal is damaged", j.OldSum, sum)
	}
	return old, nil
}

// journal compares the pages that may have changed with the original.
func (e *Editor) journal() Journal {
	j := Journal{OldSize: int64(len(e.original)), NewSize: int64(len(e.im.data))}
	for word, set := range e.touched {
		for ; set != 0; set &= set - 1 {
			page := word*64 + bits.TrailingZeros64(set)
			j.comparePage(e.original, e.im.data, page*pageSize, min((page+1)*pageSize, len(e.im.data)))
		}
	}
	j.OldSum = crc32.Checksum(e.original, castagnoli)
	j.NewSum = crc32.Checksum(e.im.data, castagnoli)
	return j
}

// comparePage adds the bytes between from and to that differ. Bytes beyond the
// old file's end always do.
func (j *Journal) comparePage(old, new []byte, from, to int) {
	for at := from; at < to; {
		if at < len(old) && old[at] == new[at] {
			at++
			continue
		}
		end := at + 1
		for end < to && (end >= len(old) || old[end] != new[end]) {
			end++
		}
		j.add(old, new, at, end)
		at = end
	}
}

// add notes that the bytes from at to end differ, together with the range
// before if that is near.
func (j *Journal) add(old, new []byte, at, end int) {
	if n := len(j.Ranges); n > 0 {
		last := &j.Ranges[n-1]
		if lastEnd := int(last.Offset) + len(last.New); at-lastEnd < mergeGap {
			last.New = append(last.New, new[lastEnd:end]...)
			if lastEnd < len(old) {
				last.Old = append(last.Old, old[lastEnd:min(end, len(old))]...)
			}
			return
		}
	}
	r := Range{Offset: int64(at), New: bytes.Clone(new[at:end])}
	if at < len(old) {
		r.Old = bytes.Clone(old[at:min(end, len(old))])
	}
	j.Ranges = append(j.Ranges, r)
}
