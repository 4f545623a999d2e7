package hive

import "strings"

// Kind says which hive a tree is.
type Kind string

// The hives that have a place of their own in the registry, and what else an
// input can be.
const (
	System   Kind = "SYSTEM"
	Software Kind = "SOFTWARE"
	SAM      Kind = "SAM"
	Security Kind = "SECURITY"
	Default  Kind = "DEFAULT"
	NTUser   Kind = "NTUSER"
	Mixed    Kind = "MIXED" // .reg text with keys of several hives
	Other    Kind = "OTHER"
)

var kindPrefixes = map[Kind]Path{
	System:   {LocalMachine, "SYSTEM"},
	Software: {LocalMachine, "SOFTWARE"},
	SAM:      {LocalMachine, "SAM"},
	Security: {LocalMachine, "SECURITY"},
	Default:  {Users, ".DEFAULT"},
	NTUser:   {CurrentUser},
}

// Prefix returns where a hive of kind k stands in .reg text.
func (k Kind) Prefix() Path {
	if p, ok := kindPrefixes[k]; ok {
		return p.Join()
	}
	return Path{LocalMachine, "HIVE"}
}

// KindOf tells which hive the tree under root is, by what the root holds and,
// where that does not decide, by fileName: the last part of the path that the
// hive's base block remembers, or "".
func KindOf(fileName string, root Key) Kind {
	has := func(path ...string) bool { _, ok := root.Lookup(path); return ok }
	switch {
	case has("Select") || has("ControlSet001") || has("ControlSet002"):
		return System
	case has("Microsoft", "Windows NT") || has("Microsoft", "Windows") && has("Classes") || has("Microsoft", "MSLicensing"):
		return Software
	case has("SAM", "Domains"):
		return SAM
	case has("Policy", "Secrets") || has("Policy", "PolAdtEv"):
		return Security
	case has("Software", "Microsoft") && (has("Control Panel") || has("Environment")):
		if baseName(fileName) == "DEFAULT" {
			return Default
		}
		return NTUser
	}
	switch baseName(fileName) {
	case "SYSTEM", "SYSTEM.ALT":
		return System
	case "SOFTWARE":
		return Software
	case "SAM":
		return SAM
	case "SECURITY":
		return Security
	case "DEFAULT":
		return Default
	case "NTUSER.DAT":
		return NTUser
	}
	return Other
}

func baseName(path string) string {
	return Fold(path[strings.LastIndexAny(path, `\/`)+1:])
}

// Generation says which state of a machine an input belongs to.
type Generation string

// The generations. Numbered ones are "restore:N" and "vss:N".
const (
	Live       Generation = "live"
	RegBack    Generation = "regback"
	WindowsOld Generation = "windows.old"
	Repair     Generation = "repair"
	Unknown    Generation = "unknown"
)

// InputKind is the format of an input.
type InputKind string

// The formats.
const (
	Regf InputKind = "regf" // a binary hive
	Reg  InputKind = "reg"  // .reg text
)

// State says whether an input is what Windows would have seen.
type State string

// The states of an input. Text is always clean.
const (
	Clean    State = "clean"
	Dirty    State = "dirty"    // changes are pending in logs that were not applied
	Replayed State = "replayed" // was dirty; its logs were applied in memory
	Damaged  State = "damaged"  // has defects that Windows would refuse or heal with loss
)

// Machine is one state of one computer: the hives and exports that belong
// together.
type Machine struct {
	Name         string // a label: the computer's name, else where it was found
	ComputerName string // as the SYSTEM hive says; "" when unknown
	Generation   Generation
	Inputs       []*Input
}

// Input is one hive or .reg file of a machine.
type Input struct {
	Path     string // as given, with / ; a member of a container as container::inner/path
	Kind     InputKind
	Hive     Kind
	Size     int64  // in bytes, as it lay
	SHA256   string // in hex, of the bytes as they lay
	State    State
	Replay   *Replay // nil unless logs were looked at
	Mounts   []Mount
	Issues   []Issue  // structural defects, for hives; see package regf
	Bounded  bool     // for hives: the check found nothing that could lead the second reader astray
	Notes    []string // what else should be said about it, such as diagnostics of .reg text
	FileName string   // for hives: the path that the base block remembers
	// LastWrite is the base block's time for a hive, 0 for text.
	LastWrite FileTime
	// LogSequence is the highest sequence number that stands in the hive's
	// transaction logs, used or not; 0 where there are none. A hive that is
	// written anew has to be numbered above it.
	LogSequence uint32
	// AsItLay is the hive before its logs were applied, where they were; nil
	// otherwise.
	AsItLay []byte
	// Data is the hive as it is judged (after replay), or the .reg file's
	// bytes. It must not be changed.
	Data []byte
	// Logs are the transaction logs beside a hive, used or not; nil unless
	// they were asked for.
	Logs []Log
}

// Log is a transaction log beside a hive.
type Log struct {
	Path string
	Data []byte
}

// Mount is one hive's tree inside an input: a hive has one, .reg text may hold
// keys of several hives.
type Mount struct {
	Kind   Kind
	Prefix Path // where Root stands in .reg text
	Root   Key
}

// Replay says what was done with the transaction logs of a dirty hive.
type Replay struct {
	Logs    []ReplayLog
	Entries int    // how many log entries were applied
	Pages   int    // how many pages they held
	Stopped string // why replay ended where it did; "" when every entry was applied
	SHA256  string // in hex, of the resulting hive; "" when nothing was applied
}

// ReplayLog names one transaction log that was looked at.
type ReplayLog struct {
	Path   string
	SHA256 string // in hex
}

// ID returns a name for m that is unique among machines of one report:
// computer name, generation and the first 12 digits of the SHA-256 of its
// SYSTEM hive, or of its first input where it has none.
func (m *Machine) ID() string {
	sum := ""
	for _, in := range m.Inputs {
		if sum == "" || in.Hive == System {
			sum = in.SHA256
		}
		if in.Hive == System {
			break
		}
	}
	if len(sum) > 12 {
		sum = sum[:12]
	}
	name := m.ComputerName
	if name == "" {
		name = "unnamed"
	}
	return fileSafe(name) + "-" + fileSafe(string(m.Generation)) + "-" + sum
}

// fileSafe replaces what cannot stand in a file name on Windows.
func fileSafe(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || strings.ContainsRune(`<>:"/\|?*`, r) {
			return '_'
		}
		return r
	}, strings.TrimRight(s, ". "))
}

// Roots returns the trees of kind k among the machine's inputs, each with the
// input that it stands in.
func (m *Machine) Roots(k Kind) []Root {
	var roots []Root
	for _, in := range m.Inputs {
		for _, mount := range in.Mounts {
			if mount.Kind == k {
				roots = append(roots, Root{in, mount})
			}
		}
	}
	return roots
}

// Root is a mounted tree together with the input that holds it.
type Root struct {
	Input *Input
	Mount
}
