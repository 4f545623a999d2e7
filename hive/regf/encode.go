package regf

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"hivemend/hive/cursor"
)

// This file turns names and data into what stands in cells. Builder and editor
// share it, so a hive made from nothing and one that was edited hold the same
// records.

// Limits on names and data. Microsoft, "Registry Element Size Limits": a key
// name has at most 255 characters, a value name 16,383, and in the standard
// format (before version 1.4) a value at most 1 MB.
const (
	maxKeyName    = 255
	maxValueName  = 16383
	maxClass      = 0xfffe
	maxSingleData = 1 << 20
	maxBigData    = 0xffff * segmentSize
)

// How many subkeys a list holds before it has to be split: what fits into a
// bin of 4096 bytes beside its header and the list's own, at 8 and at 4 bytes
// an element. Windows lets lh lists grow to the second number as well, so that
// is when one that exists is split; new lists keep to the first.
const (
	maxFastLeaf = 507
	maxSlowLeaf = 1013
)

// cellStore is where new records are put: the builder's growing file, or the
// editor's copy of a hive.
type cellStore interface {
	// allocate returns a new cell for a record of size bytes, all zero, near
	// another cell where there is a choice.
	allocate(size int, near cellOffset) (cellOffset, error)
	// fresh returns the whole payload of a cell that allocate gave out. The
	// next allocate makes the slice stale.
	fresh(c cellOffset) []byte
}

// encodeName returns a name as it is to stand in an nk or vk: one byte a
// character where every UTF-16 unit is at most 0xFF, else UTF-16LE.
func encodeName(name string) storedName {
	if isASCII(name) {
		return storedName{[]byte(name), true}
	}
	units := cursor.UnitsFromString(name)
	latin := make([]byte, 0, len(units))
	for _, u := range units {
		if u > 0xff {
			return storedName{cursor.Bytes(units), false}
		}
		latin = append(latin, byte(u))
	}
	return storedName{latin, true}
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// wide is the length in bytes that the name has as UTF-16: what the hints in
// an nk count in, however the name is stored.
func (n storedName) wide() int { return 2 * n.units() }

// compareNames is storedName.compare, at speed for the usual kind of names.
func compareNames(a, b storedName) int {
	if !a.compressed || !b.compressed {
		return a.compare(b)
	}
	for i := range min(len(a.bytes), len(b.bytes)) {
		if x, y := a.bytes[i], b.bytes[i]; x != y {
			if d := int(latinUpcase[x]) - int(latinUpcase[y]); d != 0 {
				return d
			}
		}
	}
	return len(a.bytes) - len(b.bytes)
}

// keyNameProblem says why no key can have that name; "" when one can.
func keyNameProblem(name string) string {
	switch n := cursor.UnitLen(name); {
	case n == 0:
		return "a key needs a name"
	case n > maxKeyName:
		return fmt.Sprintf("the name has %d characters; a key name has at most %d", n, maxKeyName)
	case strings.Contains(name, `\`):
		return "a key name cannot hold a backslash"
	}
	return ""
}

// valueProblem says why no value of a hive of that minor version can have that
// name and that many bytes of data; "" when one can.
func valueProblem(minor uint32, name string, size int) string {
	n := cursor.UnitLen(name)
	switch {
	case n > maxValueName:
		return fmt.Sprintf("the name has %d characters; a value name has at most %d", n, maxValueName)
	case !hasBigData(minor) && size > maxSingleData:
		return fmt.Sprintf("%d bytes of data; a hive of version 1.%d holds at most %d in a value", size, minor, maxSingleData)
	case size > maxBigData:
		return fmt.Sprintf("%d bytes of data; a value holds at most %d", size, maxBigData)
	}
	return ""
}

// leafHint is what an lf list holds beside a key: the first four characters in
// their own case, or zeros where one of them does not fit into a byte.
func (n storedName) leafHint() uint32 {
	var hint [4]byte
	for i := range min(len(hint), n.units()) {
		if n.compressed {
			hint[i] = n.bytes[i]
			continue
		}
		u := le.Uint16(n.bytes[2*i:])
		if u > 0xff {
			return 0
		}
		hint[i] = byte(u)
	}
	return le.Uint32(hint[:])
}

// leafEntry is one element of a list of subkeys.
type leafEntry struct {
	key  cellOffset
	hint uint32 // what an lf or lh list holds beside it
}

// entryFor returns the element for a key of that name in a list of that kind.
func entryFor(kind string, key cellOffset, name storedName) leafEntry {
	switch kind {
	case "lh":
		return leafEntry{key, name.hash()}
	case "lf":
		return leafEntry{key, name.leafHint()}
	}
	return leafEntry{key: key}
}

// leafLimit is how many elements a new list of that kind is given at most.
func leafLimit(kind string) int {
	if elementSize(kind) == 8 {
		return maxFastLeaf
	}
	return maxSlowLeaf
}

// putList fills the payload of a cell with a list of that kind.
func putList(payload []byte, kind string, entries []leafEntry) {
	l := list(payload)
	l.setKind(kind)
	l.setCount(uint16(len(entries)))
	size := elementSize(kind)
	for i, e := range entries {
		at := listHeaderSize + i*size
		le.PutUint32(payload[at:], uint32(e.key))
		if size == 8 {
			le.PutUint32(payload[at+4:], e.hint)
		}
	}
}

// storeList puts a list of that kind into a new cell.
func storeList(s cellStore, kind string, entries []leafEntry, near cellOffset) (cellOffset, error) {
	c, err := s.allocate(listHeaderSize+len(entries)*elementSize(kind), near)
	if err != nil {
		return noCell, err
	}
	putList(s.fresh(c), kind, entries)
	return c, nil
}

// storeIndex puts a whole list of subkeys into new cells: one leaf, or an ri
// over as many as it takes. The entries are in order.
func storeIndex(s cellStore, kind string, entries []leafEntry, near cellOffset) (cellOffset, error) {
	limit := leafLimit(kind)
	if len(entries) <= limit {
		return storeList(s, kind, entries, near)
	}
	var leaves []leafEntry
	for part := range slices.Chunk(entries, limit) {
		c, err := storeList(s, kind, part, near)
		if err != nil {
			return noCell, err
		}
		leaves = append(leaves, leafEntry{key: c})
	}
	if len(leaves) > math.MaxUint16 {
		return noCell, fmt.Errorf("%d subkeys; a key has at most %d", len(entries), limit*math.MaxUint16)
	}
	return storeList(s, "ri", leaves, near)
}

// storeNK puts a key without subkeys and values into a new cell.
func storeNK(s cellStore, name storedName, flags uint16, parent cellOffset) (cellOffset, error) {
	c, err := s.allocate(nkSize+len(name.bytes), parent)
	if err != nil {
		return noCell, err
	}
	k := nk(s.fresh(c))
	k.setSignature()
	flags &^= nkCompressed
	if name.compressed {
		flags |= nkCompressed
	}
	k.setFlags(flags)
	k.setParent(parent)
	k.setSubkeyList(noCell)
	k.setVolatileList(noCell)
	k.setValueList(noCell)
	k.setSecurity(noCell)
	k.setClass(noCell)
	k.setNameLength(uint16(len(name.bytes)))
	copy(k[nkSize:], name.bytes)
	return c, nil
}

// storeVK puts a value without data into a new cell. The default value, which
// has no name, does not carry the flag for a compressed one.
func storeVK(s cellStore, name storedName, near cellOffset) (cellOffset, error) {
	c, err := s.allocate(vkSize+len(name.bytes), near)
	if err != nil {
		return noCell, err
	}
	v := vk(s.fresh(c))
	v.setSignature()
	v.setNameLength(uint16(len(name.bytes)))
	if name.compressed && len(name.bytes) > 0 {
		v.setFlags(vkCompressed)
	}
	v.setDataSize(inlineBit)
	copy(v[vkSize:], name.bytes)
	return c, nil
}

// dataField is what a vk says about its data.
type dataField struct {
	size   uint32     // with inlineBit
	ref    cellOffset // where inlineBit is not set
	inline [4]byte    // where it is
}

func (d dataField) put(v vk) {
	v.setDataSize(d.size)
	if d.size&inlineBit != 0 {
		copy(v.inline(), d.inline[:])
		return
	}
	v.setData(d.ref)
}

// inlineData returns the field for data of at most 4 bytes. No data at all is
// written the same way, as Windows does.
func inlineData(data []byte) dataField {
	d := dataField{size: inlineBit | uint32(len(data))}
	copy(d.inline[:], data)
	return d
}

// storeData puts a value's data where a hive of that minor version keeps data
// of that length: in the vk, in one cell, or as big data.
func storeData(s cellStore, minor uint32, data []byte, near cellOffset) (dataField, error) {
	switch {
	case len(data) <= 4:
		return inlineData(data), nil
	case len(data) > segmentSize && hasBigData(minor):
		c, err := storeBigData(s, data, near)
		return dataField{size: uint32(len(data)), ref: c}, err
	}
	c, err := s.allocate(len(data), near)
	if err != nil {
		return dataField{}, err
	}
	copy(s.fresh(c), data)
	return dataField{size: uint32(len(data)), ref: c}, nil
}

// storeBigData puts data into segments and returns their db record. Every
// segment, the last as well, gets a cell of full size: so does Windows, and a
// reader that counts segments by their cells depends on it.
func storeBigData(s cellStore, data []byte, near cellOffset) (cellOffset, error) {
	var segments []cellOffset
	for chunk := range slices.Chunk(data, segmentSize) {
		c, err := s.allocate(segmentSize+4, near)
		if err != nil {
			return noCell, err
		}
		copy(s.fresh(c), chunk)
		segments = append(segments, c)
	}
	index, err := s.allocate(4*len(segments), near)
	if err != nil {
		return noCell, err
	}
	for i, c := range segments {
		le.PutUint32(s.fresh(index)[4*i:], uint32(c))
	}
	record, err := s.allocate(dbSize+4, near)
	if err != nil {
		return noCell, err
	}
	d := db(s.fresh(record))
	d.setSignature()
	d.setCount(uint16(len(segments)))
	d.setSegments(index)
	return record, nil
}

// storeSK puts a security descriptor that keys share into a new cell, a ring
// of its own.
func storeSK(s cellStore, descriptor []byte, near cellOffset) (cellOffset, error) {
	c, err := s.allocate(skSize+len(descriptor), near)
	if err != nil {
		return noCell, err
	}
	k := sk(s.fresh(c))
	k.setSignature()
	k.setNext(c)
	k.setPrevious(c)
	k.setDescriptorLength(uint32(len(descriptor)))
	copy(k[skSize:], descriptor)
	return c, nil
}

// putFileName writes the tail of a name into the base block's field: at most
// 31 units and a NUL.
func putFileName(b baseBlock, name string) {
	units := cursor.UnitsFromString(name)
	if len(units) > 31 {
		units = units[len(units)-31:]
	}
	clear(b.fileName())
	copy(b.fileName(), cursor.Bytes(units))
}

// roundUp returns n rounded up to a multiple of unit, a power of two.
func roundUp(n, unit int) int { return (n + unit - 1) &^ (unit - 1) }
