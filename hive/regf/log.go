package regf

import (
	"bytes"
	"fmt"

	"hivemend/hive"
)

// Log is a transaction log: what lies beside a hive as NAME.LOG, NAME.LOG1 or
// NAME.LOG2. Logs are told apart by what is in them, not by their names.
type Log struct {
	Path string
	Data []byte
}

// Layout of logs.
const (
	logHeaderSize  = 512 // a copy of the start of the hive's base block
	logUnit        = 512 // what everything in a log is a multiple of
	entryFixedSize = 40
	entryRefSize   = 8
	dirtyMapStart  = logHeaderSize + 4

	logTypeOld1 = 1 // Windows XP to 8
	logTypeOld2 = 2 // Windows NT and 2000
	logTypeNew  = 6 // since Windows 8.1
)

// laterSequence reports whether sequence number a comes after b. The numbers
// wrap round.
func laterSequence(a, b uint32) bool { return int32(a-b) > 0 }

// logHeader returns the header of a log, or says why the log cannot be used.
func logHeader(data []byte) (baseBlock, error) {
	if err := checkMagic(data, "transaction log"); err != nil {
		return nil, err
	}
	fail := func(offset int64, want, found string) (baseBlock, error) {
		return nil, &hive.FormatError{Struct: "header of the transaction log", Offset: offset, Want: want, Found: found}
	}
	if len(data) < logHeaderSize {
		return fail(-1, fmt.Sprintf("%d bytes", logHeaderSize), fmt.Sprint(len(data)))
	}
	h := baseBlock(data[:logHeaderSize:logHeaderSize])
	switch t := h.fileType(); {
	case !h.checksumValid():
		return fail(508, fmt.Sprintf("checksum %#08x", h.computeChecksum()), fmt.Sprintf("%#08x", h.checksum()))
	case t != logTypeOld1 && t != logTypeOld2 && t != logTypeNew:
		return fail(28, "file type 1, 2 or 6 (a transaction log)", fmt.Sprint(t))
	case h.major() != 1:
		return fail(20, "major version 1", fmt.Sprint(h.major()))
	case h.format() != 1:
		return fail(32, "format 1", fmt.Sprint(h.format()))
	case h.sequence1() != h.sequence2():
		return fail(4, "equal sequence numbers", fmt.Sprintf("%d and %d", h.sequence1(), h.sequence2()))
	case !lengthPlausible(uint64(h.length())):
		return fail(40, fmt.Sprintf("a length of bins that is a multiple of %d", binUnit), fmt.Sprint(h.length()))
	}
	return h, nil
}

// logEntry is one entry of a log of the new format, with all its pages.
type logEntry []byte

func (e logEntry) signature() []byte { return e[0:4] }
func (e logEntry) size() uint32      { return le.Uint32(e[4:]) }
func (e logEntry) flags() uint32     { return le.Uint32(e[8:]) }
func (e logEntry) sequence() uint32  { return le.Uint32(e[12:]) }
func (e logEntry) length() uint32    { return le.Uint32(e[16:]) } // of the bins, once the entry is applied
func (e logEntry) pages() uint32     { return le.Uint32(e[20:]) }
func (e logEntry) hash1() uint64     { return le.Uint64(e[24:]) } // of everything from byte 40 on
func (e logEntry) hash2() uint64     { return le.Uint64(e[32:]) } // of the first 32 bytes

var entrySignature = []byte("HvLE")

// entryAt returns the entry that begins at a place of a log. There is none,
// and no error, where no signature stands.
func entryAt(data []byte, at int) (logEntry, error) {
	rest := data[at:]
	if len(rest) < entryFixedSize || !bytes.Equal(rest[:4], entrySignature) {
		return nil, nil
	}
	e := logEntry(rest)
	if size := uint64(e.size()); size < logUnit || size%logUnit != 0 || size > uint64(len(rest)) {
		return e[:entryFixedSize], entryError(at, 4, fmt.Sprintf("a size that is a multiple of %d and at most %d", logUnit, len(rest)), fmt.Sprint(size))
	}
	e = e[:e.size()]
	return e, e.check(at)
}

// check examines an entry that lies inside its log.
func (e logEntry) check(at int) error {
	length, pages := uint64(e.length()), uint64(e.pages())
	room := uint64(len(e) - entryFixedSize)
	switch {
	case marvin32(logSeed, e[:32]) != e.hash2():
		return entryError(at, 32, "the hash of the entry's header", "another number")
	case marvin32(logSeed, e[entryFixedSize:]) != e.hash1():
		return entryError(at, 24, "the hash of the entry's pages", "another number")
	case !lengthPlausible(length):
		return entryError(at, 16, fmt.Sprintf("a length of bins that is a multiple of %d", binUnit), fmt.Sprint(length))
	case pages == 0 || pages > room/entryRefSize:
		return entryError(at, 20, fmt.Sprintf("1 to %d pages", room/entryRefSize), fmt.Sprint(pages))
	}
	used := pages * entryRefSize
	for i := range int(pages) {
		offset, size := e.page(i)
		switch {
		case offset%logUnit != 0 || size%logUnit != 0 || size == 0 || offset+size > length:
			return entryError(at, entryFixedSize+i*entryRefSize, fmt.Sprintf("a page inside the %d bytes of bins", length), fmt.Sprintf("%d bytes at %#x", size, offset))
		case used+size > room:
			return entryError(at, entryFixedSize+i*entryRefSize, fmt.Sprintf("at most %d bytes of pages", room-pages*entryRefSize), "more")
		}
		used += size
	}
	return nil
}

// page returns where page i goes in the bins and how long it is.
func (e logEntry) page(i int) (offset, size uint64) {
	ref := e[entryFixedSize+i*entryRefSize:]
	return uint64(le.Uint32(ref)), uint64(le.Uint32(ref[4:]))
}

func entryError(at, field int, want, found string) error {
	return &hive.FormatError{Struct: "log entry", Offset: int64(at + field), Want: want, Found: found}
}

// MaxSequence returns the highest sequence number that stands in the logs: in
// sound headers, and in entries, stale ones included, whose header has its
// hash. found is false when there is none. A hive that is written anew needs
// a higher one, or Windows could apply the logs to it.
func MaxSequence(logs []Log) (highest uint32, found bool) {
	note := func(n uint32) {
		if !found || laterSequence(n, highest) {
			highest, found = n, true
		}
	}
	for _, log := range logs {
		if h, err := logHeader(log.Data); err == nil {
			note(h.sequence1())
		}
		for at := 0; at+entryFixedSize <= len(log.Data); at += logUnit {
			e := logEntry(log.Data[at:])
			if bytes.Equal(e.signature(), entrySignature) && marvin32(logSeed, e[:32]) == e.hash2() {
				note(e.sequence())
			}
		}
	}
	return highest, found
}
