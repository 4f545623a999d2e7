package propcert

import (
	"crypto/md5"
	"encoding/hex"
	"math/big"
	"slices"
)

// The Terminal Services signing key. Microsoft publishes both halves
// (MS-RDPBCGR 5.3.3.1.1), so a signature proves that a certificate is
// undamaged, never where it came from. Numbers are little-endian there and
// here.
var (
	signingModulus = littleEndianHex("3d3a5ebd72433ec94dbbc11e4aba5fcb3e882087eff5c1e2d7b76b9af2524595" +
		"ce63656b583afeef7ce7bffe3df65c7d6c5e06091af561bb2093095f056dea87")
	// The public exponent is above 2^31: it does not fit an int on 32-bit
	// machines.
	signingExponent = littleEndianHex("5b7b88c0")
	signingPrivate  = littleEndianHex("87a71932da11875558001616256568f8243ee6fae9674994cf92cc3399e80860" +
		"179a129f24ddb12499c73ab80a7b0ddd350779170b519bb3c7100113e73ff35f")
)

func littleEndianHex(s string) *big.Int {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic("propcert: the signing key is not hex: " + err.Error())
	}
	return littleEndian(b)
}

// littleEndian returns the number that b holds, least significant byte first.
func littleEndian(b []byte) *big.Int {
	r := slices.Clone(b)
	slices.Reverse(r)
	return new(big.Int).SetBytes(r)
}

// block is a signature after the public-key operation, least significant byte
// first: the MD5 of what was signed, 00, 45 times FF, 01, 00
// (MS-RDPBCGR 5.3.3.1.2).
type block [signatureLen]byte

// blockFor returns the block that a right signature over a certificate with
// the MD5 digest holds.
func blockFor(digest [md5.Size]byte) block {
	var b block
	copy(b[:], digest[:])
	for i := md5.Size + 1; i < signatureLen-2; i++ {
		b[i] = 0xff
	}
	b[signatureLen-2] = 1
	return b
}

// open returns the block that signature holds.
func open(signature []byte) block {
	return power(littleEndian(signature), signingExponent)
}

// sign returns the signature that holds b: the one that belongs under a
// certificate, for comparing with the one that is there.
func sign(b block) [signatureLen]byte {
	return power(littleEndian(b[:]), signingPrivate)
}

func power(base, exponent *big.Int) (b [signatureLen]byte) {
	new(big.Int).Exp(base, exponent, signingModulus).FillBytes(b[:])
	slices.Reverse(b[:])
	return b
}

// digest returns the MD5 in b; ok tells whether b is what a signature made
// with the signing key looks like, whatever it signed.
func (b block) digest() (sum [md5.Size]byte, ok bool) {
	copy(sum[:], b[:])
	return sum, b == blockFor(sum)
}
