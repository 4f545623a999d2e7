package witness

import (
	"encoding/binary"
	"unicode/utf16"

	"hivemend/hive"
)

// maker lays out small hives by hand, sound or not: it knows the format only
// as far as these tests need it, and shares no code with any reader.
type maker struct {
	bin   []byte
	minor uint32
}

func newMaker() *maker { return &maker{bin: make([]byte, 32), minor: 5} }

var le = binary.LittleEndian

// cell stores payload in a new cell and returns its offset.
func (m *maker) cell(payload []byte) uint32 {
	at := len(m.bin)
	size := (4 + len(payload) + 7) &^ 7
	m.bin = append(m.bin, make([]byte, size)...)
	le.PutUint32(m.bin[at:], uint32(-size))
	copy(m.bin[at+4:], payload)
	return uint32(at)
}

// list stores a list of subkeys: lf and lh have eight bytes an element.
func (m *maker) list(signature string, cells ...uint32) uint32 {
	b := append([]byte(signature), 0, 0)
	le.PutUint16(b[2:], uint16(len(cells)))
	for _, c := range cells {
		b = le.AppendUint32(b, c)
		if signature == "lf" || signature == "lh" {
			b = append(b, 0, 0, 0, 0)
		}
	}
	return m.cell(b)
}

func storedName(name string) (stored []byte, compressed bool) {
	for _, r := range name {
		if r > 0xff {
			for _, u := range utf16.Encode([]rune(name)) {
				stored = le.AppendUint16(stored, u)
			}
			return stored, false
		}
		stored = append(stored, byte(r))
	}
	return stored, true
}

// nk stores a key with a finished list of subkeys (0xffffffff: none).
func (m *maker) nk(name string, subkeys int, list uint32, values []uint32) uint32 {
	stored, compressed := storedName(name)
	b := make([]byte, 76, 76+len(stored))
	copy(b, "nk")
	if compressed {
		le.PutUint16(b[2:], keyCompName)
	}
	le.PutUint32(b[20:], uint32(subkeys))
	le.PutUint32(b[28:], list)
	le.PutUint32(b[32:], 0xffffffff)
	le.PutUint32(b[36:], uint32(len(values)))
	le.PutUint32(b[40:], 0xffffffff)
	if len(values) > 0 {
		var l []byte
		for _, v := range values {
			l = le.AppendUint32(l, v)
		}
		le.PutUint32(b[40:], m.cell(l))
	}
	le.PutUint16(b[72:], uint16(len(stored)))
	return m.cell(append(b, stored...))
}

// vk stores a value; data of up to four bytes stands in the record, followed
// by junk.
func (m *maker) vk(v hive.NodeValue) uint32 {
	stored, compressed := storedName(v.Name)
	b := make([]byte, 20, 20+len(stored))
	copy(b, "vk")
	le.PutUint16(b[2:], uint16(len(stored)))
	le.PutUint32(b[4:], uint32(len(v.Data)))
	if len(v.Data) <= 4 {
		le.PutUint32(b[4:], uint32(len(v.Data))|inlineData)
		copy(b[8:12], "JUNK")
		copy(b[8:12], v.Data)
	} else {
		le.PutUint32(b[8:], m.cell(v.Data))
	}
	le.PutUint32(b[12:], uint32(v.Type))
	if compressed {
		b[16] = valueCompName
	}
	return m.cell(append(b, stored...))
}

// tree stores a whole tree, each key's subkeys in one lf list.
func (m *maker) tree(n *hive.Node) uint32 {
	var keys, values []uint32
	for _, k := range n.Keys {
		keys = append(keys, m.tree(k))
	}
	for _, v := range n.Values {
		values = append(values, m.vk(v))
	}
	list := uint32(0xffffffff)
	if len(keys) > 0 {
		list = m.list("lf", keys...)
	}
	return m.nk(n.Name, len(keys), list, values)
}

// hive returns the finished file with the given root cell.
func (m *maker) hive(root uint32) []byte {
	size := (len(m.bin) + 4095) &^ 4095
	bin := make([]byte, size)
	copy(bin, m.bin)
	copy(bin, "hbin")
	le.PutUint32(bin[8:], uint32(size))
	if free := size - len(m.bin); free > 0 {
		le.PutUint32(bin[len(m.bin):], uint32(free))
	}
	base := make([]byte, 4096)
	copy(base, "regf")
	le.PutUint32(base[4:], 1)
	le.PutUint32(base[8:], 1)
	le.PutUint32(base[20:], 1)
	le.PutUint32(base[24:], m.minor)
	le.PutUint32(base[32:], 1)
	le.PutUint32(base[36:], root)
	le.PutUint32(base[40:], uint32(size))
	le.PutUint32(base[44:], 1)
	var sum uint32
	for i := 0; i < 508; i += 4 {
		sum ^= le.Uint32(base[i:])
	}
	le.PutUint32(base[508:], sum)
	return append(base, bin...)
}

func makeHive(n *hive.Node) []byte {
	m := newMaker()
	return m.hive(m.tree(n))
}
