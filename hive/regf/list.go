package regf

import (
	"slices"

	"hivemend/hive"
)

// elements returns the part of a list that holds its elements and the length
// of one. A count that exceeds the cell is cut to what the cell holds.
func (l list) elements() (elements []byte, size int) {
	size = elementSize(string(l[:2]))
	n := min(int(l.count())*size, (len(l)-listHeaderSize)/size*size)
	return l[listHeaderSize : listHeaderSize+n], size
}

func reference(b []byte) cellOffset { return cellOffset(le.Uint32(b)) }

// leaves calls visit for every leaf under a list of subkeys: for the list
// itself, or for what an ri refers to. What is damaged is left out, and so is
// a leaf that the ri names a second time. whole is false when anything was.
func (im *Image) leaves(off cellOffset, visit func(leaf list) bool) (whole bool) {
	l := im.listQuick(off)
	if l == nil {
		return false
	}
	if l[0] != 'r' {
		visit(l)
		return l.fits()
	}
	refs, size := l.elements()
	var seen offsetSet
	whole = l.fits()
	room := len(im.bins) / 4 // for elements; cells that do not overlap hold no more
	for ; len(refs) > 0; refs = refs[size:] {
		leaf := im.listQuick(reference(refs))
		if leaf == nil || leaf[0] == 'r' || !seen.add(reference(refs)) {
			whole = false
			continue
		}
		elements, _ := leaf.elements()
		if room -= len(elements) / 4; room < 0 {
			return false
		}
		if whole = whole && leaf.fits(); !visit(leaf) {
			break
		}
	}
	return whole
}

// fits reports whether the cell holds as many elements as are counted.
func (l list) fits() bool {
	return listHeaderSize+int(l.count())*elementSize(string(l[:2])) <= len(l)
}

// Subkeys calls yield for each subkey in stored order. Entries that lead to no
// key, second entries for the same key, and entries for a key that belongs
// elsewhere (see owner) are passed over, so that walking down always ends.
func (im tree) Subkeys(key hive.Ref, yield func(hive.Ref) bool) {
	im.subkeys(cellOffset(key), func(child cellOffset) bool { return yield(hive.Ref(child)) })
}

// subkeys is Subkeys for offsets; whole is false when entries were damaged.
func (im *Image) subkeys(key cellOffset, yield func(cellOffset) bool) (whole bool) {
	k := im.keyQuick(key)
	if k == nil {
		return false
	}
	if k.subkeyCount() == 0 {
		return true // what the list field holds then is stale
	}
	var seen offsetSet
	whole = true
	listed := im.leaves(k.subkeyList(), func(leaf list) bool {
		elements, size := leaf.elements()
		for i := 0; i < len(elements); i += size {
			if i%(fetchAhead*size) == 0 {
				im.fetchKeys(elements[i:min(i+fetchAhead*size, len(elements))], size)
			}
			child := reference(elements[i:])
			c := im.keyQuick(child)
			if c == nil || !im.owns(key, child, c) || !seen.add(child) {
				whole = false
				continue
			}
			if !yield(child) {
				return false
			}
		}
		return true
	})
	return whole && listed
}

// Subkey finds a subkey by name, whatever the case. The hash or hint beside an
// entry is only used to look at the likely entries first; nothing relies on
// it, nor on the order of the list.
func (im tree) Subkey(key hive.Ref, name string) (hive.Ref, bool) {
	off := cellOffset(key)
	k := im.keyQuick(off)
	if k == nil || k.subkeyCount() == 0 {
		return 0, false
	}
	w := want(name)
	if found := im.findSubkey(off, k, w, true); found != noCell {
		return hive.Ref(found), true
	}
	found := im.findSubkey(off, k, w, false)
	return hive.Ref(found), found != noCell
}

// findSubkey looks for a subkey of that name, only among the entries whose
// hash or hint promises it if likely is set. It returns noCell for none.
func (im *Image) findSubkey(key cellOffset, k nk, w wanted, likely bool) cellOffset {
	found := noCell
	im.leaves(k.subkeyList(), func(leaf list) bool {
		elements, size := leaf.elements()
		hashed, hinted := leaf[1] == 'h', leaf[1] == 'f'
		for ; len(elements) > 0; elements = elements[size:] {
			if likely && (hashed && le.Uint32(elements[4:]) != w.hash || hinted && !w.hintFits(elements[4:])) {
				continue
			}
			child := reference(elements)
			if c := im.keyQuick(child); c != nil && w.is(c.name()) && im.owns(key, child, c) {
				found = child
				return false
			}
		}
		return true
	})
	return found
}

// owns reports whether a child in a key's list belongs to that key. As a rule
// the child names its parent. Where it names another, the hive is damaged, and
// the whole of it has to be looked at to tell to whom the child belongs; that
// every key has one owner, and the root none, is what makes it a tree.
func (im *Image) owns(key, child cellOffset, c nk) bool {
	if child == im.root {
		return false
	}
	strays := im.strays.Load()
	if strays == nil {
		if c.parent() == key {
			return true
		}
		strays = im.findStrays()
	}
	if owner, stray := (*strays)[child]; stray {
		return owner == key
	}
	return c.parent() == key
}

// offsetSet holds the offsets that were met in one list. A small set costs no
// allocation, and a large one is a bitmap, so that no choice of offsets makes
// it slow.
type offsetSet struct {
	few   [12]cellOffset
	count int
	table []cellOffset // open addressing; volatileBit marks a slot in use
	all   bitmap
}

// maxTable is the size up to which a table is used.
const maxTable = 1024

// add puts off, which is below volatileBit, into the set and reports whether
// it is new there.
func (s *offsetSet) add(off cellOffset) bool {
	if s.all != nil {
		return s.addToAll(off)
	}
	if s.table == nil {
		if slices.Contains(s.few[:s.count], off) {
			return false
		}
		if s.count < len(s.few) {
			s.few[s.count] = off
			s.count++
			return true
		}
		s.table = make([]cellOffset, 64)
		for _, o := range s.few {
			s.insert(o)
		}
	}
	if !s.insert(off) {
		return false
	}
	if s.count++; s.count > len(s.table)/2 {
		s.grow()
	}
	return true
}

// grow doubles the table, or makes it a bitmap.
func (s *offsetSet) grow() {
	old := s.table
	if len(old) < maxTable {
		s.table = make([]cellOffset, 2*len(old))
	} else {
		s.all = bitmap{}
	}
	for _, o := range old {
		switch {
		case o == 0:
		case s.all != nil:
			s.addToAll(o &^ volatileBit)
		default:
			s.insert(o &^ volatileBit)
		}
	}
}

func (s *offsetSet) addToAll(off cellOffset) bool {
	if more := int(off/bitmapSpan) + 1 - len(s.all); more > 0 {
		s.all = append(s.all, make(bitmap, more)...)
	}
	return !s.all.setAgain(off)
}

func (s *offsetSet) insert(off cellOffset) bool {
	mask := uint32(len(s.table) - 1)
	for i := uint32(off) / cellUnit * 0x9e3779b1 >> 7 & mask; ; i = (i + 1) & mask {
		switch s.table[i] {
		case 0:
			s.table[i] = off | volatileBit
			return true
		case off | volatileBit:
			return false
		}
	}
}
