package propcert

import (
	"encoding/binary"

	"hivemend/hive/cursor"
)

// Sizes in bytes (MS-RDPBCGR 2.2.1.4.3.1.1 and 2.2.1.4.3.1.1.1).
const (
	modulusOffset = 36
	paddingLen    = 8  // after the modulus, and after the signature
	signatureLen  = 64 // the signing key has 512 bits, whatever the server's key has
	minBits       = 512
	maxBits       = 2048
)

// layout is where everything stands in a certificate; it follows from the
// size of the server's key alone.
type layout struct{ bits int }

func (l layout) modulusLen() int      { return l.bits / 8 }
func (l layout) keyLen() int          { return l.modulusLen() + paddingLen }
func (l layout) publicKeyLen() int    { return 20 + l.keyLen() }
func (l layout) signedLen() int       { return 16 + l.publicKeyLen() }
func (l layout) signatureOffset() int { return l.signedLen() + 4 }
func (l layout) size() int            { return l.signatureOffset() + signatureLen + paddingLen }

// valid tells whether Windows could have made a key of that size.
func (l layout) valid() bool { return l.bits%8 == 0 && l.bits >= minBits && l.bits <= maxBits }

// layoutOfSize returns the layout of a certificate of n bytes.
func layoutOfSize(n int) (layout, bool) {
	if n > 1<<16 {
		return layout{}, false // and no overflow below
	}
	l := layout{(n - layout{}.size()) * 8}
	return l, l.valid()
}

// number is a field whose content follows from the layout.
type number struct {
	name   string
	offset int
	size   int // 2 or 4
	want   uint32
	// bits turns the field's content into the key size that it speaks of, for
	// fields that do; nil for the others.
	bits func(uint32) int64
}

// numbers are the fields of fixed or implied content, in the order in which
// they stand.
func (l layout) numbers() []number {
	return []number{
		{"dwVersion", 0, 4, 1, nil},
		{"dwSigAlgId", 4, 4, 1, nil},
		{"dwKeyAlgId", 8, 4, 1, nil},
		{"wPublicKeyBlobType", 12, 2, 6, nil},
		{"wPublicKeyBlobLen", 14, 2, uint32(l.publicKeyLen()), func(v uint32) int64 { return (int64(v) - 28) * 8 }},
		{"magic", 16, 4, 0x31415352, nil}, // "RSA1"
		{"keylen", 20, 4, uint32(l.keyLen()), func(v uint32) int64 { return (int64(v) - paddingLen) * 8 }},
		{"bitlen", 24, 4, uint32(l.bits), func(v uint32) int64 { return int64(v) }},
		{"datalen", 28, 4, uint32(l.modulusLen() - 1), func(v uint32) int64 { return (int64(v) + 1) * 8 }},
		{"wSignatureBlobType", l.signedLen(), 2, 8, nil},
		{"wSignatureBlobLen", l.signedLen() + 2, 2, signatureLen + paddingLen, nil},
	}
}

// wanted returns the bytes that the field is to hold.
func (f number) wanted() []byte {
	b := binary.LittleEndian.AppendUint32(nil, f.want)
	return b[:f.size]
}

// read returns what the field holds in data; ok is false where data ends
// before the field does.
func (f number) read(data []byte) (v uint32, ok bool) {
	if f.size == 2 {
		n, ok := cursor.U16(data, uint64(f.offset))
		return uint32(n), ok
	}
	return cursor.U32(data, uint64(f.offset))
}

// layouts returns every layout that one of the four length fields, or the
// size of data itself, speaks for: the best supported first, and of equally
// supported ones the one that stands first.
func layouts(data []byte) []layout {
	var found []layout
	votes := map[layout]int{}
	vote := func(bits int64, weight int) {
		if bits < minBits || bits > maxBits {
			return
		}
		l := layout{int(bits)}
		if !l.valid() {
			return
		}
		if votes[l] == 0 {
			found = append(found, l)
		}
		votes[l] += weight
	}
	for _, f := range (layout{}).numbers() {
		if f.bits == nil {
			continue
		}
		if v, ok := f.read(data); ok {
			vote(f.bits(v), 2)
		}
	}
	if l, ok := layoutOfSize(len(data)); ok {
		vote(int64(l.bits), 1)
	}
	// At most five: insertion keeps equals in order.
	for i := 1; i < len(found); i++ {
		for j := i; j > 0 && votes[found[j]] > votes[found[j-1]]; j-- {
			found[j], found[j-1] = found[j-1], found[j]
		}
	}
	return found
}
