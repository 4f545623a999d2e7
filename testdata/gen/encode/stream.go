package encode

import (
	"crypto/sha256"
	"encoding/binary"
)

// Stream returns the first n bytes of an endless run of bytes that depends on
// label alone: SHA-256 of the label and a counter, block by block. It stands
// for whatever is random or opaque in real data.
func Stream(label string, n int) []byte {
	var out []byte
	for counter := uint32(0); len(out) < n; counter++ {
		block := sha256.Sum256(binary.LittleEndian.AppendUint32([]byte(label+"\x00"), counter))
		out = append(out, block[:]...)
	}
	return out[:n]
}
