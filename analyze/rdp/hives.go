package rdp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"hivemend/analyze"
	"hivemend/hive"
)

var hiveDamaged = &analyze.Rule{
	ID:       "HIVE-DAMAGED",
	Explain:  page("HIVE-DAMAGED"),
	Severity: analyze.Error,
	Title:    "The hive itself is damaged",
	Last:     true,
	Run:      runHiveDamaged,
}

var hiveUnreplayed = &analyze.Rule{
	ID:       "HIVE-UNREPLAYED",
	Explain:  page("HIVE-UNREPLAYED"),
	Severity: analyze.Warning,
	Title:    "Changes are pending in logs that are missing or cannot be used",
	Run:      runHiveUnreplayed,
}

var hiveDisagreement = &analyze.Rule{
	ID:       "HIVE-DISAGREEMENT",
	Explain:  page("HIVE-DISAGREEMENT"),
	Severity: analyze.Error,
	Title:    "Two readers see different bytes in a value that matters",
	Last:     true,
	Run:      runHiveDisagreement,
}

// maxListed bounds the lists in evidence; the counts beside them are whole.
const maxListed = 20

// loss returns the defects that cost something: those that Windows heals by
// throwing data away, or for which it refuses the hive.
func loss(in *hive.Input) []hive.Issue {
	var issues []hive.Issue
	for _, issue := range in.Issues {
		if issue.Damage >= hive.DamageLoss {
			issues = append(issues, issue)
		}
	}
	return issues
}

func runHiveDamaged(p *analyze.Pass) {
	for _, in := range p.Machine.Inputs {
		if issues := loss(in); len(issues) > 0 {
			p.ReportMachine(damagedHive(p, in, issues))
		}
	}
}

func damagedHive(p *analyze.Pass, in *hive.Input, issues []hive.Issue) analyze.Finding {
	f := p.New(&analyze.Location{Input: in.Path, FileOffset: max(issues[0].Offset, 0)})
	f.Severity = analyze.Warning
	touched := firstTouched(p, in, issues)
	if touched != nil {
		f.Severity = analyze.Error
		f.Location.FileOffset = max(touched.Offset, 0)
		f.Location.Key = prefixOf(in).Join(touched.Key...)
	}
	f.Evidence.Set("cause", worst(issues).String())
	f.Evidence.Set("defects", len(issues))
	f.Evidence.Set("touchesJudgedKeys", touched != nil)
	f.Evidence.Set("issues", issueEvidence(issues))
	f.Message = fmt.Sprintf("%s has %s of the kind that costs data or keeps Windows from loading it; the first is %s at offset %#x: %s.", in.Path, plural(len(issues), "defect"), issues[0].Code, issues[0].Offset, issues[0].Detail)
	if touched != nil {
		f.Message += fmt.Sprintf(" One lies at a key that is judged here (%s), so what is missing there may be damage and not absence.", hive.Printable(touched.Key.String()))
	} else {
		f.Message += " None lies at a key that is judged here."
	}
	f.ManualSteps = []string{
		"Keep the damaged hive as it is: it is the evidence.",
		"See every defect with `hivemend check`, and rebuild what can be rebuilt with `hivemend repair`, which says exactly what was lost.",
		"Compare with an older copy (RegBack, a backup, a shadow copy) before the repaired hive is used.",
	}
	return f
}

// firstTouched returns the first defect at a key that rules have looked at, on
// the way to one, or below one; nil where none is.
func firstTouched(p *analyze.Pass, in *hive.Input, issues []hive.Issue) *hive.Issue {
	for i := range issues {
		if issues[i].Key != nil && p.ReadKeys(in, issues[i].Key) {
			return &issues[i]
		}
	}
	return nil
}

func worst(issues []hive.Issue) hive.Damage {
	damage := hive.DamageInfo
	for _, issue := range issues {
		damage = max(damage, issue.Damage)
	}
	return damage
}

func issueEvidence(issues []hive.Issue) []analyze.Evidence {
	var list []analyze.Evidence
	for _, issue := range issues[:min(len(issues), maxListed)] {
		e := analyze.Evidence{{Name: "code", Value: issue.Code}, {Name: "severity", Value: issue.Damage.String()}, {Name: "offset", Value: issue.Offset}}
		if issue.Key != nil {
			e.Set("key", issue.Key.String())
		}
		e.Set("detail", issue.Detail)
		if issue.Effect != "" {
			e.Set("effect", issue.Effect)
		}
		list = append(list, e)
	}
	return list
}

// prefixOf returns where the hive in that input stands in the registry.
func prefixOf(in *hive.Input) hive.Path {
	if len(in.Mounts) == 1 {
		return in.Mounts[0].Prefix
	}
	return in.Hive.Prefix()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func runHiveUnreplayed(p *analyze.Pass) {
	for _, in := range p.Machine.Inputs {
		if in.Kind == hive.Regf && unreplayed(in) {
			p.ReportMachine(unreplayedHive(p, in))
		}
	}
}

// unreplayed reports whether changes are pending that were not applied. A hive
// that is damaged as well is known by its logs or by the codes for being dirty.
func unreplayed(in *hive.Input) bool {
	switch in.State {
	case hive.Dirty:
		return true
	case hive.Replayed:
		return in.Replay != nil && in.Replay.Stopped != ""
	case hive.Damaged:
		return in.Replay != nil && in.Replay.Entries == 0 || hasIssue(in, "BB03")
	}
	return false
}

func hasIssue(in *hive.Input, code string) bool {
	for _, issue := range in.Issues {
		if issue.Code == code {
			return true
		}
	}
	return false
}

func unreplayedHive(p *analyze.Pass, in *hive.Input) analyze.Finding {
	f := p.New(&analyze.Location{Input: in.Path})
	issues := loss(in)
	f.Evidence.Set("cause", "logs-missing")
	why := "its transaction logs were not given"
	if in.Replay != nil && (len(in.Replay.Logs) > 0 || in.Replay.Stopped != "") {
		f.Evidence.Set("cause", "logs-unusable")
		why = "its transaction logs cannot be used"
		if in.Replay.Entries > 0 {
			f.Evidence.Set("cause", "logs-incomplete")
			why = fmt.Sprintf("its transaction logs could be applied only in part (entries applied: %d)", in.Replay.Entries)
		}
		if in.Replay.Stopped != "" {
			why += " (" + in.Replay.Stopped + ")"
			f.Evidence.Set("stopped", in.Replay.Stopped)
		}
	}
	f.Evidence.Set("sound", len(issues) == 0)
	f.Message = fmt.Sprintf("%s was not closed properly and %s, so what was pending is unknown: Windows may have seen other values than these.", in.Path, why)
	if len(issues) == 0 {
		f.Severity = analyze.Note
		f.Message += " What lies there is sound in itself."
	}
	f.ManualSteps = []string{
		"Collect the files of the same name ending in .LOG, .LOG1 and .LOG2 from the same folder and scan again with them beside the hive.",
		"Without them the hive is not edited unless that is forced.",
	}
	return f
}

func runHiveDisagreement(p *analyze.Pass) {
	if p.SecondReading == nil {
		p.NotChecked("no hive was sound enough for the second reader, or none was given")
		return
	}
	failed := map[*hive.Input]bool{}
	p.ReadValues(func(pl analyze.Place, name string) bool {
		if pl.Input.Kind == hive.Regf && !isSecret(pl.HivePath()) && !failed[pl.Input] {
			failed[pl.Input] = !compareReadings(p, pl, name)
		}
		return true
	})
}

// compareReadings asks both readers for one value. It returns false where the
// second reader could not tell, which it says once for each input.
func compareReadings(p *analyze.Pass, pl analyze.Place, name string) bool {
	typ, data, ok, err := p.SecondReading(pl.Input, pl.HivePath(), name)
	if err != nil {
		p.NotChecked("the second reader could not read %s: %v", pl.Input.Path, err)
		return false
	}
	var ownType hive.Type
	var own []byte
	v, ownOK := hive.Value{}, false
	if pl.Key.Valid() {
		v, ownOK = pl.Key.Value(name)
	}
	if ownOK {
		ownType = v.Type()
		if own, err = v.Data(); err != nil {
			return true // the damage is HIVE-DAMAGED's to report
		}
	}
	if ok == ownOK && typ == ownType && bytes.Equal(data, own) {
		return true
	}
	p.Report(pl, disagreement(p, pl, v, name, reading{ownOK, ownType, own}, reading{ok, typ, data}))
	return true
}

// reading is what one reader saw.
type reading struct {
	ok   bool
	typ  hive.Type
	data []byte
}

func disagreement(p *analyze.Pass, pl analyze.Place, v hive.Value, name string, first, second reading) analyze.Finding {
	at := pl.LocateMissing(name)
	if v.Valid() {
		at = pl.LocateValue(v)
	}
	f := p.New(at)
	cause := "data"
	switch {
	case first.ok != second.ok:
		cause = "presence"
	case first.typ != second.typ:
		cause = "type"
	}
	f.Evidence.Set("cause", cause)
	f.Evidence.Set("first", first.evidence())
	f.Evidence.Set("second", second.evidence())
	f.Message = fmt.Sprintf("Two independent readers see %s in %s differently, so nothing that rests on it can be trusted. The hive is damaged in a way that readers take differently, or one reader is wrong.", label(name), shortPath(pl))
	f.ManualSteps = []string{"Look at the value with a third tool, and at the hive with `hivemend check`, before anything is changed."}
	return f
}

func (r reading) evidence() analyze.Evidence {
	e := analyze.Evidence{{Name: "present", Value: r.ok}}
	if r.ok {
		sum := sha256.Sum256(r.data)
		e.Set("type", r.typ.String())
		e.Set("size", len(r.data))
		e.Set("sha256", hex.EncodeToString(sum[:]))
	}
	return e
}

// isSecret reports whether the values of the key must not be read: those of
// RCM\Secrets and RCM\GracePeriod, and the policy secrets of SECURITY.
func isSecret(path hive.Path) bool {
	for i := 1; i < len(path); i++ {
		if hive.EqualFold(path[i-1], "RCM") && (hive.EqualFold(path[i], "Secrets") || hive.EqualFold(path[i], "GracePeriod")) {
			return true
		}
		if hive.EqualFold(path[i-1], "Policy") && hive.EqualFold(path[i], "Secrets") {
			return true
		}
	}
	return false
}
