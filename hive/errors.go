package hive

import (
	"errors"
	"fmt"
)

// ErrCorrupt is what every [FormatError] is: bytes that contradict their format.
var ErrCorrupt = errors.New("corrupt")

// ErrUnsupported marks an input that is recognised but not read, such as a
// hive of Windows NT 3.1. The error around it says what to do instead.
var ErrUnsupported = errors.New("not supported")

// FormatError says that a structure in a file is not what its format demands.
type FormatError struct {
	File   string // the input as given, or "" where the caller adds it
	Struct string // what was being read: "base block", "vk", "list of subkeys"
	Offset int64  // where in the file the offending field lies; negative when unknown
	Want   string // what the format demands there
	Found  string // what is there
}

// Error gives file, structure, offset, wanted and found in one line.
func (e *FormatError) Error() string {
	text := e.Struct
	if e.Offset >= 0 {
		text += fmt.Sprintf(" at %#x", e.Offset)
	}
	if e.File != "" {
		text = e.File + ": " + text
	}
	switch {
	case e.Want != "" && e.Found != "":
		return text + ": want " + e.Want + ", found " + e.Found
	case e.Want != "":
		return text + ": want " + e.Want
	}
	return text + ": " + e.Found
}

// Is makes errors.Is(err, ErrCorrupt) true for every FormatError.
func (e *FormatError) Is(target error) bool { return target == ErrCorrupt }
