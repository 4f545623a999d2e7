package cli

import (
	"os"
	"syscall"
)

// enableVirtualTerminalProcessing is the console mode in which Windows takes
// escape sequences (Windows 10 and later).
const enableVirtualTerminalProcessing = 0x4

var setConsoleMode = syscall.NewLazyDLL("kernel32.dll").NewProc("SetConsoleMode")

// understandsColour switches the console to escape sequences and reports
// whether it could: older consoles cannot.
func understandsColour(f *os.File) bool {
	handle := syscall.Handle(f.Fd())
	var mode uint32
	if err := syscall.GetConsoleMode(handle, &mode); err != nil {
		return false
	}
	if mode&enableVirtualTerminalProcessing != 0 {
		return true
	}
	ok, _, _ := setConsoleMode.Call(uintptr(handle), uintptr(mode|enableVirtualTerminalProcessing))
	return ok != 0
}
