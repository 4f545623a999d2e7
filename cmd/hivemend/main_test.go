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
// script finds the bundled machines in the folder machines.
func TestScripts(t *testing.T) {
	machines, err := filepath.Abs("../../testdata/machines")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/scripts",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			return os.CopyFS(filepath.Join(env.WorkDir, "machines"), os.DirFS(machines))
		},
	})
}
