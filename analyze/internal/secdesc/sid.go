package secdesc

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// SID is a security identifier in its usual form, such as S-1-5-18.
type SID string

// Identifiers that rules ask for (MS-DTYP 2.4.2.4).
const (
	Everyone           SID = "S-1-1-0"
	AuthenticatedUsers SID = "S-1-5-11"
	Interactive        SID = "S-1-5-4"
	Users              SID = "S-1-5-32-545"
	Administrators     SID = "S-1-5-32-544"
	LocalSystem        SID = "S-1-5-18"
)

// aliases are the two letters that SDDL writes for well-known identifiers
// (MS-DTYP 2.5.1.1).
var aliases = map[SID]string{
	Everyone: "WD", AuthenticatedUsers: "AU", Interactive: "IU", Users: "BU", Administrators: "BA", LocalSystem: "SY",
	"S-1-3-0": "CO", "S-1-3-1": "CG", "S-1-3-4": "OW", "S-1-5-2": "NU", "S-1-5-6": "SU", "S-1-5-7": "AN", "S-1-5-10": "PS", "S-1-5-12": "RC",
	"S-1-5-19": "LS", "S-1-5-20": "NS", "S-1-5-32-546": "BG", "S-1-5-32-547": "PU", "S-1-5-32-548": "AO", "S-1-5-32-549": "SO",
	"S-1-5-32-550": "PO", "S-1-5-32-551": "BO", "S-1-5-32-552": "RE", "S-1-5-32-554": "RU", "S-1-5-32-555": "RD", "S-1-5-32-556": "NO",
	"S-1-15-2-1": "AC", "S-1-16-4096": "LW", "S-1-16-8192": "ME", "S-1-16-12288": "HI", "S-1-16-16384": "SI", "S-1-5-33": "WR",
}

var names = map[SID]string{
	Everyone: "Everyone", AuthenticatedUsers: "Authenticated Users", Interactive: "Interactive", Users: "Users",
	Administrators: "Administrators", LocalSystem: "SYSTEM", "S-1-3-0": "Creator Owner", "S-1-5-19": "Local Service",
	"S-1-5-20": "Network Service", "S-1-5-12": "Restricted", "S-1-5-32-547": "Power Users", "S-1-15-2-1": "All Application Packages",
	"S-1-5-32-555": "Remote Desktop Users", "S-1-5-13": "Terminal Server Users",
}

// String returns s with its name, where it has a well-known one.
func (s SID) String() string {
	if n := names[s]; n != "" {
		return n + " (" + string(s) + ")"
	}
	return string(s)
}

// sddl returns s as SDDL writes it.
func (s SID) sddl() string {
	if a := aliases[s]; a != "" {
		return a
	}
	return string(s)
}

// maxSubAuthorities is how many numbers may follow a SID's authority
// (MS-DTYP 2.4.2.2).
const maxSubAuthorities = 15

// readSID reads the SID at the start of b (MS-DTYP 2.4.2.2) and returns how
// many bytes it has. short tells that b ends before the SID does.
func readSID(b []byte) (s SID, n int, short, ok bool) {
	if len(b) < 8 {
		return "", 0, true, false
	}
	count := int(b[1])
	if b[0] != 1 || count > maxSubAuthorities {
		return "", 0, false, false
	}
	n = 8 + 4*count
	if len(b) < n {
		return "", 0, true, false
	}
	var text strings.Builder
	authority := uint64(b[2])<<40 | uint64(b[3])<<32 | uint64(binary.BigEndian.Uint32(b[4:]))
	if authority < 1<<32 {
		fmt.Fprintf(&text, "S-1-%d", authority)
	} else {
		fmt.Fprintf(&text, "S-1-%#x", authority)
	}
	for i := range count {
		fmt.Fprintf(&text, "-%d", binary.LittleEndian.Uint32(b[8+4*i:]))
	}
	return SID(text.String()), n, false, true
}
