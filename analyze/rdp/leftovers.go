package rdp

import (
	"fmt"
	"strings"

	"hivemend/analyze"
	"hivemend/hive"
)

var keyMisspelt = &analyze.Rule{
	ID:         "TS-KEY-MISSPELT",
	Explain:    page("TS-KEY-MISSPELT"),
	Severity:   analyze.Note,
	Title:      "Values under Services\\TermServices, which Windows never reads",
	Needs:      []hive.Kind{hive.System},
	References: []string{kbCertificates, "TechNet cc757541"},
	Run:        runMisspelt,
}

var keyLeftover = &analyze.Rule{
	ID:         "TS-KEY-LEFTOVER",
	Explain:    page("TS-KEY-LEFTOVER"),
	Severity:   analyze.Note,
	Title:      "Certificates at the place of another version of Windows",
	Needs:      []hive.Kind{hive.System},
	References: []string{kbCertificates, docNoServers},
	Run:        runLeftover,
}

var secretUnpaired = &analyze.Rule{
	ID:         "TS-SECRET-UNPAIRED",
	Explain:    page("TS-SECRET-UNPAIRED"),
	Severity:   analyze.Note,
	Title:      "A certificate and its private key do not stand together",
	Needs:      []hive.Kind{hive.System},
	References: []string{"MS-RDPBCGR 5.3.3.1"},
	Run:        runSecrets,
}

func runMisspelt(p *analyze.Pass) {
	for _, set := range p.ControlSets() {
		misspelt := set.Sub("Services", "TermServices")
		for _, at := range []analyze.Place{misspelt, misspelt.Sub("Parameters")} {
			var values []hive.Value
			for v := range at.Values() {
				values = append(values, v)
			}
			if len(values) == 0 {
				continue
			}
			f := p.New(at.LocateValue(values[0]))
			f.Evidence.Set("cause", "misspelt")
			f.Evidence.Set("values", valueList(at, values[:min(len(values), maxListed)]))
			f.Message = fmt.Sprintf("%s holds %s, but Windows never reads that key: the real one is TermService, without the last s. The name is a misprint in a Microsoft page, so a repair by that page had no effect.", shortPath(at), plural(len(values), "value"))
			p.Report(at, f)
		}
	}
}

func runLeftover(p *analyze.Pass) {
	for _, key := range certKeys(p) {
		if key.inUse {
			continue
		}
		var values []hive.Value
		for _, name := range append(key.set(), certificateOld) {
			if v, ok := key.Value(name); ok && !listedValue(values, v) {
				values = append(values, v)
			}
		}
		if len(values) > 0 {
			p.Report(key.Place, leftover(p, key, values))
		}
	}
}

func listedValue(values []hive.Value, v hive.Value) bool {
	for _, have := range values {
		if hive.EqualFold(have.Name(), v.Name()) {
			return true
		}
	}
	return false
}

func leftover(p *analyze.Pass, key certKey, values []hive.Value) analyze.Finding {
	f := p.New(key.LocateValue(values[0]))
	f.Evidence.Set("cause", "leftover")
	f.Evidence.Set("windows", p.Windows.Name())
	list := valueList(key.Place, values)
	for i, v := range values {
		if damage := damageOf(p, key, v); damage != "" {
			list[i].Set("damage", damage)
		}
	}
	f.Evidence.Set("values", list)
	var names []string
	for _, v := range values {
		names = append(names, v.Name())
	}
	f.Message = fmt.Sprintf("%s holds %s, but %s does not read certificates there: they were left behind by an upgrade or by a repair meant for another version.", shortPath(key.Place), strings.Join(names, ", "), p.Windows.Name())
	return f
}

// damageOf names the cause for which the value would be a finding of its own,
// were it in use.
func damageOf(p *analyze.Pass, key certKey, v hive.Value) string {
	for _, pv := range proprietary(p) {
		if pv.key.same(key) && hive.EqualFold(pv.value.Name(), v.Name()) {
			return string(pv.fault.Cause)
		}
	}
	for _, cv := range chains(p) {
		if cv.key.same(key) && hive.EqualFold(cv.value.Name(), v.Name()) && cv.err == nil && cv.judged() {
			return string(cv.fault.Cause)
		}
	}
	return ""
}

// secretPairs are the certificates and the names that the secrets with their
// private keys begin with. Which goes with which is inferred from the sizes of
// the secrets in real hives.
var secretPairs = []struct{ value, secret string }{
	{certificate, "L$HYDRAENCKEY_28ada6da"},
	{certificateOld, "L$HYDRAENCKEY_52d1ad03"},
}

func runSecrets(p *analyze.Pass) {
	for _, key := range certKeys(p) {
		if !key.inUse {
			continue
		}
		names, ok := secretNames(p, key)
		if !ok {
			if _, has := key.Value(certificate); has && key.InScope {
				p.NotChecked("the secrets that go with %s are not in what was given", shortPath(key.Place))
			}
			continue
		}
		for _, pair := range secretPairs {
			if pair.value == certificateOld && key.era == analyze.EraNT5 {
				continue
			}
			if f, found := unpaired(p, key, pair.value, pair.secret, names); found {
				p.Report(key.Place, f)
			}
		}
	}
}

// secretNames returns the names of the secrets that go with a key: RCM\Secrets
// of the newer versions, or the LSA secrets in the SECURITY hive. The secrets
// themselves are never read.
func secretNames(p *analyze.Pass, key certKey) ([]string, bool) {
	var names []string
	if key.era == analyze.EraNT6 {
		secrets := key.Sub("Secrets")
		for v := range secrets.Values() {
			names = append(names, v.Name())
		}
		return names, secrets.Exists() && secrets.Key.Complete()
	}
	found := false
	for _, root := range p.Roots(hive.Security) {
		secrets := root.Sub("Policy", "Secrets")
		found = found || secrets.Exists()
		for sub := range secrets.Subkeys() {
			names = append(names, sub.Key.Name())
		}
	}
	return names, found
}

func unpaired(p *analyze.Pass, key certKey, value, prefix string, names []string) (analyze.Finding, bool) {
	secret := ""
	for _, name := range names {
		if strings.HasPrefix(hive.Fold(name), hive.Fold(prefix)) {
			secret = name
		}
	}
	v, has := key.Value(value)
	switch {
	case has && secret == "":
		f := p.New(key.LocateValue(v))
		f.Confidence = analyze.Low
		f.Evidence.Set("cause", "secret-missing")
		f.Evidence.Set("secret", prefix)
		f.Message = fmt.Sprintf("%s stands in %s, but no secret whose name begins with %s: the private key for it may be lost.", label(v.Name()), shortPath(key.Place), prefix)
		return f, true
	case !has && secret != "" && key.ValueAbsent(value):
		f := p.New(key.LocateMissing(value))
		f.Confidence = analyze.Low
		f.Evidence.Set("cause", "certificate-missing")
		f.Evidence.Set("secret", secret)
		f.Message = fmt.Sprintf("The secret %s is there, but %s in %s is not. That is expected after the documented deletion: Windows makes a new pair at the next start.", hive.Printable(secret), label(value), shortPath(key.Place))
		return f, true
	}
	return analyze.Finding{}, false
}
