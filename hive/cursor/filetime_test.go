package cursor

import (
	"encoding/json"
	"testing"
)

func TestFileTimeText(t *testing.T) {
	for _, f := range []FileTime{0, 1, unixEpoch, 128000000001234567, maxTime} {
		text, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		var back FileTime
		if err := json.Unmarshal(text, &back); err != nil || back != f {
			t.Errorf("%d as %s came back as %d, %v", f, text, back, err)
		}
	}
	var f FileTime
	if err := f.UnmarshalText([]byte("yesterday")); err == nil {
		t.Error("a text that is no time was accepted")
	}
}
