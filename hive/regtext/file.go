package regtext

import "hivemend/hive"

// Version is what the header line of .reg text says. It, and not the encoding
// of the file, decides how the bytes of hex(1), hex(2) and hex(7) are read.
type Version uint8

// The headers there are.
const (
	V5    Version = iota // Windows Registry Editor Version 5.00
	V4                   // REGEDIT4: Windows 95, 98, Me and NT 4.0
	Win31                // REGEDIT: Windows 3.1, default values of HKEY_CLASSES_ROOT only
)

var versionHeaders = [...]string{"Windows Registry Editor Version 5.00", "REGEDIT4", "REGEDIT"}

// String returns the header line.
func (v Version) String() string {
	if int(v) >= len(versionHeaders) {
		return "unknown"
	}
	return versionHeaders[v]
}

// Encoding is how the characters of a file are stored.
type Encoding uint8

// The encodings that are read.
const (
	UTF16LE      Encoding = iota // with byte order mark: what Registry Editor writes
	UTF16LENoBOM                 // Windows refuses it
	UTF16BE                      // with byte order mark; Windows refuses it
	UTF8                         // with or without byte order mark
	EightBit                     // ASCII, or a code page: see File.CodePage
)

var encodingNames = [...]string{"UTF-16LE", "UTF-16LE without byte order mark", "UTF-16BE", "UTF-8", "8-bit"}

// String returns the name of e for people.
func (e Encoding) String() string {
	if int(e) >= len(encodingNames) {
		return "unknown"
	}
	return encodingNames[e]
}

// OpKind is what one line of .reg text does.
type OpKind uint8

// The kinds of Op.
const (
	OpenKey     OpKind = iota // [key]: creates it where it is missing
	DeleteKey                 // [-key], with everything below it
	SetValue                  // "name"=data
	DeleteValue               // "name"=-
)

// Op is one thing that .reg text says, at its place. The ops of a file mean
// what Registry Editor would do, one after the other.
type Op struct {
	Kind OpKind
	Type hive.Type // of SetValue
	// Key is the whole path with the long name of its registry root. The ops
	// of one section share it; it must not be changed.
	Key  hive.Path
	Name string // of SetValue and DeleteValue; "" is the default value
	// Data is what the registry would hold: for REG_SZ UTF-16LE and a NUL.
	Data []byte
	// Line and Column count from 1, Column in UTF-16 units.
	Line, Column int
}

// File is .reg text that was read.
type File struct {
	Name     string // as given in Options.File
	Version  Version
	Encoding Encoding
	// CodePage is the Windows code page that 8-bit text was read with, 0 where
	// none was needed.
	CodePage int
	Ops      []Op
	// Diagnostics tell of everything that was not read, or read with a doubt,
	// in the order of the lines: at most Options.MaxDiagnostics of them.
	Diagnostics []Diagnostic
	// MoreDiagnostics is how many there were beyond that.
	MoreDiagnostics int
}

// Edits returns the ops as edits, in the order of the file and with nothing
// expected. A section is a CreateKey.
func (f *File) Edits() []hive.Edit {
	edits := make([]hive.Edit, len(f.Ops))
	for i, op := range f.Ops {
		e := &edits[i]
		e.Key, e.Value = op.Key, op.Name
		switch op.Kind {
		case OpenKey:
			e.Op = hive.CreateKey
		case DeleteKey:
			e.Op = hive.DeleteKey
		case SetValue:
			e.Op, e.Type, e.Data = hive.SetValue, op.Type, op.Data
		case DeleteValue:
			e.Op = hive.DeleteValue
		}
	}
	return edits
}
