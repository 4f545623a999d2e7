package regtext

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"hivemend/hive"
	"hivemend/hive/cursor"
)

const top = "[HKEY_LOCAL_MACHINE\\Software\\K]\r\n"

// v5 returns version 5 text as Registry Editor stores it, with the section of
// the key that the tests use, and lines below it.
func v5(lines string) []byte { return wide(v5Header + "\r\n" + top + lines) }

// parse reads text that must be readable.
func parse(t testing.TB, data []byte, opt Options) *File {
	t.Helper()
	f, err := Parse(data, opt)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// values returns the values of the only key with any, as name=type:hex.
func values(f *File) string {
	var out []string
	var walk func(k hive.Key)
	walk = func(k hive.Key) {
		for v := range k.Values() {
			data, _ := v.Data()
			out = append(out, fmt.Sprintf("%s=%x:%x", v.Name(), uint32(v.Type()), data))
		}
		for sub := range k.Subkeys() {
			walk(sub)
		}
	}
	walk(f.Tree().Key())
	return strings.Join(out, " ")
}

func codes(f *File) string {
	var out []string
	for _, d := range f.Diagnostics {
		out = append(out, fmt.Sprintf("%d:%d %s", d.Line, d.Column, d.Code))
	}
	return strings.Join(out, ", ")
}

func TestEncodings(t *testing.T) {
	text := "Windows Registry Editor Version 5.00\r\n\r\n" + top + "\"Gr\u00f6\u00dfe\"=\"\u00e9\"\r\n"
	latin := strings.NewReplacer("\u00f6", "\xf6", "\u00df", "\xdf", "\u00e9", "\xe9").Replace(text)
	for _, tt := range []struct {
		name     string
		data     []byte
		opt      Options
		encoding Encoding
		codePage int
		codes    string
	}{
		{"UTF-16LE", wide("\ufeff" + text), Options{}, UTF16LE, 0, ""},
		{"UTF-16LE without mark", wide(text), Options{}, UTF16LENoBOM, 0, "1:1 W-ENCODING"},
		{"UTF-16BE", swapBytes(wide("\ufeff" + text)), Options{}, UTF16BE, 0, "1:1 W-ENCODING"},
		{"UTF-8 with mark", []byte("\ufeff" + text), Options{}, UTF8, 0, "1:1 W-ENCODING"},
		{"UTF-8 found", []byte(text), Options{}, UTF8, 0, "1:1 W-ENCODING"},
		{"UTF-8 told", []byte(text), Options{CodePage: 65001}, EightBit, 65001, ""},
		{"1252 guessed", []byte(latin), Options{}, EightBit, 1252, "1:1 W-CODEPAGE"},
		{"1252 told", []byte(latin), Options{CodePage: 1252}, EightBit, 1252, ""},
		{"odd length", append(wide("\ufeff"+text), 'x'), Options{}, UTF16LE, 0, "4:14 E-ODD-BYTE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := parse(t, tt.data, tt.opt)
			if f.Encoding != tt.encoding || f.CodePage != tt.codePage || codes(f) != tt.codes {
				t.Errorf("%v, code page %d, %s; want %v, %d, %s", f.Encoding, f.CodePage, codes(f), tt.encoding, tt.codePage, tt.codes)
			}
			if got, want := values(f), "Gr\u00f6\u00dfe=1:e9000000"; got != want {
				t.Errorf("values %q, want %q", got, want)
			}
			if !Sniff(tt.data) {
				t.Error("not taken for .reg text")
			}
		})
	}
}

func TestCodePages(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines string
		cp    int
		want  string
		codes string
	}{
		{"932 with a backslash for second byte", "\"\x83\\\"=\"\x95\\\"\r\n", 932, "\u30bd=1:68880000", ""},
		{"1251", "\"a\"=\"\xc6\"\r\n", 1251, "a=1:16040000", ""},
		{"bytes of REGEDIT4 strings", "\"a\"=hex(2):c6,00\r\n", 1251, "a=2:16040000", ""},
		{"bytes of REGEDIT4 strings, two a character", "\"a\"=hex(7):83,5c,00,00\r\n", 932, "a=7:bd3000000000", ""},
		{"1252 byte that means nothing", "\"a\"=\"\x81\"\r\n", 1252, "a=1:81000000", ""},
		{"1253 byte that means nothing", "\r\n\"a\"=\"\xd2\"\r\n", 1253, "a=1:fdff0000", "5:6 W-CODEPAGE"},
		{"932 cut short", "\"a\"=\"\x83", 932, "", "4:6 W-CODEPAGE, 4:5 E-STRING"},
		{"437", "\"a\"=\"\x81\"\r\n", 437, "a=1:fc000000", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := parse(t, []byte("REGEDIT4\r\n\r\n"+top+tt.lines), Options{CodePage: tt.cp})
			if got := values(f); got != tt.want || codes(f) != tt.codes {
				t.Errorf("%s, %s; want %s, %s", got, codes(f), tt.want, tt.codes)
			}
		})
	}
	if _, err := Parse([]byte("REGEDIT4\r\n"), Options{File: "x.reg", CodePage: 1}); err == nil || !strings.Contains(err.Error(), "x.reg: code page 1 ") {
		t.Errorf("unknown code page: %v", err)
	}
}

// TestDiagnostics: every line that is not read is told, once, at its place.
func TestDiagnostics(t *testing.T) {
	for _, tt := range []struct{ lines, codes, values string }{
		// The first of these lines is line 4 of the file.
		{"; nothing wrong\r\n \t\r\n", "", ""},
		{"  junk\r\n# c\r\n", "4:3 E-IGNORED, 5:1 E-IGNORED", ""},
		{"\ufeff\"a\"=\"x\"\r\n", "4:1 E-IGNORED", ""},
		{"[HKEY_LOCAL_MACHINE\\x\r\n\"a\"=\"x\"", "4:1 E-KEY-LINE, 5:1 E-NO-KEY", ""},
		{"[ HKEY_LOCAL_MACHINE\\x]\r\n", "4:2 E-KEY-LINE", ""},
		{"[]\r\n[\\x]\r\n[HKEY_X\\x]", "4:2 E-ROOT, 5:2 E-ROOT, 6:2 E-ROOT", ""},
		{"[HKLM\\Software\\x]\r\n\"a\"=dword:1", "4:2 W-ROOT-SHORT", "a=4:01000000"},
		{"[-HKEY_LOCAL_MACHINE]\r\n", "4:1 E-ROOT-DELETE", ""},
		{"[HKEY_LOCAL_MACHINE\\" + strings.Repeat("k", 256) + "]", "4:21 E-KEY-NAME", ""},
		{"[HKEY_LOCAL_MACHINE" + strings.Repeat("\\k", 514) + "]", "4:2 E-DEPTH", ""},
		{"[HKEY_LOCAL_MACHINE\\a\x00b]", "4:22 E-NUL", ""},
		{"\"" + strings.Repeat("n", 20000) + "\"=\"x\"", "4:1 E-NAME-LENGTH", ""},
		{"\"n\x00\"=\"x\"\r\n\"n\"=\"x\x00\"", "4:3 E-NUL, 5:7 E-NUL", ""},
		{"\"n=\"x\r\n", "4:5 E-DATA", ""},
		{"\"n\r\n", "4:1 E-NAME", ""},
		{"\"C:\\Temp\"=\"x\"\r\n\"a\"=\"C:\\Temp\"", "4:4 E-ESCAPE, 5:8 E-ESCAPE", ""},
		{"\"a\"\r\n\"b\"=\r\n\"c\"=str(2):\"x\"\r\n\"d\"=hex (2):00\r\n", "4:4 E-DATA, 5:5 E-DATA, 6:5 E-DATA, 7:5 E-DATA", ""},
		{"\"a\"=-x\r\n", "4:6 E-DATA", ""},
		{"\"a\"=\"x\"y\"\r\n", "4:8 E-STRING", ""},
		{"\"a\"=\"x\r\n", "4:5 E-STRING", ""},
		{"\"a\"=dword:123456789\r\n", "4:11 E-DWORD", ""},
		{"\"a\"=hex:0,1,x\r\n\"b\"=hex:001\r\n\"c\"=hex:01\\\r\n", "4:13 E-HEX, 5:11 E-HEX, 6:11 E-HEX", ""},
		{"\"a\"=hex:01,\\x\r\n", "4:13 E-HEX", ""},
		{"\"a\"=hex:01,\\\r\n  xx\r\n\"b\"=hex:", "5:3 E-CONT", "b=3:"},
		{"\"a\"=hex:01,\\\r\n  02,xx\r\n\"b\"=hex:", "5:6 E-CONT", "b=3:"},
		{"\"a\"=hex(2):\r\n\"b\"=hex(123456789):00\r\n\"c\"=hex():00", "5:5 E-DATA, 6:5 E-DATA", "a=2:"},
		{"\"a\"=hex(000000002):\r\n", "", "a=2:"},
		{"\"a\"=hex:\u0130\r\n", "4:9 E-HEX", ""},
		{"\"a\"=hex:0\u0130,00,00\r\n\"b\"=hex:\u01300,00,00\r\n\"c\"=hex:00\u012c00,00", "4:10 E-HEX, 5:9 E-HEX, 6:11 E-HEX", ""},
	} {
		f := parse(t, v5(tt.lines), Options{File: "x.reg"})
		if codes(f) != tt.codes || values(f) != tt.values {
			t.Errorf("%.60q: %s, values %q; want %s, %q", tt.lines, codes(f), values(f), tt.codes, tt.values)
		}
		for _, d := range f.Diagnostics {
			if text := d.String(); len(text) > 400 || !strings.HasPrefix(text, fmt.Sprintf("x.reg:%d:", d.Line)) {
				t.Errorf("%.60q: %s", tt.lines, text)
			}
			if (d.Severity == Error) != (d.Code[0] == 'E') || (d.Severity == Warning) != (d.Code[0] == 'W') {
				t.Errorf("%s has severity %s", d.Code, d.Severity)
			}
		}
		_, err := Parse(v5(tt.lines), Options{Strict: true})
		var refused *RefusedError
		if errors.As(err, &refused) != (tt.codes != "") {
			t.Errorf("%.60q: strict reading gives %v", tt.lines, err)
		}
	}
}

func TestDiagnosticsAreCounted(t *testing.T) {
	f := parse(t, v5(strings.Repeat("junk\r\n", 250)), Options{MaxDiagnostics: 10})
	if len(f.Diagnostics) != 10 || f.MoreDiagnostics != 240 {
		t.Errorf("%d kept, %d more; want 10, 240", len(f.Diagnostics), f.MoreDiagnostics)
	}
	_, err := Parse(v5(strings.Repeat("junk\r\n", 250)+"\"a\"=hex:00,\\\r\n[HKEY_USERS\\x]"), Options{File: "x.reg", MaxDiagnostics: 10})
	if err == nil || !strings.Contains(err.Error(), "x.reg:255:1: error E-CONT-SWALLOW") || !strings.Contains(err.Error(), "(and 250 more)") {
		t.Errorf("%v", err)
	}
}

func TestSwallowedSection(t *testing.T) {
	data := v5("\"a\"=hex:01,\\\r\n\r\n; c\r\n[HKEY_LOCAL_MACHINE\\Software\\L]\r\n\"b\"=\"x\"\r\n")
	_, err := Parse(data, Options{File: "x.reg"})
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Cause.Code != CodeContSwallow || refused.Cause.Line != 7 || !errors.Is(err, hive.ErrCorrupt) {
		t.Fatalf("%v", err)
	}
	f := parse(t, data, Options{AllowSwallowed: true})
	if got := values(f); got != "b=1:78000000" || codes(f) != "7:1 E-CONT-SWALLOW" {
		t.Errorf("as Registry Editor: %s, %s", got, codes(f))
	}
	// A value that goes nowhere swallows a section too, and then a stray one
	// tells no faults of its own.
	data = v5("[-HKEY_USERS\\x]\r\n\"a\"=hex:01,\\\r\n[HKEY_USERS\\y]\r\n\"b\"=\"x\"\r\n\"c\"=hex:zz\r\n")
	if _, err = Parse(data, Options{}); !errors.As(err, &refused) || refused.Cause.Line != 6 {
		t.Errorf("below a deletion: %v", err)
	}
	f = parse(t, data, Options{AllowSwallowed: true})
	if codes(f) != "5:1 E-NO-KEY, 6:1 E-CONT-SWALLOW, 7:1 E-NO-KEY, 8:1 E-NO-KEY" || values(f) != "" {
		t.Errorf("below a deletion: %s, %s", values(f), codes(f))
	}
}

func TestMultilineStrings(t *testing.T) {
	for _, tt := range []struct{ name, lines, values, codes string }{
		{"CR LF is a line feed", "\"a\"=\"x\r\ny\"\r\n\"b\"=dword:1\r\n", "a=1:78000a0079000000 b=4:01000000", "4:5 I-MULTILINE"},
		{"CR CR LF is both", "\"a\"=\"x\r\r\ny\"\r\n", "a=1:78000d000a0079000000", "4:5 I-MULTILINE"},
		{"LF alone", "\"a\"=\"x\ny\" ; c\n", "a=1:78000a0079000000", "4:5 I-MULTILINE"},
		{"CR alone", "\"a\"=\"x\ry\"\r\n", "a=1:78000d0079000000", "4:5 I-MULTILINE"},
		{"escapes on both sides", "\"a\"=\"\\\"\r\n\\\\\"\r\n", "a=1:22000a005c000000", "4:5 I-MULTILINE"},
		{"a value below", "\"a\"=\"x\r\n\"b\"=\"y\"\r\n", "b=1:79000000", "4:5 E-STRING"},
		{"a section below", "\"a\"=\"x\r\n [-hklm\\z]\r\n\"", "", "4:5 E-STRING, 5:4 W-ROOT-SHORT, 6:1 E-NO-KEY"},
		{"a bracket below", "\"a\"=\"x\r\n[z]\"\r\n", "a=1:78000a005b007a005d000000", "4:5 I-MULTILINE"},
		{"a bad escape below", "\"a\"=\"x\r\n\\n\"\r\n\"b\"=dword:1", "b=4:01000000", "4:5 E-STRING, 5:1 E-IGNORED"},
		{"never", "\"a\"=\"x\r\ny\r\nz", "", "4:5 E-STRING, 5:1 E-IGNORED, 6:1 E-IGNORED"},
	} {
		f := parse(t, v5(tt.lines), Options{})
		if values(f) != tt.values || codes(f) != tt.codes {
			t.Errorf("%s: %s, %s; want %s, %s", tt.name, values(f), codes(f), tt.values, tt.codes)
		}
	}
	f := parse(t, v5("\"a\"=\"x\r\n\r\ny\"\r\njunk\r\n"), Options{})
	if d := f.Diagnostics[1]; d.Line != 7 {
		t.Errorf("the line behind a string of three lines has number %d, want 7", d.Line)
	}
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		name, lines string
		opt         Options
		values      string
		codes       string
	}{
		{"Wine's escapes", "\"a\"=\"x\\ny\\r\\\\n\"", Options{WineEscapes: true}, "a=1:78000a0079000d005c006e000000", ""},
		{"no other escapes", "\"a\"=\"x\\ty\"", Options{WineEscapes: true}, "", "4:7 E-ESCAPE"},
		{"strings get their NUL", "\"a\"=hex(2):61,00\r\n\"b\"=hex(1):\r\n\"c\"=hex(7):00,00\r\n\"d\"=hex:61,00\r\n\"e\"=hex(6):61,00",
			Options{TerminateStrings: true}, "a=2:61000000 b=1: c=7:0000 d=3:6100 e=6:6100", ""},
		{"any root", "[(HiveRoot)\\Select]\r\n\"a\"=dword:1\r\n[\\Microsoft]\r\n\"b\"=dword:2\r\n[]\r\n\"c\"=dword:3\r\n", Options{AnyRoot: true},
			"c=4:03000000 a=4:01000000 b=4:02000000", ""},
	} {
		f := parse(t, v5(tt.lines), tt.opt)
		if values(f) != tt.values || codes(f) != tt.codes {
			t.Errorf("%s: %s, %s; want %s, %s", tt.name, values(f), codes(f), tt.values, tt.codes)
		}
	}
}

func TestRegedit4InUTF16(t *testing.T) {
	f := parse(t, wide("\ufeffREGEDIT4\r\n\r\n"+top+"\"a\"=hex(2):61,00,62,00,00,00\r\n\"b\"=hex(2):61,62,00\r\n"), Options{})
	if got, want := values(f), "a=2:610062000000 b=2:610062000000"; got != want || codes(f) != "4:1 W-REGEDIT4-WIDE" {
		t.Errorf("%s, %s; want %s", got, codes(f), want)
	}
}

func TestWin31(t *testing.T) {
	f := parse(t, []byte("REGEDIT\r\nHKEY_CLASSES_ROOT\\a =  V\r\nHKEY_CLASSES_ROOT\\b\\\\c = V \r\nHKEY_CLASSES_ROOT\\d V\r\n"+
		"HKEY_CLASSES_ROOT\\e\r\n HKEY_CLASSES_ROOT\\f = x\r\nhkey_classes_root\\g = x\r\n; c\r\nHKEY_CLASSES_ROOTS\\h = x\r\n\r\n"), Options{})
	want := []string{`HKEY_CLASSES_ROOT\a= V`, `HKEY_CLASSES_ROOT\b\c=V `, `HKEY_CLASSES_ROOT\d=V`, `HKEY_CLASSES_ROOT\e=`}
	var got []string
	for _, op := range f.Ops {
		if op.Kind == SetValue {
			got = append(got, op.Key.String()+"="+strings.TrimSuffix(cursor.String(op.Data), "\x00"))
		}
	}
	if !reflect.DeepEqual(got, want) || codes(f) != "6:1 E-IGNORED, 7:1 E-IGNORED, 8:1 E-IGNORED, 9:1 E-IGNORED" {
		t.Errorf("%q, %s; want %q", got, codes(f), want)
	}
}

func TestOpsHaveTheirPlace(t *testing.T) {
	f := parse(t, v5("\r\n  \"a\"=hex:00,\\\r\n  01\r\n@=-\r\n[-HKEY_USERS\\x]\r\n"), Options{})
	want := []Op{
		{Kind: OpenKey, Key: key, Line: 3, Column: 1},
		{Kind: SetValue, Key: key, Name: "a", Type: 3, Data: []byte{0, 1}, Line: 5, Column: 3},
		{Kind: DeleteValue, Key: key, Line: 7, Column: 1},
		{Kind: DeleteKey, Key: hive.Path{hive.Users, "x"}, Line: 8, Column: 1},
	}
	if !reflect.DeepEqual(f.Ops, want) {
		t.Errorf("%+v, want %+v", f.Ops, want)
	}
	edits := []hive.Edit{
		{Op: hive.CreateKey, Key: key}, {Op: hive.SetValue, Key: key, Value: "a", Type: 3, Data: []byte{0, 1}},
		{Op: hive.DeleteValue, Key: key}, {Op: hive.DeleteKey, Key: hive.Path{hive.Users, "x"}},
	}
	if got := f.Edits(); !reflect.DeepEqual(got, edits) {
		t.Errorf("edits %v, want %v", got, edits)
	}
}

func TestStrangersAreNamed(t *testing.T) {
	for _, tt := range []struct {
		data, want string
		is         error
		sniff      bool
	}{
		{"", "empty file", hive.ErrCorrupt, false},
		{"\xff\xfe", `found ""`, hive.ErrCorrupt, false},
		{"regf\x01\x00", "registry hive in binary form", hive.ErrUnsupported, false},
		{"CREG\x00", "Windows 95, 98 or Me", hive.ErrUnsupported, false},
		{"PK\x03\x04", "zip archive", hive.ErrUnsupported, false},
		{"WINE REGISTRY Version 2\n", "Wine keeps its registry", hive.ErrUnsupported, true},
		{"REGEDIT5\r\n", "imports nothing", hive.ErrCorrupt, true},
		{"REGEDIT 4", "imports nothing", hive.ErrCorrupt, true},
		{"\r\nREGEDIT4\r\n", `found ""`, hive.ErrCorrupt, true},
		{"windows registry editor version 5.00\r\n", `found "windows registry`, hive.ErrCorrupt, true},
		{"; comment\r\nREGEDIT4\r\n", `found "; comment"`, hive.ErrCorrupt, false},
		{strings.Repeat("x", 1<<16), `xxxx..."`, hive.ErrCorrupt, false},
	} {
		_, err := Parse([]byte(tt.data), Options{File: "x.reg"})
		if err == nil || !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "x.reg: ") || len(err.Error()) > 300 {
			t.Errorf("%.30q gives %v", tt.data, err)
		}
		if got := Sniff([]byte(tt.data)); got != tt.sniff {
			t.Errorf("Sniff(%.30q) = %v", tt.data, got)
		}
	}
}

func TestHeaderOnly(t *testing.T) {
	for _, text := range []string{"Windows Registry Editor Version 5.00", "REGEDIT4\n", "REGEDIT"} {
		f := parse(t, []byte(text), Options{Strict: true})
		checkReprint(t, f, false)
		if got := rewrite(t, f.Tree()); len(f.Ops) != 0 || cursor.String(got) != v5Header+"\r\n" {
			t.Errorf("%q gives %v, written as %q", text, f.Ops, cursor.String(got))
		}
	}
}

// TestLimits: what Windows just allows is read, and written.
func TestLimits(t *testing.T) {
	f := parse(t, v5("\""+strings.Repeat("v", maxValueName)+"\"=-\r\n[HKEY_LOCAL_MACHINE"+strings.Repeat("\\"+strings.Repeat("k", maxKeyName), maxPath-1)+"]\r\n"), Options{Strict: true})
	if len(f.Ops) != 3 {
		t.Errorf("%d ops, want 3", len(f.Ops))
	}
	checkReprint(t, f, false)
	if maxPath != 514 || maxKeyName != 255 || maxValueName != 16383 {
		t.Errorf("limits %d, %d, %d", maxPath, maxKeyName, maxValueName)
	}
	w := NewWriter(&bytes.Buffer{}, WriterOptions{})
	if err := w.Key(f.Ops[2].Key.Join("k")); !errors.Is(err, ErrUnrepresentable) {
		t.Errorf("one level more: %v", err)
	}
	if err := w.Key(hive.Path{hive.Users, "k" + strings.Repeat("k", maxKeyName)}); !errors.Is(err, ErrUnrepresentable) {
		t.Errorf("one character more: %v", err)
	}
	over := parse(t, v5("\"v"+strings.Repeat("v", maxValueName)+"\"=-"), Options{})
	if codes(over) != "4:1 E-NAME-LENGTH" {
		t.Errorf("one character more: %s", codes(over))
	}
}

// TestLongLines reads files that are one line each, and watches that what is
// allocated stays in proportion.
func TestLongLines(t *testing.T) {
	const size = 1 << 20 // units
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	for _, tt := range []struct {
		name, line string
		ops        int
		codes      string
	}{
		{"junk", fill("x"), 1, "4:1 E-IGNORED"},
		{"comment", ";" + fill("x"), 1, ""},
		{"key", "[" + fill("k"), 1, "4:1 E-KEY-LINE"},
		{"path", "[HKEY_USERS\\" + fill("k\\") + "]", 1, "4:2 E-DEPTH"},
		{"brackets", "[HKEY_USERS\\" + fill("]"), 1, "4:13 E-KEY-NAME"},
		{"name", "\"" + fill("n") + "\"=-", 1, "4:1 E-NAME-LENGTH"},
		{"open name", "\"" + fill("n"), 1, "4:1 E-NAME"},
		{"string", "\"a\"=\"" + fill("s") + "\"", 2, ""},
		{"escapes", "\"a\"=\"" + fill("\\\\") + "\"", 2, ""},
		{"open string", "\"a\"=\"" + fill("s"), 1, "4:5 E-STRING"},
		{"bytes", "\"a\"=hex:" + fill("00,"), 2, ""},
		{"commas", "\"a\"=hex:" + fill(","), 1, "4:9 E-HEX"},
		{"digits", "\"a\"=hex:" + fill("0"), 1, "4:11 E-HEX"},
		{"dword", "\"a\"=dword:" + fill("0"), 1, "4:11 E-DWORD"},
		{"blanks", fill(" ") + "\"a\"=" + fill(" ") + "-" + fill("\t"), 2, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := v5(tt.line)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			f := parse(t, data, Options{})
			runtime.ReadMemStats(&after)
			if len(f.Ops) != tt.ops || codes(f) != tt.codes {
				t.Errorf("%d ops, %s; want %d, %s", len(f.Ops), codes(f), tt.ops, tt.codes)
			}
			if got, most := after.TotalAlloc-before.TotalAlloc, uint64(3*len(data)); got > most {
				t.Errorf("%d bytes were allocated for a file of %d", got, len(data))
			}
		})
	}
}

// TestManyLines reads files of very many short lines, each of a kind that a
// careless reader takes square time or too much memory for.
func TestManyLines(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		lines      int
		kept       int // of the diagnostics
	}{
		{"sections", "[HKEY_USERS\\k%d]\n", 100_000, 0},
		{"deleted sections", "[HKEY_USERS\\k%[1]d]\n[-HKEY_USERS\\k%[1]d]\n", 30_000, 0},
		{"values", "\"v%d\"=\"x\"\n", 30_000, 0},
		{"deleted values", "\"v%[1]d\"=\"x\"\n\"v%[1]d\"=-\n", 30_000, 0},
		{"strings that do not end", "\"v%d\"=\"x\n", 30_000, 100},
		{"strings that do not end, CR only", "\"v%d\"=\"x\r", 30_000, 100},
		{"continuations of nothing", "\"v%d\"=hex:00,\\\n;\n", 30_000, 100},
		{"line feeds in the high byte", "\"v%d\"=\"\u0a00\u0a0a\"\n", 30_000, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var lines strings.Builder
			for i := range tt.lines {
				fmt.Fprintf(&lines, tt.line, i)
			}
			f := parse(t, v5(lines.String()), Options{})
			if len(f.Diagnostics) != tt.kept {
				t.Errorf("%d diagnostics, want %d", len(f.Diagnostics), tt.kept)
			}
			f.Tree()
		})
	}
}

func TestTooManyEntries(t *testing.T) {
	_, err := Parse([]byte("REGEDIT4\n[HKEY_USERS\\x]\n"+strings.Repeat("@=-\n", entriesFree*5/4)), Options{File: "x.reg"})
	if !errors.Is(err, hive.ErrCorrupt) || !strings.Contains(err.Error(), "x.reg: .reg text, line ") {
		t.Errorf("entries without end: %v", err)
	}
	var text bytes.Buffer
	text.WriteString("REGEDIT4\n")
	for i := range 4000 {
		fmt.Fprintf(&text, "[HKEY_USERS\\%d%s]\n", i, strings.Repeat("\\k", 510))
	}
	if _, err := Parse(text.Bytes(), Options{}); !errors.Is(err, hive.ErrCorrupt) {
		t.Errorf("keys without end: %v", err)
	}
}

func TestDataIsNotChanged(t *testing.T) {
	for _, v := range readVectors(t) {
		data := v.data(t)
		before := hex.EncodeToString(data)
		Parse(data, Options{})
		if hex.EncodeToString(data) != before {
			t.Errorf("%s was changed", v.ID)
		}
	}
}
