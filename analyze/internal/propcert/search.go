package propcert

import (
	"crypto/md5"
	"slices"

	"hivemend/analyze/internal/verdict"
)

// SearchBudget is enough candidates to try every single-byte change of the
// largest certificate, in every layout that its lengths can suggest.
const SearchBudget = 1 << 19

// Search looks for the one byte of a corrupt certificate that was changed, and
// for what stood there. It tries at most budget candidates. The proof is
// exact: a signature that still opens names the MD5 of the signed bytes, and
// one candidate alone has it; a signature that does not open is compared with
// the right one, which can be computed because the signing key is published.
//
// A value that is healthy, truncated or changed in more than one byte gives
// NotFound.
func Search(data []byte, budget int) verdict.Search {
	s := searcher{data: slices.Clone(data), budget: budget}
	for _, l := range layouts(data) {
		if len(data) < l.size() {
			continue
		}
		at, original, ok := s.layout(l)
		if ok && s.heals(at, original) {
			return verdict.Search{Outcome: verdict.Found, FailingByte: at, Original: original, Tried: s.tried}
		}
	}
	outcome := verdict.NotFound
	if s.exhausted {
		outcome = verdict.Exhausted
	}
	return verdict.Search{Outcome: outcome, Tried: s.tried}
}

// searcher tries changes on a copy of the value.
type searcher struct {
	data      []byte
	budget    int
	tried     int
	exhausted bool
}

// layout searches the value as a certificate of layout l.
func (s *searcher) layout(l layout) (at int, original byte, ok bool) {
	signed := s.data[:l.signedLen()]
	signature := s.data[l.signatureOffset() : l.signatureOffset()+signatureLen]
	sum, intact := open(signature).digest()
	switch {
	case intact && sum == md5.Sum(signed):
		// What is signed and the signature are right: only the four bytes
		// between them can be wrong.
		numbers := l.numbers()
		return s.compare(l.signedLen(), append(numbers[9].wanted(), numbers[10].wanted()...))
	case intact:
		return s.signed(signed, sum)
	default:
		right := sign(blockFor(md5.Sum(signed)))
		return s.compare(l.signatureOffset(), right[:])
	}
}

// compare tells whether exactly one byte at off differs from want.
func (s *searcher) compare(off int, want []byte) (at int, original byte, ok bool) {
	s.tried++
	i, ok := verdict.OneDifference(s.data[off:off+len(want)], want)
	return off + i, want[i], ok
}

// signed tries every value of every signed byte until the MD5 is sum.
func (s *searcher) signed(signed []byte, sum [md5.Size]byte) (at int, original byte, ok bool) {
	for i, have := range signed {
		for c := 0; c < 256; c++ {
			if byte(c) == have {
				continue
			}
			if s.tried >= s.budget {
				signed[i] = have
				s.exhausted = true
				return 0, 0, false
			}
			s.tried++
			if signed[i] = byte(c); md5.Sum(signed) == sum {
				signed[i] = have
				return i, byte(c), true
			}
		}
		signed[i] = have
	}
	return 0, 0, false
}

// heals tells whether the value is healthy once original stands at at.
func (s *searcher) heals(at int, original byte) bool {
	have := s.data[at]
	s.data[at] = original
	healthy := Decode(s.data).Healthy()
	s.data[at] = have
	return healthy
}
