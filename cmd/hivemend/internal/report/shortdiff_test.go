package report

import (
	"strings"
	"testing"
)

func TestShortDiff(t *testing.T) {
	long := func(sign string) string {
		return sign + "\"v\"=hex:00,\\\n" + strings.Repeat(sign+"  01,02,\\\n", 5) + sign + "  03\n"
	}
	got := ShortDiff("@@ -1 +1 @@\n" + long("-") + "+\"v\"=dword:00000001\n")
	want := "@@ -1 +1 @@\n-\"v\"=hex:00,\\\n-  01,02,\\\n-  (5 lines of this value not shown)\n+\"v\"=dword:00000001\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	// One changed line inside a long value stays in sight.
	changed := " \"v\"=hex:00,\\\n" + strings.Repeat("   01,02,\\\n", 5) + "-  ff,\\\n+  fe,\\\n   03\n"
	if got := ShortDiff(changed); !strings.Contains(got, "-  ff,") || !strings.Contains(got, "+  fe,") {
		t.Errorf("the change is folded away:\n%s", got)
	}
}
