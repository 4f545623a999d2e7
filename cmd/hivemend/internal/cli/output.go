package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"hivemend/hive"
	"hivemend/hive/source"
	"hivemend/patch"
)

// privatePerm is for everything that may hold certificates, licences or names.
const privatePerm = 0o600

// writeResult writes what a command found to the terminal, or whole or not at
// all to the file that -o names. A file that is one of the inputs is refused.
func (a *app) writeResult(output string, data []byte, inputs []string) error {
	if output == "" || output == "-" {
		_, err := a.out.Write(data)
		return err
	}
	if err := patch.WriteFileAtomic(output, data, privatePerm, inputs...); err != nil {
		return fmt.Errorf("write %s: %w", output, err)
	}
	return nil
}

// inputFiles returns the files that machines were read from: hives, .reg files
// and logs, and of a member of a container the container.
func inputFiles(machines []*hive.Machine) []string {
	var files []string
	add := func(path string) {
		outer, _, _ := strings.Cut(path, "::")
		files = append(files, filepath.FromSlash(outer))
	}
	for _, m := range machines {
		for _, in := range m.Inputs {
			add(in.Path)
			if in.Replay != nil {
				for _, l := range in.Replay.Logs {
					add(l.Path)
				}
			}
		}
	}
	return files
}

// insideFolder reports whether path lies in dir or below it.
func insideFolder(path, dir string) bool {
	rel, err := filepath.Rel(absolute(dir), absolute(path))
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// absolute returns path as far as it can be followed: absolute and, where it
// exists, without links.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return path
}

// failure returns the error of an input with the input's name in front.
func failure(f source.Failure) error {
	if f.Path == "" || strings.HasPrefix(f.Err.Error(), f.Path+":") {
		return f.Err
	}
	return fmt.Errorf("%s: %w", f.Path, f.Err)
}
