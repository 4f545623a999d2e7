package mscert

import (
	"crypto/sha256"
	"fmt"
	"math/big"

	"hivemend/analyze/internal/der"
	"hivemend/analyze/internal/verdict"
)

// Bounds on what is computed with, so that a hostile key costs little. Keys
// beyond them are named, not used.
const (
	maxModulusBits  = 4096
	maxExponentBits = 32
)

// PublicKey is an RSA public key.
type PublicKey struct {
	Algorithm                 string // the identifier it stands under, dotted
	Modulus, Exponent         *big.Int
	Bits                      int // of the modulus
	ModulusSpan, ExponentSpan Span
	// Digest is the SHA-256 of the DER of the RSAPublicKey: the same on two
	// machines only if they share the key.
	Digest [sha256.Size]byte
}

// keyAlgorithms are the identifiers under which Microsoft has put RSA keys;
// several of them name signature algorithms.
var keyAlgorithms = map[string]bool{
	"1.2.840.113549.1.1.1": true, "1.2.840.113549.1.1.4": true, "1.2.840.113549.1.1.5": true,
	"1.3.14.3.2.15": true, "1.3.14.3.2.25": true, "1.3.14.3.2.29": true,
}

// usable tells whether computing with the key is bounded.
func (k *PublicKey) usable() bool {
	return k != nil && k.Modulus.Sign() > 0 && k.Bits <= maxModulusBits && k.Exponent.BitLen() <= maxExponentBits
}

// publicKey reads a SubjectPublicKeyInfo. What is wrong inside it is a fault
// of its own, not one of DER.
func (p *parser) publicKey(spki der.Element) {
	at := spanOf(spki)
	fail := func(at Span, format string, args ...any) {
		p.keyFault = verdict.Fault{Cause: verdict.Key, Detail: fmt.Sprintf(format, args...), FailingOffset: at.Offset, FailingLength: at.Length}
	}
	index := len(p.Fields)
	p.field(2, "public key", at, "not readable")
	r := spki.Children()
	algorithm, err := r.Expect(der.Sequence, "key algorithm")
	if err != nil {
		fail(at, "The public key cannot be read: %v.", err)
		return
	}
	oid, err := algorithmOID(algorithm)
	if err != nil {
		fail(spanOf(algorithm), "The public key's algorithm cannot be read: %v.", err)
		return
	}
	p.field(3, "key algorithm", spanOf(algorithm), algorithmText(oid))
	key, err := rsaKey(r)
	if err != nil {
		if p.keyUnknown = !keyAlgorithms[oid] && wellFormed(spki); p.keyUnknown {
			p.Fields[index].Value = "of an algorithm that is not known here"
			return
		}
		fail(at, "The public key cannot be read: %v.", err)
		return
	}
	key.Algorithm = oid
	p.Key = key
	p.Fields[index].Value = fmt.Sprintf("RSA, %d bits", key.Bits)
	p.field(3, "modulus", key.ModulusSpan, verdict.Hex(key.ModulusSpan.In(p.value), 1024))
	p.field(3, "exponent", key.ExponentSpan, verdict.Text(shortNumber(key.Exponent)))
	switch e := key.Exponent; {
	case key.Modulus.Sign() == 0:
		fail(key.ModulusSpan, "The modulus of the public key is zero.")
	case e.Cmp(big.NewInt(2)) < 0 || e.Bit(0) == 0:
		fail(key.ExponentSpan, "The exponent of the public key is %s, which no RSA key can have.", shortNumber(e))
	}
}

// wellFormed tells whether a SubjectPublicKeyInfo has the right shape, whatever
// its algorithm: one damaged octet must not pass for an unknown kind of key.
func wellFormed(spki der.Element) bool {
	r := spki.Children()
	algorithm, err := r.Expect(der.Sequence, "key algorithm")
	if err != nil {
		return false
	}
	bits, err := r.Expect(der.BitString, "public key")
	if err != nil || r.More() || len(bits.Content()) == 0 || bits.Content()[0] > 7 {
		return false
	}
	parts := algorithm.Children()
	for n := 0; parts.More(); n++ {
		if _, err := parts.Next(); err != nil || n > 1 {
			return false
		}
	}
	return true
}

func shortNumber(n *big.Int) string {
	if n.BitLen() > maxExponentBits {
		return fmt.Sprintf("a number of %d bits", n.BitLen())
	}
	return n.String()
}

// rsaKey reads the BIT STRING with an RSAPublicKey that r stands at. Numbers
// without the leading zero octet, which would be negative, are read as
// positive.
func rsaKey(r *der.Reader) (*PublicKey, *der.Error) {
	bits, err := r.Expect(der.BitString, "public key")
	if err != nil {
		return nil, err
	}
	if c := bits.Content(); len(c) == 0 || c[0] != 0 {
		return nil, &der.Error{Offset: bits.Offset, Detail: "the public key is not a whole number of octets"}
	}
	if err := r.Done("public key"); err != nil {
		return nil, err
	}
	inner := der.NewReader(bits.Raw(), bits.Start-bits.Offset+1, bits.Len())
	key, err := rsaPublicKey(inner, bits.Offset)
	if err != nil {
		return nil, err
	}
	return key, inner.Done("public key")
}

// rsaPublicKey reads SEQUENCE { modulus, exponent } from r, whose offsets lie
// base before those of the value.
func rsaPublicKey(r *der.Reader, base int) (*PublicKey, *der.Error) {
	at := func(err *der.Error) *der.Error { err.Offset += base; return err }
	seq, err := r.Expect(der.Sequence, "RSA public key")
	if err != nil {
		return nil, at(err)
	}
	inner := seq.Children()
	modulus, err := inner.Expect(der.Integer, "modulus")
	if err != nil {
		return nil, at(err)
	}
	exponent, err := inner.Expect(der.Integer, "exponent")
	if err != nil {
		return nil, at(err)
	}
	if err := inner.Done("RSA public key"); err != nil {
		return nil, at(err)
	}
	k := &PublicKey{
		Modulus:      new(big.Int).SetBytes(modulus.Content()),
		Exponent:     new(big.Int).SetBytes(exponent.Content()),
		ModulusSpan:  Span{base + modulus.Start, modulus.End - modulus.Start},
		ExponentSpan: Span{base + exponent.Start, exponent.End - exponent.Start},
		Digest:       sha256.Sum256(seq.Raw()),
	}
	k.Bits = k.Modulus.BitLen()
	return k, nil
}
