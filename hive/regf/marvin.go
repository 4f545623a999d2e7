package regf

import "math/bits"

// logSeed is the seed of the hashes in transaction logs (regf specification,
// "Log entry").
const logSeed = 0x82EF4D887A4E55C5

// marvin32 returns the Marvin32 checksum of data, as Windows computes it over
// the entries of transaction logs.
func marvin32(seed uint64, data []byte) uint64 {
	lo, hi := uint32(seed), uint32(seed>>32)
	for ; len(data) >= 4; data = data[4:] {
		lo, hi = marvinMix(lo, hi, le.Uint32(data))
	}
	last := uint32(0x80)
	for i := len(data) - 1; i >= 0; i-- {
		last = last<<8 | uint32(data[i])
	}
	lo, hi = marvinMix(lo, hi, last)
	lo, hi = marvinMix(lo, hi, 0)
	return uint64(hi)<<32 | uint64(lo)
}

func marvinMix(lo, hi, v uint32) (uint32, uint32) {
	lo += v
	hi ^= lo
	lo = bits.RotateLeft32(lo, 20) + hi
	hi = bits.RotateLeft32(hi, 9) ^ lo
	lo = bits.RotateLeft32(lo, 27) + hi
	hi = bits.RotateLeft32(hi, 19)
	return lo, hi
}
