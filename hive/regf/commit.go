package regf

import (
	"bytes"
	"errors"

	"hivemend/hive"
)

// Commit ends the editing and returns the hive as it is now and the way back.
// Where nothing was changed, that is a copy of the original, byte for byte.
//
// Else the hive is clean afterwards: both sequence numbers are one more than
// the highest number known, its time (and the copy of it in the first bin,
// where there is one) is that of the edit, and its checksum is right. The time
// matters for the logs of Windows before 8.1, which are told by it; the number
// for all later ones.
//
// After Commit the Editor cannot be used any more, and the returned slice
// belongs to the caller.
func (e *Editor) Commit() (data []byte, journal Journal, err error) {
	if e.ended {
		return nil, Journal{}, errors.New("commit: the edits to this hive were committed already")
	}
	e.ended = true
	if e.changed() {
		e.undo = undo{}
		e.finishHeader()
	}
	return e.im.data, e.journal(), nil
}

// changed reports whether any byte differs from the original.
func (e *Editor) changed() bool {
	if len(e.im.data) != len(e.original) {
		return true
	}
	for word, set := range e.touched {
		for bit := 0; set>>bit != 0; bit++ {
			from := (word*64 + bit) * pageSize
			if set>>bit&1 == 0 || from >= len(e.original) {
				continue
			}
			to := min(from+pageSize, len(e.original))
			if !bytes.Equal(e.im.data[from:to], e.original[from:to]) {
				return true
			}
		}
	}
	return false
}

// finishHeader makes the base block that of a hive whose writing is done.
func (e *Editor) finishHeader() {
	e.touchFile(0, baseBlockSize)
	b := e.im.base
	n := later(b.sequence1(), b.sequence2())
	if e.opt.MinSequence != 0 { // numbers wrap, so 0 would count as later than half of them
		n = later(n, e.opt.MinSequence)
	}
	if n++; n == 0 {
		n = 1
	}
	b.setSequence1(n)
	b.setSequence2(n)
	if e.opt.Time != 0 {
		e.setTime(b, e.opt.Time)
	}
	b.setChecksum(b.computeChecksum())
}

func (e *Editor) setTime(b baseBlock, t hive.FileTime) {
	b.setLastWritten(uint64(t))
	if first := binHeader(e.im.bins); first.timestamp() != 0 {
		e.touch(0, binHeaderSize)
		first.setTimestamp(uint64(t))
	}
}

// later returns the later of two sequence numbers, which wrap around. 0 stands
// for none.
func later(a, b uint32) uint32 {
	if b == 0 || a != 0 && int32(a-b) >= 0 {
		return a
	}
	return b
}
