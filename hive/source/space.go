package source

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
)

// space holds bytes that were unpacked and cannot be unpacked again for the
// asking: in memory up to a limit, beyond it in one private temporary file.
type space struct {
	mu     sync.Mutex
	limit  int64 // of memory, in bytes
	used   int64
	folder string
	file   *os.File
	end    int64 // of what the file holds
	closed bool
}

func newSpace(opt Options) *space {
	return &space{limit: opt.Limits.Memory, folder: opt.Temp}
}

// blob is what space holds of one file.
type blob struct {
	space *space
	mem   []byte
	at, n int64 // in the temporary file, where mem is nil
}

// hold reads all of r, at most limit bytes; size is what is expected, -1 where
// nothing is known.
func (s *space) hold(r io.Reader, size, limit int64, flag string) (*blob, error) {
	tooLong := &LimitError{Flag: flag, Limit: limit, What: "the file's length in bytes"}
	if size > limit {
		tooLong.Found = size
		return nil, tooLong
	}
	r = io.LimitReader(r, limit+1)
	b := &blob{space: s}
	const most = 1 << 20
	chunk := make([]byte, most)
	if size >= 0 {
		chunk = make([]byte, min(size+1, most))
		// Room is made at once only as far as a lie about the size does no harm.
		b.mem = make([]byte, 0, min(size, s.limit, 64<<20))
	}
	for {
		n, err := io.ReadFull(r, chunk)
		if keepErr := b.add(chunk[:n]); keepErr != nil {
			b.release()
			return nil, keepErr
		}
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
		case err != nil:
			b.release()
			return nil, err
		case b.size() <= limit:
			continue
		}
		break
	}
	switch {
	case b.size() > limit:
		b.release()
		return nil, tooLong
	case size >= 0 && b.size() != size:
		b.release()
		return nil, io.ErrUnexpectedEOF
	}
	return b, nil
}

func (b *blob) size() int64 {
	if b.n > 0 {
		return b.n
	}
	return int64(len(b.mem))
}

// add appends to the blob, which moves to the temporary file when memory runs
// out. One blob is filled at a time.
func (b *blob) add(p []byte) error {
	s := b.space
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return os.ErrClosed
	}
	if b.n == 0 && s.used+int64(len(p)) <= s.limit {
		s.used += int64(len(p))
		b.mem = append(b.mem, p...)
		return nil
	}
	if s.file == nil {
		// Made with a name of its own and for its owner alone.
		f, err := os.CreateTemp(s.folder, "hivemend-*.tmp")
		if err != nil {
			return err
		}
		s.file = f
	}
	if b.n == 0 {
		b.at = s.end
		if err := s.append(b, b.mem); err != nil {
			return err
		}
		s.used -= int64(len(b.mem))
		b.mem = nil
	}
	return s.append(b, p)
}

func (s *space) append(b *blob, p []byte) error {
	n, err := s.file.WriteAt(p, s.end)
	s.end += int64(n)
	b.n += int64(n)
	return err
}

// bytes returns all of the blob and gives up what it holds.
func (b *blob) bytes() ([]byte, error) {
	defer b.release()
	if b.n == 0 {
		return b.mem, nil
	}
	data := make([]byte, b.n)
	if _, err := b.ReadAt(data, 0); err != nil && err != io.EOF {
		return nil, err
	}
	return data, nil
}

// ReadAt reads from the blob wherever it lies.
func (b *blob) ReadAt(p []byte, off int64) (int, error) {
	if b.n == 0 {
		return bytes.NewReader(b.mem).ReadAt(p, off)
	}
	return io.NewSectionReader(b.space.file, b.at, b.n).ReadAt(p, off)
}

// release gives memory back. Room in the temporary file is not used again.
func (b *blob) release() {
	b.space.mu.Lock()
	defer b.space.mu.Unlock()
	b.space.used -= int64(len(b.mem))
	b.mem = nil
}

// close removes the temporary file.
func (s *space) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.file == nil {
		return nil
	}
	name := s.file.Name()
	err := errors.Join(s.file.Close(), os.Remove(name))
	s.file = nil
	return err
}
