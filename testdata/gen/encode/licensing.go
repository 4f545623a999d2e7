package encode

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math/big"
	"time"
)

// LicenseServer is a licence server with a certificate it signed itself.
type LicenseServer struct {
	Name, Scope string // NetBIOS name, and workgroup or domain
	ProductID   string // in certificates it issues, such as "78440-006-5867045-70347"
	Key         Key
	NotBefore   time.Time
	NotAfter    time.Time
}

// NewLicenseServer returns a licence server with a key of its own, whose
// certificate holds from 1970 to 2049 as those of [MS-RDPELE] 4.1 and 4.3 do.
func NewLicenseServer(name, scope, productID string) LicenseServer {
	return LicenseServer{
		Name: name, Scope: scope, ProductID: productID,
		Key:       NewKey("licence server "+name, 2048),
		NotBefore: time.Date(1970, 5, 27, 1, 11, 3, 0, time.UTC),
		NotAfter:  time.Date(2049, 5, 27, 1, 11, 3, 0, time.UTC),
	}
}

// DN is the server's name in certificates.
func (s LicenseServer) DN() []byte {
	return LicensingName(Attribute{oidCommonName, s.Name}, Attribute{oidLocality, s.Scope})
}

// Certificate returns the certificate that the server issued to itself.
func (s LicenseServer) Certificate() Certificate {
	return Certificate{
		Serial: s.serial(), SigAlg: OIDSHA1RSA,
		Issuer: s.DN(), Subject: s.DN(), NotBefore: s.NotBefore, NotAfter: s.NotAfter,
		KeyAlg: OIDRSA, Key: s.Key, Signer: s.Key,
		Extensions: []Extension{{OID: oidBasic, Value: sequence(boolean(true), smallInteger(0))}},
	}
}

// serial is the FILETIME of NotBefore, as in both samples of [MS-RDPELE] 4.
func (s LicenseServer) serial() *big.Int {
	return new(big.Int).SetUint64(FileTime(s.NotBefore))
}

// ServerCertificate returns the certificate that s issues to a terminal server
// for key: the last one of the chain in X509 Certificate. id are the 20 opaque
// bytes that stand as base64 in the subject.
func (s LicenseServer) ServerCertificate(computer string, serial uint64, key Key, id []byte, notBefore time.Time) Certificate {
	const product = "3d267954-eeb7-11d1-b94e-00c04fa3080d"
	binding := "ncalrpc:" + computer
	return Certificate{
		Serial: new(big.Int).SetUint64(serial), SigAlg: OIDSHA1RSA,
		Issuer:    s.DN(),
		Subject:   LicensingName(Attribute{oidCommonName, binding}, Attribute{oidLocality, binding}, serialAttribute(id)),
		NotBefore: notBefore, NotAfter: time.Date(2038, 1, 19, 3, 14, 7, 0, time.UTC),
		KeyAlg: OIDSHA, Key: key, Signer: s.Key,
		Extensions: s.extensions(serial, Product{
			Count: 1, Platform: 2, Language: 0x409, Requested: product, Adjusted: product, Minor: 0x1000, Flags: 0x00648000,
		}),
	}
}

// Licence is a client access licence to be.
type Licence struct {
	Computer, User      string
	Serial              uint64
	ID                  []byte // 20 opaque bytes
	NotBefore, NotAfter time.Time
	Requested, Adjusted string // such as "A02" and "A02-5.02-S"
	Major, Minor        uint16
	Temporary           bool
}

// LicenceCertificate returns the certificate that is the licence l. Its key is
// the licence server's own, as in the sample of [MS-RDPELE] 4.3.
func (s LicenseServer) LicenceCertificate(l Licence) Certificate {
	flags := uint32(0x00648000) // enforced, released product, and two bits that no page names
	platform := uint32(0xff)
	if l.Temporary {
		flags |= 0x80000000
	}
	return Certificate{
		Serial: new(big.Int).SetUint64(l.Serial), SigAlg: OIDSHA1RSA,
		Issuer:    s.DN(),
		Subject:   LicensingName(Attribute{oidCommonName, l.Computer}, Attribute{oidLocality, l.User}, serialAttribute(l.ID)),
		NotBefore: l.NotBefore, NotAfter: l.NotAfter,
		KeyAlg: OIDRSA, Key: s.Key, Signer: s.Key,
		Extensions: s.extensions(l.Serial, Product{
			Count: 1, Platform: platform, Language: 0x400, Requested: l.Requested, Adjusted: l.Adjusted,
			Major: l.Major, Minor: l.Minor, Flags: flags,
		}),
	}
}

// serialAttribute holds id as base64 and a line break.
func serialAttribute(id []byte) Attribute {
	return Attribute{oidSerialNumber, base64.StdEncoding.EncodeToString(id) + "\r\n"}
}

// extensions are those that a licence server puts into what it issues, all
// critical and none but the last in any sense DER.
func (s LicenseServer) extensions(serial uint64, p Product) []Extension {
	return []Extension{
		{oidHydraVersion, true, []byte{1, 0, 5, 0}},
		{oidManufacturer, true, UTF16Z("Microsoft Corporation")},
		{oidProductInfo, true, p.Encode()},
		{oidLicenseServer, true, s.info()},
		{oidAuthorityKey, true, s.authorityKey(serial)},
	}
}

// info is MS_LICENSE_SERVER_INFO, version 2 ([MS-RDPELE] 2.2.2.9): offsets
// count from the end of the head, and two zero bytes follow as in the sample.
func (s LicenseServer) info() []byte {
	le := binary.LittleEndian
	name, id, scope := UTF16Z(s.Name), UTF16Z(s.ProductID), UTF16Z(s.Scope)
	b := le.AppendUint32(nil, 0x3000)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint16(b, uint16(len(name)))
	b = le.AppendUint16(b, uint16(len(name)+len(id)))
	return bytes.Join([][]byte{b, name, id, scope, {0, 0}}, nil)
}

// authorityKey is what Microsoft writes as the authority key identifier: where
// a directory name is due stands the server's name in UTF-16, and the serial
// number is that of the certificate itself.
func (s LicenseServer) authorityKey(serial uint64) []byte {
	return sequence(
		tlv(0xa1, tlv(0xa4, UTF16Z(s.Name))),
		tlv(0x82, new(big.Int).SetUint64(serial).Bytes()),
	)
}

// Product is LICENSED_PRODUCT_INFO ([MS-RDPELE] 2.2.2.9).
type Product struct {
	Count, Platform, Language uint32
	Requested, Adjusted       string
	Major, Minor              uint16
	Flags                     uint32
}

// Encode returns the structure with the four zero bytes at its end that the
// samples have.
func (p Product) Encode() []byte {
	const head = 28
	le := binary.LittleEndian
	requested, adjusted := UTF16Z(p.Requested), UTF16Z(p.Adjusted)
	b := le.AppendUint32(nil, 0x3000)
	b = le.AppendUint32(b, p.Count)
	b = le.AppendUint32(b, p.Platform)
	b = le.AppendUint32(b, p.Language)
	b = le.AppendUint16(b, head)
	b = le.AppendUint16(b, uint16(len(requested)))
	b = le.AppendUint16(b, uint16(head+len(requested)))
	b = le.AppendUint16(b, uint16(len(adjusted)))
	b = le.AppendUint16(b, uint16(head+len(requested)+len(adjusted)))
	b = le.AppendUint16(b, 1)
	b = append(append(b, requested...), adjusted...)
	b = le.AppendUint16(b, p.Major)
	b = le.AppendUint16(b, p.Minor)
	b = le.AppendUint32(b, p.Flags)
	return append(b, 0, 0, 0, 0)
}

// Chain returns SERVER_CERTIFICATE with an X509_CERTIFICATE_CHAIN
// ([MS-RDPBCGR] 2.2.1.4.3.1): the value X509 Certificate. The certificates
// stand root first.
func Chain(temporary bool, certificates ...[]byte) []byte {
	le := binary.LittleEndian
	version := uint32(2)
	if temporary {
		version |= 1 << 31
	}
	b := le.AppendUint32(nil, version)
	b = le.AppendUint32(b, uint32(len(certificates)))
	for _, c := range certificates {
		b = le.AppendUint32(b, uint32(len(c)))
		b = append(b, c...)
	}
	return append(b, make([]byte, 8+4*len(certificates))...)
}

// ClientLicense returns a PKCS #7 SignedData that holds certificates alone,
// root first: the value ClientLicense ([MS-RDPELE] 2.2.2.6.1).
func ClientLicense(certificates ...[]byte) []byte {
	const signedData, data = "1.2.840.113549.1.7.2", "1.2.840.113549.1.7.1"
	return sequence(oid(signedData), tlv(0xa0, sequence(
		smallInteger(1),
		setOf(),
		sequence(oid(data)),
		tlv(0xa0, certificates...),
		setOf(),
	)))
}

// NewLicenseInfo returns NEW_LICENSE_INFO ([MS-RDPELE] 2.2.2.6.1) round a
// licence.
func NewLicenseInfo(scope, company, product string, license []byte) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0x00060000)
	for _, part := range [][]byte{append([]byte(scope), 0), UTF16Z(company), UTF16Z(product), license} {
		b = le.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	return b
}

// HardwareID returns CLIENT_HARDWARE_ID ([MS-RDPELE] 2.2.2.3.1): the value
// ClientHWID. The four numbers behind the platform come from label.
func HardwareID(platform uint32, label string) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, platform), Stream("hardware/"+label, 16)...)
}
