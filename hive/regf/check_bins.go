package regf

import (
	"bytes"
	"fmt"
	"math/bits"

	"hivemend/hive"
)

// checkBaseBlock examines the base block and what trails the bins.
func (c *checker) checkBaseBlock() {
	b := c.base
	report := func(code string, damage hive.Damage, at fileOffset, format string, args ...any) {
		c.issueAt(code, damage, at, noCell, format, args...)
	}
	if !b.checksumValid() {
		report("BB02", hive.DamageFatal, 508, "want checksum %#08x, found %#08x", b.computeChecksum(), b.checksum())
	}
	if b.sequence1() != b.sequence2() {
		report("BB03", hive.DamageInfo, 4, "want equal sequence numbers, found %d and %d: the last writing was not finished", b.sequence1(), b.sequence2())
	}
	if b.major() != 1 || b.minor() < 2 || b.minor() > 6 {
		report("BB04", hive.DamageFatal, 20, "want version 1.2 to 1.6, found %d.%d", b.major(), b.minor())
	}
	if b.fileType() != 0 {
		report("BB05", hive.DamageFatal, 28, "want file type 0 (a hive), found %d%s", b.fileType(), logTypeNote(b.fileType()))
	}
	if b.format() != 1 {
		report("BB06", hive.DamageFatal, 32, "want format 1, found %d", b.format())
	}
	if b.cluster() != 1 {
		report("BB07", hive.DamageAnomaly, 44, "want clustering factor 1, found %d", b.cluster())
	}
	if b.root() != c.root {
		_, err := c.key(b.root())
		report("BB09", hive.DamageFatal, 36, "want the root key, found %v; a key marked as root lies at %s", err, c.root.file())
	}
	if b.flagsValid() && b.flags()&baseFlagPending != 0 {
		report("BB12", hive.DamageInfo, 144, "transactions are pending in the .blf and .regtrans-ms files beside the hive")
	}
	if string(b.offreg()) == "OfRg" {
		report("BB13", hive.DamageInfo, 176, "saved by offreg.dll, as some parts of Windows do themselves")
	}
	c.checkLength()
	c.checkTimestamp()
}

// checkLength compares the length in the base block with what is there.
func (c *checker) checkLength() {
	claimed, rest := uint64(c.base.length()), uint64(len(c.data)-binsStart)
	switch {
	case !lengthPlausible(claimed):
		c.issueAt("BB08", hive.DamageFatal, 40, noCell, "want a length of bins that is a multiple of %d, found %d; there are %d bytes of bins",
			binUnit, claimed, len(c.bins))
		return
	case claimed > rest:
		c.issueAt("BB08", hive.DamageFatal, 40, noCell, "want %d bytes of bins, found %d: the file is truncated", claimed, rest)
	case claimed != uint64(len(c.bins)):
		c.issueAt("BN02", hive.DamageFatal, 40, noCell, "want the length of all bins, %d, found %d", len(c.bins), claimed)
	}
	trailing := c.data[binsStart+len(c.bins):]
	if n := len(bytes.TrimRight(trailing, "\x00")); n > 0 && claimed <= rest {
		c.issueAt("BB10", hive.DamageInfo, fileOffset(binsStart+len(c.bins)), noCell, "%d bytes trail the bins, and not all of them are zero", len(trailing))
	}
}

// checkTimestamp compares the two places of the time of the last writing. A
// saved hive has none in the first bin, and while a hive is dirty they differ.
func (c *checker) checkTimestamp() {
	if len(c.bins) < binHeaderSize || dirty(c.base) {
		return
	}
	if t := binHeader(c.bins).timestamp(); t != 0 && t != c.base.lastWritten() {
		c.issue("BB11", hive.DamageAnomaly, 20, noCell, "want the base block's time %s, found %s",
			hive.FileTime(c.base.lastWritten()), hive.FileTime(t))
	}
}

// checkBins goes through all bins and cells and notes where cells begin.
func (c *checker) checkBins() {
	for at := 0; at < len(c.bins); {
		end := int(c.binEnd[at/binUnit])
		c.report.Bins++
		headed := c.binStartsAt(at)
		if size, err := c.binAt(at); err != nil || at+size != end {
			c.badBin(at, end, err)
		}
		c.checkCells(at, end, headed)
		at = end
	}
	copy(c.cells.waiting, c.cells.inUse)
}

// badBin reports a bin whose header is wrong, or a stretch without any.
func (c *checker) badBin(at, end int, err error) {
	header := c.bins[at:min(at+binHeaderSize, end)]
	shifted := at+512+binHeaderSize <= len(c.bins) && string(c.bins[at+512:at+516]) == "hbin" && int(binHeader(c.bins[at+512:]).offset()) == at
	switch {
	case shifted:
		c.issue("BN04", hive.DamageFatal, cellOffset(at), noCell, "want a bin, found it 512 bytes further on: the copy of the file is damaged, make another one")
	case len(bytes.TrimRight(c.bins[at:end], "\x00")) == 0 && end == len(c.bins):
		damage := hive.DamageLoss
		if dirty(c.base) {
			damage = hive.DamageAnomaly // never written, rather than lost
		}
		c.issue("BN03", damage, cellOffset(at), noCell, "want bins, found zeros from here to the end of the bins (%d bytes)", end-at)
	case err == nil:
		c.issue("BN01", hive.DamageFatal, cellOffset(at)+8, noCell, "want the size %d, found %d", end-at, binHeader(header).size())
	default:
		c.issue("BN01", hive.DamageFatal, cellOffset(at), noCell, "%d bytes without a sound header: %v", end-at, err)
	}
}

// checkCells goes through the cells of one bin. Where the header is damaged,
// what follows it need not be cells, and nothing is said about it.
func (c *checker) checkCells(at, end int, headed bool) {
	bins := c.bins
	inUse, free := c.cells.inUse, c.cells.free
	nInUse, nFree, bytesFree, lastFree := 0, 0, int64(0), -1
	pos := at + binHeaderSize
	for pos <= end-cellUnit {
		size := int32(le.Uint32(bins[pos:]))
		n := int(size)
		if size < 0 {
			n = -n
		}
		if n < cellUnit || n%cellUnit != 0 || n > end-pos {
			break
		}
		if size < 0 {
			inUse.set(cellOffset(pos))
			nInUse++
			pos += n
			continue
		}
		free.set(cellOffset(pos))
		nFree++
		bytesFree += int64(n)
		if lastFree == pos {
			if c.freePairs++; c.freePairs == 1 {
				c.firstPair = cellOffset(pos)
			}
		}
		pos += n
		lastFree = pos
	}
	c.report.CellsInUse += nInUse
	c.report.CellsFree += nFree
	c.report.BytesFree += bytesFree
	if pos < end && headed {
		c.badCell(pos, end)
	}
}

func (c *checker) badCell(pos, end int) {
	found := fmt.Sprintf("%d bytes", end-pos)
	if end-pos >= cellHeaderSize {
		found = fmt.Sprintf("size %d", int32(le.Uint32(c.bins[pos:])))
	}
	c.issue("CL01", hive.DamageFatal, cellOffset(pos), noCell, "want a cell of at most %d bytes, its size a multiple of 8, found %s", end-pos, found)
}

// checkLeftOver reports what only shows when the whole hive was seen.
func (c *checker) checkLeftOver() {
	if c.freePairs > 0 {
		c.issue("CL02", hive.DamageAnomaly, c.firstPair, noCell, "want free neighbours joined, found %d free cells behind a free cell; the first is here", c.freePairs)
	}
	if c.staleVolatile > 0 {
		c.issue("NK07", hive.DamageInfo, c.firstStale, noCell, "%d keys count subkeys that existed in memory only; the first is here", c.staleVolatile)
	}
	first, size := noCell, int64(0)
	for i, lost := range c.cells.waiting {
		for ; lost != 0; lost &= lost - 1 {
			off := cellOffset(i*bitmapSpan + bits.TrailingZeros64(lost)*cellUnit)
			if first == noCell {
				first = off
			}
			c.report.Unreferenced++
			size -= int64(int32(le.Uint32(c.bins[off:])))
		}
	}
	if first != noCell {
		c.issue("CL03", hive.DamageAnomaly, first, noCell, "%d cells (%d bytes) are in use, but nothing refers to them; the first is here", c.report.Unreferenced, size)
	}
}
