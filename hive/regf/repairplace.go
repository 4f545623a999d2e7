package regf

import (
	"slices"

	"hivemend/hive"
)

// inPlace are the defects whose right value can stand where the wrong one
// does. Of all others the hive is built anew.
var inPlace = map[string]bool{
	"BB02": true, "BB04": true, "BB05": true, "BB06": true, "BB08": true, "BB09": true, "BN01": true, "BN02": true, "BN03": true, "CL01": true,
	"NK01": true, "NK04": true, "NK05": true, "NK10": true, "NK12": true, "NK14": true, "LS02": true, "LS05": true, "LS06": true, "LS08": true,
	"VL01": true, "VK01": true, "VK02": true, "VK03": true, "VK04": true, "VK05": true, "SK01": true, "SK02": true,
}

// mendableInPlace reports whether all serious defects are of those kinds.
func mendableInPlace(r *Report) bool {
	for _, issue := range r.Issues {
		if issue.Damage >= hive.DamageLoss && !inPlace[issue.Code] {
			return false
		}
	}
	return true
}

// mender makes a copy of a hive hold what was planned. Each of its steps
// writes what should be there, which changes nothing where it is already.
type mender struct {
	*Image
	users map[cellOffset]uint32 // how many keys use each security record
	ring  bool                  // the ring of security records has to be linked anew
}

// mendInPlace returns a mended copy of the hive, or false where something does
// not fit. Whether all is well then is for the caller to check.
func mendInPlace(c *checker, root *plannedKey, opt RepairOptions) ([]byte, bool) {
	m := &mender{Image: c.private(), users: map[cellOffset]uint32{}}
	for _, issue := range c.report.Issues {
		m.ring = m.ring || issue.Code == "SK01"
	}
	if !m.mendBins() || !m.mendKey(root, nil, noCell) {
		return nil, false
	}
	m.mendSecurity()
	b := m.base
	b.setMajor(1)
	b.setMinor(repairedMinor(c.Image))
	b.setFileType(0)
	b.setFormat(1)
	b.setCluster(1)
	b.setRoot(m.root)
	b.setLength(uint32(len(m.bins)))
	n := nextSequence(b, opt.MinSequence)
	b.setSequence1(n)
	b.setSequence2(n)
	if opt.Time != 0 {
		b.setLastWritten(uint64(opt.Time))
		if first := binHeader(m.bins); first.timestamp() != 0 {
			first.setTimestamp(uint64(opt.Time))
		}
	}
	b.setChecksum(b.computeChecksum())
	return m.data, true
}

// mendBins puts headers of bins right whose cells fit together, cuts off bins
// of zeros at the end, and makes one free cell of what lies behind a cell whose
// size is wrong.
func (m *mender) mendBins() bool {
	for at := 0; at < len(m.bins); {
		end := int(m.binEnd[at/binUnit])
		if size, err := m.binAt(at); err != nil || at+size != end {
			if at > 0 && end == len(m.bins) && allZero(m.bins[at:end]) {
				m.bins = m.bins[:at]
				break
			}
			if end%binUnit != 0 || !m.tiled(at, end) {
				return false
			}
			h := binHeader(m.bins[at:])
			h.setSignature()
			h.setOffset(cellOffset(at))
			h.setSize(uint32(end - at))
		}
		if bad := m.badCellAt(at, end); bad < end {
			if end-bad < cellUnit {
				return false
			}
			le.PutUint32(m.bins[bad:], uint32(end-bad))
		}
		at = end
	}
	return len(m.bins)%binUnit == 0
}

// mendKey mends a key and all below it. security is the record that the key
// above uses.
func (m *mender) mendKey(p, above *plannedKey, security cellOffset) bool {
	k := m.keyQuick(p.at)
	if k == nil {
		return false
	}
	if flags := k.flags(); flags&(nkVolatile|nkExit) != 0 {
		k.setFlags(flags &^ (nkVolatile | nkExit))
	}
	if above != nil {
		k.setParent(above.at)
		m.mendName(k)
	}
	if n := len(p.node.Class); n != int(k.classLength()) {
		k.setClassLength(uint16(n))
		if n == 0 {
			k.setClass(noCell)
		}
	}
	if _, err := m.security(k.security()); err != nil {
		if security == noCell {
			return false
		}
		k.setSecurity(security)
	}
	m.users[k.security()]++
	if !m.mendValues(p, k) || !m.mendSubkeys(p, k) {
		return false
	}
	for _, sub := range p.keys {
		if !m.mendKey(sub, p, k.security()) {
			return false
		}
	}
	return true
}

// mendName cuts the length of a name to its cell and replaces backslashes.
func (m *mender) mendName(k nk) {
	name := k.name()
	if int(k.nameLength()) > len(name.bytes) {
		k.setNameLength(uint16(len(name.bytes)))
	}
	for i := range name.units() {
		if name.upper(i) != '\\' {
			continue
		}
		if name.compressed {
			name.bytes[i] = '_'
		} else {
			le.PutUint16(name.bytes[2*i:], '_')
		}
	}
}

// mendValues makes the list of values hold those that were planned, and their
// records tell how much data there is.
func (m *mender) mendValues(p *plannedKey, k nk) bool {
	if k.flags()&nkPredefined != 0 || k.valueCount() == 0 {
		return len(p.values) == 0
	}
	if len(p.values) == 0 {
		k.setValueCount(0)
		k.setValueList(noCell)
		return true
	}
	list, _, _ := m.raw(k.valueList())
	if len(list) < 4*len(p.values) {
		return false
	}
	k.setValueCount(uint32(len(p.values)))
	for i, at := range p.values {
		le.PutUint32(list[4*i:], uint32(at))
		v := m.valueQuick(at)
		if v == nil {
			return false
		}
		m.mendValue(v)
		value := p.node.Values[i]
		k.setMaxValueName(max(k.maxValueName(), uint32(2*v.name().units())))
		k.setMaxValueData(max(k.maxValueData(), uint32(len(value.Data))))
	}
	return true
}

func (m *mender) mendValue(v vk) {
	if n := len(v.name().bytes); int(v.nameLength()) > n {
		v.setNameLength(uint16(n))
	}
	size := v.dataSize() &^ inlineBit
	switch {
	case v.isInline():
		if size > 4 {
			v.setDataSize(inlineBit | 4)
		}
		return
	case size == 0:
		if v.flags()&vkTombstone == 0 {
			v.setData(noCell)
		}
		return
	}
	payload, _, f := m.raw(v.data())
	switch {
	case !f.readable():
		inlineData(nil).put(v)
	case uint64(size) > uint64(len(payload)) && !m.isBigData(size, payload):
		v.setDataSize(uint32(len(payload)))
	}
}

// mendSubkeys makes the lists of subkeys hold those that were planned, in
// order. Lists with which nothing is wrong stay as they are, with hashes by
// other tables of capitals and all.
func (m *mender) mendSubkeys(p *plannedKey, k nk) bool {
	var longestName, longestClass int
	for _, sub := range p.keys {
		longestName = max(longestName, encodeName(sub.node.Name).wide())
		longestClass = max(longestClass, len(sub.node.Class))
	}
	k.setMaxSubkeyName(uint16(max(longestName, int(k.maxSubkeyName()))))
	k.setMaxSubkeyClass(uint32(max(longestClass, int(k.maxSubkeyClass()))))
	if len(p.keys) == 0 {
		if k.subkeyCount() != 0 {
			k.setSubkeyCount(0)
			k.setSubkeyList(noCell)
		}
		return true
	}
	var leaves []list
	whole := m.leaves(k.subkeyList(), func(leaf list) bool {
		leaves = append(leaves, leaf)
		return true
	})
	if whole && m.listsRight(p, k, leaves) {
		return true
	}
	k.setSubkeyCount(uint32(len(p.keys)))
	rest := p.keys
	for _, leaf := range leaves {
		elements, size := leaf.elements()
		n := min(len(elements)/size, len(rest))
		if len(elements) == 0 {
			continue
		}
		if n == 0 {
			return false // it would be left empty
		}
		leaf.setCount(uint16(n))
		for i, sub := range rest[:n] {
			entry := entryFor(leaf.kind(), sub.at, m.keyQuick(sub.at).nameAsPlanned())
			le.PutUint32(elements[i*size:], uint32(entry.key))
			if size == 8 {
				le.PutUint32(elements[i*size+4:], entry.hint)
			}
		}
		rest = rest[n:]
	}
	return len(rest) == 0
}

// nameAsPlanned is the name that the key will have once mendName has seen it.
func (k nk) nameAsPlanned() storedName {
	name := k.name()
	name.bytes = slices.Clone(name.bytes)
	for i := range name.units() {
		switch {
		case name.upper(i) != '\\':
		case name.compressed:
			name.bytes[i] = '_'
		default:
			le.PutUint16(name.bytes[2*i:], '_')
		}
	}
	return name
}

// listsRight reports whether leaves hold what was planned.
func (m *mender) listsRight(p *plannedKey, k nk, leaves []list) bool {
	rest := p.keys
	for _, leaf := range leaves {
		elements, size := leaf.elements()
		for ; len(elements) > 0; elements = elements[size:] {
			if len(rest) == 0 || reference(elements) != rest[0].at {
				return false
			}
			if name := rest[0].node.Name; size == 8 && isASCII(name) && le.Uint32(elements[4:]) != entryFor(leaf.kind(), 0, encodeName(name)).hint {
				return false
			}
			rest = rest[1:]
		}
	}
	return len(rest) == 0 && uint64(k.subkeyCount()) == uint64(len(p.keys))
}

// mendSecurity counts the users of the security records and, where their ring
// is broken, links all that can be found in the order of the file.
func (m *mender) mendSecurity() {
	for at, n := range m.users {
		payload, _, _ := m.raw(at)
		sk(payload).setReferences(n)
	}
	if !m.ring {
		return
	}
	var all []cellOffset
	seen := map[cellOffset]bool{}
	for at := range m.users {
		for !seen[at] {
			s, err := m.security(at)
			if _, used, _ := m.raw(at); err != nil || !used {
				break
			}
			seen[at] = true
			all = append(all, at)
			at = s.next()
		}
	}
	slices.Sort(all)
	for i, at := range all {
		payload, _, _ := m.raw(at)
		sk(payload).setNext(all[(i+1)%len(all)])
		sk(payload).setPrevious(all[(i+len(all)-1)%len(all)])
	}
}
