package source

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"hivemend/hive"
)

// absent skips a test whose outside program is not there. In CI that is a
// failure.
func absent(t testing.TB, name string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed, and in CI it has to be", name)
	}
	t.Skipf("%s is not installed", name)
}

// run runs a program that makes fixtures, and skips where it is not there or,
// as a mount without leave, cannot do its work.
func run(t testing.TB, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		for _, dir := range []string{"/sbin", "/usr/sbin"} {
			if _, e := os.Stat(filepath.Join(dir, name)); e == nil {
				path, err = filepath.Join(dir, name), nil
			}
		}
	}
	if err != nil {
		absent(t, name)
	}
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Skipf("%s: %v: %s", name, err, out)
	}
}

// ntfsOf makes an NTFS volume with the programs of ntfs-3g, which needs leave
// to mount it.
func ntfsOf(t testing.TB, files ...packed) []byte {
	t.Helper()
	dir := t.TempDir()
	image, mount := filepath.Join(dir, "volume"), filepath.Join(dir, "mount")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, 16<<20), os.Mkdir(mount, 0o700)); err != nil {
		t.Fatal(err)
	}
	run(t, "mkntfs", "-F", "-Q", "-q", "-p", "0", "-H", "0", "-S", "0", image)
	run(t, "ntfs-3g", image, mount)
	mounted := true
	defer func() {
		if mounted {
			exec.Command("umount", mount).Run()
		}
	}()
	for _, f := range files {
		path := filepath.Join(mount, filepath.FromSlash(f.name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, f.data, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "umount", mount)
	mounted = false
	data, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// windowsVolume is made once: mounting takes its time.
var windowsVolume = sync.OnceValue(func() func(t testing.TB) []byte {
	var data []byte
	return func(t testing.TB) []byte {
		if data == nil {
			big := noise(t, systemHive(t, "TS01"))
			files := []packed{
				{"Windows/System32/config/SYSTEM", systemHive(t, "TS01")}, {"Windows/System32/config/SOFTWARE", softwareHive(t)},
				{"Windows/System32/config/RegBack/SYSTEM", big}, {"Windows/System32/drivers/etc/SYSTEM", big}, {"Windows/SYSTEM", big},
				{"Users/u/SYSTEM", big}, {"Exports/licence.reg", regText(`[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\MSLicensing]`)},
				{"System Volume Information/{a}{3808876b-c176-4e48-b7ae-04046e6cc752}", []byte("x")},
				{"System Volume Information/{3808876b-c176-4e48-b7ae-04046e6cc752}", []byte("x")},
			}
			for i := range 300 { // an index of more than one level
				files = append(files, packed{name: filepath.Join("Windows/System32/config/TxR", strings.Repeat("n", 60)+string(rune('a'+i%26))+strings.Repeat("m", i/26)), data: []byte("x")})
			}
			data = ntfsOf(t, files...)
		}
		return data
	}
})()

var windowsFound = []string{
	"/unknown: %sExports/licence.reg=SOFTWARE",
	"TS01/live: %sWindows/System32/config/SOFTWARE=SOFTWARE, %sWindows/System32/config/SYSTEM=SYSTEM",
	"TS01/regback: %sWindows/System32/config/RegBack/SYSTEM=SYSTEM",
}

func checkWindows(t *testing.T, r Result, prefixes ...string) {
	t.Helper()
	var want []string
	for _, p := range prefixes {
		for _, w := range windowsFound {
			want = append(want, strings.ReplaceAll(w, "%s", p))
		}
	}
	got := summary("", r)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || len(r.Failures) > 0 {
		t.Errorf("got\n  %s\nwant\n  %s\nfailures %v", strings.Join(got, "\n  "), strings.Join(want, "\n  "), r.Failures)
	}
	for _, m := range r.Machines {
		for _, in := range m.Inputs {
			if in.Kind != hive.Regf {
				continue
			}
			if in.State != hive.Clean && m.Generation != hive.RegBack {
				t.Errorf("%s is %s: %v", in.Path, in.State, in.Issues)
			}
			if !slices.ContainsFunc(in.Notes, func(n string) bool { return strings.Contains(n, "1 shadow copy") }) {
				t.Errorf("%s: no word of the shadow copy: %q", in.Path, in.Notes)
			}
		}
	}
}

// mbrDisk puts volumes into primary partitions; the last one, where there are
// several, into an extended one.
func mbrDisk(volumes ...[]byte) []byte {
	const sector, gap = 512, 1 << 20
	disk := make([]byte, gap)
	record := func(at int, i int, kind byte, from, size int) {
		e := disk[at+446+16*i:][:16]
		e[4] = kind
		binary.LittleEndian.PutUint32(e[8:], uint32(from/sector))
		binary.LittleEndian.PutUint32(e[12:], uint32(size/sector))
		copy(disk[at+510:], "\x55\xaa")
	}
	for i, v := range volumes {
		at := len(disk)
		if len(volumes) > 1 && i == len(volumes)-1 {
			disk = append(disk, make([]byte, gap)...)
			record(0, i, mbrExtendedLBA, at, gap+len(v))
			record(at, 0, 7, gap, len(v))
		} else {
			record(0, i, 7, at, len(v))
		}
		disk = append(disk, v...)
	}
	return disk
}

func TestBareNTFS(t *testing.T) {
	data := windowsVolume(t)
	checkWindows(t, open(t, Options{Stdin: bytes.NewReader(data)}, "-"), "-::")
	root := lay(t, map[string][]byte{"c.raw": data})
	r := open(t, Options{}, root)
	checkWindows(t, r, filepath.ToSlash(root)+"/c.raw::")
	for _, m := range r.Machines {
		if m.Generation == hive.RegBack && m.Inputs[0].SHA256 != hexSHA256(noise(t, systemHive(t, "TS01"))) {
			t.Error("a file of several clusters is read wrongly")
		}
	}
}

func TestBootSectorCopy(t *testing.T) {
	boot := append([]byte("\xeb\x52\x90NTFS    \x00\x02\x08"), make([]byte, 8192)...)
	root := lay(t, map[string][]byte{"BOOTSECT.BAK": boot, "config/SYSTEM": systemHive(t, "TS01")})
	if r := open(t, Options{}, root); len(r.Failures) > 0 || len(r.Machines) != 1 {
		t.Errorf("in a folder: %v", r)
	}
	if r := open(t, Options{}, filepath.Join(root, "BOOTSECT.BAK")); len(r.Failures) != 1 {
		t.Errorf("by its path: %v", r)
	}
}

func TestMBR(t *testing.T) {
	data := windowsVolume(t)
	checkWindows(t, open(t, Options{Stdin: bytes.NewReader(mbrDisk(data))}, "-"), "-::")
	checkWindows(t, open(t, Options{Stdin: bytes.NewReader(mbrDisk(data, data))}, "-"), "-::volume1/", "-::volume2/")
}

func TestGPT(t *testing.T) {
	data := windowsVolume(t)
	path := filepath.Join(t.TempDir(), "disk")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, int64(len(data))+8<<20)); err != nil {
		t.Fatal(err)
	}
	run(t, "sgdisk", "-n", "1:2048:4095", "-t", "1:ef00", "-n", "2:4096:"+"+16M", "-t", "2:0700", path)
	disk, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(disk[4096*512:], data)
	checkWindows(t, open(t, Options{Stdin: bytes.NewReader(disk)}, "-"), "-::")
}

func TestVirtualDisks(t *testing.T) {
	raw := lay(t, map[string][]byte{"raw": mbrDisk(windowsVolume(t))})
	for name, args := range map[string][]string{
		"dynamic.vhd": {"-O", "vpc"}, "fixed.vhd": {"-O", "vpc", "-o", "subformat=fixed"}, "dynamic.vhdx": {"-O", "vhdx"}, "fixed.vhdx": {"-O", "vhdx", "-o", "subformat=fixed"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, name)
			run(t, "qemu-img", append(append([]string{"convert", "-f", "raw"}, args...), filepath.Join(raw, "raw"), path)...)
			checkWindows(t, open(t, Options{}, path), filepath.ToSlash(path)+"::")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			checkWindows(t, open(t, Options{Stdin: bytes.NewReader(gzipOf(t, data))}, "-"), "-::")
		})
	}
}

func TestHostileDisks(t *testing.T) {
	data := windowsVolume(t)
	patch := func(b []byte, at int, bytes ...byte) []byte {
		b = slices.Clone(b)
		copy(b[at:], bytes)
		return b
	}
	dynamic := mbrDisk(data)
	dynamic[446+4] = mbrDynamic
	fat := append(append(make([]byte, 82), "FAT32   "...), make([]byte, 4096)...)
	bitlocker := append([]byte("\xeb\x58\x90-FVE-FS-"), make([]byte, 4096)...)
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"dynamic disk", dynamic, "a dynamic disk (LDM)"},
		{"only FAT", mbrDisk(fat), "no NTFS volume was found"},
		{"BitLocker", mbrDisk(bitlocker), "BitLocker"},
		{"cluster size", patch(data, 13, 0), "sizes that no volume has"},
		{"record size", patch(data, 64, 0x81), "sizes that no volume has"},
		{"file table", patch(data, 48, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), "behind the end"},
		{"cut off", data[:1<<20], "cut off"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := open(t, Options{Stdin: bytes.NewReader(tt.data)}, "-")
			if len(r.Machines) > 0 || len(r.Failures) == 0 || !strings.Contains(r.Failures[0].Err.Error(), tt.want) {
				t.Errorf("machines %q, failures %v; want %q", summary("", r), r.Failures, tt.want)
			}
		})
	}
}

func TestHostileVirtualDisks(t *testing.T) {
	dir := t.TempDir()
	base, child := filepath.Join(dir, "base.vhdx"), filepath.Join(dir, "x.vhd")
	run(t, "qemu-img", "create", "-f", "vhdx", base, "8M")
	run(t, "qemu-img", "create", "-f", "vpc", child, "8M")
	x, err := os.ReadFile(base)
	if err != nil {
		t.Fatal(err)
	}
	d, err := os.ReadFile(child)
	if err != nil {
		t.Fatal(err)
	}
	dirty := slices.Clone(x)
	copy(dirty[64<<10+48:], "0123456789abcdef")
	entries := slices.Clone(x)
	binary.LittleEndian.PutUint32(entries[192<<10+8:], 0xfffffff0)
	differencing := slices.Clone(d)
	differencing[63] = 4
	binary.BigEndian.PutUint32(differencing[64:], vhdSum(differencing[:512], 64))
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty VHDX", x, "no NTFS volume"},
		{"VHDX with a log", dirty, "with changes in its log"},
		{"VHDX count", entries, "region table"},
		{"VHDX cut off", x[:100<<10], "cut off"},
		{"empty VHD", d, "no NTFS volume"},
		{"VHD with a parent", differencing, "needs its parent"},
		{"VHD check sum", func() []byte { b := slices.Clone(d); b[50]++; return b }(), "does not match its check sum"},
		{"VHD cut off", d[:700], "cut off"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := open(t, Options{Stdin: bytes.NewReader(tt.data)}, "-")
			if len(r.Machines) > 0 || len(r.Failures) != 1 || !strings.Contains(r.Failures[0].Err.Error(), tt.want) {
				t.Errorf("machines %q, failures %v; want %q", summary("", r), r.Failures, tt.want)
			}
		})
	}
}

func FuzzPartitions(f *testing.F) {
	f.Add(mbrDisk(make([]byte, 1024), make([]byte, 1024))[:512])
	f.Add(append(make([]byte, 512), "EFI PART\x00\x00\x01\x00"...))
	f.Fuzz(func(t *testing.T, disk []byte) {
		parts, err := partitions(bytes.NewReader(disk), int64(len(disk)))
		if err != nil {
			return
		}
		for _, p := range parts {
			if p.at < 0 || p.size < 0 || p.at+p.size > int64(len(disk)) {
				t.Fatalf("a partition at %d of %d bytes, on a disk of %d", p.at, p.size, len(disk))
			}
		}
	})
}

func FuzzVHD(f *testing.F) {
	footer := make([]byte, 512+1024+512)
	copy(footer, "conectix")
	footer[63] = 3
	binary.BigEndian.PutUint64(footer[16:], 512)
	binary.BigEndian.PutUint64(footer[48:], 4096)
	binary.BigEndian.PutUint32(footer[64:], vhdSum(footer[:512], 64))
	copy(footer[512:], "cxsparse")
	binary.BigEndian.PutUint64(footer[512+16:], 1536)
	binary.BigEndian.PutUint32(footer[512+28:], 2)
	binary.BigEndian.PutUint32(footer[512+32:], 4096)
	binary.BigEndian.PutUint32(footer[512+36:], vhdSum(footer[512:1536], 36))
	f.Add(footer)
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := openVHD(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		buf := make([]byte, 8192)
		for _, off := range []int64{0, 4000, d.size - 1, d.size} {
			if n, err := d.ReadAt(buf, off); n < len(buf) && err == nil {
				t.Fatalf("%d of %d bytes at %d, and no error", n, len(buf), off)
			}
		}
	})
}
