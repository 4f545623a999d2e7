package regf

import (
	"cmp"
	"slices"

	"hivemend/hive"
)

// linkValues finds out to which keys the deleted values belonged.
func (r *recovery) linkValues() {
	r.linkFromSlack()
	r.linkFromStaleLists()
	r.linkFromDeletedKeys()
	r.linkFromRemnants()
	r.guessOwners()
}

// linkFromSlack uses what stands behind the counted entries of lists of
// values: entries of values that were deleted.
func (r *recovery) linkFromSlack() {
	for _, g := range r.ground {
		if g.values != noCell {
			r.linkEntries(r.data[g.start:g.end], g.values, -1, true)
		}
	}
}

// linkFromStaleLists uses the lists of keys that have no values any more but
// still name a list, as those of Windows NT do.
func (r *recovery) linkFromStaleLists() {
	for off := range r.live.all() {
		k := r.keyQuick(off)
		if k.valueCount() == 0 && uint64(k.valueList()) < uint64(len(r.bins)) {
			r.linkEntries(r.list4(k.valueList(), plausibleValues), off, -1, false)
		}
	}
}

// linkFromDeletedKeys uses the lists of values of deleted keys, those of the
// latest written first: of several states of one key the last counts.
func (r *recovery) linkFromDeletedKeys() {
	type dated struct {
		i    int
		time uint64
	}
	var keys []dated
	for i := range r.found {
		if rec := &r.found[i]; rec.isKey() {
			if k := nk(r.data[rec.at:rec.end]); k.valueCount() > 0 && k.flags()&nkPredefined == 0 {
				keys = append(keys, dated{i, k.lastWritten()})
			}
		}
	}
	slices.SortStableFunc(keys, func(a, b dated) int { return cmp.Compare(b.time, a.time) })
	for _, key := range keys {
		rec := &r.found[key.i]
		k := nk(r.data[rec.at:rec.end])
		r.linkEntries(r.list4(k.valueList(), int(k.valueCount())), noCell, key.i, true)
	}
}

// list4 returns at most n references that lie at off, in a place that is not
// part of the tree.
func (r *recovery) list4(off cellOffset, n int) []byte {
	if off&volatileBit != 0 || off%cellUnit != 0 {
		return nil
	}
	start := off.file() + cellHeaderSize
	g := r.groundAt(start)
	if g == nil {
		return nil
	}
	end := g.end
	if size, ok := r.oldSize(off); ok {
		end = min(end, off.file()+fileOffset(size))
	}
	return r.data[start : start+min((end-start)/4, fileOffset(n))*4]
}

// oldSize returns the size that stands where a cell began once, whether in use
// or free. It may have become part of a larger free cell since.
func (r *recovery) oldSize(off cellOffset) (size uint32, ok bool) {
	at := uint64(off.file())
	if at+cellHeaderSize > uint64(len(r.data)) {
		return 0, false
	}
	size, _ = cellSize(r.data[at:])
	return size, size >= cellUnit && size%cellUnit == 0 && size <= maxBins
}

// linkEntries gives the values that entries refer to, and that have no owner
// yet, to a key of the tree or to a deleted one. Where gaps are not allowed it
// ends at the first entry that leads to no deleted value.
func (r *recovery) linkEntries(entries []byte, live cellOffset, deleted int, gaps bool) {
	if !r.spend(len(entries) / 4) {
		return
	}
	for ; len(entries) >= 4; entries = entries[4:] {
		i := r.at(reference(entries))
		if i < 0 || r.found[i].isKey() {
			if !gaps {
				return
			}
			continue
		}
		if rec := &r.found[i]; rec.lost() {
			rec.ownerLive, rec.owner = live, deleted
		}
	}
}

// linkFromRemnants looks for what is left of lists of values that were freed
// or moved: several references to values in a row. Values of one list belong
// to one key, so where the owner of some of them is known, and is the same, it
// is that of the others.
func (r *recovery) linkFromRemnants() {
	runs, wanted := r.remnants()
	if len(runs) == 0 {
		return
	}
	owners := r.ownersOf(wanted)
	for _, run := range runs {
		live, deleted, sure := noCell, -1, true
		for e := run; len(e) > 0 && sure; e = e[4:] {
			off := reference(e)
			l, d := noCell, -1
			if i := r.at(off); i >= 0 {
				l, d = r.found[i].ownerLive, r.found[i].owner
			} else if owner, ok := owners[off]; ok {
				l = owner
			}
			if l == noCell && d < 0 {
				continue
			}
			if live == noCell && deleted < 0 {
				live, deleted = l, d
			}
			sure = live == l && deleted == d
		}
		if !sure || live == noCell && deleted < 0 {
			continue
		}
		for e := run; len(e) > 0; e = e[4:] {
			if i := r.at(reference(e)); i >= 0 {
				if rec := &r.found[i]; rec.lost() {
					rec.ownerLive, rec.owner, rec.inferred = live, deleted, true
				}
			}
		}
	}
}

// remnants returns the runs of references to values that hold one without an
// owner and some other, and all the references in them.
func (r *recovery) remnants() (runs [][]byte, wanted map[cellOffset]bool) {
	wanted = map[cellOffset]bool{}
	if !slices.ContainsFunc(r.found, func(rec record) bool { return rec.lost() }) {
		return nil, wanted
	}
	data := r.data
	for _, g := range r.ground {
		from := (g.start + 3) / 4 * 4
		at, lost := from, false
		for {
			isValue := false
			if at+4 <= g.end {
				off := reference(data[at:])
				if isValue = r.valueAt(off); isValue {
					i := r.at(off)
					lost = lost || i >= 0 && r.found[i].lost()
				}
			}
			if !isValue {
				if lost && at-from >= 8 && r.spend(int(at-from)/4) {
					runs = append(runs, data[from:at])
					for e := data[from:at]; len(e) > 0; e = e[4:] {
						wanted[reference(e)] = true
					}
				}
				from, lost = at+4, false
			}
			if at += 4; at > g.end {
				break
			}
		}
	}
	return runs, wanted
}

// valueAt reports whether a vk, live or not, seems to lie in the cell at off.
func (r *recovery) valueAt(off cellOffset) bool {
	if off%cellUnit != 0 || off < binHeaderSize || uint64(off)+cellHeaderSize+vkSize > uint64(len(r.bins)) {
		return false
	}
	return r.bins[off+4] == 'v' && r.bins[off+5] == 'k'
}

// ownersOf returns the keys of the tree to which the wanted values belong.
func (r *recovery) ownersOf(wanted map[cellOffset]bool) map[cellOffset]cellOffset {
	owners := map[cellOffset]cellOffset{}
	for off := range r.live.all() {
		entries, _ := r.valueList(r.keyQuick(off))
		if !r.spend(len(entries) / 4) {
			return owners
		}
		for ; len(entries) > 0; entries = entries[4:] {
			if v := reference(entries); wanted[v] {
				owners[v] = off
			}
		}
	}
	return owners
}

// pathOf returns the path of a deleted key. It follows parents, deleted ones
// too, until one is part of the tree.
func (r *recovery) pathOf(i int) (path hive.Path, known bool, c Confidence) {
	k := r.keyOf(i)
	written := k.lastWritten()
	var names hive.Path // the last first
	for {
		if !r.spendPath(k.name()) {
			break
		}
		names = append(names, k.name().text())
		parent := k.parent()
		if r.isLive(parent) {
			path, known = r.livePath(parent, names)
			// Deleting a key writes its parent: one that was written earlier
			// is not the parent, but has taken its place.
			p := r.keyQuick(parent)
			switch {
			case !known:
				return path, false, ConfidenceLow
			case len(names) == 1 && p.lastWritten() >= written:
				return path, true, ConfidenceHigh
			}
			return path, true, ConfidenceMedium
		}
		above := -1
		if parent%cellUnit == 0 && parent&volatileBit == 0 {
			above = r.at(parent)
		}
		if above < 0 || !r.found[above].isKey() || len(names) >= hive.MaxDepth || above == i {
			break
		}
		k = r.keyOf(above)
	}
	slices.Reverse(names)
	return names, false, ConfidenceLow
}

func (r *recovery) keyOf(i int) nk { return nk(r.data[r.found[i].at:r.found[i].end]) }

// spendPath takes a name from what may be spent on paths.
func (r *recovery) spendPath(name storedName) bool {
	if r.pathsLeft -= int64(16 + len(name.bytes)); r.pathsLeft < 0 {
		r.pathsCut = true
		return false
	}
	return true
}

// ownerOf returns the key in whose list a key of the tree stands.
func (r *recovery) ownerOf(key cellOffset) cellOffset {
	if strays := r.strays.Load(); strays != nil {
		if owner, stray := (*strays)[key]; stray {
			return owner
		}
	}
	return r.keyQuick(key).parent()
}

// livePath returns the path of a key of the tree with names, the last of which
// comes first, behind it.
func (r *recovery) livePath(key cellOffset, names hive.Path) (path hive.Path, known bool) {
	path = slices.Clone(names)
	for known = true; key != r.root; key = r.ownerOf(key) {
		k := r.keyQuick(key)
		if k == nil || len(path) > 2*hive.MaxDepth || !r.spendPath(k.name()) {
			known = false
			break
		}
		path = append(path, k.name().text())
	}
	slices.Reverse(path)
	return path, known
}
