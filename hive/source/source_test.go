package source

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"hivemend/hive"
)

func open(t testing.TB, opt Options, paths ...string) Result {
	t.Helper()
	r, err := Open(paths, opt)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLayouts(t *testing.T) {
	system, software := systemHive(t, "TS01"), softwareHive(t)
	security := buildHive(t, &hive.Node{Name: "R", Keys: []*hive.Node{{Name: "Policy", Keys: []*hive.Node{{Name: "Secrets"}}}}}, `emRoot\System32\Config\SECURITY`)
	sam := buildHive(t, &hive.Node{Name: "R", Keys: []*hive.Node{{Name: "SAM", Keys: []*hive.Node{{Name: "Domains"}}}}}, `\SystemRoot\System32\Config\SAM`)
	for _, tt := range []struct {
		name  string
		files map[string][]byte
		want  []string
	}{
		{"live tree with RegBack", map[string][]byte{
			"Windows/System32/config/SYSTEM": system, "Windows/System32/config/SOFTWARE": software, "Windows/System32/config/SECURITY": security,
			"Windows/System32/config/SAM": sam, "Windows/System32/config/RegBack/SYSTEM": system, "Windows/System32/config/RegBack/SOFTWARE": software,
			"Windows/notepad.exe": []byte("MZ"), "Program Files/x/SYSTEM": system,
		}, []string{
			"TS01/regback: Windows/System32/config/RegBack/SOFTWARE=SOFTWARE, Windows/System32/config/RegBack/SYSTEM=SYSTEM",
			"TS01/live: Windows/System32/config/SECURITY=SECURITY, Windows/System32/config/SOFTWARE=SOFTWARE, Windows/System32/config/SYSTEM=SYSTEM",
		}},
		{"any case", map[string][]byte{"WINNT/system32/Config/system": system, "WINNT/system32/Config/software": software},
			[]string{"TS01/live: WINNT/system32/Config/software=SOFTWARE, WINNT/system32/Config/system=SYSTEM"}},
		{"bare config", map[string][]byte{"config/SYSTEM": system, "config/SOFTWARE": software},
			[]string{"TS01/live: config/SOFTWARE=SOFTWARE, config/SYSTEM=SYSTEM"}},
		{"generations stay apart", map[string][]byte{
			"C/Windows/System32/config/SYSTEM": system, "C/Windows/repair/SYSTEM": system, "C/Windows/repair/software": software,
			"C/Windows.old/Windows/System32/config/SYSTEM": system, "C/Windows.old/Windows/System32/config/SOFTWARE": software,
			"VSS3/Windows/System32/config/SYSTEM":                                                                          system,
			"C/System Volume Information/_restore{AB}/RP012/snapshot/_REGISTRY_MACHINE_SYSTEM":                             system,
			"C/System Volume Information/_restore{AB}/RP012/snapshot/_REGISTRY_MACHINE_SOFTWARE":                           software,
			"C/System Volume Information/_restore{AB}/RP012/snapshot/_REGISTRY_USER_NTUSER_S-1-5-21-1-2-3-1003/NTUSER.DAT": sam,
		}, []string{
			"TS01/restore:12: C/System Volume Information/_restore{AB}/RP012/snapshot/_REGISTRY_MACHINE_SOFTWARE=SOFTWARE, C/System Volume Information/_restore{AB}/RP012/snapshot/_REGISTRY_MACHINE_SYSTEM=SYSTEM",
			"TS01/live: C/Windows/System32/config/SYSTEM=SYSTEM",
			"TS01/repair: C/Windows/repair/SYSTEM=SYSTEM, C/Windows/repair/software=SOFTWARE",
			"TS01/windows.old: C/Windows.old/Windows/System32/config/SOFTWARE=SOFTWARE, C/Windows.old/Windows/System32/config/SYSTEM=SYSTEM",
			"TS01/vss:3: VSS3/Windows/System32/config/SYSTEM=SYSTEM",
		}},
		{"Velociraptor", map[string][]byte{
			"uploads.json": []byte("{}"), "uploads/auto/C%3A/Windows/System32/config/SYSTEM": system, "uploads/auto/C%3A/Windows/System32/config/SOFTWARE": software,
			"uploads/ntfs/%5C%5C%3F%5CGLOBALROOT%5CDevice%5CHarddiskVolumeShadowCopy7/Windows/System32/config/SYSTEM": system,
			"uploads/auto/100%/SYSTEM": system,
		}, []string{
			"TS01/unknown: uploads/auto/100%/SYSTEM=SYSTEM",
			"TS01/live: uploads/auto/C%3A/Windows/System32/config/SOFTWARE=SOFTWARE, uploads/auto/C%3A/Windows/System32/config/SYSTEM=SYSTEM",
			"TS01/vss:7: uploads/ntfs/%5C%5C%3F%5CGLOBALROOT%5CDevice%5CHarddiskVolumeShadowCopy7/Windows/System32/config/SYSTEM=SYSTEM",
		}},
		{"flat, by marks", map[string][]byte{"A_SYSTEM": system, "A_SOFTWARE": software, "B-system.hiv": system, "B-software.hiv": software},
			[]string{"TS01/unknown: A_SOFTWARE=SOFTWARE, A_SYSTEM=SYSTEM", "TS01/unknown: B-software.hiv=SOFTWARE, B-system.hiv=SYSTEM"}},
		{"flat, nameless, one of each", map[string][]byte{"0001.bin": system, "0002.bin": software},
			[]string{"TS01/unknown: 0001.bin=SYSTEM, 0002.bin=SOFTWARE"}},
		{"flat, nameless, two of one", map[string][]byte{"0001.bin": system, "0002.bin": software, "0003.bin": system},
			[]string{"TS01/unknown: 0001.bin=SYSTEM", "/unknown: 0002.bin=SOFTWARE", "TS01/unknown: 0003.bin=SYSTEM"}},
		{"hosts never mix", map[string][]byte{"H1/SYSTEM": system, "H2/SOFTWARE": software},
			[]string{"TS01/unknown: H1/SYSTEM=SYSTEM", "/unknown: H2/SOFTWARE=SOFTWARE"}},
		{"a backup among live hives is not live", map[string][]byte{"config/SYSTEM.bak": system, "config/SOFTWARE": software},
			[]string{"/live: config/SOFTWARE=SOFTWARE", "TS01/unknown: config/SYSTEM.bak=SYSTEM"}},
		{"names that lie", map[string][]byte{"SYSTEM": software, "SOFTWARE": software},
			[]string{"/unknown: SOFTWARE=SOFTWARE", "/unknown: SYSTEM=SOFTWARE"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := lay(t, tt.files)
			r := open(t, Options{}, root)
			got := summary(root, r)
			slices.Sort(got)
			want := slices.Clone(tt.want)
			slices.Sort(want)
			if !slices.Equal(got, want) || len(r.Failures) > 0 {
				t.Errorf("got\n  %s\nwant\n  %s\nfailures %v", strings.Join(got, "\n  "), strings.Join(want, "\n  "), r.Failures)
			}
		})
	}
}

func TestExplicitFiles(t *testing.T) {
	root := lay(t, map[string][]byte{
		"a/SYSTEM": systemHive(t, "ONE"), "a/SOFTWARE": softwareHive(t), "b/SYSTEM": systemHive(t, "TWO"), "a/sam": otherHive(t),
	})
	at := func(name string) string { return filepath.Join(root, filepath.FromSlash(name)) }
	r := open(t, Options{}, at("a/SYSTEM"), at("b/SYSTEM"), at("a/SOFTWARE"), at("a/SYSTEM"), at("a/sam"))
	want := []string{"ONE/unknown: a/SYSTEM=SYSTEM, a/SOFTWARE=SOFTWARE, a/sam=SAM", "TWO/unknown: b/SYSTEM=SYSTEM"}
	for i := range want {
		want[i] = strings.Replace(want[i], "a/sam=SAM", "a/sam=OTHER", 1)
	}
	if got := summary(root, r); !slices.Equal(got, want) || len(r.Failures) > 0 {
		t.Errorf("got %q, failures %v; want %q", got, r.Failures, want)
	}
	if r.Machines[0].Name != "ONE" {
		t.Errorf("the machine is called %q", r.Machines[0].Name)
	}
}

func TestInputFields(t *testing.T) {
	data := systemHive(t, "TS01")
	root := lay(t, map[string][]byte{"SYSTEM": data})
	in := open(t, Options{}, filepath.Join(root, "SYSTEM")).Machines[0].Inputs[0]
	if in.Kind != hive.Regf || in.State != hive.Clean || in.Size != int64(len(data)) || in.SHA256 != hexSHA256(data) ||
		!bytes.Equal(in.Data, data) || in.FileName != `emRoot\System32\Config\SYSTEM` || in.Replay != nil || !in.Bounded {
		t.Errorf("input is %+v", *in)
	}
	if m := in.Mounts[0]; m.Prefix.String() != `HKEY_LOCAL_MACHINE\SYSTEM` || m.Kind != hive.System {
		t.Errorf("mount is %v at %v", m.Kind, m.Prefix)
	}
}

func TestFailures(t *testing.T) {
	good := systemHive(t, "TS01")
	old := bytes.Clone(good)
	old[24], old[508] = 1, old[508]^old[24]^1 // version 1.1, and its checksum
	for _, tt := range []struct {
		name string
		data []byte
		want string // in the error
	}{
		{"SYSTEM", nil, "the file is empty"},
		{"SYSTEM", make([]byte, 8192), `want "regf" at its start`},
		{"SYSTEM", good[:3000], "base block"},
		{"export.reg", []byte("REGEDITION\r\n[HKEY_LOCAL_MACHINE]"), ""},
		{"export.reg", []byte("<html>"), "is no .reg text, whatever its name says"},
		{"photo.jpg", []byte("\xff\xd8\xff\xe0"), "found the bytes FF D8 FF E0 at its start"},
		{"disk.e01", []byte("EVF\x09\x0d\x0a\xff\x00\x01"), "EnCase image (E01): not supported; convert it to a raw image"},
		{"disk.vmdk", []byte("KDMV\x01\x00\x00\x00"), "VMware disk (VMDK)"},
		{"disk.qcow2", []byte("QFI\xfb\x00\x00\x00\x03"), "QEMU disk (qcow2)"},
		{"x.rar", []byte("Rar!\x1a\x07\x01\x00"), "RAR archive"},
		{"x.bkf", []byte("TAPE\x00\x00\x03\x00"), "NTBackup"},
		{"vol.img", append([]byte("\xeb\x58\x90-FVE-FS-"), make([]byte, 600)...), "BitLocker"},
		{"vol.img", append(append(make([]byte, 82), "FAT32   "...), make([]byte, 600)...), "FAT volume"},
		{"SYSTEM.LOG1", func() []byte { l := bytes.Clone(good[:512]); l[28] = 6; return l }(), "transaction log"},
		{"user.dat", []byte("CREG\x00\x00\x01\x00"), "Windows 95"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := lay(t, map[string][]byte{tt.name: tt.data, "good/SYSTEM": good})
			bad := filepath.Join(root, tt.name)
			r := open(t, Options{}, bad, filepath.Join(root, "good"))
			if len(r.Failures) != 1 || r.Failures[0].Path != filepath.ToSlash(bad) || !strings.Contains(r.Failures[0].Err.Error(), tt.want) {
				t.Fatalf("failures are %v, want one with %q", r.Failures, tt.want)
			}
			if strings.Contains(r.Failures[0].Err.Error(), root) {
				t.Errorf("the error repeats the path: %v", r.Failures[0].Err)
			}
			if len(r.Machines) != 1 {
				t.Errorf("one bad input stopped the others: %d machines", len(r.Machines))
			}
		})
	}
	t.Run("version 1.1", func(t *testing.T) {
		root := lay(t, map[string][]byte{"SYSTEM": old})
		r := open(t, Options{}, root)
		if len(r.Failures) != 1 || !errors.Is(r.Failures[0], hive.ErrUnsupported) {
			t.Errorf("failures are %v", r.Failures)
		}
	})
	t.Run("missing", func(t *testing.T) {
		r := open(t, Options{}, filepath.Join(t.TempDir(), "none"))
		if len(r.Failures) != 1 || !errors.Is(r.Failures[0], os.ErrNotExist) {
			t.Errorf("failures are %v", r.Failures)
		}
	})
	t.Run("usage", func(t *testing.T) {
		for _, paths := range [][]string{nil, {"-"}, {"-", "-"}} {
			if _, err := Open(paths, Options{}); err == nil {
				t.Errorf("%q was accepted", paths)
			}
		}
	})
}

func TestNothingFound(t *testing.T) {
	root := lay(t, map[string][]byte{"a/readme.txt": []byte("hello"), "b/NTUSER.DAT": otherHive(t)})
	r := open(t, Options{}, root)
	if len(r.Failures) != 1 || len(r.Machines) != 0 {
		t.Fatalf("got %v", r)
	}
	const want = "no registry hive and no .reg text was found in 2 files in 3 folders; 1 hive of other kinds"
	if got := r.Failures[0].Err.Error(); !strings.HasPrefix(got, want) {
		t.Errorf("got %q", got)
	}
	if r := open(t, Options{AllHives: true}, root); len(r.Machines) != 1 || len(r.Failures) != 0 {
		t.Errorf("with all hives: %v", r)
	}
	// A name that promises a hive is not passed over in silence.
	root = lay(t, map[string][]byte{"config/SYSTEM": make([]byte, 4096), "config/SOFTWARE": {}, "x.reg": []byte("nothing")})
	if r := open(t, Options{}, root); len(r.Failures) != 3 {
		t.Errorf("failures are %v", r.Failures)
	}
}

func TestTwins(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("file names here do not differ in case alone")
	}
	root := lay(t, map[string][]byte{"H/SYSTEM": systemHive(t, "A"), "h/system": systemHive(t, "B"), "H/SOFTWARE": softwareHive(t)})
	r := open(t, Options{}, root)
	if len(r.Failures) != 1 || !strings.HasSuffix(r.Failures[0].Path, "H/SYSTEM") || !strings.Contains(r.Failures[0].Err.Error(), "h/system") {
		t.Errorf("failures are %v, want one that names both", r.Failures)
	}
	if got := summary(root, r); !slices.Equal(got, []string{"/unknown: H/SOFTWARE=SOFTWARE"}) {
		t.Errorf("machines are %q", got)
	}
}

func TestLinksAreNotFollowed(t *testing.T) {
	root := lay(t, map[string][]byte{"in/readme": []byte("x"), "out/SYSTEM": systemHive(t, "A")})
	if err := os.Symlink(filepath.Join(root, "out", "SYSTEM"), filepath.Join(root, "in", "SYSTEM")); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink(filepath.Join(root, "out"), filepath.Join(root, "in", "link")); err != nil {
		t.Skip(err)
	}
	if r := open(t, Options{}, filepath.Join(root, "in")); len(r.Machines) != 0 {
		t.Errorf("links were followed: %q", summary(root, r))
	}
	if r := open(t, Options{}, filepath.Join(root, "in", "SYSTEM")); len(r.Machines) != 1 {
		t.Errorf("a link whose own path is given is not read: %v", r.Failures)
	}
}

func regText(lines ...string) []byte {
	return []byte("Windows Registry Editor Version 5.00\r\n\r\n" + strings.Join(lines, "\r\n") + "\r\n")
}

func TestTexts(t *testing.T) {
	name := func(computer string) []string {
		return []string{`[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\ComputerName\ComputerName]`, `"ComputerName"="` + computer + `"`}
	}
	licence := []string{`[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\MSLicensing]`, `"a"="b"`}
	for _, tt := range []struct {
		name  string
		files map[string][]byte
		want  []string
	}{
		{"one folder, one machine", map[string][]byte{"a.reg": regText(name("TS01")...), "b.txt": regText(licence...)},
			[]string{"TS01/unknown: a.reg=SYSTEM, b.txt=SOFTWARE"}},
		{"one file, two hives", map[string][]byte{"a.reg": regText(append(name("TS01"), licence...)...)},
			[]string{"TS01/unknown: a.reg=MIXED"}},
		{"two computers", map[string][]byte{"a.reg": regText(name("TS01")...), "b.reg": regText(name("TS02")...)},
			[]string{"TS01/unknown: a.reg=SYSTEM", "TS02/unknown: b.reg=SYSTEM"}},
		{"contradiction", map[string][]byte{"a.reg": regText(licence...), "b.reg": regText(licence[0], `"A"="c"`)},
			[]string{"/unknown: a.reg=SOFTWARE", "/unknown: b.reg=SOFTWARE"}},
		{"beside a hive", map[string][]byte{"SYSTEM": systemHive(t, "TS09"), "b.reg": regText(licence...)},
			[]string{"TS09/unknown: SYSTEM=SYSTEM", "/unknown: b.reg=SOFTWARE"}},
		{"mounted", map[string][]byte{"a.reg": regText(`[HKEY_LOCAL_MACHINE\OFFLINE_SYSTEM\Select]`, `"Current"=dword:00000001`, `[HKEY_LOCAL_MACHINE\broken_sw\Microsoft\Windows NT]`)},
			[]string{"/unknown: a.reg=MIXED"}},
		{"user", map[string][]byte{"a.reg": regText(`[HKEY_CURRENT_USER\Software]`)}, []string{"/unknown: a.reg=NTUSER"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := lay(t, tt.files)
			r := open(t, Options{}, root)
			if got := summary(root, r); !slices.Equal(got, tt.want) || len(r.Failures) > 0 {
				t.Errorf("got %q, failures %v; want %q", got, r.Failures, tt.want)
			}
		})
	}
}

func TestMounts(t *testing.T) {
	root := lay(t, map[string][]byte{"a.reg": regText(`[HKEY_LOCAL_MACHINE\OFFLINE_SYSTEM\Select]`, `[HKLM\XYZ\Microsoft\Windows NT]`, `[HKEY_USERS\.DEFAULT\Software]`)})
	var got []string
	for _, m := range open(t, Options{}, root).Machines[0].Inputs[0].Mounts {
		got = append(got, m.Prefix.String()+"="+string(m.Kind))
	}
	want := []string{`HKEY_LOCAL_MACHINE\OFFLINE_SYSTEM=SYSTEM`, `HKEY_LOCAL_MACHINE\XYZ=SOFTWARE`, `HKEY_USERS\.DEFAULT=DEFAULT`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestStdin(t *testing.T) {
	r := open(t, Options{Stdin: bytes.NewReader(systemHive(t, "TS01"))}, "-")
	if got := summary("", r); !slices.Equal(got, []string{"TS01/unknown: -=SYSTEM"}) {
		t.Errorf("got %q, %v", got, r.Failures)
	}
	r = open(t, Options{Stdin: bytes.NewReader(regText(`[HKEY_LOCAL_MACHINE\SYSTEM\Select]`))}, "-")
	if got := summary("", r); !slices.Equal(got, []string{"/unknown: -=SYSTEM"}) {
		t.Errorf("got %q, %v", got, r.Failures)
	}
	r = open(t, Options{Stdin: bytes.NewReader(nil)}, "-")
	if len(r.Failures) != 1 || !errors.Is(r.Failures[0], errEmpty) {
		t.Errorf("empty: %v", r.Failures)
	}
}

func TestHiveLimit(t *testing.T) {
	data := systemHive(t, "TS01")
	root := lay(t, map[string][]byte{"SYSTEM": data})
	limits := Limits{Hive: int64(len(data))}
	if r := open(t, Options{Limits: limits}, root); len(r.Machines) != 1 {
		t.Errorf("a hive that just fits: %v", r.Failures)
	}
	limits.Hive--
	for _, r := range []Result{open(t, Options{Limits: limits}, root), open(t, Options{Limits: limits, Stdin: bytes.NewReader(data)}, "-")} {
		if len(r.Failures) != 1 || !strings.Contains(r.Failures[0].Error(), "--max-hive") {
			t.Errorf("failures are %v", r.Failures)
		}
	}
}

func TestNameOf(t *testing.T) {
	for name, want := range map[string]named{
		"SYSTEM": {hive.System, "*"}, "software.hiv": {hive.Software, "*"}, "HOST1_SYSTEM": {hive.System, "HOST1_*"},
		"SYSTEM.bak": {hive.System, "*.BAK"}, "_REGISTRY_MACHINE_SOFTWARE": {hive.Software, "*"}, "evidence.dat": {}, "ecosystem": {},
		"SYSTEMATIC": {}, "SYSTEM_B": {hive.System, "*_B"}, "SYSTEM32_SOFTWARE": {hive.Software, "SYSTEM32_*"},
	} {
		if got := nameOf(name); got != want {
			t.Errorf("nameOf(%q) = %v, want %v", name, got, want)
		}
	}
}
