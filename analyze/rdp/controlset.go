package rdp

import (
	"fmt"

	"hivemend/analyze"
	"hivemend/hive"
)

var sysSelect = &analyze.Rule{
	ID:         "SYS-SELECT",
	Explain:    page("SYS-SELECT"),
	Severity:   analyze.Warning,
	Title:      "Select does not name one usable control set",
	Needs:      []hive.Kind{hive.System},
	References: []string{kbControlSets},
	Run:        runSelect,
}

const kbControlSets = "KB100010"

func runSelect(p *analyze.Pass) {
	for _, sys := range p.Systems {
		sets := sys.Sets
		switch {
		case sets.Problem == "":
		case sys.Root.Input.Kind == hive.Reg && !wholeSystem(sys):
			p.NotChecked("%s is .reg text without a section for the root of SYSTEM: what is missing there may be on the machine", sys.Root.Input.Path)
		default:
			p.Report(sys.Root, badSelect(p, sys))
		}
	}
}

// wholeSystem reports whether .reg text shows all control sets and Select: the
// root of SYSTEM has a section of its own and Select is there too.
func wholeSystem(sys analyze.System) bool {
	return sys.Root.Key.Complete() && (!sys.Sets.Select.Key.Valid() || sys.Sets.Select.Key.Complete())
}

func badSelect(p *analyze.Pass, sys analyze.System) analyze.Finding {
	sets, sel := sys.Sets, sys.Sets.Select
	f := p.New(sys.Root.Sub("Select").LocateKey())
	f.Evidence.Set("cause", selectCause(sets))
	for _, n := range []struct {
		name  string
		value *uint32
	}{{"current", sel.Current}, {"default", sel.Default}, {"failed", sel.Failed}, {"lastKnownGood", sel.LastKnownGood}} {
		if n.value != nil {
			f.Evidence.Set(n.name, *n.value)
		}
	}
	names := []string{}
	for _, set := range sets.All {
		names = append(names, set.Name)
	}
	f.Evidence.Set("controlSets", names)
	f.Evidence.Set("used", sets.Used)
	f.Evidence.Set("judged", sets.Current.Name)
	f.Message = fmt.Sprintf("In %s, %s.", sys.Root.Input.Path, sets.Problem)
	switch {
	case sets.Next.Key.Valid():
		f.Message += fmt.Sprintf(" Findings follow %s; damage that stands in %s as well is repaired in both.", sets.Current.Name, sets.Next.Name)
	case sets.Current.Key.Valid():
		f.Message += fmt.Sprintf(" %s was judged (%s).", sets.Current.Name, sets.Used)
	default:
		f.Message += " There is no control set to judge, and Windows cannot start from this hive."
	}
	f.ManualSteps = []string{"Find out which control set the machine was last started with (an older copy of the hive, or the event log) before anything is changed in Select; `--all-control-sets` judges and repairs every one."}
	return f
}

func selectCause(sets hive.ControlSets) string {
	switch {
	case !sets.Select.Key.Valid():
		return "missing"
	case sets.Next.Key.Valid():
		return "default-differs"
	}
	return "dangling"
}
