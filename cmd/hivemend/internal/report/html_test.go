package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"html"
	"regexp"
	"strings"
	"testing"

	"hivemend/analyze"
	"hivemend/hive"
)

// tags takes markup away.
var tags = regexp.MustCompile(`<[^>]*>`)

// pageText returns the page of a report, and its text without markup.
func pageText(t testing.TB, r *Report, opt HTMLOptions) (page, text string) {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, r, opt); err != nil {
		t.Fatal(err)
	}
	return b.String(), html.UnescapeString(tags.ReplaceAllString(b.String(), ""))
}

func TestHTMLMarksTheWrongByte(t *testing.T) {
	page, text := pageText(t, scan(t, "ts2003"), HTMLOptions{})
	for _, want := range []string{`<mark class="byte">cc</mark>`, `<mark class="range">01 00 00 00 01`, `<tr class="wrong"><td class="name d0">modulus <strong>(holds the wrong byte)</strong>`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not hold %s", want)
		}
	}
	for _, want := range []string{"Byte 58 (0x3a) is wrong: it is cc, it was e8.", "000030"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestHTMLIsSafeAgainstMarkup(t *testing.T) {
	const evil = `<script>alert(1)</script><img src=x onerror=alert(1)>" onmouseover="x`
	r := New(Tool{Name: "hivemend"}, []analyze.Result{{
		ID: evil, Name: evil, ComputerName: evil + "2", Windows: analyze.Windows{Product: evil},
		Inputs:     []analyze.Input{{Path: evil, Hive: hive.System, Notes: []string{evil}, Issues: []analyze.Issue{{Code: "NK05", Detail: evil}}, Replay: &analyze.Replay{Stopped: evil, Logs: []analyze.ReplayLog{{Path: evil}}}}},
		NotChecked: []analyze.NotChecked{{Rule: evil, Reason: evil}},
		Findings: []analyze.Finding{{
			Rule: evil, Message: evil, ManualSteps: []string{evil}, References: []string{evil, "https://" + evil, "javascript:alert(1)"},
			Location: &analyze.Location{Input: evil, Key: hive.Path{evil}, HasValue: true, Value: evil, SHA256: evil},
			Evidence: analyze.Evidence{{Name: evil, Value: evil}, {Name: "fields", Value: []analyze.Evidence{{{Name: "name", Value: evil}, {Name: "value", Value: evil}}}}, {Name: "values", Value: []analyze.Evidence{{{Name: evil, Value: evil}}}}},
			Fix:      &analyze.Fix{Edits: []hive.Edit{{Op: hive.DeleteKey, Key: hive.Path{evil}}}, Choices: []analyze.Choice{{Name: evil}}},
		}},
	}}, []Failure{{evil, evil}})
	page, text := pageText(t, r, HTMLOptions{Diffs: map[string]string{evil: "+" + evil}})
	for _, bad := range []string{"<script", "<img", ` onmouseover="`, `href="javascript`} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %s", bad)
		}
	}
	if n := strings.Count(text, "<script>alert(1)</script>"); n < 20 {
		t.Errorf("the text is shown %d times", n)
	}
}

func TestHTMLHoldsNothingFromOutside(t *testing.T) {
	page, _ := pageText(t, everything(t), HTMLOptions{})
	for _, bad := range []string{"<script", "<link", "<img", "<iframe", "@import", "url(", " src=", "<form", "<style>@"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %s", bad)
		}
	}
}

func TestHTMLShowsTheDiffAndTheSteps(t *testing.T) {
	r := scan(t, "ts2003")
	diff := "--- a/SYSTEM.reg\n+++ b/SYSTEM.reg\n@@ -1,2 +1,1 @@\n [key]\n-\"x\"=dword:00000001\n+\"y\"=\"<b>\"\n"
	page, text := pageText(t, r, HTMLOptions{Diffs: map[string]string{r.Machines[0].ID: diff}})
	for _, want := range []string{`<span class="del">-&#34;x&#34;=dword:00000001`, `<span class="add">&#43;&#34;y&#34;=&#34;&lt;b&gt;&#34;`, `<span class="place">@@`, `<span class="file">---`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not hold %s", want)
		}
	}
	for _, f := range r.Machines[0].Findings {
		for _, s := range f.ManualSteps {
			if n := strings.Count(text, s); n != 1 {
				t.Errorf("a step stands %d times: %s", n, s)
			}
		}
	}
	if strings.Count(page, `<input type="checkbox"`) < 5 {
		t.Error("the steps have no boxes to tick")
	}
}

// TestSecretsAreNotShown hands the page findings about values whose bytes must
// not be shown.
func TestSecretsAreNotShown(t *testing.T) {
	secret := []byte("this is the secret itself")
	sum := sha256.Sum256(secret)
	for _, key := range []string{`ControlSet001\Control\Terminal Server\RCM\Secrets`, `ControlSet001\Control\Terminal Server\RCM\GracePeriod`} {
		root := &hive.Node{Name: "SYSTEM"}
		node := root
		for _, name := range hive.ParsePath(key) {
			sub := &hive.Node{Name: name}
			node.Keys = append(node.Keys, sub)
			node = sub
		}
		node.Values = []hive.NodeValue{{Name: "Any", Type: hive.RegBinary, Data: secret}}
		m := &hive.Machine{Inputs: []*hive.Input{{Path: "SYSTEM", Mounts: []hive.Mount{{Kind: hive.System, Prefix: hive.System.Prefix(), Root: root.Key()}}}}}
		at := &analyze.Location{Input: "SYSTEM", Key: hive.System.Prefix().Join(hive.ParsePath(key)...), HasValue: true, Value: "Any", SHA256: hex.EncodeToString(sum[:])}
		if valueBytes(m, at) != nil {
			t.Errorf("the bytes of %s are shown", key)
		}
		other := *at
		other.Key = hive.System.Prefix().Join("ControlSet001")
		root.Keys[0].Values = node.Values
		if valueBytes(m, &other) == nil {
			t.Error("other bytes are not shown: the test proves nothing")
		}
	}
}

func TestHexViewLeavesOutWhatIsFarFromTheMark(t *testing.T) {
	data := make([]byte, 5000)
	f := &analyze.Finding{Evidence: analyze.Evidence{{Name: "failingByte", Value: 4000}, {Name: "failingOffset", Value: 10}, {Name: "failingLength", Value: int64(1) << 40}}}
	v := newHexView(data, f)
	var offsets []string
	skipped := 0
	for _, row := range v.Rows {
		offsets = append(offsets, row.Offset)
		if row.Skipped != "" {
			skipped++
		}
	}
	if len(v.Rows) > 30 || skipped != 2 || !strings.Contains(strings.Join(offsets, " "), "000fa0") {
		t.Errorf("%d rows, %d gaps: %q", len(v.Rows), skipped, offsets)
	}
	for _, e := range []analyze.Evidence{
		{{Name: "failingByte", Value: -1}}, {{Name: "failingByte", Value: int64(1) << 40}}, {{Name: "failingOffset", Value: 9999}, {Name: "failingLength", Value: 5}},
		{{Name: "failingOffset", Value: -5}, {Name: "failingLength", Value: 5}}, {{Name: "failingByte", Value: "x"}},
	} {
		if v := newHexView(data[:64], &analyze.Finding{Evidence: e}); v.Caption != "No byte can be named as the wrong one." || len(v.Rows) != 4 {
			t.Errorf("%v: %q, %d rows", e, v.Caption, len(v.Rows))
		}
	}
}
