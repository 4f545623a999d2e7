package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"hivemend/hive"
)

// unit is what one search step looks at: one folder, container or stream, or
// the files of one folder whose paths were all given.
type unit struct {
	search *Search
	label  string
	files  []*file // given by their own paths
	folder string  // or one folder
	err    error
}

// units sorts the given paths. Files of the same folder form one unit, at the
// place of the first, so that SYSTEM and SOFTWARE find each other.
func (s *Search) units() []*unit {
	var units []*unit
	byFolder := make(map[string]*unit)
	given := make(map[string]bool)
	for _, path := range s.paths {
		label := filepath.ToSlash(path)
		if path == "-" {
			units = append(units, &unit{search: s, label: "-", files: []*file{s.stdin()}})
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			units = append(units, &unit{label: label, err: cause(err)})
			continue
		}
		absolute, err := filepath.Abs(path)
		if err != nil {
			units = append(units, &unit{label: label, err: err})
			continue
		}
		if given[absolute] {
			continue // the same path twice is read once
		}
		given[absolute] = true
		switch mode := info.Mode(); {
		case mode.IsDir():
			units = append(units, &unit{search: s, label: label, folder: path})
		case mode.IsRegular(), mode&fs.ModeNamedPipe != 0:
			f := s.fileAt(path, info)
			f.explicit = true
			if f.once || s.holdsFiles(f) {
				units = append(units, &unit{search: s, label: label, files: []*file{f}})
				continue
			}
			u := byFolder[f.key]
			if u == nil {
				u = &unit{search: s, label: label}
				byFolder[f.key] = u
				units = append(units, u)
			}
			u.files = append(u.files, f)
		default:
			units = append(units, &unit{label: label, err: refused("a device or other special file",
				"make an image of it first, for instance with dd or ewfacquire, and give that")})
		}
	}
	return units
}

// cause returns an error of the file system without the path, which its reader
// knows already.
func cause(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// fileAt describes a file of the file system.
func (s *Search) fileAt(path string, info fs.FileInfo) *file {
	absolute, err := filepath.Abs(path)
	if err != nil {
		absolute = path
	}
	folder := filepath.ToSlash(filepath.Dir(absolute))
	f := &file{
		label: filepath.ToSlash(path),
		dirs:  decodeVelociraptor(splitPath(folder)),
		name:  filepath.Base(absolute),
		key:   hive.Fold(folder),
		size:  info.Size(),
	}
	f.open = func() (*stream, error) {
		r, err := openRegular(path)
		if err != nil {
			return nil, err
		}
		return &stream{Reader: r, closers: []func() error{r.Close}}, nil
	}
	f.random = func() (randomReader, error) { return openRegular(path) }
	if info.Mode()&fs.ModeNamedPipe != 0 {
		f.size, f.once, f.random = -1, true, nil
		f.open = func() (*stream, error) {
			pipe, err := os.Open(path)
			if err != nil {
				return nil, cause(err)
			}
			return &stream{Reader: pipe, closers: []func() error{pipe.Close}}, nil
		}
	}
	return f
}

func (s *Search) stdin() *file {
	return &file{label: "-", name: "-", key: "-", size: -1, once: true, explicit: true,
		open: func() (*stream, error) { return &stream{Reader: s.opt.Stdin}, nil }}
}

// sizedFile is an open regular file.
type sizedFile struct {
	*os.File
	size int64
}

func (f sizedFile) Size() int64 { return f.size }

// openRegular opens a file for reading and makes sure that it is no device or
// pipe that took the file's place.
func openRegular(path string) (sizedFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return sizedFile{}, cause(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is no longer a regular file")
	}
	if err != nil {
		f.Close()
		return sizedFile{}, cause(err)
	}
	return sizedFile{f, info.Size()}, nil
}

// holdsFiles reports whether f is a container, by its first bytes. What goes
// wrong here shows again when the file is read.
func (s *Search) holdsFiles(f *file) bool {
	r, err := f.open()
	if err != nil {
		return false
	}
	defer func() { r.Close() }()
	head, err := readHead(r)
	if err != nil {
		return false
	}
	is, _ := sniff(head)
	if _, packed := codecNames[is]; packed {
		unpacked, err := decompress(is, rewound(head, r), s.opt.Limits)
		if err != nil {
			return false
		}
		defer unpacked.Close()
		if head, err = readHead(unpacked); err != nil {
			return false
		}
		is, _ = sniff(head)
	}
	switch is {
	case tarContent, zipContent, sevenZipContent, wimContent, vhdContent, vhdxContent, diskContent:
		return true
	}
	return false
}

// groups looks through the unit.
func (u *unit) groups() []*Group {
	if u.err != nil {
		return []*Group{failedGroup(u.label, u.err)}
	}
	f := &finding{search: u.search, logs: make(map[string][]*member)}
	if u.folder != "" {
		f.walk(u.folder)
	}
	for _, file := range u.files {
		f.inspect(file)
	}
	for _, file := range u.files {
		f.findLogs(file)
	}
	return f.groups(u.label)
}

// walk looks at every regular file below a folder. Links and devices are not
// followed.
func (f *finding) walk(root string) {
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			f.fail(filepath.ToSlash(path), cause(err))
			if entry != nil && entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			f.folders++
			if path != root && f.passOver(path, entry.Name()) {
				return fs.SkipDir
			}
			return nil
		case !entry.Type().IsRegular():
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			f.fail(filepath.ToSlash(path), cause(err))
			return nil
		}
		if f.inWindows(filepath.Dir(path)) {
			return nil
		}
		f.inspect(f.search.fileAt(path, info))
		return nil
	})
	if err != nil {
		f.fail(filepath.ToSlash(root), cause(err))
	}
}

// bulk are folders beside a Windows folder that hold very many files and no
// hive of the machine.
var bulk = map[string]bool{
	"PROGRAM FILES": true, "PROGRAM FILES (X86)": true, "PROGRAM FILES (ARM)": true, "PROGRAMDATA": true, "USERS": true,
	"DOCUMENTS AND SETTINGS": true, "$RECYCLE.BIN": true, "RECYCLER": true, "PERFLOGS": true, "RECOVERY": true,
	"$WINDOWS.~BT": true, "$WINDOWS.~WS": true, "$WINREAGENT": true,
}

// passOver reports whether a folder need not be looked at: in a Windows folder
// hives lie in System32/config and repair only, and of the folders beside it
// most hold none. Where all hives are wanted, nothing is passed over.
func (f *finding) passOver(path, name string) bool {
	if f.search.opt.AllHives {
		return false
	}
	folded, parent := hive.Fold(name), filepath.Dir(path)
	switch {
	case f.isWindows(parent):
		return folded != "SYSTEM32" && folded != "SYSNATIVE" && folded != "REPAIR"
	case f.isWindows(filepath.Dir(parent)) && hive.Fold(filepath.Base(parent)) != "REPAIR":
		return folded != "CONFIG"
	case bulk[folded]:
		entries, err := f.names(parent)
		if err != nil {
			return false
		}
		for _, e := range entries {
			if f.isWindows(filepath.Join(parent, e)) {
				return true
			}
		}
	}
	return false
}

// inWindows reports whether a folder is a Windows folder or its System32,
// whose own files are never hives.
func (f *finding) inWindows(folder string) bool {
	if f.search.opt.AllHives {
		return false
	}
	return f.isWindows(folder) || hive.Fold(filepath.Base(folder)) == "SYSTEM32" && f.isWindows(filepath.Dir(folder))
}

// isWindows reports whether a folder holds System32/config, in any case.
func (f *finding) isWindows(folder string) bool {
	if is, known := f.windows[folder]; known {
		return is
	}
	is := f.hasChild(folder, "SYSTEM32", "CONFIG")
	if f.windows == nil {
		f.windows = make(map[string]bool)
	}
	f.windows[folder] = is
	return is
}

func (f *finding) hasChild(folder string, folded ...string) bool {
	if len(folded) == 0 {
		return true
	}
	entries, err := f.names(folder)
	if err != nil {
		return false
	}
	for _, name := range entries {
		if hive.Fold(name) == folded[0] && f.hasChild(filepath.Join(folder, name), folded[1:]...) {
			return true
		}
	}
	return false
}

// names lists the folders in a folder; it remembers the last one listed.
func (f *finding) names(folder string) ([]string, error) {
	if f.listed == folder {
		return f.listing, nil
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	f.listed, f.listing = folder, names
	return names, nil
}

// findLogs looks beside a file whose own path was given for the transaction
// logs of that hive.
func (f *finding) findLogs(of *file) {
	if of.once {
		return
	}
	folder := filepath.Dir(filepath.FromSlash(of.label))
	entries, err := os.ReadDir(folder)
	if err != nil {
		// The folder may be closed to us while the files in it are not.
		for _, end := range []string{".LOG", ".LOG1", ".LOG2", ".log", ".log1", ".log2"} {
			f.takeLog(filepath.FromSlash(of.label) + end)
		}
		return
	}
	for _, e := range entries {
		stem, ok := logStem(stripCodec(e.Name()))
		name := stripCodec(of.name)
		if ok && (stem == foldName(name) || stem == neutralStem(name)) {
			f.takeLog(filepath.Join(folder, e.Name()))
		}
	}
}

func (f *finding) takeLog(path string) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return
	}
	log := f.search.fileAt(path, info)
	log.beside = true
	for _, known := range f.logs[log.logKey()] {
		if known.label == log.label {
			return
		}
	}
	f.inspect(log)
}

// nothingFound makes an empty search a failure: no evidence and no hive are
// not the same.
func (f *finding) nothingFound(label string) {
	if len(f.hives) > 0 || len(f.texts) > 0 || len(f.failures) > 0 {
		return
	}
	what := fmt.Sprintf("no registry hive and no .reg text was found in %s", count(f.looked, "file"))
	if f.folders > 1 {
		what += fmt.Sprintf(" in %s", count(f.folders, "folder"))
	}
	if n := f.others; n > 0 {
		what += fmt.Sprintf("; %s of other kinds (SAM, NTUSER.DAT, COMPONENTS and such) were passed over: give the path of one to have it read", count(n, "hive"))
	}
	f.fail(label, errors.New(what))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// stripCodec removes the ending that a compressor adds to a name.
func stripCodec(name string) string {
	for _, end := range []string{".gz", ".zst", ".xz", ".bz2"} {
		if len(name) > len(end) && strings.EqualFold(name[len(name)-len(end):], end) {
			return name[:len(name)-len(end)]
		}
	}
	return name
}
