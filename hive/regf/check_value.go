package regf

import (
	"slices"

	"hivemend/hive"
)

// checkValues examines the list of values of a key and all its values.
func (c *checker) checkValues(off cellOffset, k nk) {
	if k.valueCount() == 0 || k.flags()&nkPredefined != 0 {
		return
	}
	at := k.valueList()
	payload, _, f := c.raw(at)
	if !f.readable() {
		c.badReference("VL01", hive.DamageLoss, at, off+nkValuesField, off, "list of values")
		return
	}
	entries, whole := c.valueList(k)
	if !whole {
		c.unbounded()
		c.issue("VL01", hive.DamageLoss, at, off, "want a list of %d values, found a cell for %d", k.valueCount(), len(payload)/4)
	}
	if !c.claim(at, off) || !c.affords(at, len(entries)/4) {
		return
	}
	c.names.reset(len(entries) / 4)
	c.fetchValues(entries)
	maxName, maxData := 0, uint32(0)
	for i := 0; i < len(entries); i += 4 {
		value := reference(entries[i:])
		v := c.valueQuick(value)
		if v == nil {
			c.badValue(value, at+cellHeaderSize+cellOffset(i), off)
			continue
		}
		c.report.Values++
		name := v.name()
		if int(v.nameLength()) <= len(name.bytes) {
			maxName = max(maxName, 2*name.units())
		}
		maxData = max(maxData, v.dataSize()&^inlineBit)
		if !c.claim(value, off) {
			continue
		}
		c.checkValueRecord(value, v, name, off)
		c.checkData(value, v, off)
	}
	if c.names.crowded {
		c.checkNamesSorted(entries, off)
	}
	if uint32(maxName) > k.maxValueName() {
		c.issue("NK09", hive.DamageAnomaly, off+nkHintField+8, off, "want at least %d bytes for the longest value name, found %d", maxName, k.maxValueName())
	}
	if maxData > k.maxValueData() {
		c.issue("NK09", hive.DamageAnomaly, off+nkHintField+12, off, "want at least %d bytes for the longest data, found %d", maxData, k.maxValueData())
	}
}

// badValue reports an entry that leads to no value.
func (c *checker) badValue(value, from, off cellOffset) {
	payload, _, f := c.raw(value)
	if !f.readable() {
		c.badReference("VK01", hive.DamageLoss, value, from, off, "value")
		return
	}
	c.unbounded()
	if len(payload) < vkSize {
		c.issue("VK01", hive.DamageLoss, value, off, "want a value in a cell of at least %d bytes, found %d", vkSize, len(payload))
	} else {
		c.issue("VK01", hive.DamageLoss, value+cellHeaderSize, off, `want "vk", found %q`, payload[:2])
	}
	c.claim(value, off)
}

// checkValueRecord examines the record of a value, its data apart.
func (c *checker) checkValueRecord(value cellOffset, v vk, name storedName, off cellOffset) {
	if int(v.nameLength()) > len(name.bytes) {
		c.issue("VK01", hive.DamageLoss, value+cellHeaderSize+2, off, "want a name of at most %d bytes, found %d", len(name.bytes), v.nameLength())
	}
	if v.flags() > vkCompressed|vkTombstone {
		c.issue("VK06", hive.DamageAnomaly, value+vkFlagsField, off, "value %s: want flags 0 to 3, found %#x", quoteName(name), v.flags())
	}
	if c.names.add(c.Image, value, name) {
		c.sameName(value, off)
	}
}

// checkData examines where a value's data lies.
func (c *checker) checkData(value cellOffset, v vk, off cellOffset) {
	size := v.dataSize() &^ inlineBit
	switch {
	case v.isInline():
		if size > 4 {
			c.issue("VK02", hive.DamageLoss, value+vkSizeField, off, "value %s: want at most 4 bytes of data in the record itself, found %d", quoteName(v.name()), size)
		}
		return
	case size == 0:
		if v.data() != noCell && v.flags()&vkTombstone == 0 {
			c.issue("VK03", hive.DamageLoss, value+vkDataField, off, "value %s: want no cell for data of 0 bytes, found %s", quoteName(v.name()), v.data())
		}
		return
	}
	payload, _, f := c.raw(v.data())
	if !f.readable() {
		c.badReference("VK04", hive.DamageLoss, v.data(), value+vkDataField, off, "data of value "+quoteName(v.name()))
		return
	}
	first := c.cells.claim(v.data())
	if !first {
		first = c.claimData(v, off)
	}
	big := size > segmentSize && hasBigData(c.minor)
	switch {
	case uint64(size) <= uint64(len(payload)):
		if big {
			c.issue("DB04", hive.DamageInfo, v.data(), off, "value %s: want its %d bytes of data in segments, found them in one cell", quoteName(v.name()), size)
		}
	case c.isBigData(size, payload):
		if first {
			c.checkBigData(v.data(), db(payload), size, v, off)
		}
	case big:
		c.unbounded()
		c.issue("DB01", hive.DamageLoss, v.data()+cellHeaderSize, off, `value %s: want "db" for %d bytes of data, found %q`, quoteName(v.name()), size, payload[:2])
	default:
		c.unbounded()
		c.issue("VK05", hive.DamageLoss, v.data(), off, "value %s: want a cell for %d bytes of data, found %d", quoteName(v.name()), size, len(payload))
	}
}

// claimData is claimOdd for a cell of data: one that is free costs the value,
// not the hive.
func (c *checker) claimData(v vk, key cellOffset) bool {
	at := v.data()
	if c.cells.free.has(at) {
		c.issue("VK04", hive.DamageLoss, at, key, "data of value %s: want a cell in use, found a free cell", quoteName(v.name()))
		if c.cells.refer(at) {
			return true
		}
	}
	return c.claimOdd(at, key)
}

// checkBigData examines the record of big data, the list of its segments and
// the segments.
func (c *checker) checkBigData(at cellOffset, d db, size uint32, v vk, off cellOffset) {
	wantCount := (uint64(size) + segmentSize - 1) / segmentSize
	if uint64(d.count()) != wantCount {
		c.unbounded()
		c.issue("DB02", hive.DamageLoss, at+cellHeaderSize+2, off, "value %s: want %d segments for %d bytes, found %d", quoteName(v.name()), wantCount, size, d.count())
	}
	refs, _, f := c.raw(d.segments())
	if !f.readable() {
		c.badReference("DB03", hive.DamageLoss, d.segments(), at+cellHeaderSize+4, off, "segments of value "+quoteName(v.name()))
		return
	}
	if len(refs)/4 < int(d.count()) {
		c.unbounded()
		c.issue("DB03", hive.DamageLoss, d.segments(), off, "value %s: want a list of %d segments, found a cell for %d", quoteName(v.name()), d.count(), len(refs)/4)
	}
	if n := min(len(refs)/4, int(d.count())); !c.claim(d.segments(), off) || !c.affords(d.segments(), n) {
		return
	}
	rest := uint64(size)
	for i := range min(len(refs)/4, int(d.count())) {
		segment := reference(refs[4*i:])
		from := d.segments() + cellHeaderSize + cellOffset(4*i)
		payload, _, f := c.raw(segment)
		if !f.readable() {
			c.badReference("DB03", hive.DamageLoss, segment, from, off, "segment of value "+quoteName(v.name()))
			continue
		}
		c.claim(segment, off)
		want := min(rest, segmentSize)
		if rest -= want; uint64(len(payload)) < want {
			c.unbounded()
			c.issue("DB03", hive.DamageLoss, segment, off, "value %s: want a segment of %d bytes, found %d", quoteName(v.name()), want, len(payload))
		}
	}
}

// nameTable tells the names of one key's values apart.
type nameTable struct {
	lone    bool // there is one name only, and nothing to tell it from
	crowded bool // too many names fall together: checkNamesSorted has to do it
	count   int
	slots   []nameSlot // open addressing
	few     [128]nameSlot
}

type nameSlot struct {
	key   uint32     // see storedName.foldKey
	value cellOffset // 0: the slot is free
}

// reset empties the table for n names. It grows with what is put in, not with
// what a count in the file promises.
func (t *nameTable) reset(n int) {
	t.lone, t.crowded = n == 1, false
	if t.count > 0 || t.slots == nil {
		clear(t.few[:])
		t.slots, t.count = t.few[:], 0
	}
}

// maxProbes is how many names the search for one looks at. Names of a real
// hive take a few; a hive made for the purpose could have them all in one place.
const maxProbes = 64

// add puts in the name of a value and reports whether another value of the
// same name, whatever the case, is there already.
func (t *nameTable) add(im *Image, value cellOffset, name storedName) bool {
	if t.lone || t.crowded {
		return false
	}
	key := name.foldKey()
	slot, same := t.place(im, key, name)
	if slot == nil || same {
		return same
	}
	*slot = nameSlot{key, value}
	if t.count++; t.count*4 > len(t.slots)*3 {
		t.grow(im)
	}
	return false
}

// grow doubles the table.
func (t *nameTable) grow(im *Image) {
	old := t.slots
	t.slots = make([]nameSlot, 2*len(old))
	for _, s := range old {
		if s.value == 0 {
			continue
		}
		if slot, _ := t.place(im, s.key, storedName{}); slot != nil {
			*slot = s
		}
	}
}

// place returns the free slot for a key, or whether a value of that name was
// met on the way to it.
func (t *nameTable) place(im *Image, key uint32, name storedName) (free *nameSlot, same bool) {
	mask := uint32(len(t.slots) - 1)
	i := key * 0x9e3779b1 >> 7 & mask
	for range maxProbes {
		s := &t.slots[i]
		if s.value == 0 {
			return s, false
		}
		if s.key == key && name.bytes != nil && im.valueQuick(s.value).name().compare(name) == 0 {
			return nil, true
		}
		i = (i + 1) & mask
	}
	t.crowded = true
	return nil, false
}

// checkNamesSorted looks for names that come twice by sorting them: slower than
// a nameTable, but no choice of names can make it much slower.
func (c *checker) checkNamesSorted(entries []byte, off cellOffset) {
	var values []cellOffset
	for ; len(entries) > 0; entries = entries[4:] {
		if c.valueQuick(reference(entries)) != nil {
			values = append(values, reference(entries))
		}
	}
	name := func(value cellOffset) storedName { return c.valueQuick(value).name() }
	slices.SortStableFunc(values, func(a, b cellOffset) int { return name(a).compare(name(b)) })
	for i, value := range values {
		if i > 0 && name(values[i-1]).compare(name(value)) == 0 {
			c.sameName(value, off)
		}
	}
}

func (c *checker) sameName(value, off cellOffset) {
	c.issue("VL02", hive.DamageLoss, value, off, "want names that differ, found %s twice", quoteName(c.valueQuick(value).name()))
}
