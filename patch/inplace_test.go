package patch

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hivemend/hive"
)

// config lays the test machine out as a folder with logs beside the hives.
func config(t *testing.T) (dir string, m *hive.Machine) {
	t.Helper()
	dir = t.TempDir()
	m = testMachine(t)
	for _, in := range m.Inputs {
		path := filepath.Join(dir, string(in.Hive))
		writeFile(t, path, in.Data)
		for _, suffix := range []string{".LOG", ".log1", ".LOG2", ".blf"} {
			writeFile(t, path+suffix, []byte("the log "+path+suffix))
		}
		in.Path = filepath.ToSlash(path)
	}
	return dir, m
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o640); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestReplaceInPlace(t *testing.T) {
	dir, m := config(t)
	backup := filepath.Join(t.TempDir(), "backup")
	r := mustApply(t, mustPlan(t, m, repair()...), m.Inputs)
	done, err := ReplaceInPlace(r, backup)
	if err != nil {
		t.Fatal(err)
	}
	if len(done.Replaced) != 2 || len(done.Backups) != 8 || len(done.Moved) != 6 {
		t.Errorf("want 2 replaced, 8 backups, 6 moved, found %+v", done)
	}
	names, err := fileNames(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(names, " "); got != "SOFTWARE SOFTWARE.blf SYSTEM SYSTEM.blf" {
		t.Errorf("left in the folder: %s", got)
	}
	for _, p := range r.Inputs {
		name := string(p.Input.Hive)
		if got := readFile(t, filepath.Join(dir, name)); !bytes.Equal(got, p.After.Data) {
			t.Errorf("%s is not the patched hive", name)
		}
		if got := readFile(t, filepath.Join(backup, name+"."+p.Input.SHA256[:16])); !bytes.Equal(got, p.Input.Data) {
			t.Errorf("the backup of %s is not the original", name)
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s did not keep its mode: %v, %v", name, info.Mode(), err)
		}
	}
	if logs, _ := filepath.Glob(filepath.Join(backup, "SYSTEM.log1.*")); len(logs) != 1 {
		t.Errorf("want the log in the backup, found %v", logs)
	}
}

func TestReplaceInPlaceIsCompletedAfterAKill(t *testing.T) {
	dir, m := config(t)
	backup := filepath.Join(t.TempDir(), "backup")
	p := mustPlan(t, m, repair()...)
	r := mustApply(t, p, m.Inputs)
	// As far as a first run got: everything backed up, one hive replaced, its logs still there.
	var done InPlace
	for _, patched := range r.Inputs {
		job, err := newReplacement(patched, backup)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(backup, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := job.backUp(&done); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, filepath.Join(dir, "SYSTEM"), r.Inputs[0].After.Data)

	var inputs []*hive.Input
	for _, kind := range []hive.Kind{hive.System, hive.Software} {
		path := filepath.Join(dir, string(kind))
		inputs = append(inputs, openInput(t, filepath.ToSlash(path), kind, readFile(t, path)))
	}
	again := mustApply(t, p, inputs)
	rest, err := ReplaceInPlace(again, backup)
	if err != nil {
		t.Fatal(err)
	}
	if len(rest.Replaced) != 1 || len(rest.Moved) != 6 {
		t.Errorf("want one hive replaced and six logs moved, found %+v", rest)
	}
	names, err := fileNames(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(names, " "); got != "SOFTWARE SOFTWARE.blf SYSTEM SYSTEM.blf" {
		t.Errorf("left in the folder: %s", got)
	}
}

func TestLogsOfAHiveThatLivesStay(t *testing.T) {
	dir, m := config(t)
	p := mustPlan(t, m, repair()...)
	r := mustApply(t, p, m.Inputs)
	var inputs []*hive.Input
	for _, patched := range r.Inputs {
		path := filepath.Join(dir, string(patched.Input.Hive))
		writeFile(t, path, patched.After.Data)
		inputs = append(inputs, openInput(t, filepath.ToSlash(path), patched.Input.Hive, patched.After.Data))
	}
	done, err := ReplaceInPlace(mustApply(t, p, inputs), filepath.Join(t.TempDir(), "backup"))
	if err != nil {
		t.Fatal(err)
	}
	if len(done.Replaced)+len(done.Moved)+len(done.Backups) != 0 {
		t.Errorf("nothing was to be done, but found %+v", done)
	}
}

func TestReplaceInPlaceRefuses(t *testing.T) {
	dir, m := config(t)
	backup := t.TempDir()
	r := mustApply(t, mustPlan(t, m, repair()...), m.Inputs)
	before := readFile(t, filepath.Join(dir, "SYSTEM"))

	collision := filepath.Join(backup, "SOFTWARE."+m.Inputs[1].SHA256[:16])
	writeFile(t, collision, []byte("somebody else's"))
	if _, err := ReplaceInPlace(r, backup); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), collision) {
		t.Errorf("a backup of that name: want ErrRefused with the file, found %v", err)
	}
	if string(readFile(t, collision)) != "somebody else's" {
		t.Error("a backup was overwritten")
	}
	if !bytes.Equal(readFile(t, filepath.Join(dir, "SYSTEM")), before) {
		t.Error("a hive was replaced before all backups were complete")
	}

	writeFile(t, filepath.Join(dir, "SYSTEM"), append(bytes.Clone(before), 0))
	if _, err := ReplaceInPlace(r, t.TempDir()); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "changed since it was read") {
		t.Errorf("a file that changed: want ErrRefused, found %v", err)
	}
	m.Inputs[0].Path = "evidence.zip::SYSTEM"
	if _, err := ReplaceInPlace(r, t.TempDir()); !errors.Is(err, ErrRefused) {
		t.Errorf("a member of a container: want ErrRefused, found %v", err)
	}
}

func TestWriteFileAtomicRefusesItsInput(t *testing.T) {
	dir := t.TempDir()
	input := filepath.Join(dir, "SYSTEM")
	writeFile(t, input, []byte("input"))
	symlink, hardlink := filepath.Join(dir, "symlink"), filepath.Join(dir, "hardlink")
	if err := os.Symlink(input, symlink); err != nil {
		t.Skip("no symbolic links here")
	}
	if err := os.Link(input, hardlink); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{input, symlink, hardlink, dir + "/./SYSTEM"} {
		if err := WriteFileAtomic(out, []byte("x"), 0o600, "elsewhere", input); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: want ErrRefused, found %v", out, err)
		}
	}
	out := filepath.Join(dir, "out")
	for _, content := range []string{"first", "second"} {
		if err := WriteFileAtomic(out, []byte(content), 0o600, input); err != nil {
			t.Fatal(err)
		}
		if got := string(readFile(t, out)); got != content {
			t.Errorf("want %s, found %s", content, got)
		}
	}
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("want mode 0600, found %v, %v", info.Mode(), err)
	}
	if string(readFile(t, input)) != "input" {
		t.Error("the input was changed")
	}
	if err := WriteFileAtomic(dir, []byte("x"), 0o600); !errors.Is(err, ErrRefused) {
		t.Errorf("a folder: want ErrRefused, found %v", err)
	}
	if err := WriteFileAtomic(filepath.Join(dir, "absent", "out"), []byte("x"), 0o600); err == nil {
		t.Error("a folder that is not there was no error")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
