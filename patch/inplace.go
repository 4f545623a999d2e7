package patch

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hivemend/hive"
)

// InPlace is what ReplaceInPlace has done, as paths of files.
type InPlace struct {
	Replaced []string
	Backups  []string // that were written or found complete
	Moved    []string // transaction logs that now lie in the backup folder only
}

// ReplaceInPlace writes the changed hives of r over the files they came from.
//
// First every hive that will change and its logs are copied to the folder
// backup, under their names with the first 16 digits of their SHA-256, and
// made durable; nothing is ever overwritten there. Then each hive is replaced
// as WriteFileAtomic does, and its LOG, LOG1 and LOG2 leave the folder, since
// they belong to the old hive (.blf and .regtrans-ms stay). A run that was
// ended in between is completed by the next one.
//
// Refused with ErrRefused, before anything is written, are inputs that are no
// plain files, and files that have changed since they were read.
func ReplaceInPlace(r *Result, backup string) (InPlace, error) {
	var done InPlace
	var jobs []*replacement
	for _, p := range r.Inputs {
		job, err := newReplacement(p, backup)
		if err != nil {
			return done, err
		}
		if job != nil {
			jobs = append(jobs, job)
		}
	}
	if len(jobs) == 0 {
		return done, nil
	}
	if err := os.MkdirAll(backup, packageFolderMode); err != nil {
		return done, err
	}
	for _, job := range jobs {
		if err := job.backUp(&done); err != nil {
			return done, err
		}
	}
	if err := syncDir(backup); err != nil {
		return done, err
	}
	for _, job := range jobs {
		if err := job.replace(&done); err != nil {
			return done, err
		}
	}
	return done, nil
}

// replacement is one hive to be replaced, with the files that go with it.
type replacement struct {
	path  string
	data  []byte // nil where only logs of an earlier run are left over
	info  fs.FileInfo
	files []oldFile
}

// oldFile is a file that will be changed or leave its place.
type oldFile struct {
	path, backup string
	data         []byte
}

// logSuffixes are the endings of the logs that belong to a hive.
var logSuffixes = []string{".LOG", ".LOG1", ".LOG2"}

// newReplacement looks at what is on disk. It returns nil where nothing is to
// be done.
func newReplacement(p Patched, backup string) (*replacement, error) {
	in := p.Input
	if in.Kind != hive.Regf {
		return nil, nil
	}
	path := filepath.FromSlash(in.Path)
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		if !p.Changed {
			return nil, nil
		}
		return nil, fail(ErrRefused, "%s: it is no plain file, so it cannot be replaced in place", in.Path)
	}
	logs, err := readLogs(path, backup)
	if err != nil {
		return nil, err
	}
	if !p.Changed {
		if logs = slices.DeleteFunc(logs, func(f oldFile) bool { return !f.backedUp() }); len(logs) == 0 {
			return nil, nil
		}
		return &replacement{path: path, files: logs}, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if got := hash(data); got != in.SHA256 {
		return nil, fail(ErrRefused, "%s: the file has changed since it was read (SHA-256 %s, now %s)", in.Path, in.SHA256, got)
	}
	files := append([]oldFile{newOldFile(path, data, backup)}, logs...)
	return &replacement{path: path, data: p.After.Data, info: info, files: files}, nil
}

func newOldFile(path string, data []byte, backup string) oldFile {
	return oldFile{path: path, data: data, backup: filepath.Join(backup, filepath.Base(path)+"."+hash(data)[:16])}
}

// readLogs reads the transaction logs beside a hive, whatever the case of
// their names.
func readLogs(path, backup string) ([]oldFile, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	var logs []oldFile
	for _, entry := range entries {
		name := entry.Name()
		isLog := slices.ContainsFunc(logSuffixes, func(suffix string) bool { return strings.EqualFold(name, filepath.Base(path)+suffix) })
		if !isLog || !entry.Type().IsRegular() {
			continue
		}
		log := filepath.Join(filepath.Dir(path), name)
		data, err := os.ReadFile(log)
		if err != nil {
			return nil, err
		}
		logs = append(logs, newOldFile(log, data, backup))
	}
	return logs, nil
}

// backedUp reports whether the backup holds exactly this file.
func (f oldFile) backedUp() bool {
	data, err := os.ReadFile(f.backup)
	return err == nil && bytes.Equal(data, f.data)
}

// backUp copies the files, durably; what lies there already must be the same.
func (r *replacement) backUp(done *InPlace) error {
	for _, f := range r.files {
		if _, err := os.Lstat(f.backup); errors.Is(err, fs.ErrNotExist) {
			if err := replaceFile(f.backup, f.data, packageFileMode, nil); err != nil {
				return fmt.Errorf("backup of %s: %w", f.path, err)
			}
		} else if !f.backedUp() {
			return fail(ErrRefused, "%s: the backup exists and holds something else; backups are never overwritten", f.backup)
		}
		done.Backups = append(done.Backups, f.backup)
	}
	return nil
}

// replace puts the new hive in place and takes the old logs away.
func (r *replacement) replace(done *InPlace) error {
	logs := r.files
	if r.data != nil {
		if err := replaceFile(r.path, r.data, r.info.Mode().Perm(), r.info); err != nil {
			return err
		}
		done.Replaced = append(done.Replaced, r.path)
		logs = r.files[1:]
	}
	for _, f := range logs {
		if err := os.Remove(f.path); err != nil {
			return err
		}
		done.Moved = append(done.Moved, f.path)
	}
	return syncDir(filepath.Dir(r.path))
}
