package patch

import (
	"bytes"
	"slices"

	"hivemend/hive"
)

// Diff returns the edits that turn the tree under a into the tree under b,
// sorted by path; none where both hold the same. prefix stands for the name of
// both roots in the edits. Each edit expects to find what a holds.
//
// Names are compared without regard to case, and only the first of several
// keys or values of one name is looked at, as Windows does.
func Diff(a, b hive.Key, prefix hive.Path) []hive.Edit {
	d := differ{}
	d.keys(a, b, prefix, 0)
	return d.edits
}

type differ struct{ edits []hive.Edit }

func (d *differ) keys(a, b hive.Key, path hive.Path, depth int) {
	if sharedKey(a, b) {
		return
	}
	d.values(a, b, path)
	if depth >= hive.MaxDepth {
		return
	}
	subsA, subsB := sortedKeys(a), sortedKeys(b)
	for len(subsA) > 0 || len(subsB) > 0 {
		switch order(subsA, subsB) {
		case -1:
			d.edits = append(d.edits, hive.Edit{Op: hive.DeleteKey, Key: path.Join(subsA[0].name), Expect: &hive.Expect{SHA256: digestOf(subsA[0].item)}})
			subsA = subsA[1:]
		case 1:
			d.create(subsB[0].item, path.Join(subsB[0].name), depth+1)
			subsB = subsB[1:]
		default:
			d.keys(subsA[0].item, subsB[0].item, path.Join(subsA[0].name), depth+1)
			subsA, subsB = subsA[1:], subsB[1:]
		}
	}
}

func (d *differ) values(a, b hive.Key, path hive.Path) {
	valuesA, valuesB := sortedValues(a), sortedValues(b)
	for len(valuesA) > 0 || len(valuesB) > 0 {
		switch order(valuesA, valuesB) {
		case -1:
			d.edits = append(d.edits, hive.Edit{Op: hive.DeleteValue, Key: path, Value: valuesA[0].name, Expect: expectValue(valuesA[0].item)})
			valuesA = valuesA[1:]
		case 1:
			d.edits = append(d.edits, restore(path, valuesB[0].item, &hive.Expect{Absent: true}))
			valuesB = valuesB[1:]
		default:
			if va, vb := valuesA[0].item, valuesB[0].item; !sameValue(va, vb) {
				e := restore(path, vb, expectValue(va))
				e.Value = va.Name()
				d.edits = append(d.edits, e)
			}
			valuesA, valuesB = valuesA[1:], valuesB[1:]
		}
	}
}

func (d *differ) create(k hive.Key, path hive.Path, depth int) {
	d.edits = restoreTree(d.edits, path, k, depth)
}

func expectValue(v hive.Value) *hive.Expect {
	data, _ := v.Data()
	return &hive.Expect{Type: v.Type(), SHA256: hash(data)}
}

func sameValue(a, b hive.Value) bool {
	if a.Type() != b.Type() || a.Size() != b.Size() {
		return false
	}
	dataA, errA := a.Data()
	dataB, errB := b.Data()
	return (errA == nil) == (errB == nil) && bytes.Equal(dataA, dataB)
}

// sharedKey reports whether a and b are views of the very same key.
func sharedKey(a, b hive.Key) bool {
	storeA, refA, okA := untouched(a)
	storeB, refB, okB := untouched(b)
	return okA && okB && storeA == storeB && refA == refB
}

type named[T any] struct {
	name, folded string
	item         T
}

// order compares the first items of two sorted lists: -1 where only a has the
// name, 1 where only b has it, 0 where both do.
func order[T any](a, b []named[T]) int {
	switch {
	case len(b) == 0:
		return -1
	case len(a) == 0:
		return 1
	case a[0].folded == b[0].folded:
		return 0
	case hive.CompareFold(a[0].name, b[0].name) < 0:
		return -1
	}
	return 1
}

func sortedKeys(k hive.Key) []named[hive.Key] {
	var out []named[hive.Key]
	for sub := range k.Subkeys() {
		name := sub.Name()
		out = append(out, named[hive.Key]{name, hive.Fold(name), sub})
	}
	return sortNamed(out)
}

func sortedValues(k hive.Key) []named[hive.Value] {
	var out []named[hive.Value]
	for v := range k.Values() {
		name := v.Name()
		out = append(out, named[hive.Value]{name, hive.Fold(name), v})
	}
	return sortNamed(out)
}

// sortNamed sorts by name and drops all but the first of equal names.
func sortNamed[T any](list []named[T]) []named[T] {
	byName := func(a, b named[T]) int {
		if a.folded == b.folded {
			return 0
		}
		return hive.CompareFold(a.name, b.name)
	}
	if !slices.IsSortedFunc(list, byName) {
		slices.SortStableFunc(list, byName)
	}
	return slices.CompactFunc(list, func(a, b named[T]) bool { return a.folded == b.folded })
}
