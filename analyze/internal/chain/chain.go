// Package chain decodes the certificate chain of a terminal server: the
// SERVER_CERTIFICATE structure with an X509_CERTIFICATE_CHAIN (MS-RDPBCGR
// 2.2.1.4.3.1, MS-RDPELE 2.2.1.4.2), which the registry values
// X509 Certificate and X509 Certificate2 hold.
package chain

import (
	"fmt"

	"hivemend/analyze/internal/der"
	"hivemend/analyze/internal/mscert"
	"hivemend/analyze/internal/verdict"
	"hivemend/hive/cursor"
)

const (
	headerLen    = 8
	chainVersion = 2
	temporaryBit = 0x80000000
	minCount     = 2
	// maxPadding is more than the padding after any number of certificates.
	maxPadding = 1024
)

// Chain is a decoded certificate chain.
type Chain struct {
	// Fault is the first of the causes empty, truncated, framing, version,
	// count, der, issuer, key, date and signature that holds. Truncated means
	// that what is there agrees, but the value ends early; framing means that
	// a length around a certificate cannot be right.
	verdict.Fault
	// FaultCertificate is the index of the certificate at fault, -1 where the
	// fault lies in none.
	FaultCertificate int
	Notes            []verdict.Note
	Fields           []verdict.Field

	// Framed tells whether the value can be told to be such a chain, damaged
	// or not. A value that is not Framed may as well be something else
	// altogether.
	Framed bool
	// Unrecognised is set when the value holds certificates in a layout that
	// is not known, such as one that starts at the count. There is no fault
	// then, but a note.
	Unrecognised bool

	Version   uint32 // dwVersion without its top bit
	Temporary bool   // the chain was issued for a time only: top bit of dwVersion
	Count     uint32 // NumCertBlobs as it stands
	// Certificates are those that could be read, from root to leaf.
	Certificates []*mscert.Certificate
}

// Leaf returns the last certificate, the terminal server's own; nil where
// there is none.
func (c *Chain) Leaf() *mscert.Certificate {
	if len(c.Certificates) == 0 {
		return nil
	}
	return c.Certificates[len(c.Certificates)-1]
}

// blob is one certificate in its frame: cbCert at offset-4, abCert from offset.
type blob struct {
	offset int
	length int // as cbCert says
	derLen int // as the certificate's own first octets say; 0 where they are no SEQUENCE
}

// Decode reads data, the content of a registry value. It never fails: what is
// wrong stands in the result.
func Decode(data []byte) *Chain {
	c := &Chain{FaultCertificate: -1}
	if len(data) == 0 {
		c.Fault = verdict.Fault{Cause: verdict.Empty, Detail: "The value is empty; a certificate chain is due."}
		return c
	}
	if c.unrecognised(data) {
		return c
	}
	version, _ := cursor.U32(data, 0)
	c.Version, c.Temporary = version&^temporaryBit, version&temporaryBit != 0
	c.Count, _ = cursor.U32(data, 4)
	w := walk(data, headerLen, c.Count)
	c.Framed = len(data) >= 4 && c.Version == chainVersion || len(w.blobs) > 0 && w.blobs[0].agrees()
	c.header(data)
	c.judgeFraming(data, w)
	c.readCertificates(data, w)
	return c
}

// agrees tells whether frame and certificate speak of the same length.
func (b blob) agrees() bool { return b.derLen == b.length }

// walked is what following the frames gave.
type walked struct {
	blobs []blob // those that lie inside the value
	end   int    // where the last of them ends
	// stop says why the walk ended before the count was reached.
	stop stopReason
	// For stopOverrun: the certificate that does not fit, and the length that
	// its frame claims.
	over  blob
	claim uint32
}

type stopReason int

const (
	stopCount   stopReason = iota // all certificates are there
	stopEnd                       // the value ends between or inside a length and its certificate
	stopOverrun                   // a length reaches past the end of the value
	stopZeros                     // only zero bytes are left
)

// walk follows the frames of count certificates from off.
func walk(data []byte, off int, count uint32) walked {
	w := walked{end: min(off, len(data))}
	for i := uint32(0); i < min(count, mscert.MaxCertificates); i++ {
		n, ok := cursor.U32(data, uint64(w.end))
		if !ok {
			w.stop = stopEnd
			return w
		}
		if n == 0 && allZero(data[w.end:min(len(data), w.end+maxPadding)]) {
			w.stop = stopZeros
			return w
		}
		start := w.end + 4
		b := blob{offset: start, derLen: derLength(data, start)}
		if uint64(n) > uint64(len(data)-start) {
			w.stop, w.over, w.claim = stopOverrun, b, n
			return w
		}
		b.length = int(n)
		w.blobs = append(w.blobs, b)
		w.end = start + b.length
	}
	return w
}

// derLength returns the length that the certificate at off claims for itself,
// or 0 where there is no SEQUENCE.
func derLength(data []byte, off int) int {
	if off >= len(data) || der.Tag(data[off]) != der.Sequence {
		return 0
	}
	if total, ok := der.Header(data, off, len(data)); ok && total < 1<<31 {
		return int(total)
	}
	return 0
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// unrecognised finds layouts that are not the known one, yet hold
// certificates: one that starts at the count, and a bare certificate.
func (c *Chain) unrecognised(data []byte) bool {
	note := func(detail string) {
		c.Unrecognised = true
		c.Notes = append(c.Notes, verdict.Note{Kind: verdict.Unrecognised, Detail: detail, Length: len(data)})
	}
	if n := derLength(data, 0); n == len(data) {
		note("The value is one DER structure without the frame of a certificate chain.")
		c.decodeBare(data, walked{blobs: []blob{{0, n, n}}, end: n})
		return true
	}
	count, ok := cursor.U32(data, 0)
	first, _ := cursor.U32(data, 4)
	if !ok || count < minCount || count > mscert.MaxCertificates || first == 0 || uint64(first) != uint64(derLength(data, 8)) {
		return false
	}
	if usual, ok := cursor.U32(data, 8); ok && uint64(usual) == uint64(derLength(data, 12)) {
		return false
	}
	note("The value starts at the number of certificates, without a version before it.")
	c.Count = count
	c.field(0, "NumCertBlobs", 0, 4, fmt.Sprint(count))
	c.decodeBare(data, walk(data, 4, count))
	return true
}

// decodeBare lists the certificates of an unrecognised layout, without
// judging them.
func (c *Chain) decodeBare(data []byte, w walked) {
	for i, b := range w.blobs {
		cert, err := mscert.Parse(data, b.offset, b.offset+b.length)
		if err != nil {
			c.field(0, fmt.Sprintf("certificate %d", i), b.offset, b.length, "not decoded: "+err.Error())
			continue
		}
		c.Certificates = append(c.Certificates, cert)
		c.certificateFields(i, cert)
	}
}

func (c *Chain) field(depth int, name string, off, n int, value string) {
	c.Fields = append(c.Fields, verdict.Field{Name: name, Offset: off, Length: n, Value: value, Depth: depth})
}

// header lists the two numbers at the start, as far as they are there.
func (c *Chain) header(data []byte) {
	for _, f := range []struct {
		name  string
		off   int
		value string
	}{
		{"dwVersion", 0, fmt.Sprintf("%d, %s", c.Version, map[bool]string{true: "temporary", false: "permanent"}[c.Temporary])},
		{"NumCertBlobs", 4, fmt.Sprint(c.Count)},
	} {
		if f.off+4 <= len(data) {
			c.field(0, f.name, f.off, 4, f.value)
		} else if f.off < len(data) {
			c.field(0, f.name, f.off, len(data)-f.off, fmt.Sprintf("%x (cut short)", data[f.off:]))
		}
	}
}

func (c *Chain) fail(cause verdict.Cause, certificate, off, n int, format string, args ...any) {
	if c.Fault.Healthy() {
		c.Fault = verdict.Fault{Cause: cause, Detail: fmt.Sprintf(format, args...), FailingOffset: off, FailingLength: n}
		c.FaultCertificate = certificate
	}
}

// judgeFraming looks for the causes truncated, framing, version and count.
func (c *Chain) judgeFraming(data []byte, w walked) {
	c.judgeLengths(data, w)
	if len(data) >= 4 && c.Version != chainVersion {
		c.fail(verdict.Version, -1, 0, 4, "The version at offset 0 is %d; %d is due.", c.Version, chainVersion)
	}
	if len(data) < headerLen {
		return
	}
	switch {
	case c.Count < minCount || c.Count > mscert.MaxCertificates:
		c.fail(verdict.Count, -1, 4, 4, "The number of certificates at offset 4 is %d; a chain has %d to %d.", c.Count, minCount, mscert.MaxCertificates)
	case w.stop == stopZeros:
		c.fail(verdict.Count, -1, 4, 4, "The number of certificates at offset 4 is %d, but only %d are there, followed by zero bytes.", c.Count, len(w.blobs))
	}
}

// judgeLengths tells a value that ends early from one whose lengths are wrong:
// every certificate carries its own length, so a frame has a witness.
func (c *Chain) judgeLengths(data []byte, w walked) {
	if len(data) < headerLen {
		c.fail(verdict.Truncated, -1, len(data), 0, "The value ends after %d bytes, before the number of certificates.", len(data))
		return
	}
	for i, b := range w.blobs {
		if !b.agrees() && frameIsWrong(data, w, c.Count, i) {
			c.fail(verdict.Framing, i, b.offset-4, 4, "The length at offset %d gives certificate %d %d bytes, but the certificate itself has %d.", b.offset-4, i, b.length, b.derLen)
			return
		}
	}
	i := len(w.blobs)
	if countIsWrong(w, c.Count) {
		return // the walk went on into what is no frame
	}
	switch w.stop {
	case stopEnd:
		c.fail(verdict.Truncated, i, len(data), 0, "The value ends after %d bytes, before certificate %d of %d.", len(data), i, c.Count)
	case stopOverrun:
		left := len(data) - w.over.offset
		if uint64(w.over.derLen) == uint64(w.claim) || left < 4 && w.claim <= 0xffff {
			c.fail(verdict.Truncated, i, len(data), 0, "The value ends after %d bytes, %d bytes into certificate %d, which has %d.", len(data), left, i, w.claim)
			return
		}
		c.fail(verdict.Framing, i, w.over.offset-4, 4, "The length at offset %d gives certificate %d %d bytes, but only %d are left.", w.over.offset-4, i, w.claim, left)
	}
}

// countIsWrong tells whether a walk that ran over the end did so because of a
// count that no chain has.
func countIsWrong(w walked, count uint32) bool {
	return w.stop != stopCount && len(w.blobs) >= minCount && count > mscert.MaxCertificates
}

// frameIsWrong tells, of a certificate whose frame and own length differ,
// whether the frame is the one to blame: it is if the value comes out even
// with the certificate's length, and does not with the frame's.
func frameIsWrong(data []byte, w walked, count uint32, i int) bool {
	b := w.blobs[i]
	if b.derLen == 0 || b.derLen > len(data)-b.offset {
		// The certificate is no witness. The frame is good if the next one
		// fits.
		return w.stop == stopOverrun && i == len(w.blobs)-1 && uint64(w.over.derLen) != uint64(w.claim)
	}
	if even(data, w, count) {
		return false
	}
	rest := walk(data, b.offset+b.derLen, count-uint32(i)-1)
	return even(data, rest, count)
}

// even tells whether the walk ended where certificates are due to end: with
// all of them seen, and the padding after them or nothing.
func even(data []byte, w walked, count uint32) bool {
	left := uint64(len(data) - w.end)
	return w.stop == stopCount && (left == 0 || left == paddingLen(count))
}

// paddingLen is how many bytes follow count certificates.
func paddingLen(count uint32) uint64 { return 8 + 4*uint64(count) }

// readCertificates parses the certificates that the frames hold, lists them,
// and judges them and what follows them.
func (c *Chain) readCertificates(data []byte, w walked) {
	for i, b := range w.blobs {
		c.field(0, fmt.Sprintf("cbCert of certificate %d", i), b.offset-4, 4, fmt.Sprint(b.length))
		cert, err := mscert.Parse(data, b.offset, b.offset+b.length)
		if err != nil {
			c.field(0, fmt.Sprintf("certificate %d", i), b.offset, b.length, "not decoded: "+err.Error())
			c.fail(verdict.DER, i, err.Offset, min(1, b.offset+b.length-err.Offset), "Certificate %d cannot be read: %v.", i, err)
			continue
		}
		c.Certificates = append(c.Certificates, cert)
		c.certificateFields(i, cert)
	}
	c.tail(data, w)
	if len(c.Certificates) < len(w.blobs) || len(c.Certificates) == 0 {
		return
	}
	parents, order := mscert.ChainParents(c.Certificates)
	j := mscert.Judge(c.Certificates, parents, order)
	c.Notes = append(c.Notes, j.Notes...)
	if c.Fault.Healthy() && !j.Healthy() {
		c.Fault, c.FaultCertificate = j.Fault, j.Certificate
	}
}

func (c *Chain) certificateFields(i int, cert *mscert.Certificate) {
	for n, f := range cert.Fields {
		if n == 0 {
			f.Name = fmt.Sprintf("certificate %d", i)
			f.Value = cert.Subject.String()
		}
		c.Fields = append(c.Fields, f)
	}
}

// tail lists and notes what follows the last certificate. The padding that
// the wire format has may be absent.
func (c *Chain) tail(data []byte, w walked) {
	if w.end < headerLen || len(data) < headerLen {
		return
	}
	rest := data[w.end:]
	due := paddingLen(c.Count)
	if w.stop != stopCount && w.stop != stopZeros || c.Count > mscert.MaxCertificates {
		if len(rest) > 0 {
			c.field(0, "not decoded", w.end, len(rest), verdict.Hex(rest, 64))
		}
		return
	}
	note := func(kind verdict.NoteKind, off, n int, format string, args ...any) {
		c.Notes = append(c.Notes, verdict.Note{Kind: kind, Detail: fmt.Sprintf(format, args...), Offset: off, Length: n})
	}
	padding := rest[:min(due, uint64(len(rest)))]
	if len(padding) > 0 {
		c.field(0, "padding", w.end, len(padding), verdict.Hex(padding, 64))
	}
	if uint64(len(padding)) < due {
		note(verdict.Padding, w.end, len(padding), "%d bytes of padding follow the certificates; on the wire there are %d.", len(padding), due)
	}
	if !allZero(padding) {
		note(verdict.Padding, w.end, len(padding), "The padding after the certificates is not zero.")
	}
	if extra := rest[len(padding):]; len(extra) > 0 {
		off := w.end + len(padding)
		c.field(0, "trailing bytes", off, len(extra), verdict.Hex(extra, 64))
		note(verdict.Trailing, off, len(extra), "%d bytes follow the padding.", len(extra))
	}
}
