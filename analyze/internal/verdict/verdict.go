// Package verdict holds what every decoder of this tree hands out: the fields
// it read with the bytes they stand in, the first fault it met, and notes that
// are no fault.
//
// Offsets count from the first byte of the registry value's data; offsets and
// lengths are in bytes.
package verdict

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Cause names why a value is corrupt. The empty Cause means that it is
// healthy. Reports carry these words as they are.
type Cause string

// The causes. A decoder reports the first that holds, in the order that its
// package documents. Type is for callers: whether the registry value has the
// right type is not to be seen in its bytes.
const (
	None      Cause = ""
	Type      Cause = "type"      // not REG_BINARY
	Empty     Cause = "empty"     // no bytes at all
	Size      Cause = "size"      // a value of fixed size has another size
	Blank     Cause = "blank"     // all 00 or all FF where an identifier is due
	Structure Cause = "structure" // ids, magic, or lengths that disagree with each other
	Truncated Cause = "truncated" // what is there agrees, but the value ends early
	Framing   Cause = "framing"   // the lengths around the certificates cannot be right
	Version   Cause = "version"   // an unknown version number
	Count     Cause = "count"     // the number of certificates cannot be right
	DER       Cause = "der"       // a certificate or its envelope is no DER of the expected shape
	Issuer    Cause = "issuer"    // a certificate was not issued by the one before it
	Key       Cause = "key"       // a public key that cannot be one
	Date      Cause = "date"      // a date that cannot be one
	Signature Cause = "signature" // a signature does not fit the bytes it covers
	Digest    Cause = "digest"    // a stored hash does not fit the bytes it is of
)

// Fault is the first thing that makes a value corrupt.
type Fault struct {
	Cause  Cause  // None when the value is healthy
	Detail string // one plain sentence: what was found and what is due; "" when healthy
	// FailingOffset and FailingLength are the field at fault.
	// FailingLength is 0 where no field can be named.
	FailingOffset, FailingLength int
}

// Healthy tells whether there is no fault.
func (f Fault) Healthy() bool { return f.Cause == None }

// NoteKind names what a note is about.
type NoteKind string

// The kinds of notes. None of them makes a value corrupt.
const (
	Unverifiable NoteKind = "unverifiable" // unknown algorithm, or the issuer is not there
	Weak         NoteKind = "weak"         // a key or hash that is too short today
	Trailing     NoteKind = "trailing"     // bytes after the end of the structure
	Unrecognised NoteKind = "unrecognised" // a layout that is not known
	Padding      NoteKind = "padding"      // padding that is missing, or not zero
)

// Note is something worth saying that is no fault.
type Note struct {
	Kind           NoteKind
	Detail         string
	Offset, Length int // the bytes it is about; Length 0 where there are none
}

// Proven tells whether a value with this fault and these notes is not only
// healthy, but so in every part that could be checked.
func Proven(f Fault, notes []Note) bool {
	for _, n := range notes {
		if n.Kind == Unverifiable {
			return false
		}
	}
	return f.Healthy()
}

// Field is one decoded field and the bytes it stands in. A field of depth d+1
// lies within the last field of depth d before it in its list; fields of the
// same depth under one parent stand in order and do not overlap.
type Field struct {
	Name           string
	Offset, Length int
	Value          string // for people; free of control characters
	Depth          int
}

// Outcome says how the search for a single changed byte ended.
type Outcome string

// The outcomes of a search.
const (
	Found     Outcome = "found"     // exactly one changed byte explains the damage
	NotFound  Outcome = "none"      // no single changed byte does, or more than one could
	Exhausted Outcome = "exhausted" // the work allowed ended before every candidate was tried
)

// Search is the result of looking for a single changed byte. Putting Original
// at FailingByte gives a value whose every check holds.
type Search struct {
	Outcome     Outcome
	FailingByte int  // offset in the value; only with Found
	Original    byte // what stood there; only with Found
	Tried       int  // how many candidates were tried
}

// Text returns s with everything that does not print, and a backslash, in
// escaped form, so that text from a hive cannot steer a terminal.
func Text(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\\':
			b.WriteString(`\\`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}

// Hex returns b in lower-case hex; of more than limit bytes only the first
// limit, followed by dots and the length.
func Hex(b []byte, limit int) string {
	if len(b) <= limit {
		return fmt.Sprintf("%x", b)
	}
	return fmt.Sprintf("%x... (%d bytes)", b[:limit], len(b))
}

// OneDifference returns where have and want, of equal length, differ; ok tells
// whether that is in exactly one byte.
func OneDifference(have, want []byte) (at int, ok bool) {
	if len(have) != len(want) {
		return 0, false
	}
	for i := range have {
		if have[i] == want[i] {
			continue
		}
		if ok {
			return 0, false
		}
		at, ok = i, true
	}
	return at, ok
}
