package rdp_test

import (
	"slices"
	"strings"
	"testing"

	"hivemend/analyze"
	"hivemend/hive"
	"hivemend/testdata/gen/encode"
)

// rodent is a server of the newer era that holds the chain of Microsoft's
// sample, which was issued by RODENT to RODENT.
func rodent() *machine {
	m := server2008()
	m.sys(cs1+`Control\ComputerName\ComputerName`, "ComputerName", hive.RegSZ, text("RODENT"))
	m.sys(oldPath+`\LicenseServers`, "SpecifiedLicenseServers", hive.RegMultiSZ, multi("rodent.example.org"))
	m.sys(rcmPath, "X509 Certificate", hive.RegBinary, permanentChain())
	m.sys(rcmPath, "X509 Certificate ID", hive.RegBinary, []byte{1, 2, 3, 4})
	m.computer = "RODENT"
	return m
}

// permanentChain is the sample with the bit for temporary chains cleared.
func permanentChain() []byte {
	b := slices.Clone(encode.SampleChain())
	b[3] &^= 0x80
	return b
}

func TestChain(t *testing.T) {
	x1 := permanentChain()
	with := func(data []byte) func(*machine) {
		return func(m *machine) { m.sys(rcmPath, "X509 Certificate", hive.RegBinary, data) }
	}
	corrupt := func(cause string) []string { return []string{"TS-X509-CORRUPT " + cause + " X509 Certificate"} }
	put := func(offset int, b ...byte) []byte { c := slices.Clone(x1); copy(c[offset:], b); return c }
	for _, test := range []testCase{
		{"permanent", rodent(), nil, nil},
		{"temporary", rodent(), with(encode.SampleChain()), []string{"note: TS-X509-TEMPORARY temporary X509 Certificate"}},
		{"without padding", rodent(), with(x1[:len(x1)-16]), nil},
		{"half", rodent(), with(x1[:1000]), corrupt("truncated")},
		{"in the root", rodent(), with(x1[:768]), corrupt("truncated")},
		{"version", rodent(), with(put(0, 3)), corrupt("version")},
		{"count", rodent(), with(put(4, 1)), corrupt("count")},
		{"length", rodent(), with(put(8, 0xff, 0xff, 0xff, 0xff)), corrupt("framing")},
		{"leaf's body", rodent(), with(flip(x1, len(x1)-16-1277+304)), corrupt("signature")},
		{"leaf's signature", rodent(), with(flip(x1, len(x1)-20)), corrupt("signature")},
		{"root's key", rodent(), with(flip(x1, 262)), corrupt("signature")},
		{"empty", rodent(), with([]byte{}), corrupt("empty")},
		{"four bytes", rodent(), with(x1[:4]), corrupt("truncated")},
		{"another type", rodent(), func(m *machine) { m.sys(rcmPath, "X509 Certificate", hive.RegMultiSZ, x1) }, corrupt("type")},
		{"starts at the count", rodent(), with(x1[4:]), []string{"note: TS-X509-NOTE unrecognised X509 Certificate"}},
		{"bytes behind", rodent(), with(append(slices.Clone(x1), 1, 2, 3)), []string{"note: TS-X509-NOTE trailing X509 Certificate"}},
		{"second chain", rodent(), func(m *machine) { m.sys(rcmPath, "X509 Certificate2", hive.RegBinary, x1) }, nil},
		{"second chain, damaged", rodent(), func(m *machine) { m.sys(rcmPath, "X509 Certificate2", hive.RegBinary, flip(x1, 262)) },
			[]string{"TS-X509-CORRUPT signature X509 Certificate2"}},
		{"second chain, of no known layout", rodent(), func(m *machine) { m.sys(rcmPath, "X509 Certificate2", hive.RegBinary, encode.Stream("x", 700)) },
			[]string{"note: TS-X509-NOTE unrecognised X509 Certificate2"}},
		{"before its time", rodent(), func(m *machine) { m.opt.AsOf = moment("2000-01-01T00:00:00Z") },
			[]string{"note: TS-X509-NOTE future X509 Certificate"}},
		{"after 2038", rodent(), func(m *machine) { m.opt.AsOf = moment("2040-01-01T00:00:00Z") }, nil},
		{"another machine", rodent(), func(m *machine) { m.computer = "TS01" }, []string{"note: TS-X509-FOREIGN machine X509 Certificate"}},
		{"another licence server", rodent(), func(m *machine) {
			m.sys(oldPath+`\LicenseServers`, "SpecifiedLicenseServers", hive.RegMultiSZ, multi("LS01"))
		}, []string{"note: TS-X509-FOREIGN license-server X509 Certificate"}},
		{"a licence server known by address", rodent(), func(m *machine) {
			m.sys(oldPath+`\LicenseServers`, "SpecifiedLicenseServers", hive.RegMultiSZ, multi("10.0.0.7"))
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t) })
	}
}

func TestExpiredChain(t *testing.T) {
	ls := encode.NewLicenseServer("LS01", "WORKGROUP", "78440-006-5867045-70347")
	ls.NotAfter = moment("2011-01-01T00:00:00Z").Time()
	leaf := ls.ServerCertificate("TS01", 7, encode.NewKey("ts", 1024), encode.Stream("id", 20), moment("2009-01-01T00:00:00Z").Time())
	m := server2008()
	m.sys(rcmPath, "X509 Certificate", hive.RegBinary, encode.Chain(false, ls.Certificate().Encode(), leaf.Encode()))
	m.sys(rcmPath, "X509 Certificate ID", hive.RegBinary, []byte{1})
	res := testCase{"", m, nil, []string{"TS-X509-EXPIRED expired X509 Certificate"}}.run(t)
	f := finding(t, res, "TS-X509-EXPIRED")
	if f.Fix.Default || f.Evidence.Text("notAfter") != "2011-01-01T00:00:00Z" {
		t.Errorf("fix %+v, evidence %v", f.Fix, f.Evidence)
	}
	if !strings.Contains(strings.Join(f.ManualSteps, "\n"), "LS01") {
		t.Error("the steps do not name the licence server")
	}
	m.opt.AsOf = moment("2010-01-01T00:00:00Z")
	testCase{"", m, nil, nil}.run(t)
}

func TestOrphan(t *testing.T) {
	drops := func(name string) func(*machine) {
		return func(m *machine) { drop(m.system, rcmPath, name) }
	}
	for _, test := range []testCase{
		{"no ID", rodent(), drops("X509 Certificate ID"), []string{"TS-X509-ORPHAN id-missing X509 Certificate ID"}},
		{"no chain", rodent(), drops("X509 Certificate"), []string{"TS-X509-ORPHAN chain-missing X509 Certificate"}},
		{"empty ID", rodent(), func(m *machine) { m.sys(rcmPath, "X509 Certificate ID", hive.RegBinary, []byte{}) },
			[]string{"TS-X509-ORPHAN id-empty X509 Certificate ID"}},
		{"ID of another type", rodent(), func(m *machine) { m.sys(rcmPath, "X509 Certificate ID", hive.RegSZ, text("x")) },
			[]string{"TS-X509-ORPHAN id-type X509 Certificate ID"}},
		{"neither", rodent(), func(m *machine) { drops("X509 Certificate")(m); drops("X509 Certificate ID")(m) }, nil},
		{"nothing at all", rodent(), func(m *machine) {
			drop(m.system, rcmPath, "")
			m.sys(rcmPath+`\Licensing Core`, "LicensingMode", hive.RegDWORD, dword(2))
		}, nil},
		{"text without the section", rodent(), func(m *machine) {
			drops("X509 Certificate ID")(m)
			m.kind = hive.Reg
			key(m.system, rcmPath).Partial = true
		}, nil},
		{"the parent is damaged", rodent(), func(m *machine) {
			drops("X509 Certificate ID")(m)
			m.issues = []hive.Issue{{Code: "VK01", Damage: hive.DamageLoss, Key: hive.ParsePath(rcmPath)}}
		}, []string{"HIVE-DAMAGED loss"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := test.run(t)
			for _, f := range res.Findings {
				if f.Rule == "TS-X509-ORPHAN" && f.Fix.Default {
					t.Error("deletes the set without another error in it")
				}
			}
		})
	}
}

func TestOrphanBesideAnErrorIsFixed(t *testing.T) {
	m := rodent()
	drop(m.system, rcmPath, "X509 Certificate ID")
	m.sys(rcmPath, "Certificate", hive.RegBinary, []byte{1})
	if f := finding(t, m.run(), "TS-X509-ORPHAN"); !f.Fix.Default || len(f.Fix.Edits) != 2 {
		t.Errorf("fix %+v", f.Fix)
	}
}

func TestChainSearch(t *testing.T) {
	m := rodent()
	x1 := permanentChain()
	m.sys(rcmPath, "X509 Certificate", hive.RegBinary, flip(x1, 262))
	f := finding(t, m.run(), "TS-X509-CORRUPT")
	if f.Evidence.Get("search") != "found" || f.Evidence.Get("failingByte") != 262 || f.Evidence.Get("original") != int(x1[262]) {
		t.Errorf("evidence %v", f.Evidence[:6])
	}
	if put, ok := f.Fix.Choice(analyze.ChoiceRestore); !ok || !slices.Equal(put[0].Data, x1) {
		t.Error("the chain is not restored")
	}
}

// TestRestoreIsAllOrNothing: either every damaged value of the set is put right,
// or the set is deleted; and what was only half a set is left alone when the
// damage is put right.
func TestRestoreIsAllOrNothing(t *testing.T) {
	whole := permanentChain()
	for _, test := range []struct {
		name  string
		chain []byte
		want  bool
	}{{"both by one byte", flip(whole, 262), true}, {"one beyond repair", whole[:700], false}} {
		t.Run(test.name, func(t *testing.T) {
			m := rodent()
			drop(m.system, rcmPath, "X509 Certificate ID")
			m.sys(rcmPath, "X509 Certificate", hive.RegBinary, test.chain)
			m.sys(rcmPath, "Certificate", hive.RegBinary, flip(proprietary2048, 50))
			res := m.run()
			for _, rule := range []string{"TS-CERT-CORRUPT", "TS-X509-CORRUPT", "TS-X509-ORPHAN"} {
				f := finding(t, res, rule)
				put, ok := f.Fix.Choice(analyze.ChoiceRestore)
				if ok != test.want || !f.Fix.Default || rule == "TS-X509-ORPHAN" && len(put) != 0 {
					t.Errorf("%s: restore %v with %d edits, want %v", rule, ok, len(put), test.want)
				}
			}
		})
	}
}
