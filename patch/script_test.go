package patch

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hivemend/hive"
	"hivemend/hive/regtext"
)

var update = flag.Bool("update", false, "write what the tests compare with anew")

func del(path, value string) hive.Edit {
	return hive.Edit{Op: hive.DeleteValue, Key: hive.ParsePath(path), Value: value, Rule: "TEST", Reason: "test"}
}

// serverEdits are edits of a server's values, clientEdits of a licence store.
func serverEdits() []hive.Edit {
	return []hive.Edit{del(rcmKey, "Certificate"),
		{Op: hive.SetValue, Key: hive.ParsePath(rcmKey), Value: "Keep", Type: hive.RegDWORD, Data: []byte{9, 0, 0, 0}},
		{Op: hive.SetValue, Key: hive.ParsePath(rcmKey), Value: "New & (1)", Type: hive.RegDWORD, Data: []byte{1, 0, 0, 0}}}
}

func clientEdits() []hive.Edit {
	return []hive.Edit{{Op: hive.DeleteKey, Key: hive.ParsePath(licences), Rule: "TEST", Reason: "test"}}
}

func scriptPackage(t *testing.T, edits []hive.Edit) *Package {
	t.Helper()
	m := machine(hiveInput(t, "SYSTEM", hive.System, withName(systemTree(), "TS01")), hiveInput(t, "SOFTWARE", hive.Software, softwareTree()))
	p, err := NewPlan(edits, m, PlanOptions{Tool: Tool{"hivemend", "test"}, AsOf: testAsOf, EditTime: testTime, FillExpect: true})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Apply(p, m.Inputs, ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pk, err := NewPackage(p, r)
	if err != nil {
		t.Fatal(err)
	}
	return pk
}

// TestScriptText holds the scripts against the text they had when a person
// read them last; -update takes what they are now.
func TestScriptText(t *testing.T) {
	for name, edits := range map[string][]hive.Edit{"server": serverEdits(), "client": clientEdits()} {
		pk := scriptPackage(t, edits)
		for _, file := range []string{LiveScript, OfflineScript} {
			got, ok := pk.Files[file]
			if !ok {
				t.Fatalf("%s: no %s", name, file)
			}
			checkBatch(t, name+" "+file, got)
			golden := filepath.Join("testdata", "scripts", name+"-"+file)
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s: the text has changed; look at it, then run the test with -update", golden)
			}
		}
		if _, ok := pk.Files[ExpectedFile]; !ok {
			t.Errorf("%s: no %s", name, ExpectedFile)
		}
	}
}

// checkBatch checks what holds for every script: plain ASCII, CR LF, labels
// that exist, and nothing of what must never be named.
func checkBatch(t *testing.T, name string, text []byte) {
	t.Helper()
	labels := map[string]bool{":eof": true, "eof": true}
	lines := strings.Split(strings.TrimSuffix(string(text), "\r\n"), "\r\n")
	for _, line := range lines {
		if strings.ContainsFunc(line, func(r rune) bool { return r < 0x20 || r >= 0x7f }) {
			t.Errorf("%s: no plain ASCII, or a lone line end: %q", name, line)
		}
		if label, ok := strings.CutPrefix(line, ":"); ok {
			if labels[label] {
				t.Errorf("%s: the label %s is there twice", name, label)
			}
			labels[label] = true
		}
	}
	for _, line := range lines {
		for _, verb := range []string{"goto ", "call :"} {
			if _, rest, ok := strings.Cut(line, verb); ok && !strings.HasPrefix(line, "rem ") && !strings.HasPrefix(line, "echo ") {
				if label := strings.TrimPrefix(strings.Fields(rest)[0], ":"); !labels[label] {
					t.Errorf("%s: no label %q for %q", name, label, line)
				}
			}
		}
	}
	for _, word := range []string{"Secrets", "GracePeriod", "EnableDelayedExpansion", "findstr", "powershell"} {
		if bytes.Contains(text, []byte(word)) {
			t.Errorf("%s: it names %s", name, word)
		}
	}
}

// liveText is the state of the running machine as .reg text.
func liveText(t *testing.T, roots map[string]*hive.Node) string {
	t.Helper()
	var out bytes.Buffer
	w := regtext.NewWriter(&out, regtext.WriterOptions{})
	for _, path := range slices.Sorted(maps.Keys(roots)) {
		if err := regtext.WriteTree(w, hive.ParsePath(path), roots[path].Key()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	text, _ := strings.CutPrefix(hive.TextOf(out.Bytes()[2:]), "Windows Registry Editor Version 5.00\r\n\r\n")
	return text + "\r\n[HKEY_USERS\\S-1-5-19]\r\n"
}

func liveMachine(t *testing.T, w *wine, name string) {
	t.Helper()
	w.registry(liveText(t, map[string]*hive.Node{
		`HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet`: withName(systemTree(), name).Keys[0],
		`HKEY_LOCAL_MACHINE\SOFTWARE`:                 softwareTree(),
	}))
	w.calls()
}

// unpack writes a package into a folder whose name is a trial for cmd.
func unpack(t *testing.T, pk *Package) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a & b (1) ^ 100% ! é")
	if _, err := pk.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// expect runs a script and checks its exit code and what it says.
func expect(t *testing.T, w *wine, dir, script, flags string, code int, says string) string {
	t.Helper()
	got, out := w.run(dir, append([]string{"cmd", "/c", script}, strings.Fields(flags)...)...)
	if got != code || !strings.Contains(out, says) {
		t.Errorf("%s %s: exit code %d, want %d and %q:\n%s", script, flags, got, code, says, out)
	}
	return out
}

// inOrder checks that calls hold those parts one after the other.
func inOrder(t *testing.T, calls []string, parts ...string) {
	t.Helper()
	i := 0
	for _, call := range calls {
		if i < len(parts) && strings.Contains(call, parts[i]) {
			i++
		}
	}
	if i < len(parts) {
		t.Errorf("no call %q in its place among:\n%s", parts[i], strings.Join(calls, ""))
	}
}

func neverCalls(t *testing.T, calls []string, parts ...string) {
	t.Helper()
	for _, call := range calls {
		for _, part := range parts {
			if strings.Contains(call, part) {
				t.Errorf("it called %q", call)
			}
		}
	}
}

func TestLiveScript(t *testing.T) {
	w := needsWine(t)
	dir := unpack(t, scriptPackage(t, append(serverEdits(), clientEdits()...)))
	liveMachine(t, w, "TS01")

	expect(t, w, dir, LiveScript, "/check", 1, "Nothing was changed")
	neverCalls(t, w.calls(), "import fix.reg", " copy ", " export ", "import undo.reg")

	expect(t, w, dir, LiveScript, "", 0, "Done and proved")
	calls := w.calls()
	inOrder(t, calls, "import expected.reg", "compare HKLM\\SYSTEM\\CurrentControlSet\\Control\\ComputerName", "compare HKLM", `copy HKLM`, "export", "import fix.reg", "query HKLM")
	neverCalls(t, calls, "Secrets", "GracePeriod")

	expect(t, w, dir, LiveScript, "", 0, "Nothing to do")
	neverCalls(t, w.calls(), "import fix.reg", " copy ")
	expect(t, w, dir, LiveScript, "/check", 0, "the change stands")

	expect(t, w, dir, LiveScript, "/undo", 0, "Taken back and proved")
	expect(t, w, dir, LiveScript, "/undo", 0, "Nothing to undo")

	expect(t, w, dir, LiveScript, "", 0, "Done and proved")
	w.registry("[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Control\\Terminal Server\\RCM]\r\n\"Certificate\"=hex:01,02\r\n")
	w.calls()
	expect(t, w, dir, LiveScript, "/undo", 2, "new private key")
	neverCalls(t, w.calls(), "import undo.reg")
	expect(t, w, dir, LiveScript, "", 2, "make a new one")
	neverCalls(t, w.calls(), "import fix.reg")
	expect(t, w, dir, LiveScript, "/nonsense", 2, "Usage")
}

// TestLiveScriptFails lets each call of reg.exe fail in turn: nothing may be
// changed before the backup is there, and the backup is named afterwards.
func TestLiveScriptFails(t *testing.T) {
	w := needsWine(t)
	dir := unpack(t, scriptPackage(t, serverEdits()))
	liveMachine(t, w, "OTHER")
	for _, test := range []struct {
		fault, says string
		imports     bool
	}{
		{"query HKU\\S-1-5-19=1", "administrator", false},
		{"import expected.reg=1", "could not be loaded", false},
		{`ComputerName\ComputerName=1`, "could not be compared", false},
		{`before\1=1`, "UNREADABLE", false},
		{`before\1=2`, "OTHER DATA", false},
		{"/v Certificate=3", "UNREADABLE", false},
		{"copy HKLM=1", "could not be backed up", false},
		{"export=1", "could not be backed up", false},
		{"import fix.reg=1", "What was there before is in", true},
	} {
		w.faults = test.fault
		expect(t, w, dir, LiveScript, "", 2, test.says)
		w.faults = ""
		calls := w.calls()
		if imports := slices.ContainsFunc(calls, func(c string) bool { return strings.Contains(c, "import fix.reg") }); imports != test.imports {
			t.Errorf("%s: imports %t, want %t", test.fault, imports, test.imports)
		}
	}
	expect(t, w, dir, LiveScript, "", 0, "WARNING: this computer has another name")
}

func TestOfflineScript(t *testing.T) {
	w := needsWine(t)
	pk := scriptPackage(t, append(serverEdits(), clientEdits()...))
	dir := unpack(t, pk)
	system, software := buildHive(t, hive.System, withName(systemTree(), "TS01")), buildHive(t, hive.Software, softwareTree())
	hives := map[string][]byte{"SYSTEM": system, "SOFTWARE": software, "SYSTEM.LOG": []byte("old log")}
	w.registry("[HKEY_USERS\\S-1-5-19]\r\n\r\n[HKEY_LOCAL_MACHINE\\SYSTEM\\MountedDevices]\r\n\"\\\\DosDevices\\\\Q:\"=hex:00\r\n")
	w.calls()
	other := w.volume("e", map[string][]byte{"SYSTEM": buildHive(t, hive.System, withName(systemTree(), "TS02")), "SOFTWARE": software})
	expect(t, w, dir, OfflineScript, "/check", 2, "another computer name")

	config := w.volume("d", hives)
	// Wine's vol has no exit code, so that unreadable volumes are not seen here.
	expect(t, w, dir, OfflineScript, "/check", 1, "Nothing was changed")
	inOrder(t, w.calls(), `look\SYSTEM`, `look\SOFTWARE`, "compare", "unload", "unload")
	same(t, config, hives)

	// The hives are those of the package: they are replaced as they are.
	expect(t, w, dir, OfflineScript, "", 0, "Done and proved")
	neverCalls(t, w.calls(), "import fix-offline.reg")
	same(t, config, map[string][]byte{"SYSTEM": pk.Files["hives/SYSTEM"], "SOFTWARE": pk.Files["hives/SOFTWARE"]})
	if _, err := os.Stat(filepath.Join(config, "SYSTEM.LOG")); err == nil {
		t.Error("the old log still lies beside the new hive")
	}
	kept, err := filepath.Glob(filepath.Join(config, "hivemend-*-1"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("backups %v: %v", kept, err)
	}
	same(t, kept[0], hives)
	expect(t, w, dir, OfflineScript, "", 0, "Nothing to do")
	same(t, config, map[string][]byte{"SYSTEM": pk.Files["hives/SYSTEM"]})

	w.calls()
	expect(t, w, dir, OfflineScript, "/undo", 0, "Taken back and proved")
	inOrder(t, w.calls(), "load HKLM\\OFFLINE_SYSTEM D:", "import undo-offline.reg", "unload")

	// They have lived since: the .reg file is used.
	w.calls()
	expect(t, w, dir, OfflineScript, "", 0, "Done and proved")
	inOrder(t, w.calls(), "certutil", "load HKLM\\OFFLINE_SYSTEM D:", "import fix-offline.reg", "query HKLM", "unload")

	// Hibernation, a hive that is loaded already, two volumes that match.
	expect(t, w, dir, OfflineScript, "/undo", 0, "Taken back")
	if err := os.WriteFile(filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(config))), "hiberfil.sys"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, w, dir, OfflineScript, "", 2, "/full-shutdown-done")
	w.calls()
	w.faults = "import fix-offline.reg=1"
	expect(t, w, dir, OfflineScript, "/full-shutdown-done", 2, "What was there before is in")
	inOrder(t, w.calls(), "load HKLM\\OFFLINE_SYSTEM D:", "import fix-offline.reg", "unload HKLM\\OFFLINE_SYSTEM", "unload HKLM\\OFFLINE_SOFTWARE")
	w.faults = ""
	for name, data := range hives {
		if err := os.WriteFile(filepath.Join(other, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, w, dir, OfflineScript, "/full-shutdown-done", 2, "2 Windows folders match")
	w.registry("[HKEY_LOCAL_MACHINE\\OFFLINE_SYSTEM]\r\n")
	expect(t, w, dir, OfflineScript, "", 2, "loaded already")
}

// same checks the files of a folder.
func same(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, want := range files {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: not the %d bytes that were wanted, but %d (%v)", filepath.Join(dir, name), len(want), len(got), err)
		}
	}
}

// TestAnyMachineScript runs a package that was made without any input.
func TestAnyMachineScript(t *testing.T) {
	w := needsWine(t)
	live := strings.Replace(rcmKey, "ControlSet001", "CurrentControlSet", 1)
	p, err := NewPlan(append([]hive.Edit{del(live, "Certificate"), del(live, "X509 Certificate")}, clientEdits()...), nil, PlanOptions{AsOf: testAsOf})
	if err != nil {
		t.Fatal(err)
	}
	pk, err := NewPackage(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	checkBatch(t, "any", pk.Files[LiveScript])
	checkBatch(t, "any", pk.Files[OfflineScript])
	dir := unpack(t, pk)
	liveMachine(t, w, "ANY")
	expect(t, w, dir, LiveScript, "/undo", 2, "no whole backup")
	expect(t, w, dir, LiveScript, "", 0, "Done and proved")
	inOrder(t, w.calls(), "copy HKLM", "export", "delete HKLM", "query HKLM")
	expect(t, w, dir, LiveScript, "", 0, "Nothing to do")
	expect(t, w, dir, LiveScript, "/undo", 0, "Taken back and proved")
	expect(t, w, dir, LiveScript, "/undo", 0, "Nothing to undo")
	expect(t, w, dir, LiveScript, "", 0, "Done and proved")
	w.registry("[" + live + "]\r\n\"Certificate\"=hex:01,02\r\n")
	expect(t, w, dir, LiveScript, "/undo", 2, "new private key")

	config := w.volume("d", map[string][]byte{"SYSTEM": buildHive(t, hive.System, systemTree()), "SOFTWARE": buildHive(t, hive.Software, softwareTree())})
	expect(t, w, dir, OfflineScript, "", 0, "Done and proved")
	expect(t, w, dir, OfflineScript, "/undo", 0, "Taken back and proved")
	if kept, _ := filepath.Glob(filepath.Join(config, "hivemend-*")); len(kept) != 2 {
		t.Errorf("backups: %v", kept)
	}
}
