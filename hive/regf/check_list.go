package regf

import (
	"bytes"

	"hivemend/hive"
)

// maxLeaf is how many elements Windows puts into one leaf at most.
const maxLeaf = 1013

// leafWalk is what is known while the lists of one key are gone through.
type leafWalk struct {
	place      keyPlace
	key        nk
	elements   uint64     // in all leaves
	previous   storedName // the name of the subkey before, for the order
	maxName    int        // longest subkey name, in bytes of UTF-16
	maxClass   int
	seen       offsetSet // lists of this key
	incomplete bool      // a list could not be read to its end
}

// checkSubkeys goes through the lists of subkeys of a key.
func (c *checker) checkSubkeys(place keyPlace, k nk) {
	off := place.key
	root := k.subkeyList()
	if k.subkeyCount() == 0 {
		// Windows does not look at the list then, but some readers do.
		if l := c.listQuick(root); l != nil && l.count() > 0 {
			c.unbounded()
			c.issue("LS05", hive.DamageAnomaly, off+nkCountField, off, "want the count of subkeys, %d, found 0", l.count())
		}
		return
	}
	w := leafWalk{place: place, key: k}
	first := len(c.stack)
	c.checkIndex(&w, root, off+nkListField)
	reverse(c.stack[first:])
	if !w.incomplete && w.elements != uint64(k.subkeyCount()) {
		c.issue("LS05", hive.DamageLoss, off+nkCountField, off, "want the count of subkeys, %d, found %d", w.elements, k.subkeyCount())
	}
	if w.maxName > int(k.maxSubkeyName()) {
		c.issue("NK09", hive.DamageAnomaly, off+nkHintField, off, "want at least %d bytes for the longest subkey name, found %d", w.maxName, k.maxSubkeyName())
	}
	if uint32(w.maxClass) > k.maxSubkeyClass() {
		c.issue("NK09", hive.DamageAnomaly, off+nkHintField+4, off, "want at least %d bytes for the longest class name of a subkey, found %d", w.maxClass, k.maxSubkeyClass())
	}
}

func reverse(places []keyPlace) {
	for i, j := 0, len(places)-1; i < j; i, j = i+1, j-1 {
		places[i], places[j] = places[j], places[i]
	}
}

// checkIndex examines the list of subkeys that a key refers to: a leaf, or an
// ri that refers to leaves.
func (c *checker) checkIndex(w *leafWalk, at, from cellOffset) {
	off := w.place.key
	l := c.checkListCell(w, at, from)
	if l == nil {
		return
	}
	if l[0] != 'r' {
		c.checkLeaf(w, at, l)
		return
	}
	if !c.takes(w, at, l) {
		return
	}
	refs, size := l.elements()
	for i := 0; i < len(refs); i += size {
		from := at + cellHeaderSize + listHeaderSize + cellOffset(i)
		leafAt := reference(refs[i:])
		leaf := c.checkListCell(w, leafAt, from)
		if leaf == nil {
			continue
		}
		if leaf[0] == 'r' {
			w.incomplete = true
			c.unbounded()
			c.issue("LS03", hive.DamageFatal, from, off, "want a list of subkeys, found a list of lists in a list of lists")
			continue
		}
		c.checkLeaf(w, leafAt, leaf)
	}
}

// checkListCell returns the list at a place, or reports why there is none.
func (c *checker) checkListCell(w *leafWalk, at, from cellOffset) list {
	off := w.place.key
	payload, _, f := c.raw(at)
	if !f.readable() {
		w.incomplete = true
		c.badReference("CL05", hive.DamageFatal, at, from, off, "list of subkeys")
		return nil
	}
	if elementSize(string(payload[:2])) == 0 {
		w.incomplete = true
		c.unbounded()
		c.issue("LS01", hive.DamageLoss, at+cellHeaderSize, off, `want "li", "lf", "lh" or "ri", found %q`, payload[:2])
		c.claim(at, off)
		return nil
	}
	l := list(payload)
	if !l.fits() {
		w.incomplete = true
		c.unbounded()
		c.issue("LS02", hive.DamageLoss, at+cellHeaderSize+2, off, "want at most %d elements in a cell of %d bytes, found a count of %d",
			(len(l)-listHeaderSize)/elementSize(l.kind()), len(l), l.count())
	}
	if l.count() == 0 {
		c.issue("LS04", hive.DamageAnomaly, at+cellHeaderSize+2, off, "want at least one element, found none")
	}
	return l
}

// takes reports whether a list is to be gone through for a key. A list that
// was met before is so only if its first subkey names this key as its parent:
// then damage that makes two keys share a list takes the subkeys from neither,
// and yet no list is gone through more than twice.
func (c *checker) takes(w *leafWalk, at cellOffset, l list) bool {
	again := !w.seen.add(at)
	first := c.claim(at, w.place.key)
	if elements, size := l.elements(); !c.affords(at, len(elements)/size) {
		return false
	}
	if first {
		return true
	}
	if l[0] == 'r' {
		refs, _ := l.elements()
		if len(refs) == 0 {
			return false
		}
		leaf := c.listQuick(reference(refs))
		if leaf == nil || leaf[0] == 'r' {
			return false
		}
		l = leaf
	}
	elements, _ := l.elements()
	if again || len(elements) == 0 {
		return false
	}
	k := c.keyQuick(reference(elements))
	return k != nil && k.parent() == w.place.key
}

// checkLeaf examines a leaf and the subkeys it lists as far as they bear on
// the list.
func (c *checker) checkLeaf(w *leafWalk, at cellOffset, l list) {
	off := w.place.key
	elements, size := l.elements()
	w.elements += uint64(len(elements) / size)
	if !c.takes(w, at, l) {
		return
	}
	if kind := l[1]; c.versionKnown && (kind == 'f' && hasHashLeaf(c.minor) || kind == 'h' && !hasHashLeaf(c.minor)) {
		c.issue("LS10", hive.DamageAnomaly, at+cellHeaderSize, off, "want a list of kind %q in a hive of version 1.%d, found %q", leafKind(c.minor), c.minor, l.kind())
	}
	if n := len(elements) / size; n > maxLeaf {
		c.issue("LS09", hive.DamageAnomaly, at+cellHeaderSize+2, off, "want at most %d elements, found %d", maxLeaf, n)
	}
	kind := l[1]
	for i := 0; i < len(elements); i += size {
		if i%(fetchAhead*size) == 0 {
			c.fetchKeys(elements[i:min(i+fetchAhead*size, len(elements))], size)
		}
		child := reference(elements[i:])
		from := at + cellHeaderSize + listHeaderSize + cellOffset(i)
		k := c.keyQuick(child)
		if k == nil {
			c.badSubkey(child, from, off)
			continue
		}
		c.element = keyPlace{child, off, w.place.depth + 1}
		c.checkElement(w, kind, elements[i:i+size], from, k)
		c.takeSubkey(from, k)
	}
	c.element.key = noCell
}

// badSubkey reports an entry that leads to no key.
func (c *checker) badSubkey(child, from, off cellOffset) {
	payload, _, f := c.raw(child)
	if !f.readable() {
		c.badReference("CL05", hive.DamageFatal, child, from, off, "subkey")
		return
	}
	c.unbounded()
	if len(payload) < nkSize {
		c.issue("NK01", hive.DamageFatal, child, off, "want a key in a cell of at least %d bytes, found %d", nkSize, len(payload))
	} else {
		c.issue("NK01", hive.DamageFatal, child+cellHeaderSize, off, `want "nk", found %q`, payload[:2])
	}
	c.claim(child, off)
}

// checkElement examines an entry together with the name that it leads to.
func (c *checker) checkElement(w *leafWalk, kind byte, element []byte, from cellOffset, k nk) {
	child, off := c.element.key, w.place.key
	name := k.name()
	w.maxClass = max(w.maxClass, int(k.classLength()))
	if !name.compressed || len(name.bytes) == 0 || len(name.bytes) > 255 {
		c.checkKeyName(child, k)
	}
	if stored := int(k.nameLength()); stored > len(name.bytes) {
		c.issue("NK01", hive.DamageFatal, child+nkLengthField, child, "want a name of at most %d bytes, found %d", len(name.bytes), stored)
		return
	}
	w.maxName = max(w.maxName, 2*name.units())
	if bytes.IndexByte(name.bytes, '\\') >= 0 {
		c.checkBackslash(child, name)
	}
	switch kind {
	case 'h':
		if hash := name.hash(); le.Uint32(element[4:]) != hash {
			c.badHash(from, child, name, "want hash %#08x, found %#08x", hash, le.Uint32(element[4:]))
		}
	case 'f':
		if hint := name.leafHint(); le.Uint32(element[4:]) != hint {
			c.badHash(from, child, name, "want hint %#08x, found %#08x", hint, le.Uint32(element[4:]))
		}
	}
	if w.previous.bytes != nil {
		if order := w.previous.compare(name); order > 0 {
			c.issue("LS06", hive.DamageLoss, from, off, "want subkeys in the order of their names, found %s behind %s",
				quoteName(name), quoteName(w.previous))
		} else if order == 0 {
			c.issue("LS07", hive.DamageLoss, from, off, "want names that differ, found %s twice", quoteName(name))
		}
	}
	w.previous = name
}

// badHash reports a hash or hint that does not belong to the name. Windows
// finds keys by it. Tables of upper-case letters changed over time, so for
// names beyond ASCII it proves little.
func (c *checker) badHash(from, child cellOffset, name storedName, format string, args ...any) {
	damage := hive.DamageLoss
	for i := range name.units() {
		if name.upper(i) > 0x7f {
			damage = hive.DamageAnomaly
		}
	}
	c.issue("LS08", damage, from, child, format, args...)
}

func quoteName(n storedName) string { return `"` + hive.Printable(n.text()) + `"` }

// takeSubkey notes a subkey to be visited.
func (c *checker) takeSubkey(from cellOffset, k nk) {
	place := c.element
	if k.parent() != place.owner || place.key == c.root {
		if c.deferredOnce.setAgain(place.key) {
			c.secondReference(place)
			return
		}
		c.deferred = append(c.deferred, place)
		return
	}
	if place.depth > hive.MaxDepth {
		c.issue("NK13", hive.DamageFatal, from, place.owner, "want at most %d levels of keys, found one more", hive.MaxDepth)
		return
	}
	if c.visited.setAgain(place.key) {
		c.secondReference(place)
		return
	}
	c.claim(place.key, place.owner)
	c.stack = append(c.stack, place)
}
