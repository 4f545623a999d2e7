package regf

import "runtime"

// A hive is larger than the processor's cache, and its cells lie in no order.
// A loop that examines cells one after the other waits for memory at each of
// them. Where it is known which cells come next, it pays to touch them first in
// a loop that does nothing else: then they all come at the same time.

// fetchAhead is how many keys are touched before the first is examined.
const fetchAhead = 32

// fetchKeys touches the keys that the elements of a list refer to, and the
// lists that those refer to.
func (im *Image) fetchKeys(elements []byte, size int) {
	const fixedEnd = cellHeaderSize + nkSize
	bins, sum := im.bins, byte(0)
	if uint64(len(bins)) <= fixedEnd {
		return
	}
	limit, last := uint64(len(bins))-fixedEnd, uint64(len(bins))-1
	for i := 0; i+4 <= len(elements); i += size {
		at := min(uint64(le.Uint32(elements[i:])), limit-1)
		sum += bins[at] + bins[at+fixedEnd]
	}
	for i := 0; i+4 <= len(elements); i += size {
		at := min(uint64(le.Uint32(elements[i:])), limit-1)
		k := nk(bins[at+cellHeaderSize : at+fixedEnd])
		// A reference to nothing touches the last byte: better than a branch
		// on what has not come yet.
		sum += bins[min(uint64(k.valueList()), last)] + bins[min(uint64(k.subkeyList()), last)]
	}
	runtime.KeepAlive(sum) // or the compiler would leave the loops out
}

// fetchValues touches the values that a list refers to, and their data.
func (im *Image) fetchValues(entries []byte) {
	const recordEnd = cellHeaderSize + vkSize
	if len(entries) <= 4 {
		return
	}
	bins, sum := im.bins, byte(0)
	for i := 0; i+4 <= len(entries); i += 4 {
		if at := uint64(le.Uint32(entries[i:])); at+recordEnd <= uint64(len(bins)) {
			sum += bins[at]
		}
	}
	last := uint64(len(bins) - 1)
	for i := 0; i+4 <= len(entries); i += 4 {
		at := uint64(le.Uint32(entries[i:]))
		if at+recordEnd > uint64(len(bins)) {
			continue
		}
		v := vk(bins[at+cellHeaderSize : at+recordEnd])
		data := uint64(v.data())
		if v.isInline() {
			data = at // no branch: what it would depend on has not come yet
		}
		sum += bins[min(data, last)]
	}
	runtime.KeepAlive(sum)
}
