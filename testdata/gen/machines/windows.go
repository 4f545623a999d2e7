package machines

import (
	"fmt"
	"time"

	"hivemend/hive"
	"hivemend/testdata/gen/encode"
)

// windows is one version of Windows, as far as a registry shows it.
type windows struct {
	product, version, build, servicePack string
	major                                uint32 // CurrentMajorVersionNumber, 0 before Windows 10
	productType                          string
	suite                                []string
	rdp                                  string // WdName of the listener
	systemRoot                           string
	systemRootName, softwareRootName     string // stored names of the hives' roots
	minor                                uint32 // minor version of the regf format
	modern                               bool   // Vista or later
}

var (
	windows2000 = windows{
		product: "Microsoft Windows 2000", version: "5.0", build: "2195", servicePack: "Service Pack 3",
		productType: "ServerNT", suite: []string{"Terminal Server"}, rdp: "Microsoft RDP 5.0",
		systemRoot: `C:\WINNT`, systemRootName: "$$$PROTO.HIV", softwareRootName: "$$$PROTO.HIV", minor: 3,
	}
	windowsXP = windows{
		product: "Microsoft Windows XP", version: "5.1", build: "2600", servicePack: "Service Pack 3",
		productType: "WinNT", rdp: "Microsoft RDP 5.1",
		systemRoot: `C:\WINDOWS`, systemRootName: "$$$PROTO.HIV", softwareRootName: "$$$PROTO.HIV", minor: 3,
	}
	server2003 = windows{
		product: "Microsoft Windows Server 2003 R2", version: "5.2", build: "3790", servicePack: "Service Pack 2",
		productType: "ServerNT", suite: []string{"Terminal Server"}, rdp: "Microsoft RDP 5.2",
		systemRoot: `C:\WINDOWS`, systemRootName: "$$$PROTO.HIV", softwareRootName: "$$$PROTO.HIV", minor: 5,
	}
	server2008R2 = windows{
		product: "Windows Server 2008 R2 Standard", version: "6.1", build: "7601", servicePack: "Service Pack 1",
		productType: "ServerNT", suite: []string{"Terminal Server"}, rdp: "Microsoft RDP 7.1",
		systemRoot: `C:\Windows`, minor: 5, modern: true,
		systemRootName:   "CMI-CreateHive{2A7FB991-7BBE-4F9D-B91E-7CB51D4737F5}",
		softwareRootName: "CMI-CreateHive{199DAFC2-6F16-4946-BF90-5A3FC3A60902}",
	}
	windows7 = windows{
		product: "Windows 7 Professional", version: "6.1", build: "7601", servicePack: "Service Pack 1",
		productType: "WinNT", suite: []string{"Terminal Server"}, rdp: "Microsoft RDP 7.1",
		systemRoot: `C:\Windows`, minor: 5, modern: true,
		systemRootName:   "CMI-CreateHive{2A7FB991-7BBE-4F9D-B91E-7CB51D4737F5}",
		softwareRootName: "CMI-CreateHive{199DAFC2-6F16-4946-BF90-5A3FC3A60902}",
	}
	server2016 = windows{
		product: "Windows Server 2016 Standard", version: "6.3", build: "14393", major: 10,
		productType: "ServerNT", suite: []string{"Terminal Server"}, rdp: "Microsoft RDP 8.0",
		systemRoot: `C:\Windows`, minor: 5, modern: true, systemRootName: "ROOT", softwareRootName: "ROOT",
	}
	windows11 = windows{
		product: "Windows 10 Pro", version: "6.3", build: "22631", major: 10, // Windows 11 keeps the old name
		productType: "WinNT", suite: []string{"Terminal Server"}, rdp: "Microsoft RDP 8.0",
		systemRoot: `C:\Windows`, minor: 5, modern: true, systemRootName: "ROOT", softwareRootName: "ROOT",
	}
)

// computer is one machine: its Windows, its name, and its dates.
type computer struct {
	windows
	name, domain string
	installed    time.Time
	shutdown     time.Time // also when the hives were last written
	zone         zone
}

// zone is a time zone, as Control\TimeZoneInformation holds it.
type zone struct {
	key, standard, daylight string
	bias                    int32 // minutes to add to local time
}

var (
	zoneLondon  = zone{"GMT Standard Time", "GMT Standard Time", "GMT Daylight Time", 0}
	zoneBerlin  = zone{"W. Europe Standard Time", "W. Europe Standard Time", "W. Europe Daylight Time", -60}
	zoneEastern = zone{"Eastern Standard Time", "Eastern Standard Time", "Eastern Daylight Time", 300}
)

// newSystem returns the SYSTEM hive of c with one control set, ControlSet001.
func newSystem(c computer) *tree {
	t := newTree(c.systemRootName, c.installed)
	t.control(c)
	t.terminalServer(c)
	t.services(c)
	t.key(`MountedDevices`,
		bin(`\??\Volume{`+guid(c.name+"/volume")+`}`, append(encode.Stream(c.name+"/disk", 4), 0, 0x7e, 0, 0, 0, 0, 0, 0)),
		bin(`\DosDevices\C:`, append(encode.Stream(c.name+"/disk", 4), 0, 0x7e, 0, 0, 0, 0, 0, 0)))
	t.key(`Select`, dword("Current", 1), dword("Default", 1), dword("Failed", 0), dword("LastKnownGood", 1))
	t.key(`Setup`, dword("SetupType", 0), dword("SystemSetupInProgress", 0), sz("CmdLine", "setup -newsetup"),
		sz("SystemPartition", `\Device\HarddiskVolume1`))
	t.at(c.shutdown)
	t.key(`ControlSet001\Control\Windows`).LastWrite = t.now
	t.root.LastWrite = t.now
	return t
}

func (t *tree) control(c computer) {
	const control = `ControlSet001\Control\`
	t.key(`ControlSet001\Control`, sz("CurrentUser", "USERNAME"), dword("WaitToKillServiceTimeout", 20000),
		sz("SystemStartOptions", " NOEXECUTE=OPTIN"), sz("SystemBootDevice", "multi(0)disk(0)rdisk(0)partition(1)"))
	t.key(control+`BackupRestore\FilesNotToBackup`, multiSZ("Memory Page File", `\Pagefile.sys`),
		multiSZ("Temporary Files", `%TEMP%\* /s`))
	t.key(control+`ComputerName\ActiveComputerName`, sz("ComputerName", c.name))
	t.key(control+`ComputerName\ComputerName`, sz("", "mnmsrvc"), sz("ComputerName", c.name))
	t.key(control+`CrashControl`, dword("AutoReboot", 1), dword("CrashDumpEnabled", 2),
		expandSZ("DumpFile", `%SystemRoot%\MEMORY.DMP`))
	t.key(control+`FileSystem`, dword("NtfsDisable8dot3NameCreation", 0), dword("Win31FileSystem", 0))
	t.key(control+`Lsa`, multiSZ("Authentication Packages", "msv1_0"), dword("LmCompatibilityLevel", 2), dword("crashonauditfail", 0))
	if c.modern {
		t.key(control+`Lsa\FipsAlgorithmPolicy`, dword("Enabled", 0))
	} else {
		t.key(control+`Lsa`, dword("fipsalgorithmpolicy", 0))
	}
	t.key(control+`Nls\CodePage`, sz("ACP", "1252"), sz("OEMCP", "850"), sz("MACCP", "10000"))
	t.key(control+`Nls\Language`, sz("Default", "0409"), sz("InstallLanguage", "0409"))
	t.key(control+`ProductOptions`, sz("ProductType", c.productType), multiSZ("ProductSuite", c.suite...))
	if c.modern {
		t.key(control+`ProductOptions`, bin("ProductPolicy", encode.Stream(c.name+"/policy", 64)))
	}
	t.key(control+`SecurePipeServers\winreg`, sz("Description", "Registry Server"))
	t.key(control+`Session Manager`, multiSZ("BootExecute", "autocheck autochk *"), dword("ProtectionMode", 1))
	t.key(control+`Session Manager\Environment`, expandSZ("ComSpec", `%SystemRoot%\system32\cmd.exe`),
		expandSZ("Path", `%SystemRoot%\system32;%SystemRoot%;%SystemRoot%\System32\Wbem`), sz("OS", "Windows_NT"),
		sz("PROCESSOR_ARCHITECTURE", "x86"))
	t.key(control+`Session Manager\Memory Management`, dword("ClearPageFileAtShutdown", 0),
		multiSZ("PagingFiles", `C:\pagefile.sys 2046 4092`))
	zone := t.key(control+`TimeZoneInformation`, dword("Bias", uint32(c.zone.bias)), dword("ActiveTimeBias", uint32(c.zone.bias)),
		dword("DaylightBias", 0xffffffc4), dword("StandardBias", 0), sz("StandardName", c.zone.standard), sz("DaylightName", c.zone.daylight))
	if c.modern {
		zone.Values = append(zone.Values, sz("TimeZoneKeyName", c.zone.key))
	}
	t.key(control+`Windows`, dword("CSDVersion", 0x200), expandSZ("Directory", `%SystemRoot%`),
		expandSZ("SystemDirectory", `%SystemRoot%\system32`), fileTimeValue("ShutdownTime", c.shutdown))
}

func (t *tree) terminalServer(c computer) {
	const ts = `ControlSet001\Control\Terminal Server`
	appMode := uint32(0)
	if c.productType == "ServerNT" {
		appMode = 1
	}
	t.key(ts, sz("ProductVersion", c.version), dword("TSEnabled", 1), dword("TSAppCompat", appMode),
		dword("TSUserEnabled", 0), dword("fDenyTSConnections", 0), dword("DeleteTempDirsOnExit", 1),
		dword("PerSessionTempDir", 1), dword("fSingleSessionPerUser", 1))
	t.key(ts+`\AddIns\Clip Redirector`, sz("Name", "RDPClip"), dword("Type", 3))
	t.key(ts+`\VIDEO\rdpdd`, sz(`\Device\Video0`, `\REGISTRY\Machine\System\CurrentControlSet\Services\RDPDD\Device0`))
	t.key(ts+`\Wds\rdpwd`, sz("WdName", c.rdp), sz("WdDLL", "rdpwd"), sz("StartupPrograms", "rdpclip"))
	console := t.key(ts+`\WinStations\Console`, dword("fEnableWinStation", 1), dword("MaxInstanceCount", 1), sz("PdName", "console"),
		sz("WdName", "console"))
	console.Values = append(console.Values, sz("Comment", "System Console"))
	t.key(ts+`\WinStations\RDP-Tcp`, t.listener(c)...)
}

func (t *tree) listener(c computer) []hive.NodeValue {
	values := []hive.NodeValue{
		dword("fEnableWinStation", 1), dword("MaxInstanceCount", 0xffffffff), sz("Comment", ""),
		sz("PdName", "tcp"), dword("PdClass", 2), sz("PdDLL", "tdtcp"), dword("PdFlag", 0x4e),
		sz("WdName", c.rdp), sz("WdDLL", "rdpwd"), dword("WdFlag", 0x36), sz("WdPrefix", "RDP"),
		dword("LanAdapter", 0), dword("PortNumber", 3389), dword("MinEncryptionLevel", 2), dword("ColorDepth", 4),
		dword("KeepAliveTimeout", 0), dword("Shadow", 1),
	}
	if c.version != "5.0" && c.version != "5.1" {
		layer := uint32(0)
		if c.modern {
			layer = 2
		}
		values = append(values, dword("SecurityLayer", layer), dword("UserAuthentication", layer/2))
	}
	return values
}

func (t *tree) services(c computer) {
	const services = `ControlSet001\Services\`
	service := func(name, display, image string, start, kind uint32) {
		t.key(services+name, dword("Type", kind), dword("Start", start), dword("ErrorControl", 1),
			expandSZ("ImagePath", image), sz("DisplayName", display), sz("ObjectName", "LocalSystem"))
	}
	service("Dhcp", "DHCP Client", `%SystemRoot%\system32\svchost.exe -k NetworkService`, 2, 0x20)
	service("Eventlog", "Event Log", `%SystemRoot%\system32\services.exe`, 2, 0x20)
	t.key(services+`Eventlog\System`, expandSZ("File", `%SystemRoot%\system32\config\SysEvent.Evt`), dword("MaxSize", 0x80000))
	t.key(services+`Eventlog\System\TermDD`, expandSZ("EventMessageFile", `%SystemRoot%\System32\Drivers\termdd.sys`), dword("TypesSupported", 7))
	t.key(services+`Eventlog\System\TermService`, expandSZ("EventMessageFile", `%SystemRoot%\System32\termsrv.dll`), dword("TypesSupported", 7))
	service("RDPWD", "RDPWD", `System32\Drivers\rdpwd.sys`, 3, 1)
	service("Tcpip", "TCP/IP Protocol Driver", `system32\DRIVERS\tcpip.sys`, 1, 1)
	t.key(services+`Tcpip\Parameters`, sz("Hostname", c.name), sz("NV Hostname", c.name), sz("Domain", c.domain),
		expandSZ("DataBasePath", `%SystemRoot%\System32\drivers\etc`), dword("EnablePMTUDiscovery", 1))
	service("TermDD", "Terminal Device Driver", `system32\DRIVERS\termdd.sys`, 1, 1)
	display := "Terminal Services"
	if c.modern {
		display = "Remote Desktop Services"
	}
	service("TermService", display, `%SystemRoot%\System32\svchost.exe -k termsvcs`, 3, 0x20)
	t.key(services+`TermService\Parameters`, expandSZ("ServiceDll", `%SystemRoot%\System32\termsrv.dll`))
	service("W32Time", "Windows Time", `%SystemRoot%\System32\svchost.exe -k LocalService`, 2, 0x20)
	t.key(services+`W32Time\Parameters`, sz("NtpServer", "time.example,0x1"), sz("Type", "NTP"))
}

// newSoftware returns the SOFTWARE hive of c.
func newSoftware(c computer) *tree {
	t := newTree(c.softwareRootName, c.installed)
	t.key(`Classes\.reg`, sz("", "regfile"))
	t.key(`Classes\regfile\shell\open\command`, expandSZ("", `regedit.exe "%1"`))
	t.key(`Microsoft\Cryptography`, sz("MachineGuid", guid(c.name+"/machine")))
	t.key(`Microsoft\Windows\CurrentVersion`, sz("ProgramFilesDir", `C:\Program Files`), sz("CommonFilesDir", `C:\Program Files\Common Files`))
	t.key(`Microsoft\Windows\CurrentVersion\Run`)
	version := t.key(`Microsoft\Windows NT\CurrentVersion`,
		sz("ProductName", c.product), sz("CurrentVersion", c.version), sz("CurrentBuildNumber", c.build), sz("CurrentBuild", c.build),
		sz("RegisteredOwner", "Example"), sz("RegisteredOrganization", "Example Ltd"), sz("SystemRoot", c.systemRoot),
		sz("PathName", c.systemRoot), sz("ProductId", "00000-000-0000000-00000"), dword("InstallDate", uint32(c.installed.Unix())))
	if c.servicePack != "" {
		version.Values = append(version.Values, sz("CSDVersion", c.servicePack))
	}
	if c.major != 0 {
		version.Values = append(version.Values, dword("CurrentMajorVersionNumber", c.major), dword("CurrentMinorVersionNumber", 0))
	}
	t.key(`Microsoft\Windows NT\CurrentVersion\Winlogon`, sz("DefaultDomainName", c.name), sz("Shell", "Explorer.exe"),
		sz("Userinit", c.systemRoot+`\system32\userinit.exe,`))
	t.key(`Policies\Microsoft\Windows NT\Terminal Services`)
	t.at(c.shutdown)
	t.root.LastWrite = t.now
	return t
}

// guid returns a made-up GUID that belongs to label, without braces.
func guid(label string) string {
	b := encode.Stream("guid/"+label, 16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
