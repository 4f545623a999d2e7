package patch

import (
	"errors"
	"strings"
	"testing"

	"hivemend/hive"
)

// live opens what Apply gave, lets change happen to it, and builds hives again:
// machines that were started since.
func live(t *testing.T, r *Result, edits ...hive.Edit) []*hive.Input {
	t.Helper()
	inputs := afterOf(r)
	if len(edits) == 0 {
		return inputs
	}
	o := options()
	o.EditTime++
	p, err := NewPlan(edits, machine(inputs...), o)
	if err != nil {
		t.Fatal(err)
	}
	return afterOf(mustApply(t, p, inputs))
}

func TestUndoOnAHiveThatHasLived(t *testing.T) {
	m := testMachine(t)
	p := mustPlan(t, m, repair()...)
	r := mustApply(t, p, m.Inputs)
	lived := live(t, r,
		setValue(rcmKey, dword("Keep", 99), ""),
		setValue(`HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\New`, dword("x", 1), ""))
	back, err := Undo(p, r.Journal(), lived, ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"Keep", "New"} {
		left := Diff(m.Inputs[i].Mounts[0].Root, back.Inputs[i].After.Mounts[0].Root, nil)
		if text := left[0].String(); len(left) > 2 || !strings.Contains(text, want) {
			t.Errorf("want only what has happened since to differ, found %v", left)
		}
		if !back.Inputs[i].Proof.SecondReader {
			t.Error("the inverse edits were not proved")
		}
	}
	again, err := Undo(p, r.Journal(), afterOf(back), ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if again.Changed() {
		t.Error("the second undo changed something")
	}
}

func TestUndoIsRefusedOnceThereIsANewCertificate(t *testing.T) {
	m := testMachine(t)
	p := mustPlan(t, m, repair()...)
	r := mustApply(t, p, m.Inputs)
	for name, c := range map[string]struct {
		edit hive.Edit
		want string
	}{
		"certificate": {setValue(rcmKey, binaryValue("Certificate", long(376, 99)...), ""), "Windows has made a new certificate"},
		"was absent":  {setValue(rcmKey, binaryValue("X509 Certificate2", 1), ""), `"X509 Certificate2": it was absent`},
		"licences":    {setValue(licences+`\HardwareID`, binaryValue("ClientHWID", long(20, 99)...), ""), `MSLicensing: the key was deleted, and is there again`},
		"set value":   {setValue(`HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Control\Terminal Server`, dword("fDenyTSConnections", 5), ""), "fDenyTSConnections"},
	} {
		_, err := Undo(p, r.Journal(), live(t, r, c.edit), ApplyOptions{})
		if !errors.Is(err, ErrDrifted) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want ErrDrifted with %q, found %v", name, c.want, err)
		}
	}
}

func TestUndoOfOneHive(t *testing.T) {
	m := testMachine(t)
	p := mustPlan(t, m, repair()...)
	r := mustApply(t, p, m.Inputs)
	back, err := Undo(p, r.Journal(), afterOf(r)[:1], ApplyOptions{AllowMissing: true})
	if err != nil {
		t.Fatal(err)
	}
	if back.Inputs[0].After.SHA256 != m.Inputs[0].SHA256 {
		t.Error("the original did not come back")
	}
}

func TestVerify(t *testing.T) {
	m := testMachine(t)
	dir := writePackage(t, testPackage(t, m))
	pk, err := ReadPackage(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := mustApply(t, pk.Plan, m.Inputs)
	lived := live(t, r, setValue(rcmKey, binaryValue("Certificate", 1, 2, 3), ""))
	for name, c := range map[string]struct {
		inputs []*hive.Input
		want   Standing
		exact  bool
	}{
		"originals": {m.Inputs, NotApplied, true},
		"patched":   {afterOf(r), Applied, true},
		"lived":     {lived[:1], HasDrifted, false},
	} {
		got, err := Verify(pk, c.inputs)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, v := range got {
			if v.Standing != c.want || v.Exact != c.exact {
				t.Errorf("%s: %s: want %s (exact %v), found %s (%v)", name, v.Input.Path, c.want, c.exact, v.Standing, v.Exact)
			}
		}
	}
}

func TestVerifyDoesNotBelieveAForgedPackage(t *testing.T) {
	m := testMachine(t)
	other := func(edits ...hive.Edit) *Package {
		p := mustPlan(t, m, edits...)
		pk, err := NewPackage(p, mustApply(t, p, m.Inputs))
		if err != nil {
			t.Fatal(err)
		}
		return pk
	}
	more := append(repair(), deleteValue(rcmKey, "Keep", "X"))
	for name, forge := range map[string]func(pk *Package){
		"hive with one edit more":  func(pk *Package) { takeHive(pk, other(more...)) },
		"plan with one edit less":  func(pk *Package) { pk.Plan = other(repair()[:4]...).Plan },
		"fix.reg of another plan":  func(pk *Package) { pk.Files[FixFile] = other(more...).Files[FixFile] },
		"undo.reg of another plan": func(pk *Package) { pk.Files[UndoFile] = other(more...).Files[UndoFile] },
		"hive without a journal":   func(pk *Package) { pk.Journal.Hives = pk.Journal.Hives[:1] },
		"journal to elsewhere":     func(pk *Package) { pk.Plan.Inputs[0].SHA256 = strings.Repeat("0", 64) },
	} {
		pk := testPackage(t, m)
		if _, err := Verify(pk, nil); err != nil {
			t.Fatal(err)
		}
		forge(pk)
		if _, err := Verify(pk, nil); err == nil {
			t.Errorf("%s: was believed", name)
		}
	}
}

// takeHive puts another package's SYSTEM hive in, with the journal for it.
func takeHive(pk, from *Package) {
	pk.Files["hives/SYSTEM"] = from.Files["hives/SYSTEM"]
	pk.Journal.Hives[0] = from.Journal.Hives[0]
}
