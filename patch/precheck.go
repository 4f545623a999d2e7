package patch

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"hivemend/hive"
)

// State says how an edit stands towards a hive.
type State string

// The states of an edit.
const (
	ToDo     State = "to do"     // what it expects is there
	Done     State = "done"      // its result stands already
	Drifted  State = "drifted"   // neither: somebody else has changed it
	NotGiven State = "not given" // no input holds the place
)

// Status is how one edit of a plan stands.
type Status struct {
	Index int         // of the edit in the plan
	Edit  hive.Edit   // with its path as it is in the input
	Input *hive.Input // nil where State is NotGiven
	State State
	// Detail says in words what was wanted and what was found, where State is
	// Drifted or NotGiven.
	Detail string
}

// Precheck compares p with inputs and says for each edit how it stands. An
// edit that names CurrentControlSet has a Status for each control set that is
// meant. Nothing is changed. The error says that the question makes no sense:
// two hives for one place, or an edit that is never made.
func Precheck(p *Plan, inputs []*hive.Input) ([]Status, error) {
	_, statuses, err := p.run(inputs)
	return statuses, err
}

// run makes the edits of p on overlays of inputs, as far as they can be made.
func (p *Plan) run(inputs []*hive.Input) (*workspace, []Status, error) {
	w, err := newWorkspace(inputs, p.Live, p.EditTime)
	if err != nil {
		return nil, nil, err
	}
	var statuses []Status
	for i, e := range p.Edits {
		steps, err := w.steps(i, e.Edit)
		if errors.Is(err, ErrNotGiven) {
			if err := checkProtected(e.Edit, hive.Key{}); err != nil {
				return nil, nil, err
			}
			statuses = append(statuses, Status{Index: i, Edit: e.Edit, State: NotGiven, Detail: err.Error()})
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		for _, s := range steps {
			if err := s.permitted(); err != nil {
				return nil, nil, err
			}
			state, detail := s.judge()
			if state == ToDo {
				s.make()
				w.made = append(w.made, s)
			}
			statuses = append(statuses, Status{Index: i, Edit: s.edit, Input: s.at.input, State: state, Detail: detail})
		}
	}
	return w, statuses, nil
}

// permitted refuses what is never done, whatever a plan says.
func (s step) permitted() error {
	if s.edit.Op == hive.DeleteKey && len(s.rel) == 0 {
		return fail(ErrRefused, "%s: the root of a hive is never deleted", placeOf(s.edit))
	}
	return checkProtected(s.edit, s.key())
}

// judge compares the step with what stands at its place now.
func (s step) judge() (State, string) {
	switch s.edit.Op {
	case hive.DeleteValue, hive.SetValue:
		return s.judgeValue()
	}
	return s.judgeKey()
}

func (s step) judgeValue() (State, string) {
	v, there := s.value()
	if s.edit.Op == hive.DeleteValue && !there {
		return Done, ""
	}
	var data []byte
	var err error
	if there {
		data, err = v.Data() // with an error: what can be read
	}
	if s.edit.Op == hive.SetValue && there && err == nil && v.Type() == s.edit.Type && bytes.Equal(data, s.edit.Data) {
		return Done, ""
	}
	x := s.edit.Expect
	switch {
	case x == nil, x.Absent && !there:
		return ToDo, ""
	case x.Absent:
		return Drifted, fmt.Sprintf("%s: nothing was expected there, found %s", placeOf(s.edit), describe(v.Type(), data))
	case !there:
		return Drifted, fmt.Sprintf("%s: expected %s with SHA-256 %s, found no such value", placeOf(s.edit), x.Type, x.SHA256)
	case v.Type() == x.Type && hash(data) == x.SHA256:
		return ToDo, ""
	}
	return Drifted, fmt.Sprintf("%s: expected %s with SHA-256 %s, found %s", placeOf(s.edit), x.Type, x.SHA256, describe(v.Type(), data))
}

func (s step) judgeKey() (State, string) {
	key := s.key()
	x := s.edit.Expect
	switch {
	case s.edit.Op == hive.CreateKey && key.Valid(), s.edit.Op == hive.DeleteKey && !key.Valid():
		return Done, ""
	case x == nil, s.edit.Op == hive.CreateKey && x.Absent:
		return ToDo, ""
	case s.edit.Op == hive.CreateKey:
		return Drifted, fmt.Sprintf("%s: a key was expected there, found none", placeOf(s.edit))
	case x.Absent:
		return Drifted, fmt.Sprintf("%s: no key was expected there, found one", placeOf(s.edit))
	}
	if digest := digestOf(key); digest != x.SHA256 {
		return Drifted, fmt.Sprintf("%s: the key or something below it has changed: expected digest %s, found %s", placeOf(s.edit), x.SHA256, digest)
	}
	return ToDo, ""
}

// expectation notes what stands at the step's place now.
func (s step) expectation() *hive.Expect {
	switch s.edit.Op {
	case hive.DeleteValue, hive.SetValue:
		v, there := s.value()
		if !there {
			return &hive.Expect{Absent: true}
		}
		data, _ := v.Data()
		return &hive.Expect{Type: v.Type(), SHA256: hash(data)}
	}
	key := s.key()
	if !key.Valid() {
		return &hive.Expect{Absent: true}
	}
	return &hive.Expect{SHA256: digestOf(key)}
}

func describe(t hive.Type, data []byte) string {
	return fmt.Sprintf("%s of %d bytes with SHA-256 %s", t, len(data), hash(data))
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func digestOf(key hive.Key) string {
	sum := hive.Digest(key)
	return hex.EncodeToString(sum[:])
}
