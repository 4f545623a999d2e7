package rdp

import (
	"hivemend/analyze"
	"hivemend/hive"
)

// The values that hold the certificates of Terminal Services.
const (
	certificate    = "Certificate"
	certificateOld = "CertificateOld" // on Windows 7 and later; no article names it
	x509           = "X509 Certificate"
	x509ID         = "X509 Certificate ID"
	x5092          = "X509 Certificate2"
)

func terminalServer(set analyze.Place) analyze.Place { return set.Sub("Control", "Terminal Server") }
func rcm(set analyze.Place) analyze.Place            { return terminalServer(set).Sub("RCM") }
func winStations(set analyze.Place) analyze.Place    { return terminalServer(set).Sub("WinStations") }
func termService(set analyze.Place) analyze.Place {
	return set.Sub("Services", "TermService", "Parameters")
}

// policies is where Group Policy puts its settings for Terminal Services.
func policies(software analyze.Place) analyze.Place {
	return software.Sub("Policies", "Microsoft", "Windows NT", "Terminal Services")
}

// certKey is one of the two keys that may hold the certificates.
type certKey struct {
	analyze.Place
	era analyze.Era
	// inUse is set where this version of Windows reads the key. Where the
	// version is unknown, both keys count as in use.
	inUse bool
}

// certKeys returns both places of every control set, those in scope first.
func certKeys(p *analyze.Pass) []certKey {
	return p.Once("certificate keys", func() any { return findCertKeys(p) }).([]certKey)
}

func findCertKeys(p *analyze.Pass) []certKey {
	var keys []certKey
	for _, set := range p.ControlSets() {
		for _, k := range []certKey{{termService(set), analyze.EraNT5, false}, {rcm(set), analyze.EraNT6, false}} {
			k.inUse = p.Windows.Era == k.era || p.Windows.Era == analyze.EraUnknown
			keys = append(keys, k)
		}
	}
	return keys
}

// set names the values that Microsoft's article of the key's era deletes
// together: KB329896 for 2000 and 2003, the RD Licensing article for later
// versions. CertificateOld is not among them.
func (k certKey) set() []string {
	if k.era == analyze.EraNT5 {
		return []string{certificate, x509, x509ID}
	}
	return []string{certificate, x509, x509ID, x5092}
}

// same reports whether both mean the same key of the same input.
func (k certKey) same(other certKey) bool { return k.Input == other.Input && k.Path.Equal(other.Path) }

// deleteSet returns the edits that delete the era's set as far as it is there.
// They go together: one deleted alone would leave the rest an orphan.
func (k certKey) deleteSet(rule, reason string) []hive.Edit {
	var edits []hive.Edit
	for _, name := range k.set() {
		if v, ok := k.Value(name); ok {
			edits = append(edits, k.DeleteValue(v, rule, reason))
		}
	}
	return edits
}

// shortPath returns the path of pl without the registry root, as people say it.
func shortPath(pl analyze.Place) string {
	path := pl.Path
	if len(path) > 0 {
		if _, ok := hive.RootName(path[0]); ok {
			path = path[1:]
		}
	}
	return hive.Printable(path.String())
}

// valueList describes values by name, type and size, never by content.
func valueList(pl analyze.Place, values []hive.Value) []analyze.Evidence {
	var list []analyze.Evidence
	for _, v := range values {
		list = append(list, analyze.Evidence{
			{Name: "key", Value: pl.Path.String()}, {Name: "value", Value: v.Name()},
			{Name: "type", Value: v.Type().String()}, {Name: "size", Value: v.Size()},
			{Name: "lastWrite", Value: pl.Key.LastWrite()},
		})
	}
	return list
}
