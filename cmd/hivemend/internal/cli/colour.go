package cli

import (
	"io"
	"os"
)

// colours reports whether text for people may hold the colours of a terminal:
// only where out is one that understands them, and neither --no-color nor
// NO_COLOR (see no-color.org) forbids it.
func colours(out io.Writer, forbidden bool) bool {
	if forbidden || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	f, ok := out.(*os.File)
	return ok && isTerminal(f) && understandsColour(f)
}

// isTerminal reports whether f is a terminal: a character device other than
// the null device.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
