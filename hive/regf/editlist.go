package regf

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"hivemend/hive"
)

// This file keeps lists of subkeys: it finds names in them, and takes elements
// out and puts them in.

// spot is one element of a key's list: which leaf, and which element of it.
type spot struct{ leaf, index int }

// subkeyList is what was found on the way through a key's list of subkeys.
type subkeyList struct {
	index  cellOffset // the ri; noCell where there is none
	leaves []cellOffset
	found  cellOffset // the subkey of the wanted name; noCell if there is none
	at     spot       // where it is, or where it would have to be put in
	// damage is the first thing wrong with the list. Looking something up in
	// a damaged list is fine; changing it is not.
	damage error
}

// subkeys looks for a subkey of parent by name, and examines the whole list
// the first time that it is looked into.
func (e *Editor) subkeys(parent cellOffset, k nk, name storedName) subkeyList {
	s := subkeyList{index: noCell, found: noCell}
	if k.subkeyCount() == 0 {
		return s
	}
	s.collectLeaves(e, k.subkeyList())
	if e.orderly[parent] {
		s.search(e, name)
		return s
	}
	scan := subkeyScan{list: &s, parent: parent, name: name}
	for i, leaf := range s.leaves {
		elements, size := e.elements(leaf)
		for j := 0; len(elements) > 0; elements, j = elements[size:], j+1 {
			scan.visit(e, spot{i, j}, reference(elements))
		}
	}
	if scan.count != uint64(k.subkeyCount()) {
		s.damaged(&hive.FormatError{
			File: e.im.file, Struct: "nk", Offset: int64(parent.file()) + nkCountField,
			Want: fmt.Sprintf("the %d subkeys that are listed", scan.count), Found: fmt.Sprint(k.subkeyCount()),
		})
	}
	e.orderly[parent] = s.damage == nil
	return s
}

// elements returns the elements of a leaf that collectLeaves has seen.
func (e *Editor) elements(leaf cellOffset) (elements []byte, size int) {
	payload, _, _ := e.im.raw(leaf)
	return list(payload).elements()
}

// search finds a name, or its place, in a list that is known to be in order.
func (s *subkeyList) search(e *Editor, name storedName) {
	at := func(leaf, index int) cellOffset {
		elements, size := e.elements(s.leaves[leaf])
		return reference(elements[index*size:])
	}
	compare := func(c cellOffset) int { return compareNames(e.im.keyQuick(c).name(), name) }
	// The last leaf that begins with this name or one before it, else the first.
	leaf := max(0, sort.Search(len(s.leaves), func(i int) bool {
		elements, _ := e.elements(s.leaves[i])
		return len(elements) > 0 && compare(at(i, 0)) > 0
	})-1)
	elements, size := e.elements(s.leaves[leaf])
	index, found := sort.Find(len(elements)/size, func(i int) int { return -compare(at(leaf, i)) })
	s.at = spot{leaf, index}
	if found {
		s.found = at(leaf, index)
	}
}

// quickSubkey finds a subkey by name without looking at all others. It may
// miss one whose hash is wrong, or in a damaged list.
func (e *Editor) quickSubkey(parent cellOffset, k nk, name storedName) cellOffset {
	s := subkeyList{index: noCell, found: noCell}
	if k.subkeyCount() == 0 {
		return noCell
	}
	s.collectLeaves(e, k.subkeyList())
	hash := name.hash()
	for _, leaf := range s.leaves {
		payload, _, _ := e.im.raw(leaf)
		hashed := list(payload).kind() == "lh"
		elements, size := list(payload).elements()
		for ; len(elements) > 0; elements = elements[size:] {
			if hashed && le.Uint32(elements[4:]) != hash {
				continue
			}
			child, err := e.key(reference(elements))
			if err == nil && child.parent() == parent && compareNames(child.name(), name) == 0 {
				return reference(elements)
			}
		}
	}
	return noCell
}

func (s *subkeyList) damaged(err error) {
	if s.damage == nil {
		s.damage = err
	}
}

// collectLeaves fills in the cells that the list consists of.
func (s *subkeyList) collectLeaves(e *Editor, at cellOffset) {
	l, err := e.list(at)
	if err != nil {
		s.damaged(err)
	}
	if l == nil {
		return
	}
	if l.kind() != "ri" {
		s.leaves = []cellOffset{at}
		return
	}
	s.index = at
	refs, size := l.elements()
	seen := offsetSet{}
	for ; len(refs) > 0; refs = refs[size:] {
		c := reference(refs)
		leaf, err := e.list(c)
		switch {
		case leaf == nil:
		case leaf.kind() == "ri":
			err = &hive.FormatError{
				File: e.im.file, Struct: "list of subkeys", Offset: int64(c.file()) + cellHeaderSize, Want: `"li", "lf" or "lh"`, Found: `"ri"`,
			}
		case !seen.add(c):
			err = &hive.FormatError{
				File: e.im.file, Struct: "list of subkeys", Offset: int64(at.file()), Want: "each leaf once", Found: fmt.Sprintf("%s twice", c.file()),
			}
		default:
			s.leaves = append(s.leaves, c)
		}
		if err != nil {
			s.damaged(err)
		}
	}
}

// list returns a list of subkeys. With an error it is what could be read, or nil.
func (e *Editor) list(c cellOffset) (list, error) {
	_, err := e.used("list of subkeys", c, listHeaderSize)
	l, readErr := e.im.list(c)
	switch {
	case readErr != nil:
		return nil, readErr
	case err == nil && !l.fits():
		err = e.im.shortCell("list of subkeys", c, listHeaderSize+int(l.count())*elementSize(l.kind()), len(l))
	}
	return l, err
}

// subkeyScan goes through all elements of a list in order.
type subkeyScan struct {
	list   *subkeyList
	parent cellOffset
	name   storedName
	last   storedName // of the element before
	count  uint64
	placed bool // a name behind the wanted one was met
}

func (f *subkeyScan) visit(e *Editor, at spot, child cellOffset) {
	s := f.list
	f.count++
	k, err := e.key(child)
	if err != nil {
		s.damaged(err)
		return
	}
	name := k.name()
	if f.last.bytes != nil && compareNames(f.last, name) >= 0 {
		s.damaged(&hive.FormatError{
			File: e.im.file, Struct: "list of subkeys", Offset: int64(s.leaves[at.leaf].file()),
			Want: "names in ascending order", Found: fmt.Sprintf("%s before %s", quoteName(f.last), quoteName(name)),
		})
	}
	f.last = name
	if k.parent() != f.parent {
		s.damaged(&hive.FormatError{
			File: e.im.file, Struct: "nk", Offset: int64(child.file()) + nkParentField,
			Want: fmt.Sprintf("the parent %s", f.parent.file()), Found: k.parent().file().String(),
		})
		return
	}
	switch d := compareNames(name, f.name); {
	case d == 0 && s.found == noCell:
		s.found, s.at, f.placed = child, at, true
	case d < 0 && !f.placed:
		s.at = spot{at.leaf, at.index + 1}
	case d > 0:
		f.placed = true
	}
}

// removeSubkey takes the element at a spot out of parent's list and changes
// what parent says about its subkeys.
func (e *Editor) removeSubkey(parent cellOffset, s subkeyList) error {
	leaf := s.leaves[s.at.leaf]
	left, err := e.removeElement(leaf, s.at.index)
	if err != nil {
		return err
	}
	if left == 0 {
		if err := e.release("list of subkeys", leaf); err != nil {
			return err
		}
		if s.index != noCell {
			if left, err = e.removeElement(s.index, s.at.leaf); err != nil {
				return err
			}
			if left == 0 {
				if err := e.release("list of subkeys", s.index); err != nil {
					return err
				}
			}
		}
	} else {
		left = 1 // the list stays, whatever the leaf has
	}
	k, err := e.writableKey(parent)
	if err != nil {
		return err
	}
	k.setSubkeyCount(k.subkeyCount() - 1)
	if left == 0 {
		k.setSubkeyList(noCell)
		k.setMaxSubkeyName(0)
		k.setMaxSubkeyClass(0)
	}
	e.stamp(k)
	return nil
}

// removeElement takes one element out of a list and returns how many are left.
// What stood in the last place stays there, behind the count, unless freed
// bytes are to be zeroed.
func (e *Editor) removeElement(c cellOffset, index int) (left int, err error) {
	payload, err := e.writable("list of subkeys", c)
	if err != nil {
		return 0, err
	}
	l := list(payload)
	elements, size := l.elements()
	copy(elements[index*size:], elements[(index+1)*size:])
	if e.opt.Wipe {
		clear(elements[len(elements)-size:])
	}
	l.setCount(l.count() - 1)
	return int(l.count()), nil
}

// insertSubkey puts a new key into parent's list where its name belongs.
func (e *Editor) insertSubkey(parent, child cellOffset, name storedName, s subkeyList) error {
	list, err := e.insertInto(parent, child, name, s)
	if err != nil {
		return err
	}
	k, err := e.writableKey(parent)
	if err != nil {
		return err
	}
	k.setSubkeyCount(k.subkeyCount() + 1)
	if k.subkeyList() != list {
		k.setSubkeyList(list)
	}
	if w := uint16(name.wide()); w > k.maxSubkeyName() {
		k.setMaxSubkeyName(w)
	}
	e.stamp(k)
	return nil
}

// insertInto puts the element for a new key into parent's list and returns the
// cell in which the list now begins.
func (e *Editor) insertInto(parent, child cellOffset, name storedName, s subkeyList) (cellOffset, error) {
	if len(s.leaves) == 0 {
		kind := leafKind(e.im.minor)
		return storeList(e, kind, []leafEntry{entryFor(kind, child, name)}, parent)
	}
	old := s.leaves[s.at.leaf]
	entries, kind, err := e.entries(old)
	if err != nil {
		return noCell, err
	}
	full := len(entries) >= leafCeiling(kind, len(entries))
	if full && kind == "lf" && s.index == noCell {
		// Windows goes over to li for a list that outgrows one lf.
		kind, full = "li", false
	}
	entries = slices.Insert(entries, s.at.index, entryFor(kind, child, name))
	if !full {
		leaf, err := e.rewriteList(old, kind, entries)
		if err != nil || leaf == old || s.index == noCell {
			return first(s.index, leaf), err
		}
		return s.index, e.replaceElement(s.index, s.at.leaf, leaf)
	}
	return e.splitLeaf(parent, s, kind, entries)
}

// first returns the index, or the leaf where there is no index.
func first(index, leaf cellOffset) cellOffset {
	if index != noCell {
		return index
	}
	return leaf
}

// leafCeiling is how many elements a leaf that has n of them may have: one
// that Windows let grow beyond the usual limit may go on.
func leafCeiling(kind string, n int) int {
	if kind == "lh" && n > maxFastLeaf {
		return maxSlowLeaf
	}
	return leafLimit(kind)
}

// splitLeaf makes two leaves of a full one, which entries already outgrows,
// and puts the second into the ri, which is made if there is none.
func (e *Editor) splitLeaf(parent cellOffset, s subkeyList, kind string, entries []leafEntry) (cellOffset, error) {
	old := s.leaves[s.at.leaf]
	half := len(entries) / 2
	low, err := e.rewriteList(old, kind, entries[:half])
	if err != nil {
		return noCell, err
	}
	high, err := storeList(e, kind, entries[half:], old)
	if err != nil {
		return noCell, err
	}
	if s.index == noCell {
		return storeList(e, "ri", []leafEntry{{key: low}, {key: high}}, parent)
	}
	refs, _, err := e.entries(s.index)
	if err != nil {
		return noCell, err
	}
	if len(refs) == math.MaxUint16 {
		return noCell, refuse("the key has as many subkeys as its list can hold")
	}
	refs[s.at.leaf].key = low
	return e.rewriteList(s.index, "ri", slices.Insert(refs, s.at.leaf+1, leafEntry{key: high}))
}

// entries returns the elements of a list.
func (e *Editor) entries(c cellOffset) ([]leafEntry, string, error) {
	l, err := e.list(c)
	if err != nil {
		return nil, "", err
	}
	elements, size := l.elements()
	out := make([]leafEntry, 0, len(elements)/size+1)
	for ; len(elements) > 0; elements = elements[size:] {
		entry := leafEntry{key: reference(elements)}
		if size == 8 {
			entry.hint = le.Uint32(elements[4:])
		}
		out = append(out, entry)
	}
	return out, l.kind(), nil
}

// rewriteList writes a list again, in its own cell if it fits there, else in a
// new one with some room to grow, and returns the cell.
func (e *Editor) rewriteList(c cellOffset, kind string, entries []leafEntry) (cellOffset, error) {
	payload, err := e.writable("list of subkeys", c)
	if err != nil {
		return noCell, err
	}
	size := elementSize(kind)
	need := listHeaderSize + len(entries)*size
	if need <= len(payload) {
		old, _ := list(payload).elements()
		putList(payload, kind, entries)
		if end := listHeaderSize + len(old); e.opt.Wipe && end > need {
			clear(payload[need:end])
		}
		return c, nil
	}
	room := min(len(entries)/8, max(0, leafLimit(kind)-len(entries)))
	fresh, err := e.allocate(need+room*size, c)
	if err != nil {
		return noCell, err
	}
	putList(e.fresh(fresh), kind, entries)
	return fresh, e.release("list of subkeys", c)
}

// replaceElement lets an element of an ri refer to another leaf.
func (e *Editor) replaceElement(index cellOffset, at int, leaf cellOffset) error {
	payload, err := e.writable("list of subkeys", index)
	if err != nil {
		return err
	}
	le.PutUint32(payload[listHeaderSize+4*at:], uint32(leaf))
	return nil
}
