package regtext

import (
	"unicode/utf8"

	"hivemend/hive"
)

// Tree returns the keys and values that the ops of f build in an empty
// registry, one after the other: its root has the registry roots that the
// file names as subkeys. Keys and values keep the order and the case in which
// they came first.
//
// A key is Partial where the file has no section for it, and only its subkeys
// made it appear: what is not seen in such a key is unknown, not absent.
func (f *File) Tree() *hive.Node {
	t := treeBuilder{root: &growing{node: &hive.Node{Partial: true}}}
	for i := range f.Ops {
		t.apply(&f.Ops[i])
	}
	return t.root.finish()
}

// growing is a key of a tree that is being built. What is deleted leaves a
// gap, so that places in the lists stay good.
type growing struct {
	node     *hive.Node // its lists are filled in the end
	keys     []*growing // nil where one was deleted
	values   []hive.NodeValue
	dead     map[int]bool // deleted places of values
	keyAt    nameIndex
	valueAt  nameIndex
	deadKeys int
}

// nameIndex finds the place of a name in a list, whatever its case. It is
// used for lists that are too long to be searched.
type nameIndex map[string]int

// indexFrom is the length from which a list gets a nameIndex.
const indexFrom = 12

type treeBuilder struct {
	root *growing
	// path and keys are the way to the key that was found last.
	path hive.Path
	keys []*growing
}

func (t *treeBuilder) apply(op *Op) {
	switch op.Kind {
	case OpenKey:
		n := t.open(op.Key).node
		if n.Partial {
			n.Partial = false
			n.Origin = hive.Origin{Line: op.Line, Column: op.Column}
		}
	case DeleteKey:
		t.remove(op.Key)
	case SetValue:
		t.open(op.Key).set(op)
	case DeleteValue:
		t.open(op.Key).unset(op.Name)
	}
}

// open returns the key at path and creates what is missing.
func (t *treeBuilder) open(path hive.Path) *growing {
	n := 0
	for n < len(path) && n < len(t.path) && path[n] == t.path[n] {
		n++
	}
	if n == len(path) && n == len(t.path) && n > 0 {
		return t.keys[n-1]
	}
	t.keys = t.keys[:n]
	at := t.root
	if n > 0 {
		at = t.keys[n-1]
	}
	for _, name := range path[n:] {
		child := at.child(name)
		if child == nil {
			child = &growing{node: &hive.Node{Name: name, Partial: true}}
			at.addChild(child)
		}
		at = child
		t.keys = append(t.keys, at)
	}
	t.path = path
	return at
}

// remove deletes the key at path with all below it, if it is there.
func (t *treeBuilder) remove(path hive.Path) {
	t.path, t.keys = nil, t.keys[:0]
	at := t.root
	for i, name := range path {
		place, ok := at.childAt(name)
		if !ok {
			return
		}
		if i == len(path)-1 {
			at.removeChild(place)
			return
		}
		at = at.keys[place]
	}
}

func (g *growing) child(name string) *growing {
	if place, ok := g.childAt(name); ok {
		return g.keys[place]
	}
	return nil
}

func (g *growing) childAt(name string) (place int, ok bool) {
	if g.keyAt != nil {
		place, ok = g.keyAt[hive.Fold(name)]
		return place, ok
	}
	for i, k := range g.keys {
		if k != nil && sameName(k.node.Name, name) {
			return i, true
		}
	}
	return 0, false
}

func (g *growing) addChild(child *growing) {
	g.keys = append(g.keys, child)
	switch {
	case g.keyAt != nil:
		g.keyAt[hive.Fold(child.node.Name)] = len(g.keys) - 1
	case len(g.keys) >= indexFrom:
		g.keyAt = make(nameIndex, 2*len(g.keys))
		for i, k := range g.keys {
			if k != nil {
				g.keyAt[hive.Fold(k.node.Name)] = i
			}
		}
	}
}

func (g *growing) removeChild(place int) {
	if g.keyAt != nil {
		delete(g.keyAt, hive.Fold(g.keys[place].node.Name))
	}
	g.keys[place] = nil
	g.deadKeys++
}

func (g *growing) findValue(name string) (place int, ok bool) {
	if g.valueAt != nil {
		place, ok = g.valueAt[hive.Fold(name)]
		return place, ok
	}
	for i := range g.values {
		if sameName(g.values[i].Name, name) && !g.dead[i] {
			return i, true
		}
	}
	return 0, false
}

// set puts a value into g. One that is there keeps its place and its name's case.
func (g *growing) set(op *Op) {
	v := hive.NodeValue{Name: op.Name, Type: op.Type, Data: op.Data, Origin: hive.Origin{Line: op.Line, Column: op.Column}}
	if place, ok := g.findValue(op.Name); ok {
		v.Name = g.values[place].Name
		g.values[place] = v
		return
	}
	g.values = append(g.values, v)
	switch {
	case g.valueAt != nil:
		g.valueAt[hive.Fold(op.Name)] = len(g.values) - 1
	case len(g.values) >= indexFrom:
		g.valueAt = make(nameIndex, 2*len(g.values))
		for i, v := range g.values {
			if !g.dead[i] {
				g.valueAt[hive.Fold(v.Name)] = i
			}
		}
	}
}

func (g *growing) unset(name string) {
	place, ok := g.findValue(name)
	if !ok {
		return
	}
	if g.valueAt != nil {
		delete(g.valueAt, hive.Fold(name))
	}
	if g.dead == nil {
		g.dead = make(map[int]bool)
	}
	g.dead[place] = true
}

// finish fills the lists of the nodes from g down.
func (g *growing) finish() *hive.Node {
	n := g.node
	n.Values = g.values
	if len(g.dead) > 0 {
		n.Values = nil
		for i, v := range g.values {
			if !g.dead[i] {
				n.Values = append(n.Values, v)
			}
		}
	}
	if live := len(g.keys) - g.deadKeys; live > 0 {
		n.Keys = make([]*hive.Node, 0, live)
	}
	for _, k := range g.keys {
		if k != nil {
			n.Keys = append(n.Keys, k.finish())
		}
	}
	return n
}

// sameName is hive.EqualFold without its copies, for the ASCII names that
// nearly all are. An ASCII character is one unit, and equal only to itself in
// either case, as long as the other character is ASCII too.
func sameName(a, b string) bool {
	for i := 0; i < len(a) && i < len(b); i++ {
		x, y := a[i], b[i]
		if x >= utf8.RuneSelf || y >= utf8.RuneSelf {
			return hive.EqualFold(a[i:], b[i:])
		}
		if x != y && upperASCII(x) != upperASCII(y) {
			return false
		}
	}
	return len(a) == len(b)
}

func upperASCII(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - ('a' - 'A')
	}
	return c
}
