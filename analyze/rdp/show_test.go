package rdp_test

import (
	"strings"
	"testing"

	"hivemend/analyze"
	"hivemend/analyze/rdp"
	"hivemend/hive"
	"hivemend/testdata/gen/encode"
)

func decoded(path string, name string, typ hive.Type, data []byte) analyze.Decoded {
	root := &hive.Node{}
	set(root, path, name, typ, data)
	k, _ := root.Key().Lookup(hive.ParsePath(path))
	v, _ := k.Value(name)
	return rdp.DecodeAt(hive.ParsePath(path), v)
}

func TestDecode(t *testing.T) {
	p1 := encode.SampleProprietary()
	for _, test := range []struct {
		name, path, value string
		typ               hive.Type
		data              []byte
		kind, field       string
		problem           bool
	}{
		{"certificate", oldPath, "Certificate", hive.RegBinary, p1, "proprietary certificate", "512 bits", false},
		{"damaged certificate", oldPath, "certificate", hive.RegBinary, flip(p1, 50), "proprietary certificate", "512 bits", true},
		{"chain", rcmPath, "X509 Certificate2", hive.RegBinary, encode.SampleChain(), "certificate chain", "RODENT", false},
		{"licence", licence0, "ClientLicense", hive.RegBinary, encode.SampleLicence(), "client licence", "A02-6.00-S", false},
		{"hardware id", licences, "ClientHWID", hive.RegBinary, encode.HardwareID(2, "x"), "hardware identifier", "", false},
		{"scope", licence0, "LicenseScope", hive.RegBinary, []byte("microsoft.com\x00"), "scope of a licence", "microsoft.com", false},
		{"level", stations + `\RDP-Tcp`, "MinEncryptionLevel", hive.RegDWORD, dword(3), "encryption level", "3, High", false},
		{"level that is none", stations + `\RDP-Tcp`, "MinEncryptionLevel", hive.RegDWORD, dword(9), "encryption level", "9", true},
		{"another type", oldPath, "Certificate", hive.RegSZ, p1, "proprietary certificate", "", true},
		{"a product elsewhere", `Microsoft\Office`, "ProductID", hive.RegSZ, text("x"), "", "", false},
		{"unknown", oldPath, "ServiceDll", hive.RegSZ, text("x"), "", "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decoded(test.path, test.value, test.typ, test.data)
			if d.Kind != test.kind || (d.Problem != "") != test.problem {
				t.Errorf("kind %q, problem %q", d.Kind, d.Problem)
			}
			found := test.field == ""
			for _, f := range d.Fields {
				found = found || strings.Contains(f.Text, test.field)
				if f.Offset < 0 || f.Length < 0 || f.Offset+f.Length > len(test.data) {
					t.Errorf("field %+v lies outside", f)
				}
			}
			if !found {
				t.Errorf("no field with %q in %+v", test.field, d.Fields)
			}
		})
	}
}

func TestDecodeHidesSecrets(t *testing.T) {
	for _, place := range [][2]string{
		{rcmPath + `\Secrets`, "L$HYDRAENCKEY_28ada6da-d622-11d1-9cb9-00c04fb16e75"},
		{rcmPath + `\GracePeriod`, "anything"},
		{`Policy\Secrets\x\CurrVal`, ""},
	} {
		d := decoded(place[0], place[1], hive.RegBinary, []byte("topsecret"))
		if !d.Secret || strings.Contains(d.Fields[0].Text, "topsecret") || !strings.Contains(d.Fields[0].Text, "9 bytes") {
			t.Errorf("%s: %+v", place[0], d)
		}
	}
}
