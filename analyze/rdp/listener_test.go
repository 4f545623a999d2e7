package rdp_test

import (
	"crypto/sha1"
	"fmt"
	"slices"
	"strings"
	"testing"

	"hivemend/hive"
	"hivemend/testdata/gen/encode"
)

var listenerKey = encode.NewKey("listener", 2048)

// storeEntry returns the SHA-1 and the store entry of a certificate for host.
func storeEntry(host, from, to string) (thumbprint, blob []byte) {
	der := encode.ListenerCertificate(host, listenerKey, moment(from).Time(), moment(to).Time()).Encode()
	sum := sha1.Sum(der)
	return sum[:], encode.StoreBlob(encode.StoreProperties(der, listenerKey, "TSSecKeySet1")...)
}

// withListener returns a change that gives the listener a certificate: a
// self-signed one in its usual store, or a chosen one in MY.
func withListener(selfSigned bool, host, from, to string) func(*machine) {
	return func(m *machine) {
		thumbprint, blob := storeEntry(host, from, to)
		store := "MY"
		if selfSigned {
			store = "Remote Desktop"
			m.sys(stations, "SelfSignedCertificate", hive.RegBinary, thumbprint)
			m.sys(stations, "SelfSignedCertStore", hive.RegSZ, text(store))
		} else {
			m.sys(stations+`\RDP-Tcp`, "SSLCertificateSHA1Hash", hive.RegBinary, thumbprint)
		}
		m.soft(fmt.Sprintf(`Microsoft\SystemCertificates\%s\Certificates\%X`, store, thumbprint), "Blob", hive.RegBinary, blob)
	}
}

func TestListenerCertificate(t *testing.T) {
	const from, to, ended = "2012-01-01T00:00:00Z", "2012-07-01T00:00:00Z", "2012-02-01T00:00:00Z"
	noStore := func(change func(*machine)) func(*machine) {
		return func(m *machine) { change(m); drop(m.software, `Microsoft\SystemCertificates`, "") }
	}
	for _, test := range []testCase{
		{"self-signed", server2008(), withListener(true, "TS01", from, to), nil},
		{"chosen", server2008(), withListener(false, "ts01.example.org", from, to), nil},
		{"self-signed, ended", server2008(), withListener(true, "TS01", from, ended), []string{"note: RDP-LISTENER-CERT expired SelfSignedCertificate"}},
		{"chosen, ended", server2008(), withListener(false, "TS01", from, ended), []string{"RDP-LISTENER-CERT expired SSLCertificateSHA1Hash"}},
		{"self-signed, gone", server2008(), noStore(withListener(true, "TS01", from, to)), []string{"note: RDP-LISTENER-CERT dangling SelfSignedCertificate"}},
		{"chosen, gone", server2008(), noStore(withListener(false, "TS01", from, to)), []string{"RDP-LISTENER-CERT dangling SSLCertificateSHA1Hash"}},
		{"another name", server2008(), withListener(false, "OTHER", from, to), []string{"note: RDP-LISTENER-CERT foreign SSLCertificateSHA1Hash"}},
		{"any name", server2008(), withListener(false, "*.example.org", from, to), nil},
		{"short reference", server2008(), func(m *machine) { m.sys(stations+`\RDP-Tcp`, "SSLCertificateSHA1Hash", hive.RegBinary, []byte{1, 2}) },
			[]string{"RDP-LISTENER-CERT corrupt SSLCertificateSHA1Hash"}},
		{"no SOFTWARE hive", server2008(), func(m *machine) { withListener(false, "TS01", from, to)(m); m.software = nil }, nil},
		{"text without the store", server2008(), func(m *machine) {
			noStore(withListener(false, "TS01", from, to))(m)
			m.kind = hive.Reg
			key(m.software, "Microsoft").Partial = true
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := test.run(t)
			for _, f := range res.Findings {
				if f.Fix != nil && f.Fix.Default {
					t.Error("edits a listener without being asked")
				}
			}
		})
	}
}

func TestListenerFixIsPaired(t *testing.T) {
	m := server2008()
	withListener(true, "TS01", "2012-01-01T00:00:00Z", "2012-02-01T00:00:00Z")(m)
	f := finding(t, m.run(), "RDP-LISTENER-CERT")
	var hives []string
	for _, e := range f.Fix.Edits {
		hives = append(hives, string(e.Op)+" "+e.Key[1])
	}
	if want := []string{"delete-value SYSTEM", "delete-key SOFTWARE"}; !slices.Equal(hives, want) {
		t.Errorf("edits %v, want %v", hives, want)
	}
	// A chosen certificate that has ended stays in its store.
	m = server2008()
	withListener(false, "TS01", "2012-01-01T00:00:00Z", "2012-02-01T00:00:00Z")(m)
	if got := edits(m.run(), "RDP-LISTENER-CERT"); !slices.Equal(got, []string{"delete-value SSLCertificateSHA1Hash"}) {
		t.Errorf("edits %v", got)
	}
}

func TestListenerStoreNotGivenIsSaid(t *testing.T) {
	m := server2008()
	withListener(false, "TS01", "2012-01-01T00:00:00Z", "2012-07-01T00:00:00Z")(m)
	m.software = nil
	for _, nc := range m.run().NotChecked {
		if nc.Rule == "RDP-LISTENER-CERT" && strings.Contains(nc.Reason, "SSLCertificateSHA1Hash") {
			return
		}
	}
	t.Error("that the store was not given is not said")
}
