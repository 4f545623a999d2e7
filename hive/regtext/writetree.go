package regtext

import (
	"errors"
	"fmt"
	"iter"
	"slices"

	"hivemend/hive"
)

// WriteTree writes k, which stands at prefix, and everything below it, each
// key before its subkeys and all in stored order. A key that is only known in
// part, and has subkeys but no values, gets no section of its own, so that it
// is still known only in part when the text is read back.
//
// Of two subkeys, or two values, of one name (which damaged hives have) only
// the first is what Windows sees, and .reg text cannot carry both: the second
// is an *UnrepresentableError. See WriterOptions.Skip for what cannot be
// written.
func WriteTree(w *Writer, prefix hive.Path, k hive.Key) error {
	if err := w.skip(w.writeKey(prefix, k)); err != nil {
		return err
	}
	return w.writeSubkeys(prefix, k)
}

func (w *Writer) writeSubkeys(path hive.Path, k hive.Key) error {
	var seen nameSet
	for sub := range k.Subkeys() {
		below := path.Join(sub.Name())
		if err := w.skip(w.writeSubkey(below, sub, &seen)); err != nil {
			return err
		}
	}
	return w.err
}

func (w *Writer) writeSubkey(path hive.Path, k hive.Key, seen *nameSet) error {
	if !seen.add(path.Name()) {
		return &UnrepresentableError{Key: path, Reason: "two keys of one name; the first one was written"}
	}
	if err := w.writeKey(path, k); err != nil {
		return err
	}
	return w.writeSubkeys(path, k)
}

// writeKey writes the section of k without its subkeys.
func (w *Writer) writeKey(path hive.Path, k hive.Key) error {
	if !k.Complete() && isEmpty(k.Values()) && (len(path) == 0 || !isEmpty(k.Subkeys())) {
		return nil
	}
	if err := w.Key(path); err != nil {
		return err
	}
	w.seen.reset()
	for v := range k.Values() {
		if err := w.skip(w.writeValue(path, v)); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) writeValue(path hive.Path, v hive.Value) error {
	name := v.Name()
	if !w.seen.add(name) {
		return w.cannot(name, "two values of one name; the first one was written")
	}
	data, err := v.Data()
	if err != nil {
		return &UnreadableError{Key: path, Value: name, Err: err}
	}
	return w.Value(name, v.Type(), data)
}

func isEmpty[T any](seq iter.Seq[T]) bool {
	for range seq {
		return false
	}
	return true
}

// nameSet finds out whether a name comes again, whatever its case.
type nameSet struct {
	names []string
	index map[string]bool // made when there are many names
}

func (s *nameSet) reset() { s.names, s.index = s.names[:0], nil }

// add reports whether name was not there before.
func (s *nameSet) add(name string) bool {
	if len(s.names) < indexFrom {
		if slices.ContainsFunc(s.names, func(n string) bool { return sameName(n, name) }) {
			return false
		}
		s.names = append(s.names, name)
		return true
	}
	if s.index == nil {
		s.index = make(map[string]bool, 4*indexFrom)
		for _, n := range s.names {
			s.index[hive.Fold(n)] = true
		}
	}
	folded := hive.Fold(name)
	if s.index[folded] {
		return false
	}
	s.index[folded] = true
	return true
}

// skip gives what can be skipped to the caller's Skip, and returns the rest.
func (w *Writer) skip(err error) error {
	if err == nil || w.opt.Skip == nil || !canSkip(err) {
		return err
	}
	w.opt.Skip(err)
	return nil
}

func canSkip(err error) bool {
	var unreadable *UnreadableError
	return errors.Is(err, ErrUnrepresentable) || errors.As(err, &unreadable)
}

// WriteEdits writes edits in their order: as a patch that Registry Editor can
// import. Edits of one key that follow each other share a section. What the
// edits expect is not written.
func WriteEdits(w *Writer, edits []hive.Edit) error {
	for i := range edits {
		if err := w.skip(w.writeEdit(&edits[i])); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) writeEdit(e *hive.Edit) error {
	switch e.Op {
	case hive.CreateKey:
		return w.Key(e.Key)
	case hive.DeleteKey:
		return w.DeleteKey(e.Key)
	case hive.SetValue, hive.DeleteValue:
		if !w.hasKey || !slices.Equal(w.key, e.Key) {
			if err := w.Key(e.Key); err != nil {
				return err
			}
		}
		if e.Op == hive.DeleteValue {
			return w.DeleteValue(e.Value)
		}
		return w.Value(e.Value, e.Type, e.Data)
	}
	return fmt.Errorf("edit of %s: unknown op %q", e.Key, e.Op)
}
