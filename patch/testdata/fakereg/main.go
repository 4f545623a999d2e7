// Command fakereg stands in for reg.exe, and for certutil.exe where it bears
// that name: it keeps a registry in a file, records how it was called, and
// fails where it is told to. The scripts of a package are tested with it,
// because Wine's own reg.exe has no compare, copy, load and unload.
//
// FAKEREG_DIR is the folder with its state and its record. FAKEREG_FAIL holds
// lines of the form "part of the arguments=exit code".
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"hivemend/hive"
	"hivemend/hive/regf"
	"hivemend/hive/regtext"
)

type value struct {
	Name string
	Type hive.Type
	Data []byte
}

type key struct {
	Path   hive.Path
	Values map[string]value
}

type registry struct {
	Keys   map[string]key    // by folded path
	Loaded map[string]string // folded name below HKEY_LOCAL_MACHINE, to the file
	Before map[string][]byte // the same, to what the file held
}

var dir = os.Getenv("FAKEREG_DIR")

func main() {
	args := os.Args[1:]
	line := strings.Join(args, " ")
	name := strings.TrimSuffix(strings.ToLower(filepath.Base(strings.ReplaceAll(os.Args[0], `\`, "/"))), ".exe")
	record(name + " " + line)
	for fault := range strings.Lines(os.Getenv("FAKEREG_FAIL")) {
		if part, code, ok := strings.Cut(strings.TrimSpace(fault), "="); ok && strings.Contains(line, part) {
			n, err := strconv.Atoi(code)
			check(err)
			os.Exit(n)
		}
	}
	if name == "certutil" {
		data, err := os.ReadFile(args[1])
		check(err)
		fmt.Printf("SHA256 hash of %s:\r\n%x\r\nCertUtil: done.\r\n", args[1], sha256.Sum256(data))
		return
	}
	r := open()
	code := r.run(args)
	r.save()
	os.Exit(code)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func record(line string) {
	f, err := os.OpenFile(filepath.Join(dir, "calls.txt"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	check(err)
	_, err = fmt.Fprintln(f, line)
	check(err)
	check(f.Close())
}

func open() *registry {
	r := &registry{Keys: map[string]key{}, Loaded: map[string]string{}, Before: map[string][]byte{}}
	text, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if err == nil {
		check(json.Unmarshal(text, r))
	}
	return r
}

func (r *registry) save() {
	text, err := json.Marshal(r)
	check(err)
	check(os.WriteFile(filepath.Join(dir, "state.json"), text, 0o600))
}

func (r *registry) run(args []string) int {
	pos, flags := split(args)
	switch pos[0] {
	case "import":
		return r.load(pos[1])
	case "query":
		k, ok := r.Keys[at(pos[1])]
		name, named := flags["/v"]
		if !ok || named && !k.has(name) {
			return 1
		}
		return 0
	case "delete":
		return r.remove(at(pos[1]), flags)
	case "add":
		k := r.make(parse(pos[1]))
		if name, ok := flags["/v"]; ok {
			n, err := strconv.Atoi(flags["/d"])
			check(err)
			k.Values[hive.Fold(name)] = value{name, hive.RegDWORD, []byte{byte(n), 0, 0, 0}}
		}
		return 0
	case "compare":
		_, deep := flags["/s"]
		name, named := flags["/v"]
		return r.compare(at(pos[1]), at(pos[2]), deep, name, named)
	case "copy":
		_, deep := flags["/s"]
		return r.copy(at(pos[1]), parse(pos[2]), deep)
	case "export":
		return r.export(at(pos[1]), pos[2])
	case "load":
		return r.mount(parse(pos[1]), pos[2])
	case "unload":
		return r.unmount(at(pos[1]))
	}
	return 1
}

// split separates positions from flags; flags that take an argument get it.
func split(args []string) (pos []string, flags map[string]string) {
	flags = map[string]string{}
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "/ve":
			flags["/v"] = ""
		case slices.Contains([]string{"/v", "/t", "/d"}, args[i]) && i+1 < len(args):
			flags[args[i]] = args[i+1]
			i++
		case strings.HasPrefix(args[i], "/"):
			flags[args[i]] = ""
		default:
			pos = append(pos, args[i])
		}
	}
	return pos, flags
}

func parse(text string) hive.Path {
	p := hive.ParsePath(text)
	root, ok := hive.RootName(p[0])
	if !ok {
		fmt.Fprintln(os.Stderr, "no root:", text)
		os.Exit(1)
	}
	p[0] = root
	return p
}

func at(text string) string { return fold(parse(text)) }

func fold(p hive.Path) string { return p.Fold().String() }

func (k key) has(name string) bool {
	_, ok := k.Values[hive.Fold(name)]
	return ok
}

func (r *registry) make(p hive.Path) key {
	for n := 1; n <= len(p); n++ {
		if _, ok := r.Keys[fold(p[:n])]; !ok {
			r.Keys[fold(p[:n])] = key{slices.Clone(p[:n]), map[string]value{}}
		}
	}
	return r.Keys[fold(p)]
}

// below yields the folded paths of a key and of everything under it.
func (r *registry) below(top string) []string {
	var out []string
	for path := range r.Keys {
		if path == top || strings.HasPrefix(path, top+`\`) {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}

func (r *registry) remove(top string, flags map[string]string) int {
	k, ok := r.Keys[top]
	if !ok {
		return 1
	}
	if name, named := flags["/v"]; named {
		if !k.has(name) {
			return 1
		}
		delete(k.Values, hive.Fold(name))
		return 0
	}
	for _, path := range r.below(top) {
		delete(r.Keys, path)
	}
	return 0
}

func (r *registry) load(file string) int {
	data, err := os.ReadFile(file)
	check(err)
	text, err := regtext.Parse(data, regtext.Options{})
	check(err)
	for _, e := range text.Edits() {
		switch e.Op {
		case hive.CreateKey:
			r.make(e.Key)
		case hive.SetValue:
			r.make(e.Key).Values[hive.Fold(e.Value)] = value{e.Value, e.Type, e.Data}
		case hive.DeleteValue:
			delete(r.make(e.Key).Values, hive.Fold(e.Value))
		case hive.DeleteKey:
			r.remove(fold(e.Key), nil)
		}
	}
	return 0
}

func (r *registry) compare(a, b string, deep bool, name string, named bool) int {
	ka, okA := r.Keys[a]
	kb, okB := r.Keys[b]
	if !okA || !okB {
		return 1
	}
	if named {
		va, okA := ka.Values[hive.Fold(name)]
		vb, okB := kb.Values[hive.Fold(name)]
		if !okA || !okB || va.Type != vb.Type || !bytes.Equal(va.Data, vb.Data) {
			return 2
		}
		return 0
	}
	same := func(x, y key) bool {
		if len(x.Values) != len(y.Values) {
			return false
		}
		for n, v := range x.Values {
			if w, ok := y.Values[n]; !ok || w.Type != v.Type || !bytes.Equal(w.Data, v.Data) {
				return false
			}
		}
		return true
	}
	if !same(ka, kb) {
		return 2
	}
	if !deep {
		return 0
	}
	listA, listB := r.below(a), r.below(b)
	if len(listA) != len(listB) {
		return 2
	}
	for i, path := range listA {
		if path[len(a):] != listB[i][len(b):] || !same(r.Keys[path], r.Keys[listB[i]]) {
			return 2
		}
	}
	return 0
}

func (r *registry) copy(from string, to hive.Path, deep bool) int {
	top, ok := r.Keys[from]
	if !ok {
		return 1
	}
	for _, path := range r.below(from) {
		if path != from && !deep {
			continue
		}
		k := r.Keys[path]
		target := r.make(to.Join(k.Path[len(top.Path):]...))
		for n, v := range k.Values {
			target.Values[n] = v
		}
	}
	return 0
}

func (r *registry) export(top, file string) int {
	if _, ok := r.Keys[top]; !ok {
		return 1
	}
	var out bytes.Buffer
	w := regtext.NewWriter(&out, regtext.WriterOptions{})
	for _, path := range r.below(top) {
		k := r.Keys[path]
		check(w.Key(k.Path))
		for _, v := range k.Values {
			check(w.Value(v.Name, v.Type, v.Data))
		}
	}
	check(w.Close())
	check(os.WriteFile(file, out.Bytes(), 0o600))
	return 0
}

func (r *registry) mount(to hive.Path, file string) int {
	data, err := os.ReadFile(file)
	check(err)
	im, err := regf.Open(data, regf.OpenOptions{})
	check(err)
	var walk func(k hive.Key, p hive.Path)
	walk = func(k hive.Key, p hive.Path) {
		target := r.make(p)
		for v := range k.Values() {
			data, err := v.Data()
			check(err)
			target.Values[hive.Fold(v.Name())] = value{v.Name(), v.Type(), data}
		}
		for sub := range k.Subkeys() {
			walk(sub, p.Join(sub.Name()))
		}
	}
	walk(im.Root(), to)
	r.Loaded[fold(to)] = file
	r.Before[fold(to)] = r.image(fold(to))
	return 0
}

// image is a loaded hive in a form that can be compared.
func (r *registry) image(top string) []byte {
	var out bytes.Buffer
	for _, path := range r.below(top) {
		text, err := json.Marshal(r.Keys[path])
		check(err)
		out.Write(text)
	}
	return out.Bytes()
}

func (r *registry) unmount(top string) int {
	file, ok := r.Loaded[top]
	if !ok {
		return 1
	}
	if !bytes.Equal(r.Before[top], r.image(top)) {
		data, err := regf.Build(r.node(top).Key(), regf.BuildOptions{Time: 129500000000000000})
		check(err)
		check(os.WriteFile(file, data, 0o600))
	}
	r.remove(top, nil)
	delete(r.Loaded, top)
	delete(r.Before, top)
	return 0
}

func (r *registry) node(top string) *hive.Node {
	k := r.Keys[top]
	n := &hive.Node{Name: k.Path[len(k.Path)-1], LastWrite: 129500000000000000}
	for _, v := range k.Values {
		n.Values = append(n.Values, hive.NodeValue{Name: v.Name, Type: v.Type, Data: v.Data})
	}
	for _, path := range r.below(top) {
		if rest := strings.TrimPrefix(path, top+`\`); path != top && !strings.Contains(rest, `\`) {
			n.Keys = append(n.Keys, r.node(path))
		}
	}
	return n
}
