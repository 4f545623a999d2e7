package patch

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"
	"unicode/utf16"

	"hivemend/hive"
	"hivemend/hive/regf"
	"hivemend/hive/regtext"
)

const (
	testAsOf = hive.FileTime(133500000000000000)
	testTime = hive.FileTime(133500000010000000)
	rcmKey   = `HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Control\Terminal Server\RCM`
	licences = `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\MSLicensing`
)

func key(name string, parts ...any) *hive.Node {
	n := &hive.Node{Name: name, LastWrite: 129500000000000000}
	for _, part := range parts {
		switch part := part.(type) {
		case *hive.Node:
			n.Keys = append(n.Keys, part)
		case hive.NodeValue:
			n.Values = append(n.Values, part)
		}
	}
	return n
}

func binaryValue(name string, data ...byte) hive.NodeValue {
	return hive.NodeValue{Name: name, Type: hive.RegBinary, Data: data}
}

func dword(name string, n uint32) hive.NodeValue {
	return hive.NodeValue{Name: name, Type: hive.RegDWORD, Data: binary.LittleEndian.AppendUint32(nil, n)}
}

func text(name, s string) hive.NodeValue {
	var data []byte
	for _, u := range utf16.Encode([]rune(s + "\x00")) {
		data = binary.LittleEndian.AppendUint16(data, u)
	}
	return hive.NodeValue{Name: name, Type: hive.RegSZ, Data: data}
}

// long returns bytes without a pattern that a diff could hide in.
func long(n int, seed byte) []byte {
	var out []byte
	for block := [32]byte{seed}; len(out) < n; {
		block = sha256.Sum256(block[:])
		out = append(out, block[:]...)
	}
	return out[:n]
}

func systemTree() *hive.Node {
	set := func(name string, seed byte) *hive.Node {
		return key(name,
			key("Control",
				key("Terminal Server", dword("fDenyTSConnections", 0),
					key("RCM",
						binaryValue("Certificate", long(376, seed)...),
						dword("Keep", 7),
						binaryValue("X509 Certificate", long(3000, seed+1)...),
						text("X509 Certificate ID", "abc"),
						key("GracePeriod", binaryValue("L$RTMTIMEBOMB", long(90, 9)...)),
						key("Secrets", binaryValue("L$HYDRAENCKEY", long(598, 8)...))))),
			key("Services", key("TermService", key("Parameters", binaryValue("Certificate", long(200, 5)...)))))
	}
	return key("ROOT",
		set("ControlSet001", 1), set("ControlSet002", 1),
		key("Select", dword("Current", 1), dword("Default", 1), dword("Failed", 0), dword("LastKnownGood", 2)))
}

func softwareTree() *hive.Node {
	return key("ROOT",
		key("Classes"),
		key("Microsoft",
			key("MSLicensing",
				key("HardwareID", binaryValue("ClientHWID", long(20, 40)...)),
				key("Store", key("LICENSE000",
					binaryValue("ClientLicense", long(2000, 41)...), text("CompanyName", "Example & Söhne")))),
			key("Windows", key("CurrentVersion", text("ProgramFilesDir", `C:\Program Files`)))))
}

func hiveInput(t testing.TB, path string, kind hive.Kind, root *hive.Node) *hive.Input {
	t.Helper()
	data, err := regf.Build(root.Key(), regf.BuildOptions{Time: 129500000000000000, FileName: string(kind)})
	if err != nil {
		t.Fatal(err)
	}
	return openInput(t, path, kind, data)
}

func openInput(t testing.TB, path string, kind hive.Kind, data []byte) *hive.Input {
	t.Helper()
	im, err := regf.Open(data, regf.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return &hive.Input{
		Path: path, Kind: hive.Regf, Hive: kind, Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:]), State: hive.Clean,
		Data: data, Mounts: []hive.Mount{{Kind: kind, Prefix: kind.Prefix(), Root: im.Root()}},
	}
}

// textInput is .reg text with one mount for each hive in it.
func textInput(t testing.TB, path, content string) *hive.Input {
	t.Helper()
	data := []byte("Windows Registry Editor Version 5.00\r\n\r\n" + content)
	file, err := regtext.Parse(data, regtext.Options{})
	if err != nil {
		t.Fatal(err)
	}
	in := &hive.Input{Path: path, Kind: hive.Reg, Hive: hive.Mixed, SHA256: hash(data), Data: data, State: hive.Clean}
	root := file.Tree().Key()
	for _, kind := range []hive.Kind{hive.System, hive.Software} {
		if k, ok := root.Lookup(kind.Prefix()); ok {
			in.Mounts = append(in.Mounts, hive.Mount{Kind: kind, Prefix: kind.Prefix(), Root: k})
		}
	}
	return in
}

func machine(inputs ...*hive.Input) *hive.Machine {
	return &hive.Machine{Name: "TS01", ComputerName: "TS01", Generation: hive.Live, Inputs: inputs}
}

func testMachine(t testing.TB) *hive.Machine {
	return machine(
		hiveInput(t, "evidence/SYSTEM", hive.System, systemTree()),
		hiveInput(t, "evidence/SOFTWARE", hive.Software, softwareTree()))
}

func deleteValue(path, name, rule string) hive.Edit {
	return hive.Edit{Op: hive.DeleteValue, Key: hive.ParsePath(path), Value: name, Rule: rule, Reason: "because of " + rule}
}

func deleteKey(path, rule string) hive.Edit {
	return hive.Edit{Op: hive.DeleteKey, Key: hive.ParsePath(path), Rule: rule, Reason: "because of " + rule}
}

func setValue(path string, v hive.NodeValue, rule string) hive.Edit {
	return hive.Edit{Op: hive.SetValue, Key: hive.ParsePath(path), Value: v.Name, Type: v.Type, Data: v.Data, Rule: rule, Reason: "because of " + rule}
}

// repair is what the tests want done to testMachine.
func repair() []hive.Edit {
	return []hive.Edit{
		deleteKey(licences, "LIC-HWID-CORRUPT"),
		deleteValue(rcmKey, "Certificate", "TS-CERT-CORRUPT"),
		deleteValue(rcmKey, "X509 Certificate", "TS-CERT-CORRUPT"),
		deleteValue(rcmKey, "X509 Certificate ID", "TS-CERT-CORRUPT"),
		deleteValue(rcmKey, "X509 Certificate2", "TS-CERT-CORRUPT"),
		setValue(`HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Control\Terminal Server`, dword("fDenyTSConnections", 1), "TEST"),
	}
}

func options() PlanOptions {
	return PlanOptions{Tool: Tool{"hivemend", "test"}, AsOf: testAsOf, EditTime: testTime, FillExpect: true}
}

func mustPlan(t testing.TB, m *hive.Machine, edits ...hive.Edit) *Plan {
	t.Helper()
	p, err := NewPlan(edits, m, options())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustApply(t testing.TB, p *Plan, inputs []*hive.Input) *Result {
	t.Helper()
	r, err := Apply(p, inputs, ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func afterOf(r *Result) []*hive.Input {
	var out []*hive.Input
	for _, p := range r.Inputs {
		out = append(out, p.After)
	}
	return out
}
