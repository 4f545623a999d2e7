package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
)

// file is something with a name and bytes, wherever it lies: in a folder, in
// an archive, on a disk image, or behind a decompressor.
type file struct {
	label string   // as reports name it
	dirs  []string // the folders around it, outermost first, decoded
	name  string   // without the ending of a compression
	// key is the same for files in one folder of one container, and differs
	// for all others. It is folded.
	key  string
	size int64 // -1 where that is not known beforehand
	// open gives the bytes from the start. It may be called only once where
	// once is set.
	open func() (*stream, error)
	once bool
	// random gives access to any place; nil where there is none.
	random   func() (randomReader, error)
	explicit bool        // the path itself was given
	beside   bool        // it was looked for beside a hive whose own path was given
	depth    int         // how many containers it lies in
	codecs   int         // how many compressions were undone
	budget   *budget     // what bounds it, where it lies in a nested container
	volume   *volumeWalk // what it was found by, where it lies on a disk image
	nested   *budget     // what bounds the containers within the outermost one
}

// randomReader reads from any place of a file.
type randomReader interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// fullKey names the file among all others, folded.
func (f *file) fullKey() string { return f.key + "/" + foldName(f.name) }

// member is a hive, transaction log or .reg file that was found.
type member struct {
	*file
	seq    int // the order in which members were found
	place  place
	named  named
	header string // what the base block calls the hive, in upper case
	// whole returns all bytes, and may be called once.
	whole func() ([]byte, error)
	notes []string
}

// errEmpty is what an empty file gives.
var errEmpty = errors.New("the file is empty")

// readWhole reads all of r into memory. Size is what is expected, -1 where
// nothing is known; memory is claimed for what really comes, never for more
// than limit.
func readWhole(r io.Reader, size, limit int64) ([]byte, error) {
	if size > limit {
		return nil, &LimitError{Flag: "--max-hive", Limit: limit, What: "the file's length in bytes", Found: size}
	}
	if limit > math.MaxInt-bytes.MinRead {
		limit = math.MaxInt - bytes.MinRead
	}
	var buf bytes.Buffer
	// Claimed at once only as far as a lie about the size does no harm.
	const trusted = 64 << 20
	if size > 0 {
		buf.Grow(int(min(size, trusted)) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, err
	case n > limit:
		return nil, &LimitError{Flag: "--max-hive", Limit: limit, What: "the file's length in bytes"}
	case size >= 0 && n != size:
		return nil, fmt.Errorf("want %d bytes, found %d: the file changed while it was read, or is cut off", size, n)
	}
	return buf.Bytes(), nil
}

// readHead reads the first headSize bytes, fewer where there are no more.
func readHead(r io.Reader) ([]byte, error) {
	head := make([]byte, headSize)
	n, err := io.ReadFull(r, head)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return head[:n], err
}
