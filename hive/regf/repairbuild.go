package regf

import "hivemend/hive"

// rebuild puts what was planned into a new hive, and gives it what a tree does
// not hold: fields of keys that only Windows knows the use of, and the base
// block.
func rebuild(im *Image, root *plannedKey, minor uint32, opt RepairOptions) ([]byte, error) {
	time := opt.Time
	if time == 0 {
		time = hive.FileTime(im.base.lastWritten())
	}
	data, err := Build(root.node.Key(), BuildOptions{Minor: minor, Time: time, Sequence: nextSequence(im.base, opt.MinSequence)})
	if err != nil {
		return nil, err
	}
	built, err := Open(data, OpenOptions{})
	if err != nil {
		return nil, err
	}
	carryKey(im, built, root, built.root)
	carryBaseBlock(im, baseBlock(data[:baseBlockSize]))
	return data, nil
}

// carryKey gives a key and all below it what Build leaves out.
func carryKey(im, built *Image, p *plannedKey, at cellOffset) {
	from, to := im.keyQuick(p.at), built.keyQuick(at)
	to.setLastWritten(from.lastWritten())
	copy(to[12:14], from[12:14]) // access bits and layer
	to.setVirtFlags(from.virtFlags())
	if from.flags()&nkPredefined != 0 {
		to.setFlags(to.flags() | nkPredefined)
		to.setValueCount(from.valueCount())
	}
	entries, _ := built.valueList(to)
	for i := 0; i < len(p.values) && 4*i < len(entries); i++ {
		v := built.valueQuick(reference(entries[4*i:]))
		v.setFlags(v.flags() | im.valueQuick(p.values[i]).flags()&vkTombstone)
	}
	i := 0
	built.subkeys(at, func(child cellOffset) bool {
		if i < len(p.keys) {
			carryKey(im, built, p.keys[i], child)
		}
		i++
		return true
	})
}

// carryBaseBlock gives a new base block the file name, the identifiers, the
// flags and the marks of the old one.
func carryBaseBlock(im *Image, b baseBlock) {
	const first, last = 48, 508 // from the file name to the checksum
	copy(b[first:last], im.base[first:last])
	if im.base.flagsValid() {
		b.setFlags(im.base.flags() & (baseFlagPending | baseFlagLayered))
	}
	if im.base.checksumValid() {
		copy(b[512:], im.base[512:])
	}
	b.setChecksum(b.computeChecksum())
}
