package encode

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"encoding/binary"
	"math/big"
	"time"
)

// Property identifiers in a certificate of a Windows certificate store
// ([MS-GPEF] 2.2.1.1.1).
const (
	PropKeyProvInfo   = 2
	PropSHA1          = 3
	PropMD5           = 4
	PropKeyIdentifier = 20
	PropCertificate   = 32
)

// Property is one property of a certificate in a store.
type Property struct {
	ID    uint32
	Value []byte
}

// StoreBlob returns the value Blob of a certificate in a store. The certificate
// itself (PropCertificate) is to be the last property.
func StoreBlob(properties ...Property) []byte {
	le := binary.LittleEndian
	var b []byte
	for _, p := range properties {
		b = le.AppendUint32(b, p.ID)
		b = le.AppendUint32(b, 1)
		b = le.AppendUint32(b, uint32(len(p.Value)))
		b = append(b, p.Value...)
	}
	return b
}

// StoreProperties returns the properties that Windows keeps with a certificate
// whose private key lies in container.
func StoreProperties(der []byte, key Key, container string) []Property {
	hash, sum := sha1.Sum(der), md5.Sum(der)
	keyID := sha1.Sum(sequence(integer(key.N), integer(key.E)))
	return []Property{
		{PropKeyProvInfo, keyProvInfo(container, "Microsoft RSA SChannel Cryptographic Provider")},
		{PropSHA1, hash[:]},
		{PropMD5, sum[:]},
		{PropKeyIdentifier, keyID[:]},
		{PropCertificate, der},
	}
}

// keyProvInfo says where a private key lies: a key of the machine (flag 0x20)
// in a provider of type 12 (RSA SChannel), for key exchange.
func keyProvInfo(container, provider string) []byte {
	const head = 28
	le := binary.LittleEndian
	c, p := UTF16Z(container), UTF16Z(provider)
	b := le.AppendUint32(nil, head)
	b = le.AppendUint32(b, uint32(head+len(c)))
	b = le.AppendUint32(b, 12)
	b = le.AppendUint32(b, 0x20)
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint32(b, 1)
	return bytes.Join([][]byte{b, c, p}, nil)
}

// ListenerCertificate returns a certificate as Windows makes one for itself for
// a Remote Desktop listener: an ordinary one, for host, signed with its own key.
func ListenerCertificate(host string, key Key, notBefore, notAfter time.Time) Certificate {
	name := CommonName(host)
	serial := Stream("listener serial/"+host, 16)
	serial[0] = serial[0]&0x7f | 0x10
	return Certificate{
		Serial: new(big.Int).SetBytes(serial), SigAlg: OIDSHA256RSA, Hash: SHA256,
		Issuer: name, Subject: name, NotBefore: notBefore, NotAfter: notAfter,
		KeyAlg: OIDRSA, Key: key, Signer: key,
		Extensions: []Extension{
			{OID: "2.5.29.37", Value: sequence(oid("1.3.6.1.5.5.7.3.1"))}, // server authentication
			{OID: "2.5.29.15", Value: tlv(0x03, []byte{4, 0x30})},         // key and data encipherment
		},
	}
}
