package regf

import (
	"hivemend/hive"
	"hivemend/hive/cursor"
)

// A name is stored either compressed, one byte a character (U+0000 to U+00FF),
// or as UTF-16LE. Comparing and hashing work on the stored bytes, so looking
// for a name decodes none.

// latinUpcase is hive.Upcase for the characters of compressed names.
var latinUpcase = func() (table [256]uint16) {
	for i := range table {
		table[i] = hive.Upcase(uint16(i))
	}
	return table
}()

// storedName is a name as it lies in a record.
type storedName struct {
	bytes      []byte
	compressed bool
}

// name returns the name as far as the cell holds it.
func (k nk) name() storedName {
	return storedName{k[nkSize : nkSize+min(int(k.nameLength()), len(k)-nkSize)], k.compressed()}
}

// name returns the name as far as the cell holds it.
func (v vk) name() storedName {
	return storedName{v[vkSize : vkSize+min(int(v.nameLength()), len(v)-vkSize)], v.compressed()}
}

// text decodes the name.
func (n storedName) text() string {
	if n.compressed {
		return cursor.LatinString(n.bytes)
	}
	return cursor.String(n.bytes)
}

// units is the length of the name in UTF-16 units.
func (n storedName) units() int {
	if n.compressed {
		return len(n.bytes)
	}
	return len(n.bytes) / 2
}

// upper returns unit i of the name in upper case.
func (n storedName) upper(i int) uint16 {
	if n.compressed {
		return latinUpcase[n.bytes[i]]
	}
	return hive.Upcase(le.Uint16(n.bytes[2*i:]))
}

// hash is the number that an lh list keeps of a name: each unit in upper case
// added to 37 times what came before.
func (n storedName) hash() (h uint32) {
	if !n.compressed {
		for i := range n.units() {
			h = h*37 + uint32(n.upper(i))
		}
		return h
	}
	b := n.bytes
	for ; len(b) >= 4; b = b[4:] {
		h = h*(37*37*37*37) + uint32(latinUpcase[b[0]])*(37*37*37) + uint32(latinUpcase[b[1]])*(37*37) +
			uint32(latinUpcase[b[2]])*37 + uint32(latinUpcase[b[3]])
	}
	for _, c := range b {
		h = h*37 + uint32(latinUpcase[c])
	}
	return h
}

// foldKey returns a number that is the same for names that are the same
// whatever the case, and nearly always different for others. It is quicker
// than hash: setting one bit makes capitals of most letters small, and of few
// other characters something else.
func (n storedName) foldKey() uint32 {
	b := n.bytes
	if !n.compressed {
		b = make([]byte, n.units())
		for i := range b {
			if u := n.upper(i); u == 0x178 { // the capital of U+00FF
				b[i] = 0xff
			} else {
				b[i] = byte(u)
			}
		}
	}
	const lower, mix = 0x2020202020202020, 0x9e3779b97f4a7c15
	h := uint64(len(b))
	for ; len(b) >= 8; b = b[8:] {
		h = (h ^ (le.Uint64(b) | lower)) * mix
		h ^= h >> 32
	}
	tail := uint64(0)
	for _, c := range b {
		tail = tail<<8 | uint64(c|0x20)
	}
	h = (h ^ tail) * mix
	return uint32(h >> 32)
}

// compressible reports whether all characters of the name are below U+0100.
func (n storedName) compressible() bool {
	for i := range n.units() {
		if n.bytes[2*i+1] != 0 {
			return false
		}
	}
	return true
}

// compare orders two names as lists of subkeys are ordered.
func (n storedName) compare(m storedName) int {
	if n.compressed && m.compressed {
		for i := range min(len(n.bytes), len(m.bytes)) {
			if a, b := n.bytes[i], m.bytes[i]; a != b && latinUpcase[a] != latinUpcase[b] {
				return int(latinUpcase[a]) - int(latinUpcase[b])
			}
		}
		return len(n.bytes) - len(m.bytes)
	}
	a, b := n.units(), m.units()
	for i := range min(a, b) {
		if d := int(n.upper(i)) - int(m.upper(i)); d != 0 {
			return d
		}
	}
	return a - b
}

// wanted is a name that is looked for: in upper case, with its hash.
type wanted struct {
	upper []uint16
	hash  uint32
}

func want(name string) wanted {
	w := wanted{upper: cursor.UnitsFromString(name)}
	for i, u := range w.upper {
		u = hive.Upcase(u)
		w.upper[i] = u
		w.hash = w.hash*37 + uint32(u)
	}
	return w
}

// is reports whether a stored name is the wanted one, whatever the case.
func (w wanted) is(n storedName) bool {
	if n.units() != len(w.upper) {
		return false
	}
	for i, u := range w.upper {
		if n.upper(i) != u {
			return false
		}
	}
	return true
}

// hintFits reports whether the hint of an lf element, the first four
// characters as they are written, leaves room for the wanted name.
func (w wanted) hintFits(hint []byte) bool {
	for i := 0; i < 4; i++ {
		if i >= len(w.upper) {
			return true
		}
		if latinUpcase[hint[i]] != w.upper[i] {
			return false
		}
	}
	return true
}
