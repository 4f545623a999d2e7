package analyze_test

import (
	"strings"
	"testing"

	"hivemend/analyze"
)

func TestCompareReplay(t *testing.T) {
	finding := func(fingerprint, rule string) analyze.Finding {
		return analyze.Finding{Rule: rule, Severity: analyze.Error, Message: "Something.", Fingerprint: fingerprint, Fix: &analyze.Fix{Default: true}}
	}
	before := analyze.Result{Findings: []analyze.Finding{finding("both", "A"), finding("gone", "B"), finding("pending", "HIVE-UNREPLAYED")}}
	after := analyze.Result{Findings: []analyze.Finding{finding("both", "A"), finding("new", "C")}}
	got := analyze.CompareReplay(before, after).Findings
	if len(got) != 3 {
		t.Fatalf("%d findings, want 3: %v", len(got), got)
	}
	if got[0].Evidence.Get("replay") != nil || got[1].Evidence.Get("replay") != "only-after" || got[1].Fix == nil {
		t.Errorf("after: %+v", got[:2])
	}
	if f := got[2]; f.Evidence.Get("replay") != "only-before" || f.Severity != analyze.Note || f.Fix != nil || !strings.Contains(f.Message, "no longer") {
		t.Errorf("before: %+v", f)
	}
	if after.Findings[1].Evidence != nil {
		t.Error("the result that was given has changed")
	}
}
