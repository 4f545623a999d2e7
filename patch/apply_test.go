package patch

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"hivemend/hive"
)

func TestApplyAndUndoGiveTheSameBytes(t *testing.T) {
	m := testMachine(t)
	p := mustPlan(t, m, repair()...)
	r := mustApply(t, p, m.Inputs)
	for i, in := range r.Inputs {
		if !in.Changed {
			t.Errorf("%s did not change", in.Input.Path)
		}
		if q := in.Proof; !q.PlannedTree || !q.SecondReader || !q.NoNewDefect || !q.UndoExact {
			t.Errorf("%s: the proof is not complete: %+v", in.Input.Path, q)
		}
		if hash(m.Inputs[i].Data) != m.Inputs[i].SHA256 {
			t.Errorf("%s: the input was changed", in.Input.Path)
		}
	}
	back, err := Undo(p, r.Journal(), afterOf(r), ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, in := range back.Inputs {
		if !bytes.Equal(in.After.Data, m.Inputs[i].Data) {
			t.Errorf("%s: undo did not give back the original", in.Input.Path)
		}
	}
}

func TestAppliedTreeIsWhatWasAsked(t *testing.T) {
	m := testMachine(t)
	r := mustApply(t, mustPlan(t, m, repair()...), m.Inputs)
	system, software := r.Inputs[0].After.Mounts[0].Root, r.Inputs[1].After.Mounts[0].Root
	rcm, ok := system.Lookup(hive.ParsePath(`ControlSet001\Control\Terminal Server\RCM`))
	if !ok {
		t.Fatal("RCM is gone")
	}
	var names []string
	for v := range rcm.Values() {
		names = append(names, v.Name())
	}
	if got := strings.Join(names, ","); got != "Keep" {
		t.Errorf("values of RCM: want Keep, found %s", got)
	}
	if rcm.LastWrite() != testTime {
		t.Errorf("last write of RCM: want %s, found %s", testTime, rcm.LastWrite())
	}
	if _, ok := rcm.Subkey("Secrets"); !ok {
		t.Error("RCM\\Secrets is gone")
	}
	other, _ := system.Lookup(hive.ParsePath(`ControlSet002\Control\Terminal Server\RCM`))
	if _, ok := other.Value("Certificate"); !ok {
		t.Error("the other control set was edited")
	}
	if _, ok := software.Lookup(hive.ParsePath(`Microsoft\MSLicensing`)); ok {
		t.Error("MSLicensing is still there")
	}
}

func TestSecondApplyChangesNothing(t *testing.T) {
	m := testMachine(t)
	p := mustPlan(t, m, repair()...)
	r := mustApply(t, p, m.Inputs)
	again := mustApply(t, p, afterOf(r))
	if again.Changed() {
		t.Error("the second apply changed something")
	}
	for _, s := range again.Statuses {
		if s.State != Done {
			t.Errorf("%s: want %s, found %s", s.Edit, Done, s.State)
		}
	}
}

func TestApplyKilledBetweenTwoHivesIsCompleted(t *testing.T) {
	m := testMachine(t)
	p := mustPlan(t, m, repair()...)
	r := mustApply(t, p, m.Inputs)
	mixed := []*hive.Input{r.Inputs[0].After, m.Inputs[1]} // SYSTEM was written, SOFTWARE was not
	rest := mustApply(t, p, mixed)
	if rest.Inputs[0].Changed || !rest.Inputs[1].Changed {
		t.Errorf("want only the second hive to change, found %v and %v", rest.Inputs[0].Changed, rest.Inputs[1].Changed)
	}
	if !bytes.Equal(rest.Inputs[1].After.Data, r.Inputs[1].After.Data) {
		t.Error("the completed hive is not what one run gives")
	}
}

func TestDriftIsRefusedByName(t *testing.T) {
	m := testMachine(t)
	p := mustPlan(t, m, repair()...)
	tree := systemTree()
	rcm := tree.Subkey("ControlSet001").Subkey("Control").Subkey("Terminal Server").Subkey("RCM")
	rcm.Value("Certificate").Data = long(376, 77)
	lived := hiveInput(t, "evidence/SYSTEM", hive.System, tree)
	_, err := Apply(p, []*hive.Input{lived, m.Inputs[1]}, ApplyOptions{})
	if !errors.Is(err, ErrDrifted) {
		t.Fatalf("want ErrDrifted, found %v", err)
	}
	if want := rcmKey + `, value "Certificate"`; !strings.Contains(err.Error(), want) {
		t.Errorf("want the value by name (%s), found %v", want, err)
	}
	if strings.Contains(err.Error(), "MSLicensing") {
		t.Errorf("what has not changed is named too: %v", err)
	}
}

func TestDriftBelowADeletedKeyIsRefused(t *testing.T) {
	m := testMachine(t)
	p := mustPlan(t, m, repair()...)
	tree := softwareTree()
	tree.Subkey("Microsoft").Subkey("MSLicensing").Subkey("Store").Subkey("LICENSE000").Values[0].Data[7]++
	m.Inputs[1] = hiveInput(t, "evidence/SOFTWARE", hive.Software, tree)
	_, err := Apply(p, m.Inputs, ApplyOptions{})
	if !errors.Is(err, ErrDrifted) || !strings.Contains(err.Error(), licences) {
		t.Errorf("want ErrDrifted with the key, found %v", err)
	}
}

func TestDirtyHiveIsRefused(t *testing.T) {
	m := testMachine(t)
	p := mustPlan(t, m, repair()...)
	m.Inputs[0].State = hive.Dirty
	if _, err := Apply(p, m.Inputs, ApplyOptions{}); !errors.Is(err, ErrRefused) {
		t.Errorf("want ErrRefused, found %v", err)
	}
}

func TestMissingHive(t *testing.T) {
	m := testMachine(t)
	p := mustPlan(t, m, repair()...)
	_, err := Apply(p, m.Inputs[:1], ApplyOptions{})
	if !errors.Is(err, ErrNotGiven) || !strings.Contains(err.Error(), "MSLicensing") {
		t.Errorf("want ErrNotGiven with the key, found %v", err)
	}
	r, err := Apply(p, m.Inputs[:1], ApplyOptions{AllowMissing: true})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Inputs[0].Changed {
		t.Error("the hive that was given did not change")
	}
}

func TestRescanCanVeto(t *testing.T) {
	m := testMachine(t)
	p := mustPlan(t, m, repair()...)
	var seen []*hive.Input
	r, err := Apply(p, m.Inputs, ApplyOptions{Rescan: func(after []*hive.Input) error { seen = after; return nil }})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != 2 || seen[0] != r.Inputs[0].After || !r.Inputs[0].Proof.Rescanned {
		t.Error("the scan was not shown what came out")
	}
	veto := errors.New("TS-CERT-CORRUPT is left")
	if _, err := Apply(p, m.Inputs, ApplyOptions{Rescan: func([]*hive.Input) error { return veto }}); !errors.Is(err, ErrUnproved) || !strings.Contains(err.Error(), veto.Error()) {
		t.Errorf("want ErrUnproved with the reason, found %v", err)
	}
}

func TestProtectedKeysAreNeverEdited(t *testing.T) {
	m := testMachine(t)
	for name, e := range map[string]hive.Edit{
		"value":           deleteValue(rcmKey+`\GracePeriod`, "L$RTMTIMEBOMB", "X"),
		"key":             deleteKey(rcmKey+`\gracePERIOD`, "X"),
		"secrets":         setValue(rcmKey+`\Secrets`, dword("a", 1), "X"),
		"above":           deleteKey(rcmKey, "X"),
		"far above":       deleteKey(`HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Control`, "X"),
		"other set":       deleteKey(strings.Replace(rcmKey, "001", "002", 1)+`\GracePeriod`, "X"),
		"absent set":      deleteKey(strings.Replace(rcmKey, "001", "009", 1)+`\GracePeriod`, "X"),
		"not in the hive": {Op: hive.CreateKey, Key: hive.ParsePath(rcmKey + `\GracePeriod\New`)},
	} {
		if _, err := NewPlan([]hive.Edit{e}, m, options()); !errors.Is(err, ErrProtected) {
			t.Errorf("%s: want ErrProtected, found %v", name, err)
		}
		if _, err := NewPlan([]hive.Edit{e}, nil, options()); !errors.Is(err, ErrProtected) {
			t.Errorf("%s, any machine: want ErrProtected, found %v", name, err)
		}
		hostile := &Plan{Edits: []Edit{{Edit: e}}, EditTime: testTime}
		if _, err := Apply(hostile, m.Inputs, ApplyOptions{}); !errors.Is(err, ErrProtected) {
			t.Errorf("%s, plan from elsewhere: want ErrProtected, found %v", name, err)
		}
	}
}

func TestCurrentControlSetIsMappedThroughSelect(t *testing.T) {
	live := strings.Replace(rcmKey, "ControlSet001", "CurrentControlSet", 1)
	tree := systemTree()
	tree.Subkey("Select").Value("Current").Data[0] = 2
	in := hiveInput(t, "SYSTEM", hive.System, tree)
	o := options()
	o.Live, o.Ordered, o.FillExpect = true, true, false
	p, err := NewPlan([]hive.Edit{deleteValue(live, "Certificate", "")}, machine(in), o)
	if err != nil {
		t.Fatal(err)
	}
	r := mustApply(t, p, []*hive.Input{in})
	// Select\Default names ControlSet001, which boots next: both are edited.
	var places []string
	for _, s := range r.Statuses {
		places = append(places, s.Edit.Key[2])
	}
	if got := strings.Join(places, " "); got != "ControlSet002 ControlSet001" {
		t.Errorf("want both control sets, the current one first, found %s", got)
	}
	if _, err := NewPlan([]hive.Edit{deleteKey(`HKLM\SYSTEM\CurrentControlSet`, "")}, machine(in), o); !errors.Is(err, ErrRefused) {
		t.Errorf("deletion of the whole control set: want ErrRefused, found %v", err)
	}
}

func TestRegFileIsCarriedOutInOrder(t *testing.T) {
	m := testMachine(t)
	o := options()
	o.Live, o.Ordered, o.FillExpect = true, true, false
	store := licences + `\Store`
	edits := []hive.Edit{
		deleteKey(store, ""),
		{Op: hive.CreateKey, Key: hive.ParsePath(store)},
		setValue(store, dword("a", 1), ""),
		setValue(store, dword("A", 2), ""),
		setValue(store+`\New\Deeper`, text("t", "x"), ""),
	}
	p, err := NewPlan(edits, m, o)
	if err != nil {
		t.Fatal(err)
	}
	r := mustApply(t, p, m.Inputs)
	k, ok := r.Inputs[1].After.Mounts[0].Root.Lookup(hive.ParsePath(`Microsoft\MSLicensing\Store`))
	if !ok {
		t.Fatal("the key that was deleted and made again is missing")
	}
	if v, _ := k.Value("a"); !v.Valid() || v.Name() != "a" {
		t.Error("the stored name was not kept")
	} else if n, err := v.DWORD(); err != nil || n != 2 {
		t.Errorf("the last write did not win: %d, %v", n, err)
	}
	if _, ok := k.Subkey("LICENSE000"); ok {
		t.Error("what was below the deleted key is still there")
	}
	if r.Inputs[0].Changed {
		t.Error("a hive that no edit names was changed")
	}
	back, err := Undo(p, nil, afterOf(r), ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if edits := Diff(m.Inputs[1].Mounts[0].Root, back.Inputs[1].After.Mounts[0].Root, nil); len(edits) > 0 {
		t.Errorf("going back by inverse edits leaves %v", edits)
	}
}
