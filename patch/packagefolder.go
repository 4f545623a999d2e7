package patch

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Files of a package hold certificates, licences and names: they belong to
// their owner alone.
const (
	packageFileMode   = 0o600
	packageFolderMode = 0o700
)

// Written says what Write found and did.
type Written string

// What Write can say.
const (
	Created      Written = "created"
	AlreadyThere Written = "already there" // with exactly the same content
)

// Write writes the package into the folder dir. All files are written to a
// temporary folder beside it, synced, read back and compared, and appear under
// dir together. Only where an empty folder has to stay (the current one, a
// mount) are they written into it, the manifest last.
//
// A folder that holds exactly the same package already is left alone; one that
// holds anything else is refused with ErrRefused, naming a file that differs.
func (pk *Package) Write(dir string) (Written, error) {
	files := pk.all()
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	exists, empty, err := folderState(dir)
	if err != nil {
		return "", err
	}
	if exists && !empty {
		return AlreadyThere, sameFolder(dir, files)
	}
	if err := os.MkdirAll(filepath.Dir(dir), packageFolderMode); err != nil {
		return "", err
	}
	if exists && !removeEmpty(dir) {
		return Created, fillInPlace(dir, files)
	}
	return Created, fillAndRename(dir, files)
}

// removeEmpty removes an empty folder so that the finished one can take its
// place. It does not where that would pull the folder away from under a user
// or a mount.
func removeEmpty(dir string) bool {
	here, errHere := os.Stat(".")
	there, errThere := os.Stat(dir)
	if errHere != nil || errThere != nil || os.SameFile(here, there) {
		return false
	}
	return os.Remove(dir) == nil
}

// fillAndRename writes the files beside dir and gives them its name.
func fillAndRename(dir string, files map[string][]byte) error {
	parent := filepath.Dir(dir)
	temp, err := os.MkdirTemp(parent, "."+filepath.Base(dir)+".*.tmp")
	if err != nil {
		return err
	}
	if err := fillFolder(temp, files); err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	if err := os.Rename(temp, dir); err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	return syncDir(parent)
}

// fillInPlace fills an empty folder that has to stay. The manifest comes
// last: without it the folder is no package.
func fillInPlace(dir string, files map[string][]byte) error {
	rest := maps.Clone(files)
	delete(rest, ManifestFile)
	if err := fillFolder(dir, rest); err != nil {
		return err
	}
	manifest, ok := files[ManifestFile]
	if !ok {
		return nil
	}
	return fillFolder(dir, map[string][]byte{ManifestFile: manifest})
}

// all returns the files with the manifest.
func (pk *Package) all() map[string][]byte {
	files := maps.Clone(pk.Files)
	if manifest := pk.Manifest(); manifest != nil {
		files[ManifestFile] = manifest
	}
	return files
}

func folderState(dir string) (exists, empty bool, err error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, false, nil
	case err != nil:
		return false, false, err
	}
	return true, len(entries) == 0, nil
}

// sameFolder refuses a folder with other content than files.
func sameFolder(dir string, files map[string][]byte) error {
	names, err := fileNames(dir)
	if err != nil {
		return err
	}
	refuse := func(name, why string) error {
		return fail(ErrRefused, "%s: the folder holds something else already: %s %s", dir, name, why)
	}
	for _, name := range names {
		want, ok := files[name]
		if !ok {
			return refuse(name, "is no file of this package")
		}
		got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return refuse(name, "has other content")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !slices.Contains(names, name) {
			return refuse(name, "is missing in it")
		}
	}
	return nil
}

// fileNames lists everything below dir that is no folder, with /.
func fileNames(dir string) ([]string, error) {
	var names []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, name)
		}
		return err
	})
	return names, err
}

// fillFolder writes files that do not exist yet into the folder dir and makes them durable.
func fillFolder(dir string, files map[string][]byte) error {
	folders := map[string]bool{dir: true}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		folder := filepath.Dir(path)
		if err := os.MkdirAll(folder, packageFolderMode); err != nil {
			return err
		}
		for f := folder; len(f) >= len(dir); f = filepath.Dir(f) {
			folders[f] = true
		}
		if err := writeNew(path, files[name], packageFileMode); err != nil {
			return err
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		if err := syncDir(folder); err != nil {
			return err
		}
	}
	return nil
}

// writeNew writes a file that must not exist yet, durably.
func writeNew(path string, data []byte, perm fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	return errors.Join(writeVerified(f, data, perm), f.Close())
}

// ReadPackage reads the package in dir and holds every file against the
// manifest; one that is missing or altered is refused with ErrRefused, by name.
func ReadPackage(dir string) (*Package, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	manifest, err := root.ReadFile(ManifestFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fail(ErrRefused, "%s: it is no fix package: it has no %s", dir, ManifestFile)
	}
	if err != nil {
		return nil, err
	}
	sums, err := readManifest(manifest)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	pk := &Package{Files: make(map[string][]byte)}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		data, err := root.ReadFile(filepath.FromSlash(name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fail(ErrRefused, "%s: the package is not whole: %s is missing", dir, name)
		}
		if err != nil {
			return nil, err
		}
		if got := hash(data); got != sums[name] {
			return nil, fail(ErrRefused, "%s: the package was altered: %s has SHA-256 %s, the manifest says %s", dir, name, got, sums[name])
		}
		pk.Files[name] = data
	}
	if err := pk.open(); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if !bytes.Equal(pk.Manifest(), manifest) {
		return nil, fail(ErrRefused, "%s: the package was altered: the manifest does not name the inputs of the plan", dir)
	}
	names, err := fileNames(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, ok := sums[name]; !ok && name != ManifestFile {
			pk.Unlisted = append(pk.Unlisted, name)
		}
	}
	return pk, nil
}

// open reads the plan and the journal among the files.
func (pk *Package) open() (err error) {
	text, ok := pk.Files[PlanFile]
	if !ok {
		return fail(ErrRefused, "it is no fix package: its manifest does not name %s", PlanFile)
	}
	if pk.Plan, err = ReadPlan(text); err != nil {
		return fmt.Errorf("%s: %w", PlanFile, err)
	}
	if text, ok := pk.Files[JournalFile]; ok {
		if pk.Journal, err = ReadJournal(text); err != nil {
			return fmt.Errorf("%s: %w", JournalFile, err)
		}
	}
	return nil
}

// readManifest reads the lines of sha256sum; those that begin with # are comments.
func readManifest(text []byte) (map[string]string, error) {
	sums := map[string]string{}
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		sum, name, ok := strings.Cut(line, "  ")
		if digest, err := hex.DecodeString(sum); !ok || err != nil || len(digest) != 32 || !cleanName(name) {
			return nil, fail(ErrRefused, "%s, line %d: want a SHA-256, two blanks and the name of a file, found %q", ManifestFile, i+1, line)
		}
		if _, ok := sums[name]; ok {
			return nil, fail(ErrRefused, "%s, line %d: %s is named twice", ManifestFile, i+1, name)
		}
		sums[name] = strings.ToLower(sum)
	}
	return sums, nil
}
