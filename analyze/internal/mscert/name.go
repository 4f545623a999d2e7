package mscert

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"hivemend/analyze/internal/der"
	"hivemend/analyze/internal/verdict"
	"hivemend/hive/cursor"
)

// Attribute is one part of a distinguished name.
type Attribute struct {
	OID   string // dotted
	Type  string // the usual short form, such as CN; the OID where there is none
	Value string // without the NULs that may end it; may hold control characters
	Span
}

// Name is a distinguished name. Microsoft puts all attributes into one
// multi-valued RDN; that and the usual form read the same here.
type Name struct {
	Attributes []Attribute
	Raw        []byte // the DER, a view
	Span
}

var attributeTypes = map[string]string{
	"2.5.4.3": "CN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "1.2.840.113549.1.9.1": "emailAddress",
	"0.9.2342.19200300.100.1.25": "DC",
}

// Get returns the value of the first attribute of the type (such as "CN"), or
// "".
func (n Name) Get(typ string) string {
	for _, a := range n.Attributes {
		if a.Type == typ {
			return a.Value
		}
	}
	return ""
}

// String returns the name as TYPE=value, ..., with control characters escaped.
func (n Name) String() string {
	var parts []string
	for _, a := range n.Attributes {
		parts = append(parts, a.Type+"="+verdict.Text(a.Value))
	}
	return strings.Join(parts, ", ")
}

func (p *parser) name(r *der.Reader, what string) (Name, *der.Error) {
	var n Name
	e, err := r.Expect(der.Sequence, what)
	if err != nil {
		return n, err
	}
	n.Raw, n.Span = e.Raw(), spanOf(e)
	for rdns := e.Children(); rdns.More(); {
		rdn, err := rdns.Expect(der.Set, what)
		if err != nil {
			return n, err
		}
		for parts := rdn.Children(); parts.More(); {
			a, err := attribute(parts, what)
			if err != nil {
				return n, err
			}
			if len(n.Attributes) == maxAttributes {
				return n, &der.Error{Offset: a.Offset, Detail: fmt.Sprintf("the %s has more than %d parts", what, maxAttributes)}
			}
			n.Attributes = append(n.Attributes, a)
		}
	}
	p.field(2, what, n.Span, n.String())
	for _, a := range n.Attributes {
		p.field(3, a.Type, a.Span, verdict.Text(a.Value))
	}
	return n, nil
}

func attribute(r *der.Reader, what string) (Attribute, *der.Error) {
	e, err := r.Expect(der.Sequence, what)
	if err != nil {
		return Attribute{}, err
	}
	inner := e.Children()
	id, err := inner.Expect(der.ObjectID, what)
	if err != nil {
		return Attribute{}, err
	}
	a := Attribute{Span: spanOf(e)}
	if a.OID, err = oidText(id); err != nil {
		return Attribute{}, err
	}
	if a.Type = attributeTypes[a.OID]; a.Type == "" {
		a.Type = a.OID
	}
	text, err := inner.Next()
	if err != nil {
		return Attribute{}, err
	}
	a.Value = strings.TrimRight(stringOf(text), "\x00")
	return a, inner.Done(what)
}

// stringOf returns the text of a string element, whatever its alphabet; of
// anything else its content in hex after a #.
func stringOf(e der.Element) string {
	b := e.Content()
	switch e.Tag {
	case der.BMPString:
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
		}
		return cursor.StringFromUnits(units)
	case der.UniversalString:
		var s strings.Builder
		for ; len(b) >= 4; b = b[4:] {
			if r := rune(b[0])<<24 | rune(b[1])<<16 | rune(b[2])<<8 | rune(b[3]); utf8.ValidRune(r) {
				s.WriteRune(r)
			} else {
				s.WriteRune(utf8.RuneError)
			}
		}
		return s.String()
	case der.UTF8String:
		return string(b)
	case der.PrintableString, der.IA5String, der.TeletexString:
		runes := make([]rune, len(b))
		for i, c := range b {
			runes[i] = rune(c)
		}
		return string(runes)
	}
	return fmt.Sprintf("#%x", b)
}
