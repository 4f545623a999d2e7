package source

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"hivemend/hive"
)

// containerNames are for messages.
var containerNames = map[content]string{
	tarContent: "a tar archive", zipContent: "a zip archive", sevenZipContent: "a 7z archive", wimContent: "a WIM archive",
	vhdContent: "a virtual disk (VHD)", vhdxContent: "a virtual disk (VHDX)", diskContent: "a disk image",
}

// openContainer looks into a file that holds others. Whatever goes wrong in
// there, a library's panic included, costs this container alone.
func (f *finding) openContainer(outer *file, is content, head []byte, rest *stream) {
	var err error
	defer func() {
		if err != nil {
			f.fail(outer.label, err)
		}
	}()
	defer gaveUp(&err)
	if _, packed := codecNames[is]; packed {
		f.openCodec(outer, is, head, rest)
		return
	}
	if outer.depth >= f.search.opt.Limits.Depth {
		err = f.tooDeep()
		return
	}
	if outer.depth == 0 {
		limits := f.search.opt.Limits
		outer.nested = &budget{maxUnpacked: limits.Unpacked, maxMembers: limits.Members}
	} else {
		outer.budget = outer.nested
	}
	if is == tarContent {
		f.openTar(outer, rewound(head, rest))
		return
	}
	r, size, e := f.randomAccess(outer, head, rest)
	if e != nil {
		err = e
		return
	}
	defer r.use()()
	if is == diskContent && size < leastDisk && !outer.explicit {
		return
	}
	switch is {
	case zipContent:
		f.openZip(outer, r, size)
	case sevenZipContent:
		err = f.openSevenZip(outer, r, size)
	case diskContent:
		err = f.openDisk(outer, r, size, r)
	case vhdContent:
		var disk *vhdDisk
		if disk, err = openVHD(r, size); err == nil {
			err = f.openDisk(outer, disk, disk.size, r)
		}
	case vhdxContent:
		var disk io.ReaderAt
		if disk, size, err = openVHDX(r, size); err == nil {
			err = f.openDisk(outer, disk, size, r)
		}
	case wimContent:
		err = f.openWIM(outer, r, size)
	default:
		err = refused(containerNames[is], "unpack or mount it and give the folder")
	}
}

// leastDisk is the size in bytes below which a file that begins like a volume
// is passed over in a folder: a copy of a boot sector, such as the BOOTSECT.BAK
// in the root of many a system volume.
const leastDisk = 1 << 20

// gaveUp makes a panic of a library an error.
func gaveUp(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("gave up on it: %v: %w", p, hive.ErrCorrupt)
	}
}

// usable is read from any place. It may close its file while nobody uses it.
type usable interface {
	io.ReaderAt
	// use keeps the file open until the function that it returns is called.
	use() func() error
}

// randomAccess makes any place of a file readable: a file of the file system
// as it lies, anything else by way of a copy.
func (f *finding) randomAccess(of *file, head []byte, rest *stream) (usable, int64, error) {
	if of.random != nil {
		r, err := of.random()
		if err != nil {
			return nil, 0, err
		}
		size := r.Size()
		return &lazyFile{open: of.random, r: r}, size, nil
	}
	held, err := f.search.space.hold(io.MultiReader(bytes.NewReader(head), rest.guarded()), of.size, f.search.opt.Limits.Unpacked, "--max-unpacked")
	if err != nil {
		return nil, 0, err
	}
	return heldFile{held}, held.size(), nil
}

type heldFile struct{ *blob }

func (heldFile) use() func() error { return func() error { return nil } }

// lazyFile is a file that is open only while somebody uses it: a search may
// know thousands of archives.
type lazyFile struct {
	open  func() (randomReader, error)
	mu    sync.Mutex
	r     randomReader
	users int
}

func (l *lazyFile) use() func() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users++
	return func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.users--
		if l.users > 0 || l.r == nil {
			return nil
		}
		err := l.r.Close()
		l.r = nil
		return err
	}
}

func (l *lazyFile) ReadAt(p []byte, off int64) (int, error) {
	l.mu.Lock()
	if l.r == nil {
		r, err := l.open()
		if err != nil {
			l.mu.Unlock()
			return 0, err
		}
		l.r = r
	}
	r := l.r
	l.mu.Unlock()
	return r.ReadAt(p, off)
}

// passedOver tells which paths of an archive need not be looked at, as
// finding.passOver does for folders.
func (f *finding) passedOver(paths []string) []bool {
	skip := make([]bool, len(paths))
	if f.search.opt.AllHives {
		return skip
	}
	folded := make([][]string, len(paths))
	windows := make(map[string]bool) // Windows folders
	volumes := make(map[string]bool) // folders around them
	for i, path := range paths {
		parts := splitPath(hive.Fold(path))
		folded[i] = parts
		for j := 0; j+2 < len(parts); j++ {
			if parts[j] == "SYSTEM32" && parts[j+1] == "CONFIG" {
				windows[joined(parts[:j])] = true
				volumes[joined(parts[:max(j-1, 0)])] = true
			}
		}
	}
	for i, parts := range folded {
		for j := 0; j < len(parts) && !skip[i]; j++ {
			rest := parts[j:]
			if windows[joined(parts[:j])] {
				skip[i] = !windowsHives(rest)
			}
			if volumes[joined(parts[:j])] && len(rest) > 1 && bulk[rest[0]] {
				skip[i] = true
			}
		}
	}
	return skip
}

// windowsHives reports whether a path within a Windows folder may be one of a hive.
func windowsHives(parts []string) bool {
	switch parts[0] {
	case "SYSTEM32", "SYSNATIVE":
		return len(parts) > 2 && parts[1] == "CONFIG"
	case "REPAIR":
		return len(parts) > 1
	}
	return false
}

func joined(parts []string) string {
	n := 0
	for _, p := range parts {
		n += len(p) + 1
	}
	b := make([]byte, 0, n)
	for _, p := range parts {
		b = append(append(b, p...), '/')
	}
	return string(b)
}
