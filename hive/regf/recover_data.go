package regf

import (
	"cmp"
	"slices"
)

// dataOf returns what is left of a deleted value's data, what it is worth, and
// where it begins.
func (r *recovery) dataOf(rec *record, v vk) ([]byte, DataState, int64) {
	size := v.dataSize() &^ inlineBit
	if v.isInline() || size == 0 {
		return v.inline()[:size:size], DataWhole, int64(rec.at) + 8
	}
	if r.dataLeft <= 0 {
		r.skipped++
		return nil, DataSkipped, 0
	}
	at := int64(v.data().file() + cellHeaderSize)
	data, state := r.deadCell(v.data(), int(size))
	if state != DataWhole && r.isBigData(size, data) {
		data, state, at = r.deadSegments(db(data), int(size))
	}
	if r.dataLeft -= int64(len(data)); r.dataLeft < 0 {
		r.skipped++
		return nil, DataSkipped, at
	}
	return data, state, at
}

// deadCell returns the first n bytes of what was a cell once, as far as they
// are no part of the tree.
func (r *recovery) deadCell(off cellOffset, n int) ([]byte, DataState) {
	start := off.file() + cellHeaderSize
	g := r.groundAt(start)
	size, ok := r.oldSize(off)
	if g == nil || !ok {
		return nil, DataOverwritten
	}
	end := min(start+fileOffset(n), g.end, off.file()+fileOffset(size))
	data := r.data[start:end:end]
	if len(data) < n || r.holdsRecord(start, end) {
		return data, DataPartial
	}
	return data, DataWhole
}

// holdsRecord reports whether a deleted record begins between two places.
func (r *recovery) holdsRecord(start, end fileOffset) bool {
	i, _ := slices.BinarySearchFunc(r.found, start, func(rec record, at fileOffset) int { return cmp.Compare(rec.at, at) })
	return i < len(r.found) && r.found[i].at < end
}

// deadSegments puts together the segments of deleted big data.
func (r *recovery) deadSegments(d db, size int) (data []byte, state DataState, at int64) {
	state = DataWhole
	refs := r.list4(d.segments(), int(d.count()))
	if len(refs) == 0 {
		return nil, DataOverwritten, 0
	}
	at = int64(reference(refs).file() + cellHeaderSize)
	for rest := size; rest > 0; refs = refs[4:] {
		if len(refs) == 0 || int64(len(data)) > r.dataLeft {
			return data, DataPartial, at
		}
		n := min(rest, segmentSize)
		segment, s := r.deadCell(reference(refs), n)
		data = append(data, segment...)
		if s != DataWhole {
			state = DataPartial
		}
		if len(segment) < n {
			return data, state, at
		}
		rest -= n
	}
	return data, state, at
}
