package licence

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"hivemend/analyze/internal/mscert/mscerttest"
	"hivemend/analyze/internal/verdict"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	return mscerttest.Unhex(s)
}

func flip(b []byte, at int) []byte {
	b = slices.Clone(b)
	b[at] ^= 1
	return b
}

func put(b []byte, at int, with ...byte) []byte {
	b = slices.Clone(b)
	copy(b[at:], with)
	return b
}

// framed puts a licence into a NEW_LICENSE_INFO as in MS-RDPELE 4.6.
func framed(licence []byte) []byte {
	part := func(b, content []byte) []byte {
		return append(binary.LittleEndian.AppendUint32(b, uint32(len(content))), content...)
	}
	wide := func(s string) (b []byte) {
		for _, c := range s + "\x00" {
			b = append(b, byte(c), 0)
		}
		return b
	}
	b := []byte{0, 0, 6, 0}
	b = part(b, []byte("microsoft.com\x00"))
	b = part(b, wide("Microsoft Corporation"))
	b = part(b, wide("A02"))
	return part(b, licence)
}

func TestVectors(t *testing.T) {
	l1 := unhex(t, specLicence)
	fr := framed(l1)
	at := len(fr) - len(l1)
	for _, tt := range []struct {
		name  string
		data  []byte
		cause verdict.Cause
		note  verdict.NoteKind // "": none is due
	}{
		{"L1 as in the specification", l1, verdict.None, ""},
		{"L3 cut short", l1[:1000], verdict.Truncated, ""},
		{"L3 empty", nil, verdict.Empty, ""},
		{"L3 leaf signature", flip(l1, 1700), verdict.Signature, ""},
		{"one byte short", l1[:len(l1)-1], verdict.Truncated, ""},
		{"first byte", flip(l1, 0), verdict.DER, ""},
		{"outer length too long", put(l1, 2, 8), verdict.DER, ""},
		{"outer length too short", flip(l1, 3), verdict.DER, ""},
		{"zero bytes", make([]byte, 16), verdict.DER, ""},
		{"root key", flip(l1, 300), verdict.Signature, ""},
		{"trailing", append(slices.Clone(l1), 0, 0), verdict.None, verdict.Trailing},
		{"framed", fr, verdict.None, ""},
		{"framed, cut short", fr[:len(fr)-9], verdict.Truncated, ""},
		{"framed, cut in the product", fr[:70], verdict.Truncated, ""},
		{"framed, length of the licence one short", put(fr, at-4, byte(len(l1)-1)), verdict.Framing, verdict.Trailing},
		{"framed, length of the licence huge", put(fr, at-1, 0xff), verdict.Framing, ""},
		{"framed, length of the scope huge", put(fr, 7, 0xff), verdict.Framing, ""},
		{"framed, leaf signature", flip(fr, at+1700), verdict.Signature, ""},
		{"framed, trailing", append(slices.Clone(fr), 1), verdict.None, verdict.Trailing},
	} {
		l := Decode(tt.data)
		if l.Cause != tt.cause {
			t.Errorf("%s: cause %q, want %q (%s)", tt.name, l.Cause, tt.cause, l.Detail)
		}
		if l.Healthy() != (l.Detail == "") {
			t.Errorf("%s: cause %q with detail %q", tt.name, l.Cause, l.Detail)
		}
		if (len(l.Notes) > 0) != (tt.note != "") || tt.note != "" && l.Notes[0].Kind != tt.note {
			t.Errorf("%s: notes %v, want %q", tt.name, l.Notes, tt.note)
		}
	}
}

func TestSpecLicenceDecoded(t *testing.T) {
	for name, data := range map[string][]byte{"bare": unhex(t, specLicence), "framed": framed(unhex(t, specLicence))} {
		l := Decode(data)
		want := Grant{
			Certificate: 1, Product: "A02", AdjustedProduct: "A02-6.00-S", Major: 6, Flags: 0x80648000, HasProduct: true, Temporary: true,
			Issuer: "RODENT", IssuerID: "78440-006-5867045-70347", IssuerScope: "WORKGROUP",
			Machine: "RODENT", User: "Administrator", HardwareID: "1BcKedy2krO4/MCDLI1AHZcPias=",
			NotBefore: time.Date(2007, 6, 20, 14, 51, 35, 0, time.UTC), NotAfter: time.Date(2007, 9, 18, 14, 51, 35, 0, time.UTC),
		}
		if len(l.Grants) != 1 || l.Grants[0] != want {
			t.Errorf("%s: grants %+v", name, l.Grants)
		}
		if (l.Frame != nil) != (name == "framed") {
			t.Errorf("%s: frame %+v", name, l.Frame)
		}
		if f := l.Frame; f != nil && *f != (Frame{6, 0, "microsoft.com", "Microsoft Corporation", "A02"}) {
			t.Errorf("frame %+v", f)
		}
	}
}

func TestEveryPrefixIsTruncated(t *testing.T) {
	for name, data := range map[string][]byte{"bare": unhex(t, specLicence), "framed": framed(unhex(t, specLicence))} {
		for n := 4; n < len(data); n++ {
			if l := Decode(data[:n]); l.Cause != verdict.Truncated {
				t.Fatalf("%s, first %d bytes: cause %q (%s)", name, n, l.Cause, l.Detail)
			}
		}
	}
}

func TestEveryFlippedByteIsJudged(t *testing.T) {
	data := unhex(t, specLicence)
	good := Decode(data)
	root, leaf := good.Certificates[0], good.Certificates[1]
	for at := range data {
		l := Decode(flip(data, at))
		var want []verdict.Cause
		switch {
		case root.Signature.Contains(at) || leaf.Signature.Contains(at):
			want = []verdict.Cause{verdict.Signature}
		case root.Issuer.Contains(at) || root.Subject.Contains(at) || leaf.Issuer.Contains(at):
			want = []verdict.Cause{verdict.DER, verdict.Issuer}
		case root.TBS.Contains(at) || leaf.TBS.Contains(at):
			want = []verdict.Cause{verdict.DER, verdict.Key, verdict.Date, verdict.Signature}
		default:
			want = []verdict.Cause{verdict.DER, verdict.Signature}
		}
		if !slices.Contains(want, l.Cause) {
			t.Errorf("flip %d: cause %q, want one of %q (%s)", at, l.Cause, want, l.Detail)
		}
	}
}

func TestGeneratedLicences(t *testing.T) {
	key, other := mscerttest.TestKey(1024, 1), mscerttest.TestKey(1024, 2)
	server := mscerttest.Name("LS01", "WORKGROUP")
	root := mscerttest.Template{Subject: server, Key: key}.Certificate(key)
	grant := func(machine, product string, flags uint32) []byte {
		return mscerttest.Template{Subject: mscerttest.Name(machine, "user"), Issuer: server, Key: key,
			NotBefore: mscerttest.Time("070620145135Z"), NotAfter: mscerttest.Time("070918145135Z"),
			Extensions: mscerttest.Product("A02", product, 6, 0, flags)}.Certificate(key)
	}
	two := Decode(mscerttest.Bag(root, grant("PC1", "A02-6.00-S", 0x00808000), grant("PC2", "A02-5.02-U", 0x80808000)))
	if !two.Healthy() || len(two.Grants) != 2 || two.Grants[0].Machine != "PC1" || two.Grants[0].Temporary || !two.Grants[1].Temporary || two.Grants[1].AdjustedProduct != "A02-5.02-U" {
		t.Errorf("two licences: cause %q, %+v (%s)", two.Cause, two.Grants, two.Detail)
	}
	leafFirst := Decode(mscerttest.Bag(grant("PC1", "A02-6.00-S", 0), root))
	if !leafFirst.Healthy() || len(leafFirst.Grants) != 1 || leafFirst.Grants[0].Certificate != 0 {
		t.Errorf("leaf first: cause %q, %+v (%s)", leafFirst.Cause, leafFirst.Grants, leafFirst.Detail)
	}
	alone := Decode(mscerttest.Bag(grant("PC1", "A02-6.00-S", 0)))
	if !alone.Healthy() || len(alone.Notes) != 1 || alone.Notes[0].Kind != verdict.Unverifiable || len(alone.Grants) != 1 {
		t.Errorf("alone: cause %q, %+v (%s)", alone.Cause, alone.Grants, alone.Detail)
	}
	stranger := mscerttest.Template{Subject: mscerttest.Name("PC3", "user"), Issuer: server, Key: other}.Certificate(key)
	lone := Decode(mscerttest.Bag(stranger))
	if !lone.Healthy() || len(lone.Notes) != 1 || lone.Notes[0].Kind != verdict.Unverifiable || len(lone.Grants) != 1 || lone.Grants[0].HasProduct {
		t.Errorf("issuer not given: cause %q, notes %v, grants %+v", lone.Cause, lone.Notes, lone.Grants)
	}
	if l := Decode(mscerttest.Bag()); l.Cause != verdict.DER {
		t.Errorf("no certificate: cause %q", l.Cause)
	}
	forged := mscerttest.Template{Subject: mscerttest.Name("PC3", "user"), Issuer: server, Key: other}.Certificate(other)
	if l := Decode(mscerttest.Bag(root, forged)); l.Cause != verdict.Signature || l.FaultCertificate != 1 {
		t.Errorf("signed by another: cause %q in certificate %d", l.Cause, l.FaultCertificate)
	}
}

func TestSearchFindsTheChangedByte(t *testing.T) {
	data := unhex(t, specLicence)
	// The envelope, the certificates' frames, the root's key, then every 173rd.
	offsets := []int{0, 1, 3, 4, 10, 15, 19, 24, 26, 27, 28, 40, 42, 44, 45, 48, 49, 52, 222, 240, 246, 300, 504, 530, 541, 545, 802, 805, 806, 809, 1671, 1686, 1943, 1944}
	if !testing.Short() {
		for at := 53; at < 1943; at += 173 {
			offsets = append(offsets, at)
		}
	}
	for _, at := range offsets {
		broken := flip(data, at)
		r := Search(broken, SearchBudget)
		if r.Outcome != verdict.Found || r.FailingByte != at || r.Original != data[at] {
			t.Errorf("flip %d (%s): %+v", at, Decode(broken).Cause, r)
		}
	}
}

func TestSearchRefusesWhatIsNotOneByte(t *testing.T) {
	data := unhex(t, specLicence)
	for name, broken := range map[string][]byte{
		"healthy": data, "empty": nil, "truncated": data[:1000], "zero bytes": make([]byte, 64),
		"two bytes of the leaf's body": flip(flip(data, 900), 1300),
		"both certificates' bodies":    flip(flip(data, 90), 1300),
	} {
		before := slices.Clone(broken)
		if r := Search(broken, SearchBudget); r.Outcome == verdict.Found {
			t.Errorf("%s: %+v", name, r)
		}
		if !bytes.Equal(broken, before) {
			t.Errorf("%s: Search wrote to its input", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	data := unhex(f, specLicence)
	for _, b := range [][]byte{data, data[:1000], framed(data), flip(data, 8), flip(data, 44), framed(data)[:70]} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l := Decode(data)
		if err := mscerttest.CheckFields(len(data), l.Fields); err != nil {
			t.Fatal(err)
		}
		if l.FailingOffset < 0 || l.FailingOffset+l.FailingLength > len(data) {
			t.Fatalf("fault outside the data: %+v", l.Fault)
		}
		for _, g := range l.Grants {
			if g.Certificate >= len(l.Certificates) {
				t.Fatalf("licence of certificate %d of %d", g.Certificate, len(l.Certificates))
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	data := unhex(b, specLicence)
	b.ReportAllocs()
	for b.Loop() {
		if !Decode(data).Healthy() {
			b.Fatal("not healthy")
		}
	}
}

func BenchmarkSearch(b *testing.B) {
	data := unhex(b, specLicence)
	for name, broken := range map[string][]byte{
		"leafBody": flip(data, 1600), "leafSignature": flip(data, 1900), "rootKey": flip(data, 460), "envelope": flip(data, 40), "nothing": flip(flip(data, 900), 1300),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Search(broken, SearchBudget)
			}
		})
	}
}
