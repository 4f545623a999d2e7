package rdp_test

import (
	"slices"
	"testing"

	"hivemend/analyze"
	"hivemend/hive"
	"hivemend/testdata/gen/encode"
)

const (
	licence0 = licences + `\Store\LICENSE000`
	twin     = `Wow6432Node\Microsoft\MSLicensing`
)

// issue returns a licence of the given kind for the client TS01.
func issue(from, to string, temporary bool) []byte {
	ls := encode.NewLicenseServer("LS01", "WORKGROUP", "78440-006-5867045-70347")
	l := encode.Licence{
		Computer: "TS01", User: "someone", Serial: 9, ID: encode.Stream("id", 20),
		NotBefore: moment(from).Time(), NotAfter: moment(to).Time(),
		Requested: "A02", Adjusted: "A02-5.02-S", Major: 5, Minor: 2, Temporary: temporary,
	}
	return encode.ClientLicense(ls.Certificate().Encode(), ls.LicenceCertificate(l).Encode())
}

// licensed is a client whose one licence is whole, permanent and in time.
func licensed() *machine {
	m := clientXP()
	licence(m, `Store\LICENSE000`, issue("2007-06-01T00:00:00Z", "2007-08-20T00:00:00Z", false))
	return m
}

func TestStore(t *testing.T) {
	l1 := encode.SampleLicence()
	cal := func(data []byte) func(*machine) {
		return func(m *machine) { m.soft(licence0, "ClientLicense", hive.RegBinary, data) }
	}
	id := func(data []byte) func(*machine) {
		return func(m *machine) { m.soft(licences+`\HardwareID`, "ClientHWID", hive.RegBinary, data) }
	}
	whole := encode.HardwareID(2, "x")
	foreign := "note: LIC-CAL-FOREIGN machine ClientLicense" // the sample was issued to RODENT
	for _, test := range []testCase{
		{"licensed", licensed(), nil, nil},
		{"never licensed", licensed(), func(m *machine) { drop(m.software, licences, "") }, nil},
		{"empty store", licensed(), func(m *machine) { drop(m.software, licence0, "") }, nil},
		{"small platform", licensed(), id(whole), nil},
		{"short id", licensed(), id(whole[:16]), []string{"LIC-HWID-CORRUPT size ClientHWID"}},
		{"blank id", licensed(), id(make([]byte, 20)), []string{"LIC-HWID-CORRUPT blank ClientHWID"}},
		{"blank behind the platform", licensed(), id(append([]byte{2, 0, 1, 4}, make([]byte, 16)...)), []string{"LIC-HWID-CORRUPT blank ClientHWID"}},
		{"id of another type", licensed(), func(m *machine) { m.soft(licences+`\HardwareID`, "ClientHWID", hive.RegSZ, whole) },
			[]string{"LIC-HWID-CORRUPT type ClientHWID"}},
		{"sample, in time", clientXP(), nil, []string{foreign}},
		{"sample, ended", clientXP(), func(m *machine) { m.opt.AsOf = moment("2007-09-19T00:00:00Z") },
			[]string{"LIC-CAL-EXPIRED temporary ClientLicense", foreign}},
		{"half a licence", clientXP(), cal(l1[:1000]), []string{"LIC-CAL-CORRUPT truncated ClientLicense"}},
		{"empty licence", clientXP(), cal([]byte{}), []string{"LIC-CAL-CORRUPT empty ClientLicense"}},
		{"changed signature", clientXP(), cal(flip(l1, 1700)), []string{"LIC-CAL-CORRUPT signature ClientLicense"}},
		{"no licence at all", clientXP(), cal([]byte("what is this")), []string{"LIC-CAL-CORRUPT der ClientLicense"}},
		{"framed", licensed(), cal(encode.NewLicenseInfo("microsoft.com", "Microsoft Corporation", "A02", issue("2007-06-01T00:00:00Z", "2007-08-20T00:00:00Z", false))), nil},
		{"permanent, ended", licensed(), func(m *machine) { m.opt.AsOf = moment("2008-01-01T00:00:00Z") },
			[]string{"note: LIC-CAL-EXPIRED permanent ClientLicense"}},
		{"no hardware id", licensed(), func(m *machine) { drop(m.software, licences+`\HardwareID`, "") },
			[]string{"LIC-STORE-INCOMPLETE no-hardware-id ClientHWID"}},
		{"hardware key without value", licensed(), func(m *machine) { drop(m.software, licences+`\HardwareID`, "ClientHWID") },
			[]string{"LIC-STORE-INCOMPLETE no-hardware-id ClientHWID"}},
		{"no product", licensed(), func(m *machine) { drop(m.software, licence0, "ProductID") },
			[]string{"LIC-STORE-INCOMPLETE value-missing ProductID"}},
		{"text without the section of MSLicensing", licensed(), func(m *machine) {
			drop(m.software, licences+`\HardwareID`, "")
			m.kind = hive.Reg
			key(m.software, licences).Partial = true
		}, nil},
		{"twin", licensed(), func(m *machine) {
			m.soft(twin+`\HardwareID`, "ClientHWID", hive.RegBinary, []byte{1})
		}, []string{"LIC-HWID-CORRUPT size ClientHWID"}},
		{"older one beside it", licensed(), func(m *machine) {
			licence(m, `Store\LICENSE001`, issue("2007-05-01T00:00:00Z", "2007-08-10T00:00:00Z", false))
		}, []string{"note: LIC-CAL-DUPLICATE older ClientLicense"}},
		{"before its time", licensed(), func(m *machine) { m.opt.AsOf = moment("2007-01-01T00:00:00Z") },
			[]string{"note: LIC-CAL-NOTE future ClientLicense"}},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t) })
	}
}

func TestStoreFixes(t *testing.T) {
	m := licensed()
	m.soft(licences+`\HardwareID`, "ClientHWID", hive.RegBinary, []byte{1})
	if got := edits(m.run(), "LIC-HWID-CORRUPT"); !slices.Equal(got, []string{"delete-key MSLicensing"}) {
		t.Errorf("edits for a damaged id: %v", got)
	}
	m = licensed()
	m.soft(licence0, "ClientLicense", hive.RegBinary, []byte{})
	if got := edits(m.run(), "LIC-CAL-CORRUPT"); !slices.Equal(got, []string{"delete-key LICENSE000"}) {
		t.Errorf("edits for a damaged licence: %v", got)
	}
	m = licensed()
	licence(m, `Store\LICENSE001`, issue("2007-05-01T00:00:00Z", "2007-08-10T00:00:00Z", false))
	f := finding(t, m.run(), "LIC-CAL-DUPLICATE")
	if f.Fix.Default || f.Fix.Edits[0].Key.Name() != "LICENSE001" {
		t.Errorf("edits for an older licence: %+v", f.Fix)
	}
}

func TestLicenceSearch(t *testing.T) {
	m := clientXP()
	l1 := encode.SampleLicence()
	m.soft(licence0, "ClientLicense", hive.RegBinary, flip(l1, 1700))
	f := finding(t, m.run(), "LIC-CAL-CORRUPT")
	if f.Evidence.Get("failingByte") != 1700 || f.Evidence.Get("original") != int(l1[1700]) {
		t.Errorf("evidence %v", f.Evidence[:6])
	}
	if put, ok := f.Fix.Choice(analyze.ChoiceRestore); !ok || !slices.Equal(put[0].Data, l1) {
		t.Error("the licence is not restored")
	}
}

// TestManyDamagedLicences holds the work for one machine in bounds: only so
// many values are searched for a changed byte.
func TestManyDamagedLicences(t *testing.T) {
	m := clientXP()
	for _, n := range []string{"000", "001", "002", "003", "004", "005", "006", "007", "008"} {
		licence(m, `Store\LICENSE`+n, []byte("nothing of the kind"))
	}
	outcomes := map[any]int{}
	for _, f := range m.run().Findings {
		outcomes[f.Evidence.Get("search")]++
	}
	if outcomes["none"] != 8 || outcomes["exhausted"] != 1 {
		t.Errorf("outcomes %v", outcomes)
	}
}

func TestStoreRights(t *testing.T) {
	system := encode.Grant{Who: encode.LocalSystem, Rights: encode.KeyFull}
	secure := func(path string, grants ...encode.Grant) func(*machine) {
		return func(m *machine) {
			key(m.software, path).Security = encode.SecurityDescriptor(append(grants, system)...)
		}
	}
	half := func(rest func(*machine)) func(*machine) {
		return func(m *machine) { drop(m.software, licence0, "ProductID"); rest(m) }
	}
	incomplete := "LIC-STORE-INCOMPLETE value-missing ProductID"
	reads := encode.Grant{Who: encode.UsersGroup, Rights: encode.KeyRead}
	for _, test := range []testCase{
		{"whole store", licensed(), secure(licence0, reads), nil},
		{"users may write", licensed(), half(secure(licence0, encode.Grant{Who: encode.UsersGroup, Rights: encode.KeyRead | encode.KeyWrite})), []string{incomplete}},
		{"the interactive user may write", licensed(), half(secure(licence0, encode.Grant{Who: encode.Interactive, Rights: encode.KeyFull})), []string{incomplete}},
		{"users may read", licensed(), half(secure(licence0, reads)), []string{incomplete, "LIC-STORE-ACL users-may-not-write"}},
		{"rights that cannot be read", licensed(), half(func(m *machine) { key(m.software, licence0).Security = []byte{1, 2, 3} }), []string{incomplete}},
		{"text", licensed(), half(func(m *machine) { m.kind = hive.Reg }), []string{incomplete}},
		{"no hardware id", licensed(), func(m *machine) {
			drop(m.software, licences+`\HardwareID`, "")
			secure(licences, reads)(m)
		}, []string{"LIC-STORE-INCOMPLETE no-hardware-id ClientHWID", "LIC-STORE-ACL users-may-not-write"}},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t) })
	}
}
