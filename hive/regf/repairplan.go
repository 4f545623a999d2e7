package regf

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"hivemend/hive"
	"hivemend/hive/cursor"
)

// plannedKey is a key as the repaired hive is to hold it, and where its
// records lie in the original.
type plannedKey struct {
	at     cellOffset
	node   *hive.Node
	keys   []*plannedKey // in the order of the registry
	values []cellOffset  // of the values of node
}

// planner reads all that can be read of a damaged hive.
type planner struct {
	*Image
	c        *checker
	orphans  orphans
	forBuild bool // the tree has to meet every rule for a new hive
	minor    uint32

	// needsBuild says why the plan cannot be carried out in place, or is "".
	needsBuild    string
	planned       map[cellOffset]bool
	changed, lost []RepairNote
	room          int64 // how many bytes of data may still be taken
}

// repairRoom bounds how much larger than the original a repaired hive can
// become, because damage can make any number of values share the same data.
const repairRoom = 16 << 20

func newPlanner(c *checker, lost orphans, forBuild bool) *planner {
	return &planner{
		Image: c.Image, c: c, orphans: lost, forBuild: forBuild, minor: repairedMinor(c.Image), planned: map[cellOffset]bool{},
		room: 2*int64(len(c.bins)) + repairRoom,
	}
}

// run plans the whole hive.
func (p *planner) run() (*plannedKey, error) {
	b := p.base
	if b.sequence1() != b.sequence2() {
		p.change("header", nil, 4, "the last writing of the hive was not finished (sequence numbers %d and %d), and no log completed it: changes that were under way are unknown", b.sequence1(), b.sequence2())
	}
	name := p.keyQuick(p.root).name().text()
	root := p.key(p.root, nil, name, nil)
	if p.room < 0 {
		return nil, &hive.FormatError{
			File: p.file, Struct: "hive", Offset: -1, Want: "data that fits into its file",
			Found: "damaged values that share so much data that a repaired hive would be several times as large",
		}
	}
	return root, nil
}

func (p *planner) change(kind string, path hive.Path, at fileOffset, format string, args ...any) {
	p.changed = append(p.changed, RepairNote{Kind: kind, Key: path, Offset: int64(at), Text: fmt.Sprintf(format, args...)})
}

func (p *planner) lose(kind string, path hive.Path, at fileOffset, format string, args ...any) {
	p.lost = append(p.lost, RepairNote{Kind: kind, Key: path, Offset: int64(at), Text: fmt.Sprintf(format, args...)})
}

// key plans one key and all that is below it.
func (p *planner) key(at cellOffset, above *plannedKey, name string, path hive.Path) *plannedKey {
	p.planned[at] = true
	k := p.keyQuick(at)
	key := &plannedKey{at: at, node: &hive.Node{
		Name: name, LastWrite: hive.FileTime(k.lastWritten()), Flags: k.flags() &^ (nkVolatile | nkExit),
	}}
	p.security(key, k, above, path)
	p.class(key, k, path)
	p.values(key, k, path)
	p.subkeys(key, k, path)
	return key
}

// security gives a key its descriptor, or what Build would give it.
func (p *planner) security(key *plannedKey, k nk, above *plannedKey, path hive.Path) {
	s, err := p.Image.security(k.security())
	var why string
	if err != nil {
		why = err.Error()
	} else if why = descriptorProblem(s.descriptor()); why == "" {
		key.node.Security = s.descriptor()
		return
	}
	instead := "that of the key above"
	if above != nil {
		key.node.Security = above.node.Security
	} else {
		key.node.Security = []byte(defaultDescriptor)
		instead = "the usual one (full access for SYSTEM and Administrators, reading for everyone)"
	}
	p.lose("security", path, key.at.file()+nkSecurityField, "%s: its security descriptor cannot be read (%s); it has %s instead", keyLabel(path), why, instead)
}

// class keeps a class name as far as its cell reaches.
func (p *planner) class(key *plannedKey, k nk, path hive.Path) {
	n := int(k.classLength())
	if n == 0 {
		return
	}
	payload, _, _ := p.raw(k.class())
	if key.node.Class = payload[:min(n, len(payload))]; len(key.node.Class) < n {
		p.lose("class", path, key.at.file()+nkClassField, "%s: %d of the %d bytes of its class name are kept; the rest cannot be read", keyLabel(path), len(key.node.Class), n)
	}
	p.room -= int64(len(key.node.Class))
	if len(key.node.Class) > maxClass {
		key.node.Class = key.node.Class[:maxClass]
	}
}

// values plans the values of a key.
func (p *planner) values(key *plannedKey, k nk, path hive.Path) {
	entries, whole := p.valueList(k)
	if !whole {
		at := key.at.file() + nkValuesField
		if payload, _, f := p.raw(k.valueList()); !f.readable() {
			p.lose("list", path, at, "%s: its list of values cannot be read (%s): all its values are lost, %d in number", keyLabel(path), f, k.valueCount())
		} else {
			p.lose("list", path, at, "%s: the number of its values is given as %d, but its list has room for %d only", keyLabel(path), k.valueCount(), len(payload)/4)
		}
	}
	for i := 0; i+4 <= len(entries) && p.room >= 0; i += 4 {
		value := reference(entries[i:])
		v := p.valueQuick(value)
		if v == nil {
			_, err := p.Image.value(value)
			p.lose("value", path, (k.valueList() + cellHeaderSize + cellOffset(i)).file(), "%s: a value of it, number %d of %d, is lost: %v", keyLabel(path), i/4+1, k.valueCount(), err)
			continue
		}
		p.value(key, value, v, path)
	}
	p.uniqueValues(key, path)
}

// value plans one value.
func (p *planner) value(key *plannedKey, at cellOffset, v vk, path hive.Path) {
	name := v.name().text()
	note := func(notes *[]RepairNote, from cellOffset, n int64, format string, args ...any) {
		*notes = append(*notes, RepairNote{
			Kind: "value", Key: path, Value: name, Offset: int64(from.file()), Length: n,
			Text: keyLabel(path) + ": value " + hive.ValueLabel(name) + ": " + fmt.Sprintf(format, args...),
		})
	}
	if int(v.nameLength()) > len(v.name().bytes) {
		note(&p.lost, at, 0, "its name had %d bytes; the %d that lie in its cell are kept", v.nameLength(), len(v.name().bytes))
	}
	if p.forBuild && cursor.UnitLen(name) > maxValueName {
		cut := cutName(name, maxValueName)
		note(&p.lost, at, 0, "its name is too long; the first %d characters are kept", maxValueName)
		name = cut
	}
	size := int64(v.dataSize() &^ inlineBit)
	data, err := tree{p.Image}.ValueData(hive.Ref(at))
	switch {
	case err != nil && int64(len(data)) == size:
		note(&p.changed, at, size, "its data lay in a cell that was free to be written over: look whether it is still right")
		p.needsBuild = "data lies in free cells"
	case err != nil:
		note(&p.lost, at, size, "%d of its %d bytes of data are kept; the rest cannot be read: %v", len(data), size, err)
	}
	if most := p.longestData(); p.forBuild && len(data) > most {
		note(&p.lost, at, size, "%d of its %d bytes of data are kept; a hive of this version holds no more", most, len(data))
		data = data[:most]
	}
	p.room -= int64(len(data)) + vkSize
	key.values = append(key.values, at)
	key.node.Values = append(key.node.Values, hive.NodeValue{Name: name, Type: hive.Type(v.valueType()), Data: data})
}

func (p *planner) longestData() int {
	if hasBigData(p.minor) {
		return maxBigData
	}
	return maxSingleData
}

// uniqueValues leaves out values that are there twice, and renames those that
// only share a name.
func (p *planner) uniqueValues(key *plannedKey, path hive.Path) {
	values := key.node.Values
	if len(values) < 2 {
		return
	}
	names := newNames(len(values))
	for _, v := range values {
		names.own[hive.Fold(v.Name)] = true
	}
	first := make(map[string]hive.NodeValue, len(values))
	keptAt, kept := make([]cellOffset, 0, len(values)), make([]hive.NodeValue, 0, len(values))
	for i, v := range values {
		folded := hive.Fold(v.Name)
		if names.given[folded] {
			p.needsBuild = "two values have one name"
			other, label := first[folded], keyLabel(path)+": value "+hive.ValueLabel(v.Name)
			note := RepairNote{Kind: "value", Key: path, Value: v.Name, Offset: int64(key.values[i].file())}
			if other.Type == v.Type && bytes.Equal(other.Data, v.Data) {
				note.Text = label + ": it was there twice, with the same data; one is kept"
				p.changed = append(p.changed, note)
				continue
			}
			v.Name = names.free(cmp.Or(v.Name, hive.ValueLabel("")), maxValueName)
			note.Text = label + ": it was there twice; the second, with other data, is now " + hive.ValueLabel(v.Name)
			p.changed = append(p.changed, note)
			folded = hive.Fold(v.Name)
		}
		names.given[folded] = true
		first[folded] = v
		kept, keptAt = append(kept, v), append(keptAt, key.values[i])
	}
	key.node.Values, key.values = kept, keptAt
}

// names are the names of the subkeys or the values of one key, folded.
type names struct {
	own   map[string]bool // those that they have in the original
	given map[string]bool // those that were given out
	next  map[string]int  // by the name that was taken: the number to try next
}

func newNames(n int) names {
	return names{make(map[string]bool, n), make(map[string]bool, n), map[string]int{}}
}

// free returns base with the first number that makes it a name which none has
// or was given.
func (n *names) free(base string, longest int) string {
	for folded := hive.Fold(base); ; {
		n.next[folded] = max(2, n.next[folded]+1)
		suffix := fmt.Sprintf(" (%d)", n.next[folded])
		name := cutName(base, longest-len(suffix)) + suffix
		if f := hive.Fold(name); !n.own[f] && !n.given[f] {
			return name
		}
	}
}

func quoteKey(name string) string { return quoteName(encodeName(name)) }

// cutName cuts a name to that many UTF-16 units.
func cutName(name string, units int) string {
	all := cursor.UnitsFromString(name)
	return cursor.StringFromUnits(all[:min(units, len(all))])
}

// subkeys plans the subkeys of a key: those in its lists, and where the lists
// are not whole, those that name it as their parent.
func (p *planner) subkeys(key *plannedKey, k nk, path hive.Path) {
	var below []cellOffset
	whole := p.Image.subkeys(key.at, func(child cellOffset) bool {
		below = append(below, child)
		return true
	})
	listed := len(below)
	if !whole || uint64(listed) < uint64(k.subkeyCount()) || p.hidden(k) {
		below = append(below, p.orphans.below[key.at]...)
	}
	below = slices.DeleteFunc(below, func(c cellOffset) bool { return p.planned[c] })
	p.lostEntries(key, k, path, uint64(len(below)))
	if len(below) > 0 && len(path) >= hive.MaxDepth {
		p.needsBuild = "keys lie too deep"
		p.lose("key", path, key.at.file(), "%s: all its subkeys, %d in number, are lost: they lie deeper than the %d levels that there can be", keyLabel(path), len(below), hive.MaxDepth)
		return
	}
	names := newNames(len(below))
	for _, child := range below {
		names.own[hive.Fold(p.keyQuick(child).name().text())] = true
	}
	for i, child := range below {
		if p.planned[child] {
			continue
		}
		p.room -= nkSize
		name := p.keyName(child, names, path)
		names.given[hive.Fold(name)] = true
		sub := append(slices.Clip(path), name)
		if i >= listed {
			p.change("key", sub, child.file(), "key %s: no list named it any more; it is back under the key that it names as its parent", keyLabel(sub))
		}
		key.keys = append(key.keys, p.key(child, key, name, sub))
	}
	slices.SortStableFunc(key.keys, func(a, b *plannedKey) int {
		return compareNames(encodeName(a.node.Name), encodeName(b.node.Name))
	})
	for _, sub := range key.keys {
		key.node.Keys = append(key.node.Keys, sub.node)
	}
}

// hidden reports whether a key that counts no subkeys has a list with some.
func (p *planner) hidden(k nk) bool {
	l := p.listQuick(k.subkeyList())
	return k.subkeyCount() == 0 && l != nil && l.count() > 0
}

// keyName returns the name that a key is to have: its own, where it has one
// that a key can have and that no sibling was given. A new name is none that a
// sibling has in the original.
func (p *planner) keyName(at cellOffset, siblings names, path hive.Path) string {
	k := p.keyQuick(at)
	stored := k.name()
	own := stored.text()
	name, why := own, ""
	if int(k.nameLength()) > len(stored.bytes) {
		p.lose("key", append(slices.Clip(path), name), at.file(), "key %s: its name had %d bytes; the %d that lie in its cell are kept",
			keyLabel(append(slices.Clip(path), name)), k.nameLength(), len(stored.bytes))
	}
	if !stored.compressed && k.nameLength()%2 != 0 {
		p.needsBuild = "a name has half a character"
	}
	if name == "" {
		name, why = "(no name)", "it had no name"
		p.needsBuild = "a key has no name"
	}
	if strings.Contains(name, `\`) {
		name, why = strings.ReplaceAll(name, `\`, "_"), "no path leads to a name with a backslash"
	}
	if p.forBuild && cursor.UnitLen(name) > maxKeyName {
		name, why = cutName(name, maxKeyName), fmt.Sprintf("a name has at most %d characters", maxKeyName)
	}
	folded := hive.Fold(name)
	if siblings.given[folded] || name != own && siblings.own[folded] {
		name = siblings.free(name, maxKeyName)
		if why == "" {
			why = "another key has its name"
		}
		p.needsBuild = "two keys have one name"
	}
	if why != "" {
		p.change("key", append(slices.Clip(path), name), at.file(), "%s: the subkey %s is now called %s: %s", keyLabel(path), quoteKey(own), quoteKey(name), why)
	}
	return name
}

// lostEntries tells which entries of a key's lists lead to nothing, where it
// counts more subkeys than were found.
func (p *planner) lostEntries(key *plannedKey, k nk, path hive.Path, found uint64) {
	counted := uint64(k.subkeyCount())
	if found >= counted {
		return
	}
	before := len(p.lost)
	lose := func(at cellOffset, what string, args ...any) {
		p.lose("key", path, at.file(), "%s: %s", keyLabel(path), fmt.Sprintf(what, args...))
	}
	leaf := func(at cellOffset, l list) {
		elements, size := l.elements()
		if !l.fits() {
			lose(at, "a list of its subkeys counts %d, but has room for %d only", l.count(), len(elements)/size)
		}
		for i := 0; i < len(elements); i += size {
			if child := reference(elements[i:]); p.keyQuick(child) == nil {
				_, err := p.Image.key(child)
				lose(at+cellHeaderSize+listHeaderSize+cellOffset(i), "a subkey of it is lost with all below it: %v", err)
			}
		}
	}
	top := k.subkeyList()
	l, err := p.list(top)
	switch {
	case err != nil:
		lose(key.at+nkListField, "its list of subkeys cannot be read: %v", err)
	case l[0] != 'r':
		leaf(top, l)
	default:
		refs, size := l.elements()
		for i := 0; i < len(refs); i += size {
			at := reference(refs[i:])
			part, err := p.list(at)
			if err == nil && part[0] == 'r' {
				err = &hive.FormatError{File: p.file, Struct: "list of subkeys", Offset: int64(at.file()), Want: "a list of keys", Found: "a list of lists"}
			}
			if err != nil {
				lose(top+cellHeaderSize+listHeaderSize+cellOffset(i), "a part of its list of subkeys cannot be read: %v", err)
				continue
			}
			leaf(at, part)
		}
	}
	why := "its lists name no more"
	if len(p.lost) > before {
		why = "the rest is lost, see above"
	}
	lose(key.at+nkCountField, "the number of its subkeys is given as %d, and %d were found: %s", counted, found, why)
}

// left lists the keys and values that nothing refers to and that are not in
// the plan.
func (p *planner) left() (notes []RepairNote) {
	inLeft := map[cellOffset]bool{}
	for _, at := range p.orphans.keys {
		inLeft[at] = !p.planned[at]
	}
	listed := map[cellOffset]bool{}
	for _, at := range p.orphans.keys {
		k := p.keyQuick(at)
		entries, _ := p.valueList(k)
		for i := 0; i+4 <= len(entries); i += 4 {
			listed[reference(entries[i:])] = true
		}
		if p.planned[at] || inLeft[k.parent()] && k.parent() != at {
			continue
		}
		where := "under a key that is not there any more"
		if p.planned[k.parent()] {
			where = "under " + keyLabel(p.c.path(k.parent())) + ", whose lists lack nothing"
		}
		notes = append(notes, RepairNote{
			Kind: "key", Offset: int64(at.file()), Length: int64(len(k)) + cellHeaderSize,
			Text: fmt.Sprintf("key %s at %#x (subkeys: %d, values: %d): no list names it; it stood %s",
				quoteName(k.name()), int64(at.file()), k.subkeyCount(), k.valueCount(), where),
		})
	}
	for _, at := range p.orphans.values {
		if listed[at] {
			continue
		}
		v := p.valueQuick(at)
		notes = append(notes, RepairNote{
			Kind: "value", Value: v.name().text(), Offset: int64(at.file()), Length: int64(v.dataSize() &^ inlineBit),
			Text: fmt.Sprintf("value %s at %#x, %s of %d bytes: no list names it, so its key is unknown",
				hive.ValueLabel(v.name().text()), int64(at.file()), hive.Type(v.valueType()), v.dataSize()&^inlineBit),
		})
	}
	if trailing := p.data[binsStart+len(p.bins):]; !allZero(trailing) {
		at := int64(binsStart + len(p.bins))
		notes = append(notes, RepairNote{Kind: "range", Offset: at, Length: int64(len(trailing)), Text: fmt.Sprintf("%d bytes from %#x on trail the bins", len(trailing), at)})
	}
	return notes
}
