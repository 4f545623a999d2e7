package regtext

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"hivemend/hive"
	"hivemend/hive/cursor"
)

// key is where the tests of the writer write.
var key = hive.Path{hive.LocalMachine, "Software", "K"}

// wide returns s as UTF-16LE.
func wide(s string) []byte { return cursor.Bytes(utf16.Encode([]rune(s))) }

func sz(s string) []byte { return wide(s + "\x00") }

func dword(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }

func counting(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

type entry struct {
	name string
	typ  hive.Type
	data []byte
}

func write(t testing.TB, opt WriterOptions, path hive.Path, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out, opt)
	if err := w.Key(path); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := w.Value(e.name, e.typ, e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const v5Header = "\ufeffWindows Registry Editor Version 5.00\r\n"

func TestWriterBytes(t *testing.T) {
	section := "\r\n[HKEY_LOCAL_MACHINE\\Software\\K]\r\n"
	for _, tt := range []struct {
		id      string
		dialect Dialect
		entries []entry
		want    string // the lines of the section
	}{
		{"W1", Lossless, nil, ""},
		{"W2", Lossless, []entry{{"DWORD", 4, dword(0x100)}, {"String", 1, sz("Your text here...")}},
			"\"DWORD\"=dword:00000100\r\n\"String\"=\"Your text here...\"\r\n"},
		{"W3", Lossless, []entry{{`double"quote`, 1, sz(`"Hi"`)}, {`\foo\bar`, 1, sz("")}},
			`"double\"quote"="\"Hi\""` + "\r\n" + `"\\foo\\bar"=""` + "\r\n"},
		{"W4", Lossless, []entry{{"", 4, dword(0x12345678)}, {"43981", 0xabcd, []byte("Value\x00")}},
			"@=dword:12345678\r\n\"43981\"=hex(abcd):56,61,6c,75,65,00\r\n"},
		{"W5 lossless", Lossless, []entry{{"a", 0, nil}, {"b", 1, nil}, {"c", 2, nil}, {"d", 3, nil}, {"e", 4, nil}, {"f", 7, nil}, {"g", 0x100, nil}},
			"\"a\"=hex(0):\r\n\"b\"=hex(1):\r\n\"c\"=hex(2):\r\n\"d\"=hex:\r\n\"e\"=hex(4):\r\n\"f\"=hex(7):\r\n\"g\"=hex(100):\r\n"},
		{"W5 regedit", Regedit, []entry{{"b", 1, nil}}, "\"b\"=\"\"\r\n"},
		{"W6", Lossless, []entry{{"a", 1, []byte{0x61, 0, 0x62}}}, "\"a\"=hex(1):61,00,62\r\n"},
		{"W7 lossless", Lossless, []entry{{"a", 1, sz("a\x00b")}}, "\"a\"=hex(1):61,00,00,00,62,00,00,00\r\n"},
		{"W7 regedit", Regedit, []entry{{"a", 1, sz("a\x00b")}}, "\"a\"=\"a\"\r\n"},
		{"W8 lossless", Lossless, []entry{{"a", 1, sz("a\r\nb")}}, "\"a\"=hex(1):61,00,0d,00,0a,00,62,00,00,00\r\n"},
		{"W8 regedit", Regedit, []entry{{"a", 1, sz("a\nb")}}, "\"a\"=\"a\r\nb\"\r\n"},
		{"W9 23", Lossless, []entry{{"a", 3, counting(23)}}, "\"a\"=hex:" + list(0, 23) + "\r\n"},
		{"W9 24", Lossless, []entry{{"a", 3, counting(24)}}, "\"a\"=hex:" + list(0, 23) + ",\\\r\n  " + list(23, 24) + "\r\n"},
		{"W9 48", Lossless, []entry{{"a", 3, counting(48)}}, "\"a\"=hex:" + list(0, 23) + ",\\\r\n  " + list(23, 48) + "\r\n"},
		{"W9 49", Lossless, []entry{{"a", 3, counting(49)}}, "\"a\"=hex:" + list(0, 23) + ",\\\r\n  " + list(23, 48) + ",\\\r\n  " + list(48, 49) + "\r\n"},
		{"W10", Lossless, []entry{{strings.Repeat("n", 80), 3, counting(3)}}, `"` + strings.Repeat("n", 80) + "\"=hex:00,\\\r\n  01,02\r\n"},
		{"units, not characters, are counted", Lossless, []entry{{strings.Repeat("\U0001f600", 9), 3, counting(20)}},
			`"` + strings.Repeat("\U0001f600", 9) + "\"=hex:" + list(0, 18) + ",\\\r\n  " + list(18, 20) + "\r\n"},
		{"lone surrogate", Lossless, []entry{{"a", 1, []byte{0, 0xd8, 'x', 0, 0, 0}}}, "\"a\"=hex(1):00,d8,78,00,00,00\r\n"},
		{"lone low surrogate", Lossless, []entry{{"a", 1, []byte{0, 0xdc, 'x', 0, 0, 0}}}, "\"a\"=hex(1):00,dc,78,00,00,00\r\n"},
		{"pair", Lossless, []entry{{"a", 1, sz("\U0001f600")}}, "\"a\"=\"\U0001f600\"\r\n"},
	} {
		got := write(t, WriterOptions{Dialect: tt.dialect}, key, tt.entries...)
		if want := wide(v5Header + section + tt.want + "\r\n"); !bytes.Equal(got, want) {
			t.Errorf("%s:\n%q, want\n%q", tt.id, cursor.String(got), cursor.String(want))
		}
	}
}

// list is the bytes from first to before last as text.
func list(first, last int) string {
	var items []string
	for i := first; i < last; i++ {
		items = append(items, fmt.Sprintf("%02x", i))
	}
	return strings.Join(items, ",")
}

// TestWrapping holds the writer against the rule in its step by step form:
// a line ends behind the first comma at or beyond column 77.
func TestWrapping(t *testing.T) {
	for nameLen := 0; nameLen < 120; nameLen++ {
		for _, n := range []int{0, 1, 2, 17, 18, 19, 20, 22, 23, 24, 25, 26, 48, 49, 50, 51, 200} {
			name, data := strings.Repeat("n", nameLen), counting(n)
			var want strings.Builder
			prefix := `"` + name + `"=hex(7):`
			if nameLen == 0 {
				prefix = "@=hex(7):"
			}
			want.WriteString(prefix)
			column := len(prefix)
			for i, c := range data {
				fmt.Fprintf(&want, "%02x", c)
				if i == n-1 {
					break
				}
				want.WriteByte(',')
				if column += 3; column >= 77 {
					want.WriteString("\\\r\n  ")
					column = 2
				}
			}
			want.WriteString("\r\n")
			if got := string(appendValue(nil, name, hive.RegMultiSZ, data, Lossless)); got != want.String() {
				t.Fatalf("name of %d, %d bytes:\n%s, want\n%s", nameLen, n, got, want.String())
			}
		}
	}
}

func TestWriterComments(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out, WriterOptions{})
	for _, err := range []error{
		w.Comment("machine TS01\nhive 9c6b"), w.Comment("2026"),
		w.Key(key), w.DeleteValue("a"), w.Comment("below"),
		w.DeleteKey(key.Join("gone")), w.Comment(""), w.Key(hive.Path{"hklm", "x"}), w.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := v5Header + "\r\n; machine TS01\r\n; hive 9c6b\r\n; 2026\r\n" +
		"\r\n[HKEY_LOCAL_MACHINE\\Software\\K]\r\n\"a\"=-\r\n; below\r\n" +
		"\r\n[-HKEY_LOCAL_MACHINE\\Software\\K\\gone]\r\n\r\n;\r\n" +
		"\r\n[HKEY_LOCAL_MACHINE\\x]\r\n\r\n"
	if got := cursor.String(out.Bytes()); got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

func TestWriterRefuses(t *testing.T) {
	long := strings.Repeat("k", 256)
	for _, path := range []hive.Path{
		nil, {"Software"}, {hive.LocalMachine, `a\b`}, {hive.LocalMachine, "a\nb"}, {hive.LocalMachine, "a\rb"},
		{hive.LocalMachine, "a\x00b"}, {hive.LocalMachine, ""}, {hive.LocalMachine, long},
	} {
		w := NewWriter(&bytes.Buffer{}, WriterOptions{})
		err := w.Key(path)
		var u *UnrepresentableError
		if !errors.Is(err, ErrUnrepresentable) || !errors.As(err, &u) || u.IsValue {
			t.Errorf("Key(%q) gives %v", path, err)
		}
		if err := w.Value("a", 1, nil); err == nil {
			t.Errorf("after Key(%q) was refused a value was written", path)
		}
	}
	w := NewWriter(&bytes.Buffer{}, WriterOptions{})
	if err := w.Key(key); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a\nb", "a\rb", "a\x00", strings.Repeat("v", 16384)} {
		var u *UnrepresentableError
		if err := w.Value(name, 1, nil); !errors.As(err, &u) || !u.IsValue || u.Value != name {
			t.Errorf("Value(%.10q) gives %v", name, err)
		}
	}
	if err := w.DeleteKey(hive.Path{hive.LocalMachine}); !errors.Is(err, ErrUnrepresentable) {
		t.Errorf("deleting a registry root gives %v", err)
	}
}
