package witness

import (
	"bytes"
	"fmt"

	"hivemend/hive"

	"www.velocidex.com/golang/regparser"
)

// MaxDifferences is how many differences Compare lists before it stops.
const MaxDifferences = 100

// Difference is one place where the two readers do not see the same.
type Difference struct {
	Key     hive.Path // from the hive's root
	Value   string    // the value's name, where OfValue is set
	OfValue bool
	// Detail says what each reader sees, without showing any data.
	Detail string
}

// String describes d in one line for people.
func (d Difference) String() string {
	key := hive.Printable(d.Key.String())
	if len(d.Key) == 0 {
		key = "the root key"
	}
	if d.OfValue {
		return fmt.Sprintf("%s, value %s: %s", key, hive.ValueLabel(d.Value), d.Detail)
	}
	return key + ": " + d.Detail
}

// Compare reads the hive in data with the second reader and holds it against
// the tree under root: every key's name, and every value's name, type and
// data. The order in which keys and values are stored makes no difference. It
// returns at most MaxDifferences, in stored order, none when both see the
// same, and an error when the second reader could not finish.
//
// Data must have been found Bounded by hive/regf's Check. Root may be any
// tree: the same hive through hive/regf, or the tree that was planned.
func Compare(data []byte, root hive.Key) (differences []Difference, err error) {
	defer recovered(&err)
	r, err := Open(data)
	if err != nil {
		return nil, err
	}
	c := &comparison{walk: newWalk(r), seen: make([]uint64, len(data)/512+1)}
	node := r.root()
	if name := keyName(node); name != root.Name() {
		c.report(nil, "the root key is named %q, to the second reader %q", hive.Printable(root.Name()), hive.Printable(name))
	}
	err = c.keys(nil, root, node)
	return c.differences, err
}

type comparison struct {
	*walk
	seen        []uint64 // one bit for each eight bytes of the file: keys already visited
	differences []Difference
}

func (c *comparison) full() bool { return len(c.differences) >= MaxDifferences }

func (c *comparison) add(d Difference) {
	if !c.full() {
		d.Key = d.Key.Join()
		c.differences = append(c.differences, d)
	}
}

func (c *comparison) report(key hive.Path, format string, args ...any) {
	c.add(Difference{Key: key, Detail: fmt.Sprintf(format, args...)})
}

// visit marks node and reports whether it was new: without that, a cycle of
// keys would never end.
func (c *comparison) visit(node *regparser.CM_KEY_NODE) bool {
	word, bit := node.Offset/512, uint(node.Offset/8%64)
	if c.seen[word]&(1<<bit) != 0 {
		return false
	}
	c.seen[word] |= 1 << bit
	return true
}

// keys compares one key with all that is below it. path is only valid during
// the call.
func (c *comparison) keys(path hive.Path, key hive.Key, node *regparser.CM_KEY_NODE) error {
	if !c.visit(node) {
		c.report(path, "the second reader meets this key twice")
		return nil
	}
	if err := c.values(path, key, node); err != nil {
		return err
	}
	theirs, err := c.subkeys(node)
	if err != nil {
		return fmt.Errorf("%s: %w", hive.Printable(path.String()), err)
	}
	ours := make([]hive.Key, 0, len(theirs))
	for k := range key.Subkeys() {
		ours = append(ours, k)
	}
	if len(path) >= hive.MaxDepth {
		if len(ours)+len(theirs) > 0 {
			c.report(path, "there are keys below the deepest level that Windows allows")
		}
		return nil
	}
	pairs := match(len(ours), len(theirs),
		func(i int) string { return ours[i].Name() }, func(i int) string { return keyName(theirs[i]) })
	for _, p := range pairs {
		switch {
		case c.full():
			return nil
		case p.theirs < 0:
			c.report(path.Join(ours[p.ours].Name()), "the second reader does not see this key")
		case p.ours < 0:
			c.report(path.Join(keyName(theirs[p.theirs])), "only the second reader sees this key")
		default:
			k := ours[p.ours]
			if err := c.keys(append(path, k.Name()), k, theirs[p.theirs]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *comparison) values(path hive.Path, key hive.Key, node *regparser.CM_KEY_NODE) error {
	theirs, err := c.walk.values(node)
	if err != nil {
		return fmt.Errorf("%s: %w", hive.Printable(path.String()), err)
	}
	ours := make([]hive.Value, 0, len(theirs))
	for v := range key.Values() {
		ours = append(ours, v)
	}
	pairs := match(len(ours), len(theirs),
		func(i int) string { return ours[i].Name() }, func(i int) string { return valueName(theirs[i]) })
	for _, p := range pairs {
		switch {
		case c.full():
			return nil
		case p.theirs < 0:
			c.add(Difference{path, ours[p.ours].Name(), true, "the second reader does not see this value"})
		case p.ours < 0:
			c.add(Difference{path, valueName(theirs[p.theirs]), true, "only the second reader sees this value"})
		default:
			if detail, err := c.value(ours[p.ours], theirs[p.theirs]); err != nil {
				return fmt.Errorf("%s: %w", hive.Printable(path.String()), err)
			} else if detail != "" {
				c.add(Difference{path, ours[p.ours].Name(), true, detail})
			}
		}
	}
	return nil
}

// value returns what is different between one value and the same value to the
// second reader, "" where nothing is.
func (c *comparison) value(ours hive.Value, theirs *regparser.CM_KEY_VALUE) (string, error) {
	if a, b := ours.Type(), hive.Type(theirs.Type()); a != b {
		return fmt.Sprintf("its type is %s, to the second reader %s", a, b), nil
	}
	seen, err := c.valueData(theirs)
	if err == errWork {
		return "", err
	}
	data, ourErr := ours.Data()
	switch {
	case err != nil && ourErr != nil:
		return "", nil // unreadable to both
	case err != nil:
		return "the second reader cannot read its data: " + err.Error(), nil
	case ourErr != nil:
		return "only the second reader can read its data: " + ourErr.Error(), nil
	case len(data) != len(seen):
		return fmt.Sprintf("its data is %d bytes long, to the second reader %d", len(data), len(seen)), nil
	case !bytes.Equal(data, seen):
		at := 0
		for data[at] == seen[at] {
			at++
		}
		return fmt.Sprintf("its data (%d bytes) is other data to the second reader, from byte %d on", len(data), at), nil
	}
	return "", nil
}

// pair is one name in both lists, or in one of them; the other index is -1.
type pair struct{ ours, theirs int }

// match pairs the names of two lists. Names that stand at the same place in
// both, the usual case, cost no more than comparing them.
func match(ours, theirs int, ourName, theirName func(int) string) []pair {
	pairs := make([]pair, 0, ours)
	same := ours == theirs
	for i := 0; same && i < ours; i++ {
		same = ourName(i) == theirName(i)
		pairs = append(pairs, pair{i, i})
	}
	if same {
		return pairs
	}
	pairs = pairs[:0]
	places := make(map[string][]int, theirs)
	for j := range theirs {
		name := theirName(j)
		places[name] = append(places[name], j)
	}
	taken := make([]bool, theirs)
	for i := range ours {
		name := ourName(i)
		if left := places[name]; len(left) > 0 {
			pairs = append(pairs, pair{i, left[0]})
			taken[left[0]] = true
			places[name] = left[1:]
			continue
		}
		pairs = append(pairs, pair{i, -1})
	}
	for j := range theirs {
		if !taken[j] {
			pairs = append(pairs, pair{-1, j})
		}
	}
	return pairs
}
