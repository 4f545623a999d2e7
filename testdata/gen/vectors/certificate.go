package vectors

import (
	"bytes"
	"time"

	"hivemend/testdata/gen/encode"
)

// Offsets in a certificate of 512 bits ([MS-RDPBCGR] 2.2.1.4.3.1.1).
const (
	exponentAt  = 32
	modulusAt   = 36
	paddingAt   = 100
	signatureAt = 112
)

func certificates() []Vector {
	l := &list{kind: KindCertificate, rule: "TS-CERT-CORRUPT", asOf: time.Date(2009, 11, 30, 0, 0, 0, 0, time.UTC)}
	key := encode.NewKey("vector", 512)
	good := encode.NewProprietary(key).Encode()
	large := encode.NewProprietary(encode.NewKey("vector", 2048)).Encode()
	// change returns the certificate with a field changed before it is signed.
	change := func(f func(*encode.Proprietary)) []byte {
		p := encode.NewProprietary(key)
		f(&p)
		return p.Encode()
	}

	l.sound("sound-512", "512 bits, as Windows 2003 makes it", good)
	l.sound("sound-1024", "1024 bits", encode.NewProprietary(encode.NewKey("vector", 1024)).Encode())
	l.sound("sound-2048", "2048 bits, as Windows 7 and later make it", large)
	l.sound("sample-4.1.4", "the sample of MS-RDPBCGR 4.1.4", encode.SampleProprietary())
	l.sound("sample-5.3.3.1.2", "the example key of MS-RDPBCGR 5.3.3.1.2, signed with the published key", encode.SampleProprietaryExample())
	l.sound("trailing", "four zero bytes behind the end", append(bytes.Clone(good), 0, 0, 0, 0))
	l.sound("modulus-padding", "the padding of the modulus is not zero, and signed so", change(func(p *encode.Proprietary) { p.ModulusPadding = []byte{1, 2, 3, 4, 5, 6, 7, 8} }))
	l.sound("signature-padding", "the padding of the signature is not zero", put(good, len(good)-8, 1))

	l.text("text", good)
	l.corrupt("empty", "empty", "no data at all", nil)

	l.corrupt("structure", "zeros", "16 zero bytes", make([]byte, 16))
	l.corrupt("structure", "version", "dwVersion is 2", change(func(p *encode.Proprietary) { p.Version = 2 }))
	l.corrupt("structure", "sig-alg", "dwSigAlgId is 2", change(func(p *encode.Proprietary) { p.SigAlgID = 2 }))
	l.corrupt("structure", "key-alg", "dwKeyAlgId is 0", change(func(p *encode.Proprietary) { p.KeyAlgID = 0 }))
	l.corrupt("structure", "key-blob-type", "wPublicKeyBlobType is 7", change(func(p *encode.Proprietary) { p.KeyBlobType = 7 }))
	l.corrupt("structure", "key-blob-length", "wPublicKeyBlobLen is one too small", change(func(p *encode.Proprietary) { p.KeyBlobLen-- }))
	l.corrupt("structure", "key-blob-length-max", "wPublicKeyBlobLen is 65535", change(func(p *encode.Proprietary) { p.KeyBlobLen = 0xffff }))
	l.corrupt("structure", "magic", "the magic is RSA2", change(func(p *encode.Proprietary) { p.Magic = 0x32415352 }))
	l.corrupt("structure", "keylen", "keylen does not fit bitlen", change(func(p *encode.Proprietary) { p.KeyLen = 64 }))
	l.corrupt("structure", "keylen-max", "keylen is 4294967295", change(func(p *encode.Proprietary) { p.KeyLen = 0xffffffff }))
	l.corrupt("structure", "bitlen", "bitlen is 511", change(func(p *encode.Proprietary) { p.BitLen = 511 }))
	l.corrupt("structure", "datalen", "datalen does not fit bitlen", change(func(p *encode.Proprietary) { p.DataLen = 64 }))
	l.corrupt("structure", "sig-blob-type", "wSignatureBlobType is 6", change(func(p *encode.Proprietary) { p.SigBlobType = 6 }))
	l.corrupt("structure", "sig-blob-length", "wSignatureBlobLen is 64", change(func(p *encode.Proprietary) { p.SigBlobLen = 64 }))

	l.corrupt("truncated", "cut-183", "the last byte is missing", good[:183])
	l.corrupt("truncated", "cut-100", "ends behind the modulus", good[:100])
	l.corrupt("truncated", "cut-40", "ends inside the modulus", good[:40])

	l.corrupt("key", "modulus-zero", "the modulus is zero, and signed so", change(func(p *encode.Proprietary) { p.Modulus = make([]byte, 64) }))
	l.corrupt("key", "exponent-zero", "the exponent is 0, and signed so", change(func(p *encode.Proprietary) { p.Exponent = 0 }))
	l.corrupt("key", "exponent-one", "the exponent is 1, and signed so", change(func(p *encode.Proprietary) { p.Exponent = 1 }))
	l.corrupt("key", "exponent-even", "a changed byte makes the exponent even", flip(good, exponentAt, 1))

	for _, c := range []struct {
		name, about string
		data        []byte
		at          int
		mask        byte
	}{
		{"exponent-odd", "the exponent is changed by one byte and still odd", good, exponentAt, 2},
		{"modulus-first", "the lowest byte of the modulus is changed", good, modulusAt, 0x80},
		{"modulus-middle", "a byte of the modulus is changed", good, modulusAt + 31, 0xff},
		{"modulus-2048", "a byte of a modulus of 2048 bits is changed", large, modulusAt + 200, 0x01},
		{"modulus-padding-changed", "a byte of the modulus' padding is changed", good, paddingAt + 3, 0x10},
	} {
		l.provable("signature-"+c.name, c.about, flip(c.data, c.at, c.mask), c.at, c.data[c.at])
	}
	l.corrupt("signature", "signature-two-bytes", "two bytes of the modulus are changed", flip(flip(good, modulusAt+3, 0x55), modulusAt+40, 0xaa))
	l.corrupt("signature", "signature-flipped", "a byte of the signature is changed", flip(good, signatureAt, 1))
	l.corrupt("signature", "signature-zero", "the signature is zero", encode.NewProprietary(key).EncodeWith(func([]byte) []byte { return make([]byte, 64) }))
	for _, c := range []struct {
		name, about string
		at          int
		b           byte
	}{
		{"separator", "the signed block has no zero byte behind the hash", 16, 0xff},
		{"filler", "the signed block has a wrong byte in its filler", 40, 0xfe},
		{"end", "the signed block has no 01 at its end", 62, 0xff},
	} {
		l.corrupt("signature", "signature-"+c.name, c.about, encode.NewProprietary(key).EncodeWith(func(signed []byte) []byte {
			return encode.SignProprietary(signed, func(block []byte) { block[c.at] = c.b })
		}))
	}
	return l.all
}
