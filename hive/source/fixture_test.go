package source

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hivemend/hive"
	"hivemend/hive/regf"

	"github.com/ulikunitz/xz"
)

func utf16le(s string) []byte {
	var b []byte
	for _, r := range s + "\x00" {
		b = append(b, byte(r), byte(r>>8))
	}
	return b
}

// systemNode is a small SYSTEM hive of a computer of that name.
func systemNode(computer string) *hive.Node {
	one := []byte{1, 0, 0, 0}
	return &hive.Node{Name: "ROOT", Keys: []*hive.Node{
		{Name: "ControlSet001", Keys: []*hive.Node{{Name: "Control", Keys: []*hive.Node{{Name: "ComputerName", Keys: []*hive.Node{
			{Name: "ComputerName", Values: []hive.NodeValue{{Name: "ComputerName", Type: hive.RegSZ, Data: utf16le(computer)}}},
		}}}}}},
		{Name: "Select", Values: []hive.NodeValue{{Name: "Current", Type: hive.RegDWORD, Data: one}, {Name: "Default", Type: hive.RegDWORD, Data: one}}},
	}}
}

func softwareNode() *hive.Node {
	return &hive.Node{Name: "ROOT", Keys: []*hive.Node{{Name: "Microsoft", Keys: []*hive.Node{{Name: "Windows NT"}}}}}
}

func buildHive(t testing.TB, n *hive.Node, fileName string) []byte {
	t.Helper()
	data, err := regf.Build(n.Key(), regf.BuildOptions{FileName: fileName})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func systemHive(t testing.TB, computer string) []byte {
	return buildHive(t, systemNode(computer), `emRoot\System32\Config\SYSTEM`)
}

func softwareHive(t testing.TB) []byte {
	return buildHive(t, softwareNode(), `Root\System32\Config\SOFTWARE`)
}

// otherHive is a hive that says nothing about what it is.
func otherHive(t testing.TB) []byte { return buildHive(t, &hive.Node{Name: "ROOT"}, "") }

// lay writes files below a new folder, given by path with /.
func lay(t testing.TB, files map[string][]byte) string {
	t.Helper()
	root := t.TempDir()
	for name, data := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// corpus returns a file of the corpus of real hives, unpacked.
func corpus(t testing.TB, name string) []byte {
	t.Helper()
	root := os.Getenv("HIVEMEND_CORPUS")
	if root == "" {
		t.Skip("HIVEMEND_CORPUS is not set")
	}
	f, err := os.Open(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(name, ".xz") {
		if r, err = xz.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// summary describes machines as "computer/generation: path, path", without root.
func summary(root string, r Result) []string {
	prefix := ""
	if root != "" {
		prefix = filepath.ToSlash(root) + "/"
	}
	var out []string
	for _, m := range r.Machines {
		var paths []string
		for _, in := range m.Inputs {
			paths = append(paths, strings.TrimPrefix(in.Path, prefix)+"="+string(in.Hive))
		}
		out = append(out, m.ComputerName+"/"+string(m.Generation)+": "+strings.Join(paths, ", "))
	}
	return out
}
