package mscert

import (
	"bytes"
	"encoding"
	"hash"
	"math/big"
	"slices"

	"hivemend/analyze/internal/der"
	"hivemend/analyze/internal/verdict"
)

// SearchBudget is the work that a search is usually allowed. A unit is about
// what hashing one byte costs. It is enough to try every change in what a
// signature covers, for certificates of twice the usual size, and every
// changed bit elsewhere.
const SearchBudget = 1 << 29

// What the steps of a search cost, in units.
const (
	powerCost = 50_000 // one public-key operation with 2048 bits; four times as much with twice the bits
	trialCost = 40_000 // decoding the whole value, apart from its size
)

// Searcher looks for a single changed byte in a value that holds
// certificates. It works on a copy of the value.
type Searcher struct {
	data    []byte
	healthy func([]byte) bool
	budget  int
	spent   int
	tried   int
	short   bool // the budget did not suffice

	places []place
}

// cost is what an operation with the key costs, in units.
func (k *PublicKey) cost() int {
	return max(powerCost, powerCost*(k.Bits/1024)*(k.Bits/1024)/4)
}

// place is one certificate, as far as its outline can be read.
type place struct {
	Outline
	info func(tbs []byte) []byte // DigestInfo for its signature; nil where the algorithm is unknown
	key  *PublicKey              // nil where there is none
}

// NewSearcher returns a searcher for a value in which certificates stand at
// the given spans, roots first or each after its issuer. healthy decodes the
// whole value and tells whether all is well with it.
func NewSearcher(data []byte, certificates []Span, budget int, healthy func([]byte) bool) *Searcher {
	s := &Searcher{data: slices.Clone(data), healthy: healthy, budget: budget}
	for _, span := range certificates {
		if p, ok := s.place(span); ok {
			s.places = append(s.places, p)
		}
	}
	return s
}

// place reads what a search needs to know of a certificate; it makes do with
// one whose signed part cannot be read.
func (s *Searcher) place(span Span) (place, bool) {
	o, err := ParseOutline(s.data, span.Offset, span.Offset+span.Length)
	if err != nil {
		return place{}, false
	}
	p := place{Outline: o}
	if c, err := Parse(s.data, span.Offset, span.Offset+span.Length); err == nil {
		p.key = c.Key
		p.info = infoMaker(c.SignedAlgorithm, c.OuterAlgorithm)
	} else {
		r := der.NewReader(s.data, o.AlgorithmRaw.Offset, o.AlgorithmRaw.Offset+o.AlgorithmRaw.Length)
		if e, err := r.Next(); err == nil {
			oid, _ := algorithmOID(e)
			p.info = infoMaker(oid)
		}
	}
	if p.key == nil {
		p.key = scanKey(s.data, o.TBS)
	}
	if !p.key.usable() {
		p.key = nil
	}
	return p, true
}

// scanKey finds the RSA key in a signed part that cannot be read otherwise:
// the only SEQUENCE of two INTEGERs of which the first has a key's size.
func scanKey(data []byte, tbs Span) *PublicKey {
	end := tbs.Offset + tbs.Length
	for at := tbs.Offset; at < end-8; at++ {
		if der.Tag(data[at]) != der.Sequence {
			continue
		}
		if k, err := rsaPublicKey(der.NewReader(data, at, end), 0); err == nil && k.Bits >= 512 {
			return k
		}
	}
	return nil
}

// Trials tries every change of the bytes at the given offsets by decoding the
// whole value: single bits first. It is for bytes that no signature covers.
func (s *Searcher) Trials(offsets []int) (verdict.Search, bool) {
	for _, pass := range passes {
		for _, at := range offsets {
			if at < 0 || at >= len(s.data) {
				continue
			}
			have := s.data[at]
			for _, change := range pass {
				if !s.spend(trialCost + len(s.data)) {
					return verdict.Search{}, false
				}
				s.data[at] = have ^ change
				ok := s.healthy(s.data)
				s.data[at] = have
				if ok {
					return s.found(at, have^change), true
				}
			}
		}
	}
	return verdict.Search{}, false
}

// passes are the ways in which a byte can change: one bit, then anything else.
var passes = func() [2][]byte {
	var p [2][]byte
	for c := 1; c < 256; c++ {
		i := 1
		if c&(c-1) == 0 {
			i = 0
		}
		p[i] = append(p[i], byte(c))
	}
	return p
}()

func (s *Searcher) spend(units int) bool {
	if s.budget-s.spent < units {
		s.short = true
		return false
	}
	s.spent += units
	s.tried++
	return true
}

func (s *Searcher) found(at int, original byte) verdict.Search {
	return verdict.Search{Outcome: verdict.Found, FailingByte: at, Original: original, Tried: s.tried}
}

// Result is what a search that found nothing comes to.
func (s *Searcher) Result() verdict.Search {
	if s.short {
		return verdict.Search{Outcome: verdict.Exhausted, Tried: s.tried}
	}
	return verdict.Search{Outcome: verdict.NotFound, Tried: s.tried}
}

// heals tells whether the value is healthy with original at at.
func (s *Searcher) heals(at int, original byte) bool {
	have := s.data[at]
	s.data[at] = original
	ok := s.healthy(s.data)
	s.data[at] = have
	return ok
}

// Frames lists the bytes of certificate i's frame that nothing but the shape
// of DER protects: its first octets, and those between its signed part and its
// signature. They are what Trials is to try.
func Frames(data []byte, certificate Span) []int {
	var offsets []int
	end := certificate.Offset + certificate.Length
	for at := certificate.Offset; at < min(certificate.Offset+8, end); at++ {
		offsets = append(offsets, at)
	}
	r := der.NewReader(data, min(certificate.Offset+4, end), end)
	tbs, err := r.Next()
	if err != nil {
		return offsets
	}
	for at := tbs.End; at < min(tbs.End+24, end); at++ {
		offsets = append(offsets, at)
	}
	return offsets
}

// KeyFrame lists the bytes around a public key that cannot be read: where one
// of them is damaged, no signature of the key's owner opens either. fault must
// have the cause key.
func KeyFrame(fault verdict.Fault) []int {
	// The frame of a 2048-bit key has 33 bytes before the modulus and 5 from
	// the exponent on.
	const head, foot = 33, 5
	if fault.FailingLength < head+foot {
		return nil // a number in it is at fault, not the frame
	}
	var offsets []int
	for i := range fault.FailingLength {
		if i < head || i >= fault.FailingLength-foot {
			offsets = append(offsets, fault.FailingOffset+i)
		}
	}
	return offsets
}

// Signed looks for the changed byte in what signatures cover, where a
// signature still opens and so names the hash of what was signed.
func (s *Searcher) Signed() (verdict.Search, bool) {
	for i, p := range s.places {
		o, _ := s.openPlace(i)
		if o.hash == nil {
			continue
		}
		if o.covers(p.TBS.In(s.data)) {
			if r, ok := s.algorithms(i); ok {
				return r, true
			}
			continue
		}
		if at, original, ok := s.preimage(p.TBS, o.hash.new(), o.sum); ok && s.heals(at, original) {
			return s.found(at, original), true
		}
	}
	return verdict.Search{}, false
}

// issuers returns the certificates whose keys may have signed certificate i,
// the most likely first. The one after it counts as well: a licence holds the
// key of the server that issued it.
func (s *Searcher) issuers(i int) []int {
	var list []int
	for _, p := range []int{i - 1, 0, i, i + 1} {
		if p >= 0 && p < len(s.places) && !slices.Contains(list, p) && s.places[p].key != nil {
			list = append(list, p)
		}
	}
	return list
}

// openPlace opens the signature of certificate i with the key that made it;
// owner is the certificate with that key.
func (s *Searcher) openPlace(i int) (o opened, owner int) {
	for _, p := range s.issuers(i) {
		if !s.spend(s.places[p].key.cost()) {
			return opened{}, NoParent
		}
		if o := open(s.places[i].Signature.In(s.data), s.places[p].key); o.hash != nil {
			return o, p
		}
	}
	return opened{}, NoParent
}

// algorithms compares the algorithm identifier after the signed part of
// certificate i with the one inside it, which its signature vouches for.
func (s *Searcher) algorithms(i int) (verdict.Search, bool) {
	p := s.places[i]
	r := der.NewReader(s.data, p.TBS.Offset, p.TBS.Offset+p.TBS.Length)
	tbs, err := r.Next()
	if err != nil {
		return verdict.Search{}, false
	}
	inner := tbs.Children()
	inner.Optional(der.Context0, "version")
	inner.Next() // the serial number
	signed, err := inner.Next()
	if err != nil {
		return verdict.Search{}, false
	}
	at, ok := verdict.OneDifference(p.AlgorithmRaw.In(s.data), signed.Raw())
	if !ok || !s.heals(p.AlgorithmRaw.Offset+at, signed.Raw()[at]) {
		return verdict.Search{}, false
	}
	return s.found(p.AlgorithmRaw.Offset+at, signed.Raw()[at]), true
}

// preimage tries every change of a byte in span until the hash is sum. What
// stands before the changed byte's block is hashed only once.
func (s *Searcher) preimage(span Span, h hash.Hash, sum []byte) (at int, original byte, ok bool) {
	marshal, ok1 := h.(encoding.BinaryMarshaler)
	restore, ok2 := h.(encoding.BinaryUnmarshaler)
	if !ok1 || !ok2 {
		return 0, 0, false
	}
	b := span.In(s.data)
	got := make([]byte, 0, h.Size())
	for start := 0; start < len(b); start += h.BlockSize() {
		state, err := marshal.MarshalBinary()
		if err != nil {
			return 0, 0, false
		}
		end := min(start+h.BlockSize(), len(b))
		for i := start; i < end; i++ {
			have := b[i]
			for change := 1; change < 256; change++ {
				if !s.spend(len(b) - start) {
					b[i] = have
					return 0, 0, false
				}
				b[i] = have ^ byte(change)
				if restore.UnmarshalBinary(state) != nil {
					b[i] = have
					return 0, 0, false
				}
				h.Write(b[start:])
				if got = h.Sum(got[:0]); bytes.Equal(got, sum) {
					original := b[i]
					b[i] = have
					return span.Offset + i, original, true
				}
			}
			b[i] = have
		}
		if restore.UnmarshalBinary(state) != nil {
			return 0, 0, false
		}
		h.Write(b[start:end])
	}
	return 0, 0, false
}

// Sealed looks for the changed byte in the signatures themselves, if just one
// of them does not open, and in the key, if none opens that was made with it.
// It needs a public-key operation for every candidate and so is the last to
// try; every certificate must have been handed to [NewSearcher] and be
// readable.
func (s *Searcher) Sealed() (verdict.Search, bool) {
	var closed []int
	proven := map[int]bool{} // certificates whose key has opened a signature
	for i := range s.places {
		o, owner := s.openPlace(i)
		if o.hash == nil {
			closed = append(closed, i)
		} else {
			proven[owner] = true
		}
	}
	if len(closed) == 0 {
		return verdict.Search{}, false
	}
	// The last of them is not the owner of the key, unless it is alone.
	witness := closed[len(closed)-1]
	if s.places[witness].info == nil {
		return verdict.Search{}, false
	}
	for _, pass := range passes {
		for _, owner := range s.issuers(witness) {
			if len(closed) == 1 {
				if r, ok := s.signature(witness, owner, pass); ok {
					return r, true
				}
			}
			if !proven[owner] {
				if r, ok := s.key(witness, owner, pass); ok {
					return r, true
				}
			}
			if s.short {
				return verdict.Search{}, false
			}
		}
	}
	return verdict.Search{}, false
}

// signature tries changes of the signature of certificate i against the key
// of certificate owner.
func (s *Searcher) signature(i, owner int, changes []byte) (verdict.Search, bool) {
	p := s.places[i]
	info := p.info(p.TBS.In(s.data))
	signature := p.Signature.In(s.data)
	key := s.places[owner].key
	for at, have := range signature {
		for _, change := range changes {
			if !s.spend(key.cost()) {
				return verdict.Search{}, false
			}
			signature[at] = have ^ change
			ok := makes(key.Modulus, key.Exponent, signature, info)
			signature[at] = have
			if off := p.Signature.Offset + at; ok && s.heals(off, have^change) {
				return s.found(off, have^change), true
			}
		}
	}
	return verdict.Search{}, false
}

// key tries changes of the key of certificate owner against the signature of
// certificate i.
func (s *Searcher) key(i, owner int, changes []byte) (verdict.Search, bool) {
	p := s.places[i]
	key := s.places[owner].key
	info := p.info(p.TBS.In(s.data))
	for _, span := range []Span{key.ExponentSpan, key.ModulusSpan} {
		number := span.In(s.data)
		for at, have := range number {
			for _, change := range changes {
				if !s.spend(key.cost()) {
					return verdict.Search{}, false
				}
				number[at] = have ^ change
				if i == owner {
					info = p.info(p.TBS.In(s.data))
				}
				modulus := new(big.Int).SetBytes(key.ModulusSpan.In(s.data))
				exponent := new(big.Int).SetBytes(key.ExponentSpan.In(s.data))
				ok := makes(modulus, exponent, p.Signature.In(s.data), info)
				number[at] = have
				if off := span.Offset + at; ok && s.heals(off, have^change) {
					return s.found(off, have^change), true
				}
			}
		}
	}
	return verdict.Search{}, false
}
