package hive

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Op is what an Edit does.
type Op string

// The edits there are.
const (
	DeleteValue Op = "delete-value"
	DeleteKey   Op = "delete-key" // with everything below it
	SetValue    Op = "set-value"  // creates the key above it where it is missing
	CreateKey   Op = "create-key"
)

// Edit is one change to a registry, as data. It changes nothing by itself.
type Edit struct {
	Op    Op
	Key   Path   // the whole path, beginning with the registry root's long name
	Value string // for DeleteValue and SetValue; "" is the default value
	Type  Type   // for SetValue
	Data  []byte // for SetValue
	// Expect says what must stand there before. Nil means that anything may.
	Expect *Expect
	// Rule names the rule behind the edit and Reason says in a short sentence
	// why it is made. Both may be empty.
	Rule, Reason string
}

// Expect is what an edit expects to find where it is to be made.
type Expect struct {
	// Absent is set where nothing of that name may stand.
	Absent bool
	// Type is the value's type; for DeleteKey it is not used.
	Type Type
	// SHA256 is the hash in hex of the value's data, or of the key's Digest.
	SHA256 string
}

// ExpectKeyType stands in JSON for the type where a key, not a value, is expected.
const ExpectKeyType = "KEY"

type editJSON struct {
	Op     Op          `json:"op"`
	Key    string      `json:"key"`
	Value  *string     `json:"value,omitempty"`
	Type   string      `json:"type,omitempty"`
	Data   *string     `json:"data,omitempty"`
	Expect *expectJSON `json:"expect,omitempty"`
	Rule   string      `json:"rule,omitempty"`
	Reason string      `json:"reason,omitempty"`
}

type expectJSON struct {
	Absent bool   `json:"absent,omitempty"`
	Type   string `json:"type,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
}

// MarshalJSON writes e in the form that reports and plans share.
func (e Edit) MarshalJSON() ([]byte, error) {
	j := editJSON{Op: e.Op, Key: e.Key.String(), Rule: e.Rule, Reason: e.Reason}
	if e.Op == DeleteValue || e.Op == SetValue {
		j.Value = &e.Value
	}
	if e.Op == SetValue {
		data := hex.EncodeToString(e.Data)
		j.Type, j.Data = e.Type.String(), &data
	}
	if x := e.Expect; x != nil {
		j.Expect = &expectJSON{Absent: x.Absent, SHA256: x.SHA256}
		switch {
		case x.Absent:
		case e.Op == DeleteKey || e.Op == CreateKey:
			j.Expect.Type = ExpectKeyType
		default:
			j.Expect.Type = x.Type.String()
		}
	}
	return json.Marshal(j)
}

// UnmarshalJSON is the inverse of MarshalJSON. It refuses an unknown op and
// a type or hash that is none.
func (e *Edit) UnmarshalJSON(text []byte) error {
	var j editJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	*e = Edit{Op: j.Op, Key: ParsePath(j.Key), Rule: j.Rule, Reason: j.Reason}
	switch j.Op {
	case DeleteValue, SetValue:
		if j.Value == nil {
			return fmt.Errorf("edit %s of %s: no value is named", j.Op, j.Key)
		}
		e.Value = *j.Value
	case DeleteKey, CreateKey:
	default:
		return fmt.Errorf("edit of %s: unknown op %q", j.Key, j.Op)
	}
	if j.Op == SetValue {
		if j.Data == nil {
			return fmt.Errorf("edit %s of %s: no data is given", j.Op, j.Key)
		}
		var err error
		if e.Type, err = ParseType(j.Type); err != nil {
			return fmt.Errorf("edit of %s, value %q: %w", j.Key, e.Value, err)
		}
		if e.Data, err = hex.DecodeString(*j.Data); err != nil {
			return fmt.Errorf("edit of %s, value %q: data: %w", j.Key, e.Value, err)
		}
	}
	return e.unmarshalExpect(j.Expect)
}

func (e *Edit) unmarshalExpect(j *expectJSON) error {
	if j == nil {
		return nil
	}
	e.Expect = &Expect{Absent: j.Absent, SHA256: j.SHA256}
	if j.Absent {
		return nil
	}
	if sum, err := hex.DecodeString(j.SHA256); err != nil || len(sum) != 32 {
		return fmt.Errorf("edit of %s: %q is no SHA-256", e.Key, j.SHA256)
	}
	if e.Op == DeleteKey || e.Op == CreateKey {
		return nil
	}
	var err error
	e.Expect.Type, err = ParseType(j.Type)
	return err
}

// String describes e in one line for people.
func (e Edit) String() string {
	switch e.Op {
	case DeleteValue:
		return fmt.Sprintf("delete value %s in %s", ValueLabel(e.Value), Printable(e.Key.String()))
	case SetValue:
		return fmt.Sprintf("set value %s in %s to %s of %d bytes", ValueLabel(e.Value), Printable(e.Key.String()), e.Type, len(e.Data))
	case DeleteKey:
		return "delete key " + Printable(e.Key.String())
	case CreateKey:
		return "create key " + Printable(e.Key.String())
	}
	return fmt.Sprintf("%s %s", e.Op, Printable(e.Key.String()))
}

// ValueLabel returns a value's name as people read it: quoted, and (Default)
// for the one without a name.
func ValueLabel(name string) string {
	if name == "" {
		return "(Default)"
	}
	return `"` + Printable(name) + `"`
}
