// Package licence decodes a client access licence: the registry value
// ClientLicense, a PKCS #7 structure that holds nothing but certificates
// (MS-RDPELE 2.2.2.6.1), bare or inside a NEW_LICENSE_INFO structure.
package licence

import (
	"fmt"
	"time"

	"hivemend/analyze/internal/mscert"
	"hivemend/analyze/internal/verdict"
)

// License is a decoded ClientLicense value.
type License struct {
	// Fault is the first of the causes empty, truncated, framing, der,
	// issuer, key, date and signature that holds. Truncated means that what
	// is there agrees, but the value ends early; framing only occurs where
	// there is a NEW_LICENSE_INFO around the licence.
	verdict.Fault
	// FaultCertificate is the index of the certificate at fault, -1 where the
	// fault lies in none.
	FaultCertificate int
	Notes            []verdict.Note
	Fields           []verdict.Field

	Frame *Frame // nil where there is none, as usual
	// Certificates are those that could be read, in stored order.
	Certificates []*mscert.Certificate
	// Grants are the licences themselves, in stored order: one for each
	// certificate that licenses a product or has issued no other.
	Grants []Grant
}

// Grant is one licence, as the licence certificate states it.
type Grant struct {
	Certificate int // index into License.Certificates

	Product         string // the product asked for, such as A02
	AdjustedProduct string // the product granted, such as A02-6.00-S
	Major, Minor    uint16 // version of the licensed product
	Flags           uint32 // see mscert.FlagTemporary and its like
	HasProduct      bool   // the five above were there
	Temporary       bool

	Issuer      string // name of the licence server
	IssuerID    string // its identifier; "" where the certificate does not say
	IssuerScope string // its workgroup or domain
	Machine     string // the computer that the licence was issued to
	User        string // who was logged on there
	HardwareID  string // base64 of what was made of the hardware identifier

	NotBefore, NotAfter time.Time // UTC
}

// Decode reads data, the content of a registry value. It never fails: what is
// wrong stands in the result.
func Decode(data []byte) *License {
	l := &License{FaultCertificate: -1}
	if len(data) == 0 {
		l.Fault = verdict.Fault{Cause: verdict.Empty, Detail: "The value is empty; a licence is due."}
		return l
	}
	start, end := 0, len(data)
	if looksFramed(data) {
		l.Frame = &Frame{}
		var ok bool
		if start, end, ok = l.readFrame(data); !ok {
			return l
		}
	}
	if e, ok := l.readEnvelope(data, start, end); ok {
		l.readCertificates(data, e)
		l.tail(data, e, end)
	}
	return l
}

func (l *License) field(depth int, name string, off, n int, value string) {
	if n > 0 {
		l.Fields = append(l.Fields, verdict.Field{Name: name, Offset: off, Length: n, Value: value, Depth: depth})
	}
}

func (l *License) fail(cause verdict.Cause, certificate, off, n int, format string, args ...any) {
	if l.Fault.Healthy() {
		l.Fault = verdict.Fault{Cause: cause, Detail: fmt.Sprintf(format, args...), FailingOffset: off, FailingLength: n}
		l.FaultCertificate = certificate
	}
}

// readCertificates parses the certificates in the bag, judges them, and says
// what they license.
func (l *License) readCertificates(data []byte, e envelope) {
	total := 0
	for r := e.bag.Children(); r.More(); total++ {
		if total == mscert.MaxCertificates {
			l.fail(verdict.DER, -1, r.Pos(), 0, "The licence holds more than %d certificates.", mscert.MaxCertificates)
			break
		}
		place, err := r.Next()
		if err != nil {
			l.fail(verdict.DER, total, err.Offset, 1, "Certificate %d cannot be read: %v.", total, err)
			break
		}
		cert, err := mscert.Parse(data, place.Offset, place.End)
		if err != nil {
			l.fail(verdict.DER, total, err.Offset, min(1, place.End-err.Offset), "Certificate %d cannot be read: %v.", total, err)
			l.field(1, fmt.Sprintf("certificate %d", total), place.Offset, place.Len(), "not decoded: "+err.Error())
			continue
		}
		l.Certificates = append(l.Certificates, cert)
		l.certificateFields(total, cert)
	}
	if total == 0 {
		l.fail(verdict.DER, -1, e.bag.Offset, e.bag.Len(), "The licence holds no certificate.")
	}
	parents, order := mscert.BagParents(l.Certificates)
	l.grants(parents)
	if len(l.Certificates) < total {
		return
	}
	j := mscert.Judge(l.Certificates, parents, order)
	l.Notes = append(l.Notes, j.Notes...)
	if l.Fault.Healthy() && !j.Healthy() {
		l.Fault, l.FaultCertificate = j.Fault, j.Certificate
	}
}

// tail lists what follows the certificates.
func (l *License) tail(data []byte, e envelope, end int) {
	l.field(1, "signers", e.signers.Offset, e.signers.Len(), "none")
	if e.end < end {
		l.field(0, "trailing bytes", e.end, end-e.end, verdict.Hex(data[e.end:end], 64))
		l.Notes = append(l.Notes, verdict.Note{Kind: verdict.Trailing, Offset: e.end, Length: end - e.end, Detail: fmt.Sprintf("%d bytes follow the licence.", end-e.end)})
	}
	if end < len(data) {
		l.field(0, "trailing bytes", end, len(data)-end, verdict.Hex(data[end:], 64))
	}
}

func (l *License) certificateFields(i int, cert *mscert.Certificate) {
	for n, f := range cert.Fields {
		if n == 0 {
			f.Name = fmt.Sprintf("certificate %d", i)
			f.Value = cert.Subject.String()
		}
		f.Depth++
		l.Fields = append(l.Fields, f)
	}
}

// grants finds the licences: certificates that license a product, or, where
// none does, those that have issued no other.
func (l *License) grants(parents []int) {
	issued := make([]bool, len(parents))
	licensed := false
	for i, p := range parents {
		if p != mscert.NoParent && p != i {
			issued[p] = true
		}
		licensed = licensed || l.Certificates[i].Product != nil
	}
	for i, c := range l.Certificates {
		if licensed && c.Product == nil || !licensed && issued[i] {
			continue
		}
		l.Grants = append(l.Grants, grantOf(i, c))
	}
}

func grantOf(i int, c *mscert.Certificate) Grant {
	g := Grant{
		Certificate: i,
		Issuer:      c.Issuer.Get("CN"),
		IssuerScope: c.Issuer.Get("L"),
		Machine:     c.Subject.Get("CN"),
		User:        c.Subject.Get("L"),
		HardwareID:  trimLineEnd(c.Subject.Get("serialNumber")),
		NotBefore:   c.NotBefore,
		NotAfter:    c.NotAfter,
	}
	if p := c.Product; p != nil {
		g.HasProduct, g.Temporary = true, p.Temporary()
		g.Product, g.AdjustedProduct, g.Major, g.Minor, g.Flags = p.Requested, p.Adjusted, p.Major, p.Minor, p.Flags
	}
	if s := c.Server; s != nil {
		g.IssuerID = s.ID
		if s.Name != "" {
			g.Issuer = s.Name
		}
		if s.Scope != "" {
			g.IssuerScope = s.Scope
		}
	}
	return g
}

// trimLineEnd removes the CR LF with which Microsoft's base64 ends.
func trimLineEnd(s string) string {
	for len(s) > 0 && (s[len(s)-1] == '\r' || s[len(s)-1] == '\n') {
		s = s[:len(s)-1]
	}
	return s
}
