package patch

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"hivemend/hive"
)

// PlanSchema is the schema of plan.json.
const PlanSchema = "hivemend/plan/1"

// planJSON is plan.json. Only additions are allowed without a new schema.
type planJSON struct {
	Schema   string        `json:"schema"`
	Tool     Tool          `json:"tool"`
	AsOf     hive.FileTime `json:"asOf"`
	EditTime hive.FileTime `json:"editTime"`
	Machine  *PlanMachine  `json:"machine,omitempty"`
	Live     bool          `json:"live,omitempty"`
	Ordered  bool          `json:"ordered,omitempty"`
	Inputs   []PlanInput   `json:"inputs"`
	Edits    []Edit        `json:"edits"`
	Already  []Edit        `json:"already,omitempty"`
}

// editExtraJSON is what an edit of a plan has beyond an edit of a report.
type editExtraJSON struct {
	Also []Cause     `json:"also,omitempty"`
	Undo []hive.Edit `json:"undo,omitempty"`
}

// MarshalJSON writes the edit as reports do, with its further causes and the
// way back behind.
func (e Edit) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(e.Edit)
	if err != nil || len(e.Also) == 0 && len(e.Undo) == 0 {
		return text, err
	}
	extra, err := json.Marshal(editExtraJSON{e.Also, e.Undo})
	if err != nil {
		return nil, err
	}
	return slices.Concat(text[:len(text)-1], []byte(","), extra[1:]), nil
}

// editFields are the fields an edit of a plan may have.
var editFields = []string{"op", "key", "value", "type", "data", "expect", "rule", "reason", "also", "undo"}

// UnmarshalJSON is the inverse of MarshalJSON. It refuses unknown fields.
func (e *Edit) UnmarshalJSON(text []byte) error {
	if err := onlyFields(text, editFields); err != nil {
		return err
	}
	var extra struct {
		Also []Cause           `json:"also"`
		Undo []json.RawMessage `json:"undo"`
	}
	if err := json.Unmarshal(text, &extra); err != nil {
		return err
	}
	if err := json.Unmarshal(text, &e.Edit); err != nil {
		return err
	}
	e.Also, e.Undo = extra.Also, nil
	for _, raw := range extra.Undo {
		if err := onlyFields(raw, editFields[:len(editFields)-2]); err != nil {
			return err
		}
		var undo hive.Edit
		if err := json.Unmarshal(raw, &undo); err != nil {
			return err
		}
		e.Undo = append(e.Undo, undo)
	}
	return nil
}

// onlyFields refuses a JSON object with other fields than those.
func onlyFields(text []byte, fields []string) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	for name := range all {
		if !slices.Contains(fields, name) {
			return fmt.Errorf("unknown field %q in an edit", name)
		}
	}
	return nil
}

// JSON returns p as the bytes of plan.json. The same plan gives the same bytes.
func (p *Plan) JSON() ([]byte, error) {
	j := planJSON{
		Schema: PlanSchema, Tool: p.Tool, AsOf: p.AsOf, EditTime: p.EditTime,
		Live: p.Live, Ordered: p.Ordered, Inputs: p.Inputs, Edits: p.Edits,
	}
	if p.Machine != (PlanMachine{}) {
		j.Machine = &p.Machine
	}
	if j.Inputs == nil {
		j.Inputs = []PlanInput{}
	}
	for _, e := range p.Already {
		j.Already = append(j.Already, Edit{Edit: e})
	}
	if j.Edits == nil {
		j.Edits = []Edit{}
	}
	return encodeJSON(j)
}

// encodeJSON writes v indented, with a newline at the end, and leaves <, > and
// & in paths as they are.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// decodeJSON is the strict inverse of encodeJSON: no unknown fields, nothing
// behind the value.
func decodeJSON(text []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("something follows the JSON value at offset %d", dec.InputOffset())
	}
	return nil
}

// ReadPlan reads plan.json and refuses everything that NewPlan would not have
// written: unknown fields, edits of protected keys, contradictions, hashes
// that are none.
func ReadPlan(text []byte) (*Plan, error) {
	var j planJSON
	if err := decodeJSON(text, &j); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	if j.Schema != PlanSchema {
		return nil, fmt.Errorf("plan: want schema %q, found %q", PlanSchema, j.Schema)
	}
	p := &Plan{
		Tool: j.Tool, AsOf: j.AsOf, EditTime: j.EditTime,
		Live: j.Live, Ordered: j.Ordered, Inputs: j.Inputs, Edits: j.Edits,
	}
	if j.Machine != nil {
		p.Machine = *j.Machine
	}
	for _, e := range j.Already {
		p.Already = append(p.Already, e.Edit)
	}
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return p, nil
}

func (p *Plan) validate() error {
	for _, in := range p.Inputs {
		if in.Kind != hive.Regf && in.Kind != hive.Reg {
			return fmt.Errorf("input %q: unknown kind %q", in.Path, in.Kind)
		}
		if !isSHA256(in.SHA256) || in.ReplayedSHA256 != "" && !isSHA256(in.ReplayedSHA256) {
			return fmt.Errorf("input %q: its SHA-256 is none", in.Path)
		}
	}
	if err := validateEdits(p.Already); err != nil {
		return err
	}
	for i, e := range p.Edits {
		if err := validateEdits(append([]hive.Edit{e.Edit}, e.Undo...)); err != nil {
			return err
		}
		if i > 0 && !p.Ordered && compareEdits(p.Edits[i-1], e) > 0 {
			return fmt.Errorf("%s: the edits are not in order", placeOf(e.Edit))
		}
	}
	if p.Ordered {
		return nil
	}
	settled, err := settle(slices.Clone(p.Edits))
	if err == nil && len(settled) != len(p.Edits) {
		err = fail(ErrConflict, "an edit is there twice")
	}
	return err
}

func validateEdits(edits []hive.Edit) error {
	for _, e := range edits {
		same, err := canonical(e)
		if err != nil {
			return err
		}
		if same.Key[0] != e.Key[0] {
			return fmt.Errorf("%s: want the root's long name %s", placeOf(e), same.Key[0])
		}
		if Protected(e.Key) {
			return checkProtected(e, hive.Key{})
		}
	}
	return nil
}

func isSHA256(text string) bool {
	sum, err := hex.DecodeString(text)
	return err == nil && len(sum) == 32 && hex.EncodeToString(sum) == text
}
