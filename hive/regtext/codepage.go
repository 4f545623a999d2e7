package regtext

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"

	"hivemend/hive/cursor"
)

// defaultCodePage is taken for 8-bit text of which nothing better is known.
const defaultCodePage = 1252

// codePages are the Windows code pages that 8-bit text may be in.
var codePages = map[int]encoding.Encoding{
	437: charmap.CodePage437, 850: charmap.CodePage850, 852: charmap.CodePage852, 855: charmap.CodePage855,
	858: charmap.CodePage858, 860: charmap.CodePage860, 862: charmap.CodePage862, 863: charmap.CodePage863,
	865: charmap.CodePage865, 866: charmap.CodePage866, 874: charmap.Windows874,
	932: japanese.ShiftJIS, 936: simplifiedchinese.GBK, 949: korean.EUCKR, 950: traditionalchinese.Big5,
	1250: charmap.Windows1250, 1251: charmap.Windows1251, 1252: charmap.Windows1252, 1253: charmap.Windows1253,
	1254: charmap.Windows1254, 1255: charmap.Windows1255, 1256: charmap.Windows1256, 1257: charmap.Windows1257,
	1258: charmap.Windows1258, 54936: simplifiedchinese.GB18030, 65001: unicode.UTF8,
}

// codePage converts between the bytes of one code page and UTF-16 units.
type codePage struct {
	number int
	enc    encoding.Encoding
	// decode holds the unit of each byte where every byte is a character.
	decode *[256]uint16
	encode map[rune]byte
}

// newCodePage returns the code page of that number; 0 means the default one.
func newCodePage(number int) (*codePage, error) {
	if number == 0 {
		number = defaultCodePage
	}
	enc, ok := codePages[number]
	if !ok {
		known := slices.Sorted(maps.Keys(codePages))
		return nil, fmt.Errorf("code page %d is not known; known are %s", number, strings.Trim(fmt.Sprint(known), "[]"))
	}
	cp := &codePage{number: number, enc: enc}
	if single, ok := enc.(*charmap.Charmap); ok {
		cp.fillTables(single)
	}
	return cp, nil
}

// fillTables reads a single-byte code page into tables. Bytes 80 to 9F that
// the page leaves undefined are taken as the control characters of the same
// number, which is what Windows does in its ANSI pages.
func (cp *codePage) fillTables(single *charmap.Charmap) {
	cp.decode, cp.encode = new([256]uint16), make(map[rune]byte, 256)
	for i := range cp.decode {
		r := single.DecodeByte(byte(i))
		if r == utf8.RuneError && i >= 0x80 && i < 0xa0 {
			r = rune(i)
		}
		cp.decode[i] = uint16(r)
		if _, taken := cp.encode[r]; !taken && r != utf8.RuneError {
			cp.encode[r] = byte(i)
		}
	}
}

// appendUTF16 appends the text in b to dst as UTF-16LE. Bytes that are no
// character of the code page become U+FFFD.
func (cp *codePage) appendUTF16(dst, b []byte) ([]byte, error) {
	if cp.decode != nil {
		for _, c := range b {
			u := cp.decode[c]
			dst = append(dst, byte(u), byte(u>>8))
		}
		return dst, nil
	}
	text, err := cp.enc.NewDecoder().Bytes(b)
	if err != nil {
		return dst, fmt.Errorf("code page %d: %w", cp.number, err)
	}
	return appendWide(dst, text), nil
}

// appendBytes appends the WTF-8 text to dst in the code page. Where the page
// lacks a character of it nothing is appended, and ok is false.
func (cp *codePage) appendBytes(dst, text []byte) (out []byte, ok bool) {
	if cp.encode == nil {
		b, err := cp.enc.NewEncoder().Bytes(text)
		if err != nil || !utf8.Valid(text) {
			return dst, false
		}
		return append(dst, b...), true
	}
	start := len(dst)
	for i := 0; i < len(text); {
		if text[i] < utf8.RuneSelf {
			dst = append(dst, text[i])
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		b, known := cp.encode[r]
		if !known || r == utf8.RuneError {
			return dst[:start], false
		}
		dst = append(dst, b)
		i += size
	}
	return dst, true
}

// appendWide appends WTF-8 text to dst as UTF-16LE.
func appendWide(dst, text []byte) []byte {
	dst = slices.Grow(dst, 2*len(text))
	for i := 0; i < len(text); {
		n := asciiRun(text[i:])
		dst = appendWideASCII(dst, text[i:i+n])
		i += n
		end := i
		for end < len(text) && text[end] >= utf8.RuneSelf {
			end++
		}
		if end > i {
			dst = append(dst, cursor.Bytes(cursor.UnitsFromString(string(text[i:end])))...)
		}
		i = end
	}
	return dst
}

// asciiRun returns how many bytes at the start of b are ASCII.
func asciiRun(b []byte) int {
	n := 0
	for len(b)-n >= 8 && binary.LittleEndian.Uint64(b[n:])&0x8080_8080_8080_8080 == 0 {
		n += 8
	}
	for n < len(b) && b[n] < utf8.RuneSelf {
		n++
	}
	return n
}

// appendWideASCII appends ASCII text to dst, with a zero behind each byte.
func appendWideASCII(dst, text []byte) []byte {
	n := len(dst)
	dst = slices.Grow(dst, 2*len(text))[:n+2*len(text)]
	out := dst[n:]
	for len(text) >= 4 && len(out) >= 8 {
		four := uint64(binary.LittleEndian.Uint32(text))
		four = (four | four<<16) & 0x0000_ffff_0000_ffff
		four = (four | four<<8) & 0x00ff_00ff_00ff_00ff
		binary.LittleEndian.PutUint64(out, four)
		text, out = text[4:], out[8:]
	}
	for i, c := range text {
		out[2*i], out[2*i+1] = c, 0
	}
	return dst
}

// appendNarrow appends UTF-16LE text to dst as WTF-8. An odd last byte is
// ignored.
func appendNarrow(dst, wide []byte) []byte {
	for i := 0; i+1 < len(wide); {
		if c := wide[i]; c < utf8.RuneSelf && wide[i+1] == 0 {
			dst = append(dst, c)
			i += 2
			continue
		}
		end := i + 2
		for end+1 < len(wide) && (wide[end+1] != 0 || wide[end] >= utf8.RuneSelf) {
			end += 2
		}
		dst = append(dst, cursor.String(wide[i:end])...)
		i = end
	}
	return dst
}

// unitLen is the number of UTF-16 units of WTF-8 text.
func unitLen(text []byte) int {
	n := 0
	for _, c := range text {
		if c < 0x80 || c >= 0xc0 {
			n++ // anything but a continuation
		}
		if c >= 0xf0 {
			n++ // a surrogate pair
		}
	}
	return n
}
