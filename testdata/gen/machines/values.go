package machines

import (
	"fmt"
	"strings"
	"time"

	"hivemend/hive"
	"hivemend/testdata/gen/encode"
)

// Where a control set keeps the certificates: before Windows Vista, and since.
const (
	parametersKey = `Services\TermService\Parameters`
	rcmKey        = `Control\Terminal Server\RCM`
)

// licensing returns the licence server that issued everything here.
func licensing() encode.LicenseServer {
	return encode.NewLicenseServer("LICSRV01", "EXAMPLE", "12345-678-9012345-67890")
}

// proprietary returns the value Certificate of a computer, with a key of its own.
func proprietary(computer string, bits int) []byte {
	return encode.NewProprietary(encode.NewKey("proprietary "+computer, bits)).Encode()
}

// chainID are the 20 opaque bytes that a computer's chain carries, and that
// stand in the value X509 Certificate ID. No page says what that value really
// holds; that it belongs to the chain is an inference.
func chainID(computer string) []byte { return encode.Stream("chain id/"+computer, 20) }

// chainOf returns the value X509 Certificate of a computer: a permanent chain of
// its licence server. change, if not nil, alters the last certificate before it
// is signed.
func chainOf(computer string, serial uint64, issued time.Time, change func(*encode.Certificate)) []byte {
	server := licensing()
	leaf := server.ServerCertificate(computer, serial, encode.NewKey("terminal server", 2048), chainID(computer), issued)
	if change != nil {
		change(&leaf)
	}
	return encode.Chain(false, server.Certificate().Encode(), leaf.Encode())
}

// flip returns a copy of data with one byte changed by a mask.
func flip(data []byte, at int, mask byte) []byte {
	out := append([]byte(nil), data...)
	out[at] ^= mask
	return out
}

// storeLicence is one licence in a client's store.
type storeLicence struct {
	user      string
	serial    uint64
	issued    time.Time
	days      int
	product   string // such as "A02"
	version   string // such as "5.02"
	major     uint16
	minor     uint16
	temporary bool
}

// clientLicense returns the value ClientLicense for a computer.
func (l storeLicence) clientLicense(computer string) []byte {
	leaf := licensing().LicenceCertificate(encode.Licence{
		Computer: computer, User: l.user, Serial: l.serial, ID: encode.Stream("licence id/"+computer, 20),
		NotBefore: l.issued, NotAfter: l.issued.AddDate(0, 0, l.days),
		Requested: l.product, Adjusted: fmt.Sprintf("%s-%s-S", l.product, l.version),
		Major: l.major, Minor: l.minor, Temporary: l.temporary,
	})
	return encode.ClientLicense(licensing().Certificate().Encode(), leaf.Encode())
}

// addStore puts the licence store of a client into its SOFTWARE hive, below
// root (Microsoft or Wow6432Node\Microsoft).
func (t *tree) addStore(root string, hardwareID []byte, licences ...[]byte) {
	secure(t.key(root+`\MSLicensing`), storeSecurity)
	t.key(root+`\MSLicensing\HardwareID`, bin("ClientHWID", hardwareID))
	t.key(root + `\MSLicensing\Store`)
	for i, l := range licences {
		t.key(fmt.Sprintf(`%s\MSLicensing\Store\LICENSE%03d`, root, i),
			bin("ClientLicense", l),
			bin("CompanyName", encode.UTF16Z("Microsoft Corporation")),
			bin("LicenseScope", []byte("microsoft.com\x00")),
			bin("ProductID", encode.UTF16Z("A02")))
	}
}

// addSecrets puts the two secrets that go with Certificate and CertificateOld
// under RCM. What they hold is noise behind the head of a protected blob.
func (t *tree) addSecrets(computer string) {
	head := []byte{1, 0, 0, 0, 0xd0, 0x8c, 0x9d, 0xdf, 1, 0x15, 0xd1, 0x11, 0x8c, 0x7a, 0, 0xc0, 0x4f, 0xc2, 0x97, 0xeb}
	secret := func(guid string, size int) hive.NodeValue {
		noise := encode.Stream("secret/"+computer+guid, size-len(head))
		return bin("L$HYDRAENCKEY_"+guid, append(append([]byte(nil), head...), noise...))
	}
	secure(t.key(`ControlSet001\`+rcmKey+`\Secrets`), secretSecurity)
	t.key(`ControlSet001\`+rcmKey+`\Secrets`,
		secret("28ada6da-d622-11d1-9cb9-00c04fb16e75", 1558),
		secret("52d1ad03-4565-44f3-8bfd-bbb0591f4b9d", 598))
}

// addListenerCertificate gives the listener of a computer a TLS certificate that
// it made itself: the hash in SYSTEM, the certificate in SOFTWARE.
func addListenerCertificate(system, software *tree, host string, issued time.Time) {
	key := encode.NewKey("listener "+host, 2048)
	der := encode.ListenerCertificate(host, key, issued, issued.AddDate(0, 6, 0)).Encode()
	properties := encode.StoreProperties(der, key, "TSSecKeySet1")
	var hash []byte
	for _, p := range properties {
		if p.ID == encode.PropSHA1 {
			hash = p.Value
		}
	}
	system.key(`ControlSet001\Control\Terminal Server\WinStations`, bin("SelfSignedCertificate", hash), sz("SelfSignedCertStore", "Remote Desktop"))
	software.key(`Microsoft\SystemCertificates\Remote Desktop\Certificates\`+strings.ToUpper(fmt.Sprintf("%x", hash)),
		bin("Blob", encode.StoreBlob(properties...)))
	software.key(`Microsoft\SystemCertificates\Remote Desktop\CRLs`)
	software.key(`Microsoft\SystemCertificates\Remote Desktop\CTLs`)
}
