package regtext

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"hivemend/hive"
	"hivemend/hive/cursor"
)

// Dialect is the manner in which text is written.
type Dialect uint8

// The dialects.
const (
	// Lossless is what Registry Editor writes, but for the REG_SZ that a
	// quoted string does not carry exactly: that is written as hex(1).
	Lossless Dialect = iota
	// Regedit is byte for byte what Registry Editor writes. A REG_SZ is cut at
	// its first NUL.
	Regedit
	// Regedit4 is the form of Windows 95 and NT 4.0: a REGEDIT4 header, 8-bit
	// text, strings in bytes of the code page. It loses what Regedit loses.
	Regedit4
)

var dialectNames = [...]string{"lossless", "regedit", "regedit4"}

// String returns "lossless", "regedit" or "regedit4".
func (d Dialect) String() string {
	if int(d) >= len(dialectNames) {
		return "unknown"
	}
	return dialectNames[d]
}

// ParseDialect is the inverse of String.
func ParseDialect(name string) (Dialect, error) {
	for i, n := range dialectNames {
		if n == name {
			return Dialect(i), nil
		}
	}
	return 0, fmt.Errorf("%q is no dialect of .reg text; want %s", name, strings.Join(dialectNames[:], ", "))
}

const (
	crlf = "\r\n"
	// wrapColumn is the column from which a list of bytes goes on in the next
	// line, where more bytes follow.
	wrapColumn = 77
	wrapIndent = "  "
)

// appendName appends what stands before the = of a value's line.
func appendName(dst []byte, name string) []byte {
	if name == "" {
		return append(dst, '@')
	}
	dst = append(dst, '"')
	for i := 0; i < len(name); i++ {
		dst = appendEscaped(dst, name[i])
	}
	return append(dst, '"')
}

// appendEscaped appends one byte of quoted text. Only the backslash and the
// quote are escaped: Registry Editor knows no other escapes.
func appendEscaped(dst []byte, c byte) []byte {
	if c == '\\' || c == '"' {
		dst = append(dst, '\\')
	}
	return append(dst, c)
}

// appendValue appends the lines of a value as WTF-8, each with its CRLF. The
// data must be in the form that the dialect's lists of bytes have.
func appendValue(dst []byte, name string, t hive.Type, data []byte, d Dialect) []byte {
	start := len(dst)
	dst = append(appendName(dst, name), '=')
	dst = appendData(dst, unitLen(dst[start:]), t, data, d)
	return append(dst, crlf...)
}

// appendData appends what stands behind the = of a value's line, of which
// column units are taken already.
func appendData(dst []byte, column int, t hive.Type, data []byte, d Dialect) []byte {
	switch {
	case t == hive.RegSZ && (d != Lossless || isPlainString(data)):
		return appendString(dst, data)
	case t == hive.RegDWORD && len(data) == 4:
		return appendDWORD(dst, binary.LittleEndian.Uint32(data))
	}
	start := len(dst)
	dst = append(dst, "hex"...)
	if t != hive.RegBinary {
		dst = append(dst, '(')
		dst = strconv.AppendUint(dst, uint64(t), 16)
		dst = append(dst, ')')
	}
	dst = append(dst, ':')
	return appendHex(dst, column+len(dst)-start, data)
}

// isPlainString reports whether a quoted string carries the data of a REG_SZ
// exactly: UTF-16LE text with one NUL, at its end, without line breaks and
// lone surrogates.
func isPlainString(data []byte) bool {
	if !endsWithNUL(data) {
		return false
	}
	text := data[:len(data)-2]
	for i := 0; i < len(text); i += 2 {
		switch high := text[i+1]; {
		case high == 0:
			if c := text[i]; c == 0 || c == '\r' || c == '\n' {
				return false
			}
		case high&0xfc == 0xdc:
			return false
		case high&0xfc == 0xd8:
			if i+3 >= len(text) || text[i+3]&0xfc != 0xdc {
				return false
			}
			i += 2
		}
	}
	return true
}

// appendString appends the data of a REG_SZ in quotes, up to its first NUL.
// A line feed is written as CR LF, which the reader takes for a line feed.
func appendString(dst, data []byte) []byte {
	dst = append(dst, '"')
	for i := 0; i+1 < len(data); {
		c := data[i]
		if c >= utf8.RuneSelf || data[i+1] != 0 {
			end := i + 2
			for end+1 < len(data) && (data[end+1] != 0 || data[end] >= utf8.RuneSelf) {
				end += 2
			}
			dst = append(dst, cursor.String(data[i:end])...)
			i = end
			continue
		}
		switch c {
		case 0:
			return append(dst, '"')
		case '\n':
			dst = append(dst, crlf...)
		default:
			dst = appendEscaped(dst, c)
		}
		i += 2
	}
	return append(dst, '"')
}

const lowerDigits = "0123456789abcdef"

func appendDWORD(dst []byte, n uint32) []byte {
	dst = append(dst, "dword:"...)
	for shift := 28; shift >= 0; shift -= 4 {
		dst = append(dst, lowerDigits[n>>shift&0xf])
	}
	return dst
}

// appendHex appends a list of bytes, wrapped as Registry Editor does it: the
// line, of which column units are taken already, ends behind the first comma
// at or beyond wrapColumn.
func appendHex(dst []byte, column int, data []byte) []byte {
	for len(data) > 0 {
		n := 1
		if column < wrapColumn {
			n = (wrapColumn - column + 2) / 3
		}
		last := n >= len(data)
		if last {
			n = len(data)
		}
		dst = appendBytes(dst, data[:n])
		if last {
			return dst[:len(dst)-1]
		}
		dst = append(dst, `\`+crlf+wrapIndent...)
		data, column = data[n:], len(wrapIndent)
	}
	return dst
}

// hexTriples holds two digits and a comma for each byte, lowest character first.
var hexTriples = func() (t [256]uint32) {
	for i := range t {
		t[i] = uint32(lowerDigits[i>>4]) | uint32(lowerDigits[i&0xf])<<8 | ','<<16
	}
	return t
}()

// appendBytes appends each byte of data as two digits and a comma.
func appendBytes(dst, data []byte) []byte {
	n := len(dst)
	// Each triple is stored with a fourth byte, which the next one covers.
	dst = slices.Grow(dst, 3*len(data)+1)[:n+3*len(data)+1]
	out := dst[n:]
	for i, c := range data {
		binary.LittleEndian.PutUint32(out[3*i:], hexTriples[c])
	}
	return dst[:n+3*len(data)]
}

// KeyLines returns the section of k as lines of text without their ends, as
// the Lossless dialect writes them: [path], and the values, of which long ones
// take several lines. Subkeys are left out. The lines are for people: what
// would break a line or mislead the eye stands as \u and four digits, and data
// that cannot be read is a comment.
func KeyLines(path hive.Path, k hive.Key) []string {
	lines := []string{hive.Printable("[" + path.String() + "]")}
	var buf []byte
	for v := range k.Values() {
		name := string(appendName(nil, v.Name()))
		data, err := v.Data()
		if err != nil {
			lines = append(lines, hive.Printable("; "+name+" cannot be read: "+err.Error()))
			continue
		}
		prefix := name + "="
		buf = appendData(buf[:0], cursor.UnitLen(prefix), v.Type(), data, Lossless)
		for text := range strings.SplitSeq(string(buf), crlf) {
			lines = append(lines, hive.Printable(prefix+text))
			prefix = ""
		}
	}
	return lines
}
