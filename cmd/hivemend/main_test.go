package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"hivemend/cmd/hivemend/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"hivemend": func() { os.Exit(cli.Main()) },
	})
}

// TestScripts runs what testdata/scripts says about the command line. Each
// script finds the bundled machines in the folder machines, and a hive for each
// kind of damage in the folder hives.
func TestScripts(t *testing.T) {
	testdata, err := filepath.Abs("../../testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/scripts",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			if err := os.CopyFS(filepath.Join(env.WorkDir, "hives"), os.DirFS(filepath.Join(testdata, "vectors", "hives"))); err != nil {
				return err
			}
			return os.CopyFS(filepath.Join(env.WorkDir, "machines"), os.DirFS(filepath.Join(testdata, "machines")))
		},
	})
}
