package source

import (
	"fmt"

	"hivemend/hive"
)

// Limits bound the work and memory that an input can ask for. A field that is
// zero has the default. Each is named after the flag that sets it.
type Limits struct {
	Hive     int64 // --max-hive: bytes of one hive or .reg file; 2 GiB
	Ratio    int64 // --max-ratio: unpacked to packed bytes, beyond 64 MiB; 1000
	Depth    int   // --max-depth: containers within containers; 3
	Window   int64 // --max-window: bytes of a zstd window; 128 MiB
	Memory   int64 // --max-memory: bytes of unpacked data kept in memory, the rest goes to a temporary file; 512 MiB
	Unpacked int64 // --max-unpacked: bytes unpacked out of nested containers; 8 GiB
	Members  int   // --max-members: wanted members of nested containers; 100,000
}

func (l Limits) withDefaults() Limits {
	set := func(field *int64, value int64) {
		if *field <= 0 {
			*field = value
		}
	}
	set(&l.Hive, 2<<30)
	set(&l.Ratio, 1000)
	set(&l.Window, 128<<20)
	set(&l.Memory, 512<<20)
	set(&l.Unpacked, 8<<30)
	if l.Depth <= 0 {
		l.Depth = 3
	}
	if l.Members <= 0 {
		l.Members = 100_000
	}
	return l
}

// LimitError says that an input asks for more than a limit allows.
type LimitError struct {
	Flag  string // the flag that sets the limit, such as "--max-hive"
	Limit int64
	What  string // what is too much, such as "the file"
	Found int64  // how much it is, 0 where that is not known
}

// Error names the limit's flag.
func (e *LimitError) Error() string {
	if e.Found > 0 {
		return fmt.Sprintf("%s is %d, more than %s %d allows", e.What, e.Found, e.Flag, e.Limit)
	}
	return fmt.Sprintf("%s is more than %s %d allows", e.What, e.Flag, e.Limit)
}

// refused returns an error for something that is recognised but not read.
// Advice says what to do instead.
func refused(what, advice string) error {
	return fmt.Errorf("%s: %w; %s", what, hive.ErrUnsupported, advice)
}
