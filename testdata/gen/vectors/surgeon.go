package vectors

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// A surgeon changes single fields of a hive. It knows just enough of the regf
// format to find them, and nothing of package regf, which is to find what it
// did. It works on hives of version 1.5 that Build made, and panics where it
// does not find its way.
type surgeon struct{ data []byte }

// Offsets in the base block.
const (
	baseSequence1  = 4
	baseTime       = 12
	baseMajor      = 20
	baseMinor      = 24
	baseType       = 28
	baseFormat     = 32
	baseRoot       = 36
	baseLength     = 40
	baseCluster    = 44
	baseFlags      = 144
	baseRmtm       = 164
	baseOfRg       = 176
	baseChecksum   = 508
	baseSize       = 4096
	binHeaderSize  = 32
	binSize        = 8  // in the header of a bin
	binTime        = 20 // likewise
	nilOffset      = 0xffffffff
	nkFlags        = 2 // in an nk record, from its signature
	nkParent       = 16
	nkSubkeyCount  = 20
	nkVolatile     = 24
	nkSubkeyList   = 28
	nkValueCount   = 36
	nkValueList    = 40
	nkSecurity     = 44
	nkClass        = 48
	nkMaxNameLen   = 52
	nkNameLength   = 72
	nkClassLength  = 74
	nkName         = 76
	vkNameLength   = 2 // in a vk record
	vkDataSize     = 4
	vkData         = 8
	vkFlags        = 16
	vkName         = 20
	skFlink        = 4 // in an sk record
	skBlink        = 8
	skReferences   = 12
	skLength       = 16
	skDescriptor   = 20
	compressedName = 0x20
)

func (s *surgeon) u16(at int) uint16       { return binary.LittleEndian.Uint16(s.data[at:]) }
func (s *surgeon) u32(at int) uint32       { return binary.LittleEndian.Uint32(s.data[at:]) }
func (s *surgeon) put16(at int, n uint16)  { binary.LittleEndian.PutUint16(s.data[at:], n) }
func (s *surgeon) put32(at int, n uint32)  { binary.LittleEndian.PutUint32(s.data[at:], n) }
func (s *surgeon) put(at int, text string) { copy(s.data[at:], text) }

// payload returns where in the file the cell's payload lies; offset is one as
// stored in the hive.
func (s *surgeon) payload(offset uint32) int { return baseSize + int(offset) + 4 }

// offset is the inverse of payload.
func (s *surgeon) offset(payload int) uint32 { return uint32(payload - baseSize - 4) }

// checksum puts the base block's checksum right.
func (s *surgeon) checksum() {
	sum := uint32(0)
	for at := 0; at < baseChecksum; at += 4 {
		sum ^= s.u32(at)
	}
	switch sum {
	case 0:
		sum = 1
	case 0xffffffff:
		sum = 0xfffffffe
	}
	s.put32(baseChecksum, sum)
}

// key returns where the nk record of the key at path lies.
func (s *surgeon) key(path ...string) int {
	at := s.payload(s.u32(baseRoot))
	for _, name := range path {
		at = s.subkey(at, name)
	}
	return at
}

func (s *surgeon) subkey(nk int, name string) int {
	for i := range int(s.u32(nk + nkSubkeyCount)) {
		if sub := s.payload(s.u32(s.entry(nk, i))); strings.EqualFold(s.nkNameText(sub), name) {
			return sub
		}
	}
	panic(fmt.Sprintf("no key %s", name))
}

func (s *surgeon) nkNameText(nk int) string {
	return string(s.data[nk+nkName:][:s.u16(nk+nkNameLength)])
}

// list returns where the list of subkeys of the key at nk lies.
func (s *surgeon) list(nk int) int { return s.payload(s.u32(nk + nkSubkeyList)) }

// entry returns where entry i of the list of subkeys of the key at nk lies.
func (s *surgeon) entry(nk, i int) int { return s.list(nk) + 4 + 8*i }

// value returns where the vk record of a value of the key at nk lies.
func (s *surgeon) value(nk int, name string) int {
	for i := range int(s.u32(nk + nkValueCount)) {
		vk := s.payload(s.u32(s.payload(s.u32(nk+nkValueList)) + 4*i))
		if string(s.data[vk+vkName:][:s.u16(vk+vkNameLength)]) == name {
			return vk
		}
	}
	panic(fmt.Sprintf("no value %q", name))
}

// free returns where the first cell lies that is free, and its size.
func (s *surgeon) free() (cell, size int) {
	for at := baseSize + binHeaderSize; at < len(s.data); {
		n := int(int32(s.u32(at)))
		if n > 0 {
			return at, n
		}
		at -= n
	}
	panic("no cell is free")
}

// alloc takes a cell with room for n bytes from the first free one, and
// returns where its payload lies, all zero.
func (s *surgeon) alloc(n int) int {
	size := (n + 4 + 7) &^ 7
	cell, room := s.free()
	if room < size+8 {
		panic("the free cell is too small")
	}
	s.put32(cell, uint32(-size))
	s.put32(cell+size, uint32(room-size))
	clear(s.data[cell+4 : cell+size])
	return cell + 4
}

// hash is the one that a list of type lh stores for a name of ASCII letters.
func hash(name string) uint32 {
	h := uint32(0)
	for _, c := range []byte(strings.ToUpper(name)) {
		h = h*37 + uint32(c)
	}
	return h
}
