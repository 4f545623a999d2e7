package encode

import (
	"crypto/md5"
	"encoding/binary"
	"math/big"
)

// Terminal Services Signing Key, published in [MS-RDPBCGR] 5.3.3.1.1. All
// three numbers are printed there lowest byte first.
var tssk = Key{
	N: fromLittleEndian(mustHex("3d3a5ebd72433ec94dbbc11e4aba5fcb3e882087eff5c1e2d7b76b9af2524595ce63656b583afeef7ce7bffe3df65c7d6c5e06091af561bb2093095f056dea87")),
	E: fromLittleEndian(mustHex("5b7b88c0")),
	D: fromLittleEndian(mustHex("87a71932da11875558001616256568f8243ee6fae9674994cf92cc3399e80860179a129f24ddb12499c73ab80a7b0ddd350779170b519bb3c7100113e73ff35f")),
}

// Proprietary is a PROPRIETARYSERVERCERTIFICATE ([MS-RDPBCGR]
// 2.2.1.4.3.1.1): the value Certificate. NewProprietary fills it as Windows
// does; a test changes what it wants to be wrong before it calls Encode.
type Proprietary struct {
	Version, SigAlgID, KeyAlgID uint32
	KeyBlobType                 uint16
	KeyBlobLen                  uint16
	Magic                       uint32
	KeyLen, BitLen, DataLen     uint32
	Exponent                    uint32
	Modulus                     []byte // lowest byte first
	ModulusPadding              []byte
	SigBlobType, SigBlobLen     uint16
	SignaturePadding            []byte
}

// NewProprietary returns the certificate of the public half of k.
func NewProprietary(k Key) Proprietary {
	size := uint32(k.Size())
	return Proprietary{
		Version: 1, SigAlgID: 1, KeyAlgID: 1,
		KeyBlobType: 6, KeyBlobLen: uint16(20 + size + 8),
		Magic:  0x31415352, // "RSA1"
		KeyLen: size + 8, BitLen: size * 8, DataLen: size - 1,
		Exponent:       uint32(k.E.Uint64()),
		Modulus:        littleEndian(k.N, int(size)),
		ModulusPadding: make([]byte, 8),
		SigBlobType:    8, SigBlobLen: 72,
		SignaturePadding: make([]byte, 8),
	}
}

// Encode returns the certificate with its signature by the published key.
func (p Proprietary) Encode() []byte {
	return p.EncodeWith(func(signed []byte) []byte { return SignProprietary(signed, nil) })
}

// EncodeWith is Encode with a signature of the caller's making.
func (p Proprietary) EncodeWith(sign func(signed []byte) []byte) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, p.Version)
	b = le.AppendUint32(b, p.SigAlgID)
	b = le.AppendUint32(b, p.KeyAlgID)
	b = le.AppendUint16(b, p.KeyBlobType)
	b = le.AppendUint16(b, p.KeyBlobLen)
	b = le.AppendUint32(b, p.Magic)
	b = le.AppendUint32(b, p.KeyLen)
	b = le.AppendUint32(b, p.BitLen)
	b = le.AppendUint32(b, p.DataLen)
	b = le.AppendUint32(b, p.Exponent)
	b = append(b, p.Modulus...)
	b = append(b, p.ModulusPadding...)
	signature := sign(b)
	b = le.AppendUint16(b, p.SigBlobType)
	b = le.AppendUint16(b, p.SigBlobLen)
	b = append(b, signature...)
	return append(b, p.SignaturePadding...)
}

// SignProprietary returns the 64 bytes, lowest first, that sign the first
// fields of a certificate with the published key ([MS-RDPBCGR] 5.3.3.1.2): the
// MD5 of signed, 00, 45 times FF, 01, 00. damage, if not nil, may change that
// block of 64 bytes before the key is applied.
func SignProprietary(signed []byte, damage func(block []byte)) []byte {
	hash := md5.Sum(signed)
	block := append(hash[:], 0)
	block = append(append(block, bytesOf(0xff, 45)...), 1, 0)
	if damage != nil {
		damage(block)
	}
	m := fromLittleEndian(block)
	return littleEndian(new(big.Int).Exp(m, tssk.D, tssk.N), 64)
}
