package source

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"

	"hivemend/hive"
)

// wimlibProgram reads what openWIM does not: XPRESS, LZMS and solid archives.
// It is used where it is installed.
const wimlibProgram = "wimlib-imagex"

// maxWIMImages bounds how often it is started.
const maxWIMImages = 256

// openWIMWithHelper looks at the images of a WIM archive through the helper.
// Where that cannot be, because it is not installed or the archive is no file
// of the file system, the error is why, as it was.
func (f *finding) openWIMWithHelper(outer *file, r io.ReaderAt, why error) error {
	program, err := exec.LookPath(wimlibProgram)
	if err != nil || outer.depth > 0 || outer.codecs > 0 || outer.random == nil {
		return why
	}
	archive, err := filepath.Abs(filepath.FromSlash(outer.label))
	if err != nil {
		return why
	}
	images, err := wimImages(r)
	if err != nil {
		return err
	}
	for i := 1; i <= images; i++ {
		listing, err := exec.Command(program, "dir", archive, fmt.Sprint(i)).Output()
		if err != nil {
			f.fail(fmt.Sprintf("%s::%d", outer.label, i), helperError(err))
			continue
		}
		f.wimlibMembers(outer, program, archive, i, strings.Split(string(listing), "\n"))
	}
	return nil
}

func wimImages(r io.ReaderAt) (int, error) {
	h := make([]byte, wimHeaderSize)
	if _, err := r.ReadAt(h, 0); err != nil {
		return 0, fmt.Errorf("the WIM archive is cut off: %w", cutOff(err))
	}
	n := int(h[44]) | int(h[45])<<8
	if h[46]|h[47] != 0 || n > maxWIMImages {
		return 0, fmt.Errorf("the WIM archive claims more than %d images: it is refused", maxWIMImages)
	}
	return n, nil
}

// wimlibMembers looks at the files whose names promise a hive, its log or .reg
// text: each is a run of the helper.
func (f *finding) wimlibMembers(outer *file, program, archive string, image int, paths []string) {
	skip := f.passedOver(paths)
	for i, path := range paths {
		folder := i+1 < len(paths) && strings.HasPrefix(paths[i+1], path+"/")
		if skip[i] || folder || !strings.HasPrefix(path, "/") {
			continue
		}
		member := outer.inside(fmt.Sprintf("%d%s", image, path))
		stem, _ := logStem(member.name)
		promising := ofInterest[nameOf(member.name).kind] || ofInterest[nameOf(stem).kind] || strings.HasSuffix(hive.Fold(member.name), ".REG")
		if !promising {
			continue
		}
		member.size, member.once = -1, true
		member.open = func() (*stream, error) {
			return helperOutput(exec.Command(program, "extract", archive, fmt.Sprint(image), path, "--to-stdout", "--no-globs", "--no-acls"))
		}
		f.inspect(member)
	}
}

// helperOutput starts a program and reads what it writes. A failure of the
// program is an error of the reader.
func helperOutput(cmd *exec.Cmd) (*stream, error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var complaint bytes.Buffer
	cmd.Stderr = &limitedWriter{&complaint, 4096}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	h := &helperReader{cmd: cmd, out: bufio.NewReaderSize(out, 1<<16), complaint: &complaint}
	return &stream{Reader: h, closers: []func() error{h.stop}}, nil
}

type helperReader struct {
	cmd       *exec.Cmd
	out       io.Reader
	complaint *bytes.Buffer
	done      bool
}

func (h *helperReader) Read(p []byte) (int, error) {
	n, err := h.out.Read(p)
	if err == io.EOF && !h.done {
		h.done = true
		const isFolder = 42 // an empty one, which is listed like a file
		if failed := h.cmd.Wait(); failed != nil && h.cmd.ProcessState.ExitCode() != isFolder {
			return n, helperError(errors.Join(failed, errors.New(strings.TrimSpace(h.complaint.String()))))
		}
	}
	return n, err
}

// stop ends the program where not all of its output was wanted.
func (h *helperReader) stop() error {
	if h.done {
		return nil
	}
	h.done = true
	h.cmd.Process.Kill()
	h.cmd.Wait()
	return nil
}

func helperError(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		err = errors.Join(err, errors.New(strings.TrimSpace(string(exit.Stderr))))
	}
	return fmt.Errorf("%s could not read it: %s", wimlibProgram, strings.ReplaceAll(err.Error(), "\n", "; "))
}

// limitedWriter keeps the first bytes that are written to it.
type limitedWriter struct {
	to   *bytes.Buffer
	left int
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.to.Write(p[:n])
	l.left -= n
	return len(p), nil
}
