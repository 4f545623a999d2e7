// Package treejson writes a registry tree as JSON and reads it back, without
// losing names, types, data, times, class names, flags or security descriptors.
package treejson

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"hivemend/hive"
	"hivemend/hive/cursor"
)

// Schema names the form.
const Schema = "hivemend/tree/1"

// Document is a tree with what a hive needs besides.
type Document struct {
	Prefix hive.Path  // where the root stands
	Minor  uint32     // minor version of the hive; 0 where the tree was none
	Root   *hive.Node // of a document that was read
}

// Write writes the tree under root. prefix is where it stands, and minor the
// minor version of its hive, or 0.
func Write(w io.Writer, root hive.Key, prefix hive.Path, minor uint32) error {
	out := &writer{w: bufio.NewWriterSize(w, 1<<16)}
	out.text(`{ "schema": `)
	out.quote(Schema)
	out.text(`, "prefix": `)
	out.quote(prefix.String())
	if minor != 0 {
		out.text(fmt.Sprintf(`, "regf": "1.%d"`, minor))
	}
	out.text(",\n  \"root\": ")
	out.key(root, "  ", 0)
	out.text("\n}\n")
	if out.err != nil {
		return out.err
	}
	return out.w.Flush()
}

type writer struct {
	w   *bufio.Writer
	err error
	buf []byte
}

func (o *writer) text(s string) {
	if o.err == nil {
		_, o.err = o.w.WriteString(s)
	}
}

func (o *writer) quote(s string) {
	b, err := json.Marshal(s)
	if err != nil && o.err == nil {
		o.err = err
	}
	if o.err == nil {
		_, o.err = o.w.Write(b)
	}
}

func (o *writer) hex(b []byte) {
	o.buf = append(o.buf[:0], '"')
	o.buf = hex.AppendEncode(o.buf, b)
	o.buf = append(o.buf, '"')
	if o.err == nil {
		_, o.err = o.w.Write(o.buf)
	}
}

// name writes a name and, where it is no valid Unicode, its units.
func (o *writer) name(name string) {
	o.text(`"name": `)
	if utf8.ValidString(name) {
		o.quote(name)
		return
	}
	o.quote(hive.Printable(name))
	o.text(`, "nameUTF16": `)
	o.hex(cursor.Bytes(cursor.UnitsFromString(name)))
}

func (o *writer) key(k hive.Key, indent string, depth int) {
	if depth > hive.MaxDepth {
		o.err = fmt.Errorf("key %s lies deeper than %d levels", hive.ValueLabel(k.Name()), hive.MaxDepth)
		return
	}
	o.text("{ ")
	o.name(k.Name())
	if at := k.LastWrite(); at != 0 {
		o.text(`, "lastWrite": `)
		o.quote(at.String())
	}
	if class := k.Class(); class != nil {
		o.text(`, "class": `)
		o.hex(class)
	}
	o.text(fmt.Sprintf(`, "flags": %d`, k.Flags()))
	if sd := k.Security(); sd != nil {
		o.text(`, "security": `)
		o.hex(sd)
	}
	o.text(",\n" + indent + `  "values": [`)
	first := true
	for v := range k.Values() {
		o.separate(&first, indent)
		o.value(v)
	}
	o.text("],\n" + indent + `  "keys": [`)
	first = true
	for sub := range k.Subkeys() {
		o.separate(&first, indent)
		o.key(sub, indent+"    ", depth+1)
		if o.err != nil {
			return
		}
	}
	o.text("] }")
}

func (o *writer) separate(first *bool, indent string) {
	if !*first {
		o.text(",")
	}
	*first = false
	o.text("\n" + indent + "    ")
}

func (o *writer) value(v hive.Value) {
	data, err := v.Data()
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("value %s: %w", hive.ValueLabel(v.Name()), err)
	}
	o.text("{ ")
	o.name(v.Name())
	o.text(fmt.Sprintf(`, "type": %d, "data": `, uint32(v.Type())))
	o.hex(data)
	o.text(" }")
}

type documentJSON struct {
	Schema string   `json:"schema"`
	Prefix string   `json:"prefix"`
	Regf   string   `json:"regf"`
	Root   *keyJSON `json:"root"`
}

type keyJSON struct {
	Name      string      `json:"name"`
	NameUTF16 *string     `json:"nameUTF16"`
	LastWrite string      `json:"lastWrite"`
	Class     *string     `json:"class"`
	Flags     uint16      `json:"flags"`
	Security  *string     `json:"security"`
	Values    []valueJSON `json:"values"`
	Keys      []*keyJSON  `json:"keys"`
}

type valueJSON struct {
	Name      string  `json:"name"`
	NameUTF16 *string `json:"nameUTF16"`
	Type      uint32  `json:"type"`
	Data      string  `json:"data"`
}

// Read reads a document. Errors name the key and the field that is wrong.
func Read(data []byte) (*Document, error) {
	var j documentJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return nil, fmt.Errorf("tree as JSON: %w", err)
	}
	if j.Schema != Schema {
		return nil, fmt.Errorf("tree as JSON: want schema %q, found %q", Schema, j.Schema)
	}
	if j.Root == nil {
		return nil, fmt.Errorf("tree as JSON: there is no root")
	}
	doc := &Document{Prefix: hive.ParsePath(j.Prefix)}
	if j.Regf != "" {
		if n, err := fmt.Sscanf(j.Regf, "1.%d", &doc.Minor); n != 1 || err != nil {
			return nil, fmt.Errorf("tree as JSON: want a version such as 1.5, found %q", j.Regf)
		}
	}
	var err error
	doc.Root, err = j.Root.node(doc.Prefix, 0)
	return doc, err
}

func (j *keyJSON) node(path hive.Path, depth int) (*hive.Node, error) {
	fail := func(field string, err error) (*hive.Node, error) {
		return nil, fmt.Errorf("key %s: %s: %w", hive.Printable(path.String()), field, err)
	}
	if depth > hive.MaxDepth {
		return fail("depth", fmt.Errorf("want at most %d levels", hive.MaxDepth))
	}
	n := &hive.Node{Flags: j.Flags}
	var err error
	if n.Name, err = plainName(j.Name, j.NameUTF16); err != nil {
		return fail("nameUTF16", err)
	}
	if n.LastWrite, err = plainTime(j.LastWrite); err != nil {
		return fail("lastWrite", err)
	}
	if n.Class, err = plainBytes(j.Class); err != nil {
		return fail("class", err)
	}
	if n.Security, err = plainBytes(j.Security); err != nil {
		return fail("security", err)
	}
	for _, v := range j.Values {
		value := hive.NodeValue{Type: hive.Type(v.Type)}
		if value.Name, err = plainName(v.Name, v.NameUTF16); err != nil {
			return fail("value "+hive.ValueLabel(v.Name)+", nameUTF16", err)
		}
		if value.Data, err = hex.DecodeString(v.Data); err != nil {
			return fail("value "+hive.ValueLabel(v.Name)+", data", err)
		}
		n.Values = append(n.Values, value)
	}
	for _, k := range j.Keys {
		if k == nil {
			return fail("keys", fmt.Errorf("want keys, found null"))
		}
		sub, err := k.node(path.Join(k.Name), depth+1)
		if err != nil {
			return nil, err
		}
		n.Keys = append(n.Keys, sub)
	}
	return n, nil
}

func plainName(name string, units *string) (string, error) {
	if units == nil {
		return name, nil
	}
	b, err := hex.DecodeString(*units)
	if err != nil {
		return "", err
	}
	if len(b)%2 != 0 {
		return "", fmt.Errorf("want whole UTF-16 units, found %d bytes", len(b))
	}
	return cursor.String(b), nil
}

func plainBytes(text *string) ([]byte, error) {
	if text == nil {
		return nil, nil
	}
	b, err := hex.DecodeString(*text)
	if b == nil {
		b = []byte{}
	}
	return b, err
}

func plainTime(text string) (hive.FileTime, error) {
	if text == "" {
		return 0, nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0, err
	}
	return hive.FileTimeOf(at), nil
}
