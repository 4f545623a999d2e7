package hive

import "strings"

// Path is the way from the top of the registry, or from a hive's root, down to
// a key: one name a level. A name may hold any character, a backslash too
// (damaged hives have such keys), so a Path is never joined and split again
// where it has to stay exact.
type Path []string

// ParsePath splits text at backslashes. Empty components vanish, so leading,
// trailing and doubled backslashes do no harm.
func ParsePath(text string) Path {
	var p Path
	for _, name := range strings.Split(text, `\`) {
		if name != "" {
			p = append(p, name)
		}
	}
	return p
}

// String joins p with backslashes, as Registry Editor writes a path.
func (p Path) String() string { return strings.Join(p, `\`) }

// Join returns p with names behind it, as a new path.
func (p Path) Join(names ...string) Path {
	out := make(Path, 0, len(p)+len(names))
	return append(append(out, p...), names...)
}

// Parent returns p without its last name; of an empty path, the empty path.
func (p Path) Parent() Path {
	if len(p) == 0 {
		return nil
	}
	return p[: len(p)-1 : len(p)-1]
}

// Name returns the last name of p, or "" of an empty path.
func (p Path) Name() string {
	if len(p) == 0 {
		return ""
	}
	return p[len(p)-1]
}

// Equal reports whether p and q mean the same key, whatever the case.
func (p Path) Equal(q Path) bool {
	if len(p) != len(q) {
		return false
	}
	for i := range p {
		if !EqualFold(p[i], q[i]) {
			return false
		}
	}
	return true
}

// CutPrefix returns what stands in p behind prefix, and whether p begins with
// prefix, name by name and whatever the case.
func (p Path) CutPrefix(prefix Path) (rest Path, ok bool) {
	if len(prefix) > len(p) || !p[:len(prefix)].Equal(prefix) {
		return nil, false
	}
	return p[len(prefix):], true
}

// Fold returns p with every name folded: the form in which paths can be
// compared and used as map keys (by way of String).
func (p Path) Fold() Path {
	out := make(Path, len(p))
	for i, name := range p {
		out[i] = Fold(name)
	}
	return out
}

// The roots of the registry, by their long names.
const (
	LocalMachine  = "HKEY_LOCAL_MACHINE"
	CurrentUser   = "HKEY_CURRENT_USER"
	Users         = "HKEY_USERS"
	ClassesRoot   = "HKEY_CLASSES_ROOT"
	CurrentConfig = "HKEY_CURRENT_CONFIG"
)

var rootNames = map[string]string{
	LocalMachine: LocalMachine, CurrentUser: CurrentUser, Users: Users, ClassesRoot: ClassesRoot, CurrentConfig: CurrentConfig,
	"HKEY_DYN_DATA": "HKEY_DYN_DATA", "HKEY_PERFORMANCE_DATA": "HKEY_PERFORMANCE_DATA",
	"HKLM": LocalMachine, "HKCU": CurrentUser, "HKU": Users, "HKCR": ClassesRoot, "HKCC": CurrentConfig,
}

// RootName returns the long name of a registry root given by its long or short
// name in any case, and whether name is one.
func RootName(name string) (long string, ok bool) {
	long, ok = rootNames[Fold(name)]
	return long, ok
}
