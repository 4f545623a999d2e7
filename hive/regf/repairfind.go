package regf

import (
	"math/bits"
	"slices"

	"hivemend/hive"
)

// orphans are the keys and values of a hive that are in use, but that nothing
// refers to.
type orphans struct {
	keys   []cellOffset                // in the order of the file
	values []cellOffset                // so, too
	below  map[cellOffset][]cellOffset // the keys, by the key that they name as parent
}

// findOrphans looks for keys and values in the cells that a check found
// nothing to refer to, and where cells could not be told apart.
func findOrphans(c *checker) orphans {
	o := orphans{below: map[cellOffset][]cellOffset{}}
	for i, lost := range c.cells.waiting {
		for ; lost != 0; lost &= lost - 1 {
			o.add(c, cellOffset(i*bitmapSpan+bits.TrailingZeros64(lost)*cellUnit))
		}
	}
	for at := 0; at < len(c.bins); {
		end := int(c.binEnd[at/binUnit])
		for pos := c.badCellAt(at, end); pos+cellHeaderSize+vkSize <= end; pos += cellUnit {
			if at := cellOffset(pos); !c.cells.inUse.has(at) && !c.cells.free.has(at) && !c.cells.odd.has(at) {
				o.add(c, at)
			}
		}
		at = end
	}
	slices.Sort(o.keys)
	slices.Sort(o.values)
	for _, at := range o.keys {
		parent := c.keyQuick(at).parent()
		o.below[parent] = append(o.below[parent], at)
	}
	return o
}

// add takes the cell at a place if it is a key or a value.
func (o *orphans) add(c *checker, at cellOffset) {
	payload, used, f := c.raw(at)
	if !used || f != faultNone || len(payload) < vkSize {
		return
	}
	if c.visited.has(at) {
		return
	}
	if k := c.keyQuick(at); k != nil && k.nameLength() > 0 && int(k.nameLength()) <= len(k)-nkSize {
		o.keys = append(o.keys, at)
	}
	if v := c.valueQuick(at); v != nil && int(v.nameLength()) <= len(v)-vkSize {
		o.values = append(o.values, at)
	}
}

// restoreSignatures puts the signatures of keys and lists right where all else
// about them is: the key names its parent, and its name has the hash or hint
// that stands in the parent's list. It returns im itself where there are none.
func restoreSignatures(im *Image) (*Image, []RepairNote, error) {
	r := restorer{im: im.private(), seen: map[cellOffset]bool{}}
	r.key(im.root, nil)
	if len(r.notes) == 0 {
		return im, nil, nil
	}
	restored, err := Open(r.im.data, OpenOptions{File: im.file, Lenient: true})
	return restored, r.notes, err
}

// private returns an Image over a copy of im's bytes.
func (im *Image) private() *Image {
	data := slices.Clone(im.data)
	return &Image{
		data: data, bins: data[binsStart : binsStart+len(im.bins) : binsStart+len(im.bins)], binEnd: slices.Clone(im.binEnd),
		base: baseBlock(data[:baseBlockSize:baseBlockSize]), minor: im.minor, root: im.root, file: im.file,
	}
}

type restorer struct {
	im    *Image
	seen  map[cellOffset]bool
	notes []RepairNote
}

// key restores what hangs on a key. It follows only keys that name the key as
// their parent.
func (r *restorer) key(at cellOffset, path hive.Path) {
	if r.seen[at] || len(path) > hive.MaxDepth {
		return
	}
	r.seen[at] = true
	k := r.im.keyQuick(at)
	if k == nil || k.subkeyCount() == 0 {
		return
	}
	r.list(at, k.subkeyList(), uint64(k.subkeyCount()), path)
	if l := r.im.listQuick(k.subkeyList()); l != nil && l[0] == 'r' {
		refs, size := l.elements()
		for ; len(refs) > 0; refs = refs[size:] {
			r.list(at, reference(refs), 0, path)
		}
	}
	var below []cellOffset
	r.im.leaves(k.subkeyList(), func(leaf list) bool {
		elements, size := leaf.elements()
		for ; len(elements) > 0; elements = elements[size:] {
			child := reference(elements)
			r.nk(child, at, leaf[1], elements[:size], path)
			if c := r.im.keyQuick(child); c != nil && c.parent() == at {
				below = append(below, child)
			}
		}
		return true
	})
	for _, child := range below {
		r.key(child, append(slices.Clip(path), r.im.keyQuick(child).name().text()))
	}
}

// nk restores the signature of the key that an element of a list leads to.
func (r *restorer) nk(at, parent cellOffset, kind byte, element []byte, path hive.Path) {
	payload, used, f := r.im.raw(at)
	if !used || f != faultNone || len(payload) < nkSize || string(payload[:2]) == "nk" {
		return
	}
	k := nk(payload)
	n := int(k.nameLength())
	if k.parent() != parent || n == 0 || n > len(k)-nkSize {
		return
	}
	switch proof := le.Uint32(element[len(element)-4:]); {
	case kind == 'h' && k.name().hash() == proof, kind == 'f' && k.name().leafHint() == proof && proof != 0:
	default:
		return
	}
	k.setSignature()
	sub := append(slices.Clip(path), k.name().text())
	r.notes = append(r.notes, RepairNote{
		Kind: "key", Key: sub, Offset: int64(at.file() + cellHeaderSize), Length: 2,
		Text: "key " + keyLabel(sub) + ": the signature of its record was damaged; everything else fits, so it is put right",
	})
}

// list restores the signature of a leaf, where all its elements lead to keys
// with the right parent and, for kinds that have them, hashes or hints. want
// is how many elements there have to be, or 0.
func (r *restorer) list(key, at cellOffset, want uint64, path hive.Path) {
	payload, used, f := r.im.raw(at)
	if !used || f != faultNone || len(payload) < listHeaderSize || elementSize(string(payload[:2])) != 0 {
		return
	}
	l := list(payload)
	if l.count() == 0 || want != 0 && uint64(l.count()) != want {
		return
	}
	for _, kind := range []string{"lh", "lf", "li"} {
		if !r.fits(key, l, kind) {
			continue
		}
		l.setKind(kind)
		r.notes = append(r.notes, RepairNote{
			Kind: "list", Key: path, Offset: int64(at.file() + cellHeaderSize), Length: 2,
			Text: keyLabel(path) + ": the signature of its list of subkeys was damaged; everything else fits, so it is put right",
		})
		return
	}
}

func (r *restorer) fits(key cellOffset, l list, kind string) bool {
	size := elementSize(kind)
	if listHeaderSize+int(l.count())*size > len(l) {
		return false
	}
	for i := range int(l.count()) {
		element := l[listHeaderSize+i*size:][:size]
		c := r.im.keyQuick(reference(element))
		if c == nil || c.parent() != key {
			return false
		}
		if name := c.name(); size == 8 && entryFor(kind, 0, name).hint != le.Uint32(element[4:]) {
			return false
		}
	}
	return true
}
