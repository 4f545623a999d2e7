package propcert

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"

	"hivemend/analyze/internal/verdict"
)

// The certificate of MS-RDPBCGR 4.1.4.
const spec512 = "" +
	"01000000010000000100000006005c005253413148000000000200003f00000001000100cb81feba6d61c35505d55f2e87f87194d6f1a5cbf15f0c3df8700296" +
	"c4fb9bc83c2d55aee8ff3275ea6879e5a201fd31a0b11f55a61fc1f6d1838863265612bc000000000000000008004800e9e1d628468b4ef50adffdee2199acb4" +
	"e18f5f815782ef9d965263271829dbb34afd9ada42adb56921890e1dc04c1aa8aa713e0f54b99ae499683f6cd67684610000000000000000"

// The public key of MS-RDPBCGR 5.3.3.1.2, signed with the published key.
const spec5331 = "" +
	"01000000010000000100000006005c005253413148000000000200003f00000001000100affe36f2c5a1442e47c131a7dbc6670264715c00c9b6b304d0899fe7" +
	"6b24e8e8e52d0b13a90c6d4d915ee8f6b31717e39fc54d4abafab92a1bfb10dd918c60b7000000000000000008004800b8ae2db837f6b40da4e340c68a67f9ef" +
	"08c20517b772fec30638b1908089de579ed4747abcaf0cfe2d487fde5cdee4d9f9c49633b940afa8963f1996bef589290000000000000000"

// A throwaway 2048-bit key in a certificate made by xrdp-keygen.
const xrdp2048 = "" +
	"01000000010000000100000006001c01525341310801000000080000ff00000001000100e99f0458bee70ff41ad17cc08b4bbc52da1bfbc9e60c6b2435686b35" +
	"ba503461bfa24e3d33c4b6249499882786afe6f130c25f31217f0b5e951aebc817b4ed58e182d94d186df262acc3c470207add1b63641e94002d5742961e7ee1" +
	"29e37662b38b4cec40d2e8491051f6c5911d1e05f3224a05852304084196f2ae201cc4e3e108a6a8789f2ace6b1eeb146863ed0597e6dbdb60b32754099733ae" +
	"1bcaafebf2c6a30688e29fd6e8f6b58238561d7004f2c70c85b938aaad4cc82f79ad445f456eb787abf1f4a070b80f9428f95188ca50d6023e1a26cdb2cc90fa" +
	"adc379da709c2a1cb463aa08fcb0cfc1bd9b6d158abbaec5d9baa0100f93e835bc70f0da0000000000000000080048002c361acfca18b496f415e6e112391dbf" +
	"a07613bd26eabf56db503d2b8511719a0ab161a92fa218607503bcee7aef05639384bd37cc2359b7e63f76261f0cd1160000000000000000"

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

// generate makes a signed certificate for a key of the given size from a seed;
// the modulus is no product of primes, which no check can see.
func generate(bits int, seed uint32) []byte {
	mod := make([]byte, 0, bits/8)
	for i := uint32(0); len(mod) < bits/8; i++ {
		sum := md5.Sum(binary.LittleEndian.AppendUint64(nil, uint64(seed)<<32|uint64(i)))
		mod = append(mod, sum[:]...)
	}
	mod = mod[:bits/8]
	mod[0] |= 1
	mod[len(mod)-1] |= 0x80
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 1)
	b = le.AppendUint32(b, 1)
	b = le.AppendUint32(b, 1)
	b = le.AppendUint16(b, 6)
	b = le.AppendUint16(b, uint16(20+bits/8+8))
	b = append(b, "RSA1"...)
	b = le.AppendUint32(b, uint32(bits/8+8))
	b = le.AppendUint32(b, uint32(bits))
	b = le.AppendUint32(b, uint32(bits/8-1))
	b = le.AppendUint32(b, 65537)
	b = append(b, mod...)
	b = append(b, make([]byte, 8)...)
	return appendSignature(b)
}

func appendSignature(signed []byte) []byte {
	sig := sign(blockFor(md5.Sum(signed)))
	b := binary.LittleEndian.AppendUint16(slices.Clone(signed), 8)
	b = binary.LittleEndian.AppendUint16(b, 72)
	b = append(b, sig[:]...)
	return append(b, make([]byte, 8)...)
}

func TestSpecVectors(t *testing.T) {
	p1, p5, p6 := unhex(t, spec512), unhex(t, spec5331), unhex(t, xrdp2048)
	for _, tt := range []struct {
		name  string
		data  []byte
		cause verdict.Cause
		bits  int
	}{
		{"P1 as in the specification", p1, verdict.None, 512},
		{"P2 modulus", flip(p1, 0x24), verdict.Signature, 512},
		{"P3 first signature byte", flip(p1, 0x70), verdict.Signature, 512},
		{"P4 exponent becomes even", flip(p1, 0x20), verdict.Key, 512},
		{"P5 signed here", p5, verdict.None, 512},
		{"P6 2048 bits", p6, verdict.None, 2048},
		{"P7 one byte short", p1[:183], verdict.Truncated, 512},
		{"P7 100 bytes", p1[:100], verdict.Truncated, 512},
		{"P7 empty", nil, verdict.Empty, 0},
		{"P7 16 zero bytes", make([]byte, 16), verdict.Structure, 0},
		{"P8 trailing", append(slices.Clone(p1), 0, 0, 0, 0), verdict.None, 512},
	} {
		c := Decode(tt.data)
		if c.Cause != tt.cause || c.Bits != tt.bits {
			t.Errorf("%s: cause %q, %d bits; want %q, %d bits (%s)", tt.name, c.Cause, c.Bits, tt.cause, tt.bits, c.Detail)
		}
		if (c.Cause == verdict.None) != (c.Detail == "") {
			t.Errorf("%s: cause %q with detail %q", tt.name, c.Cause, c.Detail)
		}
	}
}

func TestEveryPrefixIsTruncated(t *testing.T) {
	for _, s := range []string{spec512, xrdp2048} {
		data := unhex(t, s)
		for n := 1; n < len(data); n++ {
			if c := Decode(data[:n]); c.Cause != verdict.Truncated || c.FailingOffset != n {
				t.Fatalf("first %d of %d bytes: cause %q at %d (%s)", n, len(data), c.Cause, c.FailingOffset, c.Detail)
			}
		}
	}
}

func TestCutOffFieldThatDisagreesIsStructure(t *testing.T) {
	for _, data := range [][]byte{{2}, {1, 0, 0, 0, 9}, unhex(t, spec512)[:17]} {
		want := verdict.Structure
		if len(data) == 17 {
			data[16] = 'X'
		}
		if c := Decode(data); c.Cause != want {
			t.Errorf("%x: cause %q, want %q", data, c.Cause, want)
		}
	}
}

// causeOf says what a changed bit at offset at of a certificate has to give.
func causeOf(at int, l layout) verdict.Cause {
	switch {
	case at < 32:
		return verdict.Structure
	case at == 32 || at == 34:
		return verdict.Key // the exponent becomes 65536, or 1
	case at < l.signedLen():
		return verdict.Signature
	case at < l.signatureOffset():
		return verdict.Structure
	case at < l.signatureOffset()+signatureLen:
		return verdict.Signature
	default:
		return verdict.None // padding of the signature, which nothing covers
	}
}

func TestEveryFlippedByteIsJudgedAndFound(t *testing.T) {
	for _, s := range []string{spec512, spec5331, xrdp2048} {
		data := unhex(t, s)
		l, ok := layoutOfSize(len(data))
		if !ok {
			t.Fatalf("no layout for %d bytes", len(data))
		}
		for at := range data {
			broken := flip(data, at)
			c := Decode(broken)
			if want := causeOf(at, l); c.Cause != want {
				t.Fatalf("%d bytes, flip %d: cause %q, want %q (%s)", len(data), at, c.Cause, want, c.Detail)
			}
			if c.Cause == verdict.None {
				if len(c.Notes) == 0 || c.Notes[0].Kind != verdict.Padding {
					t.Errorf("flip %d: no note about the padding: %v", at, c.Notes)
				}
				continue
			}
			if c.FailingLength > 0 && (at < c.FailingOffset || at >= c.FailingOffset+c.FailingLength) {
				t.Errorf("flip %d: the fault names bytes %d+%d", at, c.FailingOffset, c.FailingLength)
			}
			if testing.Short() && at%16 != 0 {
				continue
			}
			r := Search(broken, SearchBudget)
			if r.Outcome != verdict.Found || r.FailingByte != at || r.Original != data[at] {
				t.Fatalf("%d bytes, flip %d: search gives %+v, want %d, %#x", len(data), at, r, at, data[at])
			}
		}
	}
}

func TestGeneratedCertificates(t *testing.T) {
	for _, bits := range []int{512, 520, 768, 1024, 2048} {
		data := generate(bits, uint32(bits))
		c := Decode(data)
		if !c.Healthy() || c.Bits != bits || c.Size != len(data) {
			t.Errorf("%d bits: %q, %d bits, size %d of %d (%s)", bits, c.Cause, c.Bits, c.Size, len(data), c.Detail)
		}
	}
	for _, bits := range []int{256, 504, 2056, 4096} {
		if c := Decode(generate(bits, 1)); c.Cause != verdict.Structure {
			t.Errorf("%d bits: cause %q, want structure", bits, c.Cause)
		}
	}
}

func TestKeysThatCannotBe(t *testing.T) {
	good := generate(512, 7)
	for name, change := range map[string]func(signed []byte){
		"zero modulus":  func(b []byte) { clear(b[36:100]) },
		"exponent 0":    func(b []byte) { clear(b[32:36]) },
		"exponent 1":    func(b []byte) { copy(b[32:36], []byte{1, 0, 0, 0}) },
		"even exponent": func(b []byte) { copy(b[32:36], []byte{4, 0, 1, 0}) },
	} {
		signed := slices.Clone(good[:108])
		change(signed)
		if c := Decode(appendSignature(signed)); c.Cause != verdict.Key {
			t.Errorf("%s: cause %q, want key", name, c.Cause)
		}
	}
}

func TestSearchRefusesWhatIsNotOneByte(t *testing.T) {
	data := unhex(t, spec512)
	for name, broken := range map[string][]byte{
		"healthy":                    data,
		"empty":                      nil,
		"truncated":                  data[:150],
		"two modulus bytes":          flip(flip(data, 40), 50),
		"modulus and signature":      flip(flip(data, 40), 120),
		"two signature bytes":        flip(flip(data, 120), 121),
		"two signature header bytes": flip(flip(data, 108), 110),
		"random":                     bytes.Repeat([]byte{0xa7}, 184),
		"structure, but signed so":   appendSignature(append(make([]byte, 4), data[4:108]...)),
		"structure, but signed so, and a byte after it": flip(appendSignature(append(make([]byte, 4), data[4:108]...)), 108),
		"even exponent, but signed so":                  func() []byte { s := slices.Clone(data[:108]); s[32] = 2; return appendSignature(s) }(),
	} {
		if r := Search(broken, SearchBudget); r.Outcome != verdict.NotFound {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestSearchWithTrailingBytes(t *testing.T) {
	data := unhex(t, xrdp2048)
	broken := append(flip(data, 60), 1, 2, 3)
	if r := Search(broken, SearchBudget); r.Outcome != verdict.Found || r.FailingByte != 60 || r.Original != data[60] {
		t.Errorf("%+v", r)
	}
}

func TestSearchKeepsToItsBudget(t *testing.T) {
	broken := flip(flip(unhex(t, xrdp2048), 200), 210)
	if r := Search(broken, 1000); r.Outcome != verdict.Exhausted || r.Tried != 1000 {
		t.Errorf("%+v", r)
	}
	if r := Search(broken, SearchBudget); r.Outcome != verdict.NotFound {
		t.Errorf("the whole search: %+v", r)
	}
}

func TestSearchLeavesTheDataAlone(t *testing.T) {
	broken := flip(unhex(t, spec512), 40)
	before := slices.Clone(broken)
	Search(broken, SearchBudget)
	if !bytes.Equal(broken, before) {
		t.Error("Search wrote to its input")
	}
}

func TestKeyDigestTellsKeysApart(t *testing.T) {
	a, b := Decode(unhex(t, spec512)), Decode(unhex(t, spec5331))
	if a.KeyDigest == b.KeyDigest || a.KeyDigest != Decode(unhex(t, spec512)).KeyDigest {
		t.Error("the digest does not stand for the key")
	}
}

// checkFields tests what verdict.Field promises, and that the fields cover
// every byte exactly once.
func checkFields(data []byte, fields []verdict.Field) error {
	end := 0
	for _, f := range fields {
		if f.Offset != end || f.Length <= 0 || f.Offset+f.Length > len(data) {
			return fmt.Errorf("%q at %d+%d, but the one before ends at %d and the data at %d", f.Name, f.Offset, f.Length, end, len(data))
		}
		end = f.Offset + f.Length
	}
	if end != len(data) {
		return fmt.Errorf("the fields end at %d, the data at %d", end, len(data))
	}
	return nil
}

func TestFieldsCoverTheValue(t *testing.T) {
	data := append(unhex(t, xrdp2048), 9, 9)
	for n := range data {
		if err := checkFields(data[:n], Decode(data[:n]).Fields); err != nil {
			t.Fatalf("first %d bytes: %v", n, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{spec512, xrdp2048} {
		data := unhex(f, s)
		f.Add(data)
		f.Add(data[:100])
		f.Add(flip(data, 20))
		f.Add(append(data, 1))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := Decode(data)
		if err := checkFields(data, c.Fields); err != nil {
			t.Fatal(err)
		}
		if c.FailingOffset < 0 || c.FailingOffset+c.FailingLength > len(data)+4 {
			t.Fatalf("fault outside the data: %+v", c.Fault)
		}
		if !c.Healthy() {
			return
		}
		// A healthy certificate holds nothing but what was decoded: signing
		// the same key again gives the same bytes, padding apart.
		if again := appendSignature(data[:layout{c.Bits}.signedLen()]); !bytes.Equal(again[:c.Size-paddingLen], data[:c.Size-paddingLen]) {
			t.Fatal("signed again it differs")
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, s := range []string{spec512, xrdp2048} {
		data := unhex(b, s)
		b.Run(fmt.Sprintf("%dbytes", len(data)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !Decode(data).Healthy() {
					b.Fatal("not healthy")
				}
			}
		})
	}
}

func BenchmarkSearch(b *testing.B) {
	data := unhex(b, xrdp2048)
	for name, broken := range map[string][]byte{
		"lastSignedByte": flip(data, 290), "signature": flip(data, 320), "none": flip(flip(data, 40), 50),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Search(broken, SearchBudget)
			}
		})
	}
}
