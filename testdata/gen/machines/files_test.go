package machines

import (
	"bytes"
	"cmp"
	"strings"
	"testing"

	"hivemend/hive"
	"hivemend/hive/regf"
	"hivemend/hive/regtext"
)

const maxHive = 64 << 10

func TestFilesAreTheSameEachTime(t *testing.T) {
	first, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	second, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	for path, data := range first {
		if !bytes.Equal(data, second[path]) {
			t.Errorf("%s differs from run to run", path)
		}
		if len(data) > maxHive {
			t.Errorf("%s has %d bytes, want at most %d", path, len(data), maxHive)
		}
	}
	if len(first) != len(second) {
		t.Errorf("%d files, then %d", len(first), len(second))
	}
}

// TestHivesHoldTheTrees reads every hive back and compares it with the tree it
// was built from.
func TestHivesHoldTheTrees(t *testing.T) {
	files, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range All() {
		for name, root := range map[string]*hive.Node{"SYSTEM": m.System, "SOFTWARE": m.Software} {
			if root == nil {
				continue
			}
			image, err := regf.Open(files[m.Name+"/"+name], regf.OpenOptions{File: name})
			if err != nil {
				t.Errorf("%s: %v", m.Name, err)
				continue
			}
			if hive.Digest(image.Root()) != hive.Digest(root.Key()) {
				t.Errorf("%s: %s holds another tree than it was built from", m.Name, name)
			}
			if issues := image.Check().Issues; len(issues) > 0 {
				t.Errorf("%s: %s: %v", m.Name, name, issues)
			}
		}
	}
}

// TestExportsHoldTheKeys reads every export back and compares it with the key
// it was written from.
func TestExportsHoldTheKeys(t *testing.T) {
	files, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range All() {
		for _, x := range m.Exports {
			file, err := regtext.Parse(files[m.Name+"/"+x.File], regtext.Options{})
			if err != nil {
				t.Errorf("%s: %v", x.File, err)
				continue
			}
			if len(file.Diagnostics) > 0 {
				t.Errorf("%s: %v", x.File, file.Diagnostics)
			}
			key, ok := file.Tree().Key().Lookup(hive.ParsePath(x.Prefix))
			if !ok || hive.Digest(key) != hive.Digest(x.Key.Key()) {
				t.Errorf("%s does not hold the key it was written from", x.File)
			}
		}
	}
}

// TestExpectationsNameWhatIsThere keeps the index from pointing at values that
// no machine has, but for those whose absence is the finding.
func TestExpectationsNameWhatIsThere(t *testing.T) {
	for _, m := range All() {
		for _, x := range m.Expected {
			var found *hive.NodeValue
			for _, root := range []*hive.Node{m.System, m.Software} {
				if root != nil {
					found = cmp.Or(found, lookup(root, x.Key, x.Value))
				}
			}
			for _, e := range m.Exports {
				_, name, _ := strings.Cut(e.Prefix, `\`)
				_, below, _ := strings.Cut(name, `\`)
				if rest, ok := hive.ParsePath(x.Key).CutPrefix(hive.ParsePath(below)); ok {
					found = cmp.Or(found, lookup(e.Key, rest.String(), x.Value))
				}
			}
			if missing := x.Cause == "id-missing"; missing != (found == nil) {
				t.Errorf("%s: %s\\%s: is there %t", m.Name, x.Key, x.Value, found != nil)
			} else if x.FailingByte >= 0 && found.Data[x.FailingByte] == x.Original {
				t.Errorf("%s: byte %d of %s is what it was", m.Name, x.FailingByte, x.Value)
			}
		}
	}
}

func lookup(n *hive.Node, path, value string) *hive.NodeValue {
	for _, name := range hive.ParsePath(path) {
		if n = n.Subkey(name); n == nil {
			return nil
		}
	}
	return n.Value(value)
}
