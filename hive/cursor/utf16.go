package cursor

import "unicode/utf8"

// Text in the registry is a run of UTF-16 code units and need not be valid:
// lone surrogates, NULs and line breaks are all legal in a key name. A Go
// string holds such text without loss in generalised UTF-8 (WTF-8): a lone
// surrogate becomes the three bytes that its number would have in UTF-8, and
// everything else is plain UTF-8. So names are comparable, usable as map keys
// and, but for the rare broken one, printable as they are.

// String returns the UTF-16LE text in b as WTF-8. An odd last byte is ignored;
// a caller that cares tests len(b) first.
func String(b []byte) string { return StringFromUnits(Units(b)) }

// Units returns the UTF-16 code units in b. An odd last byte is ignored.
func Units(b []byte) []uint16 {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = uint16(b[2*i]) | uint16(b[2*i+1])<<8
	}
	return u
}

// Bytes returns units as UTF-16LE.
func Bytes(units []uint16) []byte {
	b := make([]byte, 2*len(units))
	for i, u := range units {
		b[2*i], b[2*i+1] = byte(u), byte(u>>8)
	}
	return b
}

// StringFromUnits returns units as WTF-8.
func StringFromUnits(units []uint16) string {
	b := make([]byte, 0, len(units))
	for i := 0; i < len(units); i++ {
		u := rune(units[i])
		switch {
		case u < utf8.RuneSelf:
			b = append(b, byte(u))
		case isHigh(u) && i+1 < len(units) && isLow(rune(units[i+1])):
			b = utf8.AppendRune(b, 0x10000+(u-0xd800)<<10+(rune(units[i+1])-0xdc00))
			i++
		case isHigh(u) || isLow(u):
			b = append(b, 0xe0|byte(u>>12), 0x80|byte(u>>6)&0xbf, 0x80|byte(u)&0xbf)
		default:
			b = utf8.AppendRune(b, u)
		}
	}
	return string(b)
}

// UnitsFromString returns the UTF-16 code units of a WTF-8 string: the inverse
// of StringFromUnits. Bytes that are neither UTF-8 nor an encoded surrogate
// become U+FFFD.
func UnitsFromString(s string) []uint16 {
	units := make([]uint16, 0, len(s))
	for len(s) > 0 {
		r, n := decode(s)
		s = s[n:]
		if r >= 0x10000 {
			r -= 0x10000
			units = append(units, uint16(0xd800+r>>10), uint16(0xdc00+r&0x3ff))
			continue
		}
		units = append(units, uint16(r))
	}
	return units
}

// UnitLen is the number of UTF-16 code units of a WTF-8 string.
func UnitLen(s string) int {
	n := 0
	for len(s) > 0 {
		r, size := decode(s)
		s = s[size:]
		n++
		if r >= 0x10000 {
			n++
		}
	}
	return n
}

// LatinString returns b with each byte taken as the character of that number
// (U+0000 to U+00FF): how the registry stores compressed names.
func LatinString(b []byte) string {
	ascii := true
	for _, c := range b {
		if c >= utf8.RuneSelf {
			ascii = false
			break
		}
	}
	if ascii {
		return string(b)
	}
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		out = utf8.AppendRune(out, rune(c))
	}
	return string(out)
}

// decode returns the first character of a WTF-8 string and its length.
func decode(s string) (rune, int) {
	r, n := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && n == 1 && len(s) >= 3 && s[0] == 0xed && s[1]&0xe0 == 0xa0 && s[2]&0xc0 == 0x80 {
		return 0xd000 | rune(s[1]&0x3f)<<6 | rune(s[2]&0x3f), 3
	}
	return r, n
}

func isHigh(r rune) bool { return r >= 0xd800 && r < 0xdc00 }
func isLow(r rune) bool  { return r >= 0xdc00 && r < 0xe000 }
