package rdp_test

import (
	"strings"
	"testing"

	"hivemend/analyze"
	"hivemend/analyze/rdp"
	"hivemend/hive"
	"hivemend/testdata/gen/encode"
)

// BenchmarkHealthy is what every machine of an audit costs beside reading it.
func BenchmarkHealthy(b *testing.B) {
	for name, m := range map[string]*machine{"2003": server2003(), "2008R2": rodent(), "client": licensed()} {
		built := m.build()
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				analyze.Run(built, rdp.Rules, m.opt)
			}
		})
	}
}

// FuzzRules holds all rules against hostile values: none may fail, and no edit
// may lack its precondition or touch a secret.
func FuzzRules(f *testing.F) {
	f.Add(encode.SampleProprietary(), permanentChain(), encode.SampleLicence(), encode.HardwareID(2, "x"), uint32(3), "Certificate")
	f.Add([]byte{}, []byte{}, []byte{}, []byte{}, uint32(1), "L")
	f.Add(encode.SampleProprietary()[:100], encode.SampleChain()[:1000], []byte("x"), make([]byte, 20), uint32(7), "证书")
	f.Fuzz(func(t *testing.T, cert, chain, cal, id []byte, typ uint32, name string) {
		if len(cert)+len(chain)+len(cal) > 1<<12 {
			t.Skip("more would only make the search for a changed byte longer")
		}
		m := rodent()
		m.sys(rcmPath, "Certificate", hive.Type(typ%12), cert)
		m.sys(rcmPath, "CertificateOld", hive.RegBinary, cert)
		m.sys(rcmPath, "X509 Certificate2", hive.RegBinary, chain)
		m.sys(rcmPath, "X509 Certificate ID", hive.Type(typ), id)
		m.sys(rcmPath, name, hive.Type(typ), chain)
		m.sys(rcmPath+`\GracePeriod`, name, hive.Type(typ), id)
		m.sys(stations+`\RDP-Tcp`, "MinEncryptionLevel", hive.Type(typ), cert)
		m.sys(stations, "SelfSignedCertificate", hive.RegBinary, id)
		m.soft(`Microsoft\SystemCertificates\Remote Desktop\Certificates\`+strings.Repeat("AB", 20), "Blob", hive.RegBinary, cal)
		m.soft(licences+`\HardwareID`, "ClientHWID", hive.RegBinary, id)
		licence(m, `Store\LICENSE000`, cal)
		res := m.run()
		for _, nc := range res.NotChecked {
			if strings.Contains(nc.Reason, "the rule failed") {
				t.Errorf("%s: %s", nc.Rule, nc.Reason)
			}
		}
		for _, finding := range res.Findings {
			checkFinding(t, finding)
		}
		reportText(t, res)
	})
}
