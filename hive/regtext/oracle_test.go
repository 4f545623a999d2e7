package regtext

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hivemend/hive"
	"hivemend/hive/cursor"
	"hivemend/hive/regf"
)

// tool returns the path of an outside program. Where it is absent the test is
// skipped; in CI that is a failure.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed, and in CI it has to be", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// outsideLimit is how long one outside program may take, so that one that
// hangs ends the test. What is tested does not depend on it.
const outsideLimit = 5 * time.Minute

// outside runs a program in dir with these variables besides the usual ones.
// Its output goes to a file and not to a pipe, which the servers that Wine
// leaves behind would keep open.
func outside(t *testing.T, dir string, env []string, program string, args ...string) error {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), "output")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	ctx, cancel := context.WithTimeout(context.Background(), outsideLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, text)
	}
	return nil
}

// wine is a registry of Wine's own, empty but for what Wine puts there.
type wine struct {
	t       *testing.T
	dir     string
	program string
	env     []string
}

func startWine(t *testing.T) *wine {
	program, server := tool(t, "wine"), tool(t, "wineserver")
	dir := t.TempDir()
	w := &wine{t: t, dir: dir, program: program, env: []string{
		"WINEPREFIX=" + filepath.Join(dir, "prefix"), "HOME=" + dir, "DISPLAY=", "LC_ALL=C.UTF-8",
		"WINEDEBUG=-all", "WINEDLLOVERRIDES=mscoree,mshtml=;winemenubuilder.exe=d",
	}}
	t.Cleanup(func() {
		// -k ends the server of this prefix, -w waits until it has gone.
		for _, flag := range []string{"-k", "-w"} {
			if err := outside(t, dir, w.env, server, flag); err != nil {
				t.Log(err)
			}
		}
	})
	w.run("wineboot", "-i")
	return w
}

func (w *wine) run(args ...string) {
	w.t.Helper()
	if err := outside(w.t, w.dir, w.env, w.program, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wine) importText(name string, text []byte) {
	w.t.Helper()
	w.write(name, text)
	w.run("reg", "import", name)
}

func (w *wine) write(name string, text []byte) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), text, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// export returns what one of Wine's two exporters writes of a key.
func (w *wine) export(program string, key hive.Path) []byte {
	w.t.Helper()
	const name = "export.reg"
	os.Remove(filepath.Join(w.dir, name))
	if program == "regedit" {
		w.run("regedit", "/e", name, key.String())
	} else {
		w.run("reg", "export", key.String(), name, "/y")
	}
	text, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// oracleKey is where the outside programs put what they are given.
var oracleKey = hive.Path{hive.LocalMachine, "Software", "Oracle"}

// at returns the complete key at path, with every key above it.
func at(path hive.Path, n *hive.Node) *hive.Node {
	for _, name := range slices.Backward(path[:len(path)-1]) {
		n = &hive.Node{Name: name, Partial: true, Keys: []*hive.Node{n}}
	}
	return &hive.Node{Partial: true, Keys: []*hive.Node{n}}
}

// textOfTree writes what stands below root in the given dialect.
func textOfTree(t *testing.T, root *hive.Node, opt WriterOptions) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out, opt)
	if err := WriteTree(w, nil, root.Key()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// treeAt reads text and returns the key at path of what it builds.
func treeAt(t *testing.T, text []byte, path hive.Path) *hive.Node {
	t.Helper()
	n := parse(t, text, Options{}).Tree()
	for _, name := range path {
		if n = n.Subkey(name); n == nil {
			t.Fatalf("%s is not there", path)
		}
	}
	return n
}

// sameContent compares two keys, whose values and subkeys may stand in any
// order, and reports what differs in the first one that does.
func sameContent(t *testing.T, path hive.Path, got, want *hive.Node) {
	t.Helper()
	if t.Failed() {
		return
	}
	if len(got.Values) != len(want.Values) {
		t.Errorf("%s: %d values, want %d", path, len(got.Values), len(want.Values))
	}
	values := make(map[string]hive.NodeValue, len(got.Values))
	for _, v := range got.Values {
		values[v.Name] = v
	}
	for _, v := range want.Values {
		g, ok := values[v.Name]
		switch {
		case !ok:
			t.Errorf("%s: value %.80q is missing", path, v.Name)
		case g.Type != v.Type || !bytes.Equal(g.Data, v.Data):
			t.Errorf("%s: value %.80q is %v %.60x (%d bytes), want %v %.60x (%d bytes)", path, v.Name, g.Type, g.Data, len(g.Data), v.Type, v.Data, len(v.Data))
		}
	}
	keys := make(map[string]*hive.Node, len(got.Keys))
	for _, k := range got.Keys {
		keys[k.Name] = k
		if want.Subkey(k.Name) == nil {
			t.Errorf("%s: key %.80q is too many", path, k.Name)
		}
	}
	for _, k := range want.Keys {
		if keys[k.Name] == nil {
			t.Errorf("%s: key %.80q is missing", path, k.Name)
			continue
		}
		sameContent(t, path.Join(k.Name), keys[k.Name], k)
	}
}

// oracleTypes are the types that values are made of: every one with a name,
// and some that have none.
var oracleTypes = []hive.Type{
	hive.RegNone, hive.RegSZ, hive.RegExpandSZ, hive.RegBinary, hive.RegDWORD, hive.RegDWORDBigEndian, hive.RegLink, hive.RegMultiSZ,
	8, 9, 10, hive.RegQWORD, 12, 0x100, 0xabcd, 0x7fffffff, 0x80000001, 0xffffffff,
}

const sizesKey = "sizes"

func isText(t hive.Type) bool {
	return t == hive.RegSZ || t == hive.RegExpandSZ || t == hive.RegMultiSZ
}

// oracleData returns about n bytes of data of a type: text where the type is
// one, ended by a NUL, and else n bytes as they come.
func oracleData(rng *rand.Rand, typ hive.Type, n int, alphabet []uint16) []byte {
	if !isText(typ) || n == 0 {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		return data
	}
	units := make([]uint16, max(n/2, 1))
	for i := range units {
		units[i] = alphabet[rng.IntN(len(alphabet))]
		if typ == hive.RegMultiSZ && rng.IntN(10) == 0 {
			units[i] = 0
		}
	}
	units[len(units)-1] = 0
	return cursor.Bytes(units)
}

// characters are what names and strings are made of: everything that means
// something in the grammar, control characters, and some of the rest.
const characters = "\\\\\"\"@=-[];,:#/ \t(){}%aAzZ09\u0001\u001f\u007f\u00a0\u00e9\u00df\u0130\u4e2d\u2028\ufeff\ufffd\U0001F600"

func oracleName(rng *rand.Rand, units int, alphabet []uint16, number int) string {
	name := make([]uint16, units)
	for i := range name {
		name[i] = alphabet[rng.IntN(len(alphabet))]
	}
	// A number keeps the names apart, whatever their case.
	return cursor.StringFromUnits(append(name, cursor.UnitsFromString(fmt.Sprint(number))...))
}

// oracleTree returns keys of values of every type, at every length at which
// the wrapping of lines behaves in its own way and at some beyond, under names
// of every length up to 90 and of some beyond. The subkey sizesKey holds the
// REG_DWORD that are not 4 bytes long.
func oracleTree(seed uint64, alphabet []uint16, longest int) *hive.Node {
	rng := rand.New(rand.NewPCG(seed, seed))
	root := &hive.Node{Name: oracleKey.Name()}
	number := 0
	key := func(name string) *hive.Node {
		k := &hive.Node{Name: name}
		root.Keys = append(root.Keys, k)
		return k
	}
	add := func(k *hive.Node, name string, typ hive.Type, n int) {
		k.Values = append(k.Values, hive.NodeValue{Name: name, Type: typ, Data: oracleData(rng, typ, n, alphabet)})
	}
	named := func(units int) string {
		number++
		return oracleName(rng, units, alphabet, number)
	}
	for _, typ := range oracleTypes {
		k := key(fmt.Sprintf("type %x", uint32(typ)))
		add(k, "", typ, 4)
		for n := range 80 {
			if typ != hive.RegDWORD || n == 4 {
				add(k, named(n%31), typ, n)
			}
		}
		for _, n := range []int{127, 255, 256, 1000, 4095, 16344} {
			if typ != hive.RegDWORD {
				add(k, named(3), typ, n)
			}
		}
	}
	names := key("names")
	for n := range 90 {
		add(names, named(n), hive.RegBinary, 30)
		add(names, named(n), hive.RegSZ, 30)
	}
	for _, n := range []int{127, 255, 256, 1000} {
		add(names, named(n), hive.RegMultiSZ, 30)
	}
	long := key("long")
	for _, n := range []int{65536, longest} {
		add(long, named(3), hive.RegBinary, n)
		add(long, named(3), hive.RegSZ, n)
	}
	sizes := key(sizesKey)
	for _, n := range []int{0, 1, 2, 3, 5, 8, 100} {
		add(sizes, named(3), hive.RegDWORD, n)
	}
	deep := key("keys")
	for n := range 40 {
		name := strings.ReplaceAll(named(n*6), `\`, "/")
		deep.Keys = append(deep.Keys, &hive.Node{Name: name, Keys: []*hive.Node{{Name: "sub"}}})
	}
	return root
}

// asExported returns what an exporter of the Windows kind makes of a key: a
// REG_SZ ends at its first NUL, and always has one.
func asExported(n *hive.Node) *hive.Node {
	out := &hive.Node{Name: n.Name}
	for _, v := range n.Values {
		if v.Type == hive.RegSZ {
			units := cursor.Units(v.Data)
			if i := slices.Index(units, 0); i >= 0 {
				units = units[:i]
			}
			v.Data = cursor.Bytes(append(slices.Clone(units), 0))
		}
		out.Values = append(out.Values, v)
	}
	for _, k := range n.Keys {
		out.Keys = append(out.Keys, asExported(k))
	}
	return out
}

// TestWine holds text against Wine's reg and regedit: they import what is
// written here, what they export is read here as the same, and is byte for
// byte what is written here of it. Left out is where Wine is known to be
// wrong: REG_EXPAND_SZ and REG_MULTI_SZ of odd size or without a final NUL,
// REG_SZ with line breaks, and the export of a REG_DWORD that is not 4 bytes,
// for which Wine 8.0 makes bytes up.
func TestWine(t *testing.T) {
	w := startWine(t)
	alphabet := append(cursor.UnitsFromString(characters), 0xd800, 0xdfff)
	tree := wineTree(1, alphabet, 1<<20+1)
	w.importText("tree.reg", textOfTree(t, at(oracleKey, tree), WriterOptions{}))

	for _, program := range []string{"regedit", "reg"} {
		t.Run(program+" exports", func(t *testing.T) {
			w.t = t
			text := w.export(program, oracleKey)
			got := treeAt(t, text, oracleKey)
			sameContent(t, oracleKey, got, asExported(tree))
			sameText(t, textOfTree(t, at(oracleKey, got), WriterOptions{Dialect: Regedit}), text)
		})
	}
	t.Run("regedit imports", func(t *testing.T) {
		w.t = t
		path := hive.Path{hive.LocalMachine, "Software", "Regedit"}
		other := wineTree(2, alphabet, 70000)
		other.Name = path.Name()
		w.write("regedit.reg", textOfTree(t, at(path, other), WriterOptions{Dialect: Lossless}))
		w.run("regedit", "/s", "regedit.reg")
		sameContent(t, path, treeAt(t, w.export("regedit", path), path), asExported(other))
	})
	t.Run("REGEDIT4", func(t *testing.T) {
		w.t = t
		path := hive.Path{hive.LocalMachine, "Software", "Old"}
		var ascii []uint16
		for c := uint16(' '); c <= '~'; c++ {
			ascii = append(ascii, c)
		}
		old := asExported(wineTree(3, ascii, 5000)) // REGEDIT4 text has no other form for a REG_SZ
		old.Name = path.Name()
		w.importText("old.reg", textOfTree(t, at(path, old), WriterOptions{Dialect: Regedit4}))
		sameContent(t, path, treeAt(t, w.export("regedit", path), path), old)
	})
	t.Run("edits", func(t *testing.T) {
		w.t = t
		testEditsWithWine(t, w)
	})
	t.Run("messy text", func(t *testing.T) {
		w.t = t
		testMessyTextWithWine(t, w)
	})
}

// wineTree is oracleTree without what Wine does not export as it is.
func wineTree(seed uint64, alphabet []uint16, longest int) *hive.Node {
	tree := oracleTree(seed, alphabet, longest)
	tree.Keys = slices.DeleteFunc(tree.Keys, func(k *hive.Node) bool { return k.Name == sizesKey })
	return tree
}

// sameText compares UTF-16LE texts and shows where they part.
func sameText(t *testing.T, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	n := 0
	for n < len(got) && n < len(want) && got[n] == want[n] {
		n++
	}
	start := max(n-100, 0) &^ 1
	t.Errorf("the texts part at byte %d:\n%q\nwant\n%q", n, cursor.String(got[start:min(n+100, len(got))&^1]), cursor.String(want[start:min(n+100, len(want))&^1]))
}

// testEditsWithWine holds what edits come to, in their order, against what
// Wine makes of them.
func testEditsWithWine(t *testing.T, w *wine) {
	rng := rand.New(rand.NewPCG(4, 4))
	path := hive.Path{hive.LocalMachine, "Software", "Edits"}
	edits := []hive.Edit{{Op: hive.CreateKey, Key: path}}
	for range 600 {
		key := path
		for range 1 + rng.IntN(3) {
			key = key.Join([]string{"Abc", "aBC", "d", "e f", "\u00e9", "\u00c9"}[rng.IntN(6)])
		}
		name := []string{"", "v", "V", "w x", "\u00fc", "\u00dc"}[rng.IntN(6)]
		switch rng.IntN(10) {
		case 0:
			edits = append(edits, hive.Edit{Op: hive.DeleteKey, Key: key})
		case 1:
			edits = append(edits, hive.Edit{Op: hive.CreateKey, Key: key})
		case 2, 3:
			edits = append(edits, hive.Edit{Op: hive.DeleteValue, Key: key, Value: name})
		default:
			edits = append(edits, hive.Edit{Op: hive.SetValue, Key: key, Value: name, Type: hive.RegBinary, Data: dword(rng.Uint32())})
		}
	}
	text := printEdits(t, WriterOptions{}, edits)
	w.importText("edits.reg", text)
	sameContent(t, path, treeAt(t, w.export("regedit", path), path), treeAt(t, text, path))
}

// messyPieces are what hand-edited text is made of; %d is a number that tells
// the names apart. Windows reads some of them and drops others.
var messyPieces = []string{
	"\"a%d\"=\"x\"", "  \"a%d\" = \"x\" ; c", "\"a%d\"=\"x\" y", "\"a%d\"=dword:%d", "\"a%d\"=dword: %dg", "\"a%d\"=dword:%d;c",
	"\"a%d\"=hex:01,\\\r\n  02", "\"a%d\"=hex:01,\\ ; c\r\n; c\r\n\r\n 02,3", "\"a%d\"=hex:01\\\r\n02", "\"a%d\"=hex(7):61,00,00,00,\\",
	"\"a%d\"=hex(8%d):aa,bb", "\"a%d\"=hex(1%d:aa", "\"a%d\"=hex:01,,02", "\"a%d\"=-", "\"a%d=\"x\"", "a%d=\"x\"", "\"a%d\"", "\"\\\"a%d\\\\\"=\"\\\\\"",
	"; c %d", "# c %d", "junk %d", "", " \t", "@=\"%d\"", " @ = hex(8%d):", "\"a%d\"=\"v;c\";\"c\"", "\"a%d\"=hex:0,1,f", "\"a%d\"=hex:1 ,2",
	"[HKEY_LOCAL_MACHINE\\Software\\Messy\\k%d]", "  [HKEY_LOCAL_MACHINE\\Software\\Messy\\k%d\\] x", "[-HKEY_LOCAL_MACHINE\\Software\\Messy\\k%d]",
	"[HKEY_LOCAL_MACHINE\\Software\\Messy\\k\\\\%d\\s]", "[HKEY_BOGUS\\k%d]",
}

// testMessyTextWithWine holds the reading of text as people write it against
// Wine's. Left out are the faults that are read in another way than Wine on
// purpose; those have their place in the vectors.
func testMessyTextWithWine(t *testing.T, w *wine) {
	rng := rand.New(rand.NewPCG(5, 5))
	path := hive.Path{hive.LocalMachine, "Software", "Messy"}
	var b strings.Builder
	b.WriteString(v5Header + "\r\n[" + path.String() + "]\r\n")
	for range 3000 {
		piece := messyPieces[rng.IntN(len(messyPieces))]
		var numbers []any
		for range strings.Count(piece, "%d") {
			numbers = append(numbers, rng.IntN(60))
		}
		b.WriteString(fmt.Sprintf(piece, numbers...) + "\r\n")
	}
	text := wide(b.String())
	f, err := Parse(text, Options{AllowSwallowed: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d entries, %d lines not read", len(f.Ops), len(f.Diagnostics)+f.MoreDiagnostics)
	w.importText("messy.reg", text)
	want := f.Tree()
	for _, name := range path {
		want = want.Subkey(name)
	}
	sameContent(t, path, treeAt(t, w.export("regedit", path), path), want)
}

// TestHivexregedit holds text against hivexregedit and the hive library below
// it: it merges what is written here into a hive, and what it exports of that
// hive is read here as the same. It takes text as UTF-8 with LF only, writes
// no lone surrogates, and its library stores no data of more than 16,344
// bytes.
func TestHivexregedit(t *testing.T) {
	program := tool(t, "hivexregedit")
	dir := t.TempDir()
	env := []string{"PERL_UNICODE=SDL", "LC_ALL=C.UTF-8"}
	tree := oracleTree(6, cursor.UnitsFromString(strings.ReplaceAll(characters, "\U0001F600", "")), 10000)
	dropLong(tree, 16344)
	data, err := regf.Build((&hive.Node{Name: "ROOT"}).Key(), regf.BuildOptions{Minor: 5})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		"hive":      data,
		"merge.reg": []byte(hive.TextOf(textOfTree(t, at(oracleKey, tree), WriterOptions{}))),
	}
	files["merge.reg"] = bytes.ReplaceAll(files["merge.reg"], []byte(crlf), []byte("\n"))
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := outside(t, dir, env, program, "--merge", "--prefix", hive.Path(oracleKey[:2]).String(), "hive", "merge.reg"); err != nil {
		t.Fatal(err)
	}
	data, err = os.ReadFile(filepath.Join(dir, "hive"))
	if err != nil {
		t.Fatal(err)
	}
	im, err := regf.Open(data, regf.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var merged bytes.Buffer
	w := NewWriter(&merged, WriterOptions{})
	if err := errors.Join(WriteTree(w, oracleKey[:2], im.Root()), w.Close()); err != nil {
		t.Fatal(err)
	}
	sameContent(t, oracleKey, treeAt(t, merged.Bytes(), oracleKey), tree)

	text, err := exportWithHivexregedit(dir, env, program)
	if err != nil {
		t.Fatal(err)
	}
	sameContent(t, oracleKey, treeAt(t, text, oracleKey), tree)
}

// dropLong takes out the values with more than most bytes of data.
func dropLong(n *hive.Node, most int) {
	n.Values = slices.DeleteFunc(n.Values, func(v hive.NodeValue) bool { return len(v.Data) > most })
	for _, k := range n.Keys {
		dropLong(k, most)
	}
}

func exportWithHivexregedit(dir string, env []string, program string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), outsideLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--export", "--prefix", hive.Path(oracleKey[:2]).String(), "hive", `\`)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	text, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return text, err
}
