package patch

import (
	"hivemend/hive"
)

// workspace is the inputs of one machine as a plan sees them: each mounted
// tree under an overlay that takes the edits one after the other.
type workspace struct {
	made   []step // in the order in which they were made
	mounts []*mounted
	// live is set where CurrentControlSet in an edit's path means the control
	// set that is in use, which a hive knows only by its number.
	live bool
}

// mounted is one tree of one input, with the edits made so far.
type mounted struct {
	input *hive.Input
	mount int // index into input.Mounts
	hive.Mount
	tree *overlay
}

// step is one edit with the place where it is to be made. An edit of a plan
// becomes two steps where it names CurrentControlSet and two sets are meant.
type step struct {
	index int // of the edit in its plan
	at    *mounted
	rel   hive.Path // of the key, below the mount
	edit  hive.Edit // with Key as it is in the input
}

func newWorkspace(inputs []*hive.Input, live bool, time hive.FileTime) (*workspace, error) {
	w := &workspace{live: live}
	hives := map[string]*hive.Input{}
	for _, in := range inputs {
		for i, m := range in.Mounts {
			if !m.Root.Valid() {
				continue
			}
			if in.Kind == hive.Regf {
				at := m.Prefix.Fold().String()
				if other := hives[at]; other != nil {
					return nil, fail(ErrRefused, "%s and %s both stand for %s: give only one of them", other.Path, in.Path, m.Prefix)
				}
				hives[at] = in
			}
			w.mounts = append(w.mounts, &mounted{input: in, mount: i, Mount: m, tree: newOverlay(m.Root, time)})
		}
	}
	return w, nil
}

// steps says where e is to be made. The error is ErrNotGiven where no input
// has the place.
func (w *workspace) steps(index int, e hive.Edit) ([]step, error) {
	at, rel := w.find(e)
	if at == nil {
		return nil, fail(ErrNotGiven, "%s: none of the given inputs holds this part of the registry", placeOf(e))
	}
	if !w.live || at.input.Kind != hive.Regf || at.Kind != hive.System || len(rel) == 0 || !hive.EqualFold(rel[0], currentControlSet) {
		return []step{{index, at, rel, e}}, nil
	}
	if len(rel) == 1 && e.Op == hive.DeleteKey {
		return nil, fail(ErrRefused, "%s: a whole control set is never deleted", placeOf(e))
	}
	sets := hive.FindControlSets(at.Root, false)
	if !sets.Current.Key.Valid() {
		return nil, fail(ErrRefused, "%s: %s does not say which control set is the current one: it has none", placeOf(e), at.input.Path)
	}
	out := []step{at.inSet(index, e, rel, sets.Current.Name)}
	if sets.Next.Key.Valid() {
		out = append(out, at.inSet(index, e, rel, sets.Next.Name))
	}
	return out, nil
}

const currentControlSet = "CurrentControlSet"

func (m *mounted) inSet(index int, e hive.Edit, rel hive.Path, set string) step {
	rel = append(hive.Path{set}, rel[1:]...)
	e.Key = m.Prefix.Join(rel...)
	return step{index, m, rel, e}
}

// find returns the tree that holds e's key, and the key's path in it. A hive
// goes before .reg text; among texts, the one that knows what e is about, then
// the one that knows its key.
func (w *workspace) find(e hive.Edit) (*mounted, hive.Path) {
	var best *mounted
	var bestRel hive.Path
	bestRank := -1
	for _, m := range w.mounts {
		rel, ok := e.Key.CutPrefix(m.Prefix)
		if !ok {
			continue
		}
		if rank := m.rank(e, rel); rank > bestRank {
			best, bestRel, bestRank = m, rel, rank
		}
	}
	return best, bestRel
}

// rank orders the trees that share a prefix: longer prefixes first (they are
// the more precise ones), then as find says.
func (m *mounted) rank(e hive.Edit, rel hive.Path) int {
	rank := len(m.Prefix) * 4
	if m.input.Kind == hive.Regf {
		return rank + 3
	}
	key, ok := m.tree.key().Lookup(rel)
	if !ok {
		return rank
	}
	if e.Op == hive.SetValue || e.Op == hive.DeleteValue {
		if _, ok := key.Value(e.Value); !ok {
			return rank + 1
		}
	}
	return rank + 2
}

// key returns what stands at the step's place now.
func (s step) key() hive.Key {
	key, ok := s.at.tree.key().Lookup(s.rel)
	if !ok {
		return hive.Key{}
	}
	return key
}

// value returns the value that the step is about as it is now.
func (s step) value() (hive.Value, bool) {
	key := s.key()
	if !key.Valid() {
		return hive.Value{}, false
	}
	return key.Value(s.edit.Value)
}

// make carries the step out on the overlay.
func (s step) make() { s.at.tree.apply(s.edit, s.rel) }
