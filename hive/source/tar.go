package source

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"strings"

	"hivemend/hive"
)

// inside describes a member of a container. Its path there is a label, and
// tells the folders around it; it is never opened as a path.
func (outer *file) inside(path string) *file {
	parts := splitPath(strings.ToValidUTF8(path, "\uFFFD"))
	if len(parts) == 0 {
		return nil
	}
	label := outer.label + "::" + strings.Join(parts, "/")
	decoded := decodeVelociraptor(parts)
	dirs := decoded[:len(decoded)-1]
	return &file{
		label:  label,
		dirs:   dirs,
		name:   decoded[len(decoded)-1],
		key:    outer.fullKey() + "::" + hive.Fold(strings.Join(parts[:len(parts)-1], "/")),
		depth:  outer.depth + 1,
		budget: outer.budget,
		nested: outer.nested,
	}
}

// openTar looks at the members of a tar archive as they stream by.
func (f *finding) openTar(outer *file, s *stream) {
	m := s.meter
	in := s.Reader
	if m == nil {
		m = &meter{ratio: f.search.opt.Limits.Ratio}
		in = meteredReader{in, m}
	}
	if outer.budget != nil { // within a container, what is skipped counts too
		in = guard{&stream{Reader: in, budget: outer.budget}}
	}
	archive := tar.NewReader(in)
	for {
		header, err := archive.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			f.fail(outer.label, tarError(err))
			return
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		member := outer.inside(header.Name)
		if member == nil {
			continue
		}
		member.size, member.once = header.Size, true
		member.open = func() (*stream, error) { return &stream{Reader: archive, meter: m}, nil }
		f.inspect(member)
	}
}

func tarError(err error) error {
	var limit *LimitError
	switch {
	case errors.As(err, &limit):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the tar archive is cut off; what stands before the cut was read: %w", err)
	}
	return fmt.Errorf("the tar archive is damaged; what stands before the damage was read: %w", err)
}
