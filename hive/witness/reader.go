package witness

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"hivemend/hive"

	"www.velocidex.com/golang/regparser"
)

// Limits that the format itself sets.
const (
	binsStart     = 4096 // cell offsets count from here
	noList        = 1<<32 - 1
	keyCompName   = 0x20  // nk flag: the name is stored one byte a character
	valueCompName = 1     // vk flag, likewise
	bigDataFrom   = 16344 // longer data is stored in segments, from version 1.4 on
	bigDataMinor  = 4
	inlineData    = 1 << 31 // in a data length: the data stands in the record itself
	sigRI, sigLI  = 0x6972, 0x696c
	sigLF, sigLH  = 0x666c, 0x686c
	sigDB         = 0x6264
)

// errWork is returned where reading a hive would take more work than any hive
// of its size can need: structures are shared that never are in a sound hive.
var errWork = errors.New("second reader: structures are shared, so that reading the hive would take more work than its size allows")

// A Reader reads one hive through regparser. It may be used by several
// goroutines at once.
type Reader struct {
	data     []byte
	registry *regparser.Registry
	minor    uint32
}

// Open returns a reader of the hive in data, which must have been found
// Bounded by hive/regf's Check and must not change while it is in use. It
// fails where regparser finds no hive or no root key.
func Open(data []byte) (r *Reader, err error) {
	defer recovered(&err)
	registry, err := regparser.NewRegistry(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("second reader: %w", err)
	}
	r = &Reader{data: data, registry: registry, minor: registry.BaseBlock.Minor()}
	if r.root() == nil {
		return nil, &hive.FormatError{Struct: "root key", Offset: binsStart + int64(registry.BaseBlock.RootCell()),
			Want: `an nk record`, Found: "something else (second reader)"}
	}
	return r, nil
}

// Value finds a value by the path of its key from the hive's root and by its
// name, both whatever the case, and returns its type and a copy of its data.
// found is false where there is no such key or value.
func (r *Reader) Value(path hive.Path, name string) (typ hive.Type, data []byte, found bool, err error) {
	defer recovered(&err)
	w := newWalk(r)
	node := r.root()
	for depth, component := range path {
		if depth >= hive.MaxDepth {
			return 0, nil, false, nil
		}
		nodes, err := w.subkeys(node)
		if err != nil {
			return 0, nil, false, err
		}
		if node = findKey(nodes, component); node == nil {
			return 0, nil, false, nil
		}
	}
	values, err := w.values(node)
	if err != nil {
		return 0, nil, false, err
	}
	for _, v := range values {
		if hive.EqualFold(valueName(v), name) {
			data, err := w.valueData(v)
			return hive.Type(v.Type()), data, true, err
		}
	}
	return 0, nil, false, nil
}

func findKey(nodes []*regparser.CM_KEY_NODE, name string) *regparser.CM_KEY_NODE {
	for _, node := range nodes {
		if hive.EqualFold(keyName(node), name) {
			return node
		}
	}
	return nil
}

// recovered turns a panic of regparser into an error: it slices data by a
// length that it did not check.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("second reader: gave up on this hive: %v", p)
	}
}

func (r *Reader) root() *regparser.CM_KEY_NODE {
	offset := binsStart + int64(r.registry.BaseBlock.RootCell())
	return r.registry.Profile.HCELL(r.registry.Reader, offset).KeyNode()
}

// walk bounds the work of one pass over a hive.
type walk struct {
	*Reader
	elements int64 // how many more list elements may be read
	bytes    int64 // how many more bytes of data may be read
}

// newWalk allows twice the elements, and four times the data, that a hive of
// this size can hold when nothing in it is shared.
func newWalk(r *Reader) *walk {
	return &walk{Reader: r, elements: int64(len(r.data)) / 2, bytes: 4 * int64(len(r.data))}
}

func (w *walk) spend(elements int64) error {
	if w.elements -= elements; w.elements < 0 {
		return errWork
	}
	return nil
}

// subkeys returns the subkeys of node in stored order.
func (w *walk) subkeys(node *regparser.CM_KEY_NODE) ([]*regparser.CM_KEY_NODE, error) {
	// A key without subkeys may keep a stale reference; regparser would follow it.
	if node.SubKeyCounts()[0] == 0 {
		return nil, nil
	}
	list := node.SubKeyLists()[0]
	if list == noList {
		return nil, nil
	}
	if err := w.checkList(list, true); err != nil {
		return nil, err
	}
	return node.Subkeys(), nil
}

// checkList refuses what regparser's recursion over lists does not survive: an
// index of indexes more than two levels deep. It also counts the elements.
func (w *walk) checkList(cell uint32, outer bool) error {
	at := binsStart + int64(cell) + 4
	if at+4 > int64(len(w.data)) {
		return nil // regparser reads zeros there and stops
	}
	signature := binary.LittleEndian.Uint16(w.data[at:])
	count := int64(binary.LittleEndian.Uint16(w.data[at+2:]))
	if err := w.spend(count); err != nil {
		return err
	}
	if signature != sigRI && signature != sigLI {
		return nil
	}
	if !outer && signature == sigRI {
		return &hive.FormatError{Struct: "list of subkeys", Offset: at, Want: "at most two levels of lists", Found: "a third (second reader)"}
	}
	for i := int64(0); i < count && at+4+4*i+4 <= int64(len(w.data)); i++ {
		child := binary.LittleEndian.Uint32(w.data[at+4+4*i:])
		if signature == sigRI {
			if err := w.checkList(child, false); err != nil {
				return err
			}
			continue
		}
		// regparser takes an element of an li for a list, too.
		if s := w.signature(child); s == sigRI || s == sigLI || s == sigLF || s == sigLH {
			return &hive.FormatError{Struct: "li list", Offset: at + 4 + 4*i, Want: "a key", Found: "a list (second reader)"}
		}
	}
	return nil
}

// signature returns the two signature bytes of a cell, 0 outside the file.
func (w *walk) signature(cell uint32) uint16 {
	at := binsStart + int64(cell) + 4
	if at+2 > int64(len(w.data)) {
		return 0
	}
	return binary.LittleEndian.Uint16(w.data[at:])
}

// values returns the values of node in stored order.
func (w *walk) values(node *regparser.CM_KEY_NODE) ([]*regparser.CM_KEY_VALUE, error) {
	list := node.ValueList()
	count := list.Count()
	if count == 0 {
		return nil, nil
	}
	if err := w.spend(int64(count)); err != nil {
		return nil, err
	}
	return node.Values(), nil
}

// valueData returns the data of v. regparser's own answer needs two
// corrections: data in the record itself comes padded to four bytes, and data
// that merely begins with "db" is taken for segments, though only data that is
// too long for one cell is ever stored so.
func (w *walk) valueData(v *regparser.CM_KEY_VALUE) ([]byte, error) {
	length := v.DataLength()
	size := int64(length &^ inlineData)
	if size > 4 || length&inlineData == 0 {
		if w.bytes -= size; w.bytes < 0 {
			return nil, errWork
		}
	}
	var data []byte
	if length&inlineData == 0 && (size <= bigDataFrom || w.minor < bigDataMinor) && w.signature(v.Data()) == sigDB {
		cell := w.registry.Profile.HCELL(w.registry.Reader, binsStart+int64(v.Data()))
		data = regparser.ParseSafeArray_byte(w.registry.Reader, cell.Payload(), int(size))
	} else {
		data = v.ValueData().Data
	}
	if int64(len(data)) < size {
		return data, fmt.Errorf("second reader: value %s: want %d bytes of data, found %d", hive.ValueLabel(valueName(v)), size, len(data))
	}
	return data[:size:size], nil
}

func keyName(node *regparser.CM_KEY_NODE) string {
	return decodeName(node.Name(), node.Flags()&keyCompName != 0)
}

func valueName(v *regparser.CM_KEY_VALUE) string {
	return decodeName(v.ValueName(), v.Flags()&valueCompName != 0)
}
