package analyze

import (
	"fmt"
	"slices"

	"hivemend/hive"
)

// SecondReading asks the independent reader for a value: path is from the
// hive's root. It returns the type and data, whether the value is there at
// all, and an error where the reader could not tell.
type SecondReading func(in *hive.Input, path hive.Path, value string) (typ hive.Type, data []byte, ok bool, err error)

// Pass is what one run of one rule may ask and say.
type Pass struct {
	*Facts
	Rule    *Rule
	Machine *hive.Machine
	// AsOf is the moment against which "stale" is judged; 0 when unknown.
	AsOf hive.FileTime
	// SecondReading is nil where there is no second reader.
	SecondReading SecondReading

	shared     *shared
	candidates []candidate
	notChecked []NotChecked
}

// shared is what the rules of one machine have in common.
type shared struct {
	seen     *seen
	once     map[any]any
	personal []string
	identity Identity
}

// candidate is a reported finding with the control set it is about.
type candidate struct {
	Finding
	set     string
	inScope bool
}

// Once returns what compute returned when it was first called with this key
// for this machine: how rules share decoded values.
func (p *Pass) Once(key any, compute func() any) any {
	if v, ok := p.shared.once[key]; ok {
		return v
	}
	v := compute()
	p.shared.once[key] = v
	return v
}

// LastLife returns the newest moment that the machine's hives know of: when it
// was last shut down, when a key was last written, and the times of the base
// blocks. 0 where they know none, as .reg text does.
func (p *Pass) LastLife() hive.FileTime {
	return p.Once(lastLifeKey{}, func() any { return lastLife(p.Machine, p.Facts) }).(hive.FileTime)
}

type lastLifeKey struct{}

// Personal notes a name of a person, machine or company that stands in a
// message or in evidence, for reports that must not show such names.
func (p *Pass) Personal(names ...string) {
	for _, name := range names {
		if name != "" && !slices.Contains(p.shared.personal, name) {
			p.shared.personal = append(p.shared.personal, name)
		}
	}
}

// IdentifyHardware notes the SHA-256, in hex, of a healthy hardware identifier.
func (p *Pass) IdentifyHardware(sum string) { note(&p.shared.identity.HardwareIDs, sum) }

// IdentifyKey notes the SHA-256, in hex, of the public key of a healthy
// certificate that the machine made for itself.
func (p *Pass) IdentifyKey(sum string) { note(&p.shared.identity.CertificateKeys, sum) }

func note(list *[]string, s string) {
	if !slices.Contains(*list, s) {
		*list = append(*list, s)
	}
}

// Roots returns the trees of that kind that the machine has.
func (p *Pass) Roots(kind hive.Kind) []Place { return roots(p.Machine, kind, p.shared.seen) }

// ControlSets returns every control set of every SYSTEM tree: of each tree
// first the current one, then the one that boots next where that is another
// one, then those that are only looked at (in scope with AllSets).
func (p *Pass) ControlSets() []Place {
	return p.Once(controlSetsKey{}, func() any {
		var places []Place
		for _, sys := range p.Systems {
			places = append(places, sys.sets(p.AllSets)...)
		}
		return places
	}).([]Place)
}

// controlSetsKey is what ControlSets keeps its answer under.
type controlSetsKey struct{}

// New returns a finding of the rule, with its severity and references and with
// high confidence.
func (p *Pass) New(at *Location) Finding {
	return Finding{
		Rule: p.Rule.ID, Severity: p.Rule.Severity, Confidence: High,
		Location: at, References: p.Rule.References,
	}
}

// Report takes a finding about something at pl. Findings about control sets
// other than the first are folded into the first one's: their edits are added
// and evidence.alsoPresent names them.
func (p *Pass) Report(pl Place, f Finding) {
	f.Fingerprint = Fingerprint(p.Computer, &f)
	f.ManualSteps = append([]string{}, f.ManualSteps...)
	f.References = append([]string{}, f.References...)
	f.Fix = f.Fix.whole()
	p.candidates = append(p.candidates, candidate{f, pl.Set, pl.InScope || pl.Set == ""})
}

// ReportMachine takes a finding that is about no one place.
func (p *Pass) ReportMachine(f Finding) { p.Report(Place{InScope: true}, f) }

// NotChecked says that the rule could not look at something, and why.
func (p *Pass) NotChecked(format string, args ...any) {
	nc := NotChecked{p.Rule.ID, fmt.Sprintf(format, args...)}
	if !slices.Contains(p.notChecked, nc) {
		p.notChecked = append(p.notChecked, nc)
	}
}

// ReadKeys reports whether a rule has looked at the key of in with that path
// from the hive's root, at a key above it on the way to one, or at one below.
func (p *Pass) ReadKeys(in *hive.Input, path hive.Path) bool {
	return p.shared.seen.touched(in, path)
}

// ReadValues calls yield for every value that rules have looked for in the
// machine's inputs, with the value's key and name, until it returns false.
func (p *Pass) ReadValues(yield func(pl Place, name string) bool) {
	for _, v := range p.shared.seen.values {
		if !yield(v.place, v.name) {
			return
		}
	}
}

// folded returns the findings of a pass, those about several control sets
// folded into one, and without those that only stand in sets out of scope.
func (p *Pass) folded() []Finding {
	var kept []candidate
	for _, c := range p.candidates {
		if i := sameElsewhere(kept, c); i >= 0 {
			kept[i].fold(c)
		} else if c.inScope {
			kept = append(kept, c)
		}
	}
	findings := make([]Finding, len(kept))
	for i, c := range kept {
		findings[i] = c.Finding
	}
	return findings
}

// sameElsewhere returns the index of the finding that says of another control
// set what c says of its own, or -1. In a set that is only looked at, another
// cause is the same finding.
func sameElsewhere(kept []candidate, c candidate) int {
	if c.set == "" || c.Location == nil {
		return -1
	}
	return slices.IndexFunc(kept, func(k candidate) bool {
		return k.set != "" && k.set != c.set && k.Location != nil && k.Location.Input == c.Location.Input &&
			(k.Fingerprint == c.Fingerprint || !c.inScope && samePlace(k.Location, c.Location))
	})
}

func samePlace(a, b *Location) bool {
	return a.HasValue == b.HasValue && hive.EqualFold(a.Value, b.Value) && anyControlSet(a.Key).Equal(anyControlSet(b.Key))
}

// fold takes c, the same finding in another control set, into k.
func (k *candidate) fold(c candidate) {
	names, _ := k.Evidence.Get("alsoPresent").([]string)
	if slices.Contains(names, c.set) {
		return
	}
	k.Evidence = slices.Clone(k.Evidence)
	k.Evidence.Set("alsoPresent", append(slices.Clone(names), c.set))
	if !c.inScope {
		return
	}
	k.Message += " The same stands in " + c.set + "."
	if k.Fix == nil || c.Fix == nil {
		return
	}
	fix := *k.Fix
	fix.Edits = append(slices.Clone(fix.Edits), c.Fix.Edits...)
	fix.Choices = slices.Clone(fix.Choices)
	for i, choice := range fix.Choices {
		edits, ok := c.Fix.Choice(choice.Name)
		if !ok {
			edits = c.Fix.Edits
		}
		fix.Choices[i].Edits = append(slices.Clone(choice.Edits), edits...)
	}
	k.Fix = &fix
}
