package source

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"hivemend/hive"
)

// packed is a file of an archive; order matters.
type packed struct {
	name string
	data []byte
}

func tarOf(t testing.TB, files ...packed) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o600, Size: int64(len(f.data)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipOf(t testing.TB, method uint16, files ...packed) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	w.RegisterCompressor(zstd.ZipMethodWinZip, zstd.ZipCompressor())
	for _, f := range files {
		e, err := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Write(f.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipOf(t testing.TB, data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstdOf(t testing.TB, data []byte, options ...zstd.EOption) []byte {
	w, err := zstd.NewWriter(nil, options...)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

func xzOf(t testing.TB, data []byte) []byte { return xzData(t, data, xz.WriterConfig{}) }

// bzip2Of needs the program of that name: nothing in Go writes bzip2.
func bzip2Of(t testing.TB, data []byte) []byte {
	cmd := exec.Command("bzip2", "-c")
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		absent(t, "bzip2")
	}
	return out
}

// sevenZipOf needs the program 7zz or 7z.
func sevenZipOf(t testing.TB, options []string, files ...packed) []byte {
	t.Helper()
	program := ""
	for _, name := range []string{"7zz", "7z", "7za"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		absent(t, "7zz")
	}
	in, out := t.TempDir(), filepath.Join(t.TempDir(), "out.7z")
	for _, f := range files {
		path := filepath.Join(in, filepath.FromSlash(f.name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, f.data, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, append(append([]string{"a", "-bd"}, options...), out, ".")...)
	cmd.Dir = in
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSevenZip(t *testing.T) {
	files := collection(t)
	for name, options := range map[string][]string{
		"default": nil, "LZMA": {"-m0=LZMA"}, "PPMd": {"-m0=PPMd"}, "bzip2": {"-m0=BZip2"}, "deflate": {"-m0=Deflate"}, "stored": {"-mx0"},
		"plain header": {"-mhc=off"}, "not solid": {"-ms=off"}, "BCJ2": {"-mf=BCJ2"},
	} {
		t.Run(name, func(t *testing.T) {
			data := sevenZipOf(t, options, files...)
			r := open(t, Options{Stdin: bytes.NewReader(data)}, "-")
			got := summary("", r)
			slices.Sort(got)
			want := []string{
				"TS01/live: -::C/Windows/System32/config/SOFTWARE=SOFTWARE, -::C/Windows/System32/config/SYSTEM=SYSTEM",
				"TS01/regback: -::C/Windows/System32/config/RegBack/SYSTEM=SYSTEM",
			}
			if !slices.Equal(got, want) || len(r.Failures) > 0 {
				t.Errorf("got %q, failures %v", got, r.Failures)
			}
		})
	}
}

func TestHostileSevenZip(t *testing.T) {
	system := systemHive(t, "TS01")
	stored := sevenZipOf(t, []string{"-mx0", "-mhc=off"}, packed{"SYSTEM", system})
	damaged := bytes.Clone(stored)
	damaged[bytes.Index(damaged, []byte("regf"))+5000] ^= 1
	bomb := append([]byte("regf"), make([]byte, 70<<20)...)
	for _, tt := range []struct {
		name   string
		data   []byte
		limits Limits
		want   string
	}{
		{"encrypted", sevenZipOf(t, []string{"-psecret"}, packed{"SYSTEM", system}), Limits{}, "encrypted"},
		{"encrypted names", sevenZipOf(t, []string{"-psecret", "-mhe=on"}, packed{"SYSTEM", system}), Limits{}, "encrypted"},
		{"dictionary", sevenZipOf(t, []string{"-mx1", "-md=4m"}, packed{"SYSTEM", bomb}), Limits{Window: 1 << 20}, "--max-window"},
		{"ratio", sevenZipOf(t, []string{"-mx1"}, packed{"SYSTEM", bomb}), Limits{Ratio: 100}, "--max-ratio"},
		{"check sum", damaged, Limits{}, "do not match their check sum"},
		{"cut off", stored[:len(stored)-9], Limits{}, "is cut off"},
		{"start header", func() []byte { b := bytes.Clone(stored); b[13] ^= 1; return b }(), Limits{}, "damaged start header"},
		{"count of files", sevenZipHeader([]byte{1, 5, 0xf0, 0xff, 0xff, 0xff, 0x7f, 0}), Limits{}, "claims 2147483647 things"},
		{"coder properties", sevenZipHeader([]byte{1, 4, 7, 11, 1, 0, 1, 0x23, 3, 1, 1, 0xf0, 0xff, 0xff, 0xff, 0x7f}), Limits{}, "ends too early"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := open(t, Options{Stdin: bytes.NewReader(tt.data), Limits: tt.limits}, "-")
			if len(r.Failures) != 1 || !strings.Contains(r.Failures[0].Err.Error(), tt.want) || len(r.Machines) != 0 {
				t.Errorf("machines %q, failures %v; want %q", summary("", r), r.Failures, tt.want)
			}
		})
	}
}

// sevenZipHeader makes an archive of nothing but a header.
func sevenZipHeader(header []byte) []byte {
	start := binary.LittleEndian.AppendUint64(nil, 0)
	start = binary.LittleEndian.AppendUint64(start, uint64(len(header)))
	start = binary.LittleEndian.AppendUint32(start, crc32.ChecksumIEEE(header))
	b := append([]byte("7z\xbc\xaf\x27\x1c\x00\x04"), binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(start))...)
	return append(append(b, start...), header...)
}

func FuzzSevenZip(f *testing.F) {
	f.Add([]byte{1, 5, 1, 0})
	f.Add([]byte{1, 4, 6, 0, 1, 9, 4, 0, 7, 11, 1, 0, 1, 0x21, 0x21, 1, 18, 12, 4, 0, 0, 5, 1, 17, 5, 0, 65, 0, 0, 0, 0, 0})
	f.Add([]byte{23, 6, 0, 1, 9, 1, 0, 7, 11, 1, 0, 1, 1, 0, 12, 1, 0, 0})
	f.Fuzz(func(t *testing.T, header []byte) {
		r, err := Open([]string{"-"}, Options{Stdin: bytes.NewReader(sevenZipHeader(header)), Limits: Limits{Hive: 1 << 20, Memory: 1 << 24}})
		if err != nil || len(r.Machines)+len(r.Failures) == 0 {
			t.Fatalf("got %v, %v", r, err)
		}
	})
}

// collection is what a collector leaves of a machine.
func collection(t testing.TB) []packed {
	return []packed{
		{"C/Windows/System32/config/SYSTEM", systemHive(t, "TS01")},
		{"C/Windows/System32/config/SOFTWARE", softwareHive(t)},
		{"C/Windows/System32/config/RegBack/SYSTEM", systemHive(t, "TS01")},
		{"C/Windows/System32/config/SAM", otherHive(t)},
		{"C/Users/u/NTUSER.DAT", otherHive(t)},
		{"notes/setup.log", []byte("nothing")},
	}
}

var collected = []string{
	"TS01/live: %s::C/Windows/System32/config/SYSTEM=SYSTEM, %s::C/Windows/System32/config/SOFTWARE=SOFTWARE",
	"TS01/regback: %s::C/Windows/System32/config/RegBack/SYSTEM=SYSTEM",
}

func TestContainers(t *testing.T) {
	files := collection(t)
	for name, make := range map[string]func(t *testing.T) []byte{
		"x.tar":      func(t *testing.T) []byte { return tarOf(t, files...) },
		"x.tar.gz":   func(t *testing.T) []byte { return gzipOf(t, tarOf(t, files...)) },
		"x.tar.zst":  func(t *testing.T) []byte { return zstdOf(t, tarOf(t, files...)) },
		"x.tar.xz":   func(t *testing.T) []byte { return xzOf(t, tarOf(t, files...)) },
		"x.tar.bz2":  func(t *testing.T) []byte { return bzip2Of(t, tarOf(t, files...)) },
		"stored.zip": func(t *testing.T) []byte { return zipOf(t, zip.Store, files...) },
		"x.zip":      func(t *testing.T) []byte { return zipOf(t, zip.Deflate, files...) },
		"zstd.zip":   func(t *testing.T) []byte { return zipOf(t, zstd.ZipMethodWinZip, files...) },
		"no-ending":  func(t *testing.T) []byte { return zipOf(t, zip.Deflate, files...) },
	} {
		t.Run(name, func(t *testing.T) {
			data := make(t)
			root := lay(t, map[string][]byte{name: data})
			path := filepath.Join(root, name)
			check := func(how, label string, r Result) {
				t.Helper()
				var want []string
				for _, c := range collected {
					want = append(want, strings.ReplaceAll(c, "%s", label))
				}
				if got := summary(root, r); !slices.Equal(got, want) || len(r.Failures) > 0 {
					t.Errorf("%s: got %q, failures %v; want %q", how, got, r.Failures, want)
				}
				for _, m := range r.Machines {
					for _, in := range m.Inputs {
						if in.SHA256 != hexSHA256(in.Data) || in.State != hive.Clean {
							t.Errorf("%s: %s is %s with the wrong hash", how, in.Path, in.State)
						}
					}
				}
			}
			check("by path", name, open(t, Options{}, path))
			check("in a folder", name, open(t, Options{}, root))
			check("from standard input", "-", open(t, Options{Stdin: bytes.NewReader(data)}, "-"))
			temp := t.TempDir()
			check("with no memory to spare", "-", open(t, Options{Stdin: bytes.NewReader(data), Temp: temp, Limits: Limits{Memory: 1 << 16}}, "-"))
			if left, _ := os.ReadDir(temp); len(left) > 0 {
				t.Errorf("%d temporary files were left", len(left))
			}
		})
	}
}

func TestSingleCompressed(t *testing.T) {
	system, software := systemHive(t, "TS01"), softwareHive(t)
	root := lay(t, map[string][]byte{
		"SYSTEM.gz": gzipOf(t, system), "SOFTWARE.zst": zstdOf(t, software), "b/export.reg.xz": xzOf(t, regText(`[HKEY_LOCAL_MACHINE\SYSTEM\Select]`)),
	})
	want := []string{"TS01/unknown: SOFTWARE.zst=SOFTWARE, SYSTEM.gz=SYSTEM", "/unknown: b/export.reg.xz=SYSTEM"}
	if r := open(t, Options{}, root); !slices.Equal(summary(root, r), want) || len(r.Failures) > 0 {
		t.Errorf("got %q, failures %v", summary(root, r), r.Failures)
	}
	r := open(t, Options{}, filepath.Join(root, "SYSTEM.gz"), filepath.Join(root, "SOFTWARE.zst"))
	if got := summary(root, r); !slices.Equal(got, []string{"TS01/unknown: SYSTEM.gz=SYSTEM, SOFTWARE.zst=SOFTWARE"}) || len(r.Failures) > 0 {
		t.Errorf("got %q, failures %v", got, r.Failures)
	}
	if in := r.Machines[0].Inputs[0]; in.SHA256 != hexSHA256(system) || in.Size != int64(len(system)) {
		t.Errorf("size %d and hash are not those of the hive", in.Size)
	}
	// The same file packed and unpacked are two files of one name.
	root = lay(t, map[string][]byte{"SYSTEM": system, "SYSTEM.gz": gzipOf(t, system)})
	if r := open(t, Options{}, root); len(r.Failures) != 1 || len(r.Machines) != 0 {
		t.Errorf("got %q, failures %v", summary(root, r), r.Failures)
	}
}

func TestNested(t *testing.T) {
	inner := zipOf(t, zip.Deflate, packed{"SYSTEM", systemHive(t, "IN")})
	tgz := gzipOf(t, tarOf(t, packed{"h/inner.zip", inner}))
	outer := zipOf(t, zip.Store, packed{"a/x.tar.gz", tgz}, packed{"b/inner.zip", inner})
	root := lay(t, map[string][]byte{"outer.zip": outer})
	r := open(t, Options{}, root)
	want := []string{"IN/unknown: outer.zip::a/x.tar.gz::h/inner.zip::SYSTEM=SYSTEM", "IN/unknown: outer.zip::b/inner.zip::SYSTEM=SYSTEM"}
	if got := summary(root, r); !slices.Equal(got, want) || len(r.Failures) > 0 {
		t.Errorf("got %q, failures %v; want %q", got, r.Failures, want)
	}
	for flag, limits := range map[string]Limits{
		"--max-depth": {Depth: 2}, "--max-unpacked": {Unpacked: 16000}, "--max-members": {Members: 1},
	} {
		r := open(t, Options{Limits: limits}, root)
		if len(r.Failures) != 1 || !strings.Contains(r.Failures[0].Error(), flag) || len(r.Machines) != 1 {
			t.Errorf("%s: machines %q, failures %v", flag, summary(root, r), r.Failures)
		}
	}
}

func TestHostileContainers(t *testing.T) {
	system := systemHive(t, "TS01")
	deflated := zipOf(t, zip.Deflate, packed{"SYSTEM", system})
	bomb := append([]byte("regf"), make([]byte, 90<<20)...)
	for _, tt := range []struct {
		name     string
		data     []byte
		limits   Limits
		want     string // in the only failure
		machines int
	}{
		{"gzip bomb", gzipOf(t, bomb), Limits{Ratio: 100}, "--max-ratio", 0},
		{"zip bomb", zipOf(t, zip.Deflate, packed{"SYSTEM", bomb}), Limits{Ratio: 100}, "--max-ratio", 0},
		{"tar.gz bomb beside a hive", gzipOf(t, tarOf(t, packed{"a/SYSTEM", system}, packed{"b/SYSTEM", bomb})), Limits{Ratio: 100}, "--max-ratio", 1},
		{"gzip too long", gzipOf(t, bomb), Limits{Hive: 1 << 20}, "--max-hive", 0},
		{"zip too long", zipOf(t, zip.Deflate, packed{"SYSTEM", bomb}), Limits{Hive: 1 << 20}, "--max-hive", 0},
		{"zstd window", zstdOf(t, system, zstd.WithWindowSize(8<<20), zstd.WithSingleSegment(false)), Limits{Window: 1024}, "--max-window", 0},
		{"xz dictionary", xzOf(t, system), Limits{Window: 1 << 20}, "--max-window", 0},
		{"overlapping zip", overlappingZip(t, deflated), Limits{}, "share the same bytes", 0},
		{"encrypted zip", encryptedZip(t, system), Limits{}, "1 member is encrypted", 0},
		{"Deflate64", patchMethod(deflated, 9), Limits{}, "1 member is compressed with Deflate64", 0},
		{"unknown method", patchMethod(deflated, 77), Limits{}, "compression is unknown", 0},
		{"zip cut off", deflated[:len(deflated)/2], Limits{}, "damaged or cut off", 0},
		{"gzip cut off", gzipOf(t, system)[:300], Limits{}, "gzip data is cut off", 0},
		{"tar.gz cut off", cut(gzipOf(t, tarOf(t, packed{"a/SYSTEM", noise(t, system)}, packed{"b/SYSTEM", noise(t, system)})), 0.7), Limits{}, "cut off", 1},
		{"zip of nothing", zipOf(t, zip.Store, packed{"readme", []byte("x")}), Limits{}, "no registry hive and no .reg text was found", 0},
		{"empty zip", zipOf(t, zip.Store), Limits{}, "no registry hive", 0},
		{"zip with wrong check sum", func() []byte {
			z := zipOf(t, zip.Store, packed{"SYSTEM", system})
			z[bytes.Index(z, []byte("regf"))+5000] ^= 1
			return z
		}(), Limits{}, "do not match their check sum", 0},
		{"twins in a zip", zipOf(t, zip.Store, packed{"C/SYSTEM", system}, packed{"c/system", system}), Limits{}, "is the same name to Windows as", 0},
		{"directory too large", zipOf(t, zip.Store, packed{strings.Repeat("n", 60000), system}), Limits{Memory: 1000}, "--max-memory", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := lay(t, map[string][]byte{"in": tt.data})
			r := open(t, Options{Limits: tt.limits}, filepath.Join(root, "in"))
			failures := 1
			if tt.machines > 0 && strings.Contains(tt.name, "cut off") {
				failures = 2 // the member that was cut, and the archive
			}
			if len(r.Failures) != failures || !strings.Contains(r.Failures[0].Err.Error(), tt.want) || len(r.Machines) != tt.machines {
				t.Errorf("machines %q, failures %v; want %d and a failure with %q", summary(root, r), r.Failures, tt.machines, tt.want)
			}
		})
	}
}

// noise makes a hive hard to compress.
func noise(t testing.TB, data []byte) []byte {
	data = bytes.Clone(data)
	state := uint32(1)
	junk := make([]byte, 100000)
	for i := range junk {
		state = state*1664525 + 1013904223
		junk[i] = byte(state >> 24)
	}
	return append(data, junk...)
}

func cut(data []byte, part float64) []byte { return data[:int(float64(len(data))*part)] }

// overlappingZip gives a zip archive of one member a second directory entry
// for the same bytes.
func overlappingZip(t testing.TB, one []byte) []byte {
	dir := bytes.Index(one, []byte("PK\x01\x02"))
	end := bytes.Index(one, []byte("PK\x05\x06"))
	entry := bytes.Clone(one[dir:end])
	second := bytes.Clone(entry)
	second[46] = 'X' // the name
	out := append(bytes.Clone(one[:dir]), append(entry, second...)...)
	tail := bytes.Clone(one[end:])
	binary.LittleEndian.PutUint16(tail[8:], 2)
	binary.LittleEndian.PutUint16(tail[10:], 2)
	binary.LittleEndian.PutUint32(tail[12:], uint32(len(out)-dir))
	return append(out, tail...)
}

func encryptedZip(t testing.TB, data []byte) []byte {
	z := zipOf(t, zip.Store, packed{"SYSTEM", data})
	z[6] |= 1
	z[bytes.Index(z, []byte("PK\x01\x02"))+8] |= 1
	return z
}

func patchMethod(z []byte, method byte) []byte {
	z = bytes.Clone(z)
	z[8] = method
	z[bytes.Index(z, []byte("PK\x01\x02"))+10] = method
	return z
}

func TestMemberNamesAreLabels(t *testing.T) {
	system := systemHive(t, "TS01")
	files := []packed{{"../../etc/SYSTEM", system}, {`C:\evidence\SOFTWARE`, softwareHive(t)}, {"/abs/./SYSTEM", system}, {"bad\xff/SYSTEM", system}}
	for _, data := range [][]byte{tarOf(t, files...), zipOf(t, zip.Deflate, files...)} {
		root := lay(t, map[string][]byte{"in/x": data})
		r := open(t, Options{}, filepath.Join(root, "in"))
		var got []string
		for _, m := range r.Machines {
			for _, in := range m.Inputs {
				_, inner, _ := strings.Cut(in.Path, "::")
				got = append(got, inner)
			}
		}
		if want := []string{"../../etc/SYSTEM", "C:/evidence/SOFTWARE", "abs/SYSTEM", "bad\uFFFD/SYSTEM"}; !slices.Equal(got, want) || len(r.Failures) > 0 {
			t.Errorf("got %q, %v; want %q", got, r.Failures, want)
		}
		if left, _ := filepath.Glob(filepath.Join(root, "*")); len(left) != 1 {
			t.Errorf("files were written: %q", left)
		}
	}
}

func TestTarSkipsLinks(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []*tar.Header{
		{Name: "SYSTEM", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, {Name: "SOFTWARE", Typeflag: tar.TypeLink, Linkname: "x"},
		{Name: "SECURITY", Typeflag: tar.TypeFifo}, {Name: "dev", Typeflag: tar.TypeBlock},
	} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	r := open(t, Options{Stdin: &b}, "-")
	if len(r.Machines) != 0 || len(r.Failures) != 1 {
		t.Errorf("got %v", r)
	}
}

func TestZip64(t *testing.T) {
	if testing.Short() {
		t.Skip("70,000 members")
	}
	files := make([]packed, 0, 70001)
	for i := range 70000 {
		files = append(files, packed{name: fmt.Sprintf("Windows/WinSxS/%d", i)})
	}
	files = append(files, packed{"Windows/System32/config/SYSTEM", systemHive(t, "BIG")})
	r := open(t, Options{Stdin: bytes.NewReader(zipOf(t, zip.Store, files...))}, "-")
	if got := summary("", r); !slices.Equal(got, []string{"BIG/live: -::Windows/System32/config/SYSTEM=SYSTEM"}) || len(r.Failures) > 0 {
		t.Errorf("got %q, %v", got, r.Failures)
	}
}

func TestLogsInContainers(t *testing.T) {
	const dir = "hives/yarp-NewDirtyHive1-NewDirtyHive/NewDirtyHive"
	hiveData, log1, log2 := corpus(t, dir+".xz"), corpus(t, dir+".LOG1"), corpus(t, dir+".LOG2")
	files := []packed{{"x/SYSTEM.LOG1", log1}, {"x/SYSTEM", hiveData}, {"x/SYSTEM.LOG2", log2}, {"y/SYSTEM", hiveData}}
	for name, data := range map[string][]byte{"tar": tarOf(t, files...), "zip": zipOf(t, zip.Deflate, files...)} {
		r := open(t, Options{Stdin: bytes.NewReader(data)}, "-")
		if len(r.Machines) != 2 || len(r.Failures) > 0 {
			t.Fatalf("%s: %v", name, r)
		}
		if in := r.Machines[0].Inputs[0]; in.State != hive.Replayed || len(in.Replay.Logs) != 2 {
			t.Errorf("%s: %s, %+v", name, in.State, in.Replay)
		}
		if in := r.Machines[1].Inputs[0]; in.State != hive.Dirty {
			t.Errorf("%s: another folder's logs were used: %s", name, in.State)
		}
	}
}

// TestGroupsLoadInAnyOrder loads groups late, and side by side.
func TestGroupsLoadInAnyOrder(t *testing.T) {
	var files []packed
	for i := range 8 {
		files = append(files, packed{fmt.Sprintf("H%d/SYSTEM", i), systemHive(t, fmt.Sprintf("HOST%d", i))})
	}
	root := lay(t, map[string][]byte{"a.zip": zipOf(t, zip.Deflate, files...), "b.tar": tarOf(t, files...)})
	s, err := Find([]string{root}, Options{Limits: Limits{Memory: 30000}, Temp: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	groups := slices.Collect(s.Groups())
	results := make([]Result, len(groups))
	done := make(chan int)
	for i := range groups {
		go func() { results[i] = groups[i].Load(); done <- i }()
	}
	for range groups {
		<-done
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for i, r := range results {
		if want := fmt.Sprintf("HOST%d", i%8); len(r.Machines) != 1 || r.Machines[0].ComputerName != want {
			t.Errorf("group %d (%s): %v, want %s", i, groups[i].Label, r, want)
		}
	}
}

func TestReadErrorIsAFailure(t *testing.T) {
	broken := io.MultiReader(bytes.NewReader(systemHive(t, "A")[:5000]), brokenReader{})
	r := open(t, Options{Stdin: broken}, "-")
	if len(r.Failures) != 1 || !errors.Is(r.Failures[0], errBroken) {
		t.Errorf("got %v", r)
	}
}

var errBroken = errors.New("the disk is dying")

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }

func FuzzOpen(f *testing.F) {
	system := packed{"Windows/System32/config/SYSTEM", systemHive(f, "TS01")}
	f.Add(system.data)
	f.Add(tarOf(f, system))
	f.Add(gzipOf(f, tarOf(f, system)))
	f.Add(zstdOf(f, system.data))
	f.Add(zipOf(f, zip.Deflate, system))
	f.Add(zipOf(f, zip.Store, system))
	f.Add(regText(`[HKEY_LOCAL_MACHINE\SYSTEM\Select]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		limits := Limits{Hive: 1 << 20, Unpacked: 1 << 22, Members: 100, Window: 1 << 20}
		r, err := Open([]string{"-"}, Options{Stdin: bytes.NewReader(data), Limits: limits})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Machines) == 0 && len(r.Failures) == 0 {
			t.Fatal("neither a machine nor a failure")
		}
		for _, m := range r.Machines {
			for _, in := range m.Inputs {
				if in.Size > limits.Hive || len(in.Data) == 0 || in.SHA256 == "" {
					t.Fatalf("input %+v", in)
				}
			}
		}
	})
}

func BenchmarkOpenZip(b *testing.B) {
	data := corpus(b, "hives/regipy-SYSTEM/SYSTEM.xz")
	benchmarkOpen(b, "x.zip", zipOf(b, zip.Deflate, packed{"config/SYSTEM", data}), len(data))
}

func BenchmarkOpenTarZst(b *testing.B) {
	data := corpus(b, "hives/regipy-SYSTEM/SYSTEM.xz")
	benchmarkOpen(b, "x.tar.zst", zstdOf(b, tarOf(b, packed{"config/SYSTEM", data})), len(data))
}

func benchmarkOpen(b *testing.B, name string, packed []byte, size int) {
	root := lay(b, map[string][]byte{name: packed})
	b.SetBytes(int64(size))
	for b.Loop() {
		if r := open(b, Options{}, root); len(r.Machines) != 1 || len(r.Failures) > 0 {
			b.Fatal(r.Failures)
		}
	}
}
