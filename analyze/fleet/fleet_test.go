package fleet_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"hivemend/analyze"
	"hivemend/analyze/fleet"
	"hivemend/hive"
)

func machine(id, computer, guid string, hwid, key string) analyze.Result {
	r := analyze.Result{ID: id, ComputerName: computer, Generation: hive.Live}
	r.Identity.MachineGuid = guid
	if hwid != "" {
		r.Identity.HardwareIDs = []string{hwid}
	}
	if key != "" {
		r.Identity.CertificateKeys = []string{key}
	}
	return r
}

func TestClones(t *testing.T) {
	for _, test := range []struct {
		name     string
		machines []analyze.Result
		want     []string // cause and names of the members
	}{
		{"nothing shared", []analyze.Result{machine("1", "A", "g1", "h1", "k1"), machine("2", "B", "g2", "h2", "k2")}, nil},
		{"hardware id", []analyze.Result{machine("1", "A", "g1", "h", "k1"), machine("2", "B", "g2", "h", "k2")}, []string{"hwid A B"}},
		{"key", []analyze.Result{machine("1", "B", "g1", "", "k"), machine("2", "A", "g2", "", "k")}, []string{"certificate A B"}},
		{"guid, whatever the case", []analyze.Result{machine("1", "A", "AB-CD", "", ""), machine("2", "B", "ab-cd", "", "")}, []string{"machineguid A B"}},
		{"copies of one machine", []analyze.Result{machine("1", "A", "g", "h", "k"), machine("2", "a", "G", "h", "k")}, nil},
		{"copies count once", []analyze.Result{machine("1", "A", "g1", "h", ""), machine("2", "A", "g1", "h", ""), machine("3", "B", "g2", "h", "")}, []string{"hwid A B"}},
		{"one name, rebuilt", []analyze.Result{machine("1", "A", "g1", "h", ""), machine("2", "A", "g2", "h", "")}, nil},
		{"no guid", []analyze.Result{machine("1", "A", "", "", ""), machine("2", "B", "", "", "")}, nil},
		{"zero guid", []analyze.Result{machine("1", "A", "00000000-0000-0000-0000-000000000000", "", ""), machine("2", "B", "00000000-0000-0000-0000-000000000000", "", "")}, nil},
		{"no name", []analyze.Result{machine("1", "", "g", "h", ""), machine("2", "B", "g", "h", "")}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := fleet.New()
			for _, m := range test.machines {
				f.Add(m)
			}
			var got []string
			for _, g := range f.Groups() {
				line := g.Cause
				for _, m := range g.Members {
					line += " " + m.ComputerName
				}
				got = append(got, line)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("groups %q, want %q", got, test.want)
			}
		})
	}
}

func TestCloneFindings(t *testing.T) {
	f := fleet.New()
	for i := range 30 {
		f.Add(machine(fmt.Sprint(i), fmt.Sprintf("PC%02d", i), fmt.Sprint("g", i), "h", ""))
	}
	f.Add(machine("x", "OTHER", "gx", "hx", ""))
	first, last := f.Findings(0), f.Findings(29)
	if len(first) != 1 || len(last) != 1 || len(f.Findings(30)) != 0 {
		t.Fatalf("%d, %d and %d findings", len(first), len(last), len(f.Findings(30)))
	}
	if first[0].Evidence.Get("group") != last[0].Evidence.Get("group") || first[0].Fingerprint == last[0].Fingerprint {
		t.Error("group or fingerprint is wrong")
	}
	if names := first[0].Evidence.Get("members").([]string); len(names) != 20 || first[0].Evidence.Get("memberCount") != 30 {
		t.Errorf("members %v of %v", names, first[0].Evidence.Get("memberCount"))
	}
	text, err := json.Marshal(f.Summary())
	if err != nil || !strings.Contains(string(text), `"counts":{"FLEET-CLONE":30}`) || strings.Count(string(text), `"computerName"`) != 30 {
		t.Errorf("summary %s, %v", text, err)
	}
}

// TestIdentitySurvivesJSON keeps shards joinable: what clones are found by has
// to stand in the report.
func TestIdentitySurvivesJSON(t *testing.T) {
	text, err := json.Marshal(machine("1", "A", "g", "h", "k"))
	if err != nil {
		t.Fatal(err)
	}
	var back analyze.Result
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	f := fleet.New()
	f.Add(back)
	f.Add(machine("2", "B", "g", "h", "k"))
	if got := len(f.Findings(0)); got != 3 {
		t.Errorf("%d findings, want 3", got)
	}
}

func TestBaseline(t *testing.T) {
	with := func(id, computer string, fingerprints ...string) analyze.Result {
		r := machine(id, computer, "", "", "")
		for _, f := range fingerprints {
			r.Findings = append(r.Findings, analyze.Finding{Rule: "R", Fingerprint: f})
		}
		return r
	}
	b := fleet.NewBaseline()
	b.Add(with("1", "A", "a", "b", "b"))
	b.Add(with("2", "B", "c"))
	b.Add(with("3", "C", "d"))
	added, unchanged := b.Compare(with("4", "a", "b", "x"))
	if len(added) != 1 || added[0].Fingerprint != "x" || unchanged != 1 {
		t.Errorf("added %v, unchanged %d", added, unchanged)
	}
	if added, _ := b.Compare(with("5", "NEW", "d")); len(added) != 1 {
		t.Errorf("a new machine's findings: %v", added)
	}
	b.Compare(with("6", "B"))
	var got []string
	for _, g := range b.Gone() {
		got = append(got, fmt.Sprint(g.ComputerName, " ", g.Finding.Fingerprint, " ", g.MachineMissing))
	}
	if want := []string{"A a false", "B c false", "C d true"}; !slices.Equal(got, want) {
		t.Errorf("gone %q, want %q", got, want)
	}
}
