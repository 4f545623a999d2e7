package encode

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// tlv returns one DER element with the shortest form of its length.
func tlv(tag byte, contents ...[]byte) []byte {
	content := bytes.Join(contents, nil)
	n := len(content)
	out := []byte{tag}
	switch {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 0x100:
		out = append(out, 0x81, byte(n))
	case n < 0x10000:
		out = append(out, 0x82, byte(n>>8), byte(n))
	default:
		out = append(out, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(out, content...)
}

func sequence(contents ...[]byte) []byte { return tlv(0x30, contents...) }

// setOf returns a SET OF with its members in the order that DER demands.
func setOf(members ...[]byte) []byte {
	members = slices.Clone(members)
	slices.SortFunc(members, bytes.Compare)
	return tlv(0x31, members...)
}

// oid returns an OBJECT IDENTIFIER given in dotted form.
func oid(dotted string) []byte {
	var arcs []uint64
	for _, part := range strings.Split(dotted, ".") {
		n, err := strconv.ParseUint(part, 10, 64)
		if err != nil {
			panic(fmt.Sprintf("%q is no object identifier: %v", dotted, err))
		}
		arcs = append(arcs, n)
	}
	content := []byte{byte(arcs[0]*40 + arcs[1])}
	for _, arc := range arcs[2:] {
		groups := []byte{byte(arc & 0x7f)}
		for arc >>= 7; arc > 0; arc >>= 7 {
			groups = append(groups, byte(arc&0x7f)|0x80)
		}
		slices.Reverse(groups)
		content = append(content, groups...)
	}
	return tlv(0x06, content)
}

func null() []byte { return tlv(0x05) }

func boolean(b bool) []byte {
	if b {
		return tlv(0x01, []byte{0xff})
	}
	return tlv(0x01, []byte{0})
}

// integer returns a non-negative INTEGER.
func integer(n *big.Int) []byte {
	b := n.Bytes()
	if len(b) == 0 || b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	return tlv(0x02, b)
}

func smallInteger(n int64) []byte { return integer(big.NewInt(n)) }

func octetString(b []byte) []byte { return tlv(0x04, b) }

func bitString(b []byte) []byte { return tlv(0x03, []byte{0}, b) }

// bmpString returns a BMPString: UTF-16, highest byte first.
func bmpString(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u>>8), byte(u))
	}
	return tlv(0x1e, b)
}

func printableString(s string) []byte { return tlv(0x13, []byte(s)) }

// moment returns a UTCTime up to 2049 and a GeneralizedTime after (RFC 5280,
// 4.1.2.5).
func moment(t time.Time) []byte {
	t = t.UTC()
	if y := t.Year(); y >= 1950 && y < 2050 {
		return tlv(0x17, []byte(t.Format("060102150405Z")))
	}
	return tlv(0x18, []byte(t.Format("20060102150405Z")))
}

// UTF16 returns s as UTF-16, lowest byte first, without a NUL at its end.
func UTF16(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return b
}

// UTF16Z is UTF16 with a NUL at its end.
func UTF16Z(s string) []byte { return append(UTF16(s), 0, 0) }
