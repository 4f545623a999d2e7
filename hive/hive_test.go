package hive

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
)

func TestUpcaseIsWindows10(t *testing.T) {
	table := make([]byte, 0, 2<<16)
	for u := 0; u < 1<<16; u++ {
		v := Upcase(uint16(u))
		table = append(table, byte(v), byte(v>>8))
	}
	const want = "41c26bc7a12bdaeb26025c93118697c7e3ef81ee048b00fe5cce2a472e0e0742"
	if got := fmt.Sprintf("%x", sha256.Sum256(table)); got != want {
		t.Errorf("SHA-256 of the upper-case table is %s, want %s", got, want)
	}
}

func TestCompareFold(t *testing.T) {
	// The order of msuhanov's UpcaseHive and PairHive.
	for _, order := range [][]string{
		{"ss1", "SS3", "ß2"}, {"ss1", "SS3", "\U00010400"}, {"a", "AB", "b", "é", "É2"}, {"", "x"},
	} {
		if !slices.IsSortedFunc(order, CompareFold) {
			t.Errorf("%q is not in order", order)
		}
	}
	if !EqualFold("Café", "CAFÉ") || EqualFold("ß", "SS") || EqualFold("caf\u00e9", "caf\u00e8") {
		t.Error("EqualFold does not fold unit by unit")
	}
}

func TestPath(t *testing.T) {
	p := ParsePath(`\HKEY_LOCAL_MACHINE\\SYSTEM\Select\`)
	if got := p.String(); got != `HKEY_LOCAL_MACHINE\SYSTEM\Select` {
		t.Errorf("String = %s", got)
	}
	rest, ok := p.CutPrefix(Path{"hkey_local_machine", "System"})
	if !ok || rest.String() != "Select" {
		t.Errorf("CutPrefix = %v, %v", rest, ok)
	}
	if _, ok := p.CutPrefix(ParsePath(`HKEY_LOCAL_MACHINE\SYS`)); ok {
		t.Error("half a name counted as a prefix")
	}
	if long, ok := RootName("hklm"); !ok || long != LocalMachine {
		t.Errorf("RootName(hklm) = %s, %v", long, ok)
	}
}

func TestEditJSON(t *testing.T) {
	sum := fmt.Sprintf("%x", sha256.Sum256(nil))
	for _, e := range []Edit{
		{Op: DeleteValue, Key: ParsePath(`HKEY_LOCAL_MACHINE\SYSTEM\A`), Value: "", Expect: &Expect{Type: RegBinary, SHA256: sum}, Rule: "R", Reason: "because"},
		{Op: SetValue, Key: ParsePath(`HKEY_LOCAL_MACHINE\SYSTEM\A`), Value: "v", Type: Type(0x100), Data: []byte{1, 2}, Expect: &Expect{Absent: true}},
		{Op: SetValue, Key: ParsePath(`HKEY_LOCAL_MACHINE\SYSTEM\A`), Value: "v", Type: RegSZ, Data: []byte{}},
		{Op: DeleteKey, Key: ParsePath(`HKEY_LOCAL_MACHINE\SYSTEM\A`), Expect: &Expect{SHA256: sum}},
		{Op: CreateKey, Key: ParsePath(`HKEY_LOCAL_MACHINE\SYSTEM\A`)},
	} {
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var back Edit
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !reflect.DeepEqual(back, e) {
			t.Errorf("%s\nreads back as %+v\nwant          %+v", text, back, e)
		}
	}
	for _, bad := range []string{
		`{"op":"format-disk","key":"A"}`, `{"op":"set-value","key":"A","value":"v","type":"REG_SZ"}`,
		`{"op":"delete-value","key":"A"}`, `{"op":"set-value","key":"A","value":"v","type":"REG_X","data":""}`,
		`{"op":"delete-value","key":"A","value":"v","expect":{"type":"REG_SZ","sha256":"12"}}`,
	} {
		if err := json.Unmarshal([]byte(bad), new(Edit)); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func dword(n byte) []byte { return []byte{n, 0, 0, 0} }

func selectNode(current, def byte) *Node {
	return &Node{Name: "Select", Values: []NodeValue{
		{Name: "Current", Type: RegDWORD, Data: dword(current)}, {Name: "Default", Type: RegDWORD, Data: dword(def)},
	}}
}

func TestFindControlSets(t *testing.T) {
	set := func(names ...string) (nodes []*Node) {
		for _, n := range names {
			nodes = append(nodes, &Node{Name: n})
		}
		return nodes
	}
	for _, tt := range []struct {
		name          string
		keys          []*Node
		live          bool
		current, used string
		problem       bool
	}{
		{"sound", append(set("ControlSet001", "ControlSet002"), selectNode(2, 2)), false, "ControlSet002", `Select\Current`, false},
		{"differs", append(set("ControlSet001", "ControlSet002"), selectNode(1, 2)), false, "ControlSet001", `Select\Current`, true},
		{"not there", append(set("ControlSet001"), selectNode(3, 1)), false, "ControlSet001", `Select\Default`, true},
		{"no Select", set("ControlSet001"), false, "ControlSet001", "first present", true},
		{"phantom", append(set("ControlSet001", "CurrentControlSet"), selectNode(1, 1)), false, "ControlSet001", `Select\Current`, false},
		{"live", set("CurrentControlSet"), true, "CurrentControlSet", "CurrentControlSet", false},
	} {
		cs := FindControlSets((&Node{Keys: tt.keys}).Key(), tt.live)
		if cs.Current.Name != tt.current || cs.Used != tt.used || (cs.Problem != "") != tt.problem {
			t.Errorf("%s: current %q by %q, problem %q", tt.name, cs.Current.Name, cs.Used, cs.Problem)
		}
	}
}

func TestDigestSeesContentNotOrder(t *testing.T) {
	a := NodeValue{Name: "a", Type: RegBinary, Data: []byte{1}}
	b := NodeValue{Name: "b", Type: RegBinary, Data: []byte{2}}
	one := (&Node{Values: []NodeValue{a, b}, Keys: []*Node{{Name: "x"}, {Name: "y"}}}).Key()
	two := (&Node{Values: []NodeValue{b, a}, Keys: []*Node{{Name: "Y"}, {Name: "X"}}}).Key()
	if Digest(one) != Digest(two) {
		t.Error("the order of storing changes the digest")
	}
	b.Data = []byte{3}
	if Digest(one) == Digest((&Node{Values: []NodeValue{a, b}, Keys: []*Node{{Name: "x"}, {Name: "y"}}}).Key()) {
		t.Error("other data, same digest")
	}
}

func TestNodeKey(t *testing.T) {
	root := &Node{Name: "root"}
	for i := range 40 {
		root.Keys = append(root.Keys, &Node{Name: fmt.Sprintf("Key%d", i), Values: []NodeValue{{Name: "n", Type: RegDWORD, Data: dword(byte(i))}}})
	}
	k, ok := root.Key().Lookup(Path{"KEY33"})
	if !ok {
		t.Fatal("KEY33 is not found")
	}
	v, ok := k.Value("N")
	if !ok {
		t.Fatal("N is not found")
	}
	if n, err := v.DWORD(); n != 33 || err != nil {
		t.Errorf("DWORD = %d, %v", n, err)
	}
	if _, err := v.Text(); err == nil {
		t.Error("a REG_DWORD was taken for text")
	}
	if _, ok := root.Key().Subkey("Key40"); ok {
		t.Error("Key40 is found")
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain é 😀": "plain é 😀", "a\x00b\r\n": `a\u0000b\u000d\u000a`, "\xed\xa0\x80x": `\ud800x`, "a\u202eb": `a\u202eb`,
	} {
		if got := Printable(in); got != want {
			t.Errorf("Printable(%q) = %s, want %s", in, got, want)
		}
	}
}
