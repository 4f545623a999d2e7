package cli

import (
	"fmt"
	"slices"

	"hivemend/analyze/rdp"
	"hivemend/cmd/hivemend/internal/report"
	"hivemend/hive"
)

// addCircumstances adds to the runbook what the machine's hives say about how
// the repair has to be made.
func (r *repair) addCircumstances(book *report.Runbook) {
	for _, root := range r.machine.Roots(hive.System) {
		sets := hive.FindControlSets(root.Root, root.Input.Kind == hive.Reg)
		book.FullShutdown = book.FullShutdown || hibernates(sets.Current.Key)
		if good := sets.Select.LastKnownGood; good != nil {
			name := fmt.Sprintf("ControlSet%03d", *good)
			if r.leavesDamage(name) {
				book.LastKnownGood = name
			}
		}
	}
	book.Security = map[string]string{}
	for _, e := range r.plan.Edits {
		if e.Op != hive.DeleteKey {
			continue
		}
		key, ok := keyOf(r.machine, e.Key)
		if !ok {
			continue
		}
		if text := rdp.SDDL(key); text != "" {
			book.Security[e.Key.String()] = text
		}
		book.Licences += licencesLost(key)
	}
}

// hibernates reports whether a machine may sleep with its registry in memory:
// hibernation and Fast Startup are both on.
func hibernates(set hive.Key) bool {
	on := func(path, name string) bool {
		if !set.Valid() {
			return false
		}
		k, ok := set.Lookup(hive.ParsePath(path))
		if !ok {
			return false
		}
		v, ok := k.Value(name)
		if !ok {
			return false
		}
		n, err := v.DWORD()
		return err == nil && n != 0
	}
	return on(`Control\Power`, "HibernateEnabled") && on(`Control\Session Manager\Power`, "HiberbootEnabled")
}

// leavesDamage reports whether a finding stands in that control set too, and
// the plan does not edit it there.
func (r *repair) leavesDamage(set string) bool {
	for _, e := range r.plan.Edits {
		if rest, ok := e.Key.CutPrefix(hive.System.Prefix()); ok && len(rest) > 0 && hive.EqualFold(rest[0], set) {
			return false
		}
	}
	for _, f := range r.chosen.repaired {
		if also, _ := f.Evidence.Get("alsoPresent").([]string); slices.ContainsFunc(also, func(s string) bool { return hive.EqualFold(s, set) }) {
			return true
		}
	}
	return false
}

// keyOf finds a key of the registry in the inputs of a machine.
func keyOf(m *hive.Machine, path hive.Path) (hive.Key, bool) {
	for _, in := range m.Inputs {
		for _, mount := range in.Mounts {
			if rest, ok := path.CutPrefix(mount.Prefix); ok && mount.Root.Valid() {
				if k, ok := mount.Root.Lookup(rest); ok {
					return k, true
				}
			}
		}
	}
	return hive.Key{}, false
}

// licencesLost counts the licences of a store that goes together with its
// hardware identifier: the server will take the client for a new device.
func licencesLost(store hive.Key) int {
	if _, ok := store.Lookup(hive.Path{"HardwareID"}); !ok {
		return 0
	}
	n := 0
	if licences, ok := store.Lookup(hive.Path{"Store"}); ok {
		for range licences.Subkeys() {
			n++
		}
	}
	return max(n, 1)
}
