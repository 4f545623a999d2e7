// Package mscerttest makes certificates like those of Microsoft's
// terminal-server licensing, for tests: sound ones, and ones that are wrong in
// one chosen way but signed all the same.
package mscerttest

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"hivemend/analyze/internal/verdict"
)

// TLV returns one DER element.
func TLV(tag byte, parts ...[]byte) []byte {
	content := slices.Concat(parts...)
	b := []byte{tag}
	switch n := len(content); {
	case n < 0x80:
		b = append(b, byte(n))
	case n < 0x100:
		b = append(b, 0x81, byte(n))
	default:
		b = append(b, 0x82, byte(n>>8), byte(n))
	}
	return append(b, content...)
}

// OID returns an object identifier from its dotted form.
func OID(dotted string) []byte {
	var arcs []uint64
	for _, s := range strings.Split(dotted, ".") {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			panic("mscerttest: " + err.Error())
		}
		arcs = append(arcs, n)
	}
	content := []byte{byte(arcs[0]*40 + arcs[1])}
	for _, n := range arcs[2:] {
		septets := []byte{byte(n & 0x7f)}
		for n >>= 7; n > 0; n >>= 7 {
			septets = append([]byte{byte(n&0x7f) | 0x80}, septets...)
		}
		content = append(content, septets...)
	}
	return TLV(6, content)
}

// Integer returns an INTEGER.
func Integer(n *big.Int) []byte {
	b := n.Bytes()
	if len(b) == 0 || b[0] >= 0x80 {
		b = append([]byte{0}, b...)
	}
	return TLV(2, b)
}

// Algorithm returns an AlgorithmIdentifier with NULL parameters.
func Algorithm(dotted string) []byte { return TLV(0x30, OID(dotted), TLV(5)) }

// Name returns a name of CN and L in one multi-valued RDN of BMPStrings.
func Name(cn, l string) []byte {
	bmp := func(s string) []byte {
		var b []byte
		for _, u := range utf16.Encode([]rune(s)) {
			b = append(b, byte(u>>8), byte(u))
		}
		return TLV(0x1e, b)
	}
	return TLV(0x30, TLV(0x31,
		TLV(0x30, OID("2.5.4.3"), bmp(cn)),
		TLV(0x30, OID("2.5.4.7"), bmp(l))))
}

// Key is an RSA key pair.
type Key struct{ N, E, D *big.Int }

// PublicKey returns its RSAPublicKey.
func (k Key) PublicKey() []byte { return TLV(0x30, Integer(k.N), Integer(k.E)) }

// TestKey returns a fixed key of 512 or 1024 bits, or nearly so, that depends
// on seed alone. It is fit for tests and nothing else.
func TestKey(bits int, seed uint32) Key {
	e := big.NewInt(65537)
	one := big.NewInt(1)
	prime := func(n uint32) *big.Int {
		var b []byte
		for i := uint32(0); len(b) < bits/16; i++ {
			sum := sha256.Sum256(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, seed*2+n), i))
			b = append(b, sum[:]...)
		}
		b = b[:bits/16]
		b[0] |= 0xc0
		b[len(b)-1] |= 1
		p := new(big.Int).SetBytes(b)
		for !p.ProbablyPrime(10) || new(big.Int).GCD(nil, nil, new(big.Int).Sub(p, one), e).Cmp(one) != 0 {
			p.Add(p, big.NewInt(2))
		}
		return p
	}
	p, q := prime(0), prime(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	return Key{N: new(big.Int).Mul(p, q), E: e, D: new(big.Int).ModInverse(e, phi)}
}

// Template is what a certificate is made from. The zero value of a field
// gives what is usual.
type Template struct {
	Subject, Issuer     []byte // Name; Issuer defaults to Subject
	Serial              []byte // content octets; 01 by default
	NotBefore, NotAfter []byte // whole elements
	Key                 Key
	KeyAlgorithm        string // rsaEncryption by default
	SPKI                []byte // instead of Key and KeyAlgorithm
	Hash                string // "md5", "sha1" (default) or "sha256"
	Algorithm           string // identifier; the OIW's or RSA's for Hash by default
	OuterAlgorithm      string // Algorithm by default
	Extensions          []byte // the [3] element
}

// Time returns a UTCTime or, with four digits of year, a GeneralizedTime.
func Time(s string) []byte {
	if len(s) == len("20070101000000Z") {
		return TLV(0x18, []byte(s))
	}
	return TLV(0x17, []byte(s))
}

func (t Template) withDefaults() Template {
	or := func(b *[]byte, def []byte) {
		if *b == nil {
			*b = def
		}
	}
	or(&t.Issuer, t.Subject)
	or(&t.Serial, []byte{1})
	or(&t.NotBefore, Time("700527011103Z"))
	or(&t.NotAfter, Time("490527011103Z"))
	if t.KeyAlgorithm == "" {
		t.KeyAlgorithm = "1.2.840.113549.1.1.1"
	}
	if t.SPKI == nil {
		t.SPKI = TLV(0x30, Algorithm(t.KeyAlgorithm), TLV(3, []byte{0}, t.Key.PublicKey()))
	}
	if t.Algorithm == "" {
		t.Algorithm = map[string]string{"md5": "1.2.840.113549.1.1.4", "": "1.3.14.3.2.29", "sha1": "1.3.14.3.2.29", "sha256": "1.2.840.113549.1.1.11"}[t.Hash]
	}
	if t.OuterAlgorithm == "" {
		t.OuterAlgorithm = t.Algorithm
	}
	return t
}

// Certificate returns the certificate, signed with the issuer's key.
func (t Template) Certificate(issuer Key) []byte {
	t = t.withDefaults()
	tbs := TLV(0x30, TLV(0xa0, TLV(2, []byte{2})), TLV(2, t.Serial), Algorithm(t.Algorithm), t.Issuer,
		TLV(0x30, t.NotBefore, t.NotAfter), t.Subject, t.SPKI, t.Extensions)
	return TLV(0x30, tbs, Algorithm(t.OuterAlgorithm), TLV(3, []byte{0}, Sign(issuer, t.Hash, tbs)))
}

// Sign returns a PKCS #1 v1.5 signature over data.
func Sign(key Key, hash string, data []byte) []byte {
	var oid string
	var sum []byte
	switch hash {
	case "md5":
		s := md5.Sum(data)
		oid, sum = "1.2.840.113549.2.5", s[:]
	case "sha256":
		s := sha256.Sum256(data)
		oid, sum = "2.16.840.1.101.3.4.2.1", s[:]
	default:
		s := sha1.Sum(data)
		oid, sum = "1.3.14.3.2.26", s[:]
	}
	info := TLV(0x30, Algorithm(oid), TLV(4, sum))
	size := (key.N.BitLen() + 7) / 8
	em := append([]byte{0, 1}, slices.Repeat([]byte{0xff}, size-3-len(info))...)
	em = append(append(em, 0), info...)
	return new(big.Int).Exp(new(big.Int).SetBytes(em), key.D, key.N).FillBytes(make([]byte, size))
}

// Chain frames certificates as the value X509 Certificate does.
func Chain(version uint32, certificates ...[]byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, version)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(certificates)))
	for _, c := range certificates {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(c)))
		b = append(b, c...)
	}
	return append(b, make([]byte, 8+4*len(certificates))...)
}

// Bag wraps certificates as the value ClientLicense does.
func Bag(certificates ...[]byte) []byte {
	return TLV(0x30, OID("1.2.840.113549.1.7.2"), TLV(0xa0, TLV(0x30,
		TLV(2, []byte{1}), TLV(0x31), TLV(0x30, OID("1.2.840.113549.1.7.1")), TLV(0xa0, certificates...), TLV(0x31))))
}

// Product returns the [3] extensions of a licence for the product.
func Product(requested, adjusted string, major, minor uint16, flags uint32) []byte {
	wide := func(s string) []byte {
		var b []byte
		for _, u := range utf16.Encode([]rune(s + "\x00")) {
			b = binary.LittleEndian.AppendUint16(b, u)
		}
		return b
	}
	le := binary.LittleEndian
	r, a := wide(requested), wide(adjusted)
	var b []byte
	for _, n := range []uint32{0x3000, 1, 0xff, 0x400} {
		b = le.AppendUint32(b, n)
	}
	for _, n := range []int{28, len(r), 28 + len(r), len(a), 28 + len(r) + len(a), 1} {
		b = le.AppendUint16(b, uint16(n))
	}
	b = append(append(b, r...), a...)
	b = le.AppendUint32(le.AppendUint16(le.AppendUint16(b, major), minor), flags)
	return TLV(0xa3, TLV(0x30, TLV(0x30, OID("1.3.6.1.4.1.311.18.5"), TLV(1, []byte{0xff}), TLV(4, b))))
}

// Unhex returns the bytes of a hex string, which must be one.
func Unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(fmt.Sprintf("mscerttest: %v", err))
	}
	return b
}

// CheckFields tests what verdict.Field promises of the fields of a value of
// size bytes.
func CheckFields(size int, fields []verdict.Field) error {
	ends := []int{size}
	last := []int{0}
	for _, f := range fields {
		if f.Depth+1 > len(ends) {
			return fmt.Errorf("%q has no parent", f.Name)
		}
		ends, last = ends[:f.Depth+1], last[:f.Depth+1]
		if f.Offset < last[f.Depth] || f.Length < 0 || f.Offset+f.Length > ends[f.Depth] {
			return fmt.Errorf("%q at %d+%d does not fit between %d and %d", f.Name, f.Offset, f.Length, last[f.Depth], ends[f.Depth])
		}
		last[f.Depth] = f.Offset + f.Length
		ends, last = append(ends, f.Offset+f.Length), append(last, f.Offset)
		if strings.ContainsFunc(f.Value, func(r rune) bool { return r < ' ' }) {
			return fmt.Errorf("%q holds control characters: %q", f.Name, f.Value)
		}
	}
	return nil
}
