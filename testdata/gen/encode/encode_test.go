package encode

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"math/big"
	"testing"
	"time"
)

// TestKeysAreRSAKeys holds our keys against the standard library's own check,
// where it takes keys of that length.
func TestKeysAreRSAKeys(t *testing.T) {
	for _, bits := range []int{512, 1024, 2048} {
		k := NewKey("test", bits)
		if k.N.BitLen() != bits {
			t.Errorf("%d bits: the modulus has %d", bits, k.N.BitLen())
		}
		m := big.NewInt(0x1234567)
		c := new(big.Int).Exp(m, k.E, k.N)
		if c.Exp(c, k.D, k.N).Cmp(m) != 0 {
			t.Errorf("%d bits: the private exponent does not undo the public one", bits)
		}
	}
}

func TestKeysDependOnTheLabelAlone(t *testing.T) {
	a, b := findKey("a/512", 512), findKey("a/512", 512)
	if a.N.Cmp(b.N) != 0 {
		t.Error("the same label gave two keys")
	}
	if NewKey("a", 512).N.Cmp(a.N) != 0 {
		t.Error("NewKey and findKey disagree")
	}
	if NewKey("b", 512).N.Cmp(a.N) == 0 {
		t.Error("two labels gave one key")
	}
}

func TestListenerCertificateIsSound(t *testing.T) {
	notBefore := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	key := NewKey("test", 2048)
	der := ListenerCertificate("host.example", key, notBefore, notBefore.AddDate(0, 6, 0)).Encode()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
		t.Error(err)
	}
	if c.Subject.CommonName != "host.example" || !c.NotBefore.Equal(notBefore) {
		t.Errorf("subject %q, not before %s", c.Subject.CommonName, c.NotBefore)
	}
	if pub, ok := c.PublicKey.(*rsa.PublicKey); !ok || pub.N.Cmp(key.N) != 0 {
		t.Error("the certificate holds another key")
	}
	if len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth {
		t.Errorf("extended key usage %v", c.ExtKeyUsage)
	}
	if c.KeyUsage != x509.KeyUsageKeyEncipherment|x509.KeyUsageDataEncipherment {
		t.Errorf("key usage %b", c.KeyUsage)
	}
}

// TestLicenceServerSignatures checks that what a licence server signs verifies
// with its key, by the arithmetic of RSA alone.
func TestLicenceServerSignatures(t *testing.T) {
	server := NewLicenseServer("LS", "WORKGROUP", "00000-000-0000000-00000")
	for _, c := range []Certificate{
		server.Certificate(),
		server.ServerCertificate("TS", 1, NewKey("test", 512), Stream("id", 20), server.NotBefore),
		server.LicenceCertificate(Licence{Computer: "PC", User: "U", Serial: 2, ID: Stream("id", 20), NotBefore: server.NotBefore, NotAfter: server.NotAfter}),
	} {
		der := c.Encode()
		signature := new(big.Int).SetBytes(der[len(der)-256:])
		em := signature.Exp(signature, server.Key.E, server.Key.N).FillBytes(make([]byte, 256))
		sum := sha1.Sum(c.TBS())
		if !bytes.HasPrefix(em, []byte{0, 1, 0xff, 0xff}) || !bytes.HasSuffix(em, sum[:]) {
			t.Errorf("the signature opens to %x", em)
		}
	}
}

func TestDER(t *testing.T) {
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"empty sequence", sequence(), "3000"},
		{"object identifier", oid("1.2.840.113549.1.1.1"), "06092a864886f70d010101"},
		{"small integer", smallInteger(127), "02017f"},
		{"integer with top bit", smallInteger(128), "02020080"},
		{"zero", smallInteger(0), "020100"},
		{"length of 128", tlv(4, make([]byte, 128))[:3], "048180"},
		{"length of 256", tlv(4, make([]byte, 256))[:4], "04820100"},
		{"set is sorted", setOf([]byte{2, 1, 9}, []byte{2, 1, 3}), "3106020103020109"},
		{"year 1970", moment(time.Unix(0, 0)), "170d3730303130313030303030305a"},
		{"year 2050", moment(time.Date(2050, 1, 2, 3, 4, 5, 0, time.UTC)), "180f32303530303130323033303430355a"},
	}
	for _, tt := range tests {
		if got := hex.EncodeToString(tt.got); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestFileTime(t *testing.T) {
	if got := FileTime(time.Unix(0, 100)); got != 116444736000000001 {
		t.Errorf("%d", got)
	}
	// The serial number in [MS-RDPELE] 4.1 is its NotBefore to the second.
	got := FileTime(time.Date(1970, 5, 27, 1, 11, 3, 0, time.UTC))
	if d := uint64(0x019e24a2f2ae9080) - got; d >= 10_000_000 {
		t.Errorf("%#x is %d ticks off", got, d)
	}
}

// TestSecurityDescriptor compares with a descriptor put together by hand from
// [MS-DTYP] 2.4.6.
func TestSecurityDescriptor(t *testing.T) {
	want := "01000480" + "30000000" + "40000000" + "00000000" + "14000000" +
		"02001c00" + "01000000" +
		"00021400" + "3f000f00" + "010100000000000512000000" +
		"01020000000000052000000020020000" +
		"010100000000000512000000"
	if got := hex.EncodeToString(SecurityDescriptor(Grant{LocalSystem, KeyFull, true})); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
