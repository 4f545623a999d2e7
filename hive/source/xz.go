package source

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// xzReader reads the xz container ("The .xz File Format", version 1.2.1) around
// the library's LZMA2 decoder. The library has a reader of its own for it, but
// that allocates whatever dictionary a block asks for, up to 4 GiB.
type xzReader struct {
	r     *countedReader
	limit int64 // of a dictionary, in bytes

	started   bool
	checkSize int
	sum       hash.Hash // nil where the stream has no check, or one unknown
	sums      func() hash.Hash
	block     *lzma.Reader2
	lengths   []xzRecord
	from      int64 // where the current block begins
	out       int64 // bytes that came out of the current block
	wantOut   int64 // what its header says; -1 for nothing
	wantIn    int64
	dataFrom  int64
	err       error
}

type xzRecord struct{ unpadded, uncompressed uint64 }

// countedReader counts bytes and reads single ones.
type countedReader struct {
	r *bufio.Reader
	n int64
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *countedReader) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

var xzMagic = []byte("\xfd7zXZ\x00")

func newXZReader(r io.Reader, window int64) *xzReader {
	return &xzReader{r: &countedReader{r: bufio.NewReaderSize(r, 1<<16)}, limit: window}
}

func (x *xzReader) Read(p []byte) (int, error) {
	if x.err != nil {
		return 0, x.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if x.block == nil {
			if x.err = x.next(); x.err != nil {
				return 0, x.err
			}
		}
		n, err := x.block.Read(p)
		if x.sum != nil {
			x.sum.Write(p[:n])
		}
		x.out += int64(n)
		if err == io.EOF {
			err = x.endBlock()
		}
		if err != nil {
			x.err = cutOff(err)
			return n, x.err
		}
		if n > 0 {
			return n, nil
		}
	}
}

// cutOff makes an early end of the data an error.
func cutOff(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (x *xzReader) full(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(x.r, b)
	return b, cutOff(err)
}

func xzCorrupt(format string, args ...any) error {
	return fmt.Errorf("xz: "+format, args...)
}

// next moves to the next block, over the end of a stream and into another one
// where there is one. It returns io.EOF at the end of all.
func (x *xzReader) next() error {
	if !x.started {
		if err := x.streamHeader(); err != nil {
			return cutOff(err)
		}
		x.started = true
	}
	for {
		size, err := x.r.ReadByte()
		if err != nil {
			return cutOff(err)
		}
		if size != 0 {
			return cutOff(x.blockHeader(size))
		}
		if err := x.index(); err != nil {
			return cutOff(err)
		}
		switch more, err := x.another(); {
		case err != nil:
			return err
		case !more:
			return io.EOF
		}
	}
}

// another skips the zeros behind a stream and begins the next one.
func (x *xzReader) another() (bool, error) {
	for {
		four := make([]byte, 4)
		switch _, err := io.ReadFull(x.r, four); {
		case err == io.EOF:
			return false, nil
		case err != nil:
			return false, cutOff(err)
		case bytes.Equal(four, []byte{0, 0, 0, 0}):
			continue
		case !bytes.Equal(four, xzMagic[:4]):
			return false, xzCorrupt("neither an end nor another stream behind a stream")
		}
		return true, cutOff(x.restOfHeader(four))
	}
}

func (x *xzReader) streamHeader() error {
	four, err := x.full(4)
	if err != nil {
		return err
	}
	return x.restOfHeader(four)
}

// restOfHeader reads the stream header (section 2.1.1) whose first four bytes
// are given.
func (x *xzReader) restOfHeader(four []byte) error {
	rest, err := x.full(8)
	if err != nil {
		return err
	}
	if !bytes.Equal(append(four, rest[:2]...), xzMagic) {
		return xzCorrupt("no stream header")
	}
	flags := rest[2:4]
	if crc32.ChecksumIEEE(flags) != binary.LittleEndian.Uint32(rest[4:]) || flags[0] != 0 || flags[1] > 15 {
		return xzCorrupt("the stream header is damaged")
	}
	x.lengths, x.sums = nil, nil
	x.checkSize = []int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}[flags[1]]
	switch flags[1] {
	case 1:
		x.sums = func() hash.Hash { return crc32.NewIEEE() }
	case 4:
		x.sums = func() hash.Hash { return crc64.New(xzTable) }
	case 10:
		x.sums = sha256.New
	}
	return nil
}

var xzTable = crc64.MakeTable(crc64.ECMA)

// blockHeader reads a block header (section 3.1) whose first byte is given.
func (x *xzReader) blockHeader(size byte) error {
	x.from = x.r.n - 1
	rest, err := x.full(4*int(size) + 3)
	if err != nil {
		return err
	}
	h := append([]byte{size}, rest...)
	body := h[:len(h)-4]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(h[len(h)-4:]) {
		return xzCorrupt("a block header is damaged")
	}
	r := bytes.NewReader(body[2:])
	flags := body[1]
	x.wantIn, x.wantOut = -1, -1
	for _, field := range []struct {
		flag byte
		to   *int64
	}{{0x40, &x.wantIn}, {0x80, &x.wantOut}} {
		if flags&field.flag != 0 {
			n, err := binary.ReadUvarint(r)
			if err != nil || n > 1<<62 {
				return xzCorrupt("a block header holds no size")
			}
			*field.to = int64(n)
		}
	}
	const lzma2 = 0x21
	id, err1 := binary.ReadUvarint(r)
	length, err2 := binary.ReadUvarint(r)
	bits, err3 := r.ReadByte()
	if err := errors.Join(err1, err2, err3); err != nil {
		return xzCorrupt("a block header is too short")
	}
	if flags&0x3f != 0 || id != lzma2 || length != 1 || bits > 40 {
		return refused("xz data made with filters", "decompress it with xz and give the result")
	}
	dictionary := int64(1<<32 - 1)
	if bits < 40 {
		dictionary = int64(2|bits&1) << (bits/2 + 11)
	}
	if dictionary > x.limit {
		return &LimitError{Flag: "--max-window", Limit: x.limit, What: "the xz dictionary in bytes", Found: dictionary}
	}
	x.dataFrom, x.out, x.sum = x.r.n, 0, nil
	if x.sums != nil {
		x.sum = x.sums()
	}
	x.block, err = lzma.Reader2Config{DictCap: int(max(dictionary, lzma.MinDictCap))}.NewReader2(x.r)
	return err
}

// endBlock holds the end of a block against its header and its check.
func (x *xzReader) endBlock() error {
	in := x.r.n - x.dataFrom
	if x.wantIn >= 0 && in != x.wantIn || x.wantOut >= 0 && x.out != x.wantOut {
		return xzCorrupt("a block is not as long as its header says")
	}
	unpadded := x.r.n - x.from + int64(x.checkSize)
	if pad, err := x.full(int(-in & 3)); err != nil {
		return err
	} else if len(bytes.Trim(pad, "\x00")) > 0 {
		return xzCorrupt("a block is followed by junk")
	}
	check, err := x.full(x.checkSize)
	if err != nil {
		return err
	}
	if x.sum != nil && !bytes.Equal(check, x.stored()) {
		return xzCorrupt("the data does not match its check sum")
	}
	x.block = nil
	x.lengths = append(x.lengths, xzRecord{uint64(unpadded), uint64(x.out)})
	return nil
}

// stored returns the check as it stands in the file: numbers little-endian.
func (x *xzReader) stored() []byte {
	sum := x.sum.Sum(nil)
	if len(sum) <= 8 {
		for i, j := 0, len(sum)-1; i < j; i, j = i+1, j-1 {
			sum[i], sum[j] = sum[j], sum[i]
		}
	}
	return sum
}

// index holds the index and the footer (sections 4 and 2.1.2) against the
// blocks that were read. The index's first byte was read already.
func (x *xzReader) index() error {
	from := x.r.n - 1
	sum := crc32.NewIEEE()
	sum.Write([]byte{0})
	next := func() (uint64, error) { return binary.ReadUvarint(tee{x.r, sum}) }
	n, err := next()
	if err != nil {
		return err
	}
	if n != uint64(len(x.lengths)) {
		return xzCorrupt("the index lists %d blocks, found %d", n, len(x.lengths))
	}
	for _, want := range x.lengths {
		unpadded, err := next()
		if err != nil {
			return err
		}
		uncompressed, err := next()
		if err != nil {
			return err
		}
		if (xzRecord{unpadded, uncompressed}) != want {
			return xzCorrupt("the index does not match the blocks")
		}
	}
	pad, err := x.full(int(-(x.r.n - from) & 3))
	if err != nil {
		return err
	}
	sum.Write(pad)
	length := x.r.n - from
	end, err := x.full(4 + 12)
	if err != nil {
		return err
	}
	footer := end[4:]
	if binary.LittleEndian.Uint32(end) != sum.Sum32() || string(footer[10:]) != "YZ" ||
		crc32.ChecksumIEEE(footer[4:10]) != binary.LittleEndian.Uint32(footer) ||
		(int64(binary.LittleEndian.Uint32(footer[4:]))+1)*4 != length+4 {
		return xzCorrupt("the index or the footer is damaged")
	}
	return nil
}

// tee is a ByteReader whose bytes are hashed.
type tee struct {
	r   io.ByteReader
	sum hash.Hash32
}

func (t tee) ReadByte() (byte, error) {
	b, err := t.r.ReadByte()
	if err == nil {
		t.sum.Write([]byte{b})
	}
	return b, err
}
