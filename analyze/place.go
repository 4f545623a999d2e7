package analyze

import (
	"crypto/sha256"
	"encoding/hex"
	"iter"

	"hivemend/hive"
)

// Place is a key, there or not, in one input of a machine: what rules move
// about on. Places remember what was looked up, so that damage and
// disagreement can be weighed by whether they touch it.
type Place struct {
	Input *hive.Input
	Path  hive.Path // the whole path with the input's prefix; stored names where the key is there
	Key   hive.Key  // not Valid where the key is not there
	// Set names the control set that the place lies in, "" for none. InScope
	// is false in control sets that are only looked at to tell whether they
	// hold the same.
	Set     string
	InScope bool

	known  bool   // where Key is not Valid: whether it is known to be absent
	prefix int    // how many names of Path are the input's prefix
	folded string // HivePath, folded and joined
	seen   *seen
}

// Sub returns the place that many names below pl.
func (pl Place) Sub(names ...string) Place {
	for _, name := range names {
		pl = pl.child(name)
	}
	return pl
}

func (pl Place) child(name string) Place {
	if pl.Key.Valid() {
		if k, ok := pl.Key.Subkey(name); ok {
			sub := pl.at(k)
			pl.seen.key(sub)
			return sub
		}
	}
	sub := pl.below(name)
	sub.Key, sub.known = hive.Key{}, pl.complete()
	pl.seen.key(sub)
	return sub
}

// below returns pl with another name at the end of its paths.
func (pl Place) below(name string) Place {
	sub := pl
	sub.Path = pl.Path.Join(name)
	sub.folded = hive.Fold(name)
	if pl.folded != "" {
		sub.folded = pl.folded + `\` + sub.folded
	}
	return sub
}

// HivePath returns the path of pl from its hive's root.
func (pl Place) HivePath() hive.Path { return pl.Path[pl.prefix:] }

// at returns the place of k, a subkey of pl.
func (pl Place) at(k hive.Key) Place {
	sub := pl.below(k.Name())
	sub.Key, sub.known = k, true
	return sub
}

// Exists reports whether the key is there.
func (pl Place) Exists() bool { return pl.Key.Valid() }

// Absent reports whether the key is known not to be there. In .reg text that
// takes a section of its parent; in a damaged hive, a parent that is whole.
func (pl Place) Absent() bool { return !pl.Key.Valid() && pl.known }

// Unknown reports whether nobody can tell if the key is there.
func (pl Place) Unknown() bool { return !pl.Key.Valid() && !pl.known }

// complete reports whether what is not seen below the key is really absent.
func (pl Place) complete() bool {
	if !pl.Key.Valid() {
		return pl.known
	}
	return pl.Key.Complete() && !pl.damaged()
}

// damaged reports whether records of this very key were lost.
func (pl Place) damaged() bool {
	for _, issue := range pl.Input.Issues {
		if issue.Damage >= hive.DamageLoss && issue.Key != nil && issue.Key.Equal(pl.HivePath()) {
			return true
		}
	}
	return false
}

// Value returns the value of that name, if the key is there and has it.
func (pl Place) Value(name string) (hive.Value, bool) {
	pl.seen.value(pl, name)
	if !pl.Key.Valid() {
		return hive.Value{}, false
	}
	return pl.Key.Value(name)
}

// ValueAbsent reports whether the value is known not to be there.
func (pl Place) ValueAbsent(name string) bool {
	if _, ok := pl.Value(name); ok {
		return false
	}
	return pl.complete()
}

// DWORD returns the number in a REG_DWORD of that name, and whether there is one.
func (pl Place) DWORD(name string) (uint32, bool) {
	v, ok := pl.Value(name)
	if !ok {
		return 0, false
	}
	n, err := v.DWORD()
	return n, err == nil
}

// Text returns the text in a REG_SZ or REG_EXPAND_SZ of that name, "" where
// there is none.
func (pl Place) Text(name string) string {
	v, ok := pl.Value(name)
	if !ok {
		return ""
	}
	text, err := v.Text()
	if err != nil {
		return ""
	}
	return text
}

// Subkeys iterates over the subkeys in stored order.
func (pl Place) Subkeys() iter.Seq[Place] {
	return func(yield func(Place) bool) {
		if !pl.Key.Valid() {
			return
		}
		for k := range pl.Key.Subkeys() {
			sub := pl.at(k)
			pl.seen.key(sub)
			if !yield(sub) {
				return
			}
		}
	}
}

// Values iterates over the values in stored order.
func (pl Place) Values() iter.Seq[hive.Value] {
	return func(yield func(hive.Value) bool) {
		if !pl.Key.Valid() {
			return
		}
		for v := range pl.Key.Values() {
			pl.seen.value(pl, v.Name())
			if !yield(v) {
				return
			}
		}
	}
}

// LocateKey describes the key for a finding.
func (pl Place) LocateKey() *Location {
	l := &Location{Input: pl.Input.Path, Key: pl.Path}
	if !pl.Key.Valid() {
		return l
	}
	l.LastWrite = pl.Key.LastWrite()
	l.lies(pl.Input, pl.Key.Origin())
	return l
}

// LocateMissing describes a value that is not there.
func (pl Place) LocateMissing(name string) *Location {
	l := pl.LocateKey()
	l.HasValue, l.Value = true, name
	return l
}

// LocateValue describes the value for a finding. What cannot be read counts
// as the bytes that could be.
func (pl Place) LocateValue(v hive.Value) *Location {
	data, _ := v.Data()
	sum := sha256.Sum256(data)
	l := &Location{
		Input: pl.Input.Path, Key: pl.Path, HasValue: true, Value: v.Name(), Type: v.Type(),
		Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:]), LastWrite: pl.Key.LastWrite(),
	}
	l.lies(pl.Input, v.Origin())
	return l
}

// lies fills in where the bytes lie.
func (l *Location) lies(in *hive.Input, o hive.Origin) {
	l.Line = o.Line
	if in.Kind != hive.Regf {
		return
	}
	if o.File == "" {
		l.FileOffset = o.Image
		if o.Image != 0 || o.Offset != 0 {
			l.Origin = &Origin{File: in.Path, Offset: max(o.Offset, 0)}
			if o.Offset == 0 {
				l.Origin.Offset = o.Image
			}
		}
		return
	}
	l.Origin = &Origin{File: o.File, LogSequence: o.LogSequence, Offset: o.Offset}
}

// DeleteValue returns the edit that deletes v from this key, on condition that
// it is still what it is now.
func (pl Place) DeleteValue(v hive.Value, rule, reason string) hive.Edit {
	return hive.Edit{Op: hive.DeleteValue, Key: pl.Path, Value: v.Name(), Expect: expectValue(v), Rule: rule, Reason: reason}
}

// SetValue returns the edit that gives the value name new data, on condition
// that it is still what it is now, or still absent.
func (pl Place) SetValue(name string, typ hive.Type, data []byte, rule, reason string) hive.Edit {
	e := hive.Edit{Op: hive.SetValue, Key: pl.Path, Value: name, Type: typ, Data: data, Expect: &hive.Expect{Absent: true}, Rule: rule, Reason: reason}
	if v, ok := pl.Value(name); ok {
		e.Value, e.Expect = v.Name(), expectValue(v)
	}
	return e
}

// DeleteKey returns the edit that deletes this key and all below it, on
// condition that it still holds what it holds now. The key must exist.
func (pl Place) DeleteKey(rule, reason string) hive.Edit {
	sum := hive.Digest(pl.Key)
	return hive.Edit{Op: hive.DeleteKey, Key: pl.Path, Expect: &hive.Expect{SHA256: hex.EncodeToString(sum[:])}, Rule: rule, Reason: reason}
}

func expectValue(v hive.Value) *hive.Expect {
	data, _ := v.Data()
	sum := sha256.Sum256(data)
	return &hive.Expect{Type: v.Type(), SHA256: hex.EncodeToString(sum[:])}
}

// seen remembers the keys and values that rules looked up, by their paths from
// the hive's root, in the order of the first look.
type seen struct {
	keys   map[seenKey]bool
	index  map[seenKey]map[string]bool // folded names of values
	values []seenValue
}

type seenKey struct {
	input *hive.Input
	path  string // folded
}

type seenValue struct {
	place Place
	name  string
}

func newSeen() *seen { return &seen{keys: map[seenKey]bool{}, index: map[seenKey]map[string]bool{}} }

func (s *seen) key(pl Place) {
	if s != nil {
		s.keys[seenKey{pl.Input, pl.folded}] = true
	}
}

func (s *seen) value(pl Place, name string) {
	if s == nil {
		return
	}
	k := seenKey{pl.Input, pl.folded}
	s.keys[k] = true
	names := s.index[k]
	if names == nil {
		names = map[string]bool{}
		s.index[k] = names
	}
	if folded := hive.Fold(name); !names[folded] {
		names[folded] = true
		s.values = append(s.values, seenValue{pl, name})
	}
}

// touched reports whether the key of that path was looked at, or lies above or
// below one that was.
func (s *seen) touched(in *hive.Input, path hive.Path) bool {
	folded := path.Fold()
	if s.keys[seenKey{in, folded.String()}] {
		return true
	}
	for k := range s.keys {
		if k.input == in && hasPrefix(k.path, folded.String()) {
			return true
		}
	}
	return false
}

// hasPrefix reports whether prefix names a key above path. Every key lies
// below the root.
func hasPrefix(path, prefix string) bool {
	return prefix == "" || len(path) > len(prefix) && path[:len(prefix)] == prefix && path[len(prefix)] == '\\'
}
