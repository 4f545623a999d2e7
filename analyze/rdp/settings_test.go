package rdp_test

import (
	"slices"
	"strings"
	"testing"

	"hivemend/analyze"
	"hivemend/analyze/rdp"
	"hivemend/hive"
	"hivemend/testdata/gen/encode"
)

// TestHealthy holds machines of every era against all rules: not one finding,
// or only the notes that are named.
func TestHealthy(t *testing.T) {
	for _, test := range []testCase{
		{"2003", server2003(), nil, nil},
		{"2008 R2", server2008(), nil, nil},
		{"2008 R2 with a chain", rodent(), nil, nil},
		{"XP client", licensed(), nil, nil},
		{"Windows 10", base("Windows 10 Pro", "6.3", "WinNT"), func(m *machine) {
			m.soft(ntVer, "CurrentMajorVersionNumber", hive.RegDWORD, dword(10))
			m.sys(rcmPath, "Certificate", hive.RegBinary, proprietary2048)
			m.sys(rcmPath+`\Licensing Core`, "LicensingMode", hive.RegDWORD, dword(1))
			m.sys(stations+`\RDP-Tcp`, "SecurityLayer", hive.RegDWORD, dword(2))
		}, nil},
		{"RCM without a certificate", base("Windows 7", "6.1", "WinNT"), func(m *machine) { key(m.system, rcmPath) }, nil},
		{"2000 Professional", base("Microsoft Windows 2000 Professional", "5.0", "WinNT"), nil, nil},
		{"NT 4", base("Windows NT", "4.0", "ServerNT"), nil, nil},
		{"2003 for administrators only, without a mode", server2003(), func(m *machine) {
			m.sys(cs1+`Control\Terminal Server`, "TSAppCompat", hive.RegDWORD, dword(0))
			m.sys(cs1+`Control\Terminal Server\Licensing Core`, "PolicyAcOn", hive.RegDWORD, dword(0))
		}, nil},
		{"a certificate in the current set alone", server2003(), func(m *machine) {
			m.sys(`ControlSet002\Control\Session Manager`, "x", hive.RegSZ, nil)
			key(m.system, `ControlSet002\Services\TermService\Parameters`)
		}, nil},
		{"damage in a set that is not in use", server2003(), func(m *machine) {
			m.sys(`ControlSet002\Services\TermService\Parameters`, "Certificate", hive.RegBinary, []byte{1})
			key(m.system, `ControlSet002\Control\Session Manager`)
		}, nil},
		{"lower-case services", server2008(), func(m *machine) {
			key(m.system, cs1+"Services").Name = "services"
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t) })
	}
}

func TestLeftovers(t *testing.T) {
	p1 := encode.SampleProprietary()
	for _, test := range []testCase{
		{"misspelt key", server2003(), func(m *machine) {
			m.sys(cs1+`Services\TermServices\Parameters`, "Certificate", hive.RegBinary, p1)
		}, []string{"note: TS-KEY-MISSPELT misspelt Certificate"}},
		{"misspelt key without values", server2003(), func(m *machine) { key(m.system, cs1+`Services\TermServices\Parameters`) }, nil},
		{"older place on a newer version, damaged", server2008(), func(m *machine) { m.sys(oldPath, "Certificate", hive.RegBinary, flip(p1, 50)) },
			[]string{"note: TS-KEY-LEFTOVER leftover Certificate"}},
		{"newer place on an older version", server2003(), func(m *machine) { m.sys(rcmPath, "Certificate", hive.RegBinary, p1) },
			[]string{"note: TS-KEY-LEFTOVER leftover Certificate"}},
		{"both secrets", server2008(), func(m *machine) {
			m.sys(rcmPath+`\Secrets`, "L$HYDRAENCKEY_28ada6da-d622-11d1-9cb9-00c04fb16e75", hive.RegBinary, []byte{1})
			m.sys(rcmPath+`\Secrets`, "L$HYDRAENCKEY_52d1ad03-4565-44f3-8bfd-bbb0591f4b9d", hive.RegBinary, []byte{1})
		}, nil},
		{"one secret", server2008(), func(m *machine) {
			m.sys(rcmPath+`\Secrets`, "L$HYDRAENCKEY_28ada6da-d622-11d1-9cb9-00c04fb16e75", hive.RegBinary, []byte{1})
		}, []string{"note: TS-SECRET-UNPAIRED secret-missing CertificateOld"}},
		{"after the documented deletion", server2008(), func(m *machine) {
			m.sys(rcmPath+`\Secrets`, "L$HYDRAENCKEY_28ada6da-d622-11d1-9cb9-00c04fb16e75", hive.RegBinary, []byte{1})
			drop(m.system, rcmPath, "Certificate")
			drop(m.system, rcmPath, "CertificateOld")
		}, []string{"note: TS-SECRET-UNPAIRED certificate-missing Certificate"}},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t) })
	}
	m := server2008()
	m.sys(oldPath, "Certificate", hive.RegBinary, flip(p1, 50))
	list := finding(t, m.run(), "TS-KEY-LEFTOVER").Evidence.Get("values").([]analyze.Evidence)
	if list[0].Text("damage") != "signature" {
		t.Errorf("damage at the other place is not said: %v", list)
	}
}

func TestEncryption(t *testing.T) {
	level := func(n uint32) func(*machine) {
		return func(m *machine) { m.sys(stations+`\RDP-Tcp`, "MinEncryptionLevel", hive.RegDWORD, dword(n)) }
	}
	both := func(a, b func(*machine)) func(*machine) { return func(m *machine) { a(m); b(m) } }
	inPolicy := func(n uint32) func(*machine) {
		return func(m *machine) { m.soft(policy, "MinEncryptionLevel", hive.RegDWORD, dword(n)) }
	}
	fips := func(m *machine) { m.sys(cs1+`Control\Lsa\FipsAlgorithmPolicy`, "Enabled", hive.RegDWORD, dword(1)) }
	for _, test := range []testCase{
		{"0", server2008(), level(0), []string{"RDP-ENCRYPTION-INVALID level MinEncryptionLevel"}},
		{"5", server2008(), level(5), []string{"RDP-ENCRYPTION-INVALID level MinEncryptionLevel"}},
		{"text", server2008(), func(m *machine) { m.sys(stations+`\RDP-Tcp`, "MinEncryptionLevel", hive.RegSZ, text("2")) },
			[]string{"RDP-ENCRYPTION-INVALID level MinEncryptionLevel"}},
		{"Low", server2008(), level(1), nil},
		{"Low with TLS alone", server2008(), both(level(1), func(m *machine) { m.sys(stations+`\RDP-Tcp`, "SecurityLayer", hive.RegDWORD, dword(2)) }),
			[]string{"RDP-ENCRYPTION-INVALID layer MinEncryptionLevel"}},
		{"High", server2008(), level(3), []string{"note: RDP-ENCRYPTION-LEVEL local MinEncryptionLevel"}},
		{"FIPS", server2008(), level(4), []string{"note: RDP-ENCRYPTION-LEVEL local MinEncryptionLevel"}},
		{"High by policy", server2008(), inPolicy(3), []string{"note: RDP-ENCRYPTION-LEVEL policy MinEncryptionLevel"}},
		{"High, but the policy says less", server2008(), both(level(3), inPolicy(2)), nil},
		{"FIPS policy", server2008(), fips, []string{"note: RDP-ENCRYPTION-LEVEL fips Enabled"}},
		{"FIPS policy of 2003", server2003(), func(m *machine) { m.sys(cs1+`Control\Lsa`, "FipsAlgorithmPolicy", hive.RegDWORD, dword(1)) },
			[]string{"note: RDP-ENCRYPTION-LEVEL fips FipsAlgorithmPolicy"}},
		{"the console is no listener", server2008(), func(m *machine) {
			m.sys(stations+`\Console`, "MinEncryptionLevel", hive.RegDWORD, dword(9))
			m.sys(stations+`\Console\RDP`, "WdName", hive.RegSZ, text("x"))
			m.sys(stations+`\Console\RDP`, "MinEncryptionLevel", hive.RegDWORD, dword(3))
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t) })
	}
}

func TestEncryptionFixes(t *testing.T) {
	m := server2008()
	m.sys(stations+`\RDP-Tcp`, "MinEncryptionLevel", hive.RegDWORD, dword(0))
	if f := finding(t, m.run(), "RDP-ENCRYPTION-INVALID"); !f.Fix.Default || !slices.Equal(f.Fix.Edits[0].Data, dword(2)) {
		t.Errorf("fix %+v", f.Fix)
	}
	m.soft(policy, "MinEncryptionLevel", hive.RegDWORD, dword(2))
	if f := finding(t, m.run(), "RDP-ENCRYPTION-INVALID"); f.Fix != nil || !strings.Contains(f.Evidence.Text("policyPath"), `Terminal Services\MinEncryptionLevel`) {
		t.Errorf("with a policy: fix %+v, evidence %v", f.Fix, f.Evidence)
	}
	m = server2008()
	m.sys(stations+`\RDP-Tcp`, "MinEncryptionLevel", hive.RegDWORD, dword(3))
	m.sys(stations+`\EH-Tcp`, "MinEncryptionLevel", hive.RegDWORD, dword(4))
	for _, f := range m.run().Findings {
		low, ok := f.Fix.Choice(analyze.ChoiceLow)
		if eh := strings.HasSuffix(f.Location.Key.String(), "EH-Tcp"); ok == eh {
			t.Errorf("%s: choice of Low is %v", f.Location.Key, ok)
		} else if ok && (f.Fix.Default || len(f.Fix.Edits) != 0 || !slices.Equal(low[0].Data, dword(1))) {
			t.Errorf("fix %+v", f.Fix)
		}
	}
}

func TestLicensing(t *testing.T) {
	mode2003 := func(n uint32) func(*machine) {
		return func(m *machine) {
			m.sys(cs1+`Control\Terminal Server\Licensing Core`, "PolicyAcOn", hive.RegDWORD, dword(n))
		}
	}
	mode := func(n uint32) func(*machine) {
		return func(m *machine) { m.sys(rcmPath+`\Licensing Core`, "LicensingMode", hive.RegDWORD, dword(n)) }
	}
	for _, test := range []testCase{
		{"2003, 0", server2003(), mode2003(0), []string{"LIC-MODE-INVALID mode PolicyAcOn"}},
		{"2003, 4", server2003(), mode2003(4), nil},
		{"2003, 1", server2003(), mode2003(1), []string{"LIC-MODE-INVALID mode PolicyAcOn"}},
		{"2008, 3", server2008(), mode(3), []string{"LIC-MODE-INVALID mode LicensingMode"}},
		{"2008, 0", server2008(), mode(0), []string{"LIC-MODE-INVALID mode LicensingMode"}},
		{"2008, 2", server2008(), mode(2), nil},
		{"2008, 5", server2008(), mode(5), []string{"note: LIC-SERVER-UNSET no-mode"}},
		{"2008, 5, but the policy decides", server2008(), func(m *machine) {
			mode(5)(m)
			m.soft(policy, "LicensingMode", hive.RegDWORD, dword(4))
		}, nil},
		{"workstation, 1", base("Windows 7", "6.1", "WinNT"), mode(1), nil},
		{"no licence server", server2008(), func(m *machine) { drop(m.system, oldPath+`\LicenseServers`, "") },
			[]string{"note: LIC-SERVER-UNSET no-server"}},
		{"licence server by policy", server2008(), func(m *machine) {
			drop(m.system, oldPath+`\LicenseServers`, "")
			m.soft(policy, "LicenseServers", hive.RegSZ, text("LS01, LS02"))
		}, nil},
		{"licence server role", server2008(), func(m *machine) {
			m.sys(cs1+`Services\TermServLicensing`, "Start", hive.RegDWORD, dword(2))
			m.sys(cs1+`Services\TermServLicensing\Parameters\Certificates.000`, "x", hive.RegBinary, []byte{1})
		}, []string{"note: LIC-SERVER-ROLE license-server"}},
		{"grace period", server2008(), func(m *machine) {
			m.sys(rcmPath+`\GracePeriod`, "L$RTMTIMEBOMB_1320153D-8DA3-4e8e-B27B-0D888223A588", hive.RegBinary, encode.Stream("grace", 700))
		}, []string{"note: LIC-GRACE grace-period"}},
		{"2000 server", base("Microsoft Windows 2000 Server", "5.0", "ServerNT"), nil, []string{"note: OS-W2K-FRAGMENTATION windows-2000"}},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t) })
	}
}

func TestSelect(t *testing.T) {
	sel := func(name string, n uint32) func(*machine) {
		return func(m *machine) {
			m.sys("Select", name, hive.RegDWORD, dword(n))
			key(m.system, `ControlSet002\Control\Session Manager`)
		}
	}
	for _, test := range []testCase{
		{"missing", server2003(), func(m *machine) { drop(m.system, "Select", "") }, []string{"SYS-SELECT missing"}},
		{"names what is not there", server2003(), sel("Current", 7), []string{"SYS-SELECT dangling"}},
		{"Default differs", server2003(), sel("Default", 2), []string{"SYS-SELECT default-differs"}},
		{"text of one control set", server2003(), func(m *machine) {
			drop(m.system, "Select", "")
			m.kind, m.system.Partial = hive.Reg, true
		}, nil},
		{"live text", server2003(), func(m *machine) {
			drop(m.system, "Select", "")
			m.kind = hive.Reg
			key(m.system, "ControlSet001").Name = "CurrentControlSet"
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t) })
	}
}

func TestResidue(t *testing.T) {
	hexText := text("01,00,00,00,01,00,00,00,01,00,00,00")
	for _, test := range []testCase{
		{"phantom CurrentControlSet", server2003(), func(m *machine) { key(m.system, `CurrentControlSet\Control`) }, []string{"RESIDUE phantom-currentcontrolset"}},
		{"a link of that name", server2003(), func(m *machine) { key(m.system, "CurrentControlSet").Flags = 0x10 }, nil},
		{"phantom control set", server2003(), func(m *machine) { key(m.system, `ControlSet002\Control\Terminal Server`) }, []string{"RESIDUE phantom-controlset"}},
		{"translated name", server2008(), func(m *machine) { m.sys(rcmPath, "Certificato X509 ID", hive.RegBinary, nil) },
			[]string{"RESIDUE localized-value-name Certificato X509 ID"}},
		{"translated name, Chinese", server2008(), func(m *machine) { m.sys(rcmPath, "X509 证书", hive.RegBinary, nil) },
			[]string{"RESIDUE localized-value-name X509 证书"}},
		{"a name that only sounds like it", server2008(), func(m *machine) { m.sys(rcmPath, "CertificateNew", hive.RegBinary, nil) }, nil},
		{"pasted text", server2003(), func(m *machine) { m.sys(oldPath, "Certificate", hive.RegSZ, hexText) },
			[]string{"RESIDUE text-pasted-value Certificate", "TS-CERT-CORRUPT type Certificate"}},
		{"text that is no hex", server2003(), func(m *machine) { m.sys(oldPath, "Certificate", hive.RegSZ, text("see the other value")) },
			[]string{"TS-CERT-CORRUPT type Certificate"}},
		{"stray grace value", server2008(), func(m *machine) { m.sys(rcmPath+`\GracePeriod`, "L", hive.RegDWORD, dword(0)) },
			[]string{"RESIDUE grace-stray-value L", "note: LIC-GRACE grace-period"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := test.run(t)
			for _, f := range res.Findings {
				switch f.Cause() {
				case "grace-stray-value":
					if f.Fix != nil {
						t.Error("GracePeriod is edited")
					}
				case "phantom-currentcontrolset", "phantom-controlset":
					if f.Fix.Default {
						t.Error("a phantom is deleted without being asked")
					}
				case "text-pasted-value":
					if a, b := edits(res, "RESIDUE"), edits(res, "TS-CERT-CORRUPT"); !slices.Equal(a, b) {
						t.Errorf("edits %v and %v", a, b)
					}
				}
			}
		})
	}
}

func TestEveryRuleHasItsPage(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rdp.Rules {
		if seen[r.ID] || r.Run == nil || r.Title == "" {
			t.Errorf("rule %q is incomplete or twice in the list", r.ID)
		}
		seen[r.ID] = true
		for _, heading := range []string{"What it means", "How it is decided", "What Windows does", "What the fix does", "What can go wrong", "Sources"} {
			if !strings.Contains(r.Explain, heading+"\n") {
				t.Errorf("%s: no %q on its page", r.ID, heading)
			}
		}
		if rdp.Find(strings.ToLower(r.ID)) != r {
			t.Errorf("%s is not found by its ID", r.ID)
		}
	}
	if rdp.Find("NO-SUCH-RULE") != nil {
		t.Error("a rule that is none was found")
	}
}

// TestSecretsStaySecret holds every report against the bytes of secrets.
func TestSecretsStaySecret(t *testing.T) {
	m := server2008()
	secret := []byte("a secret that nobody may see")
	m.sys(rcmPath+`\Secrets`, "L$HYDRAENCKEY_28ada6da-d622-11d1-9cb9-00c04fb16e75", hive.RegBinary, secret)
	m.sys(rcmPath+`\GracePeriod`, "L$RTMTIMEBOMB_1320153D-8DA3-4e8e-B27B-0D888223A588", hive.RegBinary, secret)
	m.sys(rcmPath+`\GracePeriod`, "L", hive.RegBinary, secret)
	m.sys(rcmPath, "Certificate", hive.RegBinary, []byte{1})
	asked := 0
	m.opt.SecondReading = func(_ *hive.Input, path hive.Path, _ string) (hive.Type, []byte, bool, error) {
		if n := path.Name(); n == "Secrets" || n == "GracePeriod" {
			asked++
		}
		return 0, nil, false, nil
	}
	if m.run(); asked > 0 {
		t.Errorf("the second reader was asked for a secret %d times", asked)
	}
	m.opt.SecondReading = nil
	report := reportText(t, m.run())
	for _, hidden := range []string{"6120736563726574", string(secret), "6d3dc17ad0b9b778"} {
		if strings.Contains(report, hidden) {
			t.Errorf("the report holds %q", hidden)
		}
	}
}
