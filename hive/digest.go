package hive

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"
	"strings"
)

// MaxDepth is how many levels of keys Windows allows below a hive's root, and
// so the deepest that anything here walks.
const MaxDepth = 512

// Digest returns a SHA-256 over everything below and in k that .reg text can
// carry: names, types and data, in an order that does not depend on how they
// are stored. Two keys with equal digests hold the same. It is what an edit
// that deletes a key expects to find.
//
// What cannot be read counts as the bytes that could be, so a damaged tree has
// a digest too.
func Digest(k Key) [32]byte {
	h := sha256.New()
	digestKey(h, k, 0)
	return [32]byte(h.Sum(nil))
}

func digestKey(h hash.Hash, k Key, depth int) {
	var values []Value
	for v := range k.Values() {
		values = append(values, v)
	}
	slices.SortStableFunc(values, func(a, b Value) int { return strings.Compare(Fold(a.Name()), Fold(b.Name())) })
	digestInt(h, len(values))
	for _, v := range values {
		data, _ := v.Data()
		digestText(h, Fold(v.Name()))
		digestInt(h, int(v.Type()))
		digestInt(h, len(data))
		h.Write(data)
	}
	var keys []Key
	if depth < MaxDepth {
		for sub := range k.Subkeys() {
			keys = append(keys, sub)
		}
	}
	slices.SortStableFunc(keys, func(a, b Key) int { return strings.Compare(Fold(a.Name()), Fold(b.Name())) })
	digestInt(h, len(keys))
	for _, sub := range keys {
		digestText(h, Fold(sub.Name()))
		digestKey(h, sub, depth+1)
	}
}

func digestText(h hash.Hash, s string) {
	digestInt(h, len(s))
	h.Write([]byte(s))
}

func digestInt(h hash.Hash, n int) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n))
	h.Write(b[:])
}
