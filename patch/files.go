package patch

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// WriteFileAtomic writes data to path so that path holds either what it held
// before or all of data, whatever happens in between: a temporary file in the
// same folder is written, synced, read back and compared, renamed into place,
// and the folder is synced. perm is what the file gets, whatever the umask.
//
// inputs are the paths that the data was made from: a path that is one of
// them, by name or through links, is refused with ErrRefused.
func WriteFileAtomic(path string, data []byte, perm fs.FileMode, inputs ...string) error {
	if err := RefuseInput(path, inputs...); err != nil {
		return err
	}
	return replaceFile(path, data, perm, nil)
}

// RefuseInput returns ErrRefused where path is one of inputs: the same file by
// whatever name, symbolic and hard links included.
func RefuseInput(path string, inputs ...string) error {
	out, err := os.Stat(path) // follows links
	if err != nil {
		return nil // it does not exist yet; writing says what else is wrong
	}
	for _, input := range inputs {
		if in, err := os.Stat(input); err == nil && os.SameFile(in, out) {
			return fail(ErrRefused, "%s: the output is the input %s, which is never written to", path, input)
		}
	}
	return nil
}

// replaceFile is WriteFileAtomic without the look at inputs. With keep, the
// new file takes over owner and attributes of the old one, which keep describes.
func replaceFile(path string, data []byte, perm fs.FileMode, keep fs.FileInfo) (err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fail(ErrRefused, "%s: the output is no regular file", path)
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // the file that a link leads to is replaced, not the link
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreClosed(f.Close()), os.Remove(f.Name()))
		}
	}()
	if keep != nil {
		keepMetadata(f, path, keep)
	}
	if err := writeVerified(f, data, perm); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// writeVerified fills a new file and compares what the system gives back.
func writeVerified(f *os.File, data []byte, perm fs.FileMode) error {
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Chmod(perm); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	want := sha256.Sum256(data)
	if !bytes.Equal(h.Sum(nil), want[:]) {
		return fmt.Errorf("%s: what was written does not read back the same", f.Name())
	}
	return nil
}

// syncDir makes the names in dir durable, where the system can do that.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}
