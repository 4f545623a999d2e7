package source

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/klauspost/compress/zip"
	"github.com/klauspost/compress/zstd"

	"hivemend/hive"
)

// zipMethods are compressions that zip archives may use and that are not read.
var zipMethods = map[uint16]string{
	1: "Shrink", 6: "Implode", 9: "Deflate64", 12: "bzip2", 14: "LZMA", 95: "xz", 96: "JPEG", 97: "WavPack", 98: "PPMd", 99: "AES encryption",
}

// directoryCost is how many times its stored size a zip archive's directory
// takes in memory.
const directoryCost = 8

// openZip looks at the members of a zip archive, in stored order.
func (f *finding) openZip(outer *file, r usable, size int64) {
	limits := f.search.opt.Limits
	if err := checkZipEnd(r, size, limits.Memory); err != nil {
		f.fail(outer.label, err)
		return
	}
	archive, err := zip.NewReader(r, size)
	if err != nil {
		f.fail(outer.label, fmt.Errorf("the zip archive is damaged or cut off: %w", err))
		return
	}
	archive.RegisterDecompressor(zstd.ZipMethodWinZip, zstd.ZipDecompressor(zstd.WithDecoderMaxWindow(uint64(limits.Window))))
	archive.RegisterDecompressor(zstd.ZipMethodPKWare, zstd.ZipDecompressor(zstd.WithDecoderMaxWindow(uint64(limits.Window))))
	members := f.zipMembers(outer, archive, r)
	if err := overlapping(members); err != nil {
		f.fail(outer.label, err)
		return
	}
	for _, m := range members {
		f.inspect(m.file)
	}
}

// zipMember is a file of a zip archive that is worth a look.
type zipMember struct {
	*file
	from, to int64 // where its packed bytes lie
}

// zipMembers picks the files to look at and counts those that cannot be read.
func (f *finding) zipMembers(outer *file, archive *zip.Reader, from usable) []zipMember {
	limits := f.search.opt.Limits
	paths := make([]string, len(archive.File))
	for i, entry := range archive.File {
		paths[i] = entry.Name
	}
	skip := f.passedOver(paths)
	var members []zipMember
	encrypted, unread := 0, make(map[string]int)
	for i, entry := range archive.File {
		m := outer.inside(entry.Name)
		if m == nil || skip[i] || !entry.Mode().IsRegular() {
			continue
		}
		const encryptedFlag = 1
		method, known := zipMethods[entry.Method]
		switch {
		case entry.Flags&encryptedFlag != 0:
			encrypted++
			continue
		case known:
			unread[method]++
			continue
		}
		at, err := entry.DataOffset()
		if err != nil {
			f.fail(m.label, fmt.Errorf("the zip archive is damaged: its member does not begin where the directory says: %w", err))
			continue
		}
		packed := int64(min(entry.CompressedSize64, 1<<62))
		m.size = int64(min(entry.UncompressedSize64, 1<<62))
		m.open = func() (*stream, error) {
			done := from.use()
			r, err := entry.Open()
			if err != nil {
				done()
				return nil, zipError(err)
			}
			return &stream{Reader: zipReader{r, limits}, closers: []func() error{r.Close, done}, budget: outer.budget,
				meter: &meter{in: packed, ratio: limits.Ratio}}, nil
		}
		members = append(members, zipMember{m, at, at + packed})
	}
	if encrypted > 0 {
		f.fail(outer.label, refused(fmt.Sprintf("a zip archive in which %s encrypted", is(encrypted, "member")),
			"unpack it with its password and give the folder"))
	}
	for _, method := range slices.Sorted(maps.Keys(unread)) {
		f.fail(outer.label, refused(fmt.Sprintf("a zip archive in which %s compressed with %s", is(unread[method], "member"), method),
			"unpack it and give the folder"))
	}
	return members
}

func is(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return fmt.Sprintf("%d %ss are", n, what)
}

// overlapping refuses an archive in which members share bytes: no packer makes
// that, and it lets a few bytes unpack to as many files as one likes.
func overlapping(members []zipMember) error {
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, func(a, b zipMember) int {
		switch {
		case a.from != b.from:
			return int(max(-1, min(1, a.from-b.from)))
		}
		return int(max(-1, min(1, a.to-b.to)))
	})
	for i := 1; i < len(sorted); i++ {
		if a, b := sorted[i-1], sorted[i]; b.from < a.to {
			return fmt.Errorf("the zip archive is refused: its members %s and %s share the same bytes, as no packer makes it", a.label, b.label)
		}
	}
	return nil
}

// zipReader puts names to the errors of a member.
type zipReader struct {
	r      io.Reader
	limits Limits
}

func (z zipReader) Read(p []byte) (int, error) {
	n, err := z.r.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		err = &LimitError{Flag: "--max-window", Limit: z.limits.Window, What: "the zstd window in bytes"}
	}
	return n, zipError(err)
}

func zipError(err error) error {
	var limit *LimitError
	switch {
	case err == nil || err == io.EOF || errors.As(err, &limit):
		return err
	case errors.Is(err, zip.ErrAlgorithm):
		return fmt.Errorf("its compression is unknown: %w; unpack the archive and give the folder", hive.ErrUnsupported)
	case errors.Is(err, zip.ErrChecksum):
		return errors.New("its bytes in the zip archive do not match their check sum")
	}
	return fmt.Errorf("its bytes in the zip archive are damaged: %w", err)
}

// checkZipEnd bounds the archive's directory before a library reads all of it.
func checkZipEnd(r io.ReaderAt, size, memory int64) error {
	const endSize, most = 22, 22 + 0xffff
	tail := make([]byte, min(size, most))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return cause(err)
	}
	for i := len(tail) - endSize; i >= 0; i-- {
		if string(tail[i:i+4]) != "PK\x05\x06" {
			continue
		}
		end := size - int64(len(tail)) + int64(i)
		from := int64(binary.LittleEndian.Uint32(tail[i+16:]))
		if from == 0xffffffff { // zip64: the locator stands right before
			locator := make([]byte, 20)
			record := make([]byte, 56)
			if _, err := r.ReadAt(locator, end-20); err != nil || string(locator[:4]) != "PK\x06\x07" {
				return nil // the library will say what is wrong
			}
			at := binary.LittleEndian.Uint64(locator[8:])
			if at > uint64(size) {
				return nil
			}
			if _, err := r.ReadAt(record, int64(at)); err != nil {
				return nil
			}
			from = int64(min(binary.LittleEndian.Uint64(record[48:]), uint64(size)))
		}
		if need := (end - from) * directoryCost; need > memory {
			return &LimitError{Flag: "--max-memory", Limit: memory, What: "the memory for the zip archive's directory in bytes", Found: need}
		}
		return nil
	}
	return nil
}
