package source

import (
	"errors"
	"io"
)

// stream is an open file together with what guards the unpacking of it.
type stream struct {
	io.Reader
	closers []func() error
	meter   *meter  // nil where nothing was unpacked
	budget  *budget // nil outside of nested containers
}

// Close closes everything under the stream, outermost first.
func (s *stream) Close() error {
	var errs []error
	for _, c := range s.closers {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// guarded returns a reader of bytes that are wanted: they count against the
// limits. What is read past it, to be skipped, does not.
func (s *stream) guarded() io.Reader {
	if s.meter == nil && s.budget == nil {
		return s.Reader
	}
	return guard{s}
}

type guard struct{ s *stream }

func (g guard) Read(p []byte) (int, error) {
	n, err := g.s.Read(p)
	if g.s.meter != nil {
		g.s.meter.out += int64(n)
		if over := g.s.meter.over(); over != nil {
			return n, over
		}
	}
	if g.s.budget != nil {
		if over := g.s.budget.take(int64(n)); over != nil {
			return n, over
		}
	}
	return n, err
}

// meter holds what comes out of a container against what went into it.
type meter struct {
	in, out int64
	ratio   int64
}

// ratioFree is how much may come out before the ratio counts: small files of
// nothing but zeros compress very well.
const ratioFree = 64 << 20

func (m *meter) over() error {
	if m.out > ratioFree && m.out/m.ratio > m.in {
		return &LimitError{Flag: "--max-ratio", Limit: m.ratio, What: "the ratio of unpacked to packed bytes"}
	}
	return nil
}

// meteredReader counts what goes in.
type meteredReader struct {
	r io.Reader
	m *meter
}

func (r meteredReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.m.in += int64(n)
	return n, err
}

// budget bounds everything that is unpacked out of the containers within one
// container.
type budget struct {
	unpacked, maxUnpacked int64
	members, maxMembers   int
}

func (b *budget) take(n int64) error {
	if b.unpacked += n; b.unpacked > b.maxUnpacked {
		return &LimitError{Flag: "--max-unpacked", Limit: b.maxUnpacked, What: "the bytes unpacked out of nested containers"}
	}
	return nil
}

func (b *budget) member() error {
	if b.members++; b.members > b.maxMembers {
		return &LimitError{Flag: "--max-members", Limit: int64(b.maxMembers), What: "the number of members of nested containers"}
	}
	return nil
}
