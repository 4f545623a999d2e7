package hive

import (
	"fmt"
	"strings"
)

// ControlSet is one ControlSetNNN of a SYSTEM hive, or the CurrentControlSet
// of a live export.
type ControlSet struct {
	Name   string // as stored
	Number uint32 // NNN; 0 for a live CurrentControlSet
	Key    Key
}

// Select holds the four numbers of a SYSTEM hive's Select key. A pointer is
// nil where the value is missing or is no REG_DWORD.
type Select struct {
	Key                                     Key // not Valid where the key is missing
	Current, Default, Failed, LastKnownGood *uint32
}

// ControlSets is what a SYSTEM hive says about its control sets.
type ControlSets struct {
	Select Select
	// All are the control sets that are there, in stored order.
	All []ControlSet
	// Current is the one to judge; not Valid where there is none.
	Current ControlSet
	// Next is the one that boots next (Select\Default) where that is another
	// one than Current; not Valid otherwise.
	Next ControlSet
	// Used says how Current was found: "Select\Current", "Select\Default",
	// "CurrentControlSet" (a live export) or "first present".
	Used string
	// Problem says in words what is wrong with Select; "" when it is sound.
	Problem string
}

// FindControlSets reads the control sets below system, the root of a SYSTEM
// hive. live is set for .reg text, where CurrentControlSet is the set that was
// in use; in a hive such a key is a leftover that Windows never reads.
func FindControlSets(system Key, live bool) ControlSets {
	var cs ControlSets
	for k := range system.Subkeys() {
		if n, ok := controlSetNumber(k.Name()); ok {
			cs.All = append(cs.All, ControlSet{k.Name(), n, k})
		} else if live && EqualFold(k.Name(), "CurrentControlSet") {
			cs.All = append(cs.All, ControlSet{k.Name(), 0, k})
		}
	}
	cs.Select = readSelect(system)
	if live {
		if set, ok := cs.byNumber(0); ok {
			cs.Current, cs.Used = set, "CurrentControlSet"
			return cs
		}
	}
	cs.choose()
	return cs
}

// choose sets Current, Next, Used and Problem.
func (cs *ControlSets) choose() {
	sel := cs.Select
	current, currentOK := cs.byPointer(sel.Current)
	next, nextOK := cs.byPointer(sel.Default)
	switch {
	case currentOK:
		cs.Current, cs.Used = current, `Select\Current`
	case nextOK:
		cs.Current, cs.Used = next, `Select\Default`
	case len(cs.All) > 0:
		cs.Current, cs.Used = cs.All[0], "first present"
	}
	if currentOK && nextOK && next.Number != current.Number {
		cs.Next = next
	}
	switch {
	case !sel.Key.Valid():
		cs.Problem = "the Select key is missing"
	case sel.Current == nil:
		cs.Problem = `Select\Current is missing or is no REG_DWORD`
	case !currentOK:
		cs.Problem = fmt.Sprintf(`Select\Current names ControlSet%03d, which is not there`, *sel.Current)
	case sel.Default == nil:
		cs.Problem = `Select\Default is missing or is no REG_DWORD`
	case !nextOK:
		cs.Problem = fmt.Sprintf(`Select\Default names ControlSet%03d, which is not there`, *sel.Default)
	case cs.Next.Key.Valid():
		cs.Problem = fmt.Sprintf(`Select\Default names %s, which boots next, but Select\Current names %s`, next.Name, current.Name)
	}
}

func (cs *ControlSets) byPointer(n *uint32) (ControlSet, bool) {
	if n == nil {
		return ControlSet{}, false
	}
	return cs.byNumber(*n)
}

func (cs *ControlSets) byNumber(n uint32) (ControlSet, bool) {
	for _, set := range cs.All {
		if set.Number == n {
			return set, true
		}
	}
	return ControlSet{}, false
}

// controlSetNumber returns NNN of a key named ControlSetNNN: three digits, the
// first control set being 001.
func controlSetNumber(name string) (uint32, bool) {
	digits, ok := strings.CutPrefix(Fold(name), "CONTROLSET")
	if !ok || len(digits) != 3 {
		return 0, false
	}
	n := uint32(0)
	for _, d := range []byte(digits) {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = n*10 + uint32(d-'0')
	}
	return n, n > 0
}

func readSelect(system Key) Select {
	var s Select
	key, ok := system.Subkey("Select")
	if !ok {
		return s
	}
	s.Key = key
	for name, field := range map[string]**uint32{
		"Current": &s.Current, "Default": &s.Default, "Failed": &s.Failed, "LastKnownGood": &s.LastKnownGood,
	} {
		if v, ok := key.Value(name); ok {
			if n, err := v.DWORD(); err == nil {
				*field = &n
			}
		}
	}
	return s
}
