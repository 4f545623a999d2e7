package encode

import "encoding/binary"

// SID is a security identifier in binary form ([MS-DTYP] 2.4.2.2).
type SID []byte

// NewSID returns the identifier S-1-authority-sub-sub...
func NewSID(authority byte, subs ...uint32) SID {
	b := []byte{1, byte(len(subs)), 0, 0, 0, 0, 0, authority}
	for _, s := range subs {
		b = binary.LittleEndian.AppendUint32(b, s)
	}
	return b
}

// Well-known identifiers ([MS-DTYP] 2.4.2.4).
var (
	Everyone       = NewSID(1, 0)
	CreatorOwner   = NewSID(3, 0)
	Interactive    = NewSID(5, 4)
	LocalSystem    = NewSID(5, 18)
	Administrators = NewSID(5, 32, 544)
	UsersGroup     = NewSID(5, 32, 545)
)

// Access rights to a key ([MS-RRP] 2.2.3).
const (
	KeyRead  = 0x20019
	KeyWrite = 0x20006
	KeyFull  = 0xf003f
)

// Grant allows rights on a key to who.
type Grant struct {
	Who    SID
	Rights uint32
	// Inherit is set where subkeys get the grant too.
	Inherit bool
}

// SecurityDescriptor returns a self-relative security descriptor ([MS-DTYP]
// 2.4.6) that Administrators own and that holds a DACL of grants.
func SecurityDescriptor(grants ...Grant) []byte {
	le := binary.LittleEndian
	var aces []byte
	for _, g := range grants {
		flags := byte(0)
		if g.Inherit {
			flags = 2 // CONTAINER_INHERIT_ACE
		}
		aces = append(aces, 0, flags) // ACCESS_ALLOWED_ACE_TYPE
		aces = le.AppendUint16(aces, uint16(8+len(g.Who)))
		aces = le.AppendUint32(aces, g.Rights)
		aces = append(aces, g.Who...)
	}
	acl := []byte{2, 0}
	acl = le.AppendUint16(acl, uint16(8+len(aces)))
	acl = le.AppendUint16(acl, uint16(len(grants)))
	acl = le.AppendUint16(acl, 0)
	acl = append(acl, aces...)

	const head = 20
	b := []byte{1, 0}
	b = le.AppendUint16(b, 0x8004) // self-relative, DACL present
	b = le.AppendUint32(b, uint32(head+len(acl)))
	b = le.AppendUint32(b, uint32(head+len(acl)+len(Administrators)))
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, head)
	b = append(b, acl...)
	b = append(b, Administrators...)
	return append(b, LocalSystem...)
}
