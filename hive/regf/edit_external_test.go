package regf

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hivemend/hive"
)

// The tests in this file let programs that share nothing with this package
// read what it wrote: hivexml (of hivex, which is strict) and reglookup.

// needTool skips where a program is missing, but fails on the build machine.
func needTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is needed here and is not installed", name)
	default:
		t.Skipf("%s is not installed", name)
	}
	return ""
}

// editedHive returns a hive of that version after some hundred random edits,
// with names and types that the other programs can print, and the tree that it
// should hold.
func editedHive(t *testing.T, minor uint32, names []string) ([]byte, *hive.Node) {
	t.Helper()
	r := rand.New(rand.NewPCG(7, uint64(minor)))
	m := model{&hive.Node{Name: "ROOT"}}
	data := buildTest(t, m.root, BuildOptions{Minor: minor})
	for range 4 {
		e := editTest(t, data, EditorOptions{Wipe: true})
		for range 300 {
			path := randomPath(r, m)
			name := names[r.IntN(len(names))] + strconv.Itoa(r.IntN(900))
			typ, value := hive.RegBinary, randomData(r)
			if r.IntN(4) == 0 {
				typ, value = hive.RegDWORD, binary.LittleEndian.AppendUint32(nil, r.Uint32())
			}
			var err error
			switch r.IntN(8) {
			case 0, 1, 2:
				err = both(e.SetValue(path, name, typ, value), func() { m.set(path, name, typ, value, editTime) })
			case 3:
				if n := m.find(path); len(n.Values) > 0 {
					name = n.Values[0].Name
				}
				err = both(e.DeleteValue(path, name), func() { m.deleteValue(path, name, editTime) })
			case 4:
				if len(path) > 1 {
					err = both(e.DeleteKey(path), func() { m.deleteKey(path, editTime) })
				}
			default:
				path = path.Join(name)
				if r.IntN(2) == 0 {
					path = hive.Path{"wide", name}
				}
				err = both(e.CreateKey(path), func() { m.make(path, editTime) })
			}
			mustDo(t, err)
		}
		for i := range 300 {
			path := hive.Path{"wide", fmt.Sprintf("w%d", r.IntN(2000)+i)}
			mustDo(t, both(e.CreateKey(path), func() { m.make(path, editTime) }))
		}
		data, _ = commit(t, e)
	}
	checkClean(t, openTest(t, data))
	return data, m.root
}

// flatten lists keys and values as "path", and "path: name type data".
func flatten(n *hive.Node, path string, out *[]string) {
	*out = append(*out, path)
	for _, v := range n.Values {
		*out = append(*out, fmt.Sprintf("%s: %s %v %x", path, v.Name, v.Type, v.Data))
	}
	for _, k := range n.Keys {
		flatten(k, path+`\`+k.Name, out)
	}
}

// compareLists reports where two programs see different trees.
func compareLists(t *testing.T, want, found []string) {
	t.Helper()
	slices.Sort(want)
	slices.Sort(found)
	for i := range min(len(want), len(found)) {
		if want[i] != found[i] {
			t.Fatalf("want %.200s\nfound %.200s", want[i], found[i])
		}
	}
	if len(want) != len(found) {
		t.Fatalf("want %d keys and values, found %d", len(want), len(found))
	}
}

func writeHive(t *testing.T, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hive")
	mustDo(t, os.WriteFile(file, data, 0o600))
	return file
}

type xmlKey struct {
	Name   string     `xml:"name,attr"`
	Keys   []xmlKey   `xml:"node"`
	Values []xmlValue `xml:"value"`
}

type xmlValue struct {
	Type    string `xml:"type,attr"`
	Name    string `xml:"key,attr"`
	Value   string `xml:"value,attr"`
	Content string `xml:",chardata"`
}

func (k xmlKey) flatten(t *testing.T, path string, out *[]string) {
	*out = append(*out, path)
	for _, v := range k.Values {
		typ, data := hive.RegBinary, []byte(nil)
		if v.Type == "int32" {
			n, err := strconv.ParseInt(v.Value, 10, 64)
			mustDo(t, err)
			typ, data = hive.RegDWORD, binary.LittleEndian.AppendUint32(nil, uint32(n))
		} else {
			var err error
			data, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(v.Value+v.Content), ""))
			mustDo(t, err)
		}
		*out = append(*out, fmt.Sprintf("%s: %s %v %x", path, v.Name, typ, data))
	}
	for _, sub := range k.Keys {
		sub.flatten(t, path+`\`+sub.Name, out)
	}
}

func TestHivexReadsEditedHives(t *testing.T) {
	tool := needTool(t, "hivexml")
	for _, minor := range []uint32{3, 5} {
		t.Run(fmt.Sprintf("1.%d", minor), func(t *testing.T) {
			data, tree := editedHive(t, minor, []string{"k", "Key", "a long name of a key ", "\u00e9t\u00e9", "\u03a9mega", "\U0001f600"})
			output, err := exec.Command(tool, writeHive(t, data)).Output()
			mustDo(t, err)
			var doc struct {
				Root xmlKey `xml:"node"`
			}
			mustDo(t, xml.NewDecoder(bytes.NewReader(output)).Decode(&doc))
			var want, found []string
			flatten(tree, "", &want)
			doc.Root.flatten(t, "", &found)
			compareLists(t, want, found)
		})
	}
}

func TestReglookupReadsEditedHives(t *testing.T) {
	tool := needTool(t, "reglookup")
	for _, minor := range []uint32{3, 5} {
		t.Run(fmt.Sprintf("1.%d", minor), func(t *testing.T) {
			data, tree := editedHive(t, minor, []string{"k", "Key", "a long name of a key "})
			output, err := exec.Command(tool, "-H", writeHive(t, data)).Output()
			mustDo(t, err)
			var want, found []string
			flatten(tree, "", &want)
			for line := range strings.Lines(string(output)) {
				found = append(found, parseReglookup(t, strings.TrimSuffix(line, "\n")))
			}
			compareLists(t, want, found)
		})
	}
}

// parseReglookup turns "/key/value,TYPE,data,..." into the form of flatten.
func parseReglookup(t *testing.T, line string) string {
	t.Helper()
	fields := strings.Split(line, ",")
	path := strings.ReplaceAll(strings.TrimSuffix(fields[0], "/"), "/", `\`)
	if strings.HasPrefix(path, `\\`) {
		path = path[1:] // a value of the root
	}
	cut := strings.LastIndex(path, `\`)
	switch fields[1] {
	case "KEY":
		return path
	case "DWORD":
		n, err := strconv.ParseUint(strings.TrimPrefix(fields[2], "0x"), 16, 32)
		mustDo(t, err)
		return fmt.Sprintf("%s: %s %v %x", path[:cut], path[cut+1:], hive.RegDWORD, binary.LittleEndian.AppendUint32(nil, uint32(n)))
	}
	if fields[2] == "(null)" {
		fields[2] = ""
	}
	var data []byte
	for text := fields[2]; text != ""; {
		if text[0] != '%' {
			data, text = append(data, text[0]), text[1:]
			continue
		}
		b, err := hex.DecodeString(text[1:3])
		mustDo(t, err)
		data, text = append(data, b...), text[3:]
	}
	return fmt.Sprintf("%s: %s %v %x", path[:cut], path[cut+1:], hive.RegBinary, data)
}
