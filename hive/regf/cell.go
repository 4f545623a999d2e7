package regf

import (
	"fmt"

	"hivemend/hive"
)

// fault says why a reference leads to no sound cell.
type fault uint8

const (
	faultNone fault = iota
	// With these the cell can be read as far as it reaches.
	faultSize  // its size is no multiple of 8
	faultCross // it crosses the end of its bin
	// With these there is nothing to read.
	faultEmpty    // its size is 0 or has no absolute value
	faultNil      // the reference refers to nothing
	faultVolatile // the reference leads into memory
	faultAlign    // the reference is no multiple of 8
	faultRange    // the reference leads out of the bins
)

// readable reports whether there is a payload all the same.
func (f fault) readable() bool { return f <= faultCross }

func (f fault) String() string {
	switch f {
	case faultSize:
		return "a cell whose size is no multiple of 8"
	case faultCross:
		return "a cell that crosses the end of its bin"
	case faultEmpty:
		return "a cell of impossible size"
	case faultNil:
		return "no cell"
	case faultVolatile:
		return "a reference to memory that is not stored"
	case faultAlign:
		return "an offset that is no multiple of 8"
	case faultRange:
		return "an offset outside the bins"
	}
	return "a sound cell"
}

// raw returns what lies in the cell at off behind its size field. The payload
// ends with the cell, and in any case with the bin; it is nil exactly when
// fault is not readable.
func (im *Image) raw(off cellOffset) (payload []byte, allocated bool, f fault) {
	if uint64(off)+cellUnit > uint64(len(im.bins)) {
		switch {
		case off == noCell:
			return nil, false, faultNil
		case off&volatileBit != 0:
			return nil, false, faultVolatile
		}
		return nil, false, faultRange
	}
	if off%cellUnit != 0 {
		return nil, false, faultAlign
	}
	size := le.Uint32(im.bins[off:])
	if allocated = size>>31 != 0; allocated {
		size = -size
	}
	if size < cellUnit || size > maxBins {
		return nil, allocated, faultEmpty
	}
	if size%cellUnit != 0 {
		f = faultSize
	}
	end := uint64(off) + uint64(size)
	if uint64(off)%binUnit+uint64(size) > binUnit || end > uint64(len(im.bins)) {
		if limit := uint64(im.binEnd[off/binUnit]); end > limit {
			end, f = limit, faultCross
		}
	}
	start := off + cellHeaderSize
	return im.bins[start:end:end], allocated, f
}

// cell returns the payload of the cell at off and whether the cell is in use.
// The payload never reaches over the end of the cell or of its bin. With an
// error it is what could be read, or nil.
func (im *Image) cell(off cellOffset) (payload []byte, allocated bool, err error) {
	payload, allocated, f := im.raw(off)
	if f != faultNone {
		err = im.fault("cell", off, f)
	}
	return payload, allocated, err
}

// fault makes an error of a reference that leads to no sound cell.
func (im *Image) fault(structure string, off cellOffset, f fault) error {
	at := int64(off.file())
	if f >= faultNil {
		at = -1
	}
	return &hive.FormatError{File: im.file, Struct: structure, Offset: at, Want: "a cell", Found: fmt.Sprintf("%s (%s)", f, off)}
}

// record returns the payload of the cell at off if it is at least size bytes
// long and begins with the signature.
func (im *Image) record(structure string, off cellOffset, signature string, size int) ([]byte, error) {
	payload, _, f := im.raw(off)
	switch {
	case !f.readable():
		return nil, im.fault(structure, off, f)
	case len(payload) < size:
		return nil, im.shortCell(structure, off, size, len(payload))
	case string(payload[:2]) != signature:
		return nil, &hive.FormatError{
			File: im.file, Struct: structure, Offset: int64(off.file() + cellHeaderSize),
			Want: fmt.Sprintf("%q", signature), Found: fmt.Sprintf("%q", payload[:2]),
		}
	}
	return payload, nil
}

func (im *Image) shortCell(structure string, off cellOffset, want, found int) error {
	return &hive.FormatError{
		File: im.file, Struct: structure, Offset: int64(off.file()),
		Want: fmt.Sprintf("a cell of %d bytes", want), Found: fmt.Sprintf("%d bytes", found),
	}
}

// key returns the key record at off, or says why there is none. Whether the
// cell is in use does not matter here: in a damaged hive a freed key that is
// still referred to is better read than lost. For the same reason a name that
// is too long for the cell is cut; see nk.name.
func (im *Image) key(off cellOffset) (nk, error) {
	if k := im.keyQuick(off); k != nil {
		return k, nil
	}
	_, err := im.record("nk", off, "nk", nkSize)
	return nil, err
}

// keyQuick is key without the reason: nil where there is no key.
func (im *Image) keyQuick(off cellOffset) nk {
	payload, _, _ := im.raw(off)
	if len(payload) < nkSize || string(nk(payload).signature()) != "nk" {
		return nil
	}
	return nk(payload)
}

// value returns the value record at off, or says why there is none. See key.
func (im *Image) value(off cellOffset) (vk, error) {
	if v := im.valueQuick(off); v != nil {
		return v, nil
	}
	_, err := im.record("vk", off, "vk", vkSize)
	return nil, err
}

// valueQuick is value without the reason: nil where there is no value.
func (im *Image) valueQuick(off cellOffset) vk {
	payload, _, _ := im.raw(off)
	if len(payload) < vkSize || string(vk(payload).signature()) != "vk" {
		return nil
	}
	return vk(payload)
}

// security returns the security record at off, its descriptor inside the payload.
func (im *Image) security(off cellOffset) (sk, error) {
	payload, err := im.record("sk", off, "sk", skSize)
	if err != nil {
		return nil, err
	}
	if s := sk(payload); uint64(s.descriptorLength()) <= uint64(len(s)-skSize) {
		return s, nil
	}
	return nil, im.shortCell("sk", off, skSize+int(min(sk(payload).descriptorLength(), 1<<30)), len(payload))
}

// list returns the list of subkeys at off: li, lf, lh or ri. Its elements may
// still be more than the cell holds; see list.elements.
func (im *Image) list(off cellOffset) (list, error) {
	payload, _, f := im.raw(off)
	switch {
	case !f.readable():
		return nil, im.fault("list of subkeys", off, f)
	case elementSize(string(payload[:2])) == 0:
		return nil, &hive.FormatError{
			File: im.file, Struct: "list of subkeys", Offset: int64(off.file() + cellHeaderSize),
			Want: `"li", "lf", "lh" or "ri"`, Found: fmt.Sprintf("%q", payload[:2]),
		}
	}
	return list(payload), nil
}

// listQuick is list without the reason: nil where there is no list.
func (im *Image) listQuick(off cellOffset) list {
	payload, _, f := im.raw(off)
	if !f.readable() || elementSize(string(payload[:2])) == 0 {
		return nil
	}
	return list(payload)
}

func (s sk) descriptor() []byte { return s[skSize : skSize+s.descriptorLength()] }
