package source

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	ntfs "www.velocidex.com/golang/go-ntfs/parser"
)

// ntfsVolume reads NTFS through a library. One thing at a time: the library's
// caches are shared.
type ntfsVolume struct {
	mu  sync.Mutex
	fs  *ntfs.NTFSContext
	len int64
	cut error // says that the volume is cut off; what is there can be read
}

// openNTFS opens a volume that begins at the start of r.
func openNTFS(r io.ReaderAt, size int64) (*ntfsVolume, error) {
	cut, err := checkNTFS(r, size)
	if err != nil {
		return nil, err
	}
	fs, err := ntfs.GetNTFSContext(&boundedReader{r: r, size: size, left: ntfsWork}, 0)
	if err != nil {
		return nil, fmt.Errorf("the NTFS volume is damaged: %w", err)
	}
	return &ntfsVolume{fs: fs, len: size, cut: cut}, nil
}

// checkNTFS looks at the boot sector for sizes that no volume has, and tells
// whether all of the volume is there.
func checkNTFS(r io.ReaderAt, size int64) (cut, err error) {
	boot := make([]byte, 512)
	if _, err := r.ReadAt(boot, 0); err != nil {
		return nil, cause(err)
	}
	le := binary.LittleEndian
	sector, clusters := int64(le.Uint16(boot[11:])), int64(boot[13])
	if clusters > 128 {
		clusters = 1 << (256 - clusters) // sizes beyond 64 KiB are stored as a power of two
	}
	record := int64(int8(boot[64]))
	if record < 0 {
		record = 1 << -max(record, -20)
	} else {
		record *= sector * clusters
	}
	power := func(n int64) bool { return n > 0 && n&(n-1) == 0 }
	if !power(sector) || sector < 256 || sector > 4096 || !power(clusters) || sector*clusters > 2<<20 || !power(record) || record < 256 || record > 64<<10 {
		return nil, errors.New("the NTFS volume is damaged: its boot sector holds sizes that no volume has")
	}
	if at := int64(min(le.Uint64(boot[48:]), 1<<40)) * sector * clusters; at >= size {
		return nil, errors.New("the NTFS volume is damaged or cut off: its file table lies behind the end")
	}
	if want := int64(min(le.Uint64(boot[40:]), 1<<48)) * sector; want > size {
		cut = fmt.Errorf("the NTFS volume is cut off: of its %d bytes there are %d; what could be found there was read", want, size)
	}
	return cut, nil
}

// ntfsWork is how many reads of the image the library may make for one step. It
// ignores most errors, so that a loop is only left by a panic, which the
// caller turns into an error.
const ntfsWork = 1 << 24

// boundedReader bounds the number of reads and makes reading past the end an
// error that is no mere end.
type boundedReader struct {
	r    io.ReaderAt
	size int64
	left int
}

func (b *boundedReader) ReadAt(p []byte, off int64) (int, error) {
	if b.left--; b.left < 0 {
		panic("it takes more work than a sound volume")
	}
	if off < 0 || off >= b.size {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.r.ReadAt(p[:min(int64(len(p)), b.size-off)], off)
	if n < len(p) && (err == nil || err == io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

const (
	ntfsRoot    = 5       // the root folder's record
	maxNTFSList = 1 << 30 // bytes of a folder's index; no folder comes near
	dosName     = 2       // a file's short name, beside its real one
)

func (v *ntfsVolume) list(folder volumeEntry) (entries []volumeEntry, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	defer gaveUp(&err)
	id := folder.id
	if folder.name == "" {
		id = ntfsRoot
	}
	record, err := v.fs.GetMFT(id)
	if err != nil {
		return nil, fmt.Errorf("the folder's record cannot be read: %w", err)
	}
	for _, a := range record.EnumerateAttributes(v.fs) {
		if a.Type().Value == ntfs.ATTR_TYPE_INDEX_ALLOCATION && (a.DataSize() < 0 || a.DataSize() > min(maxNTFSList, v.len)) {
			return nil, errors.New("the folder's index is longer than any can be")
		}
	}
	seen := make(map[int64]bool)
	for _, e := range record.Dir(v.fs) {
		file := e.File()
		id := int64(e.MftReference())
		const first = 16 // records below belong to the file system
		if file.NameType().Value == dosName || id < first || seen[id] || file.Name() == "" {
			continue
		}
		seen[id] = true
		const folderFlag = 0x10000000
		entries = append(entries, volumeEntry{name: file.Name(), folder: file.Flags().Value&folderFlag != 0, id: id})
	}
	return entries, nil
}

func (v *ntfsVolume) open(file volumeEntry) (r io.Reader, size int64, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	defer gaveUp(&err)
	record, err := v.fs.GetMFT(file.id)
	if err != nil {
		return nil, 0, fmt.Errorf("its record in the file table cannot be read: %w", err)
	}
	data, err := ntfs.OpenStream(v.fs, record, ntfs.ATTR_TYPE_DATA, ntfs.WILDCARD_STREAM_ID, ntfs.WILDCARD_STREAM_NAME)
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, errEmpty
	}
	if err != nil {
		return nil, 0, fmt.Errorf("its data cannot be read: %w", err)
	}
	size = ntfs.RangeSize(data)
	return io.NewSectionReader(lockedReader{&v.mu, data}, 0, size), size, nil
}

// lockedReader reads one thing at a time, and survives the library.
type lockedReader struct {
	mu *sync.Mutex
	r  io.ReaderAt
}

func (l lockedReader) ReadAt(p []byte, off int64) (n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer gaveUp(&err)
	return l.r.ReadAt(p, off)
}
