package patch

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hivemend/hive"
	"hivemend/hive/regtext"
)

func testPackage(t testing.TB, m *hive.Machine) *Package {
	t.Helper()
	p := mustPlan(t, m, repair()...)
	pk, err := NewPackage(p, mustApply(t, p, m.Inputs))
	if err != nil {
		t.Fatal(err)
	}
	if err := pk.Add("RUNBOOK.md", []byte("# What to do\n")); err != nil {
		t.Fatal(err)
	}
	return pk
}

func writePackage(t testing.TB, pk *Package) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "TS01")
	if got, err := pk.Write(dir); err != nil || got != Created {
		t.Fatalf("want %s, found %s, %v", Created, got, err)
	}
	return dir
}

func TestPackageHoldsTheAgreedFiles(t *testing.T) {
	dir := writePackage(t, testPackage(t, testMachine(t)))
	names, err := fileNames(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := "MANIFEST.sha256 RUNBOOK.md apply-live.cmd apply-offline.cmd backup/exported-parameters.reg backup/mslicensingbackup.reg changes.diff expected.reg fix-offline.reg fix.reg hives/SOFTWARE hives/SYSTEM journal.json plan.json undo-offline.reg undo.reg"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("want %s\nfound %s", want, got)
	}
	err = filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: others may read it: %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPackageIsDeterministic(t *testing.T) {
	a, b := testPackage(t, testMachine(t)).all(), testPackage(t, testMachine(t)).all()
	for name := range a {
		if !bytes.Equal(a[name], b[name]) {
			t.Errorf("%s: two runs give different bytes", name)
		}
	}
}

func TestManifestIsReadBySha256sum(t *testing.T) {
	program, err := exec.LookPath("sha256sum")
	if err != nil {
		t.Skip("the program sha256sum is not installed")
	}
	m := testMachine(t)
	dir := writePackage(t, testPackage(t, m))
	cmd := exec.Command(program, "--strict", "--check", ManifestFile)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	manifest, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	if err != nil {
		t.Fatal(err)
	}
	if want := "# input " + m.Inputs[0].SHA256 + "  evidence/SYSTEM\n"; !strings.Contains(string(manifest), want) {
		t.Errorf("want %q in\n%s", want, manifest)
	}
}

func TestWritingAgain(t *testing.T) {
	m := testMachine(t)
	pk := testPackage(t, m)
	dir := writePackage(t, pk)
	if got, err := pk.Write(dir); err != nil || got != AlreadyThere {
		t.Errorf("the same again: want %s, found %s, %v", AlreadyThere, got, err)
	}
	other := testPackage(t, m)
	other.Files["RUNBOOK.md"] = []byte("# Something else\n")
	if _, err := other.Write(dir); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "RUNBOOK.md") && !strings.Contains(err.Error(), ManifestFile) {
		t.Errorf("other content: want ErrRefused with the file, found %v", err)
	}
	stranger := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(stranger, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pk.Write(dir); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "notes.txt") {
		t.Errorf("a file more: want ErrRefused with the file, found %v", err)
	}
	empty := t.TempDir()
	if got, err := pk.Write(empty); err != nil || got != Created {
		t.Errorf("an empty folder: want %s, found %s, %v", Created, got, err)
	}
	here := t.TempDir()
	t.Chdir(here)
	if got, err := pk.Write("."); err != nil || got != Created {
		t.Errorf("the current folder: want %s, found %s, %v", Created, got, err)
	}
	if _, err := ReadPackage(here); err != nil {
		t.Errorf("the package in the current folder: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestReadPackageGivesBackWhatWasWritten(t *testing.T) {
	m := testMachine(t)
	pk := testPackage(t, m)
	again, err := ReadPackage(writePackage(t, pk))
	if err != nil {
		t.Fatal(err)
	}
	r := mustApply(t, again.Plan, m.Inputs)
	if !bytes.Equal(r.Inputs[0].After.Data, pk.Files["hives/SYSTEM"]) || !bytes.Equal(r.Inputs[1].After.Data, pk.Files["hives/SOFTWARE"]) {
		t.Error("the plan that was read gives other hives")
	}
	if again.Journal == nil || len(again.Journal.Hives) != 2 {
		t.Errorf("want the journal of two hives, found %+v", again.Journal)
	}
}

func TestAlteredPackageIsRefused(t *testing.T) {
	pk := testPackage(t, testMachine(t))
	for name := range pk.all() {
		dir := writePackage(t, pk)
		path := filepath.Join(dir, filepath.FromSlash(name))
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 1
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadPackage(dir); err == nil {
			t.Errorf("%s: one changed bit was not noticed", name)
		} else if name != ManifestFile && !strings.Contains(err.Error(), name) {
			t.Errorf("%s was altered, but the error does not name it: %v", name, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadPackage(dir); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is missing: want ErrRefused with the name, found %v", name, err)
		}
	}
}

func TestManifestCannotLeadElsewhere(t *testing.T) {
	for _, line := range []string{
		strings.Repeat("0", 64) + "  ../outside", strings.Repeat("0", 64) + "  /etc/passwd", strings.Repeat("0", 64) + `  a\b`,
		strings.Repeat("0", 63) + "  a", strings.Repeat("0", 64) + " a", "", strings.Repeat("0", 64) + "  a\n" + strings.Repeat("0", 64) + "  a",
	} {
		if _, err := readManifest([]byte(line + "\n")); !errors.Is(err, ErrRefused) {
			t.Errorf("%q: want ErrRefused, found %v", line, err)
		}
	}
	if err := (&Package{Files: map[string][]byte{}}).Add("../x", nil); !errors.Is(err, ErrRefused) {
		t.Errorf("a file outside the package: want ErrRefused, found %v", err)
	}
}

// regEdits reads .reg text and returns its comment lines and its edits.
func regEdits(t *testing.T, data []byte) (string, []hive.Edit) {
	t.Helper()
	file, err := regtext.Parse(data, regtext.Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	text := hive.TextOf(data)
	var comments []string
	for _, line := range strings.Split(text, "\r\n") {
		if strings.HasPrefix(line, ";") {
			comments = append(comments, line)
		}
	}
	return strings.Join(comments, "\n"), file.Edits()
}

func TestRegFilesOfAPackage(t *testing.T) {
	m := testMachine(t)
	pk := testPackage(t, m)
	forms := map[string]string{
		FixFile: `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\`, UndoFile: `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\`,
		FixOfflineFile: `HKEY_LOCAL_MACHINE\OFFLINE_SYSTEM\ControlSet001\`, UndoOfflineFile: `HKEY_LOCAL_MACHINE\OFFLINE_SYSTEM\ControlSet001\`,
		ParametersFile: `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\`,
	}
	for name, start := range forms {
		data := pk.Files[name]
		if !bytes.HasPrefix(data, []byte{0xff, 0xfe}) {
			t.Errorf("%s: want UTF-16LE with a byte order mark", name)
		}
		comments, edits := regEdits(t, data)
		for _, want := range []string{"TS01", m.Inputs[0].SHA256, testAsOf.String()} {
			if !strings.Contains(comments, want) {
				t.Errorf("%s: the comment lacks %s:\n%s", name, want, comments)
			}
		}
		found := false
		for _, e := range edits {
			found = found || strings.HasPrefix(e.Key.String(), start)
			if Protected(e.Key) {
				t.Errorf("%s names %s", name, e.Key)
			}
		}
		if !found {
			t.Errorf("%s: no key begins with %s", name, start)
		}
	}
	_, backup := regEdits(t, pk.Files[LicensingFile])
	var keys []string
	for _, e := range backup {
		if e.Op == hive.CreateKey {
			keys = append(keys, e.Key.Name())
		}
	}
	if got := strings.Join(keys, " "); got != "MSLicensing HardwareID Store LICENSE000" {
		t.Errorf("backup of the licence store: found %s", got)
	}
}

// TestUndoRegRestores applies fix.reg and then undo.reg to the tree, as a
// person would with Registry Editor.
func TestUndoRegRestores(t *testing.T) {
	m := testMachine(t)
	pk := testPackage(t, m)
	w, err := newWorkspace(m.Inputs, true, testTime)
	if err != nil {
		t.Fatal(err)
	}
	run := func(name string) {
		_, edits := regEdits(t, pk.Files[name])
		for i, e := range edits {
			steps, err := w.steps(i, e)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range steps {
				s.make()
			}
		}
	}
	run(FixFile)
	if left := Diff(w.mounts[0].Root, w.mounts[0].tree.key(), nil); len(left) == 0 {
		t.Fatal("fix.reg changes nothing")
	}
	planned := mustApply(t, pk.Plan, m.Inputs)
	for i, p := range planned.Inputs {
		if left := Diff(p.After.Mounts[0].Root, w.mounts[i].tree.key(), nil); len(left) > 0 {
			t.Errorf("fix.reg does something else than the plan: %v", left)
		}
	}
	run(UndoFile)
	for _, mount := range w.mounts {
		if left := Diff(mount.Root, mount.tree.key(), nil); len(left) > 0 {
			t.Errorf("undo.reg leaves %v", left)
		}
	}
}

func FuzzReadJournal(f *testing.F) {
	pk := testPackage(f, machine(hiveInput(f, "SYSTEM", hive.System, systemTree()), hiveInput(f, "SOFTWARE", hive.Software, softwareTree())))
	patched := pk.Files["hives/SYSTEM"]
	f.Add(pk.Files[JournalFile])
	f.Add([]byte(`{"schema":"hivemend/journal/1","hives":[{"hive":"SYSTEM","path":"","original":{"size":99999999999,"sha256":""},"patched":{"size":0,"sha256":""},"ranges":[]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		j, err := ReadJournal(text)
		if err != nil {
			return
		}
		for _, h := range j.Hives {
			h.Patched = stateOf(patched)
			if original, err := h.Revert(patched); err == nil && hash(original) != h.Original.SHA256 {
				t.Fatal("gave back something else than the original")
			}
		}
		written, err := j.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ReadJournal(written); err != nil {
			t.Fatalf("what was accepted is refused when written again: %v", err)
		}
	})
}
