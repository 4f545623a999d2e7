package patch

import (
	"bytes"
	"fmt"

	"hivemend/hive"
)

// sameTree compares a hive with the planned tree, everything that a hive
// stores of a key included, and returns the first difference in words, or "".
//
// Unlike Diff it forgives nothing: order, case, duplicates, classes, security
// and last-write times count. Only the flags of a key that the plan makes are
// left open, since no plan speaks of them.
func sameTree(want, got hive.Key, path hive.Path, depth int) string {
	if text := sameKeyRecord(want, got, path); text != "" {
		return text
	}
	if text := sameValues(want, got, path); text != "" {
		return text
	}
	if depth > hive.MaxDepth {
		return ""
	}
	var wants []hive.Key
	for sub := range want.Subkeys() {
		wants = append(wants, sub)
	}
	for sub := range got.Subkeys() {
		name := sub.Name()
		if len(wants) == 0 {
			return fmt.Sprintf("%s is there, but is not planned", place(path.Join(name), nil))
		}
		if wants[0].Name() != name {
			return fmt.Sprintf("%s: planned is %q, found %q", place(path, nil), hive.Printable(wants[0].Name()), hive.Printable(name))
		}
		if text := sameTree(wants[0], sub, path.Join(name), depth+1); text != "" {
			return text
		}
		wants = wants[1:]
	}
	if len(wants) > 0 {
		return fmt.Sprintf("%s is planned, but is not there", place(path.Join(wants[0].Name()), nil))
	}
	return ""
}

func sameKeyRecord(want, got hive.Key, path hive.Path) string {
	fresh := isFresh(want)
	switch {
	case want.LastWrite() != got.LastWrite():
		return fmt.Sprintf("%s: its last-write time is to be %s, found %s", place(path, nil), want.LastWrite(), got.LastWrite())
	case !fresh && want.Flags() != got.Flags():
		return fmt.Sprintf("%s: its flags are to be %#x, found %#x", place(path, nil), want.Flags(), got.Flags())
	case !bytes.Equal(want.Class(), got.Class()):
		return fmt.Sprintf("%s: its class has changed", place(path, nil))
	case !bytes.Equal(want.Security(), got.Security()):
		return fmt.Sprintf("%s: its security descriptor has changed", place(path, nil))
	}
	return ""
}

func isFresh(k hive.Key) bool {
	store, ref := k.Store()
	o, ok := store.(*overlay)
	if !ok {
		return false
	}
	n := o.node(ref)
	return n != nil && n.fresh
}

func sameValues(want, got hive.Key, path hive.Path) string {
	var wants []hive.Value
	for v := range want.Values() {
		wants = append(wants, v)
	}
	for v := range got.Values() {
		name := v.Name()
		switch {
		case len(wants) == 0:
			return fmt.Sprintf("%s is there, but is not planned", place(path, &name))
		case wants[0].Name() != name:
			return fmt.Sprintf("%s: planned is value %s, found %s", place(path, nil), hive.ValueLabel(wants[0].Name()), hive.ValueLabel(name))
		case !sameValue(wants[0], v):
			return fmt.Sprintf("%s: its type or bytes are not as planned", place(path, &name))
		}
		wants = wants[1:]
	}
	if len(wants) > 0 {
		name := wants[0].Name()
		return fmt.Sprintf("%s is planned, but is not there", place(path, &name))
	}
	return ""
}
