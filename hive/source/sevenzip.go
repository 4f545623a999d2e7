package source

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/bodgit/sevenzip"
	"github.com/ulikunitz/xz/lzma"
)

// openSevenZip looks at the members of a 7z archive, in stored order. In a
// solid archive a member can be reached only by unpacking those before it, so
// what is wanted is kept as it goes by.
func (f *finding) openSevenZip(outer *file, r io.ReaderAt, size int64) error {
	limits := f.search.opt.Limits
	if err := checkSevenZip(r, size, limits); err != nil {
		return err
	}
	archive, err := sevenzip.NewReader(r, size)
	if err != nil {
		return fmt.Errorf("the 7z archive is damaged: %w", err)
	}
	paths := make([]string, len(archive.File))
	for i, entry := range archive.File {
		paths[i] = entry.Name
	}
	skip := f.passedOver(paths)
	m := &meter{in: size, ratio: limits.Ratio}
	for i, entry := range archive.File {
		member := outer.inside(entry.Name)
		if member == nil || skip[i] || !entry.Mode().IsRegular() || entry.UncompressedSize == 0 {
			continue
		}
		member.size, member.once = int64(min(entry.UncompressedSize, 1<<62)), true
		member.open = func() (*stream, error) {
			content, err := entry.Open()
			if err != nil {
				return nil, fmt.Errorf("its bytes in the 7z archive are damaged: %w", err)
			}
			return &stream{Reader: &sumReader{r: content, sum: crc32.NewIEEE(), want: entry.CRC32, left: member.size},
				closers: []func() error{content.Close}, meter: m, budget: outer.budget}, nil
		}
		f.inspect(member)
	}
	return nil
}

// sumReader holds what it read against a check sum, which the library leaves
// to its user.
type sumReader struct {
	r    io.Reader
	sum  hash.Hash32
	want uint32 // 0 where the archive has none
	left int64
}

func (s *sumReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.sum.Write(p[:n])
	s.left -= int64(n)
	switch {
	case err != nil && err != io.EOF:
		return n, fmt.Errorf("its bytes in the 7z archive are damaged: %w", err)
	case s.left <= 0 && s.want != 0 && s.sum.Sum32() != s.want:
		return 0, errors.New("its bytes in the 7z archive do not match their check sum")
	}
	return n, err
}

// What stands in the headers of a 7z archive ("7zFormat.txt" of the LZMA SDK).
const (
	szEnd, szHeader, szStreams, szFiles        = 0, 1, 4, 5
	szPack, szUnpack, szSubstreams             = 6, 7, 8
	szSize, szCRC, szFolder, szCodersSize      = 9, 10, 11, 12
	szNumStreams, szEncodedHeader, szArchProps = 13, 23, 2
)

// The coders that matter here.
const (
	szLZMA  = "\x03\x01\x01"
	szLZMA2 = "\x21"
	szPPMd  = "\x03\x04\x01"
	szAES   = "\x06\xf1\x07\x01"
)

// maxSevenZipHeader bounds the header of a 7z archive, in bytes.
const maxSevenZipHeader = 64 << 20

// sevenZipFileCost is about what the library takes for a member, in bytes.
const sevenZipFileCost = 512

// checkSevenZip reads the headers of a 7z archive for the numbers that a
// library would believe: how many things there are, which must fit into the
// header that lists them, and how much memory the decoders ask for. It also
// refuses encrypted archives by name.
func checkSevenZip(r io.ReaderAt, size int64, limits Limits) error {
	start := make([]byte, 32)
	if _, err := r.ReadAt(start, 0); err != nil {
		return errSevenZip("is cut off")
	}
	le := binary.LittleEndian
	if crc32.ChecksumIEEE(start[12:]) != le.Uint32(start[8:]) {
		return errSevenZip("has a damaged start header")
	}
	at, length := le.Uint64(start[12:]), le.Uint64(start[20:])
	switch {
	case at > uint64(size)-32 || length > uint64(size)-32-at:
		return errSevenZip("is cut off")
	case length > maxSevenZipHeader:
		return &LimitError{Flag: "--max-memory", Limit: maxSevenZipHeader, What: "the header of the 7z archive in bytes", Found: int64(length)}
	case length == 0:
		return nil // an empty archive
	}
	b := make([]byte, length)
	if _, err := r.ReadAt(b, 32+int64(at)); err != nil {
		return cause(err)
	}
	h := &szReader{b: b, limits: limits}
	if h.byte() == szEncodedHeader {
		packed := h.streams()
		if h.err != nil {
			return h.err
		}
		if b, h.err = packed.unpack(r, size); h.err != nil {
			return h.err
		}
		h = &szReader{b: b, limits: limits}
		h.byte()
	}
	h.header()
	return h.err
}

func errSevenZip(what string) error { return errors.New("the 7z archive " + what) }

// szReader reads a header. The first error stays, and makes all else zero.
type szReader struct {
	b      []byte
	limits Limits
	err    error
}

func (h *szReader) fail(what string) {
	if h.err == nil {
		h.err = errSevenZip(what)
	}
	h.b = nil
}

func (h *szReader) bytes(n uint64) []byte {
	if n > uint64(len(h.b)) {
		h.fail("has a damaged header: it ends too early")
		return nil
	}
	b := h.b[:n]
	h.b = h.b[n:]
	return b
}

func (h *szReader) byte() byte {
	if b := h.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// number reads an integer of one to nine bytes; the ones at the top of the
// first tell how many follow.
func (h *szReader) number() uint64 {
	first := h.byte()
	var v uint64
	mask := byte(0x80)
	for i := 0; i < 8; i++ {
		if first&mask == 0 {
			return v | uint64(first&(mask-1))<<(8*i)
		}
		v |= uint64(h.byte()) << (8 * i)
		mask >>= 1
	}
	return v
}

// count reads how many things follow. Each takes at least a bit of what is
// left of the header, but for those that may take nothing: these are bounded
// by memory.
func (h *szReader) count() uint64 {
	n := h.number()
	if most := 8*uint64(len(h.b)) + 8; n > most || n > uint64(h.limits.Memory)/sevenZipFileCost {
		h.fail(fmt.Sprintf("has a damaged header: it claims %d things in the %d bytes that are left", n, len(h.b)))
		return 0
	}
	return n
}

// digests skips check sums and returns whether each of n things has one.
func (h *szReader) digests(n uint64) []bool {
	if n > 8*maxSevenZipHeader {
		h.fail("has a damaged header")
		return nil
	}
	defined := make([]bool, n)
	if h.byte() != 0 {
		for i := range defined {
			defined[i] = true
		}
	} else {
		bits := h.bytes((n + 7) / 8)
		for i := range defined {
			defined[i] = bits != nil && bits[i/8]&(0x80>>(i%8)) != 0
		}
	}
	for _, d := range defined {
		if d {
			h.bytes(4)
		}
	}
	return defined
}

// szStream is what an encoded header needs: one coder over one packed stream.
type szStream struct {
	at, packed, unpacked uint64
	method, properties   string
	simple               bool
}

// streams reads what describes the packed streams and the folders that they
// unpack to, and returns the first of them.
func (h *szReader) streams() szStream {
	var first szStream
	var folders []szFolderInfo
	for {
		switch h.byte() {
		case szEnd:
			return first
		case szPack:
			first.at = h.number()
			h.pack(&first)
		case szUnpack:
			folders = h.unpackInfo()
			if len(folders) > 0 && h.err == nil {
				f := folders[0]
				first.simple = len(folders) == 1 && f.coders == 1
				first.method, first.properties, first.unpacked = f.method, f.properties, f.size
			}
		case szSubstreams:
			h.substreams(folders)
		default:
			h.fail("has a damaged header")
		}
		if h.err != nil {
			return first
		}
	}
}

func (h *szReader) pack(first *szStream) {
	n := h.count()
	for h.err == nil {
		switch h.byte() {
		case szEnd:
			return
		case szSize:
			for i := range n {
				if size := h.number(); i == 0 {
					first.packed = size
				}
				if h.err != nil {
					return
				}
			}
		case szCRC:
			h.digests(n)
		default:
			h.fail("has a damaged header")
		}
	}
}

// szFolderInfo is what is to be known of a folder: a chain of coders.
type szFolderInfo struct {
	coders, outs       uint64
	method, properties string // of the first coder
	size               uint64 // of its first output
	hasCRC             bool
}

func (h *szReader) unpackInfo() []szFolderInfo {
	if h.byte() != szFolder {
		h.fail("has a damaged header")
		return nil
	}
	n := h.count()
	if h.byte() != 0 {
		h.fail("has its header in a place that is not read")
		return nil
	}
	var folders []szFolderInfo
	for range n {
		folders = append(folders, h.folder())
		if h.err != nil {
			return nil
		}
	}
	for h.err == nil {
		switch h.byte() {
		case szEnd:
			return folders
		case szCodersSize:
			for i := range folders {
				for j := range folders[i].outs {
					if size := h.number(); j == 0 {
						folders[i].size = size
					}
				}
			}
		case szCRC:
			for i, has := range h.digests(n) {
				folders[i].hasCRC = has
			}
		default:
			h.fail("has a damaged header")
		}
	}
	return nil
}

// maxCoders is more than any packer chains.
const maxCoders = 32

func (h *szReader) folder() szFolderInfo {
	info := szFolderInfo{coders: h.number()}
	if info.coders == 0 || info.coders > maxCoders {
		h.fail("has a damaged header")
		return info
	}
	var ins uint64
	for i := range info.coders {
		flags := h.byte()
		method := string(h.bytes(uint64(flags & 0xf)))
		in, out := uint64(1), uint64(1)
		if flags&0x10 != 0 {
			in, out = h.number(), h.number()
		}
		if in > maxCoders || out > maxCoders {
			h.fail("has a damaged header")
			return info
		}
		properties := ""
		if flags&0x20 != 0 {
			properties = string(h.bytes(h.number()))
		}
		h.checkCoder(method, properties)
		if i == 0 {
			info.method, info.properties = method, properties
		}
		ins, info.outs = ins+in, info.outs+out
	}
	if info.outs == 0 || ins < info.outs-1 {
		h.fail("has a damaged header")
		return info
	}
	for range info.outs - 1 {
		h.number()
		h.number()
	}
	if packed := ins - (info.outs - 1); packed > 1 {
		for range packed {
			h.number()
		}
	}
	return info
}

// checkCoder bounds the memory that a decoder asks for.
func (h *szReader) checkCoder(method, properties string) {
	var need int64
	switch {
	case h.err != nil:
	case method == szAES:
		h.err = refused("a 7z archive that is encrypted", "unpack it with its password and give the folder")
	case (method == szLZMA || method == szPPMd) && len(properties) == 5:
		need = int64(binary.LittleEndian.Uint32([]byte(properties[1:])))
	case method == szLZMA2 && len(properties) == 1 && properties[0] <= 40:
		need = int64(2|properties[0]&1) << (properties[0]/2 + 11)
	case method == szLZMA || method == szLZMA2 || method == szPPMd:
		h.fail("has a damaged header")
	}
	if need > h.limits.Window {
		h.err = &LimitError{Flag: "--max-window", Limit: h.limits.Window, What: "the dictionary of the 7z archive in bytes", Found: need}
	}
}

func (h *szReader) substreams(folders []szFolderInfo) {
	streams := make([]uint64, len(folders))
	total, unknown := uint64(0), uint64(0)
	for i := range streams {
		streams[i] = 1
	}
	id := h.byte()
	if id == szNumStreams {
		for i := range streams {
			streams[i] = h.count()
		}
		id = h.byte()
	}
	for i, n := range streams {
		if total += n; total > uint64(h.limits.Memory)/sevenZipFileCost {
			h.fail("has a damaged header: it claims too many members")
			return
		}
		if n != 1 || !folders[i].hasCRC {
			unknown += n
		}
	}
	for h.err == nil {
		switch id {
		case szEnd:
			return
		case szSize:
			for _, n := range streams {
				for i := uint64(1); i < n && h.err == nil; i++ {
					h.number()
				}
			}
		case szCRC:
			h.digests(unknown)
		default:
			h.fail("has a damaged header")
		}
		id = h.byte()
	}
}

// header reads a plain header as far as the number of files.
func (h *szReader) header() {
	for h.err == nil {
		switch h.byte() {
		case szEnd:
			return
		case szArchProps, 3:
			h.fail("has a header of a kind that is not read")
		case szStreams:
			h.streams()
		case szFiles:
			h.count()
			return
		default:
			h.fail("has a damaged header")
		}
	}
}

// unpack unpacks an encoded header.
func (s szStream) unpack(r io.ReaderAt, size int64) ([]byte, error) {
	if !s.simple {
		return nil, errSevenZip("has a header packed in a way that is not read")
	}
	if s.at > uint64(size)-32 || s.packed > uint64(size)-32-s.at {
		return nil, errSevenZip("is cut off")
	}
	if s.unpacked > maxSevenZipHeader {
		return nil, &LimitError{Flag: "--max-memory", Limit: maxSevenZipHeader, What: "the header of the 7z archive in bytes", Found: int64(min(s.unpacked, 1<<62))}
	}
	var in io.Reader = io.NewSectionReader(r, 32+int64(s.at), int64(s.packed))
	var err error
	switch s.method {
	case szLZMA:
		sizes := binary.LittleEndian.AppendUint64([]byte(s.properties), s.unpacked)
		in, err = lzma.NewReader(io.MultiReader(bytes.NewReader(sizes), in))
	case szLZMA2:
		dictionary := int(2|s.properties[0]&1) << (s.properties[0]/2 + 11)
		in, err = lzma.Reader2Config{DictCap: dictionary}.NewReader2(in)
	case "\x00":
	default:
		err = errors.New("an unusual compression")
	}
	if err != nil {
		return nil, fmt.Errorf("the header of the 7z archive cannot be read: %w", err)
	}
	header, err := io.ReadAll(io.LimitReader(in, int64(s.unpacked)))
	if err == nil && uint64(len(header)) != s.unpacked {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("the header of the 7z archive cannot be read: %w", err)
	}
	return header, nil
}
