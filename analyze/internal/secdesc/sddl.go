package secdesc

import (
	"fmt"
	"strings"
)

// SDDL returns the descriptor in the security descriptor definition language
// (MS-DTYP 2.5.1). Entries of types that the language has no word for, or
// whose conditions are not decoded, are written as far as they are known.
func (d *Descriptor) SDDL() string {
	var b strings.Builder
	if d.Owner != "" {
		b.WriteString("O:" + d.Owner.sddl())
	}
	if d.Group != "" {
		b.WriteString("G:" + d.Group.sddl())
	}
	list := func(letter string, present bool, a *ACL, protected, inherited uint16) {
		if !present {
			return
		}
		b.WriteString(letter)
		if d.Control&protected != 0 {
			b.WriteString("P")
		}
		if d.Control&inherited != 0 {
			b.WriteString("AI")
		}
		if a == nil {
			b.WriteString("NO_ACCESS_CONTROL")
			return
		}
		for _, ace := range a.ACEs {
			b.WriteString(ace.sddl())
		}
	}
	list("D:", d.Control&daclPresent != 0, d.DACL, daclProtected, daclAutoInherited)
	list("S:", d.Control&saclPresent != 0 && d.SACL != nil, d.SACL, saclProtected, saclAutoInherited)
	return b.String()
}

var flagLetters = []struct {
	bit     byte
	letters string
}{{0x01, "OI"}, {0x02, "CI"}, {0x04, "NP"}, {0x08, "IO"}, {0x10, "ID"}, {0x40, "SA"}, {0x80, "FA"}}

// maskWords are the rights that SDDL writes as one word for keys.
var maskWords = map[uint32]string{
	KeyAll: "KA", KeyRead: "KR", KeyWrite: "KW", genericAll: "GA", genericRead: "GR", genericWrite: "GW", genericExecute: "GX",
}

// labelWords are those of an integrity label.
var labelWords = []struct {
	bit   uint32
	words string
}{{1, "NW"}, {2, "NR"}, {4, "NX"}}

func (a ACE) sddl() string {
	typ := typeLetters[a.Type]
	if typ == "" {
		typ = fmt.Sprintf("%#x", a.Type)
	}
	var flags strings.Builder
	for _, f := range flagLetters {
		if a.Flags&f.bit != 0 {
			flags.WriteString(f.letters)
		}
	}
	return fmt.Sprintf("(%s;%s;%s;%s;%s;%s)", typ, flags.String(), a.rights(), a.Object, a.Inherited, a.SID.sddl())
}

func (a ACE) rights() string {
	if a.Type == typeLabel {
		var b strings.Builder
		rest := a.Mask
		for _, l := range labelWords {
			if rest&l.bit != 0 {
				b.WriteString(l.words)
				rest &^= l.bit
			}
		}
		if rest == 0 && b.Len() > 0 {
			return b.String()
		}
	} else if w := maskWords[a.Mask]; w != "" {
		return w
	}
	return fmt.Sprintf("%#x", a.Mask)
}
