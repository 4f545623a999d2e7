package source

import (
	"bytes"
	"crypto/sha1" // WIM archives name their contents by it
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"hivemend/hive"

	"github.com/Microsoft/go-winio/wim/lzx"
)

// wimImage is one image of a WIM archive ("Windows Imaging File Format",
// Microsoft 2007): a tree of folders in one metadata resource, and file
// contents by their SHA-1.
type wimImage struct {
	archive  *wimArchive
	metadata []byte
	left     int // how many more entries may be listed
}

type wimArchive struct {
	r        io.ReaderAt
	size     int64
	chunk    int64 // of a compressed resource, unpacked
	contents map[[sha1.Size]byte]wimResource
	images   []wimResource // metadata
}

// wimResource says where something lies.
type wimResource struct {
	at, packed, size int64
	flags            byte
}

// Flags of a resource and of the header.
const (
	wimMetadata, wimCompressed, wimSpanned, wimSolid = 2, 4, 8, 16

	wimHeaderSpanned = 0x8
	wimHeaderXPRESS  = 0x20000
	wimHeaderLZX     = 0x40000
	wimHeaderLZMS    = 0x80000
	wimHeaderXPRESS2 = 0x200000
	wimVersion       = 0x10d00
	wimVersionSolid  = 0xe00

	wimHeaderSize, wimEntrySize, wimDentrySize = 208, 50, 102
	lzxChunk                                   = 32768
)

const wimAdvice = "install wimlib-imagex, which is used where the archive's own path is given, or apply the image and give the folder"

func readWIMResource(b []byte) wimResource {
	le := binary.LittleEndian
	const sizeBits = 56
	n := le.Uint64(b)
	return wimResource{
		at: int64(min(le.Uint64(b[8:]), 1<<62)), packed: int64(n & (1<<sizeBits - 1)), size: int64(min(le.Uint64(b[16:]), 1<<62)), flags: byte(n >> sizeBits),
	}
}

// openWIM reads the header and the table of contents.
func openWIM(r io.ReaderAt, size int64, limits Limits) (*wimArchive, error) {
	le := binary.LittleEndian
	h := make([]byte, wimHeaderSize)
	if _, err := r.ReadAt(h, 0); err != nil {
		return nil, fmt.Errorf("the WIM archive is cut off: %w", cutOff(err))
	}
	version, flags := le.Uint32(h[12:]), le.Uint32(h[16:])
	switch {
	case version == wimVersionSolid || flags&wimHeaderLZMS != 0:
		return nil, refused("a solid WIM archive (ESD)", wimAdvice)
	case flags&(wimHeaderXPRESS|wimHeaderXPRESS2) != 0:
		return nil, refused("a WIM archive compressed with XPRESS", wimAdvice)
	case version != wimVersion:
		return nil, refused(fmt.Sprintf("a WIM archive of version %#x", version), wimAdvice)
	case flags&wimHeaderSpanned != 0 || le.Uint16(h[42:]) > 1:
		return nil, refused("a WIM archive in several parts", "join them with wimlib-imagex join and give the result")
	case flags&wimHeaderLZX != 0 && le.Uint32(h[20:]) != lzxChunk:
		return nil, refused("a WIM archive with chunks of an unusual size", wimAdvice)
	}
	a := &wimArchive{r: r, size: size, chunk: lzxChunk, contents: make(map[[sha1.Size]byte]wimResource)}
	table := readWIMResource(h[48:])
	switch {
	case table.flags&wimCompressed != 0:
		return nil, refused("a WIM archive with a compressed table of contents", wimAdvice)
	case table.at > size || table.packed > size-table.at:
		return nil, errors.New("the WIM archive is cut off: its table of contents lies behind the end")
	case table.packed*2 > limits.Memory:
		return nil, &LimitError{Flag: "--max-memory", Limit: limits.Memory, What: "the memory for the WIM archive's table of contents in bytes", Found: table.packed * 2}
	}
	entries := io.NewSectionReader(r, table.at, table.packed)
	e := make([]byte, wimEntrySize)
	for {
		if _, err := io.ReadFull(entries, e); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("the WIM archive's table of contents: %w", err)
		}
		resource := readWIMResource(e)
		if resource.flags&wimMetadata != 0 {
			a.images = append(a.images, resource)
			continue
		}
		a.contents[[sha1.Size]byte(e[30:])] = resource
	}
	if want := le.Uint32(h[44:]); uint64(want) != uint64(len(a.images)) {
		return nil, fmt.Errorf("the WIM archive is damaged: its header claims %d images, its table of contents lists %d", want, len(a.images))
	}
	return a, nil
}

// image reads the tree of one image.
func (a *wimArchive) image(i int, limits Limits) (*wimImage, error) {
	resource := a.images[i]
	if resource.size*2 > limits.Memory {
		return nil, &LimitError{Flag: "--max-memory", Limit: limits.Memory, What: "the memory for the WIM image's metadata in bytes", Found: resource.size * 2}
	}
	r, err := a.reader(resource)
	if err != nil {
		return nil, err
	}
	var metadata bytes.Buffer
	if n, err := metadata.ReadFrom(r); err != nil || n != resource.size {
		return nil, fmt.Errorf("the metadata of the WIM image cannot be read: %w", cutOff(errors.Join(err, io.ErrUnexpectedEOF)))
	}
	return &wimImage{archive: a, metadata: metadata.Bytes(), left: maxVolumeEntries}, nil
}

// reader unpacks a resource.
func (a *wimArchive) reader(resource wimResource) (io.Reader, error) {
	switch {
	case resource.flags&(wimSpanned|wimSolid) != 0:
		return nil, refused("a WIM resource that is spanned or solid", wimAdvice)
	case resource.at > a.size || resource.packed > a.size-resource.at:
		return nil, errors.New("the WIM archive is cut off: a resource lies behind the end")
	}
	packed := io.NewSectionReader(a.r, resource.at, resource.packed)
	if resource.flags&wimCompressed == 0 {
		return packed, nil
	}
	w := &wimReader{a: a, packed: packed, left: resource.size, width: 4}
	if resource.size > 1<<32-1 {
		w.width = 8
	}
	w.chunks = (resource.size + a.chunk - 1) / a.chunk
	w.start = max(w.chunks-1, 0) * w.width
	if w.start > resource.packed {
		return nil, errors.New("the WIM archive is damaged: a resource is shorter than its table of chunks")
	}
	return w, nil
}

// wimReader unpacks a compressed resource chunk by chunk. A table of where
// each chunk but the first begins stands before them.
type wimReader struct {
	a             *wimArchive
	packed        *io.SectionReader
	chunks, start int64
	width         int64 // of a number in the table
	next          int64 // chunk
	left          int64
	current       io.Reader
}

func (w *wimReader) Read(p []byte) (int, error) {
	for {
		if w.current != nil {
			n, err := w.current.Read(p)
			w.left -= int64(n)
			switch {
			case n > 0 && (err == nil || err == io.EOF):
				return n, nil
			case err != nil && err != io.EOF:
				return n, fmt.Errorf("its bytes in the WIM archive are damaged: %w", err)
			}
			w.current = nil
		}
		if w.next >= w.chunks {
			if w.left > 0 {
				return 0, io.ErrUnexpectedEOF
			}
			return 0, io.EOF
		}
		if err := w.nextChunk(); err != nil {
			return 0, err
		}
	}
}

func (w *wimReader) nextChunk() error {
	from, err := w.offset(w.next)
	if err != nil {
		return err
	}
	to, err := w.offset(w.next + 1)
	if err != nil {
		return err
	}
	if from > to || to > w.packed.Size() {
		return errors.New("its bytes in the WIM archive are damaged: a chunk lies behind the end")
	}
	size := min(w.a.chunk, w.left)
	section := io.NewSectionReader(w.packed, from, to-from)
	w.next++
	if to-from == size { // stored as it is
		w.current = section
		return nil
	}
	unpacked, err := lzx.NewReader(section, int(size))
	if err != nil {
		return fmt.Errorf("its bytes in the WIM archive are damaged: %w", err)
	}
	w.current = io.LimitReader(unpacked, size)
	return nil
}

// offset returns where a chunk begins.
func (w *wimReader) offset(chunk int64) (int64, error) {
	switch chunk {
	case 0:
		return w.start, nil
	case w.chunks:
		return w.packed.Size(), nil
	}
	b := make([]byte, 8)
	if _, err := w.packed.ReadAt(b[:w.width], (chunk-1)*w.width); err != nil {
		return 0, cutOff(err)
	}
	return w.start + int64(min(binary.LittleEndian.Uint64(b), 1<<62-1)), nil
}

// root returns where the entry of the root folder stands: behind the security
// descriptors.
func (m *wimImage) root() int64 {
	if len(m.metadata) < 8 {
		return int64(len(m.metadata))
	}
	return (int64(binary.LittleEndian.Uint32(m.metadata)) + 7) &^ 7
}

var errWIMTree = errors.New("the tree of the WIM image is damaged")

// list reads the entries of a folder, which stand behind each other.
func (m *wimImage) list(folder volumeEntry) ([]volumeEntry, error) {
	at := folder.id
	if folder.name == "" {
		root, _, err := m.entry(m.root())
		if err != nil {
			return nil, err
		}
		at = root.id
	}
	var entries []volumeEntry
	for {
		e, next, err := m.entry(at)
		if err != nil || next == 0 {
			return entries, err
		}
		if e.name != "" {
			entries = append(entries, e)
		}
		at = next
	}
}

// entry reads one entry with its streams and returns where the next one
// stands, 0 at the end of a folder.
func (m *wimImage) entry(at int64) (e volumeEntry, next int64, err error) {
	if m.left--; m.left < 0 {
		return e, 0, errWIMTree
	}
	le := binary.LittleEndian
	length, ok := m.length(at)
	if !ok {
		return e, 0, errWIMTree
	}
	if length == 0 {
		return e, 0, nil
	}
	if length < wimDentrySize || length > int64(len(m.metadata))-at {
		return e, 0, errWIMTree
	}
	b := m.metadata[at : at+length]
	nameLength := int(le.Uint16(b[100:]))
	if wimDentrySize+nameLength > len(b) {
		return e, 0, errWIMTree
	}
	const folderFlag, reparseFlag = 0x10, 0x400
	attributes := le.Uint32(b[8:])
	content := [sha1.Size]byte(b[64:84])
	e = volumeEntry{name: decodeUTF16(b[wimDentrySize : wimDentrySize+nameLength]), id: int64(min(le.Uint64(b[16:]), 1<<62))}
	at += (length + 7) &^ 7
	for i := range le.Uint16(b[96:]) {
		length, ok := m.length(at)
		const streamSize = 38
		if !ok || length < streamSize || length > int64(len(m.metadata))-at {
			return e, 0, errWIMTree
		}
		if s := m.metadata[at:]; i == 0 && le.Uint16(s[36:]) == 0 {
			content = [sha1.Size]byte(s[16:36])
		}
		at += (length + 7) &^ 7
	}
	e.folder = attributes&(folderFlag|reparseFlag) == folderFlag
	e.content = content
	if attributes&reparseFlag != 0 {
		e.name = "" // a link: not followed
	}
	return e, at, nil
}

func (m *wimImage) length(at int64) (int64, bool) {
	if at < 0 || at > int64(len(m.metadata))-8 {
		return 0, false
	}
	n := binary.LittleEndian.Uint64(m.metadata[at:])
	return int64(min(n, 1<<62)), true
}

// open unpacks a file and holds it against its SHA-1.
func (m *wimImage) open(file volumeEntry) (io.Reader, int64, error) {
	if file.content == [sha1.Size]byte{} {
		return bytes.NewReader(nil), 0, nil
	}
	resource, ok := m.archive.contents[file.content]
	if !ok {
		return nil, 0, errors.New("its bytes are not in the WIM archive")
	}
	r, err := m.archive.reader(resource)
	if err != nil {
		return nil, 0, err
	}
	return &sha1Reader{r, sha1.New(), file.content, resource.size}, resource.size, nil
}

type sha1Reader struct {
	r    io.Reader
	sum  hash.Hash
	want [sha1.Size]byte
	left int64
}

func (s *sha1Reader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.sum.Write(p[:n])
	if s.left -= int64(n); s.left <= 0 && n > 0 && [sha1.Size]byte(s.sum.Sum(nil)) != s.want {
		return 0, errors.New("its bytes in the WIM archive do not match their SHA-1")
	}
	return n, err
}

// openWIM looks at each image of a WIM archive; the first folder of a
// member's path is the image's index.
func (f *finding) openWIM(outer *file, r usable, size int64) error {
	limits := f.search.opt.Limits
	a, err := openWIM(r, size, limits)
	if errors.Is(err, hive.ErrUnsupported) {
		return f.openWIMWithHelper(outer, r, err)
	}
	if err != nil {
		return err
	}
	for i := range a.images {
		image, err := a.image(i, limits)
		if err == nil {
			w := &volumeWalk{f: f, outer: outer, v: image, done: r.use, prefix: []string{fmt.Sprint(i + 1)}}
			err = w.run()
		}
		if err != nil {
			f.fail(fmt.Sprintf("%s::%d", outer.label, i+1), err)
		}
	}
	return nil
}
