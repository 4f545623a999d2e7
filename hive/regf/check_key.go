package regf

import "hivemend/hive"

// Where fields lie in a cell, for the offsets of issues.
const (
	nkParentField   = cellHeaderSize + 16
	nkCountField    = cellHeaderSize + 20
	nkListField     = cellHeaderSize + 28
	nkValuesField   = cellHeaderSize + 40
	nkSecurityField = cellHeaderSize + 44
	nkClassField    = cellHeaderSize + 48
	nkHintField     = cellHeaderSize + 52
	nkLengthField   = cellHeaderSize + 72
	vkSizeField     = cellHeaderSize + 4
	vkDataField     = cellHeaderSize + 8
	vkFlagsField    = cellHeaderSize + 16
)

// checkRoot examines what is particular to the root key.
func (c *checker) checkRoot() {
	k := c.keyQuick(c.root)
	if !c.cells.inUse.has(c.root) {
		c.issue("BB09", hive.DamageFatal, c.root, c.root, "want the root key in a cell in use, found %s", c.placeOf(c.root))
	}
	if k.flags()&nkRoot == 0 {
		c.issue("NK15", hive.DamageAnomaly, c.root+cellHeaderSize+2, c.root, "want the root key marked as such, found flags %#x", k.flags())
	}
	c.checkKeyName(c.root, k)
}

// visit examines one key and all it refers to, and notes its subkeys to be
// visited next.
func (c *checker) visit(place keyPlace) {
	off := place.key
	k := c.keyQuick(off)
	c.report.Keys++
	c.report.Depth = max(c.report.Depth, int(place.depth))
	if flags := k.flags(); flags&(nkVolatile|nkExit) != 0 {
		c.issue("NK06", hive.DamageAnomaly, off+cellHeaderSize+2, off, "want a key that is stored, found flags %#x", flags)
	}
	if k.volatileCount() != 0 {
		if c.staleVolatile++; c.staleVolatile == 1 {
			c.firstStale = off
		}
	}
	c.countSecurity(off, k.security())
	c.checkClass(off, k)
	c.checkValues(off, k)
	c.checkSubkeys(place, k)
}

// checkClass examines the cell of the class name.
func (c *checker) checkClass(off cellOffset, k nk) {
	n, class := int(k.classLength()), k.class()
	if n == 0 {
		return
	}
	payload, _, f := c.raw(class)
	switch {
	case class == noCell:
		c.issue("NK11", hive.DamageAnomaly, off+nkClassField, off, "want a cell for a class name of %d bytes, found none", n)
	case !f.readable():
		c.badReference("NK10", hive.DamageLoss, class, off+nkClassField, off, "class name")
	case len(payload) < n:
		c.issue("NK10", hive.DamageLoss, class, off, "class name: want a cell of %d bytes, found %d", n, len(payload))
		c.claim(class, off)
	default:
		c.claim(class, off)
	}
}

// checkKeyName examines the length and the characters of a name.
func (c *checker) checkKeyName(off cellOffset, k nk) {
	name := k.name()
	stored := int(k.nameLength())
	units := name.units()
	at := off + nkLengthField
	switch {
	case stored == 0 && off != c.root:
		c.issue("NK02", hive.DamageLoss, at, off, "want a name, found none")
	case !name.compressed && stored%2 != 0:
		c.issue("NK02", hive.DamageLoss, at, off, "want a name of whole UTF-16 characters, found %d bytes", stored)
	case units > 255:
		c.issue("NK03", hive.DamageAnomaly, at, off, "want a name of at most 255 characters, found %d", units)
	}
	if !name.compressed && units > 0 && c.base.minor() >= 2 && name.compressible() {
		c.issue("NK08", hive.DamageAnomaly, off+cellHeaderSize+2, off, "want this name compressed, found UTF-16")
	}
}

// checkBackslash reports a name that no path can reach.
func (c *checker) checkBackslash(off cellOffset, name storedName) {
	for i := range name.units() {
		if name.upper(i) == '\\' {
			c.issue("NK04", hive.DamageLoss, off+cellHeaderSize+nkSize, off, "want a name without backslash, found %q", hive.Printable(name.text()))
			return
		}
	}
}
