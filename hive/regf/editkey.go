package regf

import (
	"fmt"
	"math"

	"hivemend/hive"
)

// CreateKey creates the key at that path below the hive's root, and the keys
// above it where they are missing. A new key has no class, and the security
// descriptor of its parent. A key that is there already is left alone.
//
// It refuses names that no key can have, paths deeper than [hive.MaxDepth],
// and subkeys of predefined handles (never forced) and symbolic links.
func (e *Editor) CreateKey(path hive.Path) error {
	return e.run("create key "+keyLabel(path), func() error {
		_, err := e.makeKey(path)
		return err
	})
}

// DeleteKey deletes the key at that path below the hive's root with everything
// below it. One that is not there is no error and no change.
//
// It never deletes the root, and refuses keys that are marked as not to be
// deleted, symbolic links, predefined handles and mount points, wherever they
// stand in what would go.
func (e *Editor) DeleteKey(path hive.Path) error {
	return e.run("delete key "+keyLabel(path), func() error {
		if len(path) == 0 {
			return refuse("a hive cannot be without its root key")
		}
		parent, missing, _, err := e.lookup(path.Parent())
		if err != nil || len(missing) > 0 {
			return err
		}
		k, err := e.key(parent)
		if err != nil {
			return err
		}
		found := e.subkeys(parent, k, encodeName(path.Name()))
		switch {
		case found.found == noCell:
			return nil
		case found.found == e.im.root:
			return refuse("the key's list of subkeys leads back to the root key; repair the hive first")
		case found.damage != nil:
			return found.damage
		}
		if err := e.admitDefects(path.Parent()); err != nil {
			return err
		}
		if err := e.admitDefectsBelow(path); err != nil {
			return err
		}
		if err := e.releaseTree(found.found); err != nil {
			return err
		}
		return e.removeSubkey(parent, found)
	})
}

// lookup follows a path down as far as it exists, and returns the last key,
// the names that are missing, and where in the last key's list of subkeys the
// first of them would stand.
func (e *Editor) lookup(path hive.Path) (key cellOffset, missing hive.Path, place subkeyList, err error) {
	key = e.im.root
	for i, name := range path {
		k, err := e.key(key)
		if err != nil {
			return noCell, nil, place, err
		}
		stored := encodeName(name)
		if quick := e.quickSubkey(key, k, stored); quick != noCell {
			key = quick
			continue
		}
		place = e.subkeys(key, k, stored)
		switch {
		case place.found != noCell:
			key = place.found
		case place.damage != nil:
			// It may be one of those that cannot be read.
			return noCell, nil, place, place.damage
		default:
			return key, path[i:], place, nil
		}
	}
	return key, nil, subkeyList{}, nil
}

// makeKey returns the key at that path and creates what is missing of it.
func (e *Editor) makeKey(path hive.Path) (cellOffset, error) {
	key, missing, place, err := e.lookup(path)
	if err != nil || len(missing) == 0 {
		return key, err
	}
	if len(path) > hive.MaxDepth {
		return noCell, refuse("it would lie on level %d; keys go down to level %d", len(path), hive.MaxDepth)
	}
	if err := e.admitSubkey(key, path[:len(path)-len(missing)]); err != nil {
		return noCell, err
	}
	for _, name := range missing {
		if problem := keyNameProblem(name); problem != "" {
			return noCell, refuse("%s", problem)
		}
		if key, err = e.addKey(key, encodeName(name), place); err != nil {
			return noCell, err
		}
		place = subkeyList{index: noCell, found: noCell} // a new key has no list
	}
	return key, nil
}

// admitSubkey refuses keys that are not to have new subkeys.
func (e *Editor) admitSubkey(key cellOffset, path hive.Path) error {
	k, err := e.key(key)
	if err != nil {
		return err
	}
	if k.flags()&nkPredefined != 0 {
		return refuse("%s is a predefined handle", keyLabel(path))
	}
	if k.flags()&nkSymlink != 0 {
		if err := e.unlessForced("%s is a symbolic link", keyLabel(path)); err != nil {
			return err
		}
	}
	return e.admitDefects(path)
}

// addKey puts a new key below parent, at the place that lookup found.
func (e *Editor) addKey(parent cellOffset, name storedName, place subkeyList) (cellOffset, error) {
	p, err := e.key(parent)
	if err != nil {
		return noCell, err
	}
	security, virtual := p.security(), p.virtFlags()
	child, err := storeNK(e, name, 0, parent)
	if err != nil {
		return noCell, err
	}
	k := nk(e.fresh(child))
	k.setSecurity(security)
	if virtual>>4&virtRecurse != 0 {
		k.setVirtFlags(virtual & 0xf0)
	}
	e.stamp(k)
	if err := e.useSecurity(security); err != nil {
		return noCell, err
	}
	return child, e.insertSubkey(parent, child, name, place)
}

// virtRecurse is the virtualisation flag that new subkeys inherit.
const virtRecurse = 8

// releaseTree frees a key and everything below it, but leaves the list that it
// stands in alone.
func (e *Editor) releaseTree(top cellOffset) error {
	// Each key comes before those below it, so backwards every key is freed
	// after its subkeys.
	keys := []cellOffset{top}
	var lists []cellOffset
	var seen offsetSet
	seen.add(top)
	for i := 0; i < len(keys); i++ {
		k, err := e.key(keys[i])
		if err != nil {
			return err
		}
		if err := e.admitDeletion(k); err != nil {
			return err
		}
		below := e.subkeysOf(keys[i], k)
		if below.damage != nil {
			return below.damage
		}
		lists = append(lists, below.leaves...)
		if below.index != noCell {
			lists = append(lists, below.index)
		}
		for _, child := range below.keys {
			if child == e.im.root || !seen.add(child) {
				return &hive.FormatError{
					File: e.im.file, Struct: "nk", Offset: int64(child.file()), Want: "each key in one place", Found: "the same key below itself or twice",
				}
			}
			keys = append(keys, child)
		}
	}
	for i := len(keys) - 1; i >= 0; i-- {
		if err := e.releaseKey(keys[i]); err != nil {
			return err
		}
	}
	for _, c := range lists {
		if err := e.release("list of subkeys", c); err != nil {
			return err
		}
	}
	return nil
}

// admitDeletion refuses keys that are not to be deleted.
func (e *Editor) admitDeletion(k nk) error {
	for _, mark := range []struct {
		flag uint16
		what string
	}{
		{nkNoDelete, "marked as not to be deleted"},
		{nkSymlink, "a symbolic link"},
		{nkPredefined, "a predefined handle"},
		{nkExit, "a place where another hive is mounted"},
	} {
		if k.flags()&mark.flag == 0 {
			continue
		}
		if err := e.unlessForced("the key %s is %s", quoteName(k.name()), mark.what); err != nil {
			return err
		}
	}
	return nil
}

// keysBelow is a whole list of subkeys, the keys themselves included.
type keysBelow struct {
	subkeyList
	keys []cellOffset
}

// subkeysOf returns all subkeys of a key.
func (e *Editor) subkeysOf(key cellOffset, k nk) keysBelow {
	// Looking for a name that no key has goes through the whole list and
	// finds all its damage.
	below := keysBelow{subkeyList: e.subkeys(key, k, storedName{})}
	if below.damage != nil {
		return below
	}
	for _, leaf := range below.leaves {
		l, err := e.list(leaf)
		if err != nil {
			below.damage = err
			return below
		}
		elements, size := l.elements()
		for ; len(elements) > 0; elements = elements[size:] {
			below.keys = append(below.keys, reference(elements))
		}
	}
	return below
}

// releaseKey frees a key that has no subkeys any more: its values, its class,
// its share of the security descriptor, and its record.
func (e *Editor) releaseKey(key cellOffset) error {
	k, err := e.key(key)
	if err != nil {
		return err
	}
	if k.flags()&nkPredefined == 0 {
		if err := e.releaseValues(k); err != nil {
			return err
		}
	}
	if k.classLength() > 0 && k.class() != noCell {
		if err := e.release("class name", k.class()); err != nil && !e.opt.Force {
			return err
		}
	}
	if err := e.leaveSecurity(k.security()); err != nil {
		return err
	}
	delete(e.orderly, key)
	return e.release("nk", key)
}

// releaseValues frees all values of a key and their list.
func (e *Editor) releaseValues(k nk) error {
	refs, err := e.valueRefs(k)
	if err != nil {
		if e.opt.Force {
			return nil
		}
		return err
	}
	for rest := refs; len(rest) > 0; rest = rest[4:] {
		if err := e.releaseValue(reference(rest)); err != nil {
			if e.opt.Force && e.im.valueQuick(reference(rest)) == nil {
				continue // no value; whatever it is stays
			}
			return err
		}
	}
	if len(refs) == 0 {
		return nil
	}
	return e.release("list of values", k.valueList())
}

// useSecurity counts one more key that uses a security cell.
func (e *Editor) useSecurity(c cellOffset) error {
	s, err := e.securityCell(c)
	if err != nil {
		return err
	}
	if s.references() == math.MaxUint32 {
		return refuse("the security descriptor is used by as many keys as can be counted")
	}
	s.setReferences(s.references() + 1)
	return nil
}

// leaveSecurity counts one key less that uses a security cell, and frees the
// cell when that was the last.
func (e *Editor) leaveSecurity(c cellOffset) error {
	s, err := e.securityCell(c)
	if err != nil {
		if e.opt.Force {
			return nil
		}
		return err
	}
	switch n := s.references(); {
	case e.defects.security && n <= 1:
		// The counts are wrong, so others may use the cell: it stays.
		return nil
	case n == 0:
		return &hive.FormatError{File: e.im.file, Struct: "sk", Offset: int64(c.file()) + cellHeaderSize + 12, Want: "a count of 1 or more", Found: "0"}
	case n > 1:
		s.setReferences(n - 1)
		return nil
	}
	return e.releaseSecurity(c, s)
}

// releaseSecurity takes a security cell out of the ring and frees it.
func (e *Editor) releaseSecurity(c cellOffset, s sk) error {
	next, previous := s.next(), s.previous()
	n, err := e.securityCell(next)
	if err != nil {
		return err
	}
	p, err := e.securityCell(previous)
	if err != nil {
		return err
	}
	if n.previous() != c || p.next() != c || next == c {
		return &hive.FormatError{
			File: e.im.file, Struct: "sk", Offset: int64(c.file()) + cellHeaderSize + 4, Want: "a ring of security cells", Found: fmt.Sprintf("a broken one (%s, %s)", next, previous),
		}
	}
	p.setNext(next)
	n.setPrevious(previous)
	return e.release("sk", c)
}

// securityCell returns a security cell for changing it.
func (e *Editor) securityCell(c cellOffset) (sk, error) {
	if _, err := e.used("sk", c, skSize); err != nil {
		return nil, err
	}
	if _, err := e.im.security(c); err != nil {
		return nil, err
	}
	return e.writable("sk", c)
}
