package patch

import (
	"bytes"

	"hivemend/hive"
)

// makeWithUndo makes the step on the overlay and returns the edits that take
// it back, each of which expects to find what the step left.
func (s step) makeWithUndo() ([]hive.Edit, error) {
	var undo []hive.Edit
	switch s.edit.Op {
	case hive.DeleteValue:
		v, _ := s.value()
		undo = []hive.Edit{restore(s.edit.Key, v, &hive.Expect{Absent: true})}
		s.make()
	case hive.SetValue:
		left := &hive.Expect{Type: s.edit.Type, SHA256: hash(s.edit.Data)}
		if missing := s.topMissing(); missing != nil {
			s.make()
			undo = []hive.Edit{s.removal(missing)}
			break
		}
		if v, there := s.value(); there {
			undo = []hive.Edit{restore(s.edit.Key, v, left)}
		} else {
			undo = []hive.Edit{{Op: hive.DeleteValue, Key: s.edit.Key, Value: s.edit.Value, Expect: left}}
		}
		s.make()
	case hive.CreateKey:
		missing := s.topMissing()
		s.make()
		undo = []hive.Edit{s.removal(missing)}
	case hive.DeleteKey:
		undo = restoreTree(nil, s.edit.Key, s.key(), 0)
		s.make()
	}
	for i, e := range undo {
		if _, err := canonical(e); err != nil {
			return nil, err
		}
		undo[i].Rule, undo[i].Reason = "", ""
	}
	return undo, nil
}

// topMissing returns the path, below the mount, of the uppermost key that does
// not exist yet on the way to the step's key; nil where that key is there.
func (s step) topMissing() hive.Path {
	key := s.at.tree.key()
	for i, name := range s.rel {
		sub, ok := key.Subkey(name)
		if !ok {
			return s.rel[:i+1]
		}
		key = sub
	}
	return nil
}

// removal deletes the key at rel, which the step has just made.
func (s step) removal(rel hive.Path) hive.Edit {
	key, _ := s.at.tree.key().Lookup(rel)
	return hive.Edit{Op: hive.DeleteKey, Key: s.at.Prefix.Join(rel...), Expect: &hive.Expect{SHA256: digestOf(key)}}
}

// restore sets v again as it is now.
func restore(key hive.Path, v hive.Value, expect *hive.Expect) hive.Edit {
	data, _ := v.Data()
	return hive.Edit{Op: hive.SetValue, Key: key, Value: v.Name(), Type: v.Type(), Data: bytes.Clone(data), Expect: expect}
}

// restoreTree makes key and everything below it again.
func restoreTree(edits []hive.Edit, path hive.Path, key hive.Key, depth int) []hive.Edit {
	edits = append(edits, hive.Edit{Op: hive.CreateKey, Key: path, Expect: &hive.Expect{Absent: true}})
	for v := range key.Values() {
		edits = append(edits, restore(path, v, &hive.Expect{Absent: true}))
	}
	if depth >= hive.MaxDepth {
		return edits
	}
	for sub := range key.Subkeys() {
		edits = restoreTree(edits, path.Join(sub.Name()), sub, depth+1)
	}
	return edits
}
