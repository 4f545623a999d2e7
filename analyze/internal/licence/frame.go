package licence

import (
	"bytes"
	"fmt"
	"strings"

	"hivemend/analyze/internal/der"
	"hivemend/analyze/internal/verdict"
	"hivemend/hive/cursor"
)

// Frame is a NEW_LICENSE_INFO structure (MS-RDPELE 2.2.2.6.1) around a
// licence, as it is on the wire. No Windows is known to store it.
type Frame struct {
	Major, Minor                  uint16
	Scope, CompanyName, ProductID string
}

// maxText is the longest text that is believed, in bytes.
const maxText = 4096

// looksFramed tells whether data begins like a NEW_LICENSE_INFO: with a
// protocol version of 4.0 to 10.x instead of a SEQUENCE.
func looksFramed(data []byte) bool {
	v, ok := cursor.U32(data, 0)
	return ok && v>>16 >= 4 && v>>16 <= 10 && v&0xffff < 0x100
}

// readFrame reads the frame and returns where the licence in it lies. ok is
// false where it cannot be told.
func (l *License) readFrame(data []byte) (start, end int, ok bool) {
	version, _ := cursor.U32(data, 0)
	l.Frame.Major, l.Frame.Minor = uint16(version>>16), uint16(version)
	l.field(0, "dwVersion", 0, 4, fmt.Sprintf("%d.%d", l.Frame.Major, l.Frame.Minor))
	at := 4
	for _, part := range []struct {
		name string
		wide bool
		to   *string
	}{
		{"scope", false, &l.Frame.Scope}, {"company name", true, &l.Frame.CompanyName}, {"product id", true, &l.Frame.ProductID},
	} {
		n, ok := l.length(data, at, part.name, maxText)
		if !ok {
			return 0, 0, false
		}
		*part.to = text(data[at+4:at+4+n], part.wide)
		l.field(0, part.name, at+4, n, verdict.Text(*part.to))
		at += 4 + n
	}
	n, ok := l.length(data, at, "licence", len(data))
	if !ok {
		return 0, 0, false
	}
	start, end = at+4, at+4+n
	if total, ok := der.Header(data, start, end); ok && total != uint64(n) {
		l.fail(verdict.Framing, -1, at, 4, "The length at offset %d gives the licence %d bytes, but the licence itself has %d.", at, n, total)
	}
	if extra := len(data) - end; extra > 0 {
		l.Notes = append(l.Notes, verdict.Note{Kind: verdict.Trailing, Offset: end, Length: extra, Detail: fmt.Sprintf("%d bytes follow the licence.", extra)})
	}
	return start, end, true
}

// length reads the length at off of the part that follows it. Lengths above
// limit are not believed; others that reach past the end say that the value
// ends early, unless the licence itself, a witness of its own length, says
// otherwise.
func (l *License) length(data []byte, off int, what string, limit int) (n int, ok bool) {
	v, ok := cursor.U32(data, uint64(off))
	if !ok {
		l.fail(verdict.Truncated, -1, len(data), 0, "The value ends after %d bytes, before the length of the %s.", len(data), what)
		l.field(0, "not decoded", off, len(data)-off, verdict.Hex(data[off:], 64))
		return 0, false
	}
	l.field(0, "length of the "+what, off, 4, fmt.Sprint(v))
	left := len(data) - off - 4
	if uint64(v) <= uint64(left) && (what == "licence" || uint64(v) <= uint64(limit)) {
		return int(v), true
	}
	cause := verdict.Truncated
	if what == "licence" {
		if total, ok := der.Header(data, off+4, len(data)); left >= 4 && (!ok || total != uint64(v)) {
			cause = verdict.Framing
		}
	} else if uint64(v) > uint64(limit) {
		cause = verdict.Framing
	}
	l.fail(cause, -1, off, 4, "The length at offset %d gives the %s %d bytes, but only %d are left.", off, what, v, left)
	l.field(0, "not decoded", off+4, left, verdict.Hex(data[off+4:], 64))
	return 0, false
}

// text returns the NUL-terminated text in b, in UTF-16LE or in one byte a
// character.
func text(b []byte, wide bool) string {
	if wide {
		s, _, _ := strings.Cut(cursor.String(b), "\x00")
		return s
	}
	b, _, _ = bytes.Cut(b, []byte{0})
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}
