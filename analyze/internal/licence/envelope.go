package licence

import (
	"bytes"
	"fmt"

	"hivemend/analyze/internal/der"
	"hivemend/analyze/internal/verdict"
)

// The object identifiers of the envelope (RFC 2315 14), as whole elements.
var (
	elementSignedData = []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2}
	elementData       = []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1}
)

// envelope is the PKCS #7 around the certificates.
type envelope struct {
	bag     der.Element // the certificates
	signers der.Element // the empty list of signers
	end     int         // where it ends
}

// readEnvelope reads the PKCS #7 that begins at start (RFC 2315 7 and 9.1;
// MS-RDPELE 2.2.2.6.1). ok is false where there is none.
func (l *License) readEnvelope(data []byte, start, end int) (e envelope, ok bool) {
	undecoded := func() { l.field(0, "not decoded", start, end-start, verdict.Hex(data[start:end], 64)) }
	if endsEarly(data, start, end) {
		l.fail(verdict.Truncated, -1, end, 0, "The value ends after %d bytes, before the licence in it does.", end)
		undecoded()
		return e, false
	}
	info, err := der.NewReader(data, start, end).Expect(der.Sequence, "licence")
	if err == nil {
		e.end = info.End
		err = e.signedData(info)
	}
	if err != nil {
		l.fail(verdict.DER, -1, err.Offset, min(1, max(0, end-err.Offset)), "The licence cannot be read: %v.", err)
		undecoded()
		return e, false
	}
	l.field(0, "licence (PKCS #7)", info.Offset, info.Len(), fmt.Sprintf("%d bytes", info.Len()))
	return e, true
}

// endsEarly tells whether the licence at start is cut off: its length reaches
// past end, and the lengths inside it agree with that, as far as they are
// there.
func endsEarly(data []byte, start, end int) bool {
	if start >= end || der.Tag(data[start]) != der.Sequence {
		return start >= end
	}
	total, headerLen, ok := announced(data, start, end)
	if !ok {
		return end-start < 4
	}
	due := uint64(start) + total
	if due <= uint64(end) {
		return false
	}
	at := start + headerLen
	oid := data[min(at, end):min(at+len(elementSignedData), end)]
	if !bytes.HasPrefix(elementSignedData, oid) {
		return false
	}
	at += len(elementSignedData)
	for _, tag := range []der.Tag{der.Context0, der.Sequence} {
		if at >= end {
			return true
		}
		total, headerLen, ok := announced(data, at, end)
		if !ok {
			return end-at < 4 && der.Tag(data[at]) == tag
		}
		if der.Tag(data[at]) != tag || uint64(at)+total != due {
			return false
		}
		at += headerLen
	}
	return true
}

// announced returns the length that the element at off claims for itself, and
// how much of it are tag and length.
func announced(data []byte, off, end int) (total uint64, headerLen int, ok bool) {
	total, ok = der.Header(data, off, end)
	if !ok {
		return 0, 0, false
	}
	headerLen = 2
	if n := data[off+1]; n >= 0x80 {
		headerLen += int(n & 0x7f)
	}
	return total, headerLen, true
}

// signedData reads the ContentInfo in info and the SignedData in it.
func (e *envelope) signedData(info der.Element) *der.Error {
	outer := info.Children()
	if err := expectExactly(outer, elementSignedData, "content type"); err != nil {
		return err
	}
	content, err := outer.Expect(der.Context0, "content")
	if err != nil {
		return err
	}
	if err := outer.Done("licence"); err != nil {
		return err
	}
	inner := content.Children()
	signed, err := inner.Expect(der.Sequence, "signed data")
	if err != nil {
		return err
	}
	if err := inner.Done("content"); err != nil {
		return err
	}
	return e.parts(signed.Children())
}

// parts reads what SignedData consists of: version, hash algorithms, content,
// certificates, revocation lists, signers.
func (e *envelope) parts(r *der.Reader) *der.Error {
	version, err := r.Expect(der.Integer, "version")
	if err != nil {
		return err
	}
	if c := version.Content(); len(c) != 1 || c[0] != 1 && c[0] != 3 {
		return &der.Error{Offset: version.Offset, Detail: fmt.Sprintf("version %s of the signed data; 1 is due", verdict.Hex(c, 8))}
	}
	if _, err := r.Expect(der.Set, "hash algorithms"); err != nil {
		return err
	}
	content, err := r.Expect(der.Sequence, "signed content")
	if err != nil {
		return err
	}
	if err := expectExactly(content.Children(), elementData, "type of the signed content"); err != nil {
		return err
	}
	if e.bag, err = r.Expect(der.Context0, "certificates"); err != nil {
		return err
	}
	if _, _, err := r.Optional(contextRevocations, "revocation lists"); err != nil {
		return err
	}
	if e.signers, err = r.Expect(der.Set, "signers"); err != nil {
		return err
	}
	return r.Done("signed data")
}

// contextRevocations is [1], constructed.
const contextRevocations der.Tag = 0xa1

func expectExactly(r *der.Reader, want []byte, what string) *der.Error {
	e, err := r.Expect(der.ObjectID, what)
	if err != nil {
		return err
	}
	if !bytes.Equal(e.Raw(), want) {
		return &der.Error{Offset: e.Offset, Detail: fmt.Sprintf("%s: %s is due, %s is there", what, verdict.Hex(want, 16), verdict.Hex(e.Raw(), 16))}
	}
	return nil
}
