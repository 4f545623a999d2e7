package cli

import (
	"fmt"

	"hivemend/hive"
	"hivemend/patch"
)

// pairMixed compares a hive with .reg text as far as the text speaks of it.
func pairMixed(a, b *hive.Input) ([]patch.Change, error) {
	binary, text := a, b
	if a.Kind == hive.Reg {
		binary, text = b, a
	}
	mount := binary.Mounts[0]
	i := mountAt(text.Mounts, mount.Prefix)
	if i < 0 {
		return nil, withHint(fmt.Errorf("%s holds no key below %s, where the hive %s stands", text.Path, mount.Prefix, binary.Path),
			"--prefix says where the hive stands in the .reg file")
	}
	said := storedSet(text.Mounts[i].Root, mount)
	known := knownPart(mount.Root, said, 0)
	change := patch.Change{Name: string(binary.Hive), Prefix: mount.Prefix, Before: known.Key(), After: said.Key()}
	if binary == b {
		change.Before, change.After = change.After, change.Before
	}
	return []patch.Change{change}, nil
}

// storedSet copies the tree of .reg text, CurrentControlSet taken for the
// control set that is in use in the hive.
func storedSet(text hive.Key, mount hive.Mount) *hive.Node {
	said := copyKey(text, 0)
	if mount.Kind != hive.System {
		return said
	}
	live := said.Subkey("CurrentControlSet")
	current := hive.FindControlSets(mount.Root, false).Current
	if live != nil && current.Key.Valid() && said.Subkey(current.Name) == nil {
		live.Name = current.Name
	}
	return said
}

// copyKey copies a key and all below it.
func copyKey(k hive.Key, depth int) *hive.Node {
	n := &hive.Node{Name: k.Name(), Partial: !k.Complete(), Origin: k.Origin()}
	copyValues(n, k)
	if depth >= hive.MaxDepth {
		return n
	}
	for sub := range k.Subkeys() {
		n.Keys = append(n.Keys, copyKey(sub, depth+1))
	}
	return n
}

func copyValues(n *hive.Node, k hive.Key) {
	for v := range k.Values() {
		data, _ := v.Data() // what cannot be read is reported by check
		n.Values = append(n.Values, hive.NodeValue{Name: v.Name(), Type: v.Type(), Data: data})
	}
}

// knownPart returns what a hive's key holds of what the text speaks of: all of
// a key that the text has a section for, and of other keys only the way down.
func knownPart(k hive.Key, said *hive.Node, depth int) *hive.Node {
	n := &hive.Node{Name: k.Name()}
	if !said.Partial {
		copyValues(n, k)
	}
	if depth >= hive.MaxDepth {
		return n
	}
	for sub := range k.Subkeys() {
		switch below := said.Subkey(sub.Name()); {
		case below != nil:
			n.Keys = append(n.Keys, knownPart(sub, below, depth+1))
		case !said.Partial:
			n.Keys = append(n.Keys, copyKey(sub, depth+1))
		}
	}
	return n
}
