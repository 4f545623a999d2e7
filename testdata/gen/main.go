// Command gen makes the test data: testdata/machines, testdata/vectors and
// testdata/README.md. It gives the same bytes every time.
//
// Run from the top of the module: go run ./testdata/gen
package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"hivemend/testdata/gen/fixtures"
)

func main() {
	if err := run("testdata"); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// run writes every generated file below dir and removes what lies in the
// generated folders but is made no longer.
func run(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "gen", "main.go")); err != nil {
		return fmt.Errorf("run this from the top of the module: %w", err)
	}
	files, err := fixtures.Files()
	if err != nil {
		return err
	}
	for path, data := range files {
		file := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return err
		}
	}
	for _, folder := range fixtures.Folders {
		if err := removeStale(dir, folder, files); err != nil {
			return err
		}
	}
	return nil
}

func removeStale(dir, folder string, files map[string][]byte) error {
	return filepath.WalkDir(filepath.Join(dir, folder), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		below, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if _, made := files[filepath.ToSlash(below)]; made {
			return nil
		}
		return os.Remove(path)
	})
}
