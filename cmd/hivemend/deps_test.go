package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// imports is the import policy of the module: what each package may import
// beyond the standard library. A name that ends in /... stands for everything
// below it, internal/cli and internal/report may import all that is listed for
// them. The promise that reading and judging can never change a byte rests on
// this table: do not widen it to make a build pass.
var imports = map[string][]string{
	"hivemend/hive/cursor":      {},
	"hivemend/hive":             {"hivemend/hive/cursor"},
	"hivemend/hive/regf":        {"hivemend/hive", "hivemend/hive/cursor"},
	"hivemend/hive/regtext":     {"hivemend/hive", "hivemend/hive/cursor", "golang.org/x/text/..."},
	"hivemend/hive/witness":     {"hivemend/hive", "www.velocidex.com/golang/regparser"},
	"hivemend/hive/source":      {"hivemend/hive", "hivemend/hive/regf", "hivemend/hive/regtext", "containers"},
	"hivemend/analyze":          {"hivemend/hive"},
	"hivemend/analyze/internal": {"hivemend/hive/cursor", "hivemend/analyze/internal/..."},
	"hivemend/analyze/rdp":      {"hivemend/analyze", "hivemend/analyze/internal/...", "hivemend/hive"},
	"hivemend/analyze/fleet":    {"hivemend/analyze", "hivemend/hive"},
	"hivemend/patch":            {"hivemend/hive", "hivemend/hive/regf", "hivemend/hive/regtext", "hivemend/hive/witness", "github.com/sergi/go-diff/..."},
	"hivemend/cmd/hivemend":     {"hivemend/cmd/hivemend/internal/cli"},
	"hivemend/cmd/hivemend/internal": {
		"hivemend/cmd/hivemend/internal/...", "hivemend/hive/...", "hivemend/hive", "hivemend/analyze", "hivemend/analyze/rdp",
		"hivemend/analyze/fleet", "hivemend/patch", "github.com/spf13/cobra", "github.com/spf13/cobra/doc", "github.com/spf13/pflag",
	},
	"hivemend/testdata/gen": {"hivemend/testdata/gen/...", "hivemend/hive", "hivemend/hive/regf", "hivemend/hive/regtext"},
}

// containers are the libraries that only hive/source may know.
var containers = []string{
	"github.com/klauspost/compress/...", "github.com/ulikunitz/xz", "github.com/ulikunitz/xz/...", "github.com/bodgit/sevenzip",
	"www.velocidex.com/golang/go-ntfs/...", "github.com/Velocidex/go-vhdx/...", "github.com/Microsoft/go-winio/...",
}

// policy returns the entry that governs the package: its own, or that of the
// nearest folder above it.
func policy(pkg string) ([]string, bool) {
	for name := pkg; name != ""; {
		if p, ok := imports[name]; ok {
			return p, name == pkg || strings.HasSuffix(name, "/internal") || strings.HasSuffix(name, "/gen")
		}
		i := strings.LastIndexByte(name, '/')
		name = name[:max(i, 0)]
	}
	return nil, false
}

func allowed(list []string, pkg string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		if entry == "containers" {
			return allowed(containers, pkg)
		}
		if below, ok := strings.CutSuffix(entry, "/..."); ok {
			return strings.HasPrefix(pkg, below+"/")
		}
		return pkg == entry
	})
}

func TestImportPolicy(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go command is not on the path")
	}
	cmd := exec.Command(goTool, "list", "-json=ImportPath,Imports", "hivemend/...", "hivemend/testdata/gen/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := 0
	for dec := json.NewDecoder(bytes.NewReader(out)); ; seen++ {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&pkg); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		may, ok := policy(pkg.ImportPath)
		if !ok {
			t.Errorf("%s has no import policy: say in this test what it may import", pkg.ImportPath)
			continue
		}
		for _, imp := range pkg.Imports {
			standard := !strings.Contains(strings.Split(imp, "/")[0], ".") && !strings.HasPrefix(imp, "hivemend/")
			if !standard && !allowed(may, imp) {
				t.Errorf("%s must not import %s", pkg.ImportPath, imp)
			}
		}
	}
	if seen < len(imports) {
		t.Errorf("only %d packages were looked at, the policy names %d", seen, len(imports))
	}
}
