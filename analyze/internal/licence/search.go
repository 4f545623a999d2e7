package licence

import (
	"hivemend/analyze/internal/der"
	"hivemend/analyze/internal/mscert"
	"hivemend/analyze/internal/verdict"
)

// SearchBudget is the work that Search is usually allowed, in units of about
// one hashed byte.
const SearchBudget = mscert.SearchBudget

// Search looks for the one byte of a corrupt licence that was changed, and for
// what stood there. A byte that is found makes every check of the licence
// hold, signatures included. Values that are healthy, cut short, or changed in
// more than one byte give NotFound, and so do faults in a NEW_LICENSE_INFO
// around the licence; Exhausted means that the budget did not suffice to try
// everything.
func Search(data []byte, budget int) verdict.Search {
	l := Decode(data)
	switch l.Cause {
	case verdict.None, verdict.Empty, verdict.Truncated, verdict.Framing:
		return verdict.Search{Outcome: verdict.NotFound}
	}
	spans := certificateSpans(data)
	s := mscert.NewSearcher(data, spans, budget, proven)
	if r, ok := s.Signed(); ok {
		return r
	}
	var offsets []int
	switch l.Cause {
	case verdict.DER:
		offsets = envelopeOffsets(data, spans)
	case verdict.Key:
		offsets = mscert.KeyFrame(l.Fault)
	}
	if r, ok := s.Trials(offsets); ok {
		return r
	}
	switch l.Cause {
	case verdict.Issuer, verdict.Key, verdict.Date, verdict.Signature:
		if r, ok := s.Sealed(); ok {
			return r
		}
	}
	return s.Result()
}

// certificateSpans finds the certificates in data without relying on the
// envelope around them or on each other: each is a SEQUENCE that begins with a
// SEQUENCE and is as long as a certificate. One whose own first octets are
// damaged is not found.
func certificateSpans(data []byte) []mscert.Span {
	var spans []mscert.Span
	for at := 0; at < len(data) && len(spans) < mscert.MaxCertificates; {
		total, ok := der.Header(data, at, len(data))
		if ok && total >= minCertificate && total <= uint64(len(data)-at) && der.Tag(data[at]) == der.Sequence && startsSequence(data, at) {
			spans = append(spans, mscert.Span{Offset: at, Length: int(total)})
			at += int(total)
			continue
		}
		at++
	}
	return spans
}

// minCertificate is less than what the smallest certificate has, in bytes, and
// more than anything inside one that begins alike, such as a 2048-bit key.
const minCertificate = 300

// startsSequence tells whether the content of the element at at begins with a
// SEQUENCE.
func startsSequence(data []byte, at int) bool {
	e, err := der.NewReader(data, at, len(data)).Next()
	if err != nil || e.Start >= e.End {
		return false
	}
	return der.Tag(data[e.Start]) == der.Sequence
}

// envelopeOffsets lists the bytes that nothing but the shape of DER protects:
// those around the certificates, and the frames of the certificates.
func envelopeOffsets(data []byte, spans []mscert.Span) []int {
	var offsets []int
	at := 0
	between := func(end int) {
		// A gap longer than this holds a certificate that was not found; its
		// first octets are the ones to try.
		for n := 0; at < end && n < 80; at++ {
			offsets = append(offsets, at)
			n++
		}
	}
	for _, span := range spans {
		between(span.Offset)
		offsets = append(offsets, mscert.Frames(data, span)...)
		at = span.Offset + span.Length
	}
	between(len(data))
	return offsets
}

// proven tells whether every check of the value holds and none was left out.
func proven(data []byte) bool {
	l := Decode(data)
	return verdict.Proven(l.Fault, l.Notes)
}
