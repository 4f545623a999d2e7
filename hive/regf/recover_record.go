package regf

import "unicode/utf16"

// record is a deleted nk or vk.
type record struct {
	at, end fileOffset // of the signature, and behind the name
	source  RecoverySource
	key     bool
	// To which key a value belonged: one of the tree, or a record by its index.
	ownerLive cellOffset
	owner     int
	inferred  bool       // from the neighbours in what is left of a list of values
	guess     cellOffset // without an owner: the key of the tree that may be it, or noCell
}

func (rec *record) isKey() bool { return rec.key }

// lost reports whether it is a value of which no key is known.
func (rec *record) lost() bool { return !rec.key && rec.ownerLive == noCell && rec.owner < 0 }

// findRecords looks for records in all of the ground. Cells begin at multiples
// of 8, and so do those that lie in the middle of what has become one free
// cell; a signature stands 4 bytes behind.
func (r *recovery) findRecords() {
	for _, g := range r.ground {
		at := (g.start+cellUnit-1-cellHeaderSize)/cellUnit*cellUnit + cellHeaderSize
		for at < g.start {
			at += cellUnit
		}
		for at+vkSize <= g.end {
			length, isKey := plausibleRecord(r.data[at:g.end])
			if length == 0 {
				at += cellUnit
				continue
			}
			end := at + fileOffset(length)
			r.found = append(r.found, record{at: at, end: end, source: g.source, key: isKey, ownerLive: noCell, owner: -1, guess: noCell})
			at = (end+cellUnit-1-cellHeaderSize)/cellUnit*cellUnit + cellHeaderSize
		}
	}
}

// plausibleRecord returns the length of the nk or vk that b begins with, 0
// where none does that could be a record.
func plausibleRecord(b []byte) (length int, isKey bool) {
	if len(b) < vkSize || b[1] != 'k' {
		return 0, false
	}
	switch {
	case b[0] == 'n' && len(b) >= nkSize && plausibleKey(nk(b)):
		return nkSize + int(nk(b).nameLength()), true
	case b[0] == 'v' && plausibleValue(vk(b)):
		return vkSize + int(vk(b).nameLength()), false
	}
	return 0, false
}

func plausibleKey(k nk) bool {
	n := int(k.nameLength())
	switch {
	case n == 0 || n > plausibleName || n > len(k)-nkSize:
		return false
	case k.lastWritten() < plausibleSince || k.lastWritten() > plausibleUntil:
		return false
	case k.subkeyCount() > plausibleSubkeys:
		return false
	case k.valueCount() > plausibleValues && k.flags()&nkPredefined == 0:
		return false
	}
	return k.name().plausible()
}

func plausibleValue(v vk) bool {
	n := int(v.nameLength())
	size := v.dataSize() &^ inlineBit
	switch {
	case n > plausibleName || n > len(v)-vkSize:
		return false
	case v.isInline() && size > 4:
		return false
	case !v.isInline() && size == 0 && v.data() != noCell && v.flags()&vkTombstone == 0:
		return false
	case !v.isInline() && size > 0 && (size > maxBins || v.data() < cellUnit || v.data()%cellUnit != 0 || v.data()&volatileBit != 0):
		return false
	}
	return n == 0 || v.name().plausible()
}

// plausible reports whether the name could be one.
func (n storedName) plausible() bool {
	nulls := 0
	if n.compressed {
		for _, c := range n.bytes {
			if c == 0 {
				nulls++
			}
		}
		return nulls <= plausibleNulls
	}
	if len(n.bytes)%2 != 0 {
		return false
	}
	high := false // the unit before is the first of a pair
	for i := 0; i < len(n.bytes); i += 2 {
		u := le.Uint16(n.bytes[i:])
		switch {
		case u == 0:
			nulls++
		case u == 0xffff:
			return false
		}
		low := utf16.IsSurrogate(rune(u)) && u >= 0xdc00
		if high != low {
			return false
		}
		high = u >= 0xd800 && u < 0xdc00
	}
	return !high && nulls <= plausibleNulls
}
