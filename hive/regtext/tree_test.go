package regtext

import (
	"reflect"
	"testing"

	"hivemend/hive"
)

func TestTreeKnowsWhatItDoesNotKnow(t *testing.T) {
	root := parse(t, wide(v5Header+`
[HKEY_LOCAL_MACHINE\SYSTEM\Select]
"Current"=dword:1

[HKEY_LOCAL_MACHINE\System\ControlSet001]
`), Options{}).Tree().Key()
	for _, tt := range []struct {
		path     hive.Path
		complete bool
		line     int
	}{
		{nil, false, 0},
		{hive.Path{hive.LocalMachine}, false, 0},
		{hive.Path{hive.LocalMachine, "SYSTEM"}, false, 0},
		{hive.Path{hive.LocalMachine, "SYSTEM", "Select"}, true, 3},
		{hive.Path{hive.LocalMachine, "SYSTEM", "ControlSet001"}, true, 6},
	} {
		k, ok := root.Lookup(tt.path)
		if !ok {
			t.Errorf("%s is missing", tt.path)
			continue
		}
		if k.Complete() != tt.complete || k.Origin().Line != tt.line {
			t.Errorf("%s: complete %v, line %d; want %v, %d", tt.path, k.Complete(), k.Origin().Line, tt.complete, tt.line)
		}
	}
	k, _ := root.Lookup(hive.Path{hive.LocalMachine, "SYSTEM", "Select"})
	if v, ok := k.Value("current"); !ok || v.Origin().Line != 4 || v.Origin().Column != 1 {
		t.Errorf("value at %+v", v.Origin())
	}
}

func TestTreeFollowsTheOrderOfTheOps(t *testing.T) {
	k := "[HKEY_USERS\\K]\n"
	for _, tt := range []struct {
		name, lines string
		want        *hive.Node // of K; nil where it is gone
	}{
		{"values keep their order", k + "\"b\"=dword:1\n@=dword:2\n\"a\"=dword:3\n", node("K",
			value("b", 4, 1), value("", 4, 2), value("a", 4, 3))},
		{"a value keeps its place and its case", k + "\"b\"=dword:1\n\"a\"=dword:2\n\"B\"=hex:09\n", node("K",
			hive.NodeValue{Name: "b", Type: 3, Data: []byte{9}}, value("a", 4, 2))},
		{"what is deleted and set again comes last", k + "\"b\"=dword:1\n\"a\"=dword:2\n\"B\"=-\n\"B\"=dword:3\n", node("K",
			value("a", 4, 2), value("B", 4, 3))},
		{"a key is reset", k + "\"b\"=dword:1\n[HKEY_USERS\\K\\L]\n[-HKEY_USERS\\k]\n" + k + "\"a\"=dword:2\n", node("K", value("a", 4, 2))},
		{"a key is deleted", k + "\"b\"=dword:1\n[-HKEY_USERS\\k]\n", nil},
		{"what is below stays with its parent", "[HKEY_USERS\\K\\L]\n\"x\"=dword:1\n[-HKEY_USERS\\K\\L]\n[HKEY_USERS\\K\\l]\n" + k, below(node("K"), node("l"))},
		{"sections of one key are one", k + "\"a\"=dword:1\n[HKEY_USERS\\K\\L]\n[HKEY_USERS\\k]\n\"b\"=dword:2\n", below(node("K", value("a", 4, 1), value("b", 4, 2)), node("L"))},
		{"what is not there is deleted in vain", "[-HKEY_USERS\\Q\\R]\n" + k + "\"x\"=-\n", node("K")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			users := parse(t, wide(v5Header+tt.lines), Options{}).Tree().Subkey(hive.Users)
			var got *hive.Node
			if users != nil {
				got = users.Subkey("K")
			}
			forgetOrigins(got)
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestTreeWithIndex does the same in keys that are large enough for an index.
func TestTreeWithIndex(t *testing.T) {
	var b []byte
	for i := range 3 * indexFrom {
		name := string(rune('a'+i%26)) + string(rune('a'+i/26))
		b = append(b, "[HKEY_USERS\\K\\"+name+"]\n[HKEY_USERS\\K]\n\""+name+"\"=dword:1\n"...)
	}
	b = append(b, "\"CA\"=-\n\"DA\"=dword:2\n\"CA\"=dword:3\n[-HKEY_USERS\\K\\CA]\n[HKEY_USERS\\K\\DA]\n[HKEY_USERS\\K\\CA]\n"...)
	k := parse(t, wide(v5Header+string(b)), Options{}).Tree().Subkey(hive.Users).Subkey("K")
	if n := len(k.Values); n != 3*indexFrom || k.Values[n-1].Name != "CA" || k.Values[2].Name != "da" || k.Values[2].Data[0] != 2 {
		t.Errorf("values %v", k.Values)
	}
	if n := len(k.Keys); n != 3*indexFrom || k.Keys[n-1].Name != "CA" || k.Keys[2].Name != "da" {
		t.Errorf("%d keys", n)
	}
}

func node(name string, values ...hive.NodeValue) *hive.Node {
	return &hive.Node{Name: name, Values: values}
}

func below(n *hive.Node, keys ...*hive.Node) *hive.Node {
	n.Keys = keys
	return n
}

func value(name string, t hive.Type, n uint32) hive.NodeValue {
	return hive.NodeValue{Name: name, Type: t, Data: dword(n)}
}

// forgetOrigins makes trees comparable that were read from different places.
func forgetOrigins(n *hive.Node) {
	if n == nil {
		return
	}
	n.Origin = hive.Origin{}
	for i := range n.Values {
		n.Values[i].Origin = hive.Origin{}
	}
	for _, k := range n.Keys {
		forgetOrigins(k)
	}
}

func TestSameName(t *testing.T) {
	names := []string{"", "a", "A", "ab", "aB", "a\u00e9", "A\u00c9", "\u00e9", "k", "K", "\u212a", "s", "\u017f", "i", "\u0131", "\u0130", "@", "`", "[", "{", "a\xed\xa0\x80", "A\xed\xa0\x80"}
	for _, a := range names {
		for _, b := range names {
			if got, want := sameName(a, b), hive.EqualFold(a, b); got != want {
				t.Errorf("sameName(%q, %q) = %v", a, b, got)
			}
		}
	}
}
