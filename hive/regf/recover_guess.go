package regf

import (
	"cmp"
	"slices"
)

// A value that is deleted from the middle of a list leaves no reference. What
// remains is where it lies: Windows and the offline tools put the values of a
// key beside each other. A key only ever raises the numbers that tell the
// longest name and the longest data of its values, so a key that has lost a
// value often claims more than it has, and never less than it had.

// placedValue is a value whose key is known.
type placedValue struct {
	value, key cellOffset
}

// guessOwners gives a value without an owner to the key of the value that
// lies before or after it, where that key must have had such a value. It is
// given only where the neighbours leave one choice.
func (r *recovery) guessOwners() {
	var placed []placedValue
	for i := range r.found {
		rec := &r.found[i]
		if !rec.lost() {
			continue
		}
		if placed == nil {
			placed = r.placedValues()
		}
		v := vk(r.data[rec.at:rec.end])
		next, _ := slices.BinarySearchFunc(placed, rec.at.cell(), func(p placedValue, at cellOffset) int { return cmp.Compare(p.value, at) })
		guess := noCell
		for _, n := range [2]int{next - 1, next} {
			if n < 0 || n >= len(placed) || placed[n].key == guess || !r.lacks(placed[n].key, v) {
				continue
			}
			if guess != noCell {
				guess = noCell
				break
			}
			guess = placed[n].key
		}
		if guess != noCell {
			rec.guess = guess
		}
	}
}

// placedValues returns the values of the tree, and the deleted ones that are
// known to have belonged to a key of the tree, in the order in which they lie.
func (r *recovery) placedValues() []placedValue {
	placed := []placedValue{}
	for off := range r.live.all() {
		entries, _ := r.valueList(r.keyQuick(off))
		if !r.spend(len(entries) / 4) {
			return placed[:0]
		}
		for ; len(entries) > 0; entries = entries[4:] {
			placed = append(placed, placedValue{reference(entries), off})
		}
	}
	for i := range r.found {
		if rec := &r.found[i]; rec.ownerLive != noCell {
			placed = append(placed, placedValue{(rec.at - cellHeaderSize).cell(), rec.ownerLive})
		}
	}
	slices.SortStableFunc(placed, func(a, b placedValue) int { return cmp.Compare(a.value, b.value) })
	return placed
}

// lacks reports whether the numbers that a key keeps of its values leave room
// for one such as v, and are higher than the values that are left explain.
func (r *recovery) lacks(key cellOffset, v vk) bool {
	k := r.keyQuick(key)
	size, units := v.dataSize()&^inlineBit, 2*v.name().units()
	if size > k.maxValueData() || uint32(units) > k.maxValueName() {
		return false
	}
	entries, _ := r.valueList(k)
	if !r.spend(len(entries) / 4) {
		return false
	}
	longest, longestName := uint32(0), 0
	for ; len(entries) > 0; entries = entries[4:] {
		if left := r.valueQuick(reference(entries)); left != nil {
			if left.name().compare(v.name()) == 0 {
				return false
			}
			longest = max(longest, left.dataSize()&^inlineBit)
			longestName = max(longestName, 2*left.name().units())
		}
	}
	return k.maxValueData() > longest || k.maxValueName() > uint32(longestName)
}
