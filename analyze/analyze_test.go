package analyze_test

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"hivemend/analyze"
	"hivemend/hive"
)

func key(name string, parts ...any) *hive.Node {
	n := &hive.Node{Name: name}
	for _, part := range parts {
		switch p := part.(type) {
		case *hive.Node:
			n.Keys = append(n.Keys, p)
		case hive.NodeValue:
			n.Values = append(n.Values, p)
		}
	}
	return n
}

func dword(name string, n uint32) hive.NodeValue {
	return hive.NodeValue{Name: name, Type: hive.RegDWORD, Data: binary.LittleEndian.AppendUint32(nil, n)}
}

func binaryValue(name string, data ...byte) hive.NodeValue {
	return hive.NodeValue{Name: name, Type: hive.RegBinary, Data: data}
}

func selectKey(current, next uint32) *hive.Node {
	return key("Select", dword("Current", current), dword("Default", next), dword("Failed", 0), dword("LastKnownGood", next))
}

func system(root *hive.Node) *hive.Machine {
	in := &hive.Input{Path: "SYSTEM", Kind: hive.Regf, Hive: hive.System, SHA256: strings.Repeat("ab", 32), State: hive.Clean}
	in.Mounts = []hive.Mount{{Kind: hive.System, Prefix: hive.System.Prefix(), Root: root.Key()}}
	return &hive.Machine{Name: "TS01", ComputerName: "TS01", Generation: hive.Live, Inputs: []*hive.Input{in}}
}

// badValue reports every value "Bad" below Control, with an edit.
var badValue = &analyze.Rule{ID: "BAD", Severity: analyze.Error, References: []string{"KB1"}, Needs: []hive.Kind{hive.System}, Run: func(p *analyze.Pass) {
	for _, set := range p.ControlSets() {
		at := set.Sub("Control")
		if v, ok := at.Value("Bad"); ok {
			f := p.New(at.LocateValue(v))
			f.Message = "A bad value."
			f.Evidence.Set("cause", "bad")
			f.Fix = &analyze.Fix{Default: true, Edits: []hive.Edit{at.DeleteValue(v, p.Rule.ID, "it is bad")}}
			p.Report(at, f)
		}
	}
}}

func set(name string, values ...any) *hive.Node { return key(name, key("Control", values...)) }

func TestControlSetsAreFolded(t *testing.T) {
	bad := binaryValue("Bad", 1)
	three := func(current, next uint32) *hive.Machine {
		return system(key("", selectKey(current, next), set("ControlSet001", bad), set("ControlSet002", bad), set("ControlSet003")))
	}
	tests := []struct {
		name     string
		m        *hive.Machine
		opt      analyze.Options
		findings int
		edits    []string
		also     []string
	}{
		{"others are only named", three(1, 1), analyze.Options{}, 1, []string{"ControlSet001"}, []string{"ControlSet002"}},
		{"the one that boots next is edited", three(1, 2), analyze.Options{}, 1, []string{"ControlSet001", "ControlSet002"}, []string{"ControlSet002"}},
		{"all are edited when asked", three(1, 1), analyze.Options{AllControlSets: true}, 1, []string{"ControlSet001", "ControlSet002"}, []string{"ControlSet002"}},
		{"a set that is not in use gives nothing", three(3, 3), analyze.Options{}, 0, nil, nil},
		{"the one that boots next is judged", three(3, 2), analyze.Options{}, 1, []string{"ControlSet002"}, []string{"ControlSet001"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := analyze.Run(test.m, []*analyze.Rule{badValue}, test.opt).Findings
			if len(got) != test.findings {
				t.Fatalf("%d findings, want %d", len(got), test.findings)
			}
			if len(got) == 0 {
				return
			}
			var edited []string
			for _, e := range got[0].Fix.Edits {
				edited = append(edited, e.Key[2])
			}
			if !slices.Equal(edited, test.edits) {
				t.Errorf("edits in %v, want %v", edited, test.edits)
			}
			if also, _ := got[0].Evidence.Get("alsoPresent").([]string); !slices.Equal(also, test.also) {
				t.Errorf("alsoPresent %v, want %v", also, test.also)
			}
		})
	}
}

func TestPanicFailsOneRule(t *testing.T) {
	broken := &analyze.Rule{ID: "BROKEN", Run: func(p *analyze.Pass) {
		p.ReportMachine(p.New(nil))
		panic("index out of range")
	}}
	m := system(key("", selectKey(1, 1), set("ControlSet001", binaryValue("Bad", 1))))
	res := analyze.Run(m, []*analyze.Rule{broken, badValue}, analyze.Options{})
	if len(res.Findings) != 1 || res.Findings[0].Rule != "BAD" {
		t.Errorf("findings %v", res.Findings)
	}
	if len(res.NotChecked) != 1 || res.NotChecked[0].Rule != "BROKEN" || !strings.Contains(res.NotChecked[0].Reason, "index out of range") {
		t.Errorf("notChecked %v", res.NotChecked)
	}
}

func TestMissingHiveIsSaid(t *testing.T) {
	res := analyze.Run(&hive.Machine{}, []*analyze.Rule{badValue}, analyze.Options{})
	if len(res.NotChecked) != 1 || res.NotChecked[0].Reason != "no SYSTEM hive was given" {
		t.Errorf("notChecked %v", res.NotChecked)
	}
}

func TestOnlyAndExclude(t *testing.T) {
	m := system(key("", selectKey(1, 1), set("ControlSet001", binaryValue("Bad", 1))))
	for _, opt := range []analyze.Options{{Only: []string{"OTHER"}}, {Exclude: []string{"BAD"}}} {
		if res := analyze.Run(m, []*analyze.Rule{badValue}, opt); len(res.Findings) != 0 {
			t.Errorf("%+v: findings %v", opt, res.Findings)
		}
	}
}

func TestAbsenceInText(t *testing.T) {
	root := key("", selectKey(1, 1), key("ControlSet001", key("Control")))
	root.Partial, root.Keys[1].Partial = true, true
	m := system(root)
	m.Inputs[0].Kind = hive.Reg
	probe := &analyze.Rule{ID: "P", Run: func(p *analyze.Pass) {
		set := p.ControlSets()[0]
		if !set.Sub("Services").Unknown() {
			t.Error("a key whose parent has no section counts as absent")
		}
		if !set.Sub("Control", "Terminal Server", "RCM").Absent() {
			t.Error("a key below one that has a section does not count as absent")
		}
		if set.ValueAbsent("x") || !set.Sub("Control").ValueAbsent("x") || set.Sub("Services").ValueAbsent("x") {
			t.Error("ValueAbsent is wrong")
		}
	}}
	if res := analyze.Run(m, []*analyze.Rule{probe}, analyze.Options{}); len(res.NotChecked) != 0 {
		t.Error(res.NotChecked)
	}
}

func TestWindowsVersion(t *testing.T) {
	text := func(name, s string) hive.NodeValue {
		var data []byte
		for _, r := range s + "\x00" {
			data = append(data, byte(r), 0)
		}
		return hive.NodeValue{Name: name, Type: hive.RegSZ, Data: data}
	}
	software := func(values ...any) *hive.Machine {
		root := key("", key("Microsoft", key("Windows NT", key("CurrentVersion", values...))))
		in := &hive.Input{Path: "SOFTWARE", Kind: hive.Regf, Hive: hive.Software}
		in.Mounts = []hive.Mount{{Kind: hive.Software, Prefix: hive.Software.Prefix(), Root: root.Key()}}
		return &hive.Machine{Inputs: []*hive.Input{in}}
	}
	tests := []struct {
		name    string
		m       *hive.Machine
		version string
		era     analyze.Era
	}{
		{"2003", software(text("CurrentVersion", "5.2"), text("CurrentBuildNumber", "3790")), "5.2", analyze.EraNT5},
		{"10 says 6.3", software(text("CurrentVersion", "6.3"), dword("CurrentMajorVersionNumber", 10), dword("CurrentMinorVersionNumber", 0)), "10.0", analyze.EraNT6},
		{"nonsense", software(text("CurrentVersion", "x")), "", analyze.EraUnknown},
		{"RCM", system(key("", selectKey(1, 1), key("ControlSet001", key("Control", key("Terminal Server", key("RCM")))))), "", analyze.EraNT6},
		{"no RCM", system(key("", selectKey(1, 1), key("ControlSet001", key("Control", key("ProductOptions"), key("Terminal Server")), key("Services")))), "", analyze.EraNT5},
		{"nothing", system(key("", selectKey(1, 1), key("ControlSet001", key("Control")))), "", analyze.EraUnknown},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := analyze.Run(test.m, nil, analyze.Options{}).Windows
			if got.Version != test.version || got.Era != test.era {
				t.Errorf("version %q era %d, want %q %d", got.Version, got.Era, test.version, test.era)
			}
		})
	}
}

func TestAsOfHive(t *testing.T) {
	root := key("", selectKey(1, 1), set("ControlSet001"))
	root.Keys[1].LastWrite = 500
	shutdown := make([]byte, 8)
	binary.LittleEndian.PutUint64(shutdown, 700)
	root.Keys[1].Keys[0].Keys = []*hive.Node{key("Windows", binaryValue("ShutdownTime", shutdown...))}
	m := system(root)
	m.Inputs[0].LastWrite = 600
	for now, want := range map[hive.FileTime]hive.FileTime{1000: 700, 650: 650} {
		res := analyze.Run(m, nil, analyze.Options{AsOf: now, AsOfHive: true})
		if res.AsOf != want || res.AsOfSource != "hive" {
			t.Errorf("now %d: as of %d (%s), want %d", now, res.AsOf, res.AsOfSource, want)
		}
	}
}

func TestResultJSON(t *testing.T) {
	m := system(key("", selectKey(1, 1), set("ControlSet001", hive.NodeValue{Name: "Bad", Type: hive.RegBinary, Data: []byte{1}, Origin: hive.Origin{Image: 4660, Offset: 4660}})))
	res := analyze.Run(m, []*analyze.Rule{badValue}, analyze.Options{AsOf: 128000000000000000})
	first, err := json.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"asOf":"2006-08-14T03:33:20Z"`, `"evidence":{"cause":"bad"}`, `"fileOffset":4660`, `"severity":"error"`,
		`"key":"HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet001\\Control"`, `"controlSet":"ControlSet001"`, `"op":"delete-value"`} {
		if !strings.Contains(string(first), want) {
			t.Errorf("%s is missing in %s", want, first)
		}
	}
	var back analyze.Result
	if err := json.Unmarshal(first, &back); err != nil {
		t.Fatal(err)
	}
	second, err := json.Marshal(back)
	if err != nil || string(first) != string(second) {
		t.Errorf("came back as %s, %v, want %s", second, err, first)
	}
}
