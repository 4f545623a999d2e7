// Package cursor reads little-endian integers, UTF-16 text and FILETIMEs from
// untrusted bytes.
//
// Every read names an offset and a length, checks both against the bytes that
// are there, and reports failure. Nothing in this package returns zero for
// bytes that are missing, and nothing in it panics on any input. What the
// bytes mean is the caller's business.
package cursor

import (
	"encoding/binary"
	"fmt"
)

// ShortError says that a read went past the end of the bytes at hand.
type ShortError struct {
	Offset uint64 // where the read began, counted from the start of the slice
	Want   uint64 // how many bytes were wanted
	Have   uint64 // how many bytes the slice holds in all
}

func (e *ShortError) Error() string {
	return fmt.Sprintf("at %#x: %d bytes wanted, but the data ends at %#x", e.Offset, e.Want, e.Have)
}

// Sub returns the n bytes of b at off as a view into b. ok is false when any
// of them is missing. The sum of off and n is computed without wrapping, and
// the view's capacity ends with it, so an append never reaches its neighbours.
func Sub(b []byte, off, n uint64) (sub []byte, ok bool) {
	size := uint64(len(b))
	if off > size || n > size-off {
		return nil, false
	}
	return b[off : off+n : off+n], true
}

// U16 returns the little-endian 16-bit integer of b at off.
func U16(b []byte, off uint64) (v uint16, ok bool) {
	if s, ok := Sub(b, off, 2); ok {
		return binary.LittleEndian.Uint16(s), true
	}
	return 0, false
}

// U32 returns the little-endian 32-bit integer of b at off.
func U32(b []byte, off uint64) (v uint32, ok bool) {
	if s, ok := Sub(b, off, 4); ok {
		return binary.LittleEndian.Uint32(s), true
	}
	return 0, false
}

// U64 returns the little-endian 64-bit integer of b at off.
func U64(b []byte, off uint64) (v uint64, ok bool) {
	if s, ok := Sub(b, off, 8); ok {
		return binary.LittleEndian.Uint64(s), true
	}
	return 0, false
}

// A Cursor reads a slice from front to back. After a failed read its position
// is unchanged, so the caller can still say where the trouble lies.
type Cursor struct {
	data []byte
	pos  uint64
}

// New returns a cursor at the start of b. The cursor never writes to b.
func New(b []byte) *Cursor { return &Cursor{data: b} }

// Pos is the offset of the next byte to be read, counted from the start.
func (c *Cursor) Pos() int { return int(c.pos) }

// Len is the number of bytes not read yet.
func (c *Cursor) Len() int { return len(c.data) - int(c.pos) }

// Rest returns the bytes not read yet as a view, without moving.
func (c *Cursor) Rest() []byte { return c.data[c.pos:] }

// Bytes returns the next n bytes as a view, or a *ShortError.
func (c *Cursor) Bytes(n uint64) ([]byte, error) {
	s, ok := Sub(c.data, c.pos, n)
	if !ok {
		return nil, &ShortError{Offset: c.pos, Want: n, Have: uint64(len(c.data))}
	}
	c.pos += n
	return s, nil
}

// Skip moves past n bytes, or returns a *ShortError and stays.
func (c *Cursor) Skip(n uint64) error {
	_, err := c.Bytes(n)
	return err
}

// U8 reads one byte.
func (c *Cursor) U8() (uint8, error) {
	s, err := c.Bytes(1)
	if err != nil {
		return 0, err
	}
	return s[0], nil
}

// U16 reads a little-endian 16-bit integer.
func (c *Cursor) U16() (uint16, error) {
	s, err := c.Bytes(2)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint16(s), nil
}

// U32 reads a little-endian 32-bit integer.
func (c *Cursor) U32() (uint32, error) {
	s, err := c.Bytes(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(s), nil
}

// U64 reads a little-endian 64-bit integer.
func (c *Cursor) U64() (uint64, error) {
	s, err := c.Bytes(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(s), nil
}
