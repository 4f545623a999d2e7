package regf

import (
	"bytes"
	"fmt"

	"hivemend/hive"
)

// SetValue gives the value of that name below the hive's root type and data,
// and creates the value and the keys above it where they are missing. "" is
// the default value. One that already has this type and data is left alone,
// and so is its key's time.
//
// It refuses names and data that this version of the format cannot hold, and
// keys whose values are not values: predefined handles (never forced) and
// symbolic links.
func (e *Editor) SetValue(path hive.Path, name string, typ hive.Type, data []byte) error {
	return e.run(fmt.Sprintf("set value %s in %s", hive.ValueLabel(name), keyLabel(path)), func() error {
		if problem := valueProblem(e.im.minor, name, len(data)); problem != "" {
			return refuse("%s", problem)
		}
		key, err := e.makeKey(path)
		if err != nil {
			return err
		}
		if err := e.admitValueEdit(key, path); err != nil {
			return err
		}
		stored := encodeName(name)
		_, value, err := e.findValue(key, stored)
		if err != nil {
			return err
		}
		if value == noCell {
			return e.addValue(key, stored, typ, data)
		}
		return e.changeValue(key, value, typ, data)
	})
}

// DeleteValue deletes the value of that name below the hive's root. One that
// is not there is no error and no change.
func (e *Editor) DeleteValue(path hive.Path, name string) error {
	return e.run(fmt.Sprintf("delete value %s in %s", hive.ValueLabel(name), keyLabel(path)), func() error {
		key, missing, _, err := e.lookup(path)
		if err != nil || len(missing) > 0 {
			return err
		}
		if err := e.admitValueEdit(key, path); err != nil {
			return err
		}
		index, value, err := e.findValue(key, encodeName(name))
		if err != nil || value == noCell {
			return err
		}
		if err := e.releaseValue(value); err != nil {
			return err
		}
		return e.removeValue(key, index)
	})
}

// admitValueEdit refuses keys whose values must not be edited.
func (e *Editor) admitValueEdit(key cellOffset, path hive.Path) error {
	k, err := e.key(key)
	if err != nil {
		return err
	}
	if k.flags()&nkPredefined != 0 {
		return refuse("the key is a predefined handle and has no values")
	}
	if k.flags()&nkSymlink != 0 {
		if err := e.unlessForced("the key is a symbolic link"); err != nil {
			return err
		}
	}
	return e.admitDefects(path)
}

// valueRefs returns a key's list of values.
func (e *Editor) valueRefs(k nk) ([]byte, error) {
	n := k.valueCount()
	if n == 0 {
		return nil, nil // what the list field holds then is stale
	}
	payload, err := e.used("list of values", k.valueList(), 4)
	if err != nil {
		return nil, err
	}
	if uint64(n) > uint64(len(payload)/4) {
		return nil, e.im.shortCell("list of values", k.valueList(), 4*int(min(n, maxBins/4)), len(payload))
	}
	return payload[:4*n], nil
}

// findValue returns the place in the key's list and the cell of the value of
// that name; noCell if there is none. Other values may be damaged.
func (e *Editor) findValue(key cellOffset, name storedName) (index int, value cellOffset, err error) {
	k, err := e.key(key)
	if err != nil {
		return 0, noCell, err
	}
	refs, err := e.valueRefs(k)
	if err != nil {
		return 0, noCell, err
	}
	value = noCell
	for i := 0; len(refs) > 0; refs, i = refs[4:], i+1 {
		c := reference(refs)
		v := e.im.valueQuick(c)
		if v == nil || compareNames(v.name(), name) != 0 {
			continue
		}
		if value != noCell {
			err := e.unlessForced("the key has two values of this name, at %s and %s", value.file(), c.file())
			return index, value, err
		}
		index, value = i, c
	}
	return index, value, nil
}

// addValue puts a new value at the end of the key's list.
func (e *Editor) addValue(key cellOffset, name storedName, typ hive.Type, data []byte) error {
	value, err := storeVK(e, name, key)
	if err != nil {
		return err
	}
	field, err := storeData(e, e.im.minor, data, value)
	if err != nil {
		return err
	}
	v := vk(e.fresh(value))
	v.setValueType(uint32(typ))
	field.put(v)
	if err := e.appendValue(key, value); err != nil {
		return err
	}
	k, err := e.writableKey(key)
	if err != nil {
		return err
	}
	k.setValueCount(k.valueCount() + 1)
	if w := uint32(name.wide()); w > k.maxValueName() {
		k.setMaxValueName(w)
	}
	e.noteData(k, len(data))
	return nil
}

// noteData raises what a key says about the longest data of its values, and
// gives it the time of the edit.
func (e *Editor) noteData(k nk, size int) {
	if uint32(size) > k.maxValueData() {
		k.setMaxValueData(uint32(size))
	}
	e.stamp(k)
}

// appendValue puts a reference behind the key's last value, in a new list if
// the old one is full. The caller raises the count.
func (e *Editor) appendValue(key, value cellOffset) error {
	k, err := e.key(key)
	if err != nil {
		return err
	}
	refs, err := e.valueRefs(k)
	if err != nil {
		return err
	}
	old := k.valueList()
	if len(refs) > 0 {
		payload, err := e.writable("list of values", old)
		if err != nil {
			return err
		}
		if len(refs)+4 <= len(payload) {
			le.PutUint32(payload[len(refs):], uint32(value))
			return nil
		}
	}
	refs = le.AppendUint32(bytes.Clone(refs), uint32(value))
	list, err := e.allocate(valueListRoom(len(refs)/4)*4, key)
	if err != nil {
		return err
	}
	copy(e.fresh(list), refs)
	if len(refs) > 4 {
		if err := e.release("list of values", old); err != nil {
			return err
		}
	}
	if k, err = e.writableKey(key); err != nil {
		return err
	}
	k.setValueList(list)
	return nil
}

// valueListRoom is for how many values a list gets room when it has to hold n:
// as in Windows exactly so many, from 100 on full hundreds.
func valueListRoom(n int) int {
	if n < 100 {
		return n
	}
	return (n + 99) / 100 * 100
}

// removeValue takes an element out of the key's list of values. What stood in
// the last place stays there, behind the count, unless freed bytes are to be
// zeroed.
func (e *Editor) removeValue(key cellOffset, index int) error {
	k, err := e.writableKey(key)
	if err != nil {
		return err
	}
	refs, err := e.valueRefs(k)
	if err != nil {
		return err
	}
	e.stamp(k)
	if k.setValueCount(k.valueCount() - 1); k.valueCount() == 0 {
		list := k.valueList()
		k.setValueList(noCell)
		k.setMaxValueName(0)
		k.setMaxValueData(0)
		return e.release("list of values", list)
	}
	if _, err := e.writable("list of values", k.valueList()); err != nil {
		return err
	}
	copy(refs[4*index:], refs[4*index+4:])
	if e.opt.Wipe {
		clear(refs[len(refs)-4:])
	}
	return nil
}

// changeValue gives an existing value type and data.
func (e *Editor) changeValue(key, value cellOffset, typ hive.Type, data []byte) error {
	v, err := e.value(value)
	if err != nil {
		return err
	}
	old, cells, err := e.valueData(v)
	if err == nil && hive.Type(v.valueType()) == typ && v.flags()&vkTombstone == 0 && bytes.Equal(old, data) {
		return nil
	}
	if err != nil {
		// What cannot be told apart from other records is left as it is.
		if !e.opt.Force {
			return err
		}
		cells = nil
	}
	field, reused, err := e.overwriteData(v, cells, data)
	if err != nil {
		return err
	}
	if !reused {
		if field, err = storeData(e, e.im.minor, data, value); err != nil {
			return err
		}
		for _, c := range cells {
			if err := e.release("value data", c); err != nil {
				return err
			}
		}
	}
	payload, err := e.writable("vk", value)
	if err != nil {
		return err
	}
	v = vk(payload)
	v.setValueType(uint32(typ))
	v.setFlags(v.flags() &^ vkTombstone)
	field.put(v)
	k, err := e.writableKey(key)
	if err != nil {
		return err
	}
	e.noteData(k, len(data))
	return nil
}

// overwriteData puts data where the value's old data lies, if it is kept in
// the same way and fits there.
func (e *Editor) overwriteData(v vk, cells []cellOffset, data []byte) (field dataField, reused bool, err error) {
	field = dataField{size: uint32(len(data)), ref: v.data()}
	big := len(data) > segmentSize && hasBigData(e.im.minor)
	switch {
	case len(data) <= 4 || len(cells) == 0:
		return dataField{}, false, nil
	case big && len(cells) > 2 && len(cells)-2 == (len(data)+segmentSize-1)/segmentSize:
		for _, segment := range cells[2:] {
			n := min(len(data), segmentSize)
			if err := e.overwrite(segment, data[:n]); err != nil {
				return dataField{}, false, err
			}
			data = data[n:]
		}
		return field, true, nil
	case !big && len(cells) == 1:
		payload, err := e.used("value data", cells[0], 0)
		if err != nil || len(payload) < len(data) {
			return dataField{}, false, err
		}
		if err := e.overwrite(cells[0], data); err != nil {
			return dataField{}, false, err
		}
		if len(payload) > 4*len(data)+256 {
			err = e.shrink("value data", cells[0], len(data))
		}
		return field, true, err
	}
	return dataField{}, false, nil
}

// overwrite puts data at the beginning of a cell. What stands behind it stays,
// unless freed bytes are to be zeroed.
func (e *Editor) overwrite(c cellOffset, data []byte) error {
	payload, err := e.writable("value data", c)
	if err != nil {
		return err
	}
	n := copy(payload, data)
	if e.opt.Wipe {
		clear(payload[n:])
	}
	return nil
}

// value returns the record of a value, in use and whole.
func (e *Editor) value(c cellOffset) (vk, error) {
	if _, err := e.used("vk", c, vkSize); err != nil {
		return nil, err
	}
	return e.im.value(c)
}

// valueData returns the data of a value and the cells that it lies in: none
// for data in the record itself, one for ordinary data; the db record, the
// list of segments and the segments for big data.
func (e *Editor) valueData(v vk) (data []byte, cells []cellOffset, err error) {
	size := v.dataSize() &^ inlineBit
	if v.isInline() {
		return v.inline()[:min(size, 4)], nil, nil
	}
	if size == 0 {
		return nil, nil, nil
	}
	payload, err := e.used("value data", v.data(), 0)
	switch {
	case err != nil:
		return nil, nil, err
	case uint64(size) <= uint64(len(payload)):
		return payload[:size], []cellOffset{v.data()}, nil
	case !e.im.isBigData(size, payload):
		return nil, nil, e.im.shortCell("value data", v.data(), int(min(size, maxBins)), len(payload))
	}
	d := db(payload)
	count := (uint64(size) + segmentSize - 1) / segmentSize
	if uint64(d.count()) != count {
		return nil, nil, &hive.FormatError{
			File: e.im.file, Struct: "big data", Offset: int64(v.data().file()) + cellHeaderSize + 2,
			Want: fmt.Sprintf("%d segments for %d bytes", count, size), Found: fmt.Sprint(d.count()),
		}
	}
	refs, err := e.used("list of data segments", d.segments(), 4*int(count))
	if err != nil {
		return nil, nil, err
	}
	cells = []cellOffset{v.data(), d.segments()}
	for rest := int(size); rest > 0; refs = refs[4:] {
		n := min(rest, segmentSize)
		segment, err := e.used("segment of data", reference(refs), n)
		if err != nil {
			return nil, nil, err
		}
		data = append(data, segment[:n]...)
		cells = append(cells, reference(refs))
		rest -= n
	}
	return data, cells, nil
}

// releaseValue frees a value and its data.
func (e *Editor) releaseValue(value cellOffset) error {
	v, err := e.value(value)
	if err != nil {
		return err
	}
	_, cells, err := e.valueData(v)
	if err != nil && !e.opt.Force {
		return err
	}
	for _, c := range cells {
		if err := e.release("value data", c); err != nil {
			return err
		}
	}
	return e.release("vk", value)
}
