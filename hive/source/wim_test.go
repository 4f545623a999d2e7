package source

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hivemend/hive"
)

// wimOf makes a WIM archive with an image of each set of files, by the program
// wimlib-imagex.
func wimOf(t testing.TB, options []string, images ...[]packed) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out.wim")
	for i, files := range images {
		dir := t.TempDir()
		for _, f := range files {
			path := filepath.Join(dir, filepath.FromSlash(f.name))
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, f.data, 0o666)); err != nil {
				t.Fatal(err)
			}
		}
		if i == 0 {
			run(t, "wimlib-imagex", append([]string{"capture", dir, out, "first"}, options...)...)
		} else {
			run(t, "wimlib-imagex", "append", dir, out, "next"+string(rune('0'+i)))
		}
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func imageFiles(t testing.TB, computer string) []packed {
	return []packed{
		{"Windows/System32/config/SYSTEM", noise(t, systemHive(t, computer))}, {"Windows/System32/config/SOFTWARE", softwareHive(t)},
		{"Windows/System32/kernel32.dll", []byte("MZ")}, {"Windows/notepad.exe", []byte("MZ")}, {"Users/u/SYSTEM", softwareHive(t)}, {"empty", nil}, {"System of things/x", []byte("x")},
	}
}

func TestWIM(t *testing.T) {
	for _, method := range []string{"LZX", "none"} {
		t.Run(method, func(t *testing.T) {
			data := wimOf(t, []string{"--compress=" + method}, imageFiles(t, "ONE"), imageFiles(t, "TWO"))
			path := filepath.Join(lay(t, map[string][]byte{"install.wim": data}), "install.wim")
			label := filepath.ToSlash(path)
			r := open(t, Options{}, path)
			want := []string{
				"ONE/live: " + label + "::1/Windows/System32/config/SOFTWARE=SOFTWARE, " + label + "::1/Windows/System32/config/SYSTEM=SYSTEM",
				"TWO/live: " + label + "::2/Windows/System32/config/SOFTWARE=SOFTWARE, " + label + "::2/Windows/System32/config/SYSTEM=SYSTEM",
			}
			got := summary("", r)
			if !slices.Equal(got, want) || len(r.Failures) > 0 {
				t.Fatalf("got %q, failures %v; want %q", got, r.Failures, want)
			}
			for i, computer := range []string{"ONE", "TWO"} {
				system := r.Machines[i].Inputs[1]
				if system.Hive != hive.System || system.SHA256 != hexSHA256(noise(t, systemHive(t, computer))) {
					t.Errorf("image %d: the hive's bytes are wrong", i+1)
				}
			}
		})
	}
}

func TestSetupImages(t *testing.T) {
	data := wimOf(t, nil, imageFiles(t, "MINWINPC"))
	root := lay(t, map[string][]byte{"Recovery/WindowsRE/Winre.wim": data, "sources/install.wim": data})
	r := open(t, Options{}, root)
	if len(r.Machines) != 1 || !strings.Contains(r.Machines[0].Inputs[0].Path, "sources/install.wim::1/") || len(r.Failures) > 0 {
		t.Errorf("in a folder: %q, %v", summary(root, r), r.Failures)
	}
	if r := open(t, Options{}, filepath.Join(root, "Recovery", "WindowsRE", "Winre.wim")); len(r.Machines) != 1 {
		t.Errorf("by its path: %v", r.Failures)
	}
}

// TestWIMHelper reads, through wimlib-imagex, what is not read here.
func TestWIMHelper(t *testing.T) {
	for _, options := range [][]string{{"--compress=XPRESS"}, {"--compress=LZMS"}, {"--solid"}} {
		t.Run(options[0], func(t *testing.T) {
			path := filepath.Join(lay(t, map[string][]byte{"x.esd": wimOf(t, options, imageFiles(t, "ONE"))}), "x.esd")
			label := filepath.ToSlash(path)
			r := open(t, Options{}, path)
			want := []string{"ONE/live: " + label + "::1/Windows/System32/config/SOFTWARE=SOFTWARE, " + label + "::1/Windows/System32/config/SYSTEM=SYSTEM"}
			if got := summary("", r); !slices.Equal(got, want) || len(r.Failures) > 0 {
				t.Fatalf("got %q, failures %v; want %q", got, r.Failures, want)
			}
			if system := r.Machines[0].Inputs[1]; system.SHA256 != hexSHA256(noise(t, systemHive(t, "ONE"))) {
				t.Error("the hive's bytes are wrong")
			}
			t.Setenv("PATH", t.TempDir())
			if r := open(t, Options{}, path); len(r.Failures) != 1 || !strings.Contains(r.Failures[0].Error(), "install wimlib-imagex") {
				t.Errorf("without the helper: %v", r.Failures)
			}
		})
	}
}

func TestHostileWIM(t *testing.T) {
	data := wimOf(t, []string{"--compress=none"}, imageFiles(t, "ONE"))
	damaged := bytes.Clone(data)
	damaged[bytes.Index(damaged, []byte("regf"))+5000] ^= 1
	table := binary.LittleEndian.Uint64(data[56:])
	many := bytes.Clone(data)
	binary.LittleEndian.PutUint32(many[44:], 0xffff)
	behind := bytes.Clone(data)
	binary.LittleEndian.PutUint64(behind[56:], 1<<60)
	metadata := bytes.Clone(data)
	for i := table; i < uint64(len(data)-50); i += 50 {
		if metadata[i+7]&wimMetadata != 0 {
			binary.LittleEndian.PutUint64(metadata[i+16:], 1<<50)
			break
		}
	}
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"XPRESS", wimOf(t, []string{"--compress=XPRESS"}, imageFiles(t, "ONE")), "compressed with XPRESS: not supported; install wimlib-imagex"},
		{"LZMS", wimOf(t, []string{"--compress=LZMS"}, imageFiles(t, "ONE")), "ESD"},
		{"solid", wimOf(t, []string{"--solid"}, imageFiles(t, "ONE")), "ESD"},
		{"SHA-1", damaged, "do not match their SHA-1"},
		{"count of images", many, "claims 65535 images"},
		{"table behind the end", behind, "behind the end"},
		{"metadata of a petabyte", metadata, "--max-memory"},
		{"header alone", data[:100], "cut off"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := open(t, Options{Stdin: bytes.NewReader(tt.data)}, "-")
			if len(r.Failures) == 0 || !strings.Contains(r.Failures[0].Err.Error(), tt.want) {
				t.Errorf("machines %q, failures %v; want %q", summary("", r), r.Failures, tt.want)
			}
		})
	}
}

func FuzzWIMTree(f *testing.F) {
	m := make([]byte, 8+2*wimDentrySize+40)
	binary.LittleEndian.PutUint32(m, 8)
	binary.LittleEndian.PutUint64(m[8:], wimDentrySize)
	m[8+8] = 0x10
	binary.LittleEndian.PutUint64(m[8+16:], 8+104)
	f.Add(m)
	f.Fuzz(func(t *testing.T, metadata []byte) {
		image := &wimImage{archive: &wimArchive{}, metadata: metadata, left: 10000}
		s := &Search{opt: Options{Limits: Limits{}.withDefaults()}}
		w := &volumeWalk{f: &finding{search: s, logs: map[string][]*member{}}, outer: &file{label: "x"}, v: image, done: heldFile{}.use}
		if err := w.run(); err == nil && image.left < 0 {
			t.Fatal("the bound was passed, and no error")
		}
	})
}
