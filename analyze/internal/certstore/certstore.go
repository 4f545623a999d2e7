// Package certstore decodes an entry of a registry-based certificate store:
// the value Blob below SystemCertificates\<store>\Certificates\<SHA-1>, a list
// of properties of which one is the certificate (MS-GPEF 2.2.1.1.1).
package certstore

import (
	"bytes"
	"crypto/md5"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"hivemend/analyze/internal/der"
	"hivemend/analyze/internal/mscert"
	"hivemend/analyze/internal/verdict"
	"hivemend/hive/cursor"
)

const (
	headerLen = 12 // id, reserved, length
	// maxProperties is far more than any entry has.
	maxProperties = 256

	idKeyProvInfo  = 2
	idSHA1         = 3
	idMD5          = 4
	idFriendlyName = 11
	idDescription  = 13
	idCertificate  = 0x20
)

// fixedSizes are the lengths in bytes of properties that have just one
// (MS-GPEF 2.2.1.1.1).
var fixedSizes = map[uint32]int{idSHA1: sha1.Size, idMD5: md5.Size, 6: 4, 24: 16, 25: 16, 27: 8, 28: 16, 29: 16}

var propertyNames = map[uint32]string{
	idKeyProvInfo: "private key", idSHA1: "SHA-1", idMD5: "MD5", 6: "key specification", 9: "extended key usage",
	idFriendlyName: "friendly name", idDescription: "description", 15: "signature hash", 20: "key identifier",
	21: "automatic enrolment", 22: "public key parameters", 24: "issuer's public key MD5", 25: "subject's public key MD5",
	27: "date stamp", 28: "issuer and serial number MD5", 29: "subject name MD5", idCertificate: "certificate",
}

// Entry is a decoded entry of a certificate store.
type Entry struct {
	// Fault is the first of the causes empty, structure, truncated, der and
	// digest that holds. Digest means that a hash which the entry holds is not
	// that of its certificate.
	verdict.Fault
	Notes  []verdict.Note
	Fields []verdict.Field

	Properties []Property
	StoredSHA1 []byte // the SHA-1 that the entry states; nil where it does not
	// Key says where the private key lies; nil where the entry has no such
	// property or it cannot be decoded.
	Key *KeyProvider
	// HasKey tells whether the entry has that property at all.
	HasKey       bool
	FriendlyName string

	// What follows is set where the entry holds a certificate.

	Certificate         mscert.Span     // where the DER lies
	Thumbprint          [sha1.Size]byte // the SHA-1 of the DER, by which the store names it
	Subject, Issuer     string
	SubjectCN           string
	SelfIssued          bool
	NotBefore, NotAfter time.Time // UTC
	KeyBits             int       // of an RSA key; 0 for others
}

// Property is one property in its place.
type Property struct {
	ID             uint32
	Offset, Length int // of its value
}

// KeyProvider is a CRYPT_KEY_PROV_INFO structure: where the private key of a
// certificate lies. The key itself is in a file, never in a hive.
type KeyProvider struct {
	Container, Provider  string
	Type, Flags, KeySpec uint32
}

// Decode reads data, the content of a registry value. It never fails: what is
// wrong stands in the result.
func Decode(data []byte) *Entry {
	e := &Entry{}
	if len(data) == 0 {
		e.fail(verdict.Empty, 0, 0, "The value is empty; a list of properties with a certificate is due.")
		return e
	}
	end := e.walk(data)
	for _, p := range e.Properties {
		e.property(p, data[p.Offset:p.Offset+p.Length])
	}
	e.field(0, "not decoded", end, len(data)-end, verdict.Hex(data[end:], 64))
	if e.Certificate.Length > 0 {
		e.digests(data)
	}
	return e
}

func (e *Entry) fail(cause verdict.Cause, off, n int, format string, args ...any) {
	if e.Fault.Healthy() {
		e.Fault = verdict.Fault{Cause: cause, Detail: fmt.Sprintf(format, args...), FailingOffset: off, FailingLength: n}
	}
}

func (e *Entry) field(depth int, name string, off, n int, value string) {
	if n > 0 {
		e.Fields = append(e.Fields, verdict.Field{Name: name, Offset: off, Length: n, Value: value, Depth: depth})
	}
}

// walk finds the properties and returns where they end. It stops at the
// certificate, which is the last, and at what is no property.
func (e *Entry) walk(data []byte) (at int) {
	for {
		left := len(data) - at
		if left == 0 {
			e.fail(verdict.Truncated, at, 0, "The value ends after %d bytes without a certificate.", at)
			return at
		}
		if left < headerLen {
			e.fail(verdict.Truncated, len(data), 0, "The value ends after %d bytes, inside the head of a property.", len(data))
			return at
		}
		id, reserved, n := u32(data, at), u32(data, at+4), u32(data, at+8)
		value := at + headerLen
		if !e.judgeHead(data, at, id, reserved, n) || len(e.Properties) == maxProperties {
			e.fail(verdict.Structure, at, headerLen, "There are more than %d properties.", maxProperties)
			return at
		}
		p := Property{ID: id, Offset: value, Length: int(n)}
		e.Properties = append(e.Properties, p)
		at = value + p.Length
		if id == idCertificate {
			if extra := len(data) - at; extra > 0 {
				e.Notes = append(e.Notes, verdict.Note{Kind: verdict.Trailing, Offset: at, Length: extra, Detail: fmt.Sprintf("%d bytes follow the certificate.", extra)})
			}
			return at
		}
	}
}

// judgeHead tells whether the head of a property at at can be right, and
// reports what is wrong with it.
func (e *Entry) judgeHead(data []byte, at int, id, reserved, n uint32) bool {
	if reserved != 1 {
		e.fail(verdict.Structure, at+4, 4, "The second number of the property at offset %d is %d; 1 is due.", at, reserved)
		return false
	}
	if want, ok := fixedSizes[id]; ok && uint64(n) != uint64(want) {
		e.fail(verdict.Structure, at+8, 4, "The property %s at offset %d is to have %d bytes; it always has %d.", name(id), at, n, want)
		return false
	}
	value := at + headerLen
	left := len(data) - value
	if uint64(n) <= uint64(left) {
		return true
	}
	own, ok := der.Header(data, value, len(data))
	if id == idCertificate && left >= 4 && (!ok || own != uint64(n)) {
		e.fail(verdict.Structure, at+8, 4, "The length at offset %d gives the certificate %d bytes, but only %d are left and the certificate itself says otherwise.", at+8, n, left)
		return false
	}
	e.fail(verdict.Truncated, len(data), 0, "The value ends after %d bytes, %d bytes into the property %s, which has %d.", len(data), left, name(id), n)
	return false
}

func u32(data []byte, at int) uint32 { return binary.LittleEndian.Uint32(data[at:]) }

func name(id uint32) string {
	if s := propertyNames[id]; s != "" {
		return s
	}
	return fmt.Sprintf("%#x", id)
}

// property decodes one property and lists it.
func (e *Entry) property(p Property, b []byte) {
	head := p.Offset - headerLen
	text := verdict.Hex(b, 64)
	switch p.ID {
	case idSHA1:
		e.StoredSHA1 = b
	case idKeyProvInfo:
		e.HasKey = true
		if e.Key = decodeKeyProvider(b); e.Key != nil {
			text = e.Key.String()
		}
	case idFriendlyName:
		e.FriendlyName = utf16z(b)
		text = verdict.Text(e.FriendlyName)
	case idDescription:
		text = verdict.Text(utf16z(b))
	case 27:
		text = cursor.FileTime(binary.LittleEndian.Uint64(b)).String()
	case idCertificate:
		text = fmt.Sprintf("%d bytes", len(b))
	}
	e.field(0, name(p.ID), head, headerLen+p.Length, text)
	e.field(1, "id", head, 4, fmt.Sprintf("%#x", p.ID))
	e.field(1, "reserved", head+4, 4, "1")
	e.field(1, "length", head+8, 4, fmt.Sprint(p.Length))
	e.field(1, "value", p.Offset, p.Length, text)
	if p.ID == idCertificate {
		e.certificate(p, b)
	}
}

// certificate reads the certificate, an ordinary one. One that the library
// refuses is read as far as it can be, without a verdict: its hash is the
// better judge.
func (e *Entry) certificate(p Property, b []byte) {
	e.Certificate = mscert.Span{Offset: p.Offset, Length: p.Length}
	e.Thumbprint = sha1.Sum(b)
	// The dates and names that people read come from the same place in both
	// cases; only whether it is a proper certificate differs.
	own, derErr := mscert.Parse(b, 0, len(b))
	if derErr != nil {
		e.fail(verdict.DER, p.Offset+derErr.Offset, min(1, p.Length-derErr.Offset), "The certificate cannot be read: %s (at offset %d).", derErr.Detail, p.Offset+derErr.Offset)
		return
	}
	cert, err := x509.ParseCertificate(b)
	if err != nil {
		e.Notes = append(e.Notes, verdict.Note{Kind: verdict.Unverifiable, Offset: p.Offset, Length: p.Length,
			Detail: fmt.Sprintf("The certificate is unusual: %v.", err)})
		e.Subject, e.Issuer, e.SubjectCN, e.SelfIssued = own.Subject.String(), own.Issuer.String(), own.Subject.Get("CN"), own.SelfIssued()
		e.NotBefore, e.NotAfter = own.NotBefore, own.NotAfter
	} else {
		e.Subject, e.Issuer, e.SubjectCN = verdict.Text(cert.Subject.String()), verdict.Text(cert.Issuer.String()), cert.Subject.CommonName
		e.SelfIssued = bytes.Equal(cert.RawSubject, cert.RawIssuer)
		e.NotBefore, e.NotAfter = cert.NotBefore.UTC(), cert.NotAfter.UTC()
		if key, ok := cert.PublicKey.(*rsa.PublicKey); ok {
			e.KeyBits = key.N.BitLen()
		}
	}
	for i, f := range own.Fields {
		if i == 0 {
			continue // the certificate as a whole: that is the property's value
		}
		f.Offset += p.Offset
		f.Depth++
		e.Fields = append(e.Fields, f)
	}
}

// digests compares the hashes that the entry states with the certificate's.
func (e *Entry) digests(data []byte) {
	certificate := e.Certificate.In(data)
	for _, p := range e.Properties {
		var sum []byte
		switch p.ID {
		case idSHA1:
			sum = e.Thumbprint[:]
		case idMD5:
			s := md5.Sum(certificate)
			sum = s[:]
		default:
			continue
		}
		if stored := data[p.Offset : p.Offset+p.Length]; !bytes.Equal(stored, sum) {
			e.fail(verdict.Digest, p.Offset, p.Length, "The entry states the %s %x, but its certificate has %x: one of the two is damaged.", name(p.ID), stored, sum)
		}
	}
}

// decodeKeyProvider reads a CRYPT_KEY_PROV_INFO as it is serialised: offsets
// count from its start. Types and flags other than those that MS-GPEF asks for
// are usual in live stores.
func decodeKeyProvider(b []byte) *KeyProvider {
	var n [7]uint32
	for i := range n {
		v, ok := cursor.U32(b, uint64(4*i))
		if !ok {
			return nil
		}
		n[i] = v
	}
	if uint64(n[0]) > uint64(len(b)) || uint64(n[1]) > uint64(len(b)) {
		return nil
	}
	return &KeyProvider{Container: utf16z(b[n[0]:]), Provider: utf16z(b[n[1]:]), Type: n[2], Flags: n[3], KeySpec: n[6]}
}

func (k *KeyProvider) String() string {
	return fmt.Sprintf("container %s, provider %s, type %d, flags %#x, key specification %d", verdict.Text(k.Container), verdict.Text(k.Provider), k.Type, k.Flags, k.KeySpec)
}

// utf16z returns the UTF-16LE text in b up to its first NUL.
func utf16z(b []byte) string {
	s, _, _ := strings.Cut(cursor.String(b), "\x00")
	return s
}
