package hwid

import (
	"bytes"
	"encoding/hex"
	"testing"

	"hivemend/analyze/internal/verdict"
)

// The decrypted identifier of MS-RDPELE 4.5.
const specID = "02000000f159873ec9d898af2402f8f3293af026"

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecode(t *testing.T) {
	h1 := unhex(t, specID)
	for _, tt := range []struct {
		name  string
		data  []byte
		cause verdict.Cause
	}{
		{"H1 as in the specification", h1, verdict.None},
		{"H2 cut short", h1[:16], verdict.Size},
		{"H2 zero bytes", make([]byte, 20), verdict.Blank},
		{"empty", nil, verdict.Size},
		{"one byte more", append(bytes.Clone(h1), 0), verdict.Size},
		{"all FF", bytes.Repeat([]byte{0xff}, 20), verdict.Blank},
		{"zero bytes after a platform", append(unhex(t, "02000104"), make([]byte, 16)...), verdict.Blank},
		{"FF after a platform", append(unhex(t, "02000104"), bytes.Repeat([]byte{0xff}, 16)...), verdict.Blank},
		{"one byte that is not zero", append(make([]byte, 19), 1), verdict.None},
		{"platform 0", append(make([]byte, 4), h1[4:]...), verdict.None},
	} {
		id := Decode(tt.data)
		if id.Cause != tt.cause {
			t.Errorf("%s: cause %q, want %q", tt.name, id.Cause, tt.cause)
		}
		if id.Healthy() != (id.Detail == "") {
			t.Errorf("%s: detail %q", tt.name, id.Detail)
		}
	}
	id := Decode(h1)
	if id.PlatformID != 2 || !bytes.Equal(id.Data[:], h1[4:]) {
		t.Errorf("decoded %+v", id)
	}
}

func TestPlatform(t *testing.T) {
	for id, want := range map[uint32]string{
		0x00000002: "0x00000002",
		0x04010006: "0x04010006, Windows 5.2 to 6.3, client by Microsoft",
		0x08020000: "0x08020000, Windows 10 or later, client by Citrix",
	} {
		if got := Platform(id); got != want {
			t.Errorf("Platform(%#x) = %s, want %s", id, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(unhex(f, specID))
	f.Add(make([]byte, 20))
	f.Fuzz(func(t *testing.T, data []byte) {
		id := Decode(data)
		end := 0
		for _, field := range id.Fields {
			if field.Offset != end {
				t.Fatalf("%s at %d, want %d", field.Name, field.Offset, end)
			}
			end += field.Length
		}
		if end != len(data) {
			t.Fatalf("the fields end at %d of %d", end, len(data))
		}
	})
}
