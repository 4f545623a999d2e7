package source

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

var codecNames = map[content]string{gzipContent: "gzip", zstdContent: "zstd", xzContent: "xz", bzip2Content: "bzip2"}

// decompress returns what a compressed stream unpacks to.
func decompress(is content, packed *stream, limits Limits) (*stream, error) {
	m := &meter{ratio: limits.Ratio}
	in := meteredReader{packed.guarded(), m}
	out := &stream{meter: m, closers: []func() error{packed.Close}}
	switch is {
	case gzipContent:
		r, err := gzip.NewReader(in)
		if err != nil {
			return nil, codecError(is, err, limits)
		}
		out.Reader = r
	case zstdContent:
		// One goroutine is as fast as several here, and leaves none behind.
		r, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(uint64(limits.Window)))
		if err != nil {
			return nil, codecError(is, err, limits)
		}
		out.Reader = r
		out.closers = append([]func() error{func() error { r.Close(); return nil }}, out.closers...)
	case xzContent:
		out.Reader = newXZReader(in, limits.Window)
	default:
		out.Reader = bzip2.NewReader(bufio.NewReader(in))
	}
	out.Reader = codecReader{out.Reader, is, limits}
	return out, nil
}

// codecReader puts names to a decompressor's errors.
type codecReader struct {
	r      io.Reader
	is     content
	limits Limits
}

func (c codecReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	return n, codecError(c.is, err, c.limits)
}

func codecError(is content, err error, limits Limits) error {
	var limit *LimitError
	switch {
	case err == nil || err == io.EOF || errors.As(err, &limit):
		return err
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return &LimitError{Flag: "--max-window", Limit: limits.Window, What: "the zstd window in bytes"}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the %s data is cut off: %w", codecNames[is], err)
	}
	return fmt.Errorf("the %s data is damaged: %w", codecNames[is], err)
}

// openCodec looks at what a compressed file unpacks to. That is no container:
// it keeps the path of the file.
func (f *finding) openCodec(outer *file, is content, head []byte, rest *stream) {
	inner := *outer
	inner.name = stripCodec(outer.name)
	inner.size, inner.random = -1, nil
	if inner.codecs++; inner.codecs > 1 {
		inner.depth++ // compressed twice
	}
	if inner.depth > f.search.opt.Limits.Depth {
		f.fail(outer.label, f.tooDeep())
		return
	}
	limits := f.search.opt.Limits
	inner.open = func() (*stream, error) {
		packed := rewound(head, rest)
		if !outer.once {
			var err error
			if packed, err = outer.open(); err != nil {
				return nil, err
			}
		}
		return decompress(is, packed, limits)
	}
	f.looked-- // it is one file
	f.inspect(&inner)
}

// rewound returns a stream whose first bytes were read already.
func rewound(head []byte, rest *stream) *stream {
	s := *rest
	s.Reader = io.MultiReader(bytes.NewReader(head), rest.Reader)
	s.closers = nil // its opener closes it
	return &s
}

func (f *finding) tooDeep() error {
	return &LimitError{Flag: "--max-depth", Limit: int64(f.search.opt.Limits.Depth), What: "the number of containers within each other"}
}
