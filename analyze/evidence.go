package analyze

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Evidence is what a finding rests on: named facts in the order in which a
// person wants to read them. In JSON it is an object with its fields in that
// order.
type Evidence []Field

// Field is one fact. Value is a string, a bool, an integer, a hive.FileTime, a
// list of those, or Evidence for a group of facts (or a list of Evidence).
type Field struct {
	Name  string
	Value any
}

// Set adds the fact of that name, or replaces it where it stands.
func (e *Evidence) Set(name string, value any) {
	for i := range *e {
		if (*e)[i].Name == name {
			(*e)[i].Value = value
			return
		}
	}
	*e = append(*e, Field{name, value})
}

// Get returns the fact of that name, or nil.
func (e Evidence) Get(name string) any {
	for _, f := range e {
		if f.Name == name {
			return f.Value
		}
	}
	return nil
}

// Text returns the fact of that name where it is a string, else "".
func (e Evidence) Text(name string) string {
	s, _ := e.Get(name).(string)
	return s
}

// MarshalJSON writes e as an object, its fields in order.
func (e Evidence) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range e {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(f.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(f.Value)
		if err != nil {
			return nil, fmt.Errorf("evidence %s: %w", f.Name, err)
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON reads an object and keeps the order of its fields. Whole
// numbers come back as int64, objects as Evidence, lists as []any.
func (e *Evidence) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := decodeOrdered(d)
	if err != nil {
		return err
	}
	object, ok := v.(Evidence)
	if !ok && v != nil {
		return fmt.Errorf("evidence: want an object, found %T", v)
	}
	*e = object
	return nil
}

func decodeOrdered(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return decodeObject(d)
		}
		return decodeList(d)
	case json.Number:
		if n, err := t.Int64(); err == nil {
			return n, nil
		}
		return t, nil
	}
	return token, nil
}

func decodeObject(d *json.Decoder) (any, error) {
	object := Evidence{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		value, err := decodeOrdered(d)
		if err != nil {
			return nil, err
		}
		object = append(object, Field{name.(string), value})
	}
	_, err := d.Token()
	return object, err
}

func decodeList(d *json.Decoder) (any, error) {
	list := []any{}
	for d.More() {
		value, err := decodeOrdered(d)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err := d.Token()
	return list, err
}
