package mscert

import (
	"bytes"
	"crypto"
	"crypto/md5"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"math/big"
)

// algorithm is a hash that signatures are made over.
type algorithm struct {
	name string
	new  func() hash.Hash
	oid  []byte // of the hash, as content octets, in a DigestInfo
}

var (
	md5Hash    = algorithm{"MD5", md5.New, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05}}
	sha1Hash   = algorithm{"SHA-1", sha1.New, []byte{0x2b, 0x0e, 0x03, 0x02, 0x1a}}
	sha256Hash = algorithm{"SHA-256", sha256.New, []byte{0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01}}
	sha384Hash = algorithm{"SHA-384", sha512.New384, []byte{0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02}}
	sha512Hash = algorithm{"SHA-512", sha512.New, []byte{0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03}}
	hashes     = []*algorithm{&sha1Hash, &md5Hash, &sha256Hash, &sha384Hash, &sha512Hash}
)

// signatureAlgorithms are the RSA signatures (PKCS #1 v1.5) that can be
// checked, under RSA's identifiers and those of the OIW.
var signatureAlgorithms = map[string]*algorithm{
	"1.2.840.113549.1.1.4": &md5Hash, "1.3.14.3.2.3": &md5Hash, "1.3.14.3.2.25": &md5Hash,
	"1.2.840.113549.1.1.5": &sha1Hash, "1.3.14.3.2.29": &sha1Hash, "1.3.14.3.2.15": &sha1Hash,
	"1.2.840.113549.1.1.11": &sha256Hash, "1.2.840.113549.1.1.12": &sha384Hash, "1.2.840.113549.1.1.13": &sha512Hash,
}

var algorithmNames = map[string]string{
	"1.2.840.113549.1.1.1": "rsaEncryption", "1.2.840.113549.1.1.4": "md5WithRSAEncryption", "1.2.840.113549.1.1.5": "sha1WithRSAEncryption",
	"1.2.840.113549.1.1.11": "sha256WithRSAEncryption", "1.2.840.113549.1.1.12": "sha384WithRSAEncryption", "1.2.840.113549.1.1.13": "sha512WithRSAEncryption",
	"1.3.14.3.2.3": "md5WithRSA (OIW)", "1.3.14.3.2.15": "shaWithRSASignature (OIW)", "1.3.14.3.2.25": "md5WithRSASignature (OIW)", "1.3.14.3.2.29": "sha1WithRSASignature (OIW)",
}

func algorithmText(oid string) string {
	if name := algorithmNames[oid]; name != "" {
		return name + " " + oid
	}
	return oid
}

// opened is a signature after the public-key operation.
type opened struct {
	hash *algorithm // nil: it does not look like a signature made with that key
	sum  []byte     // the hash that was signed
}

// open applies key to the signature and reads the result as PKCS #1 v1.5
// does (RFC 8017 8.2.2). Which hash was used stands in the signature itself:
// an algorithm identifier elsewhere may be what is damaged.
func open(signature []byte, key *PublicKey) opened {
	if len(signature) > maxModulusBits/8 {
		return opened{}
	}
	s := new(big.Int).SetBytes(signature)
	if s.Cmp(key.Modulus) >= 0 {
		return opened{}
	}
	em := make([]byte, (key.Bits+7)/8)
	new(big.Int).Exp(s, key.Exponent, key.Modulus).FillBytes(em)
	return unpad(em)
}

// unpad reads 00 01 FF ... FF 00 DigestInfo.
func unpad(em []byte) opened {
	if len(em) < 11 || em[0] != 0 || em[1] != 1 {
		return opened{}
	}
	i := 2
	for i < len(em) && em[i] == 0xff {
		i++
	}
	if i < 10 || i == len(em) || em[i] != 0 {
		return opened{}
	}
	info := em[i+1:]
	for _, h := range hashes {
		size := h.new().Size()
		for _, null := range [][]byte{{5, 0}, nil} {
			if prefix := digestInfo(h.oid, null, size); len(info) == len(prefix)+size && bytes.HasPrefix(info, prefix) {
				return opened{h, info[len(prefix):]}
			}
		}
	}
	return opened{}
}

// digestInfo returns the DER of a DigestInfo up to the hash of size octets.
// Parameters are NULL or, with some older writers, absent.
func digestInfo(oid, parameters []byte, size int) []byte {
	id := append([]byte{6, byte(len(oid))}, oid...)
	id = append(id, parameters...)
	b := append([]byte{0x30, byte(2 + len(id) + 2 + size), 0x30, byte(len(id))}, id...)
	return append(b, 4, byte(size))
}

// opens tells whether key opens c's signature into the shape that only the
// key it was made with gives: proof that this key signed c, whatever has
// happened to c since.
func (c *Certificate) opens(key *PublicKey) bool {
	return key.usable() && open(c.Signature.In(c.value), key).hash != nil
}

// damagedSince tells whether key signed c, but not as it is now.
func (c *Certificate) damagedSince(key *PublicKey) bool {
	if !key.usable() {
		return false
	}
	o := open(c.Signature.In(c.value), key)
	return o.hash != nil && !o.covers(c.TBS.In(c.value))
}

// covers tells whether b is what was signed.
func (o opened) covers(b []byte) bool {
	h := o.hash.new()
	h.Write(b)
	return bytes.Equal(h.Sum(nil), o.sum)
}

// signatureState is the outcome of checking a signature.
type signatureState int

const (
	verified signatureState = iota
	failed
	unverifiable
)

// checkSignature checks c's signature against its issuer's key. detail says in
// a sentence why it did not verify; intact tells that the signature itself is
// right, so that the damage lies in what it covers.
func (c *Certificate) checkSignature(key *PublicKey) (state signatureState, detail string, intact bool) {
	known := signatureAlgorithms[c.SignedAlgorithm] != nil || signatureAlgorithms[c.OuterAlgorithm] != nil
	if !key.usable() {
		return unverifiable, "the issuer's key is not one that can be computed with", false
	}
	// A healthy signature takes the fast way; why another one fails does not.
	if info := infoMaker(c.SignedAlgorithm); info != nil && c.sameAlgo &&
		makes(key.Modulus, key.Exponent, c.Signature.In(c.value), info(c.TBS.In(c.value))) {
		return verified, "", false
	}
	o := open(c.Signature.In(c.value), key)
	if o.hash == nil {
		if !known {
			return unverifiable, fmt.Sprintf("the signature algorithm %s is not known", c.SignedAlgorithm), false
		}
		return failed, "the signature was not made with the issuer's key: one of the two is damaged", false
	}
	if !o.covers(c.TBS.In(c.value)) {
		return failed, fmt.Sprintf("the signature is intact, but the %d bytes that it covers are not those that were signed", c.TBS.Length), true
	}
	if !c.sameAlgo {
		return failed, fmt.Sprintf("the signature algorithm is %s in the signed part, but %s after it", c.SignedAlgorithm, c.OuterAlgorithm), false
	}
	return verified, "", false
}

// infoMaker returns a function that makes the DigestInfo for the first of the
// algorithms that is known.
func infoMaker(oids ...string) func([]byte) []byte {
	for _, oid := range oids {
		if a := signatureAlgorithms[oid]; a != nil {
			return func(tbs []byte) []byte {
				h := a.new()
				h.Write(tbs)
				return h.Sum(digestInfo(a.oid, []byte{5, 0}, h.Size()))
			}
		}
	}
	return nil
}

// makes tells whether signature, opened with the key, holds info. The library
// is several times faster than math/big; keys that it refuses take the slow
// way.
func makes(modulus, exponent *big.Int, signature, info []byte) bool {
	if modulus.Sign() <= 0 || modulus.BitLen() > maxModulusBits || exponent.BitLen() > maxExponentBits {
		return false
	}
	if modulus.BitLen() >= 1024 && exponent.BitLen() < 32 {
		key := &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}
		return rsa.VerifyPKCS1v15(key, crypto.Hash(0), info, signature) == nil
	}
	o := open(signature, &PublicKey{Modulus: modulus, Exponent: exponent, Bits: modulus.BitLen()})
	return o.hash != nil && bytes.HasSuffix(info, o.sum)
}
