package hive

// Node is a key held in memory with all that is below it: what .reg text and
// JSON are read into, what tests build, and what a hive is built from.
type Node struct {
	Name      string
	LastWrite FileTime
	Class     []byte
	Flags     uint16
	Security  []byte
	Partial   bool // only part of the key is known; see Store.KeyComplete
	Origin    Origin
	Values    []NodeValue
	Keys      []*Node
}

// NodeValue is a value of a Node.
type NodeValue struct {
	Name   string
	Type   Type
	Data   []byte
	Origin Origin
}

// Subkey returns the direct subkey of that name, whatever the case, or nil.
func (n *Node) Subkey(name string) *Node {
	folded := Fold(name)
	for _, k := range n.Keys {
		if k.Name == name || Fold(k.Name) == folded {
			return k
		}
	}
	return nil
}

// Value returns the value of that name, whatever the case, or nil.
func (n *Node) Value(name string) *NodeValue {
	folded := Fold(name)
	for i := range n.Values {
		if n.Values[i].Name == name || Fold(n.Values[i].Name) == folded {
			return &n.Values[i]
		}
	}
	return nil
}

// Key returns a view of n as it is now. The tree under n must not be changed
// afterwards.
func (n *Node) Key() Key {
	s := &nodeStore{}
	s.add(n)
	return RootKey(s)
}

// nodeStore numbers the nodes and values of a finished tree.
type nodeStore struct {
	nodes  []storedNode
	values []NodeValue
}

type storedNode struct {
	*Node
	keys       []Ref
	index      map[string]Ref // folded name to subkey, for keys with many
	firstValue int
}

// indexFrom is the number of subkeys from which a map beats a scan.
const indexFrom = 16

func (s *nodeStore) add(n *Node) Ref {
	ref := Ref(len(s.nodes))
	s.nodes = append(s.nodes, storedNode{Node: n, firstValue: len(s.values)})
	s.values = append(s.values, n.Values...)
	keys := make([]Ref, len(n.Keys))
	for i, k := range n.Keys {
		keys[i] = s.add(k)
	}
	s.nodes[ref].keys = keys
	if len(keys) >= indexFrom {
		index := make(map[string]Ref, len(keys))
		for i, k := range n.Keys {
			if folded := Fold(k.Name); !has(index, folded) {
				index[folded] = keys[i]
			}
		}
		s.nodes[ref].index = index
	}
	return ref
}

func has(m map[string]Ref, key string) bool { _, ok := m[key]; return ok }

func (s *nodeStore) Root() Ref                   { return 0 }
func (s *nodeStore) KeyName(k Ref) string        { return s.nodes[k].Name }
func (s *nodeStore) KeyLastWrite(k Ref) FileTime { return s.nodes[k].LastWrite }
func (s *nodeStore) KeyFlags(k Ref) uint16       { return s.nodes[k].Flags }
func (s *nodeStore) KeyClass(k Ref) []byte       { return s.nodes[k].Class }
func (s *nodeStore) KeySecurity(k Ref) []byte    { return s.nodes[k].Security }
func (s *nodeStore) KeyComplete(k Ref) bool      { return !s.nodes[k].Partial }
func (s *nodeStore) KeyOrigin(k Ref) Origin      { return s.nodes[k].Origin }

func (s *nodeStore) Subkeys(k Ref, yield func(Ref) bool) {
	for _, r := range s.nodes[k].keys {
		if !yield(r) {
			return
		}
	}
}

func (s *nodeStore) Subkey(k Ref, name string) (Ref, bool) {
	folded := Fold(name)
	if index := s.nodes[k].index; index != nil {
		r, ok := index[folded]
		return r, ok
	}
	for _, r := range s.nodes[k].keys {
		if Fold(s.nodes[r].Name) == folded {
			return r, true
		}
	}
	return 0, false
}

func (s *nodeStore) Values(k Ref, yield func(Ref) bool) {
	n := &s.nodes[k]
	for i := range n.Node.Values {
		if !yield(Ref(n.firstValue + i)) {
			return
		}
	}
}

func (s *nodeStore) Value(k Ref, name string) (Ref, bool) {
	n := &s.nodes[k]
	folded := Fold(name)
	for i, v := range n.Node.Values {
		if Fold(v.Name) == folded {
			return Ref(n.firstValue + i), true
		}
	}
	return 0, false
}

func (s *nodeStore) ValueName(v Ref) string          { return s.values[v].Name }
func (s *nodeStore) ValueType(v Ref) Type            { return s.values[v].Type }
func (s *nodeStore) ValueSize(v Ref) int64           { return int64(len(s.values[v].Data)) }
func (s *nodeStore) ValueData(v Ref) ([]byte, error) { return s.values[v].Data, nil }
func (s *nodeStore) ValueOrigin(v Ref) Origin        { return s.values[v].Origin }
