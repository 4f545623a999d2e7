package patch

import (
	"errors"
	"fmt"
	"strings"

	"hivemend/hive"
	"hivemend/hive/regf"
	"hivemend/hive/witness"
)

// ApplyOptions says how a plan is to be applied.
type ApplyOptions struct {
	// AllowMissing leaves out the edits that no input has a place for, instead
	// of refusing the whole plan. Their Status is NotGiven.
	AllowMissing bool
	// Force edits hives that would be refused: dirty ones, and those with
	// damage that an edit touches. See regf.EditorOptions.
	Force bool
	// Wipe zeroes what is freed.
	Wipe bool
	// MinSequence returns the highest sequence number seen in the logs of a
	// hive, so that the patched one has a higher one. Nil means none was seen.
	MinSequence func(*hive.Input) uint32
	// Rescan is handed all inputs as they are after the edits. It returns an
	// error where a finding that the plan repairs is left, or a new one has
	// come. Nil means that nobody looks.
	Rescan func(after []*hive.Input) error
}

// Result is what Apply and Undo have made. Nothing of it is on disk yet.
type Result struct {
	Statuses []Status
	// Inputs are as given, in the same order, each with what became of it.
	Inputs []Patched
	// Warnings are what a person should know, though it is no reason to
	// refuse: a hive of another computer, or one that the plan was not made from.
	Warnings []string

	plan *Plan
	work *workspace
}

// Patched is one input before and after.
type Patched struct {
	Input *hive.Input
	// After is the input as it is after the edits; Input itself where nothing
	// changed. Of .reg text it has the tree, but the bytes are those before.
	After   *hive.Input
	Changed bool
	// Journal is the way back, for hives that changed.
	Journal HiveJournal
	// Proof is what was checked, for hives that changed.
	Proof Proof
}

// Proof says what was checked of a patched hive before it was released. A
// check that fails gives an error instead; what is false here was not made,
// and Notes say why.
type Proof struct {
	Edits   int   // how many edits were made
	Ranges  int   // in how many places bytes changed
	Changed int64 // how many bytes
	// PlannedTree: this program reads exactly the planned tree in it, classes,
	// security and times included.
	PlannedTree bool
	// SecondReader: regparser reads exactly the planned tree in it.
	SecondReader bool
	// NoNewDefect: the structural check finds nothing that it did not find before.
	NoNewDefect bool
	// UndoExact: the journal gives back the original byte for byte.
	UndoExact bool
	// Rescanned: the scan after the edits found nothing left and nothing new.
	Rescanned bool
	Notes     []string
}

// Changed reports whether any input changed.
func (r *Result) Changed() bool {
	for _, p := range r.Inputs {
		if p.Changed {
			return true
		}
	}
	return false
}

// Journal returns the way back for all hives that changed.
func (r *Result) Journal() *Journal {
	j := &Journal{Schema: JournalSchema}
	for _, p := range r.Inputs {
		if p.Changed && p.Input.Kind == hive.Regf {
			j.Hives = append(j.Hives, p.Journal)
		}
	}
	return j
}

// Diff returns the unified diff of everything that changed.
func (r *Result) Diff() []byte { return Unified(r.changes()...) }

func (r *Result) changes() []Change {
	var changes []Change
	names := map[string]int{}
	for _, m := range r.work.mounts {
		name := string(m.Kind)
		if names[name]++; names[name] > 1 {
			name = fmt.Sprintf("%s-%d", name, names[name])
		}
		changes = append(changes, Change{Name: name + ".reg", Prefix: m.Prefix, Before: m.Root, After: m.tree.key()})
	}
	return changes
}

// Apply makes the edits of p on private copies of inputs and proves the
// result: each patched hive is read back by this program and by regparser, and
// both must see exactly the planned tree; its structure must have no defect
// that it had not before; the journal must give back the original; and Rescan
// must be content. Otherwise the error says what failed, and there is no result.
//
// An edit whose result stands already counts as done. One whose place holds
// neither what it expects nor its result refuses the whole plan with
// ErrDrifted, naming all such places.
func Apply(p *Plan, inputs []*hive.Input, opt ApplyOptions) (*Result, error) {
	w, statuses, err := p.run(inputs)
	if err != nil {
		return nil, err
	}
	if err := refuseStatuses(statuses, opt.AllowMissing); err != nil {
		return nil, err
	}
	r := &Result{Statuses: statuses, Warnings: p.warnings(inputs), plan: p, work: w}
	for _, in := range inputs {
		patched, err := w.patch(in, p, opt)
		if err != nil {
			return nil, err
		}
		r.Inputs = append(r.Inputs, patched)
	}
	return r, r.rescan(opt.Rescan)
}

// refuseStatuses gathers every edit that cannot be made into one error.
func refuseStatuses(statuses []Status, allowMissing bool) error {
	var errs []error
	for _, s := range statuses {
		switch {
		case s.State == Drifted:
			errs = append(errs, fail(ErrDrifted, "%s", s.Detail))
		case s.State == NotGiven && !allowMissing:
			errs = append(errs, fail(ErrNotGiven, "%s", s.Detail))
		}
	}
	return errors.Join(errs...)
}

// warnings names inputs that the plan was not made from.
func (p *Plan) warnings(inputs []*hive.Input) []string {
	var out []string
	for _, in := range inputs {
		for _, pi := range p.Inputs {
			if pi.Hive != in.Hive || pi.Kind != in.Kind {
				continue
			}
			if in.SHA256 != pi.SHA256 && in.SHA256 != pi.ReplayedSHA256 {
				out = append(out, fmt.Sprintf("%s: it is not the %s hive that the plan was made from (SHA-256 %s, that one %s)", in.Path, in.Hive, in.SHA256, pi.SHA256))
			}
		}
	}
	return out
}

// rescan shows what came out to the one who looks for findings.
func (r *Result) rescan(look func([]*hive.Input) error) error {
	if look == nil || !r.Changed() {
		return nil
	}
	after := make([]*hive.Input, len(r.Inputs))
	for i, p := range r.Inputs {
		after[i] = p.After
	}
	if err := look(after); err != nil {
		return fail(ErrUnproved, "the patched machine was scanned again: %s", err)
	}
	for i := range r.Inputs {
		r.Inputs[i].Proof.Rescanned = r.Inputs[i].Changed
	}
	return nil
}

// stepsOn returns the steps that were made on in.
func (w *workspace) stepsOn(in *hive.Input) []step {
	var steps []step
	for _, s := range w.made {
		if s.at.input == in {
			steps = append(steps, s)
		}
	}
	return steps
}

// patch makes the steps on a copy of in and proves it.
func (w *workspace) patch(in *hive.Input, p *Plan, opt ApplyOptions) (Patched, error) {
	steps := w.stepsOn(in)
	out := Patched{Input: in, After: in, Changed: len(steps) > 0}
	if !out.Changed {
		return out, nil
	}
	if in.Kind != hive.Regf {
		out.After = w.textAfter(in)
		out.Proof.Edits = len(steps)
		return out, nil
	}
	original, report, err := openForEdit(in, opt)
	if err != nil {
		return out, err
	}
	data, err := edit(original, report, steps, in, p, opt)
	if err != nil {
		return out, err
	}
	planned := steps[0].at.tree.key()
	after, proof, err := prove(in, original, report, data, planned, opt.Force)
	if err != nil {
		return out, err
	}
	out.After = after
	out.Journal = newHiveJournal(in, in.Data, data)
	proof.Edits, proof.Ranges, proof.Changed = len(steps), len(out.Journal.Ranges), out.Journal.Changed()
	if _, err := out.Journal.Revert(data); err != nil {
		return out, err
	}
	proof.UndoExact = true
	out.Proof = proof
	return out, nil
}

// textAfter returns .reg text with its trees as they are after the edits.
func (w *workspace) textAfter(in *hive.Input) *hive.Input {
	after := *in
	after.Mounts = append([]hive.Mount(nil), in.Mounts...)
	for _, m := range w.mounts {
		if m.input == in {
			after.Mounts[m.mount].Root = m.tree.key()
		}
	}
	return &after
}

func openForEdit(in *hive.Input, opt ApplyOptions) (*regf.Image, *regf.Report, error) {
	if in.State == hive.Dirty && !opt.Force {
		return nil, nil, fail(ErrRefused, "%s: the hive is dirty and its logs were not applied: what they hold would be lost. Give the logs beside it, or use --force", in.Path)
	}
	im, err := regf.Open(in.Data, regf.OpenOptions{File: in.Path, Lenient: true})
	if err != nil {
		return nil, nil, err
	}
	return im, im.Check(), nil
}

// edit makes the steps on a copy and returns its bytes.
func edit(im *regf.Image, report *regf.Report, steps []step, in *hive.Input, p *Plan, opt ApplyOptions) ([]byte, error) {
	o := regf.EditorOptions{Time: p.EditTime, Force: opt.Force, Wipe: opt.Wipe, Report: report}
	if opt.MinSequence != nil {
		o.MinSequence = opt.MinSequence(in)
	}
	ed, err := regf.NewEditor(im, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", in.Path, err)
	}
	for _, s := range steps {
		if err := editOne(ed, s); err != nil {
			return nil, fmt.Errorf("%s: %w", in.Path, err)
		}
	}
	data, _, err := ed.Commit()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", in.Path, err)
	}
	return data, nil
}

func editOne(ed *regf.Editor, s step) error {
	switch s.edit.Op {
	case hive.DeleteValue:
		return ed.DeleteValue(s.rel, s.edit.Value)
	case hive.SetValue:
		return ed.SetValue(s.rel, s.edit.Value, s.edit.Type, s.edit.Data)
	case hive.DeleteKey:
		return ed.DeleteKey(s.rel)
	default:
		return ed.CreateKey(s.rel)
	}
}

// prove reads data back in every way there is and holds it against the
// planned tree. It returns the input as it is now.
func prove(in *hive.Input, original *regf.Image, before *regf.Report, data []byte, planned hive.Key, force bool) (*hive.Input, Proof, error) {
	var proof Proof
	im, err := regf.Open(data, regf.OpenOptions{File: in.Path, Lenient: force})
	if err != nil {
		return nil, proof, fail(ErrUnproved, "%s: the patched hive cannot be opened: %s", in.Path, err)
	}
	if text := sameTree(planned, im.Root(), in.Mounts[0].Prefix, 0); text != "" {
		return nil, proof, fail(ErrUnproved, "%s: the patched hive is not as planned: %s", in.Path, text)
	}
	proof.PlannedTree = true
	report := im.Check()
	if defects := newDefects(before, report); len(defects) > 0 {
		return nil, proof, fail(ErrUnproved, "%s: the patched hive has defects that the original had not: %s", in.Path, strings.Join(defects, "; "))
	}
	proof.NoNewDefect = true
	switch {
	case report.Bounded():
		if err := secondReading(in, original, before, data, planned); err != nil {
			return nil, proof, err
		}
		proof.SecondReader = true
	case force:
		proof.Notes = append(proof.Notes, "the second reader was not asked: the hive is damaged in a way that it may not survive")
	default:
		return nil, proof, fail(ErrUnproved, "%s: the hive is too damaged to be read by the second reader; repair it first, or use --force", in.Path)
	}
	after := *in
	after.Data, after.Size, after.SHA256 = data, int64(len(data)), hash(data)
	after.State, after.Replay = hive.Clean, nil
	if !report.Sound() {
		after.State = hive.Damaged
	}
	after.Issues, after.Bounded = report.Issues, report.Bounded()
	after.LastWrite = im.Header().LastWritten
	after.Mounts = []hive.Mount{in.Mounts[0]}
	after.Mounts[0].Root = im.Root()
	return &after, proof, nil
}

// secondReading lets regparser read the patched hive and holds it against the
// planned tree. What it saw otherwise in the original already is no fault of
// the edits.
func secondReading(in *hive.Input, original *regf.Image, before *regf.Report, data []byte, planned hive.Key) error {
	differences, err := witness.Compare(data, planned)
	if err != nil {
		return fail(ErrUnproved, "%s: the second reader cannot read the patched hive: %s", in.Path, err)
	}
	if len(differences) == 0 {
		return nil
	}
	known := map[string]bool{}
	if before.Bounded() {
		old, err := witness.Compare(in.Data, original.Root())
		if err != nil {
			return fail(ErrUnproved, "%s: the second reader cannot read the original hive: %s", in.Path, err)
		}
		for _, d := range old {
			known[d.String()] = len(old) < witness.MaxDifferences
		}
	}
	for _, d := range differences {
		if !known[d.String()] {
			return fail(ErrUnproved, "%s: the second reader sees something else than planned: %s", in.Path, d)
		}
	}
	return nil
}

// newDefects returns the defects of after that before had not. Offsets are
// left out of the comparison, because what is untouched may have moved.
func newDefects(before, after *regf.Report) []string {
	type defect struct{ code, key string }
	count := map[defect]int{}
	for _, issue := range before.Issues {
		count[defect{issue.Code, issue.Key.String()}]++
	}
	var out []string
	for _, issue := range after.Issues {
		if issue.Damage == hive.DamageInfo {
			continue
		}
		d := defect{issue.Code, issue.Key.String()}
		if count[d]--; count[d] < 0 {
			out = append(out, fmt.Sprintf("%s at %#x: %s", issue.Code, issue.Offset, issue.Detail))
		}
	}
	if len(out) == 0 && after.More > before.More {
		out = append(out, fmt.Sprintf("%d more than can be listed", after.More-before.More))
	}
	return out
}
