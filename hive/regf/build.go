package regf

import (
	"cmp"
	"fmt"
	"slices"

	"hivemend/hive"
	"hivemend/hive/cursor"
)

// BuildOptions says what a new hive is to look like. The zero value is good.
type BuildOptions struct {
	// Minor is the minor version, 2 to 6; 0 means 5, which every Windows since
	// XP reads. Before 4 a value holds at most 1 MB.
	Minor uint32
	// FileName goes into the base block, its last 31 characters at most. It
	// is for information only.
	FileName string
	// Time is when the hive was written. Keys without a time of their own are
	// given it too.
	Time hive.FileTime
	// Sequence is the number that both sequence fields hold; 0 means 1.
	Sequence uint32
	// Salvage takes what there is from a damaged tree: data as far as it could
	// be read, and the parent's security descriptor instead of a broken one.
	// Without it both are errors.
	Salvage bool
}

// defaultMinor is the version that Windows XP and everything after it writes.
const defaultMinor = 5

// Build returns a new hive that holds root and all that is below it, as
// Windows loads it: subkeys sorted, names compressed where they can be, equal
// security descriptors shared and their users counted. The same tree and
// options give the same bytes.
//
// A key without a security descriptor takes its parent's; a root without one
// takes that of offreg.dll: full access for SYSTEM and Administrators, reading
// for everyone. The flags that only Windows' memory gives a meaning to
// (volatile, mount point) are left out, and so is the one of a predefined
// handle, because a tree does not hold the handle. What a [hive.Key] does not
// tell is 0 in the new hive: access bits, flags of virtualisation, and layers.
//
// What no hive can hold is refused by name: empty names, names with a
// backslash or too long, two keys or two values of one name, keys deeper than
// [hive.MaxDepth], values and class names that are too long.
func Build(root hive.Key, opt BuildOptions) ([]byte, error) {
	b, err := newBuilder(root, opt)
	if err != nil {
		return nil, err
	}
	if err := b.run(root); err != nil {
		return nil, err
	}
	return b.finish(), nil
}

// builder writes cells one after the other into bins.
type builder struct {
	opt  BuildOptions
	out  []byte // base block and bins
	root cellOffset
	// free and end bound what is left of the bin that new cells go into.
	free, end int

	seen        map[hive.Ref]bool // keys that were written
	descriptors map[string]int    // into shared
	shared      []sharedSK
}

// sharedSK is a security cell and how many keys use it.
type sharedSK struct {
	cell  cellOffset
	users uint32
}

func newBuilder(root hive.Key, opt BuildOptions) (*builder, error) {
	if opt.Minor == 0 {
		opt.Minor = defaultMinor
	}
	if opt.Minor < 2 || opt.Minor > 6 {
		return nil, fmt.Errorf("build a hive: version 1.%d: %w; 1.2 to 1.6 can be written", opt.Minor, hive.ErrUnsupported)
	}
	if opt.Sequence == 0 {
		opt.Sequence = 1
	}
	return &builder{
		opt: opt, out: make([]byte, baseBlockSize, baseBlockSize+16*binUnit),
		seen: map[hive.Ref]bool{}, descriptors: map[string]int{},
	}, nil
}

// buildKey is a key whose nk is written, but nothing below it.
type buildKey struct {
	key   hive.Key
	name  storedName
	above *buildKey // nil of the root
	level int
	cell  cellOffset
	sk    int // into shared: what its subkeys take where they have none
	class int // its length in bytes
}

// path is the way from the root down to k.
func (k *buildKey) path() hive.Path {
	path := make(hive.Path, k.level)
	for ; k.above != nil; k = k.above {
		path[k.level-1] = k.name.text()
	}
	return path
}

// fail makes the error of a key that keeps a hive from being built.
func (k *buildKey) fail(format string, args ...any) error {
	where := keyLabel(k.path())
	if k.level > 0 {
		where = "key " + where
	}
	return fmt.Errorf("build a hive: %s: %w", where, fmt.Errorf(format, args...))
}

func (b *builder) run(root hive.Key) error {
	// No path names the root, so a backslash in its name does no harm.
	name := root.Name()
	if name == "" || cursor.UnitLen(name) > maxKeyName {
		name = "ROOT"
	}
	top, err := b.addKey(root, encodeName(name), nil)
	if err != nil {
		return err
	}
	b.root = top.cell
	return b.fill(&top)
}

// fill writes what is below k: its values, then the records of its subkeys
// side by side, then their list, then each subkey's own.
func (b *builder) fill(k *buildKey) error {
	if err := b.addValues(k); err != nil {
		return err
	}
	subkeys, err := sortedSubkeys(k)
	if err != nil || len(subkeys) == 0 {
		return err
	}
	if k.level >= hive.MaxDepth {
		return k.fail("it has subkeys, but lies on level %d, the last there can be", hive.MaxDepth)
	}
	kind := leafKind(b.opt.Minor)
	if kind == "lf" && len(subkeys) > maxFastLeaf {
		kind = "li" // Windows gives up lf for a list that outgrows one leaf
	}
	var longestName, longestClass int
	entries := make([]leafEntry, len(subkeys))
	children := make([]buildKey, len(subkeys))
	for i, sub := range subkeys {
		child, err := b.addKey(sub.Key, sub.stored, k)
		if err != nil {
			return err
		}
		children[i] = child
		entries[i] = entryFor(kind, child.cell, sub.stored)
		longestName = max(longestName, sub.stored.wide())
		longestClass = max(longestClass, child.class)
	}
	index, err := storeIndex(b, kind, entries, k.cell)
	if err != nil {
		return k.fail("%w", err)
	}
	n := nk(b.fresh(k.cell))
	n.setSubkeyCount(uint32(len(entries)))
	n.setSubkeyList(index)
	n.setMaxSubkeyName(uint16(longestName))
	n.setMaxSubkeyClass(uint32(longestClass))
	for i := range children {
		if err := b.fill(&children[i]); err != nil {
			return err
		}
	}
	return nil
}

// namedKey is a key with its name, as text and as it is to be stored.
type namedKey struct {
	hive.Key
	name   string
	stored storedName
}

// sortedSubkeys returns the subkeys of k in the order of the registry, or
// refuses names that no hive can hold.
func sortedSubkeys(k *buildKey) ([]namedKey, error) {
	var subkeys []namedKey
	for sub := range k.key.Subkeys() {
		name := sub.Name()
		if problem := keyNameProblem(name); problem != "" {
			return nil, k.fail("subkey %s: %s", quoteName(encodeName(name)), problem)
		}
		subkeys = append(subkeys, namedKey{sub, name, encodeName(name)})
	}
	slices.SortStableFunc(subkeys, func(x, y namedKey) int { return compareNames(x.stored, y.stored) })
	for i, sub := range subkeys {
		if i > 0 && compareNames(subkeys[i-1].stored, sub.stored) == 0 {
			return nil, k.fail("it has two subkeys that mean the same name, %s and %s", quoteName(subkeys[i-1].stored), quoteName(sub.stored))
		}
	}
	return subkeys, nil
}

// addKey writes the nk of one key, with its class and security.
func (b *builder) addKey(key hive.Key, name storedName, above *buildKey) (buildKey, error) {
	k := buildKey{key: key, name: name, above: above}
	parent := noCell
	if above != nil {
		parent, k.level = above.cell, above.level+1
	}
	_, ref := key.Store()
	if b.seen[ref] {
		return k, k.fail("the same key stands in two places of the tree")
	}
	b.seen[ref] = true
	var err error
	if k.cell, err = storeNK(b, name, buildFlags(key.Flags(), above == nil), parent); err != nil {
		return k, k.fail("%w", err)
	}
	if err = b.addSecurity(&k); err != nil {
		return k, err
	}
	n := nk(b.fresh(k.cell))
	n.setLastWritten(uint64(cmp.Or(key.LastWrite(), b.opt.Time)))
	n.setSecurity(b.shared[k.sk].cell)
	return k, b.addClass(&k)
}

// addClass writes the class name of a key.
func (b *builder) addClass(k *buildKey) error {
	class := k.key.Class()
	switch k.class = len(class); {
	case k.class == 0:
		return nil
	case k.class > maxClass:
		return k.fail("a class name of %d bytes; at most %d fit", k.class, maxClass)
	}
	at, err := b.allocate(len(class), k.cell)
	if err != nil {
		return k.fail("%w", err)
	}
	copy(b.fresh(at), class)
	n := nk(b.fresh(k.cell))
	n.setClass(at)
	n.setClassLength(uint16(len(class)))
	return nil
}

// buildFlags returns the flags that a key takes along into a new hive.
func buildFlags(flags uint16, isRoot bool) uint16 {
	flags &^= nkVolatile | nkExit | nkRoot | nkPredefined
	if isRoot {
		flags |= nkRoot | nkNoDelete
	}
	return flags
}

// addSecurity finds or writes the descriptor that k uses.
func (b *builder) addSecurity(k *buildKey) error {
	descriptor := k.key.Security()
	if descriptor != nil {
		if problem := descriptorProblem(descriptor); problem != "" {
			if !b.opt.Salvage {
				return k.fail("its security descriptor: %s", problem)
			}
			descriptor = nil
		}
	}
	switch {
	case descriptor != nil:
	case k.above != nil:
		k.sk = k.above.sk
		b.shared[k.sk].users++
		return nil
	default:
		descriptor = []byte(defaultDescriptor)
	}
	at, known := b.descriptors[string(descriptor)]
	if !known {
		cell, err := storeSK(b, descriptor, k.cell)
		if err != nil {
			return k.fail("%w", err)
		}
		at = len(b.shared)
		b.shared = append(b.shared, sharedSK{cell: cell})
		b.descriptors[string(descriptor)] = at
	}
	k.sk = at
	b.shared[at].users++
	return nil
}

// addValues writes the values of k and their list.
func (b *builder) addValues(k *buildKey) error {
	var cells []cellOffset
	var names valueNames
	var longestName, longestData int
	for v := range k.key.Values() {
		name := v.Name()
		data, err := v.Data()
		if err != nil && !b.opt.Salvage {
			return k.fail("value %s: %w", hive.ValueLabel(name), err)
		}
		if problem := valueProblem(b.opt.Minor, name, len(data)); problem != "" {
			return k.fail("value %s: %s", hive.ValueLabel(name), problem)
		}
		stored := encodeName(name)
		if other, ok := names.add(stored); !ok {
			return k.fail("it has two values that mean the same name, %s and %s", hive.ValueLabel(other.text()), hive.ValueLabel(name))
		}
		cell, err := b.addValue(k, stored, v.Type(), data)
		if err != nil {
			return k.fail("value %s: %w", hive.ValueLabel(name), err)
		}
		cells = append(cells, cell)
		longestName = max(longestName, stored.wide())
		longestData = max(longestData, len(data))
	}
	if len(cells) == 0 {
		return nil
	}
	index, err := b.allocate(4*len(cells), k.cell)
	if err != nil {
		return k.fail("%w", err)
	}
	for i, c := range cells {
		le.PutUint32(b.fresh(index)[4*i:], uint32(c))
	}
	n := nk(b.fresh(k.cell))
	n.setValueCount(uint32(len(cells)))
	n.setValueList(index)
	n.setMaxValueName(uint32(longestName))
	n.setMaxValueData(uint32(longestData))
	return nil
}

// valueNames are the names of a key's values that were met so far.
type valueNames struct {
	few  []storedName
	many map[string]storedName // by folded name, once there are more than manyValues
}

// manyValues is from how many names on a map beats a scan.
const manyValues = 8

// add notes a name, or returns the one met before that means the same.
func (n *valueNames) add(name storedName) (other storedName, ok bool) {
	if len(n.few) < manyValues {
		for _, other := range n.few {
			if compareNames(other, name) == 0 {
				return other, false
			}
		}
		n.few = append(n.few, name)
		return storedName{}, true
	}
	if n.many == nil {
		n.many = map[string]storedName{}
		for _, other := range n.few {
			n.many[hive.Fold(other.text())] = other
		}
	}
	folded := hive.Fold(name.text())
	if other, met := n.many[folded]; met {
		return other, false
	}
	n.many[folded] = name
	return storedName{}, true
}

func (b *builder) addValue(k *buildKey, name storedName, typ hive.Type, data []byte) (cellOffset, error) {
	cell, err := storeVK(b, name, k.cell)
	if err != nil {
		return noCell, err
	}
	field, err := storeData(b, b.opt.Minor, data, cell)
	if err != nil {
		return noCell, err
	}
	v := vk(b.fresh(cell))
	v.setValueType(uint32(typ))
	field.put(v)
	return cell, nil
}

// allocate implements cellStore. Cells follow each other in the bin that is
// open; one that does not fit there gets a new bin, and whichever of the two
// has more left stays open.
func (b *builder) allocate(size int, _ cellOffset) (cellOffset, error) {
	need := roundUp(size+cellHeaderSize, cellUnit)
	if need > b.end-b.free {
		start, end, err := b.addBin(need)
		if err != nil {
			return noCell, err
		}
		rest := start + binHeaderSize + need
		if end-rest > b.end-b.free {
			b.putFree(b.free, b.end)
			b.free, b.end = rest, end
		} else {
			b.putFree(rest, end)
		}
		return b.putCell(start+binHeaderSize, need), nil
	}
	at := b.free
	b.free += need
	return b.putCell(at, need), nil
}

// addBin appends a bin with room for a cell of that size and returns where in
// the file it begins and ends.
func (b *builder) addBin(cell int) (start, end int, err error) {
	start = len(b.out)
	size := roundUp(binHeaderSize+cell, binUnit)
	if uint64(start-binsStart)+uint64(size) > maxBins {
		return 0, 0, fmt.Errorf("the hive would grow over %d bytes, the most that there can be", int64(maxBins))
	}
	if missing := start + size - cap(b.out); missing > 0 {
		b.out = slices.Grow(b.out, max(size, start)) // twice as much each time
	}
	b.out = b.out[:start+size]
	clear(b.out[start:])
	h := binHeader(b.out[start:])
	h.setSignature()
	h.setOffset(fileOffset(start).cell())
	h.setSize(uint32(size))
	return start, start + size, nil
}

// putCell marks the cell at that place in the file as in use.
func (b *builder) putCell(at, size int) cellOffset {
	le.PutUint32(b.out[at:], uint32(-int32(size)))
	return fileOffset(at).cell()
}

// putFree makes one free cell of what lies between two places in the file.
func (b *builder) putFree(from, to int) {
	if to > from {
		le.PutUint32(b.out[from:], uint32(to-from))
	}
}

// fresh implements cellStore.
func (b *builder) fresh(c cellOffset) []byte {
	at := int(c.file())
	size := int(-int32(le.Uint32(b.out[at:])))
	return b.out[at+cellHeaderSize : at+size : at+size]
}

// finish closes the last bin, the ring of security cells and the base block.
func (b *builder) finish() []byte {
	b.putFree(b.free, b.end)
	for i, s := range b.shared {
		k := sk(b.fresh(s.cell))
		k.setReferences(s.users)
		k.setNext(b.shared[(i+1)%len(b.shared)].cell)
		k.setPrevious(b.shared[(i+len(b.shared)-1)%len(b.shared)].cell)
	}
	binHeader(b.out[binsStart:]).setTimestamp(uint64(b.opt.Time))
	h := baseBlock(b.out[:baseBlockSize])
	h.setSignature()
	h.setSequence1(b.opt.Sequence)
	h.setSequence2(b.opt.Sequence)
	h.setLastWritten(uint64(b.opt.Time))
	h.setMajor(1)
	h.setMinor(b.opt.Minor)
	h.setFormat(1)
	h.setRoot(b.root)
	h.setLength(uint32(len(b.out) - binsStart))
	h.setCluster(1)
	putFileName(h, b.opt.FileName)
	h.setChecksum(h.computeChecksum())
	return b.out
}
