package machines

import (
	"time"

	"hivemend/hive"
	"hivemend/testdata/gen/encode"
)

// Machine is one computer of testdata/machines.
type Machine struct {
	Name     string // the folder's
	About    string // one sentence, for the README
	AsOf     time.Time
	System   *hive.Node // nil where the machine has only an export
	Software *hive.Node
	Minor    uint32 // minor version of the regf format
	Written  time.Time
	Exports  []Export
	Expected []Expectation
}

// Export is a .reg file of some keys of a machine.
type Export struct {
	File   string
	Prefix string     // full path of Key
	Key    *hive.Node // nil for a key above others
}

// Expectation is a finding at warning or above that a scan of the machine must
// give, and but for which it must give none.
type Expectation struct {
	Rule, Severity, Cause string
	Key, Value            string // below the hive's prefix
	// FailingByte and Original name the changed byte, where one can be named;
	// FailingByte is -1 where none can.
	FailingByte int
	Original    byte
}

func utc(year int, month time.Month, day, hour, minute int) time.Time {
	return time.Date(year, month, day, hour, minute, 0, 0, time.UTC)
}

// All returns the machines in the order in which the README lists them.
func All() []Machine {
	return []Machine{
		ts2003(), ts2003Export(), ts2003Healthy(), clientXP(), clientXPExport(), clientHealthy(),
		ts2000(), rds2008r2(), rds2016(), windows11Healthy(),
	}
}

const set1 = `ControlSet001\`

func ts2003Computer(name string) computer {
	return computer{
		windows: server2003, name: name, domain: "example.com",
		installed: utc(2006, 3, 14, 9, 26), shutdown: utc(2009, 11, 17, 22, 4), zone: zoneLondon,
	}
}

const (
	ts2003DamagedAt   = 0x3a // a byte in the middle of the 512-bit modulus
	ts2003DamagedMask = 0x24
)

// ts2003System returns the SYSTEM hive of a terminal server of Windows 2003
// whose Certificate, chain and identifier are in order.
func ts2003System(c computer) *tree {
	t := newSystem(c)
	t.at(utc(2009, 11, 12, 7, 41))
	t.key(set1+parametersKey,
		bin("Certificate", proprietary(c.name, 512)),
		bin("X509 Certificate", chainOf(c.name, 0x0100000017, utc(2009, 3, 2, 8, 15), nil)),
		bin("X509 Certificate ID", chainID(c.name)))
	t.key(set1 + parametersKey + `\LicenseServers\LICSRV01`)
	t.key(set1+`Control\Terminal Server\Licensing Core`, dword("PolicyAcOn", 2))
	return t
}

func ts2003() Machine {
	c := ts2003Computer("TS2003")
	t := ts2003System(c)
	parameters := t.key(set1 + parametersKey)
	certificate := parameters.Value("Certificate")
	original := certificate.Data[ts2003DamagedAt]
	certificate.Data = flip(certificate.Data, ts2003DamagedAt, ts2003DamagedMask)
	for i, v := range parameters.Values {
		if v.Name == "X509 Certificate ID" {
			parameters.Values = append(parameters.Values[:i], parameters.Values[i+1:]...)
			break
		}
	}
	t.root.Keys = append(t.root.Keys, clone(t.root.Subkey("ControlSet001"), "ControlSet002"))
	t.root.Subkey("Select").Values = []hive.NodeValue{
		dword("Current", 1), dword("Default", 1), dword("Failed", 0), dword("LastKnownGood", 2),
	}
	return Machine{
		Name: "ts2003",
		About: "A terminal server of Windows Server 2003: one byte of Certificate is changed, X509 Certificate ID is missing. " +
			"ControlSet002 holds the same.",
		AsOf: utc(2009, 11, 30, 0, 0), System: t.root, Software: newSoftware(c).root, Minor: c.minor, Written: c.shutdown,
		Expected: []Expectation{
			{"TS-CERT-CORRUPT", "error", "signature", set1 + parametersKey, "Certificate", ts2003DamagedAt, original},
			{"TS-X509-ORPHAN", "warning", "id-missing", set1 + parametersKey, "X509 Certificate ID", -1, 0},
		},
	}
}

func ts2003Healthy() Machine {
	c := ts2003Computer("TS2003B")
	t := ts2003System(c)
	return Machine{
		Name:  "ts2003-healthy",
		About: "A terminal server of Windows Server 2003 on which everything is in order.",
		AsOf:  utc(2009, 11, 30, 0, 0), System: t.root, Software: newSoftware(c).root, Minor: c.minor, Written: c.shutdown,
	}
}

// ts2003Export is what a person at the broken server would export before
// anything is deleted.
func ts2003Export() Machine {
	broken := ts2003()
	parameters := broken.System.Subkey("ControlSet001")
	for _, name := range hive.ParsePath(parametersKey) {
		parameters = parameters.Subkey(name)
	}
	const live = `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\` + parametersKey
	m := Machine{
		Name:  "ts2003-export",
		About: "The key TermService\\Parameters of ts2003 as Registry Editor exports it on the running server.",
		AsOf:  broken.AsOf, Exports: []Export{{"exported-parameters.reg", live, parameters}},
	}
	for _, x := range broken.Expected {
		x.Key = `CurrentControlSet\` + parametersKey
		m.Expected = append(m.Expected, x)
	}
	return m
}

func clientXPComputer() computer {
	return computer{
		windows: windowsXP, name: "XPCLIENT", domain: "example.com",
		installed: utc(2007, 8, 21, 14, 10), shutdown: utc(2009, 11, 16, 17, 32), zone: zoneLondon,
	}
}

const clientStore = `Microsoft\MSLicensing\Store\`

func clientXP() Machine {
	c := clientXPComputer()
	software := newSoftware(c)
	software.at(utc(2009, 10, 26, 8, 3))
	damaged := storeLicence{
		user: "clerk", serial: 0x0300000041, issued: utc(2009, 10, 26, 8, 2), days: 71,
		product: "A02", version: "5.02", major: 5, minor: 2,
	}.clientLicense(c.name)
	damaged = flip(damaged, len(damaged)-100, 0x40) // inside the last certificate's signature
	sound := storeLicence{
		user: "clerk", serial: 0x0300000012, issued: utc(2009, 9, 28, 8, 40), days: 80,
		product: "A02", version: "5.00", major: 5,
	}.clientLicense(c.name)
	software.addStore(`Microsoft`, encode.HardwareID(0x05010000|1, c.name), damaged, sound)
	system := newSystem(c)
	system.at(utc(2007, 8, 21, 14, 30))
	system.key(set1+parametersKey, bin("Certificate", proprietary(c.name, 512)))
	return Machine{
		Name:  "client-xp",
		About: "A client of Windows XP: the licence in LICENSE000 is damaged, LICENSE001 is in order.",
		AsOf:  utc(2009, 11, 30, 0, 0), System: system.root, Software: software.root, Minor: c.minor, Written: c.shutdown,
		Expected: []Expectation{
			{"LIC-CAL-CORRUPT", "error", "signature", clientStore + "LICENSE000", "ClientLicense", -1, 0},
		},
	}
}

// clientXPExport is the backup that the article about the licence store asks for.
func clientXPExport() Machine {
	broken := clientXP()
	return Machine{
		Name:  "client-xp-export",
		About: "The key MSLicensing of client-xp as Registry Editor exports it.",
		AsOf:  broken.AsOf,
		Exports: []Export{{"mslicensingbackup.reg", `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\MSLicensing`,
			broken.Software.Subkey("Microsoft").Subkey("MSLicensing")}},
		Expected: broken.Expected,
	}
}

func clientHealthy() Machine {
	c := computer{
		windows: windows7, name: "DESK-014", domain: "example.com",
		installed: utc(2011, 5, 9, 11, 20), shutdown: utc(2013, 4, 5, 16, 58), zone: zoneEastern,
	}
	system, software := newSystem(c), newSoftware(c)
	system.at(utc(2011, 5, 9, 11, 45))
	system.key(set1+rcmKey, bin("Certificate", proprietary(c.name, 2048)), bin("CertificateOld", proprietary(c.name+"/old", 512)))
	system.addSecrets(c.name)
	addListenerCertificate(system, software, c.name, utc(2013, 1, 21, 8, 0))
	software.at(utc(2013, 3, 11, 9, 12))
	hardwareID := encode.HardwareID(0x04010001, c.name)
	licence := storeLicence{
		user: "clerk", serial: 0x0300000203, issued: utc(2013, 3, 11, 9, 11), days: 64,
		product: "A02", version: "6.00", major: 6,
	}.clientLicense(c.name)
	software.addStore(`Microsoft`, hardwareID, licence)
	software.addStore(`Wow6432Node\Microsoft`, hardwareID)
	return Machine{
		Name:  "client-healthy",
		About: "A client of Windows 7 (64 bits) with a permanent licence; the store of its 32-bit programs is empty. All is in order.",
		AsOf:  utc(2013, 4, 6, 0, 0), System: system.root, Software: software.root, Minor: c.minor, Written: c.shutdown,
	}
}

func ts2000() Machine {
	c := computer{
		windows: windows2000, name: "W2KTS", domain: "example.com",
		installed: utc(2001, 2, 6, 10, 2), shutdown: utc(2003, 9, 12, 21, 17), zone: zoneBerlin,
	}
	t := newSystem(c)
	t.at(utc(2003, 6, 3, 6, 55))
	certificate := proprietary(c.name, 512)
	t.key(set1+parametersKey,
		bin("Certificate", certificate[:100]),
		bin("X509 Certificate", chainOf(c.name, 0x0100000003, utc(2002, 5, 14, 12, 1), nil)),
		bin("X509 Certificate ID", chainID(c.name)),
		sz("DefaultLicenseServer", "LICSRV01"))
	return Machine{
		Name:  "ts2000",
		About: "A terminal server of Windows 2000 with Service Pack 3: Certificate ends after 100 of its 184 bytes.",
		AsOf:  utc(2003, 9, 30, 0, 0), System: t.root, Software: newSoftware(c).root, Minor: c.minor, Written: c.shutdown,
		Expected: []Expectation{{"TS-CERT-CORRUPT", "error", "truncated", set1 + parametersKey, "Certificate", -1, 0}},
	}
}

// rcmServer returns the hives of a session host of Windows Server 2008 or later
// on which everything is in order. change may alter its chains.
func rcmServer(c computer, issued time.Time, change func(*encode.Certificate)) (system, software *tree) {
	system, software = newSystem(c), newSoftware(c)
	system.at(issued)
	system.key(set1+rcmKey,
		bin("Certificate", proprietary(c.name, 2048)),
		bin("CertificateOld", proprietary(c.name+"/old", 512)),
		bin("X509 Certificate", chainOf(c.name, 0x0100000101, issued, change)),
		bin("X509 Certificate ID", chainID(c.name)),
		bin("X509 Certificate2", chainOf(c.name, 0x0100000102, issued, change)))
	system.key(set1+rcmKey+`\Licensing Core`, dword("LicensingMode", 4))
	system.addSecrets(c.name)
	system.key(set1+parametersKey+`\LicenseServers`, multiSZ("SpecifiedLicenseServers", "LICSRV01"))
	return system, software
}

func rds2008r2() Machine {
	c := computer{
		windows: server2008R2, name: "RDS2008R2", domain: "example.com",
		installed: utc(2011, 6, 7, 13, 33), shutdown: utc(2014, 2, 20, 23, 50), zone: zoneEastern,
	}
	system, software := rcmServer(c, utc(2012, 1, 10, 5, 31), nil)
	addListenerCertificate(system, software, c.name, utc(2013, 11, 4, 2, 0))
	const at, mask = 0xb1, 0x80
	certificate := system.key(set1 + rcmKey).Value("Certificate")
	original := certificate.Data[at]
	certificate.Data = flip(certificate.Data, at, mask)
	return Machine{
		Name:  "rds2008r2",
		About: "A session host of Windows Server 2008 R2: one byte of its 2048-bit Certificate is changed; CertificateOld and both chains are in order.",
		AsOf:  utc(2014, 3, 1, 0, 0), System: system.root, Software: software.root, Minor: c.minor, Written: c.shutdown,
		Expected: []Expectation{{"TS-CERT-CORRUPT", "error", "signature", set1 + rcmKey, "Certificate", at, original}},
	}
}

func rds2016() Machine {
	c := computer{
		windows: server2016, name: "RDS2016", domain: "example.com",
		installed: utc(2017, 4, 3, 7, 44), shutdown: utc(2021, 8, 30, 3, 12), zone: zoneBerlin,
	}
	expire := func(leaf *encode.Certificate) { leaf.NotAfter = utc(2021, 6, 30, 12, 0) }
	system, software := rcmServer(c, utc(2019, 7, 1, 12, 0), expire)
	addListenerCertificate(system, software, c.name, utc(2021, 5, 2, 2, 0))
	system.key(set1+rcmKey+`\GracePeriod`, bin("L$RTMTIMEBOMB_1320153D-8DA3-4e8e-B27B-0D888223A588", encode.Stream("grace/"+c.name, 64)))
	return Machine{
		Name:  "rds2016",
		About: "A session host of Windows Server 2016: both chains ran out on 2021-06-30. RCM\\GracePeriod is there.",
		AsOf:  utc(2021, 9, 1, 0, 0), System: system.root, Software: software.root, Minor: c.minor, Written: c.shutdown,
		Expected: []Expectation{
			{"TS-X509-EXPIRED", "warning", "", set1 + rcmKey, "X509 Certificate", -1, 0},
			{"TS-X509-EXPIRED", "warning", "", set1 + rcmKey, "X509 Certificate2", -1, 0},
		},
	}
}

func windows11Healthy() Machine {
	c := computer{
		windows: windows11, name: "W11-PC", domain: "",
		installed: utc(2024, 10, 14, 9, 5), shutdown: utc(2025, 6, 3, 18, 22), zone: zoneLondon,
	}
	system, software := newSystem(c), newSoftware(c)
	system.at(utc(2024, 10, 14, 9, 9))
	system.key(set1+rcmKey, bin("Certificate", proprietary(c.name, 2048)), bin("CertificateOld", proprietary(c.name+"/old", 512)))
	system.key(set1+rcmKey+`\Licensing Core`, dword("LicensingMode", 1))
	system.addSecrets(c.name)
	addListenerCertificate(system, software, c.name, utc(2025, 2, 11, 7, 30))
	return Machine{
		Name:  "w11-healthy",
		About: "A workstation of Windows 11 that nobody gave a chain or a licence: all is in order.",
		AsOf:  utc(2025, 6, 4, 0, 0), System: system.root, Software: software.root, Minor: c.minor, Written: c.shutdown,
	}
}
