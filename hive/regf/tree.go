package regf

import (
	"fmt"

	"hivemend/hive"
)

// tree is an Image as a hive.Store. A Ref is the offset of the cell of a key
// or value.
type tree struct{ *Image }

// Root returns the root key.
func (im tree) Root() hive.Ref { return hive.Ref(im.root) }

// KeyName returns the stored name of a key.
func (im tree) KeyName(key hive.Ref) string {
	if k := im.keyQuick(cellOffset(key)); k != nil {
		return k.name().text()
	}
	return ""
}

// KeyLastWrite returns when the key was last written.
func (im tree) KeyLastWrite(key hive.Ref) hive.FileTime {
	if k := im.keyQuick(cellOffset(key)); k != nil {
		return hive.FileTime(k.lastWritten())
	}
	return 0
}

// KeyFlags returns the flags of the key's record.
func (im tree) KeyFlags(key hive.Ref) uint16 {
	if k := im.keyQuick(cellOffset(key)); k != nil {
		return k.flags()
	}
	return 0
}

// KeyClass returns the class name as raw bytes, or nil if there is none that
// can be read whole.
func (im tree) KeyClass(key hive.Ref) []byte {
	k := im.keyQuick(cellOffset(key))
	if k == nil || k.classLength() == 0 {
		return nil
	}
	payload, _, _ := im.raw(k.class())
	if n := int(k.classLength()); n <= len(payload) {
		return payload[:n:n]
	}
	return nil
}

// KeySecurity returns the security descriptor, or nil if it cannot be read.
func (im tree) KeySecurity(key hive.Ref) []byte {
	k := im.keyQuick(cellOffset(key))
	if k == nil {
		return nil
	}
	s, err := im.security(k.security())
	if err != nil {
		return nil
	}
	return s.descriptor()
}

// KeyComplete reports whether the lists of subkeys and values of the key, and
// all that they refer to, can be read: only then is what is not seen there
// really absent.
func (im tree) KeyComplete(key hive.Ref) bool {
	k := im.keyQuick(cellOffset(key))
	if k == nil {
		return false
	}
	listed := uint32(0)
	whole := im.subkeys(cellOffset(key), func(cellOffset) bool { listed++; return true })
	if !whole || listed != k.subkeyCount() {
		return false
	}
	entries, whole := im.valueList(k)
	for ; len(entries) > 0 && whole; entries = entries[4:] {
		whole = im.valueQuick(reference(entries)) != nil
	}
	return whole
}

// KeyOrigin says where the key's record lies.
func (im tree) KeyOrigin(key hive.Ref) hive.Origin {
	k := im.keyQuick(cellOffset(key))
	if k == nil {
		return hive.Origin{}
	}
	return im.origin(cellOffset(key).file()+cellHeaderSize, nkSize+len(k.name().bytes))
}

// valueList returns the references in the key's list of values, and whether
// the list holds as many as the key counts. A count of 0 leaves the field of
// the list stale, and in a predefined key the count is a handle.
func (im *Image) valueList(k nk) (entries []byte, whole bool) {
	n := uint64(k.valueCount())
	if n == 0 || k.flags()&nkPredefined != 0 {
		return nil, true
	}
	payload, _, _ := im.raw(k.valueList())
	have := uint64(len(payload) / 4)
	return payload[:4*min(n, have)], n <= have
}

// Values calls yield for each value in stored order, passing over entries that
// lead to no value.
func (im tree) Values(key hive.Ref, yield func(hive.Ref) bool) {
	k := im.keyQuick(cellOffset(key))
	if k == nil {
		return
	}
	entries, _ := im.valueList(k)
	im.fetchValues(entries)
	for ; len(entries) > 0; entries = entries[4:] {
		off := reference(entries)
		if im.valueQuick(off) != nil && !yield(hive.Ref(off)) {
			return
		}
	}
}

// Value finds a value by name, whatever the case; "" is the default value.
func (im tree) Value(key hive.Ref, name string) (hive.Ref, bool) {
	k := im.keyQuick(cellOffset(key))
	if k == nil {
		return 0, false
	}
	w := want(name)
	entries, _ := im.valueList(k)
	for ; len(entries) > 0; entries = entries[4:] {
		off := reference(entries)
		if v := im.valueQuick(off); v != nil && w.is(v.name()) {
			return hive.Ref(off), true
		}
	}
	return 0, false
}

// ValueName returns the stored name of a value.
func (im tree) ValueName(value hive.Ref) string {
	if v := im.valueQuick(cellOffset(value)); v != nil {
		return v.name().text()
	}
	return ""
}

// ValueType returns the stored type of a value.
func (im tree) ValueType(value hive.Ref) hive.Type {
	if v := im.valueQuick(cellOffset(value)); v != nil {
		return hive.Type(v.valueType())
	}
	return 0
}

// ValueSize returns the length that the record claims for its data.
func (im tree) ValueSize(value hive.Ref) int64 {
	if v := im.valueQuick(cellOffset(value)); v != nil {
		return int64(v.dataSize() &^ inlineBit)
	}
	return 0
}

// ValueData returns the data of a value. It is a view into the hive, except
// for big data, which lies in pieces and is put together in a new slice. With
// an error it returns as much as could be read; data in a cell that is marked
// free is such a case, for it may be overwritten at any time.
func (im tree) ValueData(value hive.Ref) ([]byte, error) {
	v := im.valueQuick(cellOffset(value))
	if v == nil {
		_, err := im.value(cellOffset(value))
		return nil, err
	}
	size := v.dataSize() &^ inlineBit
	switch {
	case v.isInline() && size > 4:
		return v.inline(), &hive.FormatError{
			File: im.file, Struct: "vk", Offset: int64(cellOffset(value).file() + cellHeaderSize + 4),
			Want: "at most 4 bytes of data in the record itself", Found: fmt.Sprint(size),
		}
	case v.isInline():
		return v.inline()[:size:size], nil
	case size == 0:
		return nil, nil
	}
	payload, allocated, f := im.raw(v.data())
	if uint64(size) <= uint64(len(payload)) {
		return payload[:size:size], im.freeData(v.data(), allocated)
	}
	if im.isBigData(size, payload) {
		data, err := im.bigData(v.data(), db(payload), size)
		if err == nil {
			err = im.freeData(v.data(), allocated)
		}
		return data, err
	}
	if !f.readable() {
		return nil, im.fault("value data", v.data(), f)
	}
	return payload, im.shortCell("value data", v.data(), int(min(size, maxBins)), len(payload))
}

// freeData is the error of data that lies in a free cell.
func (im *Image) freeData(off cellOffset, allocated bool) error {
	if allocated {
		return nil
	}
	return &hive.FormatError{File: im.file, Struct: "value data", Offset: int64(off.file()), Want: "a cell in use", Found: "a free cell"}
}

// isBigData reports whether a cell that is too short for its value's data is
// the record of big data. The two letters alone prove nothing: ordinary data
// may begin with them.
func (im *Image) isBigData(size uint32, payload []byte) bool {
	return size > segmentSize && hasBigData(im.minor) && len(payload) >= dbSize && string(db(payload).signature()) == "db"
}

// bigData puts the segments of big data together. Nothing is allocated that
// the hive could not hold.
func (im *Image) bigData(off cellOffset, d db, size uint32) ([]byte, error) {
	if uint64(size) > uint64(len(im.bins)) {
		return nil, &hive.FormatError{
			File: im.file, Struct: "value data", Offset: int64(off.file()),
			Want: fmt.Sprintf("at most the %d bytes of the hive's bins", len(im.bins)), Found: fmt.Sprint(size),
		}
	}
	refs, _, f := im.raw(d.segments())
	if !f.readable() {
		return nil, im.fault("list of data segments", d.segments(), f)
	}
	refs = refs[:min(len(refs)/4, int(d.count()))*4]
	var data []byte
	var free error
	for rest := int(size); rest > 0; refs = refs[4:] {
		if len(refs) == 0 {
			return data, &hive.FormatError{
				File: im.file, Struct: "big data", Offset: int64(off.file()),
				Want: fmt.Sprintf("segments for %d bytes", size), Found: fmt.Sprintf("segments for %d", len(data)),
			}
		}
		segment, allocated, f := im.raw(reference(refs))
		n := min(rest, segmentSize)
		switch {
		case !f.readable():
			return data, im.fault("segment of data", reference(refs), f)
		case len(segment) < n:
			return append(data, segment...), im.shortCell("segment of data", reference(refs), n, len(segment))
		case !allocated && free == nil:
			free = im.freeData(reference(refs), false)
		}
		if data == nil {
			data = make([]byte, 0, size)
		}
		data = append(data, segment[:n]...)
		rest -= n
	}
	return data, free
}

// ValueOrigin says where the data of a value lies: in the record itself, in a
// cell of its own, or from the first segment of big data on.
func (im tree) ValueOrigin(value hive.Ref) hive.Origin {
	at := cellOffset(value)
	v := im.valueQuick(at)
	if v == nil {
		return hive.Origin{}
	}
	size := v.dataSize() &^ inlineBit
	if v.isInline() || size == 0 {
		return im.origin(at.file()+cellHeaderSize+8, int(min(size, 4)))
	}
	off := v.data()
	payload, _, _ := im.raw(off)
	if len(payload) < int(min(size, maxBins)) && im.isBigData(size, payload) {
		size = min(size, segmentSize)
		if refs, _, _ := im.raw(db(payload).segments()); len(refs) >= 4 {
			off = reference(refs)
			payload, _, _ = im.raw(off)
		}
	}
	if payload == nil {
		return im.origin(at.file()+cellHeaderSize, vkSize)
	}
	return im.origin(off.file()+cellHeaderSize, int(min(uint64(size), uint64(len(payload)))))
}
