package regtext

import (
	"fmt"

	"hivemend/hive"
)

// Severity grades a Diagnostic.
type Severity uint8

// The grades.
const (
	Note    Severity = iota // read as meant, but worth knowing
	Warning                 // read, but Windows might read it otherwise
	Error                   // not read: something in the file has no effect
)

var severityNames = [...]string{"note", "warning", "error"}

// String returns "note", "warning" or "error".
func (s Severity) String() string {
	if int(s) >= len(severityNames) {
		return "unknown"
	}
	return severityNames[s]
}

// The codes of diagnostics. They are stable.
const (
	CodeEncoding    = "W-ENCODING"      // Windows would refuse the file, or read other characters
	CodeCodePage    = "W-CODEPAGE"      // 8-bit text whose code page had to be guessed, or bytes outside of it
	CodeHeaderBlank = "W-HEADER-BLANK"  // blanks behind the header
	CodeRootShort   = "W-ROOT-SHORT"    // HKLM and its like
	CodeWide        = "W-REGEDIT4-WIDE" // UTF-16 bytes where REGEDIT4 wants code page bytes
	CodeMultiline   = "I-MULTILINE"     // a string with line breaks in it
	CodeIgnored     = "E-IGNORED"       // a line that is neither key, value nor comment
	CodeKeyLine     = "E-KEY-LINE"      // no closing bracket, or a blank behind the opening one
	CodeRoot        = "E-ROOT"          // the path begins with no registry root
	CodeRootDelete  = "E-ROOT-DELETE"   // a whole registry root to be deleted
	CodeKeyName     = "E-KEY-NAME"      // a key name of more than 255 units
	CodeDepth       = "E-DEPTH"         // more levels than Windows allows
	CodeNoKey       = "E-NO-KEY"        // a value outside of any section
	CodeName        = "E-NAME"          // the name of a value is broken
	CodeNameLength  = "E-NAME-LENGTH"   // a value name of more than 16,383 units
	CodeNUL         = "E-NUL"           // a NUL character
	CodeEscape      = "E-ESCAPE"        // a backslash before anything but a backslash or a quote
	CodeData        = "E-DATA"          // no =, or data of no known form
	CodeString      = "E-STRING"        // a string that does not end, or goes on behind its quote
	CodeDWORD       = "E-DWORD"         // dword: with anything but 1 to 8 digits
	CodeHex         = "E-HEX"           // a broken list of bytes
	CodeCont        = "E-CONT"          // a broken continuation of a list of bytes
	CodeContSwallow = "E-CONT-SWALLOW"  // a continuation that swallows a section header
	CodeOddByte     = "E-ODD-BYTE"      // UTF-16 text of an odd number of bytes
)

// Diagnostic says what is wrong with one place of the text, or doubtful.
type Diagnostic struct {
	File         string
	Line, Column int // from 1; Column counts UTF-16 units
	Code         string
	Severity     Severity
	Text         string // what was found and what became of it
}

// String returns "file:line:column: severity CODE: text".
func (d Diagnostic) String() string {
	place := fmt.Sprintf("%d:%d: ", d.Line, d.Column)
	if d.File != "" {
		place = d.File + ":" + place
	}
	return place + d.Severity.String() + " " + d.Code + ": " + d.Text
}

// RefusedError says that text was refused for what its diagnostics tell:
// because Options.Strict allows none, or because a section header was
// swallowed (CodeContSwallow), so that values would land in the wrong key.
type RefusedError struct {
	Cause       Diagnostic   // the one that refuses
	Diagnostics []Diagnostic // all that were kept
	More        int          // how many there were beyond them
}

// Error gives the cause and counts the others.
func (e *RefusedError) Error() string {
	text := "refused: " + e.Cause.String()
	switch others := len(e.Diagnostics) + e.More - 1; {
	case others == 1:
		text += " (and 1 more)"
	case others > 1:
		text += fmt.Sprintf(" (and %d more)", others)
	}
	return text
}

// Is makes errors.Is(err, hive.ErrCorrupt) true.
func (e *RefusedError) Is(target error) bool { return target == hive.ErrCorrupt }
