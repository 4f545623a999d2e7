// Package propcert decodes the proprietary certificate of a terminal server:
// the PROPRIETARYSERVERCERTIFICATE structure (MS-RDPBCGR 2.2.1.4.3.1.1), which
// the registry values Certificate and CertificateOld hold. Whether one is
// damaged can be told exactly, because the key that signs it is published.
package propcert

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"hivemend/analyze/internal/verdict"
)

// Cert is a decoded proprietary certificate.
type Cert struct {
	// Fault is the first of the causes empty, structure, truncated, key and
	// signature that holds. Structure means that an identifier, the magic or a
	// length disagrees with the rest; truncated means that everything that is
	// there agrees, but the value ends early.
	verdict.Fault
	Notes  []verdict.Note  // trailing bytes, padding that is not zero, a short key
	Fields []verdict.Field // in order; what is missing at the end is absent

	// Bits is the size of the server's key, as most of the lengths in the
	// value say; 0 where none of them makes sense. What follows is set only
	// when the value is long enough for a certificate of that size.
	Bits     int
	Size     int    // of the certificate without trailing bytes
	Exponent uint32 // the public exponent
	Modulus  []byte // little-endian, a view into the data
	// KeyDigest is the SHA-256 of exponent and modulus as they stand: the
	// same on two machines only if they share the key.
	KeyDigest [sha256.Size]byte
}

// Decode reads data, the content of a registry value. It never fails: what is
// wrong stands in the result.
func Decode(data []byte) *Cert {
	c := &Cert{}
	if len(data) == 0 {
		c.Fault = verdict.Fault{Cause: verdict.Empty, Detail: "The value is empty; a certificate of at least 184 bytes is due."}
		return c
	}
	l := layout{}
	if ls := layouts(data); len(ls) > 0 {
		l = ls[0]
		c.Bits = l.bits
	}
	c.Fields = fields(data, l)
	c.Fault = structureFault(data, l)
	if c.Fault.Healthy() {
		c.Fault = truncationFault(data, l)
	}
	if l.bits == 0 || len(data) < l.size() {
		return c
	}
	c.Size = l.size()
	c.Exponent = binary.LittleEndian.Uint32(data[32:])
	c.Modulus = data[modulusOffset : modulusOffset+l.modulusLen()]
	c.KeyDigest = sha256.Sum256(data[32 : modulusOffset+l.modulusLen()])
	c.Notes = notes(data, l)
	if c.Fault.Healthy() {
		c.Fault = keyFault(c.Exponent, c.Modulus)
	}
	if c.Fault.Healthy() {
		c.Fault = signatureFault(data, l)
	}
	return c
}

// structureFault compares every number whose content is known beforehand. A
// field that is cut off by the end of data is compared as far as it goes.
func structureFault(data []byte, l layout) verdict.Fault {
	for _, f := range l.numbers() {
		if f.offset >= len(data) || l.bits == 0 && f.offset >= 32 {
			break
		}
		have, want := data[f.offset:min(f.offset+f.size, len(data))], f.wanted()
		if l.bits == 0 && f.bits != nil {
			// No length makes sense, so this one does not, if it is whole.
			if len(have) < f.size {
				continue
			}
		} else if bytes.Equal(have, want[:len(have)]) {
			continue
		}
		fault := verdict.Fault{Cause: verdict.Structure, FailingOffset: f.offset, FailingLength: f.size}
		switch v, whole := f.read(data); {
		case !whole:
			fault.Detail = fmt.Sprintf("%s at offset %d begins with %x; %x is due.", f.name, f.offset, have, want)
		case f.bits != nil && l.bits == 0:
			fault.Detail = fmt.Sprintf("%s at offset %d is %d, which is right for no key of 512 to 2048 bits.", f.name, f.offset, v)
		case f.bits != nil:
			fault.Detail = fmt.Sprintf("%s at offset %d is %d; the other lengths are those of a %d-bit key, for which it is %d.", f.name, f.offset, v, l.bits, f.want)
		default:
			fault.Detail = fmt.Sprintf("%s at offset %d is %#x; %#x is due.", f.name, f.offset, v, f.want)
		}
		return fault
	}
	return verdict.Fault{}
}

func truncationFault(data []byte, l layout) verdict.Fault {
	if l.bits == 0 {
		return verdict.Fault{Cause: verdict.Truncated, FailingOffset: len(data),
			Detail: fmt.Sprintf("The value ends after %d bytes, before the lengths; a certificate of at least 184 bytes is due.", len(data))}
	}
	if len(data) < l.size() {
		return verdict.Fault{Cause: verdict.Truncated, FailingOffset: len(data),
			Detail: fmt.Sprintf("The value ends after %d bytes; a certificate for a %d-bit key has %d.", len(data), l.bits, l.size())}
	}
	return verdict.Fault{}
}

// keyFault finds keys that no signature can save. That the modulus is odd and
// has its top bit set is left to the signature to prove.
func keyFault(exponent uint32, modulus []byte) verdict.Fault {
	if exponent < 2 || exponent%2 == 0 {
		return verdict.Fault{Cause: verdict.Key, FailingOffset: 32, FailingLength: 4,
			Detail: fmt.Sprintf("The public exponent at offset 32 is %d, which no RSA key can have (65537 is usual).", exponent)}
	}
	if allZero(modulus) {
		return verdict.Fault{Cause: verdict.Key, FailingOffset: modulusOffset, FailingLength: len(modulus),
			Detail: "The modulus of the public key is zero."}
	}
	return verdict.Fault{}
}

func signatureFault(data []byte, l layout) verdict.Fault {
	signature := data[l.signatureOffset() : l.signatureOffset()+signatureLen]
	sum, ok := open(signature).digest()
	if !ok {
		return verdict.Fault{Cause: verdict.Signature, FailingOffset: l.signatureOffset(), FailingLength: signatureLen,
			Detail: "The signature was not made with the Terminal Services signing key: it, or what it covers, is damaged."}
	}
	if sum != md5.Sum(data[:l.signedLen()]) {
		return verdict.Fault{Cause: verdict.Signature, FailingLength: l.signedLen(),
			Detail: fmt.Sprintf("The signature is intact, but the %d bytes that it covers are not those that were signed.", l.signedLen())}
	}
	return verdict.Fault{}
}

func notes(data []byte, l layout) []verdict.Note {
	var notes []verdict.Note
	padding := func(off int, after string) {
		if !allZero(data[off : off+paddingLen]) {
			notes = append(notes, verdict.Note{Kind: verdict.Padding, Offset: off, Length: paddingLen,
				Detail: fmt.Sprintf("The padding after the %s is %x, not zero.", after, data[off:off+paddingLen])})
		}
	}
	padding(modulusOffset+l.modulusLen(), "modulus")
	padding(l.signatureOffset()+signatureLen, "signature")
	if n := len(data) - l.size(); n > 0 {
		notes = append(notes, verdict.Note{Kind: verdict.Trailing, Offset: l.size(), Length: n,
			Detail: fmt.Sprintf("%d bytes follow the certificate.", n)})
	}
	if l.bits < 1024 {
		notes = append(notes, verdict.Note{Kind: verdict.Weak, Offset: modulusOffset, Length: l.modulusLen(),
			Detail: fmt.Sprintf("The server's key has only %d bits.", l.bits)})
	}
	return notes
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// fields lists what stands in data by layout l, as far as data goes.
func fields(data []byte, l layout) []verdict.Field {
	var list []verdict.Field
	add := func(name string, off, size int, value func([]byte) string) {
		if off >= len(data) {
			return
		}
		b := data[off:min(off+size, len(data))]
		f := verdict.Field{Name: name, Offset: off, Length: len(b)}
		if f.Value = value(b); len(b) < size {
			f.Value = fmt.Sprintf("%s (cut short, %d of %d bytes)", verdict.Hex(b, 1024), len(b), size)
		}
		list = append(list, f)
	}
	whole := func(b []byte) string { return verdict.Hex(b, 1024) }
	decimal := func(b []byte) string {
		if len(b) < 4 {
			return ""
		}
		return fmt.Sprint(binary.LittleEndian.Uint32(b))
	}
	numbers := l.numbers()
	for _, f := range numbers[:9] {
		add(f.name, f.offset, f.size, func(b []byte) string { return numberText(f, b) })
	}
	add("pubExp", 32, 4, decimal)
	if l.bits == 0 {
		add("not decoded", modulusOffset, len(data)-modulusOffset, whole)
		return list
	}
	add("modulus", modulusOffset, l.modulusLen(), whole)
	add("padding of the modulus", modulusOffset+l.modulusLen(), paddingLen, whole)
	for _, f := range numbers[9:] {
		add(f.name, f.offset, f.size, func(b []byte) string { return numberText(f, b) })
	}
	add("signature", l.signatureOffset(), signatureLen, whole)
	add("padding of the signature", l.signatureOffset()+signatureLen, paddingLen, whole)
	add("trailing bytes", l.size(), len(data)-l.size(), func(b []byte) string { return verdict.Hex(b, 64) })
	return list
}

func numberText(f number, b []byte) string {
	if len(b) < f.size {
		return ""
	}
	v := uint32(binary.LittleEndian.Uint16(b))
	if f.size == 4 {
		v = binary.LittleEndian.Uint32(b)
	}
	if f.name == "magic" {
		return verdict.Text(string(b))
	}
	if f.name == "bitlen" {
		return fmt.Sprintf("%d bits", v)
	}
	return fmt.Sprint(v)
}
