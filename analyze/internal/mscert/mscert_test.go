package mscert

import (
	"bytes"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"hivemend/analyze/internal/der"
	"hivemend/analyze/internal/mscert/mscerttest"
	"hivemend/analyze/internal/verdict"
)

var (
	rootKey  = mscerttest.TestKey(1024, 1)
	leafKey  = mscerttest.TestKey(1024, 2)
	otherKey = mscerttest.TestKey(1024, 3)
	rootName = mscerttest.Name("LS01", "WORKGROUP")
	leafName = mscerttest.Name("ncalrpc:TS01", "ncalrpc:TS01")
)

func root() mscerttest.Template {
	return mscerttest.Template{Subject: rootName, Key: rootKey}
}

func leaf() mscerttest.Template {
	return mscerttest.Template{Subject: leafName, Issuer: rootName, Key: leafKey, Serial: []byte{1, 0, 0, 0, 2}}
}

func parse(t testing.TB, raw []byte) *Certificate {
	t.Helper()
	c, err := Parse(raw, 0, len(raw))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// judge parses certificates in order from root to leaf and judges them.
func judge(t testing.TB, raw ...[]byte) Judgement {
	t.Helper()
	var certs []*Certificate
	for _, b := range raw {
		certs = append(certs, parse(t, b))
	}
	parents, order := ChainParents(certs)
	return Judge(certs, parents, order)
}

func TestWhatMicrosoftWritesIsHealthy(t *testing.T) {
	for name, change := range map[string]func(*mscerttest.Template){
		"usual":                  func(*mscerttest.Template) {},
		"negative serial":        func(c *mscerttest.Template) { c.Serial = []byte{0x80, 1} },
		"serial with zeros":      func(c *mscerttest.Template) { c.Serial = []byte{0, 0, 1} },
		"key under sha":          func(c *mscerttest.Template) { c.KeyAlgorithm = "1.3.14.3.2.15" },
		"key under md5":          func(c *mscerttest.Template) { c.KeyAlgorithm = "1.3.14.3.2.25" },
		"key under md5WithRSA":   func(c *mscerttest.Template) { c.KeyAlgorithm = "1.2.840.113549.1.1.4" },
		"SHA-1 under RSA's name": func(c *mscerttest.Template) { c.Algorithm = "1.2.840.113549.1.1.5" },
		"SHA-1 under OIW's sha":  func(c *mscerttest.Template) { c.Algorithm = "1.3.14.3.2.15" },
		"SHA-256":                func(c *mscerttest.Template) { c.Hash = "sha256" },
		"ends in 2038":           func(c *mscerttest.Template) { c.NotAfter = mscerttest.Time("380119031407Z") },
		"GeneralizedTime":        func(c *mscerttest.Template) { c.NotAfter = mscerttest.Time("20990101000000Z") },
	} {
		c := leaf()
		change(&c)
		if j := judge(t, root().Certificate(rootKey), c.Certificate(rootKey)); !j.Healthy() || len(j.Notes) > 0 {
			t.Errorf("%s: cause %q, notes %v (%s)", name, j.Cause, j.Notes, j.Detail)
		}
	}
}

func TestFaults(t *testing.T) {
	zero := mscerttest.Key{N: new(big.Int), E: rootKey.E}
	even := mscerttest.Key{N: rootKey.N, E: big.NewInt(65536)}
	one := mscerttest.Key{N: rootKey.N, E: big.NewInt(1)}
	for _, tt := range []struct {
		name   string
		change func(*mscerttest.Template)
		signer mscerttest.Key
		cause  verdict.Cause
	}{
		{"another issuer's name", func(c *mscerttest.Template) { c.Issuer = mscerttest.Name("LS02", "WORKGROUP") }, rootKey, verdict.Issuer},
		{"zero modulus", func(c *mscerttest.Template) { c.Key = zero }, rootKey, verdict.Key},
		{"even exponent", func(c *mscerttest.Template) { c.Key = even }, rootKey, verdict.Key},
		{"exponent 1", func(c *mscerttest.Template) { c.Key = one }, rootKey, verdict.Key},
		{"no RSA key under RSA", func(c *mscerttest.Template) {
			c.SPKI = mscerttest.TLV(0x30, mscerttest.Algorithm("1.2.840.113549.1.1.1"), mscerttest.TLV(3, []byte{0, 5, 0}))
		}, rootKey, verdict.Key},
		{"no bit string under an unknown algorithm", func(c *mscerttest.Template) {
			c.SPKI = mscerttest.TLV(0x30, mscerttest.Algorithm("1.2.840.10045.2.1"), mscerttest.TLV(4, []byte{0, 4, 1, 2, 3}))
		}, rootKey, verdict.Key},
		{"a broken parameter under an unknown algorithm", func(c *mscerttest.Template) {
			c.SPKI = mscerttest.TLV(0x30, mscerttest.TLV(0x30, mscerttest.OID("1.2.840.10045.2.1"), []byte{6, 9, 1}), mscerttest.TLV(3, []byte{0, 4, 1}))
		}, rootKey, verdict.Key},
		{"empty key", func(c *mscerttest.Template) { c.SPKI = mscerttest.TLV(0x30) }, rootKey, verdict.Key},
		{"month 13", func(c *mscerttest.Template) { c.NotBefore = mscerttest.Time("071301000000Z") }, rootKey, verdict.Date},
		{"no date", func(c *mscerttest.Template) { c.NotBefore = mscerttest.TLV(5) }, rootKey, verdict.Date},
		{"ends before it begins", func(c *mscerttest.Template) { c.NotBefore = mscerttest.Time("20500101000000Z") }, rootKey, verdict.Date},
		{"ends in 1601", func(c *mscerttest.Template) {
			c.NotBefore, c.NotAfter = mscerttest.Time("16010101000000Z"), mscerttest.Time("16010101000000Z")
		}, rootKey, verdict.Date},
		{"begins in 1601", func(c *mscerttest.Template) { c.NotBefore = mscerttest.Time("16010101000000Z") }, rootKey, verdict.Date},
		{"ends with 1970-01-01", func(c *mscerttest.Template) {
			c.NotBefore, c.NotAfter = mscerttest.Time("700101000000Z"), mscerttest.Time("700101000000Z")
		}, rootKey, verdict.Date},
		{"signed by another", func(*mscerttest.Template) {}, otherKey, verdict.Signature},
		{"two algorithms", func(c *mscerttest.Template) { c.OuterAlgorithm = "1.2.840.113549.1.1.5" }, rootKey, verdict.Signature},
	} {
		c := leaf()
		tt.change(&c)
		j := judge(t, root().Certificate(rootKey), c.Certificate(tt.signer))
		if j.Cause != tt.cause || j.Certificate != 1 || j.Detail == "" {
			t.Errorf("%s: cause %q in certificate %d, want %q in 1 (%s)", tt.name, j.Cause, j.Certificate, tt.cause, j.Detail)
		}
	}
}

func TestCausesComeInTheirOrder(t *testing.T) {
	// The leaf's issuer is wrong and the root's date is: issuer comes first.
	r, l := root(), leaf()
	r.NotBefore = mscerttest.Time("20500101000000Z")
	l.Issuer = leafName
	if j := judge(t, r.Certificate(rootKey), l.Certificate(rootKey)); j.Cause != verdict.Issuer || j.Certificate != 1 {
		t.Errorf("cause %q in certificate %d", j.Cause, j.Certificate)
	}
	// Both dates are wrong: the root's is named.
	l = leaf()
	l.NotBefore = mscerttest.Time("20500101000000Z")
	if j := judge(t, r.Certificate(rootKey), l.Certificate(otherKey)); j.Cause != verdict.Date || j.Certificate != 0 {
		t.Errorf("cause %q in certificate %d", j.Cause, j.Certificate)
	}
}

func TestNotes(t *testing.T) {
	short := mscerttest.TestKey(512, 9)
	kinds := func(j Judgement) (k []verdict.NoteKind) {
		for _, n := range j.Notes {
			k = append(k, n.Kind)
		}
		return k
	}
	unknownKey := leaf()
	unknownKey.SPKI = mscerttest.TLV(0x30, mscerttest.Algorithm("1.2.840.10045.2.1"), mscerttest.TLV(3, []byte{0, 4, 1, 2, 3}))
	unknownSignature := leaf()
	unknownSignature.Algorithm = "1.2.840.10045.4.1"
	shortKey := leaf()
	shortKey.Key = short
	md5Leaf := leaf()
	md5Leaf.Hash = "md5"
	intermediate := mscerttest.Template{Subject: rootName, Issuer: mscerttest.Name("Clearing House", "Redmond"), Key: rootKey}
	third := mscerttest.Template{Subject: mscerttest.Name("x", "y"), Issuer: leafName, Key: otherKey}
	for _, tt := range []struct {
		name string
		raw  [][]byte
		want []verdict.NoteKind
	}{
		{"leaf's key of another kind, which signs nothing", [][]byte{root().Certificate(rootKey), unknownKey.Certificate(rootKey)}, nil},
		{"issuer's key of another kind", [][]byte{root().Certificate(rootKey), unknownKey.Certificate(rootKey), third.Certificate(leafKey)}, []verdict.NoteKind{verdict.Unverifiable}},
		{"unknown algorithm, signed by another", [][]byte{root().Certificate(rootKey), unknownSignature.Certificate(otherKey)}, []verdict.NoteKind{verdict.Unverifiable}},
		{"512 bits", [][]byte{root().Certificate(rootKey), shortKey.Certificate(rootKey)}, []verdict.NoteKind{verdict.Weak}},
		{"MD5", [][]byte{root().Certificate(rootKey), md5Leaf.Certificate(rootKey)}, []verdict.NoteKind{verdict.Weak}},
		{"three, root not given", [][]byte{intermediate.Certificate(otherKey), leaf().Certificate(rootKey), third.Certificate(leafKey)}, []verdict.NoteKind{verdict.Unverifiable}},
	} {
		j := judge(t, tt.raw...)
		if got := kinds(j); !j.Healthy() || !slices.Equal(got, tt.want) {
			t.Errorf("%s: cause %q, notes %v, want %v (%s)", tt.name, j.Cause, got, tt.want, j.Detail)
		}
	}
	if j := judge(t, intermediate.Certificate(otherKey), leaf().Certificate(rootKey)); j.Cause != verdict.Issuer || j.Certificate != 0 {
		t.Errorf("of two certificates the first must be its own issuer: %q in %d", j.Cause, j.Certificate)
	}
}

func TestRootWithADamagedNameIsNoStranger(t *testing.T) {
	raw := root().Certificate(rootKey)
	c := parse(t, raw)
	raw[c.Subject.Offset+10] ^= 1
	third := mscerttest.Template{Subject: mscerttest.Name("x", "y"), Issuer: leafName, Key: otherKey}
	if j := judge(t, raw, leaf().Certificate(rootKey), third.Certificate(leafKey)); j.Cause != verdict.Issuer || j.Certificate != 0 {
		t.Errorf("cause %q in certificate %d (%s)", j.Cause, j.Certificate, j.Detail)
	}
}

func TestBagParents(t *testing.T) {
	renewed := mscerttest.Template{Subject: rootName, Key: otherKey}
	raws := [][]byte{leaf().Certificate(rootKey), renewed.Certificate(otherKey), root().Certificate(rootKey), leaf().Certificate(otherKey)}
	var certs []*Certificate
	for _, raw := range raws {
		certs = append(certs, parse(t, raw))
	}
	parents, order := BagParents(certs)
	if want := []int{2, 1, 2, 1}; !slices.Equal(parents, want) {
		t.Errorf("parents %v, want %v", parents, want)
	}
	if want := []int{1, 2, 0, 3}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	if j := Judge(certs, parents, order); !j.Healthy() {
		t.Errorf("cause %q (%s)", j.Cause, j.Detail)
	}
}

func TestCircleOfIssuersEnds(t *testing.T) {
	a := mscerttest.Template{Subject: rootName, Issuer: leafName, Key: rootKey}.Certificate(leafKey)
	b := mscerttest.Template{Subject: leafName, Issuer: rootName, Key: leafKey}.Certificate(rootKey)
	certs := []*Certificate{parse(t, a), parse(t, b)}
	parents, order := BagParents(certs)
	if len(order) != 2 {
		t.Fatalf("parents %v, order %v", parents, order)
	}
	if j := Judge(certs, parents, order); !j.Healthy() {
		t.Errorf("they do sign each other: %q", j.Cause)
	}
}

func TestHugeKeysAreNotComputedWith(t *testing.T) {
	n := new(big.Int).Lsh(big.NewInt(1), maxModulusBits+8)
	huge := mscerttest.Key{N: n.Add(n, big.NewInt(1)), E: big.NewInt(65537)}
	r := root()
	r.Key = huge
	if j := judge(t, r.Certificate(rootKey), leaf().Certificate(rootKey)); len(j.Notes) != 2 || j.Notes[0].Kind != verdict.Unverifiable {
		t.Errorf("cause %q, notes %v", j.Cause, j.Notes)
	}
	r.Key = mscerttest.Key{N: rootKey.N, E: new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 4000), big.NewInt(1))}
	if j := judge(t, r.Certificate(rootKey), leaf().Certificate(rootKey)); len(j.Notes) != 2 {
		t.Errorf("cause %q, notes %v", j.Cause, j.Notes)
	}
}

func TestParseTime(t *testing.T) {
	for _, tt := range []struct {
		tag  der.Tag
		s    string
		want string // "": no date
	}{
		{der.UTCTime, "700527011103Z", "1970-05-27T01:11:03Z"},
		{der.UTCTime, "490527011103Z", "2049-05-27T01:11:03Z"},
		{der.UTCTime, "500101000000Z", "1950-01-01T00:00:00Z"},
		{der.UTCTime, "680101000000Z", "1968-01-01T00:00:00Z"},
		{der.UTCTime, "690101000000Z", "1969-01-01T00:00:00Z"},
		{der.UTCTime, "0701010000Z", "2007-01-01T00:00:00Z"},
		{der.UTCTime, "070101000000+0100", "2006-12-31T23:00:00Z"},
		{der.UTCTime, "071301000000Z", ""},
		{der.UTCTime, "070230000000Z", ""},
		{der.UTCTime, "07 101000000Z", ""},
		{der.UTCTime, "070101000000.5Z", ""},
		{der.UTCTime, "070101000000", ""},
		{der.UTCTime, "", ""},
		{der.GeneralizedTime, "20990101000000Z", "2099-01-01T00:00:00Z"},
		{der.GeneralizedTime, "990101000000Z", ""},
		{der.OctetString, "700527011103Z", ""},
	} {
		got, ok := parseTime(tt.tag, []byte(tt.s))
		if ok != (tt.want != "") || ok && got.Format(time.RFC3339) != tt.want {
			t.Errorf("%v %q: %v, %v; want %q", tt.tag, tt.s, got, ok, tt.want)
		}
	}
}

func TestStringsOfNames(t *testing.T) {
	for _, tt := range []struct {
		tag     byte
		content string
		want    string
	}{
		{0x1e, "\x00A\x20\xac", "A€"},
		{0x13, "plain", "plain"},
		{0x14, "caf\xe9", "café"},
		{0x0c, "café", "café"},
		{0x1c, "\x00\x00\x00A\x00\x01\xf6\x00", "A😀"},
		{0x1c, "\xff\xff\xff\xff", "\ufffd"},
		{0x1e, "\x00A\x00\x00", "A"},
		{0x02, "\x07", "#07"},
	} {
		name := mscerttest.TLV(0x30, mscerttest.TLV(0x31, mscerttest.TLV(0x30, mscerttest.OID("2.5.4.3"), mscerttest.TLV(tt.tag, []byte(tt.content)))))
		c := parse(t, mscerttest.Template{Subject: name, Key: rootKey}.Certificate(rootKey))
		if got := c.Subject.Get("CN"); got != tt.want {
			t.Errorf("tag %#x %q: %q, want %q", tt.tag, tt.content, got, tt.want)
		}
	}
}

func TestServerInfoVersions(t *testing.T) {
	v1 := mscerttest.Unhex("00100000" + "0000" + "0600" + "490044000000" + "530043000000")
	if s, ok := decodeServerInfo(v1); !ok || *s != (ServerInfo{Version: 0x1000, ID: "ID", Scope: "SC"}) {
		t.Errorf("version 1: %+v, %v", s, ok)
	}
	for _, bad := range []string{"", "0030", "003000000000", "00300000000000000000", "0030000000000000ffff"} {
		s, ok := decodeServerInfo(mscerttest.Unhex(bad))
		if ok && len(bad) != 20 {
			t.Errorf("%s: %+v", bad, s)
		}
	}
}

func TestProductOutsideItsBounds(t *testing.T) {
	good := mscerttest.Product("A02", "A02-6.00-S", 6, 0, 0x80648000)
	body := good[bytes.LastIndex(good, []byte{0, 0x30, 0, 0}):]
	if p, ok := decodeProduct(body); !ok || p.Adjusted != "A02-6.00-S" || !p.Temporary() {
		t.Fatalf("%+v, %v", p, ok)
	}
	for at := 16; at < 26; at += 2 {
		bad := slices.Clone(body)
		bad[at], bad[at+1] = 0xff, 0xff
		if p, ok := decodeProduct(bad); ok {
			t.Errorf("offset at %d: %+v", at, p)
		}
	}
	for n := range body {
		decodeProduct(body[:n])
	}
}

// FuzzParse holds the reader to its promises: fields lie inside each other,
// and the parts that make up the signed whole are where it says.
func FuzzParse(f *testing.F) {
	withProduct := leaf()
	withProduct.Extensions = mscerttest.Product("A02", "A02-6.00-S", 6, 0, 0x80648000)
	for _, raw := range [][]byte{root().Certificate(rootKey), leaf().Certificate(rootKey), withProduct.Certificate(rootKey)} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := Parse(raw, 0, len(raw))
		if err != nil {
			if err.Offset < 0 || err.Offset > len(raw) {
				t.Fatalf("error at %d of %d", err.Offset, len(raw))
			}
			return
		}
		if err := mscerttest.CheckFields(len(raw), c.Fields); err != nil {
			t.Fatal(err)
		}
		again := mscerttest.TLV(0x30, c.TBS.In(raw), c.AlgorithmRaw.In(raw), mscerttest.TLV(3, []byte{0}, c.Signature.In(raw)))
		if len(raw) < 1<<16 && !bytes.Equal(again, raw) {
			t.Fatal("put together again it differs")
		}
		parents, order := BagParents([]*Certificate{c})
		Judge([]*Certificate{c}, parents, order)
	})
}

func TestHostileSizesAreRefused(t *testing.T) {
	attribute := mscerttest.TLV(0x30, mscerttest.OID("2.5.4.3"), mscerttest.TLV(0x13, []byte("x")))
	extension := mscerttest.TLV(0x30, mscerttest.OID("2.5.29.19"), mscerttest.TLV(4))
	manyNames := root()
	manyNames.Subject = mscerttest.TLV(0x30, mscerttest.TLV(0x31, slices.Repeat(attribute, maxAttributes+1)))
	manyExtensions := root()
	manyExtensions.Extensions = mscerttest.TLV(0xa3, mscerttest.TLV(0x30, slices.Repeat(extension, maxExtensions+1)))
	for name, c := range map[string]mscerttest.Template{"names": manyNames, "extensions": manyExtensions} {
		raw := c.Certificate(rootKey)
		if _, err := Parse(raw, 0, len(raw)); err == nil || !strings.Contains(err.Error(), "more than 64") {
			t.Errorf("%s: %v", name, err)
		}
	}
	huge := make([]byte, maxCertificateLen+1)
	if _, err := Parse(huge, 0, len(huge)); err == nil || !strings.Contains(err.Error(), "more than any certificate") {
		t.Errorf("huge: %v", err)
	}
}
