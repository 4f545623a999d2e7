package licence

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"hivemend/analyze/internal/verdict"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
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
