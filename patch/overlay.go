package patch

import (
	"bytes"
	"slices"

	"hivemend/hive"
)

// overlay is a tree with edits made on top of another one, which stays as it
// is: the planned state, as a hive.Store that can be read, compared and
// printed like any other. Only the keys on the way to an edit are copied;
// everything else is passed through to the base.
//
// Edits must be finished before the tree is read by more than one goroutine.
type overlay struct {
	base hive.Store
	// own marks the Refs that this overlay hands out for its own keys and
	// values. The Refs of the base pass through unmarked.
	own    hive.Ref
	time   hive.FileTime // of every change
	nodes  []overlayKey
	values []overlayValue
}

// overlayKey is a key that an edit touches, or that lies above one.
type overlayKey struct {
	base   hive.Ref // what it stood for in the base; not used when fresh
	fresh  bool     // made by an edit
	name   string
	class  []byte
	sec    []byte
	flags  uint16
	times  bool // its last-write time is the overlay's
	keys   []hive.Ref
	values []hive.Ref
	// sorted says that keys stand in the order of their names, as they do but
	// in damaged hives, so that a name is found by halving.
	sorted bool
	// valueAt finds a value by its folded name; nil where there are few, or
	// where places have moved since.
	valueAt map[string]int
}

// indexFrom is the number of values from which an index beats a scan.
const indexFrom = 16

type overlayValue struct {
	name   string
	typ    hive.Type
	data   []byte
	origin hive.Origin
}

// newOverlay returns an overlay without edits on the tree under root. Its
// changes will carry the given time; 0 leaves the times as they are.
func newOverlay(root hive.Key, time hive.FileTime) *overlay {
	store, ref := root.Store()
	o := &overlay{base: store, own: 1 << 63, time: time}
	if under, ok := store.(*overlay); ok {
		o.own = under.own >> 1
	}
	o.adopt(ref)
	return o
}

// adopt copies a key of the base so that it can be edited, and returns its new Ref.
func (o *overlay) adopt(ref hive.Ref) hive.Ref {
	n := overlayKey{base: ref, name: o.base.KeyName(ref)}
	o.base.Subkeys(ref, func(r hive.Ref) bool { n.keys = append(n.keys, r); return true })
	n.sorted = slices.IsSortedFunc(n.keys, func(a, b hive.Ref) int { return hive.CompareFold(o.KeyName(a), o.KeyName(b)) })
	o.base.Values(ref, func(r hive.Ref) bool { n.values = append(n.values, r); return true })
	o.nodes = append(o.nodes, n)
	return o.own | hive.Ref(len(o.nodes)-1)
}

func (o *overlay) node(ref hive.Ref) *overlayKey {
	if ref&o.own == 0 {
		return nil
	}
	return &o.nodes[ref&^o.own]
}

func (o *overlay) value(ref hive.Ref) *overlayValue {
	if ref&o.own == 0 {
		return nil
	}
	return &o.values[ref&^o.own]
}

// key returns the tree with the edits made so far.
func (o *overlay) key() hive.Key { return hive.RootKey(o) }

// find returns the position of the subkey called name in n, or -1.
func (o *overlay) find(n *overlayKey, name string) int {
	if n.sorted {
		if at, ok := o.search(n, name); ok {
			return at
		}
		return -1
	}
	folded := hive.Fold(name)
	return slices.IndexFunc(n.keys, func(r hive.Ref) bool { return hive.Fold(o.KeyName(r)) == folded })
}

// search returns the position at which name stands, or belongs, among the
// sorted subkeys of n.
func (o *overlay) search(n *overlayKey, name string) (at int, found bool) {
	return slices.BinarySearchFunc(n.keys, name, func(r hive.Ref, name string) int { return hive.CompareFold(o.KeyName(r), name) })
}

func (o *overlay) findValue(n *overlayKey, name string) int {
	folded := hive.Fold(name)
	if n.valueAt != nil {
		if at, ok := n.valueAt[folded]; ok {
			return at
		}
		return -1
	}
	return slices.IndexFunc(n.values, func(r hive.Ref) bool { return hive.Fold(o.ValueName(r)) == folded })
}

// open returns the key at path ready to be edited. Missing keys are made where
// create is set; otherwise the result is nil.
func (o *overlay) open(path hive.Path, create bool) *overlayKey {
	ref := o.own
	for _, name := range path {
		at := o.find(o.node(ref), name)
		switch {
		case at < 0 && !create:
			return nil
		case at < 0:
			ref = o.insert(ref, name)
		default:
			sub := o.node(ref).keys[at]
			if o.node(sub) == nil {
				sub = o.adopt(sub)
				o.node(ref).keys[at] = sub
			}
			ref = sub
		}
	}
	return o.node(ref)
}

// insert makes a new subkey where the order of names wants it. As Windows
// does, it takes its security from the key above.
func (o *overlay) insert(parent hive.Ref, name string) hive.Ref {
	o.nodes = append(o.nodes, overlayKey{fresh: true, name: name, sec: o.KeySecurity(parent), times: true, sorted: true})
	ref := o.own | hive.Ref(len(o.nodes)-1)
	p := o.node(parent)
	at := len(p.keys)
	if p.sorted {
		at, _ = o.search(p, name)
	} else if i := slices.IndexFunc(p.keys, func(r hive.Ref) bool { return hive.CompareFold(o.KeyName(r), name) > 0 }); i >= 0 {
		at = i
	}
	p.keys = slices.Insert(p.keys, at, ref)
	p.times = true
	return ref
}

// apply makes one edit on the key at rel and reports whether it changed anything.
func (o *overlay) apply(e hive.Edit, rel hive.Path) bool {
	switch e.Op {
	case hive.SetValue:
		return o.setValue(rel, e.Value, e.Type, e.Data)
	case hive.DeleteValue:
		return o.deleteValue(rel, e.Value)
	case hive.DeleteKey:
		return o.deleteKey(rel)
	case hive.CreateKey:
		if _, ok := o.key().Lookup(rel); ok {
			return false
		}
		o.open(rel, true)
		return true
	}
	return false
}

func (o *overlay) setValue(rel hive.Path, name string, typ hive.Type, data []byte) bool {
	n := o.open(rel, true)
	at := o.findValue(n, name)
	v := overlayValue{name: name, typ: typ, data: data}
	if at >= 0 {
		old := n.values[at]
		oldData, err := o.ValueData(old)
		if err == nil && o.ValueType(old) == typ && bytes.Equal(oldData, data) {
			return false
		}
		v.name = o.ValueName(old)
	}
	o.values = append(o.values, v)
	ref := o.own | hive.Ref(len(o.values)-1)
	if at >= 0 {
		n.values[at] = ref
	} else {
		n.values = append(n.values, ref)
		o.indexValue(n, name)
	}
	n.times = true
	return true
}

// indexValue adds the last value of n to the index, which is made where the
// values have become many.
func (o *overlay) indexValue(n *overlayKey, name string) {
	switch {
	case n.valueAt != nil:
		n.valueAt[hive.Fold(name)] = len(n.values) - 1
	case len(n.values) >= indexFrom:
		n.valueAt = make(map[string]int, 2*len(n.values))
		// Of two values of one name, which damaged hives have, the first counts.
		for i, r := range slices.Backward(n.values) {
			n.valueAt[hive.Fold(o.ValueName(r))] = i
		}
	}
}

func (o *overlay) deleteValue(rel hive.Path, name string) bool {
	n := o.open(rel, false)
	if n == nil {
		return false
	}
	at := o.findValue(n, name)
	if at < 0 {
		return false
	}
	n.values = slices.Delete(n.values, at, at+1)
	n.valueAt = nil
	n.times = true
	return true
}

func (o *overlay) deleteKey(rel hive.Path) bool {
	if len(rel) == 0 {
		return false
	}
	n := o.open(rel.Parent(), false)
	if n == nil {
		return false
	}
	at := o.find(n, rel.Name())
	if at < 0 {
		return false
	}
	n.keys = slices.Delete(n.keys, at, at+1)
	n.times = true
	return true
}

// The hive.Store side.

func (o *overlay) Root() hive.Ref { return o.own }

func (o *overlay) KeyName(k hive.Ref) string {
	if n := o.node(k); n != nil {
		return n.name
	}
	return o.base.KeyName(k)
}

func (o *overlay) KeyLastWrite(k hive.Ref) hive.FileTime {
	n := o.node(k)
	switch {
	case n == nil:
		return o.base.KeyLastWrite(k)
	case n.fresh || n.times && o.time != 0:
		return o.time
	}
	return o.base.KeyLastWrite(n.base)
}

func (o *overlay) KeyFlags(k hive.Ref) uint16 {
	n := o.node(k)
	switch {
	case n == nil:
		return o.base.KeyFlags(k)
	case n.fresh:
		return n.flags
	}
	return o.base.KeyFlags(n.base)
}

func (o *overlay) KeyClass(k hive.Ref) []byte {
	n := o.node(k)
	switch {
	case n == nil:
		return o.base.KeyClass(k)
	case n.fresh:
		return n.class
	}
	return o.base.KeyClass(n.base)
}

func (o *overlay) KeySecurity(k hive.Ref) []byte {
	n := o.node(k)
	switch {
	case n == nil:
		return o.base.KeySecurity(k)
	case n.fresh:
		return n.sec
	}
	return o.base.KeySecurity(n.base)
}

func (o *overlay) KeyComplete(k hive.Ref) bool {
	n := o.node(k)
	switch {
	case n == nil:
		return o.base.KeyComplete(k)
	case n.fresh:
		return true
	}
	return o.base.KeyComplete(n.base)
}

func (o *overlay) KeyOrigin(k hive.Ref) hive.Origin {
	n := o.node(k)
	switch {
	case n == nil:
		return o.base.KeyOrigin(k)
	case n.fresh:
		return hive.Origin{}
	}
	return o.base.KeyOrigin(n.base)
}

func (o *overlay) Subkeys(k hive.Ref, yield func(hive.Ref) bool) {
	n := o.node(k)
	if n == nil {
		o.base.Subkeys(k, yield)
		return
	}
	for _, r := range n.keys {
		if !yield(r) {
			return
		}
	}
}

func (o *overlay) Subkey(k hive.Ref, name string) (hive.Ref, bool) {
	n := o.node(k)
	if n == nil {
		return o.base.Subkey(k, name)
	}
	if at := o.find(n, name); at >= 0 {
		return n.keys[at], true
	}
	return 0, false
}

func (o *overlay) Values(k hive.Ref, yield func(hive.Ref) bool) {
	n := o.node(k)
	if n == nil {
		o.base.Values(k, yield)
		return
	}
	for _, r := range n.values {
		if !yield(r) {
			return
		}
	}
}

func (o *overlay) Value(k hive.Ref, name string) (hive.Ref, bool) {
	n := o.node(k)
	if n == nil {
		return o.base.Value(k, name)
	}
	if at := o.findValue(n, name); at >= 0 {
		return n.values[at], true
	}
	return 0, false
}

func (o *overlay) ValueName(v hive.Ref) string {
	if own := o.value(v); own != nil {
		return own.name
	}
	return o.base.ValueName(v)
}

func (o *overlay) ValueType(v hive.Ref) hive.Type {
	if own := o.value(v); own != nil {
		return own.typ
	}
	return o.base.ValueType(v)
}

func (o *overlay) ValueSize(v hive.Ref) int64 {
	if own := o.value(v); own != nil {
		return int64(len(own.data))
	}
	return o.base.ValueSize(v)
}

func (o *overlay) ValueData(v hive.Ref) ([]byte, error) {
	if own := o.value(v); own != nil {
		return own.data, nil
	}
	return o.base.ValueData(v)
}

func (o *overlay) ValueOrigin(v hive.Ref) hive.Origin {
	if own := o.value(v); own != nil {
		return own.origin
	}
	return o.base.ValueOrigin(v)
}

// untouched returns the key in the base that k passes through to unchanged,
// so that two trees that share a part need not be compared there.
func untouched(k hive.Key) (hive.Store, hive.Ref, bool) {
	store, ref := k.Store()
	for {
		o, ok := store.(*overlay)
		if !ok {
			return store, ref, true
		}
		if o.node(ref) != nil {
			return nil, 0, false
		}
		store = o.base
	}
}
