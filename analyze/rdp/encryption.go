package rdp

import (
	"encoding/binary"
	"fmt"

	"hivemend/analyze"
	"hivemend/hive"
)

var encryptionInvalid = &analyze.Rule{
	ID:         "RDP-ENCRYPTION-INVALID",
	Explain:    page("RDP-ENCRYPTION-INVALID"),
	Severity:   analyze.Warning,
	Title:      "A listener's encryption level cannot be",
	Needs:      []hive.Kind{hive.System},
	References: []string{kbMismatch, "Win32_TSGeneralSetting.SetSecurityLayer"},
	Run:        runEncryptionInvalid,
}

var encryptionLevel = &analyze.Rule{
	ID:         "RDP-ENCRYPTION-LEVEL",
	Explain:    page("RDP-ENCRYPTION-LEVEL"),
	Severity:   analyze.Note,
	Title:      "A high encryption level may keep clients out",
	Needs:      []hive.Kind{hive.System},
	References: []string{kbMismatch, "MS-RDPBCGR 5.3.2.1"},
	Run:        runEncryptionLevel,
}

const (
	minEncryptionLevel = "MinEncryptionLevel"
	securityLayer      = "SecurityLayer"
)

// The encryption levels. Windows 2000 calls 1 to 3 Low, Medium and High.
const (
	levelLow = iota + 1
	levelClientCompatible
	levelHigh
	levelFIPS
)

// listeners returns the listeners below WinStations: every subkey that has a
// driver, but for the console, which nothing connects to.
func listeners(set analyze.Place) []analyze.Place {
	var list []analyze.Place
	for sub := range winStations(set).Subkeys() {
		if hive.EqualFold(sub.Key.Name(), "Console") {
			continue
		}
		_, wd := sub.Value("WdName")
		_, pd := sub.Value("PdName")
		if wd || pd || hive.EqualFold(sub.Key.Name(), "RDP-Tcp") {
			list = append(list, sub)
		}
	}
	return list
}

// override is a setting that wins over a listener's own encryption level.
type override struct {
	source string // "policy" or "fips"
	level  uint32
	at     analyze.Place
	value  hive.Value
}

// fips returns the FIPS policy where it is on. It wins over everything.
func fips(set analyze.Place) (override, bool) {
	lsa := set.Sub("Control", "Lsa")
	for _, at := range []struct {
		place analyze.Place
		name  string
	}{{lsa.Sub("FipsAlgorithmPolicy"), "Enabled"}, {lsa, "FipsAlgorithmPolicy"}} {
		if n, ok := at.place.DWORD(at.name); ok && n == 1 {
			v, _ := at.place.Value(at.name)
			return override{"fips", levelFIPS, at.place, v}, true
		}
	}
	return override{}, false
}

// levelPolicy returns the Group Policy for the encryption level, if it is set.
func levelPolicy(p *analyze.Pass) (override, bool) {
	for _, root := range p.Roots(hive.Software) {
		at := policies(root)
		if n, ok := at.DWORD(minEncryptionLevel); ok {
			v, _ := at.Value(minEncryptionLevel)
			return override{"policy", n, at, v}, true
		}
	}
	return override{}, false
}

// overrideOf returns what wins over the listeners' own levels in that control set.
func overrideOf(p *analyze.Pass, set analyze.Place) (override, bool) {
	if o, ok := fips(set); ok {
		return o, true
	}
	return levelPolicy(p)
}

// setLevel is the edit that gives a listener that encryption level.
func setLevel(at analyze.Place, level uint32, rule, reason string) hive.Edit {
	return at.SetValue(minEncryptionLevel, hive.RegDWORD, binary.LittleEndian.AppendUint32(nil, level), rule, reason)
}

func levelName(p *analyze.Pass, level uint32) string {
	names := map[uint32]string{levelLow: "Low", levelClientCompatible: "Client Compatible", levelHigh: "High", levelFIPS: "FIPS Compliant"}
	if p.Windows.Version == "5.0" {
		names[levelClientCompatible] = "Medium"
	}
	if name, ok := names[level]; ok {
		return name
	}
	return "none that Windows knows"
}

func runEncryptionInvalid(p *analyze.Pass) {
	for _, set := range p.ControlSets() {
		for _, at := range listeners(set) {
			notePolicyUnseen(p)
			if f, bad := invalidLevel(p, set, at); bad {
				p.Report(at, f)
			}
		}
	}
}

// notePolicyUnseen says that the setting that wins may lie in a hive that was
// not given.
func notePolicyUnseen(p *analyze.Pass) {
	if len(p.Roots(hive.Software)) == 0 {
		p.NotChecked("no SOFTWARE hive was given, so a policy that overrides the encryption level would not be seen")
	}
}

// invalidLevel judges one listener: a level outside 1 to 4, or Low together
// with a security layer of TLS alone, which SetSecurityLayer refuses.
func invalidLevel(p *analyze.Pass, set, at analyze.Place) (analyze.Finding, bool) {
	v, ok := at.Value(minEncryptionLevel)
	if !ok {
		return analyze.Finding{}, false
	}
	f := p.New(at.LocateValue(v))
	level, err := v.DWORD()
	layer, hasLayer := at.DWORD(securityLayer)
	switch {
	case err != nil:
		f.Confidence = analyze.Medium
		f.Evidence.Set("cause", "level")
		f.Message = fmt.Sprintf("%s in %s is no number: %v.", label(v.Name()), shortPath(at), err)
	case level < levelLow || level > levelFIPS:
		f.Evidence.Set("cause", "level")
		f.Evidence.Set("level", level)
		f.Message = fmt.Sprintf("%s in %s is %d; Windows knows 1 to 4.", label(v.Name()), shortPath(at), level)
	case level == levelLow && hasLayer && layer == 2:
		f.Evidence.Set("cause", "layer")
		f.Evidence.Set("level", level)
		f.Evidence.Set("securityLayer", layer)
		f.Message = fmt.Sprintf("%s in %s is Low (1) while %s demands TLS (2): the two exclude each other, and Windows logs event 1050 and corrects them as it likes.", label(v.Name()), shortPath(at), securityLayer)
	default:
		return analyze.Finding{}, false
	}
	f.Message += " Clients may be refused or connect less protected than intended."
	if o, wins := overrideOf(p, set); wins {
		noteOverride(&f, o)
		return f, true
	}
	f.Fix = &analyze.Fix{Default: true, Edits: []hive.Edit{setLevel(at, levelClientCompatible, p.Rule.ID, "the level cannot be; 2 (Client Compatible) suits most clients")}}
	f.ManualSteps = []string{"The setting holds from the next connection on. Choose High afterwards if every client can do it."}
	return f, true
}

// noteOverride says that changing the listener would change nothing.
func noteOverride(f *analyze.Finding, o override) {
	path := o.at.Path.String() + `\` + o.value.Name()
	f.Evidence.Set("overriddenBy", o.source)
	f.Evidence.Set("policyPath", path)
	f.Message += fmt.Sprintf(" %s wins over it, so a change here would have no effect.", hive.Printable(path))
	f.ManualSteps = []string{"Change the policy at its source: " + hive.Printable(path) + " is written again from there."}
}

func runEncryptionLevel(p *analyze.Pass) {
	for _, set := range p.ControlSets() {
		if o, wins := overrideOf(p, set); wins {
			if o.level == levelHigh || o.level == levelFIPS {
				p.Report(o.at, overriddenLevel(p, set, o))
			}
			continue
		}
		for _, at := range listeners(set) {
			notePolicyUnseen(p)
			if level, ok := at.DWORD(minEncryptionLevel); ok && mayMismatch(at, level) {
				p.Report(at, highLevel(p, at, level))
			}
		}
	}
}

// mayMismatch reports whether a listener's own level may keep clients out.
// EH-Tcp is shipped with High.
func mayMismatch(at analyze.Place, level uint32) bool {
	if isEHTcp(at) && level == levelHigh {
		return false
	}
	return level == levelHigh || level == levelFIPS
}

func isEHTcp(at analyze.Place) bool { return hive.EqualFold(at.Key.Name(), "EH-Tcp") }

const mismatch = " A client that cannot do that is refused, with event 50 from TermDD; without such events this is ordinary hardening."

func highLevel(p *analyze.Pass, at analyze.Place, level uint32) analyze.Finding {
	v, _ := at.Value(minEncryptionLevel)
	f := p.New(at.LocateValue(v))
	f.Confidence = analyze.Low
	f.Evidence.Set("cause", "local")
	addLevel(p, &f, at, level)
	f.Message = fmt.Sprintf("The encryption level of %s is %s (%d).", shortPath(at), levelName(p, level), level) + mismatch
	if !isEHTcp(at) {
		reason := "asked for by --encryption-level"
		f.Fix = &analyze.Fix{Choices: []analyze.Choice{
			{Name: analyze.ChoiceLow, Edits: []hive.Edit{setLevel(at, levelLow, p.Rule.ID, reason)}},
			{Name: analyze.ChoiceClientCompatible, Edits: []hive.Edit{setLevel(at, levelClientCompatible, p.Rule.ID, reason)}},
		}}
	}
	f.ManualSteps = encryptionSteps(p)
	return f
}

func overriddenLevel(p *analyze.Pass, set analyze.Place, o override) analyze.Finding {
	f := p.New(o.at.LocateValue(o.value))
	f.Confidence = analyze.Low
	f.Evidence.Set("cause", o.source)
	f.Evidence.Set("level", o.level)
	f.Evidence.Set("levelName", levelName(p, o.level))
	names := []string{}
	for _, at := range listeners(set) {
		names = append(names, at.Key.Name())
	}
	f.Evidence.Set("listeners", names)
	what := "Group Policy"
	if o.source == "fips" {
		what = "The FIPS policy"
	}
	f.Message = fmt.Sprintf("%s sets the encryption level of every listener to %s (%d).", what, levelName(p, o.level), o.level) + mismatch
	noteOverride(&f, o)
	f.ManualSteps = append(f.ManualSteps, encryptionSteps(p)...)
	return f
}

func addLevel(p *analyze.Pass, f *analyze.Finding, at analyze.Place, level uint32) {
	f.Evidence.Set("listener", at.Key.Name())
	f.Evidence.Set("level", level)
	f.Evidence.Set("levelName", levelName(p, level))
	if layer, ok := at.DWORD(securityLayer); ok {
		f.Evidence.Set("securityLayer", layer)
		if layer == 2 {
			f.Evidence.Set("tls", "TLS is demanded, so this level is not used on the wire")
		}
	}
}
