package chain

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"hivemend/analyze/internal/mscert"
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

// put returns b with the bytes at at replaced.
func put(b []byte, at int, with ...byte) []byte {
	b = slices.Clone(b)
	copy(b[at:], with)
	return b
}

func TestSpecVectors(t *testing.T) {
	x1 := unhex(t, specChain)
	for _, tt := range []struct {
		name  string
		data  []byte
		cause verdict.Cause
		cert  int
		note  verdict.NoteKind // "": none is due
	}{
		{"X1 as in the specification", x1, verdict.None, -1, ""},
		{"X2 without padding", x1[:2050], verdict.None, -1, verdict.Padding},
		{"X3 cut inside certificate 1", x1[:1000], verdict.Truncated, 1, ""},
		{"X4 cut inside certificate 0", x1[:768], verdict.Truncated, 0, ""},
		{"X5 version 3", put(x1, 0, 3, 0, 0, 0x80), verdict.Version, -1, ""},
		{"X6 permanent", put(x1, 0, 2, 0, 0, 0), verdict.None, -1, ""},
		{"X7 count 1", put(x1, 4, 1), verdict.Count, -1, verdict.Trailing},
		{"X8 length of 4 GiB", put(x1, 8, 0xff, 0xff, 0xff, 0xff), verdict.Framing, 0, ""},
		{"X9 leaf body", flip(x1, 2066-16-1277+304), verdict.Signature, 1, ""},
		{"X10 leaf signature", flip(x1, 2066-20), verdict.Signature, 1, ""},
		{"X11 root key", flip(x1, 262), verdict.Signature, 0, ""},
		{"X12 empty", nil, verdict.Empty, -1, ""},
		{"X12 four bytes", x1[:4], verdict.Truncated, -1, ""},
		{"eight bytes", x1[:8], verdict.Truncated, 0, ""},
		{"cut after certificate 0", x1[:769], verdict.Truncated, 1, ""},
		{"cut inside a length", x1[:771], verdict.Truncated, 1, ""},
		{"count 0", put(x1, 4, 0), verdict.Count, -1, verdict.Trailing},
		{"count 3", put(x1, 4, 3), verdict.Count, -1, verdict.Padding},
		{"count 201", put(x1, 4, 201), verdict.Count, -1, ""},
		{"count 4 Gi", put(x1, 4, 0xff, 0xff, 0xff, 0xff), verdict.Count, -1, ""},
		{"length of certificate 0 one short", put(x1, 8, 0xf4), verdict.Framing, 0, ""},
		{"length of certificate 1 one short", put(x1, 769, 0xfc), verdict.Framing, 1, verdict.Trailing},
		{"length of certificate 1 one long", put(x1, 769, 0xfe), verdict.Framing, 1, verdict.Padding},
		{"length of certificate 1 too long", put(x1, 771, 1), verdict.Framing, 1, ""},
		{"own length of certificate 0", flip(x1, 15), verdict.DER, 0, ""},
		{"padding not zero", put(x1, 2060, 7), verdict.None, -1, verdict.Padding},
		{"bytes after the padding", append(slices.Clone(x1), 1, 2), verdict.None, -1, verdict.Trailing},
		{"starts at the count", x1[4:], verdict.None, -1, verdict.Unrecognised},
		{"a bare certificate", x1[12:769], verdict.None, -1, verdict.Unrecognised},
	} {
		c := Decode(tt.data)
		if c.Cause != tt.cause || c.FaultCertificate != tt.cert {
			t.Errorf("%s: cause %q in certificate %d; want %q in %d (%s)", tt.name, c.Cause, c.FaultCertificate, tt.cause, tt.cert, c.Detail)
		}
		if c.Healthy() != (c.Detail == "") {
			t.Errorf("%s: cause %q with detail %q", tt.name, c.Cause, c.Detail)
		}
		var kinds []verdict.NoteKind
		for _, n := range c.Notes {
			kinds = append(kinds, n.Kind)
		}
		if tt.note == "" && len(kinds) > 0 || tt.note != "" && !slices.Contains(kinds, tt.note) {
			t.Errorf("%s: notes %v, want %q", tt.name, kinds, tt.note)
		}
	}
}

func TestSpecChainDecoded(t *testing.T) {
	c := Decode(unhex(t, specChain))
	if !c.Framed || c.Unrecognised || !c.Temporary || c.Version != 2 || c.Count != 2 || len(c.Certificates) != 2 {
		t.Fatalf("frame: %+v", c)
	}
	root, leaf := c.Certificates[0], c.Leaf()
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if !root.SelfIssued() || root.Subject.String() != "CN=RODENT, L=WORKGROUP" || root.Key.Bits != 2048 ||
		!root.NotBefore.Equal(at("1970-05-27T01:11:03Z")) || !root.NotAfter.Equal(at("2049-05-27T01:11:03Z")) {
		t.Errorf("root: %+v", root)
	}
	if leaf.SelfIssued() || leaf.Subject.Get("CN") != "ncalrpc:RODENT" || leaf.Subject.Get("serialNumber") != "1BcKebhpXZtLqO7SQnBpRfudddY=\r\n" ||
		!leaf.NotAfter.Equal(at("2038-01-19T03:14:07Z")) || leaf.Key.Algorithm != "1.3.14.3.2.15" || !bytes.Equal(leaf.Serial, []byte{1, 0, 0, 0, 2}) {
		t.Errorf("leaf: %+v", leaf)
	}
	if leaf.Manufacturer != "Microsoft Corporation" || leaf.HydraVersion != 0x50001 {
		t.Errorf("manufacturer %q, version %#x", leaf.Manufacturer, leaf.HydraVersion)
	}
	product := &mscert.Product{Version: 0x3000, Count: 1, PlatformID: 2, LanguageID: 0x409, Requested: "3d267954-eeb7-11d1-b94e-00c04fa3080d",
		Adjusted: "3d267954-eeb7-11d1-b94e-00c04fa3080d", Minor: 0x1000, Flags: 0x00648000, VersionsCount: 1}
	if p := leaf.Product; p == nil || *p != *product || p.Temporary() {
		t.Errorf("product %+v", p)
	}
	if s := leaf.Server; s == nil || *s != (mscert.ServerInfo{Version: 0x3000, Name: "RODENT", ID: "78440-006-5867045-70347", Scope: "WORKGROUP"}) {
		t.Errorf("server %+v", s)
	}
}

func TestEveryPrefixIsTruncated(t *testing.T) {
	data := unhex(t, specChain)
	for n := 1; n < 2050; n++ {
		if c := Decode(data[:n]); c.Cause != verdict.Truncated {
			t.Fatalf("first %d bytes: cause %q (%s)", n, c.Cause, c.Detail)
		}
	}
	for n := 2050; n < len(data); n++ {
		if c := Decode(data[:n]); !c.Healthy() {
			t.Fatalf("first %d bytes: cause %q (%s)", n, c.Cause, c.Detail)
		}
	}
}

// Where a changed byte may lie, and which causes it may then have.
func TestEveryFlippedByteIsJudged(t *testing.T) {
	data := unhex(t, specChain)
	good := Decode(data)
	root, leaf := good.Certificates[0], good.Certificates[1]
	for at := range data {
		c := Decode(flip(data, at))
		var want []verdict.Cause
		switch {
		case at < 4:
			want = []verdict.Cause{verdict.Version}
		case at < 8:
			want = []verdict.Cause{verdict.Count}
		case at < 12 || at >= 769 && at < 773:
			want = []verdict.Cause{verdict.Framing}
		case at >= 2050:
			want = []verdict.Cause{verdict.None} // padding
		case root.Signature.Contains(at) || leaf.Signature.Contains(at):
			want = []verdict.Cause{verdict.Signature}
		case root.Issuer.Contains(at) || root.Subject.Contains(at) || leaf.Issuer.Contains(at):
			want = []verdict.Cause{verdict.DER, verdict.Issuer}
		case root.TBS.Contains(at) || leaf.TBS.Contains(at):
			want = []verdict.Cause{verdict.DER, verdict.Key, verdict.Date, verdict.Signature}
		default:
			want = []verdict.Cause{verdict.DER, verdict.Signature} // around the signed part
		}
		if !slices.Contains(want, c.Cause) {
			t.Errorf("flip %d: cause %q, want one of %q (%s)", at, c.Cause, want, c.Detail)
		}
		if c.Cause == verdict.Signature || c.Cause == verdict.DER {
			if in := at >= 773; in != (c.FaultCertificate == 1) {
				t.Errorf("flip %d: certificate %d is named", at, c.FaultCertificate)
			}
		}
	}
}

func TestRandomBytesAreNotFramed(t *testing.T) {
	x1 := unhex(t, specChain)
	noise := bytes.Repeat([]byte{0x5a, 0x11, 0x93, 0xc4, 0x07}, 60)
	if c := Decode(noise); c.Framed || c.Healthy() {
		t.Errorf("noise: framed %v, cause %q", c.Framed, c.Cause)
	}
	for name, data := range map[string][]byte{
		"version broken": put(x1, 0, 9), "count broken": put(x1, 4, 99, 9), "length broken": put(x1, 8, 1, 1, 1), "four bytes": x1[:4],
	} {
		if c := Decode(data); !c.Framed {
			t.Errorf("%s: not framed", name)
		}
	}
}

func TestCountOf201ReadsNoMore(t *testing.T) {
	// Certificates of one byte each, more of them than a chain may have.
	data := binary.LittleEndian.AppendUint32(nil, 2)
	data = binary.LittleEndian.AppendUint32(data, 1<<20)
	for range 1 << 12 {
		data = append(data, 1, 0, 0, 0, 5)
	}
	c := Decode(data)
	if c.Cause != verdict.Count || len(c.Fields) > 2*mscert.MaxCertificates+3 {
		t.Errorf("cause %q, %d fields", c.Cause, len(c.Fields))
	}
}

func TestGeneratedChains(t *testing.T) {
	rootKey, middleKey, leafKey := mscerttest.TestKey(1024, 1), mscerttest.TestKey(1024, 2), mscerttest.TestKey(512, 3)
	rootName, middleName := mscerttest.Name("Root", "Redmond"), mscerttest.Name("LS01", "WORKGROUP")
	root := mscerttest.Template{Subject: rootName, Key: rootKey}
	middle := mscerttest.Template{Subject: middleName, Issuer: rootName, Key: middleKey}
	leaf := mscerttest.Template{Subject: mscerttest.Name("ncalrpc:TS01", "x"), Issuer: middleName, Key: leafKey}
	data := mscerttest.Chain(2, root.Certificate(rootKey), middle.Certificate(rootKey), leaf.Certificate(middleKey))
	c := Decode(data)
	if !c.Healthy() || c.Temporary || len(c.Certificates) != 3 || c.Leaf().Key.Bits > 512 {
		t.Errorf("three certificates: cause %q, %d certificates (%s)", c.Cause, len(c.Certificates), c.Detail)
	}
	if len(c.Notes) != 1 || c.Notes[0].Kind != verdict.Weak {
		t.Errorf("notes %v", c.Notes)
	}
	swapped := mscerttest.Chain(2, root.Certificate(rootKey), leaf.Certificate(middleKey), middle.Certificate(rootKey))
	if c := Decode(swapped); c.Cause != verdict.Issuer || c.FaultCertificate != 1 {
		t.Errorf("swapped: cause %q in certificate %d", c.Cause, c.FaultCertificate)
	}
	for at := 0; at < len(data)-20; at += 211 {
		r := Search(flip(data, at), SearchBudget)
		if r.Outcome != verdict.Found || r.FailingByte != at || r.Original != data[at] {
			t.Errorf("flip %d of three certificates: %+v", at, r)
		}
	}
}

func TestRootNotGivenIsUnverifiable(t *testing.T) {
	outside, middleKey, leafKey := mscerttest.TestKey(1024, 1), mscerttest.TestKey(1024, 2), mscerttest.TestKey(1024, 3)
	name := mscerttest.Name("LS01", "WORKGROUP")
	first := mscerttest.Template{Subject: name, Issuer: mscerttest.Name("Root", "Redmond"), Key: middleKey}.Certificate(outside)
	second := mscerttest.Template{Subject: mscerttest.Name("a", "b"), Issuer: name, Key: leafKey}.Certificate(middleKey)
	third := mscerttest.Template{Subject: mscerttest.Name("c", "d"), Issuer: mscerttest.Name("a", "b"), Key: leafKey}.Certificate(leafKey)
	c := Decode(mscerttest.Chain(2, first, second, third))
	if !c.Healthy() || len(c.Notes) != 1 || c.Notes[0].Kind != verdict.Unverifiable {
		t.Errorf("cause %q, notes %v (%s)", c.Cause, c.Notes, c.Detail)
	}
}

// searchOffsets are bytes of every kind of place in the specification's chain,
// and every 173rd of the others.
func searchOffsets() []int {
	offsets := []int{0, 1, 4, 5, 8, 9, 11, 12, 15, 16, 19, 189, 206, 209, 213, 214, 470, 471, 473, 475, 497, 500, 508, 512, 769, 773, 777, 1778, 1780, 1790, 1793}
	if testing.Short() {
		return offsets
	}
	for at := 20; at < 2050; at += 173 {
		offsets = append(offsets, at)
	}
	return offsets
}

func TestSearchFindsTheChangedByte(t *testing.T) {
	data := unhex(t, specChain)
	for _, at := range searchOffsets() {
		broken := flip(data, at)
		r := Search(broken, SearchBudget)
		if r.Outcome != verdict.Found || r.FailingByte != at || r.Original != data[at] {
			t.Errorf("flip %d (%s): %+v", at, Decode(broken).Cause, r)
		}
	}
}

func TestSearchOfMoreThanABit(t *testing.T) {
	data := unhex(t, specChain)
	for _, at := range []int{100, 1100, 190, 472} { // dates, a name, the key's frame
		broken := put(data, at, ^data[at])
		r := Search(broken, SearchBudget)
		if r.Outcome != verdict.Found || r.FailingByte != at || r.Original != data[at] {
			t.Errorf("byte %d (%s): %+v", at, Decode(broken).Cause, r)
		}
	}
}

func TestSearchRefusesWhatIsNotOneByte(t *testing.T) {
	data := unhex(t, specChain)
	for name, broken := range map[string][]byte{
		"healthy": data, "empty": nil, "truncated": data[:1000], "unrecognised": data[4:],
		"two versions bytes":                flip(flip(data, 0), 1),
		"the top byte of the version":       flip(data, 3),
		"two bytes of the leaf's body":      flip(flip(data, 1100), 1200),
		"the leaf's body and its signature": flip(flip(data, 1100), 1900),
		"both certificates' bodies":         flip(flip(data, 100), 1100),
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

func TestSearchKeepsToItsBudget(t *testing.T) {
	data := unhex(t, specChain)
	for _, at := range []int{8, 190, 1100, 1900} {
		if r := Search(flip(flip(data, at), at+1), 1_000_000); r.Outcome != verdict.Exhausted || r.Tried > 10_000 {
			t.Errorf("bytes %d and %d: %+v", at, at+1, r)
		}
	}
}

func FuzzDecode(f *testing.F) {
	data := unhex(f, specChain)
	for _, b := range [][]byte{data, data[:1000], data[4:], flip(data, 8), flip(data, 4), put(data, 4, 3)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := Decode(data)
		if err := mscerttest.CheckFields(len(data), c.Fields); err != nil {
			t.Fatal(err)
		}
		if c.FailingOffset < 0 || c.FailingOffset+c.FailingLength > len(data) {
			t.Fatalf("fault outside the data: %+v", c.Fault)
		}
		if !c.Healthy() || c.Unrecognised {
			return
		}
		// What was decoded, framed again, is what was there.
		var raws [][]byte
		for _, cert := range c.Certificates {
			raws = append(raws, cert.In(data))
		}
		version := c.Version
		if c.Temporary {
			version |= temporaryBit
		}
		again := mscerttest.Chain(version, raws...)
		again = again[:len(again)-8-4*len(raws)]
		if !bytes.HasPrefix(data, again) {
			t.Fatal("framed again it differs")
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	data := unhex(b, specChain)
	b.ReportAllocs()
	for b.Loop() {
		if !Decode(data).Healthy() {
			b.Fatal("not healthy")
		}
	}
}

func BenchmarkSearch(b *testing.B) {
	data := unhex(b, specChain)
	for name, broken := range map[string][]byte{
		"leafBody": flip(data, 1700), "leafSignature": flip(data, 2040), "rootKey": flip(data, 460), "frame": flip(data, 771), "nothing": flip(flip(data, 1100), 1200),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Search(broken, SearchBudget)
			}
		})
	}
}

func TestHugeValueCostsLittle(t *testing.T) {
	// Lengths of zero all the way, with a byte at the very end that keeps them
	// from being padding; and a damaged chain with a long tail.
	data := make([]byte, 8<<20)
	copy(data, []byte{2, 0, 0, 0, 200})
	data[len(data)-1] = 1
	data[8+4*200+2000] = 1
	if c := Decode(data); c.Healthy() {
		t.Error("healthy")
	}
	if r := Search(append(put(unhex(t, specChain), 0, 7, 7), data...), SearchBudget); r.Outcome == verdict.Found || r.Tried > 1000 {
		t.Errorf("%+v", r)
	}
}
