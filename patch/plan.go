package patch

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"hivemend/hive"
)

// Plan is what is to be changed on one machine: edits in the order in which
// they are made, without contradictions, each with what it expects to find and
// with the way back.
type Plan struct {
	Tool Tool
	// AsOf is the moment against which the findings behind the plan were judged.
	AsOf hive.FileTime
	// EditTime is the last-write time that changed keys get.
	EditTime hive.FileTime
	// Machine is whose plan it is; empty for a plan that was made without looking at one.
	Machine PlanMachine
	// Inputs are what the plan was made from.
	Inputs []PlanInput
	// Live is set where CurrentControlSet in the paths means the control set
	// in use: for plans that were made from .reg text or without any input.
	Live bool
	// Ordered is set where the edits are a sequence in which the last one
	// wins, as in a .reg file.
	Ordered bool
	Edits   []Edit
	// Already are edits that were asked for and whose result stood already.
	// They are never made, but undo looks at them: where the result stands no
	// longer, Windows has made something new.
	Already []hive.Edit
}

// Tool names the program that made a plan.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// PlanMachine names the machine of a plan.
type PlanMachine struct {
	ID           string `json:"id,omitempty"`
	ComputerName string `json:"computerName,omitempty"`
}

// PlanInput is one input that a plan was made from.
type PlanInput struct {
	Path   string         `json:"path"`
	Kind   hive.InputKind `json:"kind"`
	Hive   hive.Kind      `json:"hive"`
	Size   int64          `json:"size"`
	SHA256 string         `json:"sha256"` // of the bytes as they lay
	// ReplayedSHA256 is the hash of the hive after its logs were applied; ""
	// where none were.
	ReplayedSHA256 string `json:"sha256AfterReplay,omitempty"`
	// ControlSet is the control set in use, for SYSTEM hives.
	ControlSet string `json:"controlSet,omitempty"`
}

// Edit is one edit of a plan.
type Edit struct {
	hive.Edit
	// Also are the other rules that want the same edit, or an edit that this
	// one includes.
	Also []Cause
	// Undo are the edits that take this one back, in order. Empty in a plan
	// that was made without inputs.
	Undo []hive.Edit
}

// Cause is a rule and its reason for an edit.
type Cause struct {
	Rule   string `json:"rule"`
	Reason string `json:"reason"`
}

// Causes returns every rule and reason behind e.
func (e Edit) Causes() []Cause {
	if e.Rule == "" && e.Reason == "" {
		return e.Also
	}
	return append([]Cause{{e.Rule, e.Reason}}, e.Also...)
}

// PlanOptions says how a plan is to be made.
type PlanOptions struct {
	Tool           Tool
	AsOf, EditTime hive.FileTime
	// Ordered keeps the edits in the order given, each seeing what the ones
	// before it did, as the lines of a .reg file are meant. Without it the
	// edits are a set: they are sorted, and contradictions are refused.
	Ordered bool
	// Live maps CurrentControlSet in paths to the control sets in use of a
	// SYSTEM hive. For edits from a .reg file. Plans for machines without a
	// hive are live in any case.
	Live bool
	// FillExpect notes for each edit without an expectation what stands there
	// now.
	FillExpect bool
}

// NewPlan makes a plan of edits for m. With a nil machine the plan is for
// machines that were not seen: nothing is expected and there is no way back.
//
// The same edit asked for twice is made once and keeps both reasons; an edit
// below a key that is deleted anyway becomes part of that deletion. Edits that
// contradict each other are refused with ErrConflict, edits of protected keys
// with ErrProtected, edits of what no input holds with ErrNotGiven, and edits
// whose expectation does not hold with ErrDrifted. Edits whose result stands
// already go to Already.
func NewPlan(edits []hive.Edit, m *hive.Machine, opt PlanOptions) (*Plan, error) {
	p := &Plan{Tool: opt.Tool, AsOf: opt.AsOf, EditTime: opt.EditTime, Ordered: opt.Ordered, Live: opt.Live || m == nil}
	planned := make([]Edit, 0, len(edits))
	for _, e := range edits {
		e, err := canonical(e)
		if err != nil {
			return nil, err
		}
		planned = append(planned, Edit{Edit: e})
	}
	if !opt.Ordered {
		var err error
		if planned, err = settle(planned); err != nil {
			return nil, err
		}
	}
	if m == nil {
		for _, e := range planned {
			if err := checkProtected(e.Edit, hive.Key{}); err != nil {
				return nil, err
			}
		}
		p.Edits = planned
		return p, nil
	}
	p.Machine = PlanMachine{ID: m.ID(), ComputerName: m.ComputerName}
	for _, in := range m.Inputs {
		p.Inputs = append(p.Inputs, planInput(in))
	}
	p.Live = p.Live || isLive(m)
	return p, p.rehearse(planned, m.Inputs, opt.FillExpect)
}

// isLive reports whether m is known from an export alone, in which
// CurrentControlSet is the set in use. In a hive a key of that name is a
// leftover, and an edit of it means the leftover.
func isLive(m *hive.Machine) bool {
	live := false
	for _, root := range m.Roots(hive.System) {
		if root.Input.Kind == hive.Regf {
			return false
		}
		live = true
	}
	return live
}

func planInput(in *hive.Input) PlanInput {
	pi := PlanInput{Path: in.Path, Kind: in.Kind, Hive: in.Hive, Size: in.Size, SHA256: in.SHA256}
	if in.Replay != nil {
		pi.ReplayedSHA256 = in.Replay.SHA256
	}
	for _, mount := range in.Mounts {
		if mount.Kind == hive.System && mount.Root.Valid() {
			pi.ControlSet = hive.FindControlSets(mount.Root, in.Kind == hive.Reg).Current.Name
		}
	}
	return pi
}

// rehearse makes the edits on overlays of the inputs, and so learns what each
// expects, whether it changes anything, and how it is taken back.
func (p *Plan) rehearse(planned []Edit, inputs []*hive.Input, fill bool) error {
	w, err := newWorkspace(inputs, p.Live, p.EditTime)
	if err != nil {
		return err
	}
	for _, e := range planned {
		steps, err := w.steps(0, e.Edit)
		if err != nil {
			return err
		}
		changed := false
		for _, s := range steps {
			if err := s.permitted(); err != nil {
				return err
			}
			state, detail := s.judge()
			if state == Drifted {
				return fail(ErrDrifted, "%s", detail)
			}
			if state == Done {
				continue
			}
			if fill && e.Expect == nil && len(steps) == 1 {
				e.Expect = s.expectation()
			}
			undo, err := s.makeWithUndo()
			if err != nil {
				return err
			}
			e.Undo = append(undo, e.Undo...)
			changed = true
		}
		if changed {
			p.Edits = append(p.Edits, e)
		} else {
			p.Already = append(p.Already, e.Edit)
		}
	}
	return nil
}

// canonical returns e with the long name of its registry root, or refuses
// what could not be written in a plan without loss.
func canonical(e hive.Edit) (hive.Edit, error) {
	switch e.Op {
	case hive.DeleteValue, hive.SetValue, hive.DeleteKey, hive.CreateKey:
	default:
		return e, fail(ErrRefused, "%s: unknown edit %q", place(e.Key, nil), e.Op)
	}
	if len(e.Key) == 0 {
		return e, fail(ErrRefused, "%s: no key is named", e.Op)
	}
	root, ok := hive.RootName(e.Key[0])
	if !ok {
		return e, fail(ErrRefused, "%s: %q is no root of the registry", placeOf(e), hive.Printable(e.Key[0]))
	}
	e.Key = append(hive.Path{root}, e.Key[1:]...)
	if len(e.Key) > hive.MaxDepth {
		return e, fail(ErrRefused, "%s: deeper than the %d levels that Windows allows", placeOf(e), hive.MaxDepth)
	}
	for _, name := range e.Key {
		if name == "" || strings.Contains(name, `\`) || !utf8.ValidString(name) {
			return e, fail(ErrRefused, "%s: the key name %q cannot be written in a plan (it is empty, holds a backslash, or is not valid Unicode)", placeOf(e), hive.Printable(name))
		}
	}
	if !utf8.ValidString(e.Value) {
		return e, fail(ErrRefused, "%s: the value name cannot be written in a plan (it is not valid Unicode)", placeOf(e))
	}
	return e, nil
}

// settle turns a set of edits into a sequence: sorted, merged, without
// contradictions.
func settle(edits []Edit) ([]Edit, error) {
	slices.SortStableFunc(edits, compareEdits)
	out := edits[:0:0]
	last := map[string]int{} // what an edit is about, to its place in out
	deleted := map[string]int{}
	for _, e := range edits {
		about := subject(e.Edit)
		if i, ok := last[about]; ok {
			if err := merge(&out[i], e); err != nil {
				return nil, err
			}
			continue
		}
		if i, ok := deletedAbove(deleted, e.Key); ok {
			if e.Op == hive.SetValue || e.Op == hive.CreateKey {
				return nil, fail(ErrConflict, "%s: %s wants %s, but %s wants to delete %s", placeOf(e.Edit), by(e.Rule), e.Op, by(out[i].Rule), place(out[i].Key, nil))
			}
			out[i].addCauses(e.Causes())
			continue
		}
		last[about] = len(out)
		if e.Op == hive.DeleteKey {
			deleted[e.Key.Fold().String()] = len(out)
		}
		out = append(out, e)
	}
	return out, nil
}

// compareEdits orders edits by path, keys above before keys below, and at one
// key deletions of it first, then its creation, then its values by name.
func compareEdits(a, b Edit) int {
	for i := 0; i < len(a.Key) && i < len(b.Key); i++ {
		if c := hive.CompareFold(a.Key[i], b.Key[i]); c != 0 {
			return c
		}
	}
	return cmp.Or(
		cmp.Compare(len(a.Key), len(b.Key)),
		cmp.Compare(opRank(a.Op), opRank(b.Op)),
		hive.CompareFold(a.Value, b.Value),
		cmp.Compare(a.Op, b.Op),
		cmp.Compare(a.Rule, b.Rule),
		cmp.Compare(a.Reason, b.Reason),
	)
}

func opRank(op hive.Op) int {
	switch op {
	case hive.DeleteKey:
		return 0
	case hive.CreateKey:
		return 1
	}
	return 2
}

// subject is equal for two edits exactly when they are about the same key, or
// about the same value. Names of keys hold no backslash (see canonical).
func subject(e hive.Edit) string {
	key := e.Key.Fold().String()
	if e.Op == hive.DeleteKey || e.Op == hive.CreateKey {
		return key
	}
	return key + `\\` + hive.Fold(e.Value)
}

// deletedAbove returns the place of the deletion that takes key away. A key
// itself counts for its values; two edits of the key itself have one subject.
func deletedAbove(deleted map[string]int, key hive.Path) (int, bool) {
	if len(deleted) == 0 {
		return 0, false
	}
	folded := key.Fold()
	for n := len(folded); n > 0; n-- {
		if i, ok := deleted[folded[:n].String()]; ok {
			return i, true
		}
	}
	return 0, false
}

// merge adds e to an edit of the same value or key, or refuses it.
func merge(into *Edit, e Edit) error {
	same := into.Op == e.Op && into.Type == e.Type && bytes.Equal(into.Data, e.Data)
	if !same {
		return fail(ErrConflict, "%s: %s wants to %s, but %s wants to %s", placeOf(e.Edit), by(into.Rule), into.Edit.String(), by(e.Rule), e.Edit.String())
	}
	switch {
	case into.Expect == nil:
		into.Expect = e.Expect
	case e.Expect != nil && *e.Expect != *into.Expect:
		return fail(ErrConflict, "%s: %s and %s expect to find different things there", placeOf(e.Edit), by(into.Rule), by(e.Rule))
	}
	into.addCauses(e.Causes())
	return nil
}

// addCauses notes the causes that e does not have yet.
func (e *Edit) addCauses(more []Cause) {
	all := slices.Clone(e.Causes())
	for _, c := range more {
		if !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	if len(all) > 0 {
		e.Rule, e.Reason, e.Also = all[0].Rule, all[0].Reason, all[1:]
	}
}

func by(rule string) string {
	if rule == "" {
		return "one edit"
	}
	return rule
}
