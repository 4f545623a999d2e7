package analyze

import (
	"cmp"
	"fmt"
	"slices"

	"hivemend/hive"
)

// Options are what a run needs to know beside the machine.
type Options struct {
	// AsOf is the moment to judge at. With AsOfHive it is now, which the
	// machine's own moment never exceeds.
	AsOf       hive.FileTime
	AsOfSource string // "flag" or "now"; "" is "now"
	AsOfHive   bool   // judge the machine at its own last life
	// AllControlSets judges and edits every control set, not only the current
	// one and the one that boots next.
	AllControlSets bool
	// Only and Exclude choose rules by ID; an empty Only is all rules. Rules
	// that are not chosen are not reported.
	Only, Exclude []string
	SecondReading SecondReading // nil where there is none
}

// Result is what is known about one machine after its rules have run. In JSON
// it is a machine of the report.
type Result struct {
	ID           string          `json:"id"`
	Name         string          `json:"name"`
	ComputerName string          `json:"computerName"`
	Generation   hive.Generation `json:"generation"`
	AsOf         hive.FileTime   `json:"asOf"`
	AsOfSource   string          `json:"asOfSource"` // "flag", "now" or "hive"
	TimeZone     string          `json:"timeZone"`
	Roles        []string        `json:"roles"`
	Windows      Windows         `json:"windows"`
	Inputs       []Input         `json:"inputs"`
	Identity     Identity        `json:"identity"`
	Findings     []Finding       `json:"findings"`
	NotChecked   []NotChecked    `json:"notChecked"`
	// Machine is what was judged; nil in a result that was read from JSON.
	Machine *hive.Machine `json:"-"`
	// Personal are the names of people, machines and companies in messages
	// and evidence.
	Personal []string `json:"-"`
}

// Identity is what tells one machine from another, so that clones can be found
// among many: none of it should stand on two machines.
type Identity struct {
	MachineGuid     string   `json:"machineGuid,omitempty"`
	HardwareIDs     []string `json:"hardwareIds,omitempty"`     // SHA-256 of each ClientHWID, in hex
	CertificateKeys []string `json:"certificateKeys,omitempty"` // SHA-256 of each key of Certificate and CertificateOld, in hex
}

// Input is an input of a machine as the report describes it.
type Input struct {
	Path       string         `json:"path"`
	Kind       hive.InputKind `json:"kind"`
	Hive       hive.Kind      `json:"hive"`
	Size       int64          `json:"size"`
	SHA256     string         `json:"sha256"`
	State      hive.State     `json:"state"`
	Replay     *Replay        `json:"replay,omitempty"`
	ControlSet string         `json:"controlSet,omitempty"` // the one that was judged
	Issues     []Issue        `json:"issues"`
	Notes      []string       `json:"notes,omitempty"`
}

// Replay is what was done with an input's transaction logs.
type Replay struct {
	Logs    []ReplayLog `json:"logs"`
	Entries int         `json:"entries"`
	Stopped string      `json:"stopped,omitempty"`
	SHA256  string      `json:"sha256,omitempty"`
}

// ReplayLog is a transaction log that was looked at.
type ReplayLog struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// Issue is a structural defect of an input.
type Issue struct {
	Code   string `json:"code"`
	Offset int64  `json:"offset"`
	Detail string `json:"detail"`
}

// Run lets rules judge m. A rule that panics costs its own findings, which
// becomes an entry of NotChecked; the others go on.
func Run(m *hive.Machine, rules []*Rule, opt Options) Result {
	r := newRunner(m, opt)
	for _, last := range []bool{false, true} {
		for i, rule := range rules {
			if rule.Last == last {
				r.run(rule, i)
			}
		}
	}
	return r.result(rules)
}

type runner struct {
	machine    *hive.Machine
	opt        Options
	facts      *Facts
	shared     *shared
	asOf       hive.FileTime
	asOfSource string
	findings   []ranked
	notChecked []rankedNote
}

// ranked is a finding with the place of its rule in the list.
type ranked struct {
	Finding
	rule, order int
}

type rankedNote struct {
	NotChecked
	rule int
}

func newRunner(m *hive.Machine, opt Options) *runner {
	s := newSeen()
	r := &runner{machine: m, opt: opt, facts: readFacts(m, opt, s), shared: &shared{seen: s, once: map[any]any{}}}
	r.asOf, r.asOfSource = moment(m, r.facts, opt)
	if r.facts.Computer != "" {
		r.shared.personal = append(r.shared.personal, r.facts.Computer)
	}
	return r
}

// moment returns the moment to judge at and where it comes from.
func moment(m *hive.Machine, f *Facts, opt Options) (hive.FileTime, string) {
	if opt.AsOfHive {
		if last := lastLife(m, f); last != 0 {
			if opt.AsOf != 0 {
				last = min(last, opt.AsOf)
			}
			return last, "hive"
		}
		return opt.AsOf, "now"
	}
	if opt.AsOfSource == "" {
		return opt.AsOf, "now"
	}
	return opt.AsOf, opt.AsOfSource
}

// run runs one rule. Rules that were not chosen run too: what others conclude
// must not depend on the choice.
func (r *runner) run(rule *Rule, rank int) {
	p := &Pass{
		Facts: r.facts, Rule: rule, Machine: r.machine, AsOf: r.asOf,
		SecondReading: r.opt.SecondReading, shared: r.shared,
	}
	runGuarded(p, r.missing(rule))
	if !r.chosen(rule.ID) {
		return
	}
	for i, f := range p.folded() {
		r.findings = append(r.findings, ranked{f, rank, i})
	}
	for _, nc := range p.notChecked {
		r.notChecked = append(r.notChecked, rankedNote{nc, rank})
	}
}

// runGuarded calls the rule unless a hive is missing. A panic leaves nothing
// but the note that says so.
func runGuarded(p *Pass, missing []hive.Kind) {
	for _, kind := range missing {
		p.NotChecked("no %s hive was given", kind)
	}
	if len(missing) > 0 {
		return
	}
	defer func() {
		if cause := recover(); cause != nil {
			p.candidates, p.notChecked = nil, nil
			p.NotChecked("the rule failed: %v", cause)
		}
	}()
	p.Rule.Run(p)
}

func (r *runner) missing(rule *Rule) []hive.Kind {
	var missing []hive.Kind
	for _, kind := range rule.Needs {
		if len(r.machine.Roots(kind)) == 0 {
			missing = append(missing, kind)
		}
	}
	return missing
}

func (r *runner) chosen(id string) bool {
	if slices.Contains(r.opt.Exclude, id) {
		return false
	}
	return len(r.opt.Only) == 0 || slices.Contains(r.opt.Only, id)
}

// result puts everything together, in an order that depends on the machine and
// the list of rules alone.
func (r *runner) result(rules []*Rule) Result {
	m := r.machine
	res := Result{
		ID: m.ID(), Name: m.Name, ComputerName: r.facts.Computer, Generation: m.Generation,
		AsOf: r.asOf, AsOfSource: r.asOfSource, TimeZone: r.facts.TimeZone,
		Roles: append([]string{}, r.facts.Roles...), Windows: r.facts.Windows,
		Machine: m, Personal: r.shared.personal, Identity: r.shared.identity,
		Inputs: []Input{}, Findings: []Finding{}, NotChecked: []NotChecked{},
	}
	res.Identity.MachineGuid = r.facts.MachineGuid
	for _, in := range m.Inputs {
		res.Inputs = append(res.Inputs, r.describe(in))
	}
	r.sort()
	for _, f := range r.findings {
		res.Findings = append(res.Findings, f.Finding)
	}
	for _, nc := range r.notChecked {
		res.NotChecked = append(res.NotChecked, nc.NotChecked)
	}
	return res
}

// sort orders findings by severity, then as their rules stand in the list,
// then as they were reported.
func (r *runner) sort() {
	slices.SortStableFunc(r.findings, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.rule, b.rule), cmp.Compare(a.order, b.order))
	})
	slices.SortStableFunc(r.notChecked, func(a, b rankedNote) int { return cmp.Compare(a.rule, b.rule) })
}

// describe gives an input its form in the report.
func (r *runner) describe(in *hive.Input) Input {
	out := Input{Path: in.Path, Kind: in.Kind, Hive: in.Hive, Size: in.Size, SHA256: in.SHA256, State: in.State, Issues: []Issue{}, Notes: in.Notes}
	for _, sys := range r.facts.Systems {
		if sys.Root.Input == in && sys.Sets.Current.Key.Valid() {
			out.ControlSet = sys.Sets.Current.Name
		}
	}
	for _, issue := range in.Issues {
		out.Issues = append(out.Issues, Issue{issue.Code, issue.Offset, issueText(issue)})
	}
	if in.Replay != nil {
		out.Replay = &Replay{Logs: []ReplayLog{}, Entries: in.Replay.Entries, Stopped: in.Replay.Stopped, SHA256: in.Replay.SHA256}
		for _, log := range in.Replay.Logs {
			out.Replay.Logs = append(out.Replay.Logs, ReplayLog(log))
		}
	}
	return out
}

func issueText(issue hive.Issue) string {
	if len(issue.Key) == 0 {
		return issue.Detail
	}
	return fmt.Sprintf("%s (key %s)", issue.Detail, hive.Printable(issue.Key.String()))
}

// Worst returns the highest severity among the findings, and whether there is
// any finding at all.
func (r Result) Worst() (Severity, bool) {
	if len(r.Findings) == 0 {
		return Note, false
	}
	worst := Note
	for _, f := range r.Findings {
		worst = max(worst, f.Severity)
	}
	return worst, true
}
