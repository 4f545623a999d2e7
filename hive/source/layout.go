package source

import (
	"net/url"
	"strconv"
	"strings"

	"hivemend/hive"
)

// place says what the folders around a hive tell about it.
type place struct {
	generation hive.Generation
	// layout is set where the folder is one in which Windows keeps hives, so
	// that what carries a plain name there belongs together for sure.
	layout bool
}

// placeOf tells the place of a file by the names of the folders it lies in
// (from the outermost) and its own.
func placeOf(dirs []string, name string) place {
	folded := make([]string, len(dirs))
	for i, d := range dirs {
		folded[i] = hive.Fold(d)
	}
	last := func(i int) string {
		if i >= len(folded) {
			return ""
		}
		return folded[len(folded)-1-i]
	}
	p := place{generation: hive.Unknown}
	switch {
	case last(0) == "REGBACK":
		return place{hive.RegBack, true}
	case strings.HasPrefix(hive.Fold(name), restorePrefix):
		p.layout = true
		for i := range folded {
			if n, ok := numbered(last(i), "RP"); ok {
				p.generation = hive.Generation("restore:" + n)
				return p
			}
		}
	case last(0) == "REPAIR" && (last(1) == "WINDOWS" || last(1) == "WINNT" || last(1) == ""):
		p = place{hive.Repair, true}
	case last(0) == "CONFIG":
		p = place{hive.Live, true}
	}
	for i := range folded {
		switch n, shadow := shadowCopy(last(i)); {
		case shadow:
			p.generation = hive.Generation("vss:" + n)
			return p
		case strings.HasPrefix(last(i), "WINDOWS.OLD") && p.generation != hive.Repair:
			p.generation = hive.WindowsOld
			return p
		}
	}
	return p
}

// restorePrefix begins the names that System Restore of Windows XP gives to
// the hives in a restore point.
const restorePrefix = "_REGISTRY_MACHINE_"

// numbered returns the digits behind prefix where name is nothing but the two,
// without leading zeros.
func numbered(name, prefix string) (string, bool) {
	digits, ok := strings.CutPrefix(name, prefix)
	digits = strings.TrimLeft(digits, "_-")
	if n, err := strconv.ParseUint(digits, 10, 32); ok && err == nil {
		return strconv.FormatUint(n, 10), true
	}
	return "", false
}

// shadowCopy tells whether a folder stands for a volume shadow copy, and which:
// VSS3 as KAPE names it, or a whole device name as Velociraptor keeps it.
func shadowCopy(folded string) (n string, ok bool) {
	if n, ok := numbered(folded, "VSS"); ok {
		return n, true
	}
	if _, rest, found := strings.Cut(folded, "HARDDISKVOLUMESHADOWCOPY"); found {
		return numbered(strings.TrimRight(rest, `\/`), "")
	}
	return "", false
}

// decodeVelociraptor undoes the percent-encoding that Velociraptor gives to
// each part of a path below uploads/ and the name of an accessor. A decoded
// part may hold anything, separators too; it is a label and never opened.
func decodeVelociraptor(parts []string) []string {
	from := 0
	for i := range parts {
		if i > 0 && velociraptorAccessors[parts[i]] && parts[i-1] == "uploads" {
			from = i + 1
		}
	}
	if from == 0 {
		return parts
	}
	out := append([]string(nil), parts...)
	for i := from; i < len(out); i++ {
		if decoded, err := url.PathUnescape(out[i]); err == nil {
			out[i] = decoded
		}
	}
	return out
}

var velociraptorAccessors = map[string]bool{
	"auto": true, "file": true, "ntfs": true, "lazy_ntfs": true, "ntfs_vss": true, "mft": true, "raw_reg": true,
}

// splitPath splits a path with either separator, without empty parts and ".".
func splitPath(path string) []string {
	var parts []string
	for _, p := range strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' }) {
		if p != "." {
			parts = append(parts, p)
		}
	}
	return parts
}

// ofInterest are the hives that the rules read.
var ofInterest = map[hive.Kind]bool{hive.System: true, hive.Software: true, hive.Security: true}

// otherHives are names of hives that Windows and its programs keep and that
// are left out of folders and containers, in upper case.
var otherHives = map[string]bool{
	"SAM": true, "DEFAULT": true, "COMPONENTS": true, "DRIVERS": true, "ELAM": true, "BBI": true, "BCD": true,
	"BCD-TEMPLATE": true, "NTUSER.DAT": true, "NTUSER.MAN": true, "USRCLASS.DAT": true, "AMCACHE.HVE": true, "SYSCACHE.HVE": true,
	"SCHEMA.DAT": true, "VSMIDK": true, "USERDIFF": true, "SETTINGS.DAT": true, "ACTIVATIONSTORE.DAT": true,
	"USER.DAT": true, "USERCLASSES.DAT": true, "REGISTRY.DAT": true, "SAM.SAV": true, "DEFAULT.SAV": true,
}

// kindWords are looked for in file names.
var kindWords = []hive.Kind{hive.Software, hive.Security, hive.System, hive.SAM, hive.Default}

// named is what a hive's file name tells: which hive it says it is ("" where
// it says nothing), and what else stands in it, which hives of one machine and
// one generation have in common: "" for SYSTEM and SOFTWARE.hiv, "HOST1_" for
// HOST1_SYSTEM, ".BAK" for SYSTEM.bak.
type named struct {
	kind hive.Kind
	tag  string
}

// neutralEndings say nothing about what a hive belongs to.
var neutralEndings = []string{".HIV", ".HIVE", ".DAT", ".REG", ".REGF", ".HVE", ".BIN"}

func nameOf(name string) named {
	folded := strings.TrimPrefix(hive.Fold(name), restorePrefix)
	for _, end := range neutralEndings {
		folded = strings.TrimSuffix(folded, end)
	}
	for _, kind := range kindWords {
		word := string(kind)
		for from := 0; ; {
			i := strings.Index(folded[from:], word)
			if i < 0 {
				break
			}
			i += from
			before, after := folded[:i], folded[i+len(word):]
			if !endsInLetter(before) && !beginsWithLetter(after) {
				return named{kind, before + "*" + after}
			}
			from = i + 1
		}
	}
	return named{}
}

// plainTag is the tag of a name that is nothing but the hive's.
const plainTag = "*"

func isLetter(c byte) bool { return c >= 'A' && c <= 'Z' || c >= 0x80 }

func endsInLetter(s string) bool     { return s != "" && isLetter(s[len(s)-1]) }
func beginsWithLetter(s string) bool { return s != "" && isLetter(s[0]) }

// logStem returns the name of the hive that a transaction log of that name
// belongs to, folded, and whether it is such a name.
func logStem(name string) (stem string, ok bool) {
	folded := hive.Fold(name)
	for _, end := range []string{".LOG", ".LOG1", ".LOG2"} {
		if stem, ok := strings.CutSuffix(folded, end); ok && stem != "" {
			return stem, true
		}
	}
	return "", false
}
