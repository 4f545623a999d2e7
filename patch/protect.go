package patch

import "hivemend/hive"

// The keys below RCM that no plan may touch: the LSA secrets that pair with
// the certificates, and the licensing grace period, whose removal would evade
// licensing. The rules never propose such an edit; this is the second lock.
var protectedNames = []string{"SECRETS", "GRACEPERIOD"}

// Protected reports whether path lies in RCM\Secrets or RCM\GracePeriod, in
// any control set and under any prefix.
func Protected(path hive.Path) bool {
	for i := 1; i < len(path); i++ {
		if hive.Fold(path[i-1]) == "RCM" && isProtectedName(path[i]) {
			return true
		}
	}
	return false
}

func isProtectedName(name string) bool {
	folded := hive.Fold(name)
	for _, p := range protectedNames {
		if folded == p {
			return true
		}
	}
	return false
}

// checkProtected refuses an edit of a protected key, and the deletion of a key
// that has one below it. key is what stands at e.Key, not Valid where nothing does.
func checkProtected(e hive.Edit, key hive.Key) error {
	if Protected(e.Key) {
		return fail(ErrProtected, "%s: RCM\\Secrets and RCM\\GracePeriod are never edited", placeOf(e))
	}
	if e.Op != hive.DeleteKey {
		return nil
	}
	if key.Valid() {
		if found := findProtected(key, e.Key, 0); found != nil {
			return fail(ErrProtected, "%s: it cannot be deleted, because %s lies below it and is never edited", placeOf(e), hive.Printable(found.String()))
		}
		return nil
	}
	if mayHoldProtected(e.Key) {
		return fail(ErrProtected, "%s: it cannot be deleted, because RCM\\Secrets and RCM\\GracePeriod lie below it and are never edited", placeOf(e))
	}
	return nil
}

// findProtected returns the path of the first protected key below key, or nil.
func findProtected(key hive.Key, path hive.Path, depth int) hive.Path {
	if depth >= hive.MaxDepth {
		return nil
	}
	for sub := range key.Subkeys() {
		subPath := path.Join(sub.Name())
		if Protected(subPath) {
			return subPath
		}
		if found := findProtected(sub, subPath, depth+1); found != nil {
			return found
		}
	}
	return nil
}

// protectedHome is where the protected keys live below a control set.
var protectedHome = hive.Path{"CONTROL", "TERMINAL SERVER", "RCM"}

// mayHoldProtected judges a key that cannot be looked into: whether it is one
// of the keys from a control set down to RCM.
func mayHoldProtected(path hive.Path) bool {
	folded := path.Fold()
	for i, name := range folded {
		if name != "CURRENTCONTROLSET" && !isControlSetName(name) {
			continue
		}
		rest := folded[i+1:]
		if len(rest) <= len(protectedHome) && protectedHome[:len(rest)].Equal(rest) {
			return true
		}
	}
	return false
}

func isControlSetName(folded string) bool {
	const stem = "CONTROLSET"
	return len(folded) == len(stem)+3 && folded[:len(stem)] == stem
}
