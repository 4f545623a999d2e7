package source

import (
	"fmt"
	"io"

	"hivemend/hive"
)

// volume is a file system inside of a file.
type volume interface {
	// list returns what a folder holds; the root is the zero entry.
	list(folder volumeEntry) ([]volumeEntry, error)
	// open returns the bytes of a file and how many they are.
	open(file volumeEntry) (io.Reader, int64, error)
}

// volumeEntry is a file or folder of a volume.
type volumeEntry struct {
	name    string
	folder  bool
	id      int64
	content [20]byte // of a file in a WIM archive: its SHA-1
}

// maxVolumeDepth bounds the walk over a volume, in folders within each other.
const maxVolumeDepth = 64

// maxVolumeEntries bounds it in all.
const maxVolumeEntries = 4 << 20

// volumeWalk looks at the files of a volume as finding.walk looks at those of
// a folder, and passes over the same.
type volumeWalk struct {
	f       *finding
	outer   *file
	v       volume
	prefix  []string
	done    func() func() error // keeps the image open
	visited map[int64]bool
	entries int
	shadows int // shadow copies that are there and not read
}

func (w *volumeWalk) run() error {
	w.visited = make(map[int64]bool)
	entries, err := w.v.list(volumeEntry{})
	if err != nil {
		return err
	}
	before := len(w.f.hives) + len(w.f.texts)
	if err := w.folder(w.prefix, entries, false); err != nil {
		return err
	}
	if w.shadows > 0 && len(w.f.hives)+len(w.f.texts) > before {
		note := fmt.Sprintf("the volume holds %s, which no one looked into: mount it on Windows and give the path of a shadow copy to have that read", shadowCopies(w.shadows))
		for _, m := range w.f.hives {
			if m.file.volume == w {
				m.notes = append(m.notes, note)
			}
		}
	}
	return nil
}

func shadowCopies(n int) string {
	if n == 1 {
		return "1 shadow copy"
	}
	return fmt.Sprintf("%d shadow copies", n)
}

// folder looks at the entries of one folder; within is set below a Windows
// folder.
func (w *volumeWalk) folder(path []string, entries []volumeEntry, within bool) error {
	if len(path) > maxVolumeDepth+len(w.prefix) {
		return nil
	}
	w.f.folders++
	windows := make([]bool, len(entries))
	beside := false
	for i, e := range entries {
		windows[i] = e.folder && w.isWindows(e)
		beside = beside || windows[i]
	}
	for i, e := range entries {
		if w.entries++; w.entries > maxVolumeEntries {
			return fmt.Errorf("the file system lists more than %d files and folders: it is refused", maxVolumeEntries)
		}
		inner := append(path[:len(path):len(path)], e.name)
		folded := hive.Fold(e.name)
		switch {
		case !e.folder:
			if !within {
				w.file(inner, e)
			}
		case w.visited[e.id] && e.id != 0:
		case beside && bulk[folded] && !w.f.search.opt.AllHives:
		case within && !w.f.search.opt.AllHives:
			w.system(inner, e)
		default:
			w.visited[e.id] = true
			below, err := w.v.list(e)
			if err != nil {
				w.f.fail(w.outer.inside(joinPath(inner)).label, err)
				continue
			}
			if folded == "SYSTEM VOLUME INFORMATION" {
				w.countShadows(below)
			}
			if err := w.folder(inner, below, windows[i] && !w.f.search.opt.AllHives); err != nil {
				return err
			}
		}
	}
	return nil
}

// system looks into a folder of a Windows folder: only System32/config and
// repair hold hives.
func (w *volumeWalk) system(path []string, e volumeEntry) {
	folded := hive.Fold(e.name)
	if folded != "SYSTEM32" && folded != "SYSNATIVE" && folded != "REPAIR" {
		return
	}
	below, err := w.v.list(e)
	if err != nil {
		w.f.fail(w.outer.inside(joinPath(path)).label, err)
		return
	}
	if folded != "REPAIR" {
		var config []volumeEntry
		for _, b := range below {
			if b.folder && hive.Fold(b.name) == "CONFIG" {
				config = append(config, b)
			}
		}
		below = config
	}
	if err := w.folder(path, below, false); err != nil {
		w.f.fail(w.outer.label, err)
	}
}

func (w *volumeWalk) isWindows(e volumeEntry) bool {
	below, err := w.v.list(e)
	if err != nil {
		return false
	}
	for _, system32 := range below {
		if !system32.folder || hive.Fold(system32.name) != "SYSTEM32" {
			continue
		}
		inner, err := w.v.list(system32)
		if err != nil {
			return false
		}
		for _, config := range inner {
			if config.folder && hive.Fold(config.name) == "CONFIG" {
				return true
			}
		}
	}
	return false
}

// shadowStore ends the names of the files that hold shadow copies; the one of
// just this name is their catalogue.
const shadowStore = "{3808876B-C176-4E48-B7AE-04046E6CC752}"

func (w *volumeWalk) countShadows(entries []volumeEntry) {
	for _, e := range entries {
		name := hive.Fold(e.name)
		if len(name) > len(shadowStore) && name[len(name)-len(shadowStore):] == shadowStore {
			w.shadows++
		}
	}
}

func (w *volumeWalk) file(path []string, e volumeEntry) {
	member := w.outer.inside(joinPath(path))
	if member == nil {
		return
	}
	member.volume = w
	member.size = -1
	member.open = func() (s *stream, err error) {
		defer gaveUp(&err)
		release := w.done()
		r, size, err := w.v.open(e)
		if err != nil {
			release()
			return nil, err
		}
		return &stream{Reader: exactReader{r, &size}, closers: []func() error{release}, budget: w.outer.budget}, nil
	}
	w.f.inspect(member)
}

// exactReader demands as many bytes as were promised.
type exactReader struct {
	r    io.Reader
	left *int64
}

func (e exactReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	*e.left -= int64(n)
	if err == io.EOF && *e.left > 0 {
		err = fmt.Errorf("%d bytes at its end cannot be read: the image is cut off or damaged: %w", *e.left, io.ErrUnexpectedEOF)
	}
	return n, err
}

func joinPath(parts []string) string {
	s := ""
	for i, p := range parts {
		if i > 0 {
			s += "/"
		}
		s += p
	}
	return s
}
