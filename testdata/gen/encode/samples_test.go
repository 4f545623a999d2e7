package encode

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

// The hashes are of the samples as the Open Specifications print them.
func TestSamplesAreByteExact(t *testing.T) {
	tests := []struct {
		name string
		got  []byte
		size int
		want string
	}{
		{"MS-RDPBCGR 4.1.4", SampleProprietary(), 184, "fbd44c78cb97b5b44d3fb76a92b78d74f5f6237a25686b1ff81bbe7d9092f3ff"},
		{"MS-RDPBCGR 5.3.3.1.2", SampleProprietaryExample(), 184, "5f88c0bce13c02bc56ebbef485ee52b3f333db75cd3748ac72bf99ca53530efa"},
		{"MS-RDPELE 4.1", SampleChain(), 2066, "3daeb650a75586740995984376b3b9b9c5089fccf546f988bb91b47bb7fc808a"},
		{"MS-RDPELE 4.3", SampleLicence(), 1945, "cbb96a6458c5f91b43ef414ce1d201808778893dab670c7501a3491377f664f0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sum := sha256.Sum256(tt.got)
			if len(tt.got) != tt.size || hex.EncodeToString(sum[:]) != tt.want {
				t.Errorf("%d bytes %x, want %d bytes %s", len(tt.got), sum, tt.size, tt.want)
			}
		})
	}
}
