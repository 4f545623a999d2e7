package regf

import (
	"errors"
	"fmt"
	"sync/atomic"

	"hivemend/hive"
)

// OpenOptions says how to open a hive. The zero value opens strictly.
type OpenOptions struct {
	// File names the hive in errors.
	File string
	// Lenient makes Open go on wherever a root key can be found. What it put
	// up with is what [Image.Check] reports.
	Lenient bool
	// Provenance says which ranges of the bytes came out of transaction logs;
	// see [Replayed.Provenance].
	Provenance []Provenance
}

// Image is a hive held in memory. It reads from the slice that it was opened
// with and copies nothing; the slice must not change while the Image is used.
// All methods may be called from several goroutines at once.
type Image struct {
	data       []byte
	bins       []byte   // the bins of data that are there, without what trails them
	binEnd     []uint32 // for each 4096 bytes of bins: where the bin around them ends
	base       baseBlock
	minor      uint32 // the version to read by: 5 where the base block cannot be believed
	root       cellOffset
	file       string
	provenance []Provenance

	// strays is set once the hive has turned out to hold keys that do not name
	// the key as parent in whose list they stand; see owns.
	strays atomic.Pointer[map[cellOffset]cellOffset]
}

// Open reads data as a hive. It looks at the base block, the headers of the
// bins and the root key, and at nothing else.
//
// A strict Open refuses what Windows would refuse to load, with a
// [hive.FormatError] that names the place, but for one thing: a hive whose
// last writing was not finished opens, and says so by [Image.Dirty]. A lenient
// Open refuses only what has no root key that could be found. Versions 1.0 and
// 1.1 (Windows NT 3.1 and 3.5) lay their cells out differently and give
// [hive.ErrUnsupported] either way.
func Open(data []byte, opt OpenOptions) (*Image, error) {
	im := &Image{data: data, file: opt.File, provenance: opt.Provenance}
	if err := im.openBaseBlock(opt.Lenient); err != nil {
		return nil, im.named(err)
	}
	if err := im.openBins(opt.Lenient); err != nil {
		return nil, im.named(err)
	}
	if err := im.openRoot(opt.Lenient); err != nil {
		return nil, im.named(err)
	}
	return im, nil
}

// named puts the name of the file into an error that has room for it.
func (im *Image) named(err error) error {
	var format *hive.FormatError
	switch {
	case errors.As(err, &format):
		format.File = im.file
	case im.file != "":
		err = fmt.Errorf("%s: %w", im.file, err)
	}
	return err
}

// Bytes returns the slice that the Image was opened with.
func (im *Image) Bytes() []byte { return im.data }

// Root returns the topmost key. Its stored name is arbitrary and no part of
// any path.
//
// However damaged the hive is, what can be reached from here is a tree: every
// key comes once, and going down ends. Lists may still overlap, so whoever
// walks the whole of a hive that is not known to be healthy asks [Report.Bounded]
// first, or sets a limit.
func (im *Image) Root() hive.Key { return hive.RootKey(tree{im}) }

// Dirty reports whether the hive was not written to its end, so that its
// transaction logs are needed: the two sequence numbers differ, or the
// checksum of the base block is wrong.
func (im *Image) Dirty() bool { return dirty(im.base) }

// openBins finds out where the bins lie and where each of them ends.
func (im *Image) openBins(lenient bool) error {
	rest := uint64(len(im.data) - binsStart)
	claimed := uint64(im.base.length())
	if !lenient && claimed > rest {
		return &hive.FormatError{
			Struct: "base block", Offset: 40,
			Want:  fmt.Sprintf("a file that holds the %d bytes of bins that are claimed", claimed),
			Found: fmt.Sprintf("%d bytes: the file is truncated", rest),
		}
	}
	if lengthPlausible(claimed) && claimed <= rest {
		im.bins = im.data[binsStart : binsStart+claimed]
		if err := im.indexBins(); err == nil && !im.moreBins(claimed) || !lenient {
			return err
		}
	}
	if !im.base.checksumValid() || !lengthPlausible(claimed) {
		// The length cannot be believed: take all bins that are there.
		im.bins = im.data[binsStart : binsStart+min(rest, maxBins)]
		im.bins = im.bins[:im.salvageBins()]
		im.binEnd = im.binEnd[:(len(im.bins)+binUnit-1)/binUnit]
		return nil
	}
	im.bins = im.data[binsStart : binsStart+min(rest, claimed)]
	im.salvageBins()
	return nil
}

// moreBins reports whether a length that cannot be believed leaves bins out.
func (im *Image) moreBins(length uint64) bool {
	if im.base.checksumValid() {
		return false
	}
	rest := im.data[binsStart+length:]
	return len(rest) >= binHeaderSize && string(rest[:4]) == "hbin" && uint64(binHeader(rest).offset()) == length
}

// indexBins fills binEnd for bins that follow each other without a gap, as
// they must.
func (im *Image) indexBins() error {
	im.binEnd = make([]uint32, 0, len(im.bins)/binUnit)
	for at := 0; at < len(im.bins); {
		size, err := im.binAt(at)
		if err != nil {
			return err
		}
		at += size
		im.appendBin(at)
	}
	return nil
}

// salvageBins fills binEnd for bins some of whose headers may be damaged, and
// returns where the last bin with a header ends. A stretch without headers
// counts as one bin: its cells can be read all the same. Where a bin's size
// leads to no header, the next header that stands in its right place ends it,
// unless its cells end where its size says.
func (im *Image) salvageBins() (last int) {
	im.binEnd = make([]uint32, 0, len(im.bins)/binUnit+1)
	for at := 0; at < len(im.bins); {
		size, err := im.binAt(at)
		end := at + size
		if err != nil || end < len(im.bins) && !im.binStartsAt(end) {
			next := at + binUnit
			for next < len(im.bins) && !im.binStartsAt(next) {
				next += binUnit
			}
			if next = min(next, len(im.bins)); err != nil || next < end || !im.tiled(at, end) {
				end = next
			}
		}
		if im.binStartsAt(at) {
			last = end
		}
		im.appendBin(end)
		at = end
	}
	return last
}

// tiled reports whether cells fill a bin to its end.
func (im *Image) tiled(at, end int) bool {
	for at += binHeaderSize; at+cellUnit <= end; {
		size := int64(int32(le.Uint32(im.bins[at:])))
		size = max(size, -size)
		if size < cellUnit || size > int64(end-at) {
			return false
		}
		at += int(size)
	}
	return at == end
}

// appendBin records that the bin whose start is the end of what is recorded
// ends at end.
func (im *Image) appendBin(end int) {
	for len(im.binEnd)*binUnit < end {
		im.binEnd = append(im.binEnd, uint32(end))
	}
}

// binStartsAt reports whether the header of a bin stands in its place there.
func (im *Image) binStartsAt(at int) bool {
	if len(im.bins)-at < binHeaderSize {
		return false
	}
	h := binHeader(im.bins[at:])
	return string(h.signature()) == "hbin" && h.offset() == cellOffset(at)
}

// binAt returns the size of the bin at that place, or says what is wrong with
// its header.
func (im *Image) binAt(at int) (int, error) {
	fail := func(field int, want, found string) (int, error) {
		return 0, &hive.FormatError{Struct: "bin", Offset: int64(binsStart + at + field), Want: want, Found: found}
	}
	rest := uint64(len(im.bins) - at)
	if rest < binHeaderSize {
		return fail(0, fmt.Sprintf("a header of %d bytes", binHeaderSize), fmt.Sprintf("%d bytes: the file is truncated", rest))
	}
	h := binHeader(im.bins[at:])
	switch size := uint64(h.size()); {
	case string(h.signature()) != "hbin":
		return fail(0, `"hbin"`, fmt.Sprintf("%q", h.signature()))
	case h.offset() != cellOffset(at):
		return fail(4, fmt.Sprintf("its own offset %#x", at), h.offset().String())
	case size == 0 || size%binUnit != 0:
		return fail(8, fmt.Sprintf("a size that is a multiple of %d", binUnit), fmt.Sprint(size))
	case size > rest:
		return fail(8, fmt.Sprintf("at most the %d bytes that are left", rest), fmt.Sprint(size))
	default:
		return int(size), nil
	}
}

// openRoot finds the root key.
func (im *Image) openRoot(lenient bool) error {
	root := im.base.root()
	_, err := im.key(root)
	if err == nil {
		if _, allocated, _ := im.cell(root); !allocated && !lenient {
			err = &hive.FormatError{Struct: "root key", Offset: int64(root.file()), Want: "a cell in use", Found: "a free cell"}
		}
	}
	if err == nil {
		im.root = root
		return nil
	}
	if lenient {
		if found, ok := im.searchRoot(); ok {
			im.root = found
			return nil
		}
	}
	var format *hive.FormatError
	if errors.As(err, &format) {
		format.Struct = "root key"
	}
	return err
}

// searchRoot looks for a key that is marked as a root, in a cell in use if
// there is one; failing that, for a key where the root usually is.
func (im *Image) searchRoot() (cellOffset, bool) {
	found := noCell
	for at := cellOffset(binHeaderSize); uint64(at)+cellHeaderSize+nkSize <= uint64(len(im.bins)); at += cellUnit {
		k := im.keyQuick(at)
		if k == nil || k.flags()&nkRoot == 0 {
			continue
		}
		if _, allocated, _ := im.raw(at); allocated {
			return at, true
		}
		if found == noCell {
			found = at
		}
	}
	if found == noCell && im.keyQuick(binHeaderSize) != nil {
		found = binHeaderSize
	}
	return found, found != noCell
}
