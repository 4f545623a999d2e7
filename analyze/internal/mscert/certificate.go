// Package mscert reads the X.509 certificates that Microsoft's terminal-server
// licensing writes (MS-RDPELE 2.2.1.4.2, 2.2.2.6.1 and 2.2.2.9) and checks
// their signatures exactly.
//
// They are no ordinary certificates: an authority key identifier that is
// marked critical and holds UTF-16 where a name is due, private extensions
// that are no DER, key algorithms that name a signature, algorithm identifiers
// of the OIW, dates from 1970 to 2049, serial numbers that may be negative,
// keys of 512 bits and signatures over SHA-1 or MD5. crypto/x509 and
// crypto/rsa refuse them. All of that is healthy here.
//
// Offsets count from the start of the registry value, wherever in it a
// certificate stands.
package mscert

import (
	"bytes"
	"fmt"
	"time"

	"hivemend/analyze/internal/der"
	"hivemend/analyze/internal/verdict"
)

// MaxCertificates is how many certificates a value may hold
// (MS-RDPBCGR 2.2.1.4.3.1: NumCertBlobs is between 2 and 200).
const MaxCertificates = 200

// Bounds on one certificate, far above what Microsoft writes, so that a
// hostile value costs little whatever its size.
const (
	maxCertificateLen = 1 << 16
	maxAttributes     = 64 // of one name
	maxExtensions     = 64
)

// Span is a range of bytes of the value.
type Span struct{ Offset, Length int }

func spanOf(e der.Element) Span { return Span{e.Offset, e.Len()} }

// In returns the bytes of the span as a view into value.
func (s Span) In(value []byte) []byte {
	end := s.Offset + s.Length
	return value[s.Offset:end:end]
}

// Contains tells whether the byte at off lies in the span.
func (s Span) Contains(off int) bool { return off >= s.Offset && off < s.Offset+s.Length }

// Outline is the outermost structure of a certificate: what is signed, by
// which algorithm, and the signature. Nothing but the signature covers what
// lies outside TBS.
type Outline struct {
	Span              // the whole certificate
	TBS          Span // what the signature covers
	AlgorithmRaw Span // the algorithm identifier after TBS
	Signature    Span // the octets of the signature, most significant first
}

// Certificate is a decoded certificate.
type Certificate struct {
	Outline
	Version int // 3 for v3
	// Serial holds the octets of the serial number as they stand: big-endian,
	// two's complement.
	Serial []byte
	// SignedAlgorithm is the signature algorithm as the signed part names it,
	// OuterAlgorithm as the unsigned part does; dotted.
	SignedAlgorithm, OuterAlgorithm string
	Issuer, Subject                 Name
	NotBefore, NotAfter             time.Time // zero where they cannot be read
	Key                             *PublicKey
	Extensions                      []Extension

	// What Microsoft's private extensions hold; zero or nil where absent.
	Manufacturer string      // 1.3.6.1.4.1.311.18.2
	HydraVersion uint32      // 1.3.6.1.4.1.311.18.4
	Product      *Product    // 1.3.6.1.4.1.311.18.5
	Server       *ServerInfo // 1.3.6.1.4.1.311.18.6

	// Fields lists what was read, in order, at depth 0 and below.
	Fields []verdict.Field

	value      []byte
	validity   Span
	sameAlgo   bool
	keyFault   verdict.Fault // cause key
	dateFault  verdict.Fault // cause date
	keyUnknown bool          // the key is of an algorithm that is not known
}

// SelfIssued tells whether issuer and subject are the same name, octet for
// octet.
func (c *Certificate) SelfIssued() bool { return bytes.Equal(c.Issuer.Raw, c.Subject.Raw) }

// ParseOutline reads the outermost structure of the certificate that fills
// value[start:end].
func ParseOutline(value []byte, start, end int) (Outline, *der.Error) {
	var o Outline
	if end-start > maxCertificateLen {
		return o, &der.Error{Offset: start, Detail: fmt.Sprintf("%d bytes are more than any certificate has", end-start)}
	}
	whole := der.NewReader(value, start, end)
	cert, err := whole.Expect(der.Sequence, "certificate")
	if err != nil {
		return o, err
	}
	if err := whole.Done("certificate's place"); err != nil {
		return o, err
	}
	r := cert.Children()
	tbs, err := r.Expect(der.Sequence, "signed part of the certificate")
	if err != nil {
		return o, err
	}
	algorithm, err := r.Expect(der.Sequence, "signature algorithm")
	if err != nil {
		return o, err
	}
	signature, err := r.Expect(der.BitString, "signature")
	if err != nil {
		return o, err
	}
	if err := r.Done("certificate"); err != nil {
		return o, err
	}
	if c := signature.Content(); len(c) < 2 || c[0] != 0 {
		return o, &der.Error{Offset: signature.Offset, Detail: "the signature is not a whole number of octets"}
	}
	return Outline{
		Span:         spanOf(cert),
		TBS:          spanOf(tbs),
		AlgorithmRaw: spanOf(algorithm),
		Signature:    Span{signature.Start + 1, signature.End - signature.Start - 1},
	}, nil
}

// Parse reads the certificate that fills value[start:end]. An error means that
// it is no DER of the shape of a certificate. A key or a date that cannot be
// one is no error here: [Judge] reports it in its turn.
func Parse(value []byte, start, end int) (*Certificate, *der.Error) {
	outline, err := ParseOutline(value, start, end)
	if err != nil {
		return nil, err
	}
	p := &parser{Certificate{Outline: outline, value: value}}
	p.field(0, "certificate", p.Span, fmt.Sprintf("%d bytes", p.Length))
	p.field(1, "signed part", p.TBS, fmt.Sprintf("%d bytes", p.TBS.Length))
	tbs, err := der.NewReader(value, p.TBS.Offset, p.TBS.Offset+p.TBS.Length).Expect(der.Sequence, "signed part of the certificate")
	if err != nil {
		return nil, err
	}
	if err := p.tbs(tbs); err != nil {
		return nil, err
	}
	if err := p.outer(); err != nil {
		return nil, err
	}
	c := p.Certificate
	return &c, nil
}

// parser fills a certificate in.
type parser struct{ Certificate }

func (p *parser) field(depth int, name string, at Span, value string) {
	p.Fields = append(p.Fields, verdict.Field{Name: name, Offset: at.Offset, Length: at.Length, Value: value, Depth: depth})
}

// tbs reads the signed part (RFC 5280 4.1.2).
func (p *parser) tbs(tbs der.Element) *der.Error {
	r := tbs.Children()
	if err := p.version(r); err != nil {
		return err
	}
	serial, err := r.Expect(der.Integer, "serial number")
	if err != nil {
		return err
	}
	p.Serial = serial.Content()
	p.field(2, "serial number", spanOf(serial), verdict.Hex(p.Serial, 64))
	algorithm, err := r.Expect(der.Sequence, "signature algorithm")
	if err != nil {
		return err
	}
	if p.SignedAlgorithm, err = algorithmOID(algorithm); err != nil {
		return err
	}
	p.sameAlgo = bytes.Equal(algorithm.Raw(), p.AlgorithmRaw.In(p.value))
	p.field(2, "signature algorithm", spanOf(algorithm), algorithmText(p.SignedAlgorithm))
	if p.Issuer, err = p.name(r, "issuer"); err != nil {
		return err
	}
	validity, err := r.Expect(der.Sequence, "validity")
	if err != nil {
		return err
	}
	p.readValidity(validity)
	if p.Subject, err = p.name(r, "subject"); err != nil {
		return err
	}
	key, err := r.Expect(der.Sequence, "public key")
	if err != nil {
		return err
	}
	p.publicKey(key)
	for _, unique := range []der.Tag{der.Context1, der.Context2} {
		e, present, err := r.Optional(unique, "unique identifier")
		if err != nil {
			return err
		}
		if present {
			p.field(2, "unique identifier", spanOf(e), verdict.Hex(e.Content(), 64))
		}
	}
	if err := p.extensions(r); err != nil {
		return err
	}
	return r.Done("signed part of the certificate")
}

func (p *parser) version(r *der.Reader) *der.Error {
	p.Version = 1
	e, present, err := r.Optional(der.Context0, "version")
	if err != nil || !present {
		return err
	}
	inner := e.Children()
	n, err := inner.Expect(der.Integer, "version")
	if err != nil {
		return err
	}
	if c := n.Content(); len(c) != 1 || c[0] > 2 {
		return &der.Error{Offset: n.Offset, Detail: fmt.Sprintf("the version is %s, not 0, 1 or 2", verdict.Hex(c, 8))}
	}
	p.Version = int(n.Content()[0]) + 1
	p.field(2, "version", spanOf(e), fmt.Sprintf("v%d", p.Version))
	return inner.Done("version")
}

// readValidity reads the two dates. What is wrong with them is a fault of its
// own, not one of DER.
func (p *parser) readValidity(validity der.Element) {
	p.validity = spanOf(validity)
	r := validity.Children()
	for _, date := range []struct {
		name string
		to   *time.Time
	}{{"not before", &p.NotBefore}, {"not after", &p.NotAfter}} {
		e, err := r.Next()
		if err != nil {
			p.badDate(p.validity, fmt.Sprintf("The %q date cannot be read: %v.", date.name, err))
			return
		}
		t, ok := parseTime(e.Tag, e.Content())
		if !ok {
			p.badDate(spanOf(e), fmt.Sprintf("The %q date at offset %d is %v %q, which is no date.", date.name, e.Offset, e.Tag, verdict.Text(string(e.Content()[:min(e.End-e.Start, 32)]))))
			p.field(2, date.name, spanOf(e), "not a date")
			continue
		}
		*date.to = t
		p.field(2, date.name, spanOf(e), t.Format(time.RFC3339))
	}
	if r.More() {
		p.badDate(p.validity, "The validity holds more than two dates.")
	}
	p.judgeDates()
}

func (p *parser) badDate(at Span, detail string) {
	if p.dateFault.Healthy() {
		p.dateFault = verdict.Fault{Cause: verdict.Date, Detail: detail, FailingOffset: at.Offset, FailingLength: at.Length}
	}
}

// judgeDates finds dates that no certificate can have. 1970, 2038 and 2049
// are usual here and prove nothing.
func (p *parser) judgeDates() {
	if !p.dateFault.Healthy() {
		return
	}
	from, to := p.NotBefore, p.NotAfter
	switch {
	case to.Before(from):
		p.badDate(p.validity, fmt.Sprintf("The certificate ends on %s, before it begins on %s.", to.Format(time.RFC3339), from.Format(time.RFC3339)))
	case !to.After(time.Date(1970, 1, 2, 0, 0, 0, 0, time.UTC)):
		p.badDate(p.validity, fmt.Sprintf("The certificate ends on %s, which stands for no date at all.", to.Format(time.RFC3339)))
	case from.Year() <= 1601:
		p.badDate(p.validity, fmt.Sprintf("The certificate begins on %s, which stands for no date at all.", from.Format(time.RFC3339)))
	}
}

// outer reads what follows the signed part.
func (p *parser) outer() *der.Error {
	r := der.NewReader(p.value, p.AlgorithmRaw.Offset, p.AlgorithmRaw.Offset+p.AlgorithmRaw.Length)
	e, err := r.Expect(der.Sequence, "signature algorithm")
	if err != nil {
		return err
	}
	if p.OuterAlgorithm, err = algorithmOID(e); err != nil {
		return err
	}
	p.field(1, "signature algorithm", p.AlgorithmRaw, algorithmText(p.OuterAlgorithm))
	p.field(1, "signature", p.Signature, verdict.Hex(p.Signature.In(p.value), 1024))
	return nil
}

// algorithmOID returns the identifier in an AlgorithmIdentifier. Whatever
// parameters follow it are left alone.
func algorithmOID(e der.Element) (string, *der.Error) {
	id, err := e.Children().Expect(der.ObjectID, "algorithm")
	if err != nil {
		return "", err
	}
	return oidText(id)
}

func oidText(id der.Element) (string, *der.Error) {
	s, ok := der.OID(id.Content())
	if !ok {
		return "", &der.Error{Offset: id.Offset, Detail: "malformed object identifier"}
	}
	return s, nil
}

// parseTime reads a UTCTime or GeneralizedTime in the forms that DER allows,
// with or without an offset from UTC. Two-digit years from 50 on are of the
// last century (RFC 5280 4.1.2.5.1).
func parseTime(tag der.Tag, content []byte) (time.Time, bool) {
	s := string(content)
	layouts := []string{"060102150405Z0700", "0601021504Z0700"}
	if tag == der.GeneralizedTime {
		layouts = []string{"20060102150405Z0700"}
	} else if tag != der.UTCTime {
		return time.Time{}, false
	}
	for _, layout := range layouts {
		t, err := time.Parse(layout, s)
		if err != nil || t.Format(layout) != s {
			continue
		}
		if tag == der.UTCTime && t.Year() >= 2050 {
			t = t.AddDate(-100, 0, 0)
		}
		return t.UTC(), true
	}
	return time.Time{}, false
}
