package rdp_test

import (
	"errors"
	"strings"
	"testing"

	"hivemend/analyze"
	"hivemend/analyze/rdp"
	"hivemend/hive"
)

func TestHiveState(t *testing.T) {
	lossAt := func(path string) hive.Issue {
		return hive.Issue{Code: "NK05", Damage: hive.DamageLoss, Offset: 4128, Key: hive.ParsePath(path), Detail: "a broken list"}
	}
	for _, test := range []testCase{
		{"an anomaly is nothing", server2003(), func(m *machine) {
			m.issues = []hive.Issue{{Code: "NK01", Damage: hive.DamageAnomaly, Key: hive.ParsePath(oldPath)}}
		}, nil},
		{"damage elsewhere", server2003(), func(m *machine) { m.state, m.issues = hive.Damaged, []hive.Issue{lossAt(`ControlSet001\Enum\PCI`)} },
			[]string{"HIVE-DAMAGED loss"}},
		{"dirty", server2003(), func(m *machine) { m.state = hive.Dirty }, []string{"note: HIVE-UNREPLAYED logs-missing"}},
		{"dirty and damaged", server2003(), func(m *machine) { m.state, m.issues = hive.Dirty, []hive.Issue{lossAt("Setup")} },
			[]string{"HIVE-DAMAGED loss", "HIVE-UNREPLAYED logs-missing"}},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t) })
	}
}

func TestDamageAtJudgedKeysIsAnError(t *testing.T) {
	for path, want := range map[string]analyze.Severity{
		oldPath: analyze.Error, `ControlSet001\Services`: analyze.Error, `ControlSet001\Services\Tcpip`: analyze.Warning, `Setup`: analyze.Warning,
	} {
		m := server2003()
		m.issues = []hive.Issue{{Code: "NK05", Damage: hive.DamageLoss, Offset: 4128, Key: hive.ParsePath(path), Detail: "x"}}
		if got := finding(t, m.run(), "HIVE-DAMAGED").Severity; got != want {
			t.Errorf("damage at %s: %s, want %s", path, got, want)
		}
	}
}

func TestDisagreement(t *testing.T) {
	m := server2003()
	built := m.build()
	agree := func(in *hive.Input, path hive.Path, name string) (hive.Type, []byte, bool, error) {
		k, ok := in.Mounts[0].Root.Lookup(path)
		if !ok {
			return 0, nil, false, nil
		}
		v, ok := k.Value(name)
		if !ok {
			return 0, nil, false, nil
		}
		data, err := v.Data()
		return v.Type(), data, true, err
	}
	run := func(second analyze.SecondReading) analyze.Result {
		return analyze.Run(built, rdp.Rules, analyze.Options{AsOf: m.opt.AsOf, SecondReading: second})
	}
	if res := run(agree); len(res.Findings) != 0 {
		t.Errorf("agreeing readers: %v", verdicts(res.Findings))
	}
	res := run(func(in *hive.Input, path hive.Path, name string) (hive.Type, []byte, bool, error) {
		typ, data, ok, err := agree(in, path, name)
		if name == "Certificate" && ok {
			data = flip(data, 3)
		}
		return typ, data, ok, err
	})
	if f := finding(t, res, "HIVE-DISAGREEMENT"); f.Cause() != "data" || f.Location.Value != "Certificate" {
		t.Errorf("finding %+v", f)
	}
	res = run(func(*hive.Input, hive.Path, string) (hive.Type, []byte, bool, error) {
		return 0, nil, false, errors.New("gave up")
	})
	said := 0
	for _, nc := range res.NotChecked {
		if strings.Contains(nc.Reason, "gave up") {
			said++
		}
	}
	if said != 2 || len(res.Findings) != 0 {
		t.Errorf("a reader that fails: %d notes, %v", said, verdicts(res.Findings))
	}
}
