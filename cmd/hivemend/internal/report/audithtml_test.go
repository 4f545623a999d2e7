package report

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hivemend/analyze"
	"hivemend/analyze/fleet"
)

// audit is an audit of the bundled machines, with a group of clones, an input
// that could not be read, and an earlier audit behind it.
func audit(t testing.TB) *Audit {
	r := everything(t)
	a := &Audit{Report: r, Summary: fleet.Summary{Machines: len(r.Machines), Clones: []fleet.Group{{
		Group: "g1", Cause: "hwid", MemberCount: 2,
		Members: []fleet.Member{{ComputerName: "TS2003", IDs: []string{r.Machines[0].ID}}, {ComputerName: "XPCLIENT", IDs: []string{"XPCLIENT-live-0"}}},
	}}}}
	for i := range r.Machines {
		a.Paths = append(a.Paths, "backups/TS2003/config")
		a.Places = append(a.Places, i)
	}
	for i := range r.Errors {
		a.FailurePlaces = append(a.FailurePlaces, len(r.Machines)+i)
	}
	gone := r.Machines[0].Findings
	for _, m := range r.Machines {
		gone = append(gone, m.Findings...)
	}
	a.Baseline = &Changes{New: make([]int, len(r.Machines)), Unchanged: 3, Gone: []fleet.Gone{{ID: "LICSRV01-live-1", ComputerName: "LICSRV01", Finding: gone[len(gone)-1]}}}
	a.Baseline.New[0] = 2
	return a
}

func auditPageOf(t testing.TB, a *Audit) string {
	t.Helper()
	var b bytes.Buffer
	if err := AuditHTML(&b, a, analyze.Warning); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAuditPageNamesEveryMachine(t *testing.T) {
	a := audit(t)
	page := auditPageOf(t, a)
	for i, m := range a.Machines {
		for _, want := range []string{m.ID, m.Name, findingsLine(&a.Machines[i], analyze.Warning)} {
			if !strings.Contains(page, want) {
				t.Errorf("the page does not hold %q", want)
			}
		}
	}
	for _, want := range []string{"2 machines with one hardware identifier", "2 new, 3 unchanged, 1 gone", "a b/broken.hiv: no hive", `style="width:100%"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not hold %q", want)
		}
	}
}

func TestRedactedAuditHoldsNoNames(t *testing.T) {
	a := audit(t)
	if len(leaks(auditPageOf(t, a))) == 0 {
		t.Error("nothing to redact: the test proves nothing")
	}
	after := RedactAudit(a)
	var lines, text bytes.Buffer
	if err := AuditLines(&lines, after); err != nil {
		t.Fatal(err)
	}
	if err := AuditText(&text, after, analyze.Note, true, false); err != nil {
		t.Fatal(err)
	}
	for name, report := range map[string]string{"html": auditPageOf(t, after), "jsonl": lines.String(), "text": text.String()} {
		for _, leak := range leaks(report) {
			t.Errorf("%s: %s", name, leak)
		}
	}
	if len(leaks(mustJSON(t, a.Summary))) == 0 {
		t.Error("redacting changed the original")
	}
}

// TestAuditPageInABrowser sorts the table, and looks at the page at three
// widths in light and dark.
func TestAuditPageInABrowser(t *testing.T) {
	b := startBrowser(t)
	a := audit(t)
	file := filepath.Join(t.TempDir(), "audit.html")
	if err := os.WriteFile(file, []byte(auditPageOf(t, a)), 0o600); err != nil {
		t.Fatal(err)
	}
	b.open(file)
	sorted := `(() => { const heads = [...document.querySelectorAll(".sortable th")]; const i = heads.findIndex(h => h.textContent === "Errors"); heads[i].querySelector("button").click(); heads[i].querySelector("button").click();
	  return [...document.querySelectorAll(".sortable tbody tr")].map(r => Number(r.cells[i].textContent)); })()`
	var errors []int
	b.eval(sorted, &errors)
	if len(errors) != len(a.Machines) || errors[0] == 0 {
		t.Errorf("the table was not sorted: %v", errors)
	}
	for i := 1; i < len(errors); i++ {
		if errors[i] > errors[i-1] {
			t.Errorf("the table is not in order: %v", errors)
			break
		}
	}
	for _, width := range []int{360, 800, 1400} {
		for _, scheme := range []string{"light", "dark"} {
			b.show(width, scheme)
			b.checkLayout(scheme, width)
		}
	}
	if len(b.problems) > 0 || len(b.requests) != 1 {
		t.Errorf("the console says %q, the page asked for %q", b.problems, b.requests)
	}
}
