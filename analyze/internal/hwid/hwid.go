// Package hwid decodes the hardware identifier of a licensing client: the
// CLIENT_HARDWARE_ID structure (MS-RDPELE 2.2.2.3.1), which the registry value
// ClientHWID holds.
package hwid

import (
	"encoding/binary"
	"fmt"

	"hivemend/analyze/internal/verdict"
)

// Size is the length of a hardware identifier in bytes.
const Size = 20

// ID is a decoded hardware identifier.
type ID struct {
	// Fault is the first of the causes size and blank that holds. Blank means
	// that the 16 bytes after PlatformId are all 00 or all FF.
	verdict.Fault
	Fields []verdict.Field

	PlatformID uint32   // says little: 2 is found in healthy ones
	Data       [16]byte // what identifies the client; set when the size is right
}

// Decode reads data, the content of a registry value. It never fails: what is
// wrong stands in the result.
func Decode(data []byte) *ID {
	id := &ID{}
	if len(data) != Size {
		id.Fault = verdict.Fault{Cause: verdict.Size, FailingLength: len(data),
			Detail: fmt.Sprintf("The value has %d bytes; a hardware identifier has %d.", len(data), Size)}
		if len(data) > 0 {
			id.Fields = []verdict.Field{{Name: "not decoded", Length: len(data), Value: verdict.Hex(data, 64)}}
		}
		return id
	}
	id.PlatformID = binary.LittleEndian.Uint32(data)
	copy(id.Data[:], data[4:])
	id.Fields = append(id.Fields, verdict.Field{Name: "PlatformId", Length: 4, Value: Platform(id.PlatformID)})
	for i := 1; i <= 4; i++ {
		off := 4 * i
		id.Fields = append(id.Fields, verdict.Field{Name: fmt.Sprintf("Data%d", i), Offset: off, Length: 4, Value: fmt.Sprintf("%x", data[off:off+4])})
	}
	for _, blank := range []byte{0, 0xff} {
		if allAre(data[4:], blank) {
			id.Fault = verdict.Fault{Cause: verdict.Blank, FailingOffset: 4, FailingLength: 16,
				Detail: fmt.Sprintf("The 16 bytes after PlatformId are all %02x: they identify nobody.", blank)}
		}
	}
	return id
}

func allAre(b []byte, want byte) bool {
	for _, c := range b {
		if c != want {
			return false
		}
	}
	return true
}

// The operating systems and the vendors of the client that a PlatformId can
// name (MS-RDPELE 2.2.2.3.1 and its notes 9 to 11).
var (
	systems = map[byte]string{1: "Windows NT 3.51", 2: "Windows NT 4.0", 3: "Windows 2000", 4: "Windows 5.2 to 6.3", 8: "Windows 10 or later"}
	vendors = map[byte]string{1: "Microsoft", 2: "Citrix"}
)

// Platform returns what a PlatformId says, for people.
func Platform(id uint32) string {
	system, vendor := systems[byte(id>>24)], vendors[byte(id>>16)]
	s := fmt.Sprintf("%#08x", id)
	if system != "" {
		s += ", " + system
	}
	if vendor != "" {
		s += ", client by " + vendor
	}
	return s
}
