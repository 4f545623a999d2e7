package cli

import (
	"fmt"
	"slices"
	"strings"

	"hivemend/analyze"
	"hivemend/analyze/rdp"
	"hivemend/hive"
)

// chooseOptions are the flags that widen or narrow what fix repairs.
type chooseOptions struct {
	include    []string
	encryption string
	restore    bool
}

// chosen is what of a machine's findings is repaired.
type chosen struct {
	edits    []hive.Edit
	repaired []analyze.Finding
	left     []analyze.Finding // at any severity, with or without a fix
	// offered says for findings that are left what would repair them.
	offered []string
}

// choose picks the edits of a machine's findings: those that are made by
// default, and those that the flags ask for.
func choose(findings []analyze.Finding, opt chooseOptions) chosen {
	var c chosen
	for i := range findings {
		f := &findings[i]
		edits, offer := editsOf(f, opt)
		if len(edits) == 0 {
			c.left = append(c.left, *f)
			if offer != "" && !slices.Contains(c.offered, offer) {
				c.offered = append(c.offered, offer)
			}
			continue
		}
		c.repaired = append(c.repaired, *f)
		c.edits = append(c.edits, edits...)
	}
	return c
}

// editsOf returns the edits chosen for one finding or, where there are none,
// which flag would bring some.
func editsOf(f *analyze.Finding, opt chooseOptions) (edits []hive.Edit, offer string) {
	if f.Fix == nil {
		return nil, ""
	}
	if opt.restore {
		if edits, ok := f.Fix.Choice(analyze.ChoiceRestore); ok {
			return edits, ""
		}
	}
	if edits, ok := f.Fix.Choice(opt.encryption); ok && opt.encryption != "" {
		return edits, ""
	}
	asked := f.Fix.Default || slices.Contains(opt.include, f.Rule)
	switch {
	case asked && len(f.Fix.Edits) > 0:
		return f.Fix.Edits, ""
	case len(f.Fix.Edits) > 0:
		return nil, fmt.Sprintf("%s is repaired with --include %s", f.Rule, f.Rule)
	case len(f.Fix.Choices) > 0:
		return nil, fmt.Sprintf("%s is repaired with --encryption-level %s or %s", f.Rule, analyze.ChoiceClientCompatible, analyze.ChoiceLow)
	}
	return nil, ""
}

// check makes sure that the flags name what exists.
func (o *chooseOptions) check() error {
	for i, name := range o.include {
		rule := rdp.Find(strings.ToUpper(strings.TrimSpace(name)))
		if rule == nil {
			return fmt.Errorf("--include %q: there is no such rule", name)
		}
		o.include[i] = rule.ID
	}
	if e := o.encryption; e != "" && e != analyze.ChoiceLow && e != analyze.ChoiceClientCompatible {
		return fmt.Errorf("--encryption-level %q: want %s or %s", e, analyze.ChoiceLow, analyze.ChoiceClientCompatible)
	}
	return nil
}

// rescan returns the function that patch asks to look at the patched machine:
// no finding that the plan repairs may be left, and none at warning or above
// may be new. A new note is what is expected: a secret that is left after its
// certificate was deleted, as the articles do it, is one.
func rescan(m *hive.Machine, before analyze.Result, repaired []analyze.Finding, opt analyze.Options) func([]*hive.Input) error {
	return func(after []*hive.Input) error {
		patched := *m
		patched.Inputs = after
		opt.SecondReading = newSecondReader().read
		res := analyze.Run(&patched, rdp.Rules, opt)
		var bad []string
		for i := range res.Findings {
			f := &res.Findings[i]
			same := func(g analyze.Finding) bool { return g.Fingerprint == f.Fingerprint }
			switch {
			case slices.ContainsFunc(repaired, same):
				bad = append(bad, fmt.Sprintf("%s is still there: %s", f.Rule, f.Message))
			case f.Severity >= analyze.Warning && !slices.ContainsFunc(before.Findings, same):
				bad = append(bad, fmt.Sprintf("%s is new: %s", f.Rule, f.Message))
			}
		}
		if len(bad) > 0 {
			return fmt.Errorf("%s", strings.Join(bad, "; "))
		}
		return nil
	}
}
