package rdp

import (
	"fmt"
	"slices"
	"strings"

	"hivemend/analyze"
	"hivemend/analyze/internal/verdict"
	"hivemend/hive"
)

var residue = &analyze.Rule{
	ID:         "RESIDUE",
	Explain:    page("RESIDUE"),
	Severity:   analyze.Warning,
	Title:      "Something that a failed repair left behind",
	Needs:      []hive.Kind{hive.System},
	References: []string{kbCertificates},
	Run:        runResidue,
}

func runResidue(p *analyze.Pass) {
	for _, sys := range p.Systems {
		if sys.Root.Input.Kind == hive.Regf {
			phantomCurrent(p, sys)
			phantomSets(p, sys)
		}
	}
	for _, key := range certKeys(p) {
		localizedNames(p, key)
		pastedText(p, key)
	}
	for _, set := range p.ControlSets() {
		strayGrace(p, rcm(set).Sub("GracePeriod"))
	}
}

// phantomCurrent finds a real key where Windows only ever has a link in memory.
func phantomCurrent(p *analyze.Pass, sys analyze.System) {
	at := sys.Root.Sub("CurrentControlSet")
	if !at.Exists() || isLink(at) {
		return
	}
	f := p.New(at.LocateKey())
	f.Evidence.Set("cause", "phantom-currentcontrolset")
	f.Evidence.Set("used", sys.Sets.Current.Name)
	f.Message = fmt.Sprintf("%s is a real key in this hive. In memory that name is a link to the control set in use, so Windows never reads this key; an offline tool took a live path literally, and its change had no effect.", shortPath(at))
	f.Fix = &analyze.Fix{Edits: []hive.Edit{at.DeleteKey(p.Rule.ID, "Windows never reads this key")}}
	f.ManualSteps = []string{"Look at what the key holds: it shows what someone meant to change. Delete it once that is understood."}
	p.Report(at, f)
}

// symLink is the flag of a key that is a symbolic link.
const symLink = 0x0010

func isLink(at analyze.Place) bool {
	_, ok := at.Value("SymbolicLinkValue")
	return ok || at.Key.Flags()&symLink != 0
}

// fewServices is fewer services than any Windows has: Windows 2000 has more
// than a hundred.
const fewServices = 10

// phantomSets finds control sets that no Windows made: Select does not name
// them, and they lack what every control set has.
func phantomSets(p *analyze.Pass, sys analyze.System) {
	if !sys.Sets.Select.Key.Valid() {
		return
	}
	for _, set := range sys.Sets.All {
		at := sys.Root.Sub(set.Name)
		if namedBySelect(sys.Sets.Select, set.Number) || !nearEmpty(at) {
			continue
		}
		f := p.New(at.LocateKey())
		f.Evidence.Set("cause", "phantom-controlset")
		f.Message = fmt.Sprintf("%s has next to nothing of a control set, and Select does not name it: a script wrote to it without looking. Windows never starts from it.", shortPath(at))
		f.Fix = &analyze.Fix{Edits: []hive.Edit{at.DeleteKey(p.Rule.ID, "no Windows made this control set, and none uses it")}}
		p.Report(at, f)
	}
}

func namedBySelect(sel hive.Select, n uint32) bool {
	for _, named := range []*uint32{sel.Current, sel.Default, sel.Failed, sel.LastKnownGood} {
		if named != nil && *named == n {
			return true
		}
	}
	return false
}

func nearEmpty(set analyze.Place) bool {
	if !set.Sub("Control", "Session Manager").Absent() {
		return false
	}
	services := set.Sub("Services")
	n := 0
	for range services.Subkeys() {
		n++
	}
	return n < fewServices && !services.Unknown()
}

// localizedWords are how machine-translated articles spell "certificate" in
// the names of the values.
var localizedWords = []string{"CERTIFICATO", "CERTIFICADO", "CERTIFICAT", "ZERTIFIKAT", "CERTIFICAAT", "CERTIFIKAT", "СЕРТИФИКАТ", "证书", "憑證", "証明書", "인증서"}

// isLocalized reports whether a value is named as a translated article names
// one of the set: the translated word alone, or with X509 and ID around it.
func isLocalized(name string) bool {
	folded := hive.Fold(name)
	for _, word := range localizedWords {
		rest, found := strings.CutSuffix(folded, "ID")
		if !found {
			rest = folded
		}
		rest = strings.ReplaceAll(strings.TrimSuffix(strings.TrimSpace(rest), "2"), " ", "")
		rest = strings.ReplaceAll(rest, ".", "")
		if rest == word || rest == "X509"+word || rest == word+"X509" {
			return true
		}
	}
	return false
}

func localizedNames(p *analyze.Pass, key certKey) {
	for v := range key.Values() {
		if !isLocalized(v.Name()) {
			continue
		}
		f := p.New(key.LocateValue(v))
		f.Evidence.Set("cause", "localized-value-name")
		f.Message = fmt.Sprintf("%s in %s is a translated name from a machine-translated article. Windows reads the English name only, so what was done to this value had no effect.", label(v.Name()), shortPath(key.Place))
		f.Fix = &analyze.Fix{Default: true, Edits: []hive.Edit{key.DeleteValue(v, p.Rule.ID, "Windows never reads a value of that name")}}
		p.Report(key.Place, f)
	}
}

// pastedText finds values of the set that hold hexadecimal text where bytes
// are due.
func pastedText(p *analyze.Pass, key certKey) {
	for _, name := range append(key.set(), certificateOld) {
		v, ok := key.Value(name)
		if !ok || v.Type() != hive.RegSZ {
			continue
		}
		if text, err := v.Text(); err != nil || !isHexText(text) {
			continue
		}
		f := p.New(key.LocateValue(v))
		f.Evidence.Set("cause", "text-pasted-value")
		f.Message = fmt.Sprintf("%s in %s holds hexadecimal text where bytes are due: someone typed or pasted an exported value into a string.", label(v.Name()), shortPath(key.Place))
		f.Fix = &analyze.Fix{Default: key.inUse, Edits: []hive.Edit{key.DeleteValue(v, p.Rule.ID, "text stands where bytes are due; Windows makes a new value")}}
		if i := damagedIndex(p, key, v); i >= 0 {
			// The same edits as the finding about the damage: the set goes together.
			f.Fix = certificateFix(p, proprietary(p)[i])
			f.Evidence.Set("givenWith", certCorrupt.ID)
		}
		p.Report(key.Place, f)
	}
}

// damagedIndex returns the index among the decoded certificates of the one
// that v holds, where its type is what is wrong with it and it counts; else -1.
func damagedIndex(p *analyze.Pass, key certKey, v hive.Value) int {
	return slices.IndexFunc(proprietary(p), func(pv propValue) bool {
		return key.inUse && pv.fault.Cause == verdict.Type && pv.key.same(key) && hive.EqualFold(pv.value.Name(), v.Name())
	})
}

// isHexText reports whether text is a run of at least eight bytes in
// hexadecimal, with or without what .reg files put around and between them.
func isHexText(text string) bool {
	text = strings.TrimPrefix(strings.ToLower(strings.TrimSpace(text)), "hex:")
	digits := strings.NewReplacer(",", "", " ", "", "\t", "", "\\", "", "\r", "", "\n", "").Replace(text)
	return len(digits) >= 16 && len(digits)%2 == 0 && strings.Trim(digits, "0123456789abcdef") == ""
}

// strayGrace finds the value that a widespread script makes when it means to
// reset the grace period: PowerShell expands $RTMTIMEBOMB in double quotes to
// nothing, and a value named L is what is left. It is never edited.
func strayGrace(p *analyze.Pass, at analyze.Place) {
	for v := range at.Values() {
		if !hive.EqualFold(v.Name(), "L") {
			continue
		}
		f := p.New(at.LocateMissing(v.Name()))
		f.Confidence = analyze.Medium
		f.Evidence.Set("cause", "grace-stray-value")
		f.Evidence.Set("values", valueList(at, []hive.Value{v}))
		f.Message = fmt.Sprintf("%s holds a value named L, which a script leaves that means to reset the grace period and fails. The key is never edited here, by any flag.", shortPath(at))
		f.ManualSteps = []string{"Configure licensing instead of resetting the grace period, which is not supported."}
		p.Report(at, f)
	}
}
