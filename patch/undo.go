package patch

import (
	"fmt"
	"slices"

	"hivemend/hive"
	"hivemend/hive/regf"
)

// Undo takes a plan back on inputs. A hive that is exactly what the journal
// says was written gives back its original byte for byte. On a hive that has
// lived since, the inverse edits are made, and proved as Apply proves; what
// has changed meanwhile is refused with ErrDrifted, by name, above all a
// certificate that Windows has made anew. Journal may be nil.
//
// Plans without inverse edits (those made without inputs) are refused.
func Undo(p *Plan, journal *Journal, inputs []*hive.Input, opt ApplyOptions) (*Result, error) {
	if len(p.Inputs) == 0 {
		return nil, fail(ErrRefused, "the plan was made without looking at a machine: it does not know what stood there before; use the backup that the scripts made")
	}
	exact := map[*hive.Input]HiveJournal{}
	var lived []*hive.Input
	for _, in := range inputs {
		if j, ok := journal.find(in); ok {
			exact[in] = j
		} else {
			lived = append(lived, in)
		}
	}
	inverse := p.inverse()
	if err := p.refuseNewLife(lived); err != nil {
		return nil, err
	}
	w, statuses, err := inverse.run(inputs)
	if err != nil {
		return nil, err
	}
	explainNewCertificate(statuses)
	if err := refuseStatuses(statuses, opt.AllowMissing); err != nil {
		return nil, err
	}
	r := &Result{Statuses: statuses, plan: inverse, work: w}
	for _, in := range inputs {
		var patched Patched
		if j, ok := exact[in]; ok {
			patched, err = revert(in, j)
		} else {
			patched, err = w.patch(in, inverse, opt)
		}
		if err != nil {
			return nil, err
		}
		r.Inputs = append(r.Inputs, patched)
	}
	return r, r.rescan(opt.Rescan)
}

// find returns the way back for in, where in is exactly what was written.
func (j *Journal) find(in *hive.Input) (HiveJournal, bool) {
	if j == nil || in.Kind != hive.Regf || in.State == hive.Replayed {
		return HiveJournal{}, false
	}
	return j.For(in.SHA256)
}

// revert goes back by the journal.
func revert(in *hive.Input, j HiveJournal) (Patched, error) {
	data, err := j.Revert(in.Data)
	if err != nil {
		return Patched{}, err
	}
	im, err := regf.Open(data, regf.OpenOptions{File: in.Path, Lenient: true})
	if err != nil {
		return Patched{}, err
	}
	after := *in
	after.Data, after.Size, after.SHA256 = data, int64(len(data)), j.Original.SHA256
	after.Mounts = slices.Clone(in.Mounts)
	for i := range after.Mounts {
		after.Mounts[i].Root = im.Root()
	}
	report := im.Check()
	after.Issues, after.Bounded, after.LastWrite = report.Issues, report.Bounded(), im.Header().LastWritten
	if after.State = hive.Clean; !report.Sound() {
		after.State = hive.Damaged
	}
	back := newHiveJournal(in, in.Data, data)
	return Patched{
		Input: in, After: &after, Changed: true, Journal: back,
		Proof: Proof{Ranges: len(back.Ranges), Changed: back.Changed(), UndoExact: true},
	}, nil
}

// inverse returns the plan that takes p back.
func (p *Plan) inverse() *Plan {
	back := &Plan{Tool: p.Tool, AsOf: p.AsOf, EditTime: p.EditTime, Machine: p.Machine, Inputs: p.Inputs, Live: p.Live, Ordered: true}
	for _, e := range p.UndoEdits() {
		back.Edits = append(back.Edits, Edit{Edit: e})
	}
	return back
}

// refuseNewLife looks for what Windows has made anew where the inverse edits
// alone would not see it: keys that were deleted as a whole and are there
// again with other contents, and values that were found absent. In a sequence
// (see Ordered) a key may be made again by the plan itself; there the inverse
// edits alone decide.
func (p *Plan) refuseNewLife(inputs []*hive.Input) error {
	if p.Ordered {
		return nil
	}
	w, err := newWorkspace(inputs, p.Live, p.EditTime)
	if err != nil {
		return err
	}
	var statuses []Status
	for _, e := range p.asked() {
		if e.Op != hive.DeleteKey && e.Op != hive.DeleteValue {
			continue
		}
		steps, err := w.steps(0, e.Edit)
		if err != nil {
			continue // not given: said by the one who makes the edits
		}
		for _, s := range steps {
			if detail := s.newLife(len(e.Undo) > 0); detail != "" {
				statuses = append(statuses, Status{Edit: s.edit, State: Drifted, Detail: detail})
			}
		}
	}
	explainNewCertificate(statuses)
	return refuseStatuses(statuses, true)
}

// asked returns all edits that were asked for, those without effect included.
func (p *Plan) asked() []Edit {
	edits := slices.Clone(p.Edits)
	for _, e := range p.Already {
		edits = append(edits, Edit{Edit: e})
	}
	return edits
}

// newLife says what stands again at the place of a deletion. had is set where
// something stood there before the deletion.
func (s step) newLife(had bool) string {
	if s.edit.Op == hive.DeleteValue {
		if v, there := s.value(); there && !had {
			data, _ := v.Data()
			return fmt.Sprintf("%s: it was absent when the plan was made, found %s", placeOf(s.edit), describe(v.Type(), data))
		}
		return ""
	}
	key := s.key()
	if !key.Valid() || had && s.edit.Expect != nil && s.edit.Expect.SHA256 == digestOf(key) {
		return ""
	}
	return fmt.Sprintf("%s: the key was deleted, and is there again with other contents", placeOf(s.edit))
}

// certificateValue is the value whose renewal ends the use of every backup.
const certificateValue = "Certificate"

// explainNewCertificate says in words what a changed certificate means.
func explainNewCertificate(statuses []Status) {
	for i, s := range statuses {
		if s.State == Drifted && s.Edit.Op != hive.DeleteKey && hive.EqualFold(s.Edit.Value, certificateValue) {
			statuses[i].Detail += ": Windows has made a new certificate since, and the old one no longer fits the machine; leave it as it is"
		}
	}
}
