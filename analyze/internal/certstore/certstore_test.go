package certstore

import (
	"bytes"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"hivemend/analyze/internal/mscert/mscerttest"
	"hivemend/analyze/internal/verdict"
)

var selfSigned = sync.OnceValue(func() []byte {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x1234), Subject: pkix.Name{CommonName: "TS01.corp.example"},
		NotBefore: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), NotAfter: time.Date(2026, 7, 4, 3, 4, 5, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return der
})

func property(id uint32, value []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, id)
	b = binary.LittleEndian.AppendUint32(b, 1)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(value)))
	return append(b, value...)
}

func wide(s string) []byte {
	var b []byte
	for _, c := range s + "\x00" {
		b = binary.LittleEndian.AppendUint16(b, uint16(c))
	}
	return b
}

func keyProvider() []byte {
	container, provider := wide("TSSecKeySet1"), wide("Microsoft RSA SChannel Cryptographic Provider")
	var b []byte
	for _, n := range []int{28, 28 + len(container), 12, 0x20, 0, 0, 1} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return slices.Concat(b, container, provider)
}

// blob is an entry as Windows writes one for a listener: B1 and more.
func blob(der []byte) []byte {
	sha, md := sha1.Sum(der), md5.Sum(der)
	return slices.Concat(property(idSHA1, sha[:]), property(idKeyProvInfo, keyProvider()), property(0x5a, []byte{1, 2, 3}),
		property(idFriendlyName, wide("listener")), property(idMD5, md[:]), property(idCertificate, der))
}

func TestHealthyEntry(t *testing.T) {
	der := selfSigned()
	e := Decode(blob(der))
	if !e.Healthy() || len(e.Notes) > 0 {
		t.Fatalf("cause %q, notes %v (%s)", e.Cause, e.Notes, e.Detail)
	}
	if want := sha1.Sum(der); e.Thumbprint != want || !bytes.Equal(e.StoredSHA1, want[:]) {
		t.Errorf("thumbprint %x, stored %x", e.Thumbprint, e.StoredSHA1)
	}
	if e.Subject != "CN=TS01.corp.example" || e.SubjectCN != "TS01.corp.example" || !e.SelfIssued || e.KeyBits != 2048 || e.FriendlyName != "listener" {
		t.Errorf("%+v", e)
	}
	if !e.NotAfter.Equal(time.Date(2026, 7, 4, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("ends %v", e.NotAfter)
	}
	if k := e.Key; !e.HasKey || k == nil || *k != (KeyProvider{"TSSecKeySet1", "Microsoft RSA SChannel Cryptographic Provider", 12, 0x20, 1}) {
		t.Errorf("key %+v", k)
	}
}

func TestEveryFlippedByteIsJudged(t *testing.T) {
	der := selfSigned()
	data := blob(der)
	good := Decode(data)
	for at := range data {
		broken := slices.Clone(data)
		broken[at] ^= 1
		e := Decode(broken)
		covered := good.Certificate.Contains(at)
		for _, p := range good.Properties {
			inValue := at >= p.Offset && at < p.Offset+p.Length
			covered = covered || inValue && (p.ID == idSHA1 || p.ID == idMD5)
		}
		switch {
		case covered && e.Cause != verdict.Digest && e.Cause != verdict.DER:
			t.Errorf("flip %d: cause %q", at, e.Cause)
		case !covered && e.Cause == verdict.Digest && !bytes.Equal(e.Certificate.In(broken), der):
			t.Errorf("flip %d outside the certificate changes it", at)
		}
	}
}

func TestFaults(t *testing.T) {
	der := selfSigned()
	sha := sha1.Sum(der)
	b1 := slices.Concat(property(idSHA1, sha[:]), property(idCertificate, der))
	put := func(at int, c byte) []byte {
		b := slices.Clone(b1)
		b[at] = c
		return b
	}
	for _, tt := range []struct {
		name  string
		data  []byte
		cause verdict.Cause
	}{
		{"B1", b1, verdict.None},
		{"certificate alone", property(idCertificate, der), verdict.None},
		{"trailing", append(slices.Clone(b1), 0), verdict.None},
		{"empty", nil, verdict.Empty},
		{"no certificate", property(idSHA1, sha[:]), verdict.Truncated},
		{"one byte short", b1[:len(b1)-1], verdict.Truncated},
		{"cut in a head", b1[:40], verdict.Truncated},
		{"cut in the SHA-1", b1[:20], verdict.Truncated},
		{"SHA-1", put(12, ^b1[12]), verdict.Digest},
		{"length of the SHA-1", put(8, 19), verdict.Structure},
		{"reserved", put(4, 2), verdict.Structure},
		{"length of the certificate", put(32+11, 0x7f), verdict.Structure},
		{"zero bytes", make([]byte, 64), verdict.Structure},
		{"no certificate under its id", property(idCertificate, []byte("garbage")), verdict.DER},
		{"too many properties", bytes.Repeat(property(0x70, nil), maxProperties+1), verdict.Structure},
	} {
		if e := Decode(tt.data); e.Cause != tt.cause || e.Healthy() != (e.Detail == "") {
			t.Errorf("%s: cause %q, want %q (%s)", tt.name, e.Cause, tt.cause, e.Detail)
		}
	}
	for n := 1; n < len(b1); n++ {
		if e := Decode(b1[:n]); e.Cause != verdict.Truncated {
			t.Fatalf("first %d bytes: cause %q (%s)", n, e.Cause, e.Detail)
		}
	}
}

func TestCertificateThatTheLibraryRefusesIsRead(t *testing.T) {
	key := mscerttest.TestKey(1024, 4)
	raw := mscerttest.Template{Subject: mscerttest.Name("odd", "x"), Key: key, Serial: []byte{0x80}}.Certificate(key)
	sha := sha1.Sum(raw)
	e := Decode(slices.Concat(property(idSHA1, sha[:]), property(idCertificate, raw)))
	if !e.Healthy() || len(e.Notes) != 1 || e.Notes[0].Kind != verdict.Unverifiable || e.SubjectCN != "odd" || e.NotAfter.Year() != 2049 {
		t.Errorf("cause %q, notes %v, subject %q", e.Cause, e.Notes, e.Subject)
	}
}

func FuzzDecode(f *testing.F) {
	key := mscerttest.TestKey(1024, 4)
	raw := mscerttest.Template{Subject: mscerttest.Name("a", "b"), Key: key}.Certificate(key)
	f.Add(blob(raw))
	f.Add(blob(raw)[:100])
	f.Add(property(idKeyProvInfo, keyProvider()))
	f.Fuzz(func(t *testing.T, data []byte) {
		e := Decode(data)
		if err := mscerttest.CheckFields(len(data), e.Fields); err != nil {
			t.Fatal(err)
		}
		if e.FailingOffset < 0 || e.FailingOffset+e.FailingLength > len(data) {
			t.Fatalf("fault outside the data: %+v", e.Fault)
		}
		if !e.Healthy() {
			return
		}
		var again []byte
		for _, p := range e.Properties {
			again = append(again, property(p.ID, data[p.Offset:p.Offset+p.Length])...)
		}
		if !bytes.HasPrefix(data, again) {
			t.Fatal("written again it differs")
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	data := blob(selfSigned())
	b.ReportAllocs()
	for b.Loop() {
		if !Decode(data).Healthy() {
			b.Fatal("not healthy")
		}
	}
}
