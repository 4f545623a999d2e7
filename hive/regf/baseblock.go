package regf

import (
	"fmt"

	"hivemend/hive"
	"hivemend/hive/cursor"
)

// Header is what the base block of a hive says.
type Header struct {
	Sequence1   uint32 // raised when a writing begins
	Sequence2   uint32 // made equal to Sequence1 when the writing is done
	LastWritten hive.FileTime
	Major       uint32
	Minor       uint32
	Type        uint32 // 0 in a hive; 1, 2 and 6 in its logs
	Format      uint32 // 1
	Root        int64  // offset in bytes of the root key's cell in the file
	Length      uint32 // of all bins together, in bytes
	Cluster     uint32
	FileName    string // the last 31 characters of the path that the hive was loaded from
	// Flags and Reorganized are 0 where the fields mean nothing, which is so
	// before Vista.
	Flags            uint32
	Reorganized      hive.FileTime // since Windows 8; 1 and 2 are orders for the next time
	Offreg           bool          // saved by offreg.dll, or by something that uses it
	Checksum         uint32        // as stored
	ComputedChecksum uint32        // as it has to be
}

// Version returns the version as it is usually written, such as "1.5".
func (h Header) Version() string { return fmt.Sprintf("%d.%d", h.Major, h.Minor) }

// Header returns what the base block says, whether it can be believed or not.
func (im *Image) Header() Header { return im.base.decode() }

func (b baseBlock) decode() Header {
	h := Header{
		Sequence1:        b.sequence1(),
		Sequence2:        b.sequence2(),
		LastWritten:      hive.FileTime(b.lastWritten()),
		Major:            b.major(),
		Minor:            b.minor(),
		Type:             b.fileType(),
		Format:           b.format(),
		Root:             int64(b.root().file()),
		Length:           b.length(),
		Cluster:          b.cluster(),
		FileName:         fixedText(b.fileName()),
		Offreg:           string(b.offreg()) == "OfRg",
		Checksum:         b.checksum(),
		ComputedChecksum: b.computeChecksum(),
	}
	if b.flagsValid() {
		h.Flags, h.Reorganized = b.flags(), hive.FileTime(b.reorganized())
	}
	return h
}

// fixedText decodes the UTF-16LE text of a field up to its first NUL.
func fixedText(field []byte) string {
	units := cursor.Units(field)
	for i, u := range units {
		if u == 0 {
			units = units[:i]
			break
		}
	}
	return cursor.StringFromUnits(units)
}

func (b baseBlock) checksumValid() bool { return b.checksum() == b.computeChecksum() }

// dirty is the condition under which Windows turns to the logs.
func dirty(b baseBlock) bool { return !b.checksumValid() || b.sequence1() != b.sequence2() }

// lengthPlausible reports whether all bins together can have that length.
func lengthPlausible(length uint64) bool {
	return length >= binUnit && length%binUnit == 0 && length <= maxBins
}

// openBaseBlock checks the first 4096 bytes, and decides which version the
// hive is to be read by.
func (im *Image) openBaseBlock(lenient bool) error {
	if err := checkMagic(im.data, "hive"); err != nil {
		return err
	}
	if len(im.data) < baseBlockSize+binHeaderSize {
		return &hive.FormatError{
			Struct: "hive", Offset: -1,
			Want:  fmt.Sprintf("a base block of %d bytes and at least one bin", baseBlockSize),
			Found: fmt.Sprintf("%d bytes: the file is truncated", len(im.data)),
		}
	}
	im.base = baseBlock(im.data[:baseBlockSize:baseBlockSize])
	im.minor = im.base.minor()
	believable := im.base.checksumValid()
	if im.base.major() == 1 && im.minor < 2 && (believable || im.oldCells()) {
		return fmt.Errorf("hive of version 1.%d (Windows NT 3.1 or 3.5): %w; load it on a later Windows and save it from there",
			im.minor, hive.ErrUnsupported)
	}
	if !believable && (im.base.major() != 1 || im.minor < 2 || im.minor > 6) {
		im.minor = 5
	}
	if lenient {
		return nil
	}
	return im.base.checkStrictly()
}

// oldCells reports whether the root key lies as versions before 1.2 have it:
// behind 8 bytes instead of 4.
func (im *Image) oldCells() bool {
	at := uint64(binsStart) + uint64(im.base.root())
	now, _ := cursor.Sub(im.data, at+4, 2)
	old, _ := cursor.Sub(im.data, at+8, 2)
	return string(now) != "nk" && string(old) == "nk"
}

// checkMagic tells apart the ways in which a file is no hive at all.
func checkMagic(data []byte, what string) error {
	if len(data) == 0 {
		return &hive.FormatError{Struct: what, Offset: -1, Want: `"regf" and what follows it`, Found: "an empty file"}
	}
	head := data
	if len(data) > 4 {
		head = baseBlock(data).signature()
	}
	if string(head) != "regf" {
		return &hive.FormatError{Struct: what, Offset: 0, Want: `"regf"`, Found: fmt.Sprintf("%q: this is no registry hive", head)}
	}
	return nil
}

// checkStrictly refuses what Windows refuses in a base block, unequal
// sequence numbers excepted.
func (b baseBlock) checkStrictly() error {
	fail := func(offset int64, want, found string) error {
		return &hive.FormatError{Struct: "base block", Offset: offset, Want: want, Found: found}
	}
	switch {
	case !b.checksumValid():
		return fail(508, fmt.Sprintf("checksum %#08x", b.computeChecksum()), fmt.Sprintf("%#08x", b.checksum()))
	case b.major() != 1:
		return fail(20, "major version 1", fmt.Sprint(b.major()))
	case b.minor() > 6:
		return fail(24, "a minor version from 2 to 6", fmt.Sprint(b.minor()))
	case b.fileType() != 0:
		return fail(28, "file type 0 (a hive)", fmt.Sprintf("%d%s", b.fileType(), logTypeNote(b.fileType())))
	case b.format() != 1:
		return fail(32, "format 1", fmt.Sprint(b.format()))
	case !lengthPlausible(uint64(b.length())):
		return fail(40, fmt.Sprintf("a length of bins that is a multiple of %d", binUnit), fmt.Sprint(b.length()))
	}
	return nil
}

func logTypeNote(fileType uint32) string {
	switch fileType {
	case 1, 2, 6:
		return " (a transaction log)"
	}
	return ""
}
