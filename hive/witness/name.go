package witness

import (
	"unicode/utf16"
	"unicode/utf8"
)

// decodeName returns a stored name as the WTF-8 that package hive uses.
// regparser hands names out as stored: one byte a character (Latin-1) where
// compressed is set, else UTF-16LE. It is decoded here, not by the code that
// hive/regf uses, so that a mistake there shows.
func decodeName(stored string, compressed bool) string {
	if compressed {
		return decodeLatin(stored)
	}
	name := make([]byte, 0, len(stored))
	for i := 0; i+1 < len(stored); i += 2 {
		r := unitAt(stored, i)
		if utf16.IsSurrogate(r) && i+3 < len(stored) {
			if pair := utf16.DecodeRune(r, unitAt(stored, i+2)); pair != utf8.RuneError {
				name = utf8.AppendRune(name, pair)
				i += 2
				continue
			}
		}
		if utf16.IsSurrogate(r) { // alone: the three bytes that its number has
			name = append(name, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
			continue
		}
		name = utf8.AppendRune(name, r)
	}
	return string(name)
}

func unitAt(s string, i int) rune { return rune(s[i]) | rune(s[i+1])<<8 }

func decodeLatin(stored string) string {
	for i := 0; i < len(stored); i++ {
		if stored[i] >= utf8.RuneSelf {
			name := []byte(stored[:i])
			for ; i < len(stored); i++ {
				name = utf8.AppendRune(name, rune(stored[i]))
			}
			return string(name)
		}
	}
	return stored
}
