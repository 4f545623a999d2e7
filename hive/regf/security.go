package regf

import (
	"fmt"

	"hivemend/hive/cursor"
)

// defaultDescriptor is the security descriptor that offreg.dll gives to the
// keys of a new hive: owner and group Administrators,
// full access for SYSTEM and Administrators, read access for Everyone
// and restricted code, all of it inherited by subkeys:
// O:BAG:BAD:(A;CI;KA;;;SY)(A;CI;KA;;;BA)(A;CI;KR;;;WD)(A;CI;KR;;;RC)
const defaultDescriptor = "" +
	"\x01\x00\x04\x80" + // revision 1; self-relative, with a DACL
	"\x70\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00\x14\x00\x00\x00" + // where owner, group, SACL (none) and DACL stand
	"\x02\x00\x5c\x00\x04\x00\x00\x00" + // DACL: revision 2, 92 bytes, 4 entries
	"\x00\x02\x14\x00\x3f\x00\x0f\x00" + sidSystem +
	"\x00\x02\x18\x00\x3f\x00\x0f\x00" + sidAdministrators +
	"\x00\x02\x14\x00\x19\x00\x02\x00" + sidEveryone +
	"\x00\x02\x14\x00\x19\x00\x02\x00" + sidRestricted +
	sidAdministrators + sidAdministrators // owner, group

const (
	sidSystem         = "\x01\x01\x00\x00\x00\x00\x00\x05\x12\x00\x00\x00"                 // S-1-5-18
	sidAdministrators = "\x01\x02\x00\x00\x00\x00\x00\x05\x20\x00\x00\x00\x20\x02\x00\x00" // S-1-5-32-544
	sidEveryone       = "\x01\x01\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"                 // S-1-1-0
	sidRestricted     = "\x01\x01\x00\x00\x00\x00\x00\x05\x0c\x00\x00\x00"                 // S-1-5-12
)

// Fields of a self-relative security descriptor (MS-DTYP 2.4.6).
const (
	descriptorSize      = 20
	descriptorSACL      = 0x0010 // control: a SACL is present
	descriptorDACL      = 0x0004 // control: a DACL is present
	descriptorRelative  = 0x8000 // control: offsets, not pointers
	aclSize             = 8
	aceSize             = 8 // header and access mask
	maxSubAuthorities   = 15
	sidFixed            = 8
	descriptorOwnerAt   = 4
	descriptorGroupAt   = 8
	descriptorSACLAt    = 12
	descriptorDACLAt    = 16
	descriptorControlAt = 2
)

// descriptorProblem says what is wrong with a self-relative security
// descriptor; "" when its parts lie inside it and an owner is there
// (MS-DTYP 2.4.2, 2.4.5, 2.4.6). What it grants is not judged.
func descriptorProblem(sd []byte) string {
	if len(sd) < descriptorSize {
		return fmt.Sprintf("%d bytes; a descriptor has at least %d", len(sd), descriptorSize)
	}
	control := le.Uint16(sd[descriptorControlAt:])
	switch {
	case sd[0] != 1:
		return fmt.Sprintf("revision %d; want 1", sd[0])
	case control&descriptorRelative == 0:
		return fmt.Sprintf("control %#x; want one marked as self-relative", control)
	}
	owner, group := le.Uint32(sd[descriptorOwnerAt:]), le.Uint32(sd[descriptorGroupAt:])
	if owner == 0 || !sidFits(sd, uint64(owner)) {
		return fmt.Sprintf("no owner at %#x", owner)
	}
	if group != 0 && !sidFits(sd, uint64(group)) {
		return fmt.Sprintf("no group at %#x", group)
	}
	for _, acl := range []struct {
		name string
		bit  uint16
		at   uint32
	}{
		{"SACL", descriptorSACL, le.Uint32(sd[descriptorSACLAt:])},
		{"DACL", descriptorDACL, le.Uint32(sd[descriptorDACLAt:])},
	} {
		if control&acl.bit != 0 && acl.at != 0 && !aclFits(sd, uint64(acl.at)) {
			return fmt.Sprintf("no sound %s at %#x", acl.name, acl.at)
		}
	}
	return ""
}

// sidFits reports whether a whole SID (MS-DTYP 2.4.2.2) stands in b at off.
func sidFits(b []byte, off uint64) bool {
	head, ok := cursor.Sub(b, off, sidFixed)
	if !ok || head[0] != 1 || head[1] > maxSubAuthorities {
		return false
	}
	_, ok = cursor.Sub(b, off, sidFixed+4*uint64(head[1]))
	return ok
}

// aclFits reports whether a whole access control list stands in b at off, with
// entries that fill no more than its size.
func aclFits(b []byte, off uint64) bool {
	head, ok := cursor.Sub(b, off, aclSize)
	if !ok {
		return false
	}
	acl, ok := cursor.Sub(b, off, uint64(le.Uint16(head[2:])))
	if !ok || len(acl) < aclSize {
		return false
	}
	rest := acl[aclSize:]
	for range le.Uint16(head[4:]) {
		if len(rest) < aceSize {
			return false
		}
		size := int(le.Uint16(rest[2:]))
		if size < aceSize || size > len(rest) {
			return false
		}
		rest = rest[size:]
	}
	return true
}
