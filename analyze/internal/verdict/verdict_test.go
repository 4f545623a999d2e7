package verdict

import "testing"

func TestTextIsFreeOfControlCharacters(t *testing.T) {
	for in, want := range map[string]string{
		"RODENT":           "RODENT",
		"1BcKeb=\r\n":      `1BcKeb=\u000d\u000a`,
		"a\x1b[31m":        `a\u001b[31m`,
		"\u202eexe":        `\u202eexe`,
		"\xed\xa0\x80":     `\xed\xa0\x80`,
		`back\slash`:       `back\\slash`,
		"Größe 名":          "Größe 名",
		"\U000e0001":       `\U000e0001`,
		"nul\x00inside \t": `nul\u0000inside \u0009`,
	} {
		if got := Text(in); got != want {
			t.Errorf("Text(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestHex(t *testing.T) {
	if got := Hex([]byte{1, 0xab}, 2); got != "01ab" {
		t.Errorf("short: %s", got)
	}
	if got := Hex([]byte{1, 2, 3}, 2); got != "0102... (3 bytes)" {
		t.Errorf("long: %s", got)
	}
}
