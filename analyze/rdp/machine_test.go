package rdp_test

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"hivemend/analyze"
	"hivemend/analyze/rdp"
	"hivemend/hive"
	"hivemend/hive/cursor"
	"hivemend/testdata/gen/encode"
)

// machine is a computer in the making: its SYSTEM and SOFTWARE trees, and who
// they say they come from.
type machine struct {
	system, software *hive.Node
	computer         string
	kind             hive.InputKind
	issues           []hive.Issue // of SYSTEM
	state            hive.State
	opt              analyze.Options
}

// set puts a value at path below root, creating keys on the way.
func set(root *hive.Node, path, name string, typ hive.Type, data []byte) {
	n := key(root, path)
	if v := n.Value(name); v != nil {
		v.Type, v.Data = typ, data
		return
	}
	n.Values = append(n.Values, hive.NodeValue{Name: name, Type: typ, Data: data})
}

// key returns the key at path below root, made where it is missing.
func key(root *hive.Node, path string) *hive.Node {
	for _, name := range hive.ParsePath(path) {
		sub := root.Subkey(name)
		if sub == nil {
			sub = &hive.Node{Name: name, LastWrite: 129500000000000000}
			root.Keys = append(root.Keys, sub)
		}
		root = sub
	}
	return root
}

// drop takes the value, or with an empty name the key, at path away.
func drop(root *hive.Node, path, name string) {
	if name != "" {
		n := key(root, path)
		n.Values = slices.DeleteFunc(n.Values, func(v hive.NodeValue) bool { return v.Name == name })
		return
	}
	p := hive.ParsePath(path)
	n := key(root, p.Parent().String())
	n.Keys = slices.DeleteFunc(n.Keys, func(k *hive.Node) bool { return k.Name == p.Name() })
}

func (m *machine) sys(path, name string, typ hive.Type, data []byte) {
	set(m.system, path, name, typ, data)
}
func (m *machine) soft(path, name string, typ hive.Type, data []byte) {
	set(m.software, path, name, typ, data)
}

func dword(n uint32) []byte            { return binary.LittleEndian.AppendUint32(nil, n) }
func text(s string) []byte             { return encode.UTF16Z(s) }
func multi(list ...string) []byte      { return text(strings.Join(list, "\x00") + "\x00") }
func flip(b []byte, offset int) []byte { b = slices.Clone(b); b[offset] ^= 1; return b }
func moment(s string) hive.FileTime {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return cursor.FromTime(t)
}

const (
	cs1      = `ControlSet001\`
	rcmPath  = cs1 + `Control\Terminal Server\RCM`
	oldPath  = cs1 + `Services\TermService\Parameters`
	stations = cs1 + `Control\Terminal Server\WinStations`
	ntVer    = `Microsoft\Windows NT\CurrentVersion`
	licences = `Microsoft\MSLicensing`
	policy   = `Policies\Microsoft\Windows NT\Terminal Services`
)

// base returns what every machine has.
func base(product, version, productType string) *machine {
	m := &machine{system: &hive.Node{}, software: &hive.Node{}, computer: "TS01", kind: hive.Regf, state: hive.Clean}
	m.opt.AsOf = moment("2012-06-01T00:00:00Z")
	for name, n := range map[string]uint32{"Current": 1, "Default": 1, "Failed": 0, "LastKnownGood": 1} {
		m.sys("Select", name, hive.RegDWORD, dword(n))
	}
	m.sys(cs1+`Control\ComputerName\ComputerName`, "ComputerName", hive.RegSZ, text("TS01"))
	m.sys(cs1+`Control\ProductOptions`, "ProductType", hive.RegSZ, text(productType))
	key(m.system, cs1+`Control\Session Manager`)
	key(m.system, cs1+`Services\Tcpip`)
	m.sys(stations+`\Console`, "WdName", hive.RegSZ, text("Console"))
	m.sys(stations+`\RDP-Tcp`, "WdName", hive.RegSZ, text("Microsoft RDP"))
	m.sys(stations+`\RDP-Tcp`, "MinEncryptionLevel", hive.RegDWORD, dword(2))
	m.soft(ntVer, "ProductName", hive.RegSZ, text(product))
	m.soft(ntVer, "CurrentVersion", hive.RegSZ, text(version))
	return m
}

// server2003 is a healthy terminal server of the older era.
func server2003() *machine {
	m := base("Microsoft Windows Server 2003", "5.2", "ServerNT")
	m.sys(cs1+`Control\Terminal Server`, "TSAppCompat", hive.RegDWORD, dword(1))
	m.sys(cs1+`Control\Terminal Server\Licensing Core`, "PolicyAcOn", hive.RegDWORD, dword(2))
	m.sys(oldPath, "Certificate", hive.RegBinary, encode.SampleProprietary())
	key(m.system, oldPath+`\LicenseServers\LS01`)
	return m
}

// server2008 is a healthy session host of the newer era.
func server2008() *machine {
	m := base("Windows Server 2008 R2 Standard", "6.1", "ServerNT")
	m.sys(cs1+`Control\Terminal Server`, "TSAppCompat", hive.RegDWORD, dword(1))
	m.sys(rcmPath, "Certificate", hive.RegBinary, proprietary2048)
	m.sys(rcmPath, "CertificateOld", hive.RegBinary, encode.SampleProprietaryExample())
	m.sys(rcmPath+`\Licensing Core`, "LicensingMode", hive.RegDWORD, dword(4))
	m.sys(oldPath+`\LicenseServers`, "SpecifiedLicenseServers", hive.RegMultiSZ, multi("LS01"))
	m.sys(stations+`\RDP-Tcp`, "SecurityLayer", hive.RegDWORD, dword(1))
	m.sys(stations+`\EH-Tcp`, "WdName", hive.RegSZ, text("Microsoft RDP 5.2"))
	m.sys(stations+`\EH-Tcp`, "MinEncryptionLevel", hive.RegDWORD, dword(3))
	return m
}

// clientXP is a healthy licensed client.
func clientXP() *machine {
	m := base("Microsoft Windows XP", "5.1", "WinNT")
	m.sys(oldPath, "Certificate", hive.RegBinary, encode.SampleProprietary())
	m.soft(licences+`\HardwareID`, "ClientHWID", hive.RegBinary, encode.HardwareID(0x04010002, "client"))
	licence(m, `Store\LICENSE000`, encode.SampleLicence())
	m.opt.AsOf = moment("2007-08-01T00:00:00Z")
	return m
}

// licence puts a licence with its four values into the store.
func licence(m *machine, path string, blob []byte) {
	path = licences + `\` + path
	m.soft(path, "ClientLicense", hive.RegBinary, blob)
	m.soft(path, "CompanyName", hive.RegBinary, encode.UTF16Z("Microsoft Corporation"))
	m.soft(path, "LicenseScope", hive.RegBinary, []byte("microsoft.com\x00"))
	m.soft(path, "ProductID", hive.RegBinary, encode.UTF16Z("A02"))
}

var proprietary2048 = encode.NewProprietary(encode.NewKey("listener", 2048)).Encode()

// build gives m its final form.
func (m *machine) build() *hive.Machine {
	out := &hive.Machine{Name: "TS01", ComputerName: m.computer, Generation: hive.Live}
	add := func(kind hive.Kind, root *hive.Node) *hive.Input {
		in := &hive.Input{Path: string(kind), Kind: m.kind, Hive: kind, State: hive.Clean, SHA256: strings.Repeat("0f", 32)}
		in.Mounts = []hive.Mount{{Kind: kind, Prefix: kind.Prefix(), Root: root.Key()}}
		out.Inputs = append(out.Inputs, in)
		return in
	}
	if m.system != nil {
		in := add(hive.System, m.system)
		in.Issues, in.State = m.issues, m.state
	}
	if m.software != nil {
		add(hive.Software, m.software)
	}
	return out
}

func (m *machine) run() analyze.Result { return analyze.Run(m.build(), rdp.Rules, m.opt) }

// verdicts lists findings as "RULE cause value", or "RULE cause key" for one
// about a key, with "note: " before notes.
func verdicts(findings []analyze.Finding) []string {
	list := []string{}
	for _, f := range findings {
		parts := []string{f.Rule}
		if f.Severity == analyze.Note {
			parts[0] = "note: " + f.Rule
		}
		if f.Cause() != "" {
			parts = append(parts, f.Cause())
		}
		if f.Location != nil && f.Location.HasValue {
			parts = append(parts, f.Location.Value)
		}
		list = append(list, strings.Join(parts, " "))
	}
	return list
}

// testCase is a machine and everything that is to be found on it.
type testCase struct {
	name string
	m    *machine
	with func(*machine) // what is done to it
	want []string
}

func (test testCase) run(t *testing.T) analyze.Result {
	t.Helper()
	if test.with != nil {
		test.with(test.m)
	}
	res := test.m.run()
	got := verdicts(res.Findings)
	slices.Sort(got)
	want := slices.Sorted(slices.Values(test.want))
	if !slices.Equal(got, want) {
		t.Errorf("findings\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		for _, nc := range res.NotChecked {
			t.Logf("not checked: %s: %s", nc.Rule, nc.Reason)
		}
	}
	for _, f := range res.Findings {
		checkFinding(t, f)
	}
	return res
}

// checkFinding holds for every finding whatever it says.
func checkFinding(t *testing.T, f analyze.Finding) {
	t.Helper()
	if f.Message == "" || f.Fingerprint == "" || f.Evidence == nil && f.Location == nil {
		t.Errorf("%s: incomplete: %+v", f.Rule, f)
	}
	if f.Fix == nil {
		return
	}
	edits := slices.Clone(f.Fix.Edits)
	for _, c := range f.Fix.Choices {
		edits = append(edits, c.Edits...)
	}
	if len(edits) == 0 {
		t.Errorf("%s: a fix without edits", f.Rule)
	}
	for _, e := range edits {
		if e.Expect == nil || e.Rule != f.Rule || e.Reason == "" {
			t.Errorf("%s: edit %v lacks a precondition, rule or reason", f.Rule, e)
		}
		path := strings.ToUpper(e.Key.String())
		if strings.Contains(path, `RCM\GRACEPERIOD`) || strings.Contains(path, `RCM\SECRETS`) {
			t.Errorf("%s: edit %v", f.Rule, e)
		}
	}
}

// edits lists what the first finding of that rule would change, as "op value"
// or "op key".
func edits(res analyze.Result, rule string) []string {
	var list []string
	for _, f := range res.Findings {
		if f.Rule != rule || f.Fix == nil {
			continue
		}
		for _, e := range f.Fix.Edits {
			what := e.Value
			if e.Op == hive.DeleteKey || e.Op == hive.CreateKey {
				what = e.Key.Name()
			}
			list = append(list, string(e.Op)+" "+what)
		}
		return list
	}
	return list
}

func finding(t *testing.T, res analyze.Result, rule string) analyze.Finding {
	t.Helper()
	for _, f := range res.Findings {
		if f.Rule == rule {
			return f
		}
	}
	t.Fatalf("no %s among %v", rule, verdicts(res.Findings))
	return analyze.Finding{}
}

func reportText(t *testing.T, res analyze.Result) string {
	t.Helper()
	out, err := json.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
