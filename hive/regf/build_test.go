package regf

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"hivemend/hive"
)

func TestBuildIsDeterministic(t *testing.T) {
	a, b := buildTest(t, smallTree(), BuildOptions{}), buildTest(t, smallTree(), BuildOptions{})
	if !bytes.Equal(a, b) {
		t.Error("the same tree gave different bytes")
	}
}

func TestBuildHeader(t *testing.T) {
	data := buildTest(t, &hive.Node{Name: `a\root`, Class: []byte("c\x00")}, BuildOptions{
		Minor: 3, FileName: `\Device\HarddiskVolume1\Windows\System32\config\SOFTWARE`, Sequence: 77, Time: 4711,
	})
	im := openTest(t, data)
	h := im.Header()
	if h.Version() != "1.3" || h.Sequence1 != 77 || h.Sequence2 != 77 || h.LastWritten != 4711 || len(data) != 8192 || h.Length != 4096 {
		t.Errorf("%+v", h)
	}
	if want := `\Windows\System32\config\SOFTWARE`; h.FileName != want[len(want)-31:] {
		t.Errorf("file name %q", h.FileName)
	}
	root := im.Root()
	if root.Name() != `a\root` || root.LastWrite() != 4711 || root.Flags() != nkRoot|nkNoDelete|nkCompressed || string(root.Class()) != "c\x00" {
		t.Errorf("%q %v %#x %q", root.Name(), root.LastWrite(), root.Flags(), root.Class())
	}
	if string(root.Security()) != defaultDescriptor || len(defaultDescriptor) != 144 {
		t.Errorf("%x", root.Security())
	}
	checkClean(t, im)
}

// TestBuildData builds values of every length at which something changes.
func TestBuildData(t *testing.T) {
	for _, minor := range []uint32{2, 3, 4, 5, 6} {
		root := &hive.Node{Name: "ROOT"}
		for _, n := range []int{0, 1, 3, 4, 5, 16343, 16344, 16345, 32688, 32689, 81725, 1 << 20} {
			data := make([]byte, n)
			for i := range data {
				data[i] = byte(i*7 + i>>8)
			}
			root.Values = append(root.Values, hive.NodeValue{Name: fmt.Sprint(n), Type: hive.Type(n), Data: data})
		}
		im := openTest(t, buildTest(t, root, BuildOptions{Minor: minor}))
		checkClean(t, im)
		settle(root, editTime-1, []byte(defaultDescriptor))
		if err := compareTree(root, im.Root(), nil); err != nil {
			t.Errorf("1.%d: %v", minor, err)
		}
		k := nk(mustUse(im.key(im.root)))
		if k.maxValueData() != 1<<20 || k.maxValueName() != 14 {
			t.Errorf("1.%d: longest data %d, longest name %d", minor, k.maxValueData(), k.maxValueName())
		}
	}
}

// TestBuildLists looks at the kinds of lists that hives of each version have.
func TestBuildLists(t *testing.T) {
	for _, tt := range []struct {
		minor uint32
		n     int
		want  string // kind and counts of the leaves, after ri if there is one
	}{
		{2, 1, "li [1]"}, {2, 1013, "li [1013]"}, {2, 1014, "ri li [1013 1]"},
		{3, 1, "lf [1]"}, {3, 507, "lf [507]"}, {3, 508, "li [508]"}, {4, 1014, "ri li [1013 1]"},
		{5, 507, "lh [507]"}, {5, 508, "ri lh [507 1]"}, {6, 1600, "ri lh [507 507 507 79]"},
	} {
		root := &hive.Node{Name: "ROOT"}
		for i := range tt.n {
			root.Keys = append(root.Keys, &hive.Node{Name: fmt.Sprintf("k%d", i)})
		}
		im := openTest(t, buildTest(t, root, BuildOptions{Minor: tt.minor}))
		checkClean(t, im)
		k := nk(mustUse(im.key(im.root)))
		var found string
		if mustUse(im.list(k.subkeyList())).kind() == "ri" {
			found = "ri "
		}
		var counts []int
		var kind string
		im.leaves(k.subkeyList(), func(l list) bool {
			kind = l.kind()
			counts = append(counts, int(l.count()))
			return true
		})
		if found += fmt.Sprint(kind, " ", counts); found != tt.want {
			t.Errorf("1.%d with %d subkeys: %s, want %s", tt.minor, tt.n, found, tt.want)
		}
	}
}

// TestBuildOrder uses the names of msuhanov's UpcaseHive and PairHive.
func TestBuildOrder(t *testing.T) {
	root := &hive.Node{Name: "ROOT"}
	for _, name := range []string{"\u00df2", "SS3", "\U00010400", "ss1", "\uff21", "\u00ff", "zz"} {
		root.Keys = append(root.Keys, &hive.Node{Name: name})
	}
	im := openTest(t, buildTest(t, root, BuildOptions{}))
	checkClean(t, im)
	var found []string
	for k := range im.Root().Subkeys() {
		found = append(found, k.Name())
	}
	if want := []string{"ss1", "SS3", "zz", "\u00df2", "\u00ff", "\U00010400", "\uff21"}; !slices.Equal(found, want) {
		t.Errorf("%q, want %q", found, want)
	}
}

func TestBuildSharesDescriptors(t *testing.T) {
	root := &hive.Node{Name: "ROOT", Security: testDescriptor(1)}
	for i := range 10 {
		root.Keys = append(root.Keys, &hive.Node{Name: fmt.Sprint(i), Security: testDescriptor(i % 3)})
	}
	im := openTest(t, buildTest(t, root, BuildOptions{}))
	checkClean(t, im) // counts the users as well
	at := nk(mustUse(im.key(im.root))).security()
	first, err := im.security(at)
	mustDo(t, err)
	// Keys without a descriptor take that of the root.
	if first.references() != 1+4+3 || first.next() == at {
		t.Errorf("%d users, next %s", first.references(), first.next())
	}
}

func TestBuildRefuses(t *testing.T) {
	deep := &hive.Node{Name: "ROOT"}
	for n, i := deep, 0; i <= hive.MaxDepth; i++ {
		n.Keys = []*hive.Node{{Name: "d"}}
		n = n.Keys[0]
	}
	below := func(k *hive.Node) *hive.Node {
		return &hive.Node{Name: "ROOT", Keys: []*hive.Node{{Name: "Parent", Keys: []*hive.Node{k}}}}
	}
	values := func(v ...hive.NodeValue) *hive.Node { return below(&hive.Node{Name: "Key", Values: v}) }
	for _, tt := range []struct {
		root *hive.Node
		opt  BuildOptions
		want string
	}{
		{below(&hive.Node{}), BuildOptions{}, `key Parent: subkey "": a key needs a name`},
		{below(&hive.Node{Name: `a\b`}), BuildOptions{}, `key Parent: subkey "a\b": a key name cannot hold a backslash`},
		{below(&hive.Node{Name: strings.Repeat("\u03a9", 256)}), BuildOptions{}, "256 characters"},
		{&hive.Node{Keys: []*hive.Node{{Name: "caf\u00e9"}, {Name: "x"}, {Name: "CAF\u00c9"}}}, BuildOptions{}, "the root key: it has two subkeys that mean the same name, \"caf\u00e9\" and \"CAF\u00c9\""},
		{values(hive.NodeValue{Name: "v"}, hive.NodeValue{Name: "V"}), BuildOptions{}, `key Parent\Key: it has two values that mean the same name, "v" and "V"`},
		{values(append(manyNodeValues(40), hive.NodeValue{Name: "N17"})...), BuildOptions{}, `"n17" and "N17"`},
		{values(hive.NodeValue{}, hive.NodeValue{}), BuildOptions{}, `(Default) and (Default)`},
		{values(hive.NodeValue{Name: strings.Repeat("v", 16384)}), BuildOptions{}, "16384 characters"},
		{values(hive.NodeValue{Name: "v", Data: make([]byte, 1<<20+1)}), BuildOptions{Minor: 3}, "a hive of version 1.3 holds at most 1048576"},
		{below(&hive.Node{Name: "Key", Class: make([]byte, 0xffff)}), BuildOptions{}, `key Parent\Key: a class name of 65535 bytes`},
		{below(&hive.Node{Name: "Key", Security: []byte{1, 0, 0, 0x80}}), BuildOptions{}, `key Parent\Key: its security descriptor: 4 bytes`},
		{deep, BuildOptions{}, "on level 512"},
		{smallTree(), BuildOptions{Minor: 1}, "version 1.1"},
		{smallTree(), BuildOptions{Minor: 7}, "version 1.7"},
	} {
		_, err := Build(tt.root.Key(), tt.opt)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
	if _, err := Build(smallTree().Key(), BuildOptions{Minor: 9}); !errors.Is(err, hive.ErrUnsupported) {
		t.Errorf("%v, want ErrUnsupported", err)
	}
	deep.Keys[0].Keys = deep.Keys[0].Keys[0].Keys // one level less
	checkClean(t, openTest(t, buildTest(t, deep, BuildOptions{})))
}

func manyNodeValues(n int) (values []hive.NodeValue) {
	for i := range n {
		values = append(values, hive.NodeValue{Name: fmt.Sprintf("n%d", i)})
	}
	return values
}

// TestBuildSalvages builds from a hive in which a descriptor and some data are
// damaged.
func TestBuildSalvages(t *testing.T) {
	source := smallTree()
	source.Keys[0].Security = testDescriptor(2)
	damaged := openTest(t, buildTest(t, source, BuildOptions{}))
	a, _ := damaged.Root().Subkey("A")
	_, ref := a.Store()
	k := nk(mustUse(damaged.key(cellOffset(ref))))
	mustUse(damaged.security(k.security()))[skSize] = 9
	for entries, _ := damaged.valueList(k); len(entries) > 0; entries = entries[4:] {
		if value := damaged.valueQuick(reference(entries)); value.nameLength() == 0 {
			value.setDataSize(5000)
		}
	}
	if _, err := Build(damaged.Root(), BuildOptions{}); err == nil || !strings.Contains(err.Error(), "key A") {
		t.Errorf("%v, want an error that names A", err)
	}
	data, err := Build(damaged.Root(), BuildOptions{Salvage: true})
	mustDo(t, err)
	im := openTest(t, data)
	checkClean(t, im)
	rebuilt, _ := im.Root().Subkey("A")
	if string(rebuilt.Security()) != defaultDescriptor {
		t.Errorf("descriptor %x", rebuilt.Security())
	}
	if v, _ := rebuilt.Value(""); v.Size() < 100 {
		t.Errorf("%d bytes were saved, want at least 100", v.Size())
	}
}

// TestCorpusBuild builds real hives anew, in their own version and others.
func TestCorpusBuild(t *testing.T) {
	for _, f := range corpus(t) {
		if f.isLog() || f.state != "clean" || f.regf == "1.1" {
			continue
		}
		t.Run(f.name(), func(t *testing.T) {
			im, err := Open(corpusBytes(t, f.path), OpenOptions{})
			if err != nil {
				t.Skip(err)
			}
			if !im.Check().Sound() {
				t.Skip("damaged")
			}
			for _, minor := range []uint32{im.Header().Minor, 5} {
				data, err := Build(im.Root(), BuildOptions{Minor: minor})
				if err != nil {
					t.Fatal(err)
				}
				built := openTest(t, data)
				checkClean(t, built)
				if err := compareTree(load(im.Root()), built.Root(), nil); err != nil {
					t.Fatal(err)
				}
				t.Logf("1.%d: %d bytes from %d", minor, len(data), len(im.Bytes()))
			}
		})
	}
}

// FuzzBuild builds trees of arbitrary names and data. What can be built reads
// back the same and has no defect.
func FuzzBuild(f *testing.F) {
	f.Add(byte(5), []byte("\x03key\x01v\x05hello\x00"))
	f.Add(byte(3), []byte("\x04\xed\xa0\x80x\x05\xc3\xa9\x00\xff\xfe\x01\x02"))
	f.Add(byte(2), bytes.Repeat([]byte("\x02ab\x01c\x03xyz"), 30))
	f.Fuzz(func(t *testing.T, minor byte, script []byte) {
		root := scriptTree(script)
		data, err := Build(root.Key(), BuildOptions{Minor: 2 + uint32(minor)%5, Time: 1})
		if err != nil {
			return
		}
		im := openTest(t, data)
		checkClean(t, im)
		settle(root, 1, []byte(defaultDescriptor))
		normalNames(root)
		if err := compareTree(root, im.Root(), nil); err != nil {
			t.Fatal(err)
		}
		again, err := Build(im.Root(), BuildOptions{Minor: 2 + uint32(minor)%5, Time: 1})
		if err != nil || len(again) != len(data) {
			t.Fatalf("built again: %d bytes instead of %d, %v", len(again), len(data), err)
		}
	})
}

// scriptTree reads a tree from bytes: each step takes a key down, adds a value
// or goes up.
func scriptTree(script []byte) *hive.Node {
	take := func(n int) []byte {
		n = min(n, len(script))
		part := script[:n]
		script = script[n:]
		return part
	}
	text := func() string {
		if len(script) == 0 {
			return ""
		}
		return string(take(int(take(1)[0]) % 40))
	}
	root := &hive.Node{Name: "ROOT"}
	path := []*hive.Node{root}
	for len(script) > 0 {
		top := path[len(path)-1]
		switch step := take(1)[0]; step % 4 {
		case 0:
			if len(path) > 1 {
				path = path[:len(path)-1]
			}
		case 1, 2:
			v := hive.NodeValue{Name: text(), Type: hive.Type(step), Data: []byte(text())}
			if step > 200 {
				v.Data = bytes.Repeat(v.Data, 600)
			}
			top.Values = append(top.Values, v)
		case 3:
			k := &hive.Node{Name: text(), Flags: uint16(step) << 4, Class: []byte(text())}
			top.Keys = append(top.Keys, k)
			path = append(path, k)
		}
	}
	return root
}

// normalNames gives the names the form that they have after being stored as
// UTF-16.
func normalNames(n *hive.Node) {
	n.Name = encodeName(n.Name).text()
	for i := range n.Values {
		n.Values[i].Name = encodeName(n.Values[i].Name).text()
	}
	for _, k := range n.Keys {
		normalNames(k)
	}
}
