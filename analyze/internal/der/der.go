// Package der reads the distinguished encoding rules of ASN.1 (X.690) one
// element at a time and keeps where each element stands. It looks inside an
// element only when it is told to: Microsoft's licence certificates hold
// octets that are no DER in places where DER is usual.
//
// It allows definite lengths in their shortest form and low tag numbers, and
// nothing else. What an element means is the caller's business.
package der

import (
	"encoding/binary"
	"fmt"
)

// Tag is the first octet of an element: class, constructed bit and number.
type Tag byte

// The tags that certificates and PKCS #7 use.
const (
	Boolean         Tag = 0x01
	Integer         Tag = 0x02
	BitString       Tag = 0x03
	OctetString     Tag = 0x04
	Null            Tag = 0x05
	ObjectID        Tag = 0x06
	UTF8String      Tag = 0x0c
	PrintableString Tag = 0x13
	TeletexString   Tag = 0x14
	IA5String       Tag = 0x16
	UTCTime         Tag = 0x17
	GeneralizedTime Tag = 0x18
	UniversalString Tag = 0x1c
	BMPString       Tag = 0x1e
	Sequence        Tag = 0x30
	Set             Tag = 0x31
	Context0        Tag = 0xa0 // [0], constructed
	Context1        Tag = 0x81 // [1], primitive
	Context2        Tag = 0x82 // [2], primitive
	Context3        Tag = 0xa3 // [3], constructed
)

var tagNames = map[Tag]string{
	Boolean: "BOOLEAN", Integer: "INTEGER", BitString: "BIT STRING", OctetString: "OCTET STRING", Null: "NULL",
	ObjectID: "OBJECT IDENTIFIER", UTF8String: "UTF8String", PrintableString: "PrintableString",
	TeletexString: "TeletexString", IA5String: "IA5String", UTCTime: "UTCTime", GeneralizedTime: "GeneralizedTime",
	UniversalString: "UniversalString", BMPString: "BMPString", Sequence: "SEQUENCE", Set: "SET",
	Context0: "[0]", Context1: "[1]", Context2: "[2]", Context3: "[3]",
}

func (t Tag) String() string {
	if s, ok := tagNames[t]; ok {
		return s
	}
	return fmt.Sprintf("tag %#02x", byte(t))
}

// Error says what is wrong with the element that begins, or should begin, at
// Offset.
type Error struct {
	Offset int
	Detail string
	// Overrun is set when the element's length reaches past the end of what
	// it stands in.
	Overrun bool
}

func (e *Error) Error() string { return fmt.Sprintf("at offset %d: %s", e.Offset, e.Detail) }

// Element is one element in its place.
type Element struct {
	Tag    Tag
	Offset int // of the tag
	Start  int // of the content
	End    int // of the content, and of the element
	data   []byte
}

// Len is the length of the whole element, tag and length octets included.
func (e Element) Len() int { return e.End - e.Offset }

// Raw returns the whole element as a view.
func (e Element) Raw() []byte { return e.data[e.Offset:e.End:e.End] }

// Content returns the content octets as a view.
func (e Element) Content() []byte { return e.data[e.Start:e.End:e.End] }

// Children returns a reader over the content.
func (e Element) Children() *Reader { return &Reader{e.data, e.Start, e.End} }

// Reader reads elements that follow each other. Offsets count from the start
// of the slice that it was made for, however deep it reads.
type Reader struct {
	data     []byte
	pos, end int
}

// NewReader returns a reader of data[start:end], which must lie inside data.
func NewReader(data []byte, start, end int) *Reader { return &Reader{data, start, end} }

// Pos is where the next element begins.
func (r *Reader) Pos() int { return r.pos }

// More tells whether there are octets left.
func (r *Reader) More() bool { return r.pos < r.end }

// Header reads the tag and length octets that stand at off and returns the
// element that they announce, whether or not all of it lies before end. ok is
// false where they are cut off or malformed; total is the announced length of
// the whole element.
func Header(data []byte, off, end int) (total uint64, ok bool) {
	_, headerLen, contentLen, err := header(data, off, end)
	return uint64(headerLen) + contentLen, err == nil
}

// header reads tag and length octets at off.
func header(data []byte, off, end int) (tag Tag, headerLen int, contentLen uint64, err *Error) {
	fail := func(format string, args ...any) (Tag, int, uint64, *Error) {
		return 0, 0, 0, &Error{Offset: off, Detail: fmt.Sprintf(format, args...)}
	}
	if end-off < 2 {
		_, _, _, err := fail("%d bytes are left, too few for an element", max(end-off, 0))
		err.Overrun = true
		return 0, 0, 0, err
	}
	tag = Tag(data[off])
	if tag&0x1f == 0x1f {
		return fail("the tag %#02x is of the long form, which is not used here", byte(tag))
	}
	first := data[off+1]
	if first < 0x80 {
		return tag, 2, uint64(first), nil
	}
	n := int(first & 0x7f)
	switch {
	case n == 0:
		return fail("the %v has an indefinite length", tag)
	case n > 4:
		return fail("the %v has a length of %d octets", tag, n)
	case end-off < 2+n:
		_, _, _, err := fail("the length of the %v is cut off", tag)
		err.Overrun = true
		return 0, 0, 0, err
	}
	var b [4]byte
	copy(b[4-n:], data[off+2:off+2+n])
	v := binary.BigEndian.Uint32(b[:])
	if v < 0x80 || n > 1 && v>>(8*(n-1)) == 0 {
		return fail("the length %d of the %v is not in its shortest form", v, tag)
	}
	return tag, 2 + n, uint64(v), nil
}

// Next reads one element of any tag.
func (r *Reader) Next() (Element, *Error) {
	tag, headerLen, contentLen, err := header(r.data, r.pos, r.end)
	if err != nil {
		return Element{}, err
	}
	if room := uint64(r.end - r.pos - headerLen); contentLen > room {
		return Element{}, &Error{r.pos, fmt.Sprintf("the %v is to have %d bytes of content, but only %d are left in what holds it", tag, contentLen, room), true}
	}
	e := Element{tag, r.pos, r.pos + headerLen, r.pos + headerLen + int(contentLen), r.data}
	r.pos = e.End
	return e, nil
}

// Expect reads one element that must have the tag; what names it in errors.
func (r *Reader) Expect(tag Tag, what string) (Element, *Error) {
	if !r.More() {
		return Element{}, &Error{Offset: r.pos, Detail: fmt.Sprintf("the %s is missing", what)}
	}
	if have := Tag(r.data[r.pos]); have != tag {
		return Element{}, &Error{Offset: r.pos, Detail: fmt.Sprintf("%s: %v is due, %v is there", what, tag, have)}
	}
	e, err := r.Next()
	if err != nil {
		return Element{}, &Error{err.Offset, what + ": " + err.Detail, err.Overrun}
	}
	return e, nil
}

// Optional reads one element if it has the tag.
func (r *Reader) Optional(tag Tag, what string) (e Element, present bool, err *Error) {
	if !r.More() || Tag(r.data[r.pos]) != tag {
		return Element{}, false, nil
	}
	e, err = r.Expect(tag, what)
	return e, err == nil, err
}

// Done returns an error if octets are left; what names the element that they
// stand in.
func (r *Reader) Done(what string) *Error {
	if !r.More() {
		return nil
	}
	return &Error{Offset: r.pos, Detail: fmt.Sprintf("%d bytes are left over in the %s", r.end-r.pos, what)}
}

// OID returns the object identifier in content in dotted form; ok is false if
// it is malformed or has a number beyond 64 bits.
func OID(content []byte) (dotted string, ok bool) {
	if len(content) == 0 || len(content) > 64 {
		return "", false
	}
	var b []byte
	arc, started := uint64(0), false
	for i, c := range content {
		if !started && c == 0x80 || arc > 1<<57-1 {
			return "", false
		}
		started = true
		arc = arc<<7 | uint64(c&0x7f)
		if c&0x80 != 0 {
			if i == len(content)-1 {
				return "", false
			}
			continue
		}
		if b == nil {
			first := min(arc/40, 2)
			b = fmt.Appendf(b, "%d.%d", first, arc-first*40)
		} else {
			b = fmt.Appendf(b, ".%d", arc)
		}
		arc, started = 0, false
	}
	return string(b), true
}
