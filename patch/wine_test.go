package patch

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"hivemend/hive"
	"hivemend/hive/regf"
)

// wine is Wine's cmd with a stand-in for reg.exe, whose registry and record
// lie in folder.
type wine struct {
	t      *testing.T
	folder string
	faults string
}

var winePrefix = sync.OnceValues(makeWinePrefix)

// needsWine skips a test where Wine is absent; in CI that is a failure.
func needsWine(t *testing.T) *wine {
	t.Helper()
	if testing.Short() {
		t.Skip("runs a whole command processor under Wine")
	}
	if _, err := exec.LookPath("wine"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("wine is not installed, and in CI it has to be")
		}
		t.Skip("wine is not installed")
	}
	if _, err := winePrefix(); err != nil {
		t.Fatal(err)
	}
	return &wine{t: t, folder: t.TempDir()}
}

// makeWinePrefix makes a fresh Windows with the stand-in as its reg.exe and
// certutil.exe. It is made once for all tests, in a temporary folder.
func makeWinePrefix() (string, error) {
	prefix, err := os.MkdirTemp("", "wine-")
	if err != nil {
		return "", err
	}
	boot := exec.Command("wine", "wineboot", "-i")
	boot.Env = append(os.Environ(), "WINEPREFIX="+prefix, "WINEDEBUG=-all", "WINEDLLOVERRIDES=mscoree,mshtml=", "DISPLAY=")
	if err := boot.Run(); err != nil { // no pipes: what wine leaves running would hold them
		return "", &exec.Error{Name: "wineboot", Err: err}
	}
	system := filepath.Join(prefix, "drive_c", "windows", "system32")
	build := exec.Command("go", "build", "-o", filepath.Join(prefix, "fakereg.exe"), "./testdata/fakereg")
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return "", &exec.Error{Name: string(out), Err: err}
	}
	program, err := os.ReadFile(filepath.Join(prefix, "fakereg.exe"))
	if err != nil {
		return "", err
	}
	// Kept aside for the tests that want Wine's own.
	if err := os.Rename(filepath.Join(system, "reg.exe"), filepath.Join(system, "winereg.exe")); err != nil {
		return "", err
	}
	for name, data := range map[string][]byte{"reg.exe": program, "certutil.exe": program, "bcryptprimitives.dll": randomDLL()} {
		path := filepath.Join(system, name)
		if err := os.RemoveAll(path); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, data, 0o755); err != nil {
			return "", err
		}
	}
	return prefix, nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	if prefix, err := winePrefixIfMade(); err == nil && prefix != "" {
		kill := exec.Command("wineserver", "-k")
		kill.Env = append(os.Environ(), "WINEPREFIX="+prefix)
		if kill.Run() != nil {
			other := exec.Command("/usr/lib/wine/wineserver64", "-k")
			other.Env = kill.Env
			_ = other.Run()
		}
		_ = os.RemoveAll(prefix)
	}
	os.Exit(code)
}

var wineAsked bool

func winePrefixIfMade() (string, error) {
	if !wineAsked {
		return "", nil
	}
	return winePrefix()
}

// randomDLL is a library that Go programs ask for random numbers and that
// older Wines lack: its one function forwards to the one that every Windows has.
func randomDLL() []byte {
	const base, names = 0x1000, 52
	le := binary.LittleEndian
	text := "bcryptprimitives.dll\x00ProcessPrng\x00ADVAPI32.SystemFunction036\x00"
	function := base + names + strings.Index(text, "ProcessPrng")
	forward := base + names + strings.Index(text, "ADVAPI32")
	out := make([]byte, 0x400)
	put16 := func(at int, v ...uint16) {
		for i, n := range v {
			le.PutUint16(out[at+2*i:], n)
		}
	}
	put32 := func(at int, v ...uint32) {
		for i, n := range v {
			le.PutUint32(out[at+4*i:], n)
		}
	}
	copy(out, "MZ")
	put32(60, 64)
	copy(out[64:], "PE\x00\x00")
	put16(68, 0x8664, 1) // x86-64, one section
	put16(84, 240, 0x2022)
	put16(88, 0x20b)
	le.PutUint64(out[112:], 0x6f0000000)
	put32(120, 0x1000, 0x200)
	put16(128, 6, 0, 0, 0, 6, 0)
	put32(144, 0x2000, 0x200)
	put16(156, 2, 0x100)
	for i, n := range []uint64{0x100000, 0x1000, 0x100000, 0x1000} {
		le.PutUint64(out[160+8*i:], n)
	}
	put32(196, 16, base, uint32(names+len(text))) // the export directory
	copy(out[328:], ".rdata")
	put32(336, 0x200, base, 0x200, 0x200)
	put32(364, 0x40000040)
	put32(0x200+12, base+names, 1, 1, 1, base+40, base+44, base+48)
	put32(0x200+40, uint32(forward), uint32(function))
	copy(out[0x200+names:], text)
	return out
}

// run runs a program in dir and returns its exit code and what it printed.
func (w *wine) run(dir string, args ...string) (int, string) {
	w.t.Helper()
	wineAsked = true
	prefix, err := winePrefix()
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command("wine", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "WINEPREFIX="+prefix, "WINEDEBUG=-all", "DISPLAY=",
		"WINEDLLOVERRIDES=mscoree,mshtml=;reg.exe,certutil.exe=n", "LC_ALL=C.UTF-8",
		`FAKEREG_DIR=Z:`+strings.ReplaceAll(w.folder, "/", `\`), "FAKEREG_FAIL="+w.faults)
	printed, err := os.Create(filepath.Join(w.folder, "printed.txt"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer printed.Close()
	cmd.Stdout, cmd.Stderr = printed, printed
	err = cmd.Run()
	if _, isExit := err.(*exec.ExitError); err != nil && !isExit {
		w.t.Fatal(err)
	}
	out, err := os.ReadFile(printed.Name())
	if err != nil {
		w.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// calls returns how the stand-in was called since the last time.
func (w *wine) calls() []string {
	w.t.Helper()
	path := filepath.Join(w.folder, "calls.txt")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		w.t.Fatal(err)
	}
	return slices.Collect(strings.Lines(string(text)))
}

// registry puts .reg text into the stand-in's registry.
func (w *wine) registry(text string) {
	w.t.Helper()
	path := filepath.Join(w.folder, "state.reg")
	if err := os.WriteFile(path, []byte("Windows Registry Editor Version 5.00\r\n\r\n"+text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if code, out := w.run(w.folder, "reg", "import", "state.reg"); code != 0 {
		w.t.Fatalf("exit code %d: %s", code, out)
	}
}

// volume makes a drive of the given letter with hives on it.
func (w *wine) volume(letter string, hives map[string][]byte) string {
	w.t.Helper()
	prefix, err := winePrefix()
	if err != nil {
		w.t.Fatal(err)
	}
	root := w.t.TempDir()
	config := filepath.Join(root, "Windows", "System32", "config")
	if err := os.MkdirAll(config, 0o700); err != nil {
		w.t.Fatal(err)
	}
	for name, data := range hives {
		if err := os.WriteFile(filepath.Join(config, name), data, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	link := filepath.Join(prefix, "dosdevices", letter+":")
	if err := os.Symlink(root, link); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = os.Remove(link) })
	return config
}

// withName adds a computer name to a SYSTEM tree.
func withName(root *hive.Node, name string) *hive.Node {
	for _, set := range root.Keys[:2] {
		set.Keys[0].Keys = append(set.Keys[0].Keys, key("ComputerName", key("ComputerName", text("ComputerName", name))))
	}
	return root
}

// buildHive builds the bytes of a hive.
func buildHive(t *testing.T, kind hive.Kind, root *hive.Node) []byte {
	t.Helper()
	data, err := regf.Build(root.Key(), regf.BuildOptions{Time: 129500000000000000, FileName: string(kind)})
	if err != nil {
		t.Fatal(err)
	}
	return data
}
