package regf

import (
	"encoding/binary"
	"fmt"
)

// This file is the one place that says where a field lies. Reader, checker,
// replayer, editor and builder all go through these accessors, so a structure
// is laid out once. An accessor takes a record that is at least as long as its
// fixed part (the constants ending in Size); the functions that hand records
// out have made sure of that.
//
// Sources: the regf specification of msuhanov, held against hives that Windows
// wrote; where a field's use was only observed, its comment says so.

var le = binary.LittleEndian

// cellOffset is where a cell begins (at its size field), counted in bytes from
// the first bin. fileOffset counts from the start of the file. They are types
// so that one is never taken for the other.
type (
	cellOffset uint32
	fileOffset int64
)

// noCell stands in a reference field that refers to nothing.
const noCell cellOffset = 0xffffffff

// volatileBit marks a reference to memory that is never stored; in a file no
// reference may carry it.
const volatileBit cellOffset = 1 << 31

func (c cellOffset) file() fileOffset { return binsStart + fileOffset(c) }
func (c cellOffset) String() string   { return fmt.Sprintf("%#x", uint32(c)) }
func (f fileOffset) cell() cellOffset { return cellOffset(f - binsStart) }
func (f fileOffset) String() string   { return fmt.Sprintf("%#x", int64(f)) }

// Sizes that the format fixes, in bytes.
const (
	baseBlockSize  = 4096 // the base block; only the first 512 bytes count
	binsStart      = 4096 // where the first bin lies in the file
	binUnit        = 4096 // bins are multiples of this
	binHeaderSize  = 32
	cellHeaderSize = 4 // the size field; |size| includes it
	cellUnit       = 8 // cells are multiples of this
	nkSize         = 76
	vkSize         = 20
	skSize         = 20
	listHeaderSize = 4
	dbSize         = 8

	// segmentSize is how many bytes of data one segment of big data holds,
	// and the longest data that an ordinary cell holds from version 1.4 on.
	segmentSize = 16344

	maxBins = 1<<31 - binUnit // bit 31 of a reference is taken
)

// baseBlock is the first 4096 bytes of a hive, or the first 512 of a log.
type baseBlock []byte

func (b baseBlock) signature() []byte     { return b[0:4] }
func (b baseBlock) sequence1() uint32     { return le.Uint32(b[4:]) }
func (b baseBlock) sequence2() uint32     { return le.Uint32(b[8:]) }
func (b baseBlock) lastWritten() uint64   { return le.Uint64(b[12:]) }
func (b baseBlock) major() uint32         { return le.Uint32(b[20:]) }
func (b baseBlock) minor() uint32         { return le.Uint32(b[24:]) }
func (b baseBlock) fileType() uint32      { return le.Uint32(b[28:]) } // 0 hive, 1 and 2 old log, 6 new log
func (b baseBlock) format() uint32        { return le.Uint32(b[32:]) } // 1: direct memory load
func (b baseBlock) root() cellOffset      { return cellOffset(le.Uint32(b[36:])) }
func (b baseBlock) length() uint32        { return le.Uint32(b[40:]) } // of all bins together
func (b baseBlock) cluster() uint32       { return le.Uint32(b[44:]) }
func (b baseBlock) fileName() []byte      { return b[48:112] }          // UTF-16LE, the tail of the path
func (b baseBlock) flags() uint32         { return le.Uint32(b[144:]) } // see flagsValid
func (b baseBlock) guidSignature() []byte { return b[164:168] }         // "rmtm" where flags and GUIDs mean something
func (b baseBlock) reorganized() uint64   { return le.Uint64(b[168:]) }
func (b baseBlock) offreg() []byte        { return b[176:180] } // "OfRg" where offreg.dll saved the hive
func (b baseBlock) checksum() uint32      { return le.Uint32(b[508:]) }

func (b baseBlock) setSignature()           { copy(b[0:4], "regf") }
func (b baseBlock) setSequence1(v uint32)   { le.PutUint32(b[4:], v) }
func (b baseBlock) setSequence2(v uint32)   { le.PutUint32(b[8:], v) }
func (b baseBlock) setLastWritten(v uint64) { le.PutUint64(b[12:], v) }
func (b baseBlock) setMajor(v uint32)       { le.PutUint32(b[20:], v) }
func (b baseBlock) setMinor(v uint32)       { le.PutUint32(b[24:], v) }
func (b baseBlock) setFileType(v uint32)    { le.PutUint32(b[28:], v) }
func (b baseBlock) setFormat(v uint32)      { le.PutUint32(b[32:], v) }
func (b baseBlock) setRoot(v cellOffset)    { le.PutUint32(b[36:], uint32(v)) }
func (b baseBlock) setLength(v uint32)      { le.PutUint32(b[40:], v) }
func (b baseBlock) setCluster(v uint32)     { le.PutUint32(b[44:], v) }
func (b baseBlock) setFlags(v uint32)       { le.PutUint32(b[144:], v) }
func (b baseBlock) setChecksum(v uint32)    { le.PutUint32(b[508:], v) }

// computeChecksum returns what the checksum field has to hold: the exclusive
// or of the 127 numbers before it, with 0 and -1 replaced by 1 and -2.
func (b baseBlock) computeChecksum() uint32 {
	var sum uint32
	for i := 0; i < 508; i += 4 {
		sum ^= le.Uint32(b[i:])
	}
	switch sum {
	case 0:
		return 1
	case 0xffffffff:
		return 0xfffffffe
	}
	return sum
}

// flagsValid reports whether the flags and GUIDs mean something. Before Vista
// these bytes are whatever lay in memory.
func (b baseBlock) flagsValid() bool {
	return string(b.guidSignature()) == "rmtm" || string(b.offreg()) == "OfRg"
}

// Flags of the base block.
const (
	baseFlagPending = 1 // transactions are pending in the .blf and .regtrans-ms files beside the hive
	baseFlagLayered = 2 // layered keys (containers), from version 1.6 on
)

// binHeader is the first 32 bytes of a bin.
type binHeader []byte

func (b binHeader) signature() []byte  { return b[0:4] }
func (b binHeader) offset() cellOffset { return cellOffset(le.Uint32(b[4:])) } // of the bin itself, from the first bin
func (b binHeader) size() uint32       { return le.Uint32(b[8:]) }
func (b binHeader) timestamp() uint64  { return le.Uint64(b[20:]) } // first bin only: a copy of the base block's

func (b binHeader) setSignature()          { copy(b[0:4], "hbin") }
func (b binHeader) setOffset(v cellOffset) { le.PutUint32(b[4:], uint32(v)) }
func (b binHeader) setSize(v uint32)       { le.PutUint32(b[8:], v) }
func (b binHeader) setTimestamp(v uint64)  { le.PutUint64(b[20:], v) }

// nk is the payload of a key's cell. Nothing here uses the bytes at 12 (access
// bits since Windows 8), 13 (the layer, in 1.6), 32 (the list of subkeys in
// memory) and 68 (a cache of Windows 2000): they stay as they are.
type nk []byte

func (k nk) signature() []byte      { return k[0:2] }
func (k nk) flags() uint16          { return le.Uint16(k[2:]) }
func (k nk) lastWritten() uint64    { return le.Uint64(k[4:]) }
func (k nk) parent() cellOffset     { return cellOffset(le.Uint32(k[16:])) }
func (k nk) subkeyCount() uint32    { return le.Uint32(k[20:]) }
func (k nk) volatileCount() uint32  { return le.Uint32(k[24:]) } // means nothing in a file
func (k nk) subkeyList() cellOffset { return cellOffset(le.Uint32(k[28:])) }
func (k nk) valueCount() uint32     { return le.Uint32(k[36:]) }
func (k nk) valueList() cellOffset  { return cellOffset(le.Uint32(k[40:])) } // may be stale where the count is 0
func (k nk) security() cellOffset   { return cellOffset(le.Uint32(k[44:])) }
func (k nk) class() cellOffset      { return cellOffset(le.Uint32(k[48:])) }
func (k nk) maxSubkeyName() uint16  { return le.Uint16(k[52:]) } // longest subkey name, in bytes of UTF-16
func (k nk) virtFlags() byte        { return k[54] }             // low half user flags, high half virtualisation flags
func (k nk) maxSubkeyClass() uint32 { return le.Uint32(k[56:]) } // in bytes
func (k nk) maxValueName() uint32   { return le.Uint32(k[60:]) } // in bytes of UTF-16
func (k nk) maxValueData() uint32   { return le.Uint32(k[64:]) } // in bytes
func (k nk) nameLength() uint16     { return le.Uint16(k[72:]) } // in bytes as stored
func (k nk) classLength() uint16    { return le.Uint16(k[74:]) } // in bytes
func (k nk) compressed() bool       { return k.flags()&nkCompressed != 0 }

func (k nk) setSignature()                { copy(k[0:2], "nk") }
func (k nk) setFlags(v uint16)            { le.PutUint16(k[2:], v) }
func (k nk) setLastWritten(v uint64)      { le.PutUint64(k[4:], v) }
func (k nk) setParent(v cellOffset)       { le.PutUint32(k[16:], uint32(v)) }
func (k nk) setSubkeyCount(v uint32)      { le.PutUint32(k[20:], v) }
func (k nk) setSubkeyList(v cellOffset)   { le.PutUint32(k[28:], uint32(v)) }
func (k nk) setVolatileList(v cellOffset) { le.PutUint32(k[32:], uint32(v)) }
func (k nk) setValueCount(v uint32)       { le.PutUint32(k[36:], v) }
func (k nk) setValueList(v cellOffset)    { le.PutUint32(k[40:], uint32(v)) }
func (k nk) setSecurity(v cellOffset)     { le.PutUint32(k[44:], uint32(v)) }
func (k nk) setClass(v cellOffset)        { le.PutUint32(k[48:], uint32(v)) }
func (k nk) setMaxSubkeyName(v uint16)    { le.PutUint16(k[52:], v) }
func (k nk) setVirtFlags(v byte)          { k[54] = v }
func (k nk) setMaxSubkeyClass(v uint32)   { le.PutUint32(k[56:], v) }
func (k nk) setMaxValueName(v uint32)     { le.PutUint32(k[60:], v) }
func (k nk) setMaxValueData(v uint32)     { le.PutUint32(k[64:], v) }
func (k nk) setNameLength(v uint16)       { le.PutUint16(k[72:], v) }
func (k nk) setClassLength(v uint16)      { le.PutUint16(k[74:], v) }

// Flags of an nk.
const (
	nkVolatile   = 0x0001
	nkExit       = 0x0002 // a mount point
	nkRoot       = 0x0004
	nkNoDelete   = 0x0008
	nkSymlink    = 0x0010
	nkCompressed = 0x0020 // the name is stored one byte a character
	nkPredefined = 0x0040 // the value count is a handle; such a key has no values
)

// vk is the payload of a value's cell.
type vk []byte

func (v vk) signature() []byte  { return v[0:2] }
func (v vk) nameLength() uint16 { return le.Uint16(v[2:]) } // in bytes as stored
func (v vk) dataSize() uint32   { return le.Uint32(v[4:]) } // with inlineBit
func (v vk) data() cellOffset   { return cellOffset(le.Uint32(v[8:])) }
func (v vk) inline() []byte     { return v[8:12] } // the data itself where inlineBit is set
func (v vk) valueType() uint32  { return le.Uint32(v[12:]) }
func (v vk) flags() uint16      { return le.Uint16(v[16:]) }
func (v vk) compressed() bool   { return v.flags()&vkCompressed != 0 }
func (v vk) isInline() bool     { return v.dataSize()&inlineBit != 0 }

func (v vk) setSignature()          { copy(v[0:2], "vk") }
func (v vk) setNameLength(n uint16) { le.PutUint16(v[2:], n) }
func (v vk) setDataSize(n uint32)   { le.PutUint32(v[4:], n) }
func (v vk) setData(c cellOffset)   { le.PutUint32(v[8:], uint32(c)) }
func (v vk) setValueType(t uint32)  { le.PutUint32(v[12:], t) }
func (v vk) setFlags(f uint16)      { le.PutUint16(v[16:], f) }

// inlineBit in a vk's data size says that the data, at most 4 bytes, stands in
// the vk itself.
const inlineBit = 1 << 31

// Flags of a vk.
const (
	vkCompressed = 1 // the name is stored one byte a character
	vkTombstone  = 2 // 1.6: the value is deleted in this layer
)

// sk is the payload of a security cell; the cells form a ring.
type sk []byte

func (s sk) signature() []byte        { return s[0:2] }
func (s sk) next() cellOffset         { return cellOffset(le.Uint32(s[4:])) }
func (s sk) previous() cellOffset     { return cellOffset(le.Uint32(s[8:])) }
func (s sk) references() uint32       { return le.Uint32(s[12:]) } // how many keys use it
func (s sk) descriptorLength() uint32 { return le.Uint32(s[16:]) }

func (s sk) setSignature()                { copy(s[0:2], "sk") }
func (s sk) setNext(c cellOffset)         { le.PutUint32(s[4:], uint32(c)) }
func (s sk) setPrevious(c cellOffset)     { le.PutUint32(s[8:], uint32(c)) }
func (s sk) setReferences(n uint32)       { le.PutUint32(s[12:], n) }
func (s sk) setDescriptorLength(n uint32) { le.PutUint32(s[16:], n) }

// list is the payload of a cell that lists subkeys: li, lf and lh hold keys,
// ri holds other lists.
type list []byte

func (l list) kind() string      { return string(l[0:2]) }
func (l list) count() uint16     { return le.Uint16(l[2:]) }
func (l list) setKind(k string)  { copy(l[0:2], k) }
func (l list) setCount(n uint16) { le.PutUint16(l[2:], n) }

// elementSize is the length in bytes of one element of a list of that kind, or
// 0 where there is no such kind.
func elementSize(kind string) int {
	switch kind {
	case "li", "ri":
		return 4
	case "lf", "lh":
		return 8
	}
	return 0
}

// db is the payload of a big data record.
type db []byte

func (d db) signature() []byte        { return d[0:2] }
func (d db) count() uint16            { return le.Uint16(d[2:]) }
func (d db) segments() cellOffset     { return cellOffset(le.Uint32(d[4:])) }
func (d db) setSignature()            { copy(d[0:2], "db") }
func (d db) setCount(n uint16)        { le.PutUint16(d[2:], n) }
func (d db) setSegments(c cellOffset) { le.PutUint32(d[4:], uint32(c)) }

// What each minor version of the format brought.
func hasFastLeaf(minor uint32) bool { return minor >= 3 } // lf
func hasBigData(minor uint32) bool  { return minor >= 4 } // db
func hasHashLeaf(minor uint32) bool { return minor >= 5 } // lh

// leafKind is the kind of list that Windows makes in a hive of that version.
func leafKind(minor uint32) string {
	switch {
	case hasHashLeaf(minor):
		return "lh"
	case hasFastLeaf(minor):
		return "lf"
	}
	return "li"
}
