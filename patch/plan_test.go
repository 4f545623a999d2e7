package patch

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"hivemend/hive"
)

func TestEditsOfOneKindAreMerged(t *testing.T) {
	m := testMachine(t)
	p := mustPlan(t, m,
		deleteValue(rcmKey, "certificate", "RESIDUE"),
		deleteValue(rcmKey, "Certificate", "TS-CERT-CORRUPT"),
		deleteValue(rcmKey, "Certificate", "TS-CERT-CORRUPT"))
	if len(p.Edits) != 1 {
		t.Fatalf("want one edit, found %d", len(p.Edits))
	}
	var rules []string
	for _, c := range p.Edits[0].Causes() {
		rules = append(rules, c.Rule)
	}
	if got := strings.Join(rules, ","); got != "RESIDUE,TS-CERT-CORRUPT" {
		t.Errorf("want both rules, found %s", got)
	}
}

func TestEditsBelowADeletedKeyBecomePartOfIt(t *testing.T) {
	m := testMachine(t)
	p := mustPlan(t, m,
		deleteValue(licences+`\HardwareID`, "ClientHWID", "A"),
		deleteKey(licences+`\Store\LICENSE000`, "B"),
		deleteKey(licences, "C"))
	if len(p.Edits) != 1 || p.Edits[0].Op != hive.DeleteKey || len(p.Edits[0].Causes()) != 3 {
		t.Errorf("want one deletion with three causes, found %+v", p.Edits)
	}
}

func TestContradictionsAreRefusedByName(t *testing.T) {
	m := testMachine(t)
	clash := deleteValue(rcmKey, "Keep", "A")
	clash.Expect = &hive.Expect{Type: hive.RegDWORD, SHA256: strings.Repeat("00", 32)}
	other := clash
	other.Expect = &hive.Expect{Type: hive.RegDWORD, SHA256: strings.Repeat("11", 32)}
	for name, edits := range map[string][]hive.Edit{
		"set and delete":         {deleteValue(rcmKey, "Keep", "A"), setValue(rcmKey, dword("KEEP", 1), "B")},
		"two settings":           {setValue(rcmKey, dword("Keep", 2), "A"), setValue(rcmKey, dword("Keep", 1), "B")},
		"two types":              {setValue(rcmKey, dword("Keep", 2), "A"), setValue(rcmKey, binaryValue("Keep", 2, 0, 0, 0), "B")},
		"set in a deleted key":   {setValue(licences+`\Store`, dword("x", 2), "A"), deleteKey(licences+`\STORE`, "B")},
		"set below":              {setValue(licences+`\Store\LICENSE001`, dword("x", 2), "A"), deleteKey(licences, "B")},
		"create and delete":      {{Op: hive.CreateKey, Key: hive.ParsePath(licences), Rule: "A"}, deleteKey(licences, "B")},
		"different expectations": {clash, other},
	} {
		_, err := NewPlan(edits, m, options())
		if !errors.Is(err, ErrConflict) {
			t.Errorf("%s: want ErrConflict, found %v", name, err)
			continue
		}
		if text := err.Error(); !strings.Contains(text, edits[0].Rule) || !strings.Contains(text, `HKEY_LOCAL_MACHINE\`) {
			t.Errorf("%s: want place and rules, found %s", name, text)
		}
	}
}

func TestPlanDoesNotDependOnTheOrderOfItsEdits(t *testing.T) {
	m := testMachine(t)
	edits := repair()
	want, err := mustPlan(t, m, edits...).JSON()
	if err != nil {
		t.Fatal(err)
	}
	for range edits {
		edits = append(edits[1:], edits[0])
		got, err := mustPlan(t, m, edits...).JSON()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatal("another order gives another plan")
		}
	}
}

func TestPlanSurvivesJSON(t *testing.T) {
	p := mustPlan(t, testMachine(t), repair()...)
	if len(p.Already) != 1 || p.Already[0].Value != "X509 Certificate2" {
		t.Errorf("want the absent value as already done, found %v", p.Already)
	}
	text, err := p.JSON()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ReadPlan(text)
	if err != nil {
		t.Fatal(err)
	}
	second, err := again.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, second) {
		t.Errorf("the plan changed on its way:\n%s\n%s", text, second)
	}
	if !bytes.HasSuffix(text, []byte("}\n")) || !bytes.Contains(text, []byte(`"schema": "hivemend/plan/1"`)) {
		t.Error("plan.json has not its agreed form")
	}
}

func TestReadPlanRefuses(t *testing.T) {
	good, err := mustPlan(t, testMachine(t), repair()...).JSON()
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) []byte {
		if !bytes.Contains(good, []byte(old)) {
			t.Fatalf("%s is not in the plan", old)
		}
		return bytes.Replace(good, []byte(old), []byte(new), 1)
	}
	for name, text := range map[string][]byte{
		"another schema":   replace("hivemend/plan/1", "hivemend/plan/2"),
		"unknown field":    replace(`"tool"`, `"tooth"`),
		"unknown in edit":  replace(`"reason"`, `"season"`),
		"unknown op":       replace(`"op": "delete-value"`, `"op": "drop-value"`),
		"short root":       replace(`"key": "HKEY_LOCAL_MACHINE`, `"key": "HKLM`),
		"unknown root":     replace(`"key": "HKEY_LOCAL_MACHINE`, `"key": "HKEY_LOCAL`),
		"protected key":    replace(`RCM",`, `RCM\\Secrets",`),
		"hash":             replace(`"sha256": "`, `"sha256": "0`),
		"something behind": append(bytes.Clone(good), "{}"...),
		"cut":              good[:len(good)-3],
	} {
		if _, err := ReadPlan(text); err == nil {
			t.Errorf("%s: was accepted", name)
		}
	}
}

func TestLivePlanFromText(t *testing.T) {
	in := textInput(t, "export.reg", "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Control\\Terminal Server\\RCM]\r\n\"Certificate\"=hex:01,02\r\n\"Keep\"=dword:00000001\r\n")
	live := strings.Replace(rcmKey, "ControlSet001", "CurrentControlSet", 1)
	p := mustPlan(t, machine(in), deleteValue(live, "Certificate", "TS-CERT-CORRUPT"))
	if !p.Live {
		t.Error("a plan from a live export is not live")
	}
	r := mustApply(t, p, []*hive.Input{in})
	k, _ := r.Inputs[0].After.Mounts[0].Root.Lookup(hive.ParsePath(`CurrentControlSet\Control\Terminal Server\RCM`))
	if _, there := k.Value("Certificate"); there {
		t.Error("the tree after still has the value")
	}
	// The same plan fits a hive of that machine: its control set is found by number.
	tree := systemTree()
	tree.Subkey("ControlSet001").Subkey("Control").Subkey("Terminal Server").Subkey("RCM").Value("Certificate").Data = []byte{1, 2}
	system := hiveInput(t, "SYSTEM", hive.System, tree)
	onHive := mustApply(t, p, []*hive.Input{system})
	if !onHive.Inputs[0].Changed {
		t.Error("the plan from the export does nothing on the hive")
	}
	back, err := Undo(p, nil, afterOf(onHive), ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if edits := Diff(system.Mounts[0].Root, back.Inputs[0].After.Mounts[0].Root, nil); len(edits) > 0 {
		t.Errorf("undo leaves %v", edits)
	}
}

func TestAnyMachinePlan(t *testing.T) {
	p, err := NewPlan([]hive.Edit{deleteValue(`HKLM\SYSTEM\CurrentControlSet\Control\Terminal Server\RCM`, "Certificate", "")}, nil, options())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Edits) != 1 || p.Edits[0].Expect != nil || len(p.Inputs) != 0 {
		t.Errorf("want one edit that expects nothing, found %+v", p)
	}
	if _, err := Undo(p, nil, nil, ApplyOptions{}); !errors.Is(err, ErrRefused) {
		t.Errorf("undo of it: want ErrRefused, found %v", err)
	}
}

func FuzzReadPlan(f *testing.F) {
	good, err := mustPlan(f, testMachine(f), repair()...).JSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"schema":"hivemend/plan/1","edits":[{"op":"create-key","key":"HKEY_USERS\\a","also":[{"rule":"","reason":""}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ReadPlan(text)
		if err != nil {
			return
		}
		written, err := p.JSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ReadPlan(written)
		if err != nil {
			t.Fatalf("what was accepted is refused when written again: %v\n%s", err, written)
		}
		second, err := again.JSON()
		if err != nil || !bytes.Equal(written, second) {
			t.Fatalf("not stable: %v\n%s\n%s", err, written, second)
		}
	})
}
