package rdp

import (
	"hivemend/analyze/internal/secdesc"
	"hivemend/hive"
)

// SDDL returns the security of a key in the security descriptor definition
// language ([MS-DTYP] 2.5.1), and "" where the input has none, such as .reg text.
func SDDL(k hive.Key) string {
	data := k.Security()
	if len(data) == 0 {
		return ""
	}
	return secdesc.Decode(data).SDDL()
}
