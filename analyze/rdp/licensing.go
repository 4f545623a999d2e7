package rdp

import (
	"fmt"
	"slices"
	"strings"

	"hivemend/analyze"
	"hivemend/hive"
)

var modeInvalid = &analyze.Rule{
	ID:         "LIC-MODE-INVALID",
	Explain:    page("LIC-MODE-INVALID"),
	Severity:   analyze.Error,
	Title:      "The licensing mode is none that Windows knows",
	Needs:      []hive.Kind{hive.System},
	References: []string{"KB834651", docModeNotConfigured},
	Run:        runMode,
}

var serverUnset = &analyze.Rule{
	ID:         "LIC-SERVER-UNSET",
	Explain:    page("LIC-SERVER-UNSET"),
	Severity:   analyze.Note,
	Title:      "Licensing is not configured on a session host",
	Needs:      []hive.Kind{hive.System},
	References: []string{docModeNotConfigured, docNoServers},
	Run:        runServerUnset,
}

var serverRole = &analyze.Rule{
	ID:         "LIC-SERVER-ROLE",
	Explain:    page("LIC-SERVER-ROLE"),
	Severity:   analyze.Note,
	Title:      "This machine is a licence server",
	Needs:      []hive.Kind{hive.System},
	References: []string{kbLicenceServers, "TechNet cc757541"},
	Run:        runServerRole,
}

var grace = &analyze.Rule{
	ID:         "LIC-GRACE",
	Explain:    page("LIC-GRACE"),
	Severity:   analyze.Note,
	Title:      "The licensing grace period has been started",
	Needs:      []hive.Kind{hive.System},
	References: []string{"TechNet hh553157"},
	Run:        runGrace,
}

var w2kFragmentation = &analyze.Rule{
	ID:         "OS-W2K-FRAGMENTATION",
	Explain:    page("OS-W2K-FRAGMENTATION"),
	Severity:   analyze.Note,
	Title:      "On Windows 2000, slow lines cause the same symptoms",
	References: []string{"TechNet cc757541"},
	Run:        runW2K,
}

const docModeNotConfigured = "https://learn.microsoft.com/troubleshoot/windows-server/remote/licensing-mode-not-configured"

const (
	policyAcOn    = "PolicyAcOn"
	licensingMode = "LicensingMode"
)

// The licensing modes. 1 is what machines without the role hold.
const (
	modeRemoteAdmin   = 1
	modePerDevice     = 2
	modePerUser       = 4
	modeNotConfigured = 5
)

func runMode(p *analyze.Pass) {
	for _, set := range p.ControlSets() {
		if p.Windows.Era != analyze.EraNT6 && mayHostSessions(p, set) {
			judgeMode(p, terminalServer(set).Sub("Licensing Core"), policyAcOn, modePerDevice, modePerUser)
		}
		if p.Windows.Era != analyze.EraNT5 {
			judgeMode(p, rcm(set).Sub("Licensing Core"), licensingMode, modeRemoteAdmin, modePerDevice, modePerUser, modeNotConfigured)
		}
	}
	for _, root := range p.Roots(hive.Software) {
		judgeMode(p, policies(root), licensingMode, modePerDevice, modePerUser)
	}
}

// mayHostSessions reports whether PolicyAcOn matters: not on a workstation, and
// not on a server that only serves its administrators.
func mayHostSessions(p *analyze.Pass, set analyze.Place) bool {
	if hive.EqualFold(p.Windows.ProductType, "WinNT") || p.Windows.Version == "5.0" || p.Windows.Version == "5.1" {
		return false
	}
	mode, known := terminalServer(set).DWORD("TSAppCompat")
	return !known || mode == 1
}

// judgeMode reports the value where it is there and none of valid.
func judgeMode(p *analyze.Pass, at analyze.Place, name string, valid ...uint32) {
	v, ok := at.Value(name)
	if !ok {
		return
	}
	f := p.New(at.LocateValue(v))
	f.Evidence.Set("cause", "mode")
	n, err := v.DWORD()
	switch {
	case err != nil:
		f.Confidence = analyze.Medium
		f.Message = fmt.Sprintf("%s in %s is no number: %v.", label(v.Name()), shortPath(at), err)
	case !slices.Contains(valid, n):
		f.Evidence.Set("mode", n)
		f.Message = fmt.Sprintf("%s in %s is %d, which is no licensing mode.", label(v.Name()), shortPath(at), n)
	default:
		return
	}
	f.Message += " The server cannot ask for the right kind of licence, and refuses clients once its grace period is over."
	f.ManualSteps = []string{
		"Decide which licences were bought: per device (2) or per user (4). That cannot be read from the registry, so nothing is changed here.",
		fmt.Sprintf("Set the mode in the licensing settings of the server, or by Group Policy (\"Set the Remote Desktop licensing mode\"); as a last resort set %s in %s by hand.", v.Name(), shortPath(at)),
	}
	p.Report(at, f)
}

// sessionHost reports whether the machine serves sessions beyond those of its
// administrators.
func sessionHost(p *analyze.Pass) bool { return slices.Contains(p.Roles, "session-host") }

func runServerUnset(p *analyze.Pass) {
	if !sessionHost(p) {
		return
	}
	if len(p.Roots(hive.Software)) == 0 {
		p.NotChecked("no SOFTWARE hive was given, so licence servers and mode set by policy would not be seen")
		return
	}
	for _, set := range p.ControlSets() {
		if cause, what := unsetLicensing(p, set); cause != "" {
			at := termService(set)
			f := p.New(at.LocateKey())
			f.Confidence = analyze.Medium
			f.Evidence.Set("cause", cause)
			f.Message = fmt.Sprintf("This session host has %s. When its grace period is over it refuses clients with a message about licence servers, which is no certificate fault.", what)
			f.ManualSteps = []string{
				"Install and activate a licence server, or find out the one that is meant to be used.",
				"Name it on this server and choose per device or per user, in the licensing settings or by Group Policy (\"Use the specified Remote Desktop license servers\", \"Set the Remote Desktop licensing mode\").",
			}
			p.Report(at, f)
		}
	}
}

// unsetLicensing tells what is not configured; "" where both are, or where that
// cannot be known.
func unsetLicensing(p *analyze.Pass, set analyze.Place) (cause, what string) {
	noServer := len(licenceServers(p)) == 0 && !termService(set).Unknown() && !termService(set).Sub("LicenseServers").Unknown()
	noMode := p.Windows.Era == analyze.EraNT6 && modeUnset(p, set)
	switch {
	case noServer && noMode:
		return "no-server-no-mode", "neither a licence server nor a licensing mode configured"
	case noServer:
		return "no-server", "no licence server configured"
	case noMode:
		return "no-mode", "no licensing mode configured"
	}
	return "", ""
}

func modeUnset(p *analyze.Pass, set analyze.Place) bool {
	for _, root := range p.Roots(hive.Software) {
		if _, ok := policies(root).Value(licensingMode); ok {
			return false
		}
	}
	core := rcm(set).Sub("Licensing Core")
	if mode, ok := core.DWORD(licensingMode); ok {
		return mode == modeNotConfigured || mode == modeRemoteAdmin
	}
	return core.ValueAbsent(licensingMode)
}

func runServerRole(p *analyze.Pass) {
	for _, set := range p.ControlSets() {
		service := set.Sub("Services", "TermServLicensing")
		if service.Exists() && set.InScope {
			p.Report(service, licenceServerRole(p, service))
		}
	}
}

func licenceServerRole(p *analyze.Pass, service analyze.Place) analyze.Finding {
	f := p.New(service.LocateKey())
	f.Evidence.Set("cause", "license-server")
	if start, ok := service.DWORD("Start"); ok {
		f.Evidence.Set("start", start)
	}
	list := serverValues(service.Sub("Parameters"), nil)
	for _, root := range p.Roots(hive.Software) {
		list = serverValues(root.Sub("Microsoft", "TermServLicensing"), list)
	}
	f.Evidence.Set("values", list)
	f.Message = fmt.Sprintf("%s: this machine is a licence server. Whether it is activated, and what it has to give, lies in its database and in secrets that cannot be judged here.", shortPath(service))
	f.ManualSteps = append([]string{"If session hosts get no certificates or clients no licences although their own registries are in order, deactivate and reactivate this licence server."}, reactivation()...)
	return f
}

// serverValues appends the values of a key and of the keys right below it, by
// name and size; what they mean is nowhere documented.
func serverValues(at analyze.Place, list []analyze.Evidence) []analyze.Evidence {
	places := []analyze.Place{at}
	for sub := range at.Subkeys() {
		places = append(places, sub)
	}
	for _, place := range places {
		for v := range place.Values() {
			if len(list) < 5*maxListed {
				list = append(list, valueList(place, []hive.Value{v})...)
			}
		}
	}
	return list
}

func runGrace(p *analyze.Pass) {
	for _, set := range p.ControlSets() {
		at := rcm(set).Sub("GracePeriod")
		ended, hasEnded := termService(set).Value("LicensingGracePeriodEnded")
		if !at.Exists() && !hasEnded {
			continue
		}
		place := at
		if !at.Exists() {
			place = termService(set)
		}
		f := p.New(place.LocateKey())
		f.Evidence.Set("cause", "grace-period")
		var values []hive.Value
		for v := range at.Values() {
			values = append(values, v)
		}
		f.Evidence.Set("values", valueList(at, values))
		f.Evidence.Set("permanentLicenceSeen", hasEnded)
		f.Evidence.Set("graceDays", graceDays(p))
		f.Message = fmt.Sprintf("%s shows that the licensing grace period (%d days) was started.", shortPath(place), graceDays(p))
		if hasEnded {
			f.Message += fmt.Sprintf(" %s says that it is over because a permanent licence was received.", label(ended.Name()))
		}
		f.Message += " When it ends is protected and cannot be read; it is never edited here, because resetting it would evade licensing."
		f.ManualSteps = []string{"Configure a licence server and a licensing mode; that is the only supported way on."}
		p.Report(place, f)
	}
}

// graceDays is how long a server may serve without licences.
func graceDays(p *analyze.Pass) int {
	if p.Windows.Version == "5.0" {
		return 90
	}
	return 120
}

func runW2K(p *analyze.Pass) {
	if p.Windows.Version == "" && p.Windows.Era != analyze.EraNT6 {
		p.NotChecked("the version of Windows is not known")
		return
	}
	if p.Windows.Version != "5.0" || hive.EqualFold(p.Windows.ProductType, "WinNT") || isProfessional(p.Windows.Product) {
		return
	}
	f := p.New(nil)
	f.Confidence = analyze.Low
	f.Evidence.Set("cause", "windows-2000")
	f.Evidence.Set("product", p.Windows.Product)
	f.Evidence.Set("servicePack", p.Windows.ServicePack)
	f.Message = "This is a Windows 2000 server. Over slow lines with a small MTU, clients fail with the same messages as with a damaged certificate."
	f.ManualSteps = []string{
		"Bring the server to Service Pack 4 and the client to its last service pack.",
		`Check the path MTU between them, and that Services\Tcpip\Parameters\EnablePMTUDiscovery is not 0. Nothing of this is changed here.`,
	}
	p.ReportMachine(f)
}

func isProfessional(product string) bool {
	return strings.Contains(hive.Fold(product), "PROFESSIONAL")
}
