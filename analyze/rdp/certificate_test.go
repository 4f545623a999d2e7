package rdp_test

import (
	"slices"
	"testing"

	"hivemend/analyze"
	"hivemend/hive"
	"hivemend/testdata/gen/encode"
)

func TestCertificate(t *testing.T) {
	p1 := encode.SampleProprietary()
	old := func(data []byte) func(*machine) {
		return func(m *machine) { m.sys(oldPath, "Certificate", hive.RegBinary, data) }
	}
	for _, test := range []testCase{
		{"modulus", server2003(), old(flip(p1, 0x24)), []string{"TS-CERT-CORRUPT signature Certificate"}},
		{"signature", server2003(), old(flip(p1, 0x70)), []string{"TS-CERT-CORRUPT signature Certificate"}},
		{"exponent", server2003(), old(flip(p1, 0x20)), []string{"TS-CERT-CORRUPT key Certificate"}},
		{"short", server2003(), old(p1[:183]), []string{"TS-CERT-CORRUPT truncated Certificate"}},
		{"half", server2003(), old(p1[:100]), []string{"TS-CERT-CORRUPT truncated Certificate"}},
		{"empty", server2003(), old([]byte{}), []string{"TS-CERT-CORRUPT empty Certificate"}},
		{"zeros", server2003(), old(make([]byte, 16)), []string{"TS-CERT-CORRUPT structure Certificate"}},
		{"another type", server2003(), func(m *machine) { m.sys(oldPath, "Certificate", hive.RegNone, p1) },
			[]string{"TS-CERT-CORRUPT type Certificate"}},
		{"CertificateOld", server2008(), func(m *machine) { m.sys(rcmPath, "CertificateOld", hive.RegBinary, flip(p1, 40)) },
			[]string{"TS-CERT-CORRUPT signature CertificateOld"}},
		{"both", server2008(), func(m *machine) {
			m.sys(rcmPath, "Certificate", hive.RegBinary, flip(proprietary2048, 40))
			m.sys(rcmPath, "CertificateOld", hive.RegBinary, flip(p1, 40))
		}, []string{"TS-CERT-CORRUPT signature Certificate", "TS-CERT-CORRUPT signature CertificateOld"}},
		{"version unknown, older place", server2003(), func(m *machine) { m.software = nil; old(flip(p1, 50))(m) },
			[]string{"TS-CERT-CORRUPT signature Certificate"}},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t) })
	}
}

func TestCertificateEvidence(t *testing.T) {
	m := server2008()
	m.sys(rcmPath, "Certificate", hive.RegBinary, flip(proprietary2048, 36))
	m.sys(rcmPath, "X509 Certificate ID", hive.RegBinary, []byte{1})
	m.sys(rcmPath, "X509 Certificate", hive.RegBinary, encode.SampleChain())
	res := m.run()
	f := finding(t, res, "TS-CERT-CORRUPT")
	if f.Evidence.Get("failingByte") != 36 || f.Evidence.Get("original") != int(proprietary2048[36]) || f.Evidence.Get("search") != "found" {
		t.Errorf("evidence %v", f.Evidence)
	}
	if got := edits(res, "TS-CERT-CORRUPT"); !slices.Equal(got, []string{"delete-value Certificate", "delete-value X509 Certificate", "delete-value X509 Certificate ID"}) {
		t.Errorf("edits %v", got)
	}
	put, ok := f.Fix.Choice(analyze.ChoiceRestore)
	if !ok || len(put) != 1 || !slices.Equal(put[0].Data, proprietary2048) {
		t.Errorf("restore: %v", put)
	}
	if got := f.Location.Key.String(); got != `HKEY_LOCAL_MACHINE\SYSTEM\`+rcmPath {
		t.Errorf("key %s", got)
	}
}

func TestCertificateOldGoesAlone(t *testing.T) {
	m := server2008()
	m.sys(rcmPath, "CertificateOld", hive.RegBinary, []byte{1, 2, 3})
	if got := edits(m.run(), "TS-CERT-CORRUPT"); !slices.Equal(got, []string{"delete-value CertificateOld"}) {
		t.Errorf("edits %v", got)
	}
}
