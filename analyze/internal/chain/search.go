package chain

import (
	"hivemend/analyze/internal/mscert"
	"hivemend/analyze/internal/verdict"
)

// SearchBudget is the work that Search is usually allowed, in units of about
// one hashed byte.
const SearchBudget = mscert.SearchBudget

// Search looks for the one byte of a corrupt chain that was changed, and for
// what stood there. A byte that is found makes every check of the chain hold,
// signatures included. Values that are healthy, cut short, or changed in more
// than one byte give NotFound; Exhausted means that the budget did not suffice
// to try everything. The top byte of dwVersion is never named: with and
// without its top bit the chain is sound.
func Search(data []byte, budget int) verdict.Search {
	c := Decode(data)
	if c.Healthy() || c.Cause == verdict.Empty || c.Cause == verdict.Truncated {
		return verdict.Search{Outcome: verdict.NotFound}
	}
	w := walk(data, headerLen, c.Count)
	var spans []mscert.Span
	for _, b := range w.blobs {
		spans = append(spans, mscert.Span{Offset: b.offset, Length: b.length})
	}
	s := mscert.NewSearcher(data, spans, budget, proven)
	switch c.Cause {
	case verdict.Framing, verdict.Version, verdict.Count:
	default:
		if r, ok := s.Signed(); ok {
			return r
		}
	}
	if r, ok := s.Trials(c.frameOffsets(data, w)); ok {
		return r
	}
	switch c.Cause {
	case verdict.Issuer, verdict.Key, verdict.Date, verdict.Signature:
		if r, ok := s.Sealed(); ok {
			return r
		}
	}
	return s.Result()
}

// frameOffsets lists the bytes outside all signed parts that can be to blame
// for the cause.
func (c *Chain) frameOffsets(data []byte, w walked) []int {
	var offsets []int
	four := func(at int) { offsets = append(offsets, at, at+1, at+2, at+3) }
	switch c.Cause {
	case verdict.Version:
		return []int{0, 1, 2}
	case verdict.Count:
		four(4)
	case verdict.Framing:
		for _, b := range w.blobs {
			four(b.offset - 4)
		}
		if w.stop == stopOverrun {
			four(w.over.offset - 4)
		}
		four(4)
	case verdict.Key:
		return mscert.KeyFrame(c.Fault)
	case verdict.DER:
		for i, b := range w.blobs {
			if i == c.FaultCertificate {
				offsets = mscert.Frames(data, mscert.Span{Offset: b.offset, Length: b.length})
			}
		}
	}
	return offsets
}

// proven tells whether every check of the value holds and none was left out.
func proven(data []byte) bool {
	c := Decode(data)
	return verdict.Proven(c.Fault, c.Notes)
}
