package hive

import (
	"sort"
	"strings"
	"unicode/utf8"

	"hivemend/hive/cursor"
)

// Names of keys and values are WTF-8 strings (see hive/cursor): any run of
// UTF-16 units, lone surrogates and NULs included, without loss.

// upcaseRun maps the units first, first+step, ... last to themselves plus
// delta (mod 65536).
type upcaseRun struct{ first, last, step, delta uint16 }

// Upcase returns the upper case of one UTF-16 unit as Windows 10's
// RtlUpcaseUnicodeChar gives it. Surrogates map to themselves.
func Upcase(u uint16) uint16 {
	if u < 0x80 {
		if u >= 'a' && u <= 'z' {
			return u - 0x20
		}
		return u
	}
	i := sort.Search(len(upcaseRuns), func(i int) bool { return upcaseRuns[i].last >= u })
	if i < len(upcaseRuns) && u >= upcaseRuns[i].first && (u-upcaseRuns[i].first)%upcaseRuns[i].step == 0 {
		return u + upcaseRuns[i].delta
	}
	return u
}

// Fold returns name in upper case, unit by unit: two names mean the same key
// or value exactly when their folded forms are equal.
func Fold(name string) string {
	for i := 0; i < len(name); i++ {
		if name[i] >= utf8.RuneSelf {
			return foldUnits(name)
		}
	}
	return strings.ToUpper(name)
}

func foldUnits(name string) string {
	units := cursor.UnitsFromString(name)
	for i, u := range units {
		units[i] = Upcase(u)
	}
	return cursor.StringFromUnits(units)
}

// EqualFold reports whether a and b name the same key or value.
func EqualFold(a, b string) bool { return a == b || Fold(a) == Fold(b) }

// CompareFold orders names as the registry stores subkeys: by upper-cased
// UTF-16 units, numerically, a prefix before what is longer. It returns a
// negative number, 0 or a positive number.
func CompareFold(a, b string) int {
	if isASCII(a) && isASCII(b) {
		return strings.Compare(strings.ToUpper(a), strings.ToUpper(b))
	}
	ua, ub := cursor.UnitsFromString(a), cursor.UnitsFromString(b)
	for i := 0; i < len(ua) && i < len(ub); i++ {
		if d := int(Upcase(ua[i])) - int(Upcase(ub[i])); d != 0 {
			return d
		}
	}
	return len(ua) - len(ub)
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Printable returns name as it can stand in a line of text: characters that
// would break the line or mislead the eye (controls, lone surrogates, and the
// marks that turn the direction of writing) are written as \uXXXX. A name
// without any is returned as it is.
func Printable(name string) string {
	clean := true
	for _, r := range name {
		if hidden(r) {
			clean = false
			break
		}
	}
	if clean {
		return name
	}
	var b strings.Builder
	for _, u := range cursor.UnitsFromString(name) {
		if r := rune(u); hidden(r) || r >= 0xd800 && r < 0xe000 {
			b.WriteString(`\u`)
			const digits = "0123456789abcdef"
			for shift := 12; shift >= 0; shift -= 4 {
				b.WriteByte(digits[u>>shift&0xf])
			}
			continue
		}
		b.WriteRune(rune(u))
	}
	return b.String()
}

func hidden(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r < 0xa0, r == utf8.RuneError:
		return true
	case r >= 0x200e && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0xfeff:
		return true
	}
	return false
}

// TextOf returns the UTF-16LE text in b as WTF-8. An odd last byte is ignored.
func TextOf(b []byte) string { return cursor.String(b) }
