// Package secdesc decodes self-relative security descriptors (MS-DTYP 2.4.6),
// as a hive holds them for its keys, prints them as SDDL (MS-DTYP 2.5.1), and
// tells who may do what with a key.
package secdesc

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"hivemend/analyze/internal/verdict"
)

const headerLen = 20

// Control bits (MS-DTYP 2.4.6).
const (
	daclPresent       = 0x0004
	saclPresent       = 0x0010
	daclAutoInherited = 0x0400
	saclAutoInherited = 0x0800
	daclProtected     = 0x1000
	saclProtected     = 0x2000
	selfRelative      = 0x8000
)

// Rights over a registry key (MS-RRP 2.2.3; the generic ones MS-DTYP 2.4.3).
const (
	QueryValue      = 0x00000001
	SetValue        = 0x00000002
	CreateSubKey    = 0x00000004
	KeyRead         = 0x00020019
	KeyWrite        = 0x00020006
	KeyAll          = 0x000f003f
	genericAll      = 0x10000000
	genericExecute  = 0x20000000
	genericWrite    = 0x40000000
	genericRead     = 0x80000000
	inheritOnlyFlag = 0x08
)

// Descriptor is a decoded security descriptor.
type Descriptor struct {
	// Fault is the first that was met; its cause is empty, truncated or
	// structure.
	verdict.Fault
	Fields []verdict.Field // parts that share their bytes are listed once

	Control      uint16
	Owner, Group SID // "" where there is none
	// DACL says who may do what; nil where there is none: then everyone may
	// do everything. SACL says what is audited.
	DACL, SACL *ACL
}

// ACL is a list of access control entries.
type ACL struct {
	Revision byte
	ACEs     []ACE
}

// ACE is one access control entry.
type ACE struct {
	Type, Flags byte
	Mask        uint32
	SID         SID    // "" where the type is one that is not decoded
	Object      string // {GUID} of an object entry, or ""
	Inherited   string // {GUID} of the inheriting object, or ""
	// Offset and Length are where the entry stands, in bytes.
	Offset, Length int
}

// The types of entries (MS-DTYP 2.4.4.1).
const (
	typeAllow            = 0
	typeDeny             = 1
	typeAudit            = 2
	typeAllowObject      = 5
	typeDenyObject       = 6
	typeAuditObject      = 7
	typeAllowConditional = 9
	typeDenyConditional  = 10
	typeLabel            = 17
)

var typeLetters = map[byte]string{
	typeAllow: "A", typeDeny: "D", typeAudit: "AU", 3: "AL", typeAllowObject: "OA", typeDenyObject: "OD", typeAuditObject: "OU",
	typeAllowConditional: "XA", typeDenyConditional: "XD", 13: "XU", typeLabel: "ML", 18: "RA", 19: "SP", 20: "TL",
}

// Decode reads data, a self-relative security descriptor. It never fails:
// what is wrong stands in the result.
func Decode(data []byte) *Descriptor {
	d := &Descriptor{}
	if len(data) == 0 {
		d.fail(verdict.Empty, 0, 0, "The security descriptor is empty.")
		return d
	}
	if len(data) < headerLen {
		d.fail(verdict.Truncated, len(data), 0, "The security descriptor ends after %d bytes; its head alone has %d.", len(data), headerLen)
		d.field("not decoded", 0, len(data), verdict.Hex(data, 64))
		return d
	}
	d.Control = binary.LittleEndian.Uint16(data[2:])
	d.field("revision", 0, 1, fmt.Sprint(data[0]))
	d.field("resource manager", 1, 1, fmt.Sprint(data[1]))
	d.field("control", 2, 2, fmt.Sprintf("%#04x", d.Control))
	for i, name := range []string{"owner", "group", "SACL", "DACL"} {
		d.field("offset of the "+name, 4+4*i, 4, fmt.Sprint(binary.LittleEndian.Uint32(data[4+4*i:])))
	}
	if data[0] != 1 {
		d.fail(verdict.Structure, 0, 1, "The revision of the security descriptor is %d; 1 is due.", data[0])
	}
	if d.Control&selfRelative == 0 {
		d.fail(verdict.Structure, 2, 2, "The security descriptor is not in self-relative form.")
	}
	head := len(d.Fields)
	d.Owner = d.sid(data, 4, "owner")
	d.Group = d.sid(data, 8, "group")
	if d.Control&saclPresent != 0 {
		d.SACL = d.acl(data, 12, "SACL")
	}
	if d.Control&daclPresent != 0 {
		d.DACL = d.acl(data, 16, "DACL")
	}
	d.Fields = append(d.Fields[:head], inOrder(d.Fields[head:])...)
	return d
}

// inOrder returns the parts in the order in which they stand, each with its
// entries, without those that overlap an earlier one: a descriptor may have
// them in any order.
func inOrder(fields []verdict.Field) []verdict.Field {
	var parts [][]verdict.Field
	for _, f := range fields {
		if f.Depth == 0 {
			parts = append(parts, nil)
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], f)
	}
	slices.SortStableFunc(parts, func(a, b []verdict.Field) int { return a[0].Offset - b[0].Offset })
	var list []verdict.Field
	end := 0
	for _, part := range parts {
		if part[0].Offset >= end {
			list = append(list, part...)
			end = part[0].Offset + part[0].Length
		}
	}
	return list
}

func (d *Descriptor) fail(cause verdict.Cause, off, n int, format string, args ...any) {
	if d.Fault.Healthy() {
		d.Fault = verdict.Fault{Cause: cause, Detail: fmt.Sprintf(format, args...), FailingOffset: off, FailingLength: n}
	}
}

func (d *Descriptor) field(name string, off, n int, value string) {
	d.Fields = append(d.Fields, verdict.Field{Name: name, Offset: off, Length: n, Value: value})
}

// part returns what the offset stored at at points to; ok is false where it is
// zero or wrong.
func (d *Descriptor) part(data []byte, at int, name string) (off int, ok bool) {
	v := binary.LittleEndian.Uint32(data[at:])
	if v == 0 {
		return 0, false
	}
	if v < headerLen {
		d.fail(verdict.Structure, at, 4, "The %s is said to begin at offset %d, inside the head.", name, v)
		return 0, false
	}
	if uint64(v) >= uint64(len(data)) {
		d.fail(verdict.Truncated, at, 4, "The %s is said to begin at offset %d, but the security descriptor ends at %d.", name, v, len(data))
		return 0, false
	}
	return int(v), true
}

func (d *Descriptor) sid(data []byte, at int, name string) SID {
	off, ok := d.part(data, at, name)
	if !ok {
		return ""
	}
	s, n, short, ok := readSID(data[off:])
	switch {
	case short:
		d.fail(verdict.Truncated, off, len(data)-off, "The %s at offset %d is cut off.", name, off)
	case !ok:
		d.fail(verdict.Structure, off, min(8, len(data)-off), "The %s at offset %d is no security identifier.", name, off)
	default:
		d.field(name, off, n, s.String())
	}
	return s
}

func (d *Descriptor) acl(data []byte, at int, name string) *ACL {
	off, ok := d.part(data, at, name)
	if !ok && binary.LittleEndian.Uint32(data[at:]) == 0 {
		return nil
	}
	if !ok {
		return &ACL{} // it is there, but grants nothing that can be read
	}
	if len(data)-off < 8 {
		d.fail(verdict.Truncated, off, len(data)-off, "The %s at offset %d is cut off.", name, off)
		return &ACL{}
	}
	a := &ACL{Revision: data[off]}
	size, count := int(binary.LittleEndian.Uint16(data[off+2:])), int(binary.LittleEndian.Uint16(data[off+4:]))
	if size < 8 || a.Revision != 2 && a.Revision != 4 {
		d.fail(verdict.Structure, off, 8, "The %s at offset %d has revision %d and %d bytes.", name, off, a.Revision, size)
		return a
	}
	if size > len(data)-off {
		d.fail(verdict.Truncated, off+2, 2, "The %s at offset %d has %d bytes, but only %d are left.", name, off, size, len(data)-off)
		return a
	}
	d.field(name, off, size, fmt.Sprintf("%d entries", count))
	end := off + size
	pos := off + 8
	for i := range count {
		ace, ok := d.ace(data[:end], pos, fmt.Sprintf("entry %d of the %s", i, name))
		if !ok {
			return a
		}
		a.ACEs = append(a.ACEs, ace)
		d.Fields = append(d.Fields, verdict.Field{Name: fmt.Sprintf("entry %d", i), Offset: ace.Offset, Length: ace.Length, Value: ace.sddl(), Depth: 1})
		pos += ace.Length
	}
	return a
}

// ace reads the entry at off (MS-DTYP 2.4.4).
func (d *Descriptor) ace(data []byte, off int, name string) (ACE, bool) {
	if len(data)-off < 4 {
		d.fail(verdict.Structure, off, max(0, len(data)-off), "There is no room for %s at offset %d.", name, off)
		return ACE{}, false
	}
	a := ACE{Type: data[off], Flags: data[off+1], Offset: off, Length: int(binary.LittleEndian.Uint16(data[off+2:]))}
	if a.Length < 4 || a.Length > len(data)-off {
		d.fail(verdict.Structure, off+2, 2, "%s at offset %d is to have %d bytes; %d are left in the list.", upperFirst(name), off, a.Length, len(data)-off)
		return ACE{}, false
	}
	if _, known := typeLetters[a.Type]; !known || a.Length < 8 {
		return a, true
	}
	b := data[off : off+a.Length]
	a.Mask = binary.LittleEndian.Uint32(b[4:])
	rest := b[8:]
	if a.Type >= typeAllowObject && a.Type <= 8 {
		if rest = a.guids(rest); rest == nil {
			d.fail(verdict.Structure, off, a.Length, "%s at offset %d is too short for its type.", upperFirst(name), off)
			return a, true
		}
	}
	s, _, _, ok := readSID(rest)
	if !ok {
		d.fail(verdict.Structure, off, a.Length, "%s at offset %d holds no security identifier.", upperFirst(name), off)
		return a, true
	}
	a.SID = s
	return a, true
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// guids reads the identifiers of an object entry (MS-DTYP 2.4.4.3) and returns
// what follows them, nil where b is too short.
func (a *ACE) guids(b []byte) []byte {
	if len(b) < 4 {
		return nil
	}
	flags := binary.LittleEndian.Uint32(b)
	b = b[4:]
	for i, to := range []*string{&a.Object, &a.Inherited} {
		if flags&(1<<i) == 0 {
			continue
		}
		if len(b) < 16 {
			return nil
		}
		*to = guid(b)
		b = b[16:]
	}
	return b
}

func guid(b []byte) string {
	le := binary.LittleEndian
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", le.Uint32(b), le.Uint16(b[4:]), le.Uint16(b[6:]), b[8:10], b[10:16])
}

// Granted returns the rights over a registry key that someone has who holds
// all the given identifiers, by the order of the entries (MS-DTYP 2.5.3.2).
// Entries that are only inherited, and conditional and object ones, do not
// count. Without a DACL everyone has all rights; an owner's own rights are
// left out.
func (d *Descriptor) Granted(holder ...SID) uint32 {
	if d.DACL == nil {
		return KeyAll
	}
	var granted, denied uint32
	for _, a := range d.DACL.ACEs {
		if a.Flags&inheritOnlyFlag != 0 || !slices.Contains(holder, a.SID) {
			continue
		}
		switch mask := mapGeneric(a.Mask); a.Type {
		case typeAllow:
			granted |= mask &^ denied
		case typeDeny:
			denied |= mask &^ granted
		}
	}
	return granted
}

// MayWrite tells whether someone who holds all the given identifiers may set
// values of the key and create keys below it.
func (d *Descriptor) MayWrite(holder ...SID) bool {
	const write = SetValue | CreateSubKey
	return d.Granted(holder...)&write == write
}

// Writers returns, in the order of their entries, those who may set values of
// the key by an entry of their own.
func (d *Descriptor) Writers() []SID {
	if d.DACL == nil {
		return []SID{Everyone}
	}
	var list []SID
	for _, a := range d.DACL.ACEs {
		if a.SID != "" && !slices.Contains(list, a.SID) && d.Granted(a.SID)&SetValue != 0 {
			list = append(list, a.SID)
		}
	}
	return list
}

// mapGeneric replaces generic rights by what they mean for a key.
func mapGeneric(mask uint32) uint32 {
	for _, m := range []struct{ generic, specific uint32 }{
		{genericAll, KeyAll}, {genericWrite, KeyWrite}, {genericRead | genericExecute, KeyRead},
	} {
		if mask&m.generic != 0 {
			mask |= m.specific
		}
	}
	return mask
}
