package rdp

import (
	"fmt"
	"strings"

	"hivemend/analyze"
	"hivemend/hive"
)

// The articles that the steps follow.
const (
	kbCertificates   = "KB329896"  // certificate values of 2000 and 2003
	kbLicenceServers = "KB814593"  // deactivating and reactivating a licence server
	kbClient         = "KB187614"  // removing licences from a client
	kbMismatch       = "KB2477023" // certificates and encryption level, 2008 R2
	docNoServers     = "https://learn.microsoft.com/troubleshoot/windows-server/remote/cannot-connect-rds-no-license-server"
)

// licenceServer is a licence server that the machine is told to use.
type licenceServer struct {
	name string
	from string // where that is configured, in words
}

// licenceServers lists the configured licence servers, each once.
func licenceServers(p *analyze.Pass) []licenceServer {
	return p.Once("licence servers", func() any {
		var list []licenceServer
		add := func(from string, names ...string) {
			for _, name := range names {
				if name = strings.TrimSpace(name); name != "" && !listed(list, name) {
					list = append(list, licenceServer{name, from})
					p.Personal(name)
				}
			}
		}
		for _, root := range p.Roots(hive.Software) {
			add("policy", strings.Split(policies(root).Text("LicenseServers"), ",")...)
		}
		for _, set := range p.ControlSets() {
			if set.InScope {
				localServers(set, add)
			}
		}
		return list
	}).([]licenceServer)
}

// localServers passes on the licence servers that the registry of each version
// keeps: 2008 and later a list, 2003 a key a server (KB279561), 2000 one value
// (KB239107).
func localServers(set analyze.Place, add func(from string, names ...string)) {
	parameters := termService(set)
	servers := parameters.Sub("LicenseServers")
	for _, at := range []analyze.Place{servers, parameters} {
		if v, ok := at.Value("SpecifiedLicenseServers"); ok {
			if names, err := v.Texts(); err == nil {
				add(shortPath(at), names...)
			}
		}
	}
	for sub := range servers.Subkeys() {
		add(shortPath(servers), sub.Key.Name())
	}
	add(shortPath(parameters), parameters.Text("DefaultLicenseServer"))
}

func listed(list []licenceServer, name string) bool {
	for _, s := range list {
		if hive.EqualFold(s.name, name) {
			return true
		}
	}
	return false
}

// serverNames names the configured licence servers for a sentence.
func serverNames(p *analyze.Pass) string {
	var names []string
	for _, s := range licenceServers(p) {
		names = append(names, hive.Printable(s.name))
	}
	switch len(names) {
	case 0:
		return "the licence server (none is named in what was given; the licensing tools of this server show which one it uses)"
	case 1:
		return "the licence server " + names[0]
	}
	return "each licence server (" + strings.Join(names, ", ") + ")"
}

// certificateSteps is what a person does about a damaged or stale certificate
// of a terminal server, in order, up to the escalation that Microsoft's
// articles end with (KB329896, KB814593, KB2477023).
func certificateSteps(p *analyze.Pass) []string {
	steps := []string{
		"Export the key before anything is changed; the fix package does so.",
		"Delete the certificate values of this server (the fix does that, all of them together), then restart the server. Restarting the service alone is not what Microsoft documents.",
		`On a client that is still refused: export and delete HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\MSLicensing (on 64-bit Windows its twin under Wow6432Node too), restart the client, and start mstsc once as administrator, because ordinary users may not recreate the key. A client that loses its HardwareID becomes a new device and may consume another licence.`,
		"If it is still refused, once more in this order: the client, this server, and then " + serverNames(p) + ".",
	}
	return append(append(steps, reactivation()...), encryptionSteps(p)...)
}

// reactivation is the procedure for the licence server (KB814593).
func reactivation() []string {
	return []string{
		"Deactivate the licence server in its licensing tool: Automatic or Telephone, never by Web. Have ready: administrator rights on it, the Product ID that the tool shows, the contact data of the registration, and, by telephone, the 35-digit confirmation code that Microsoft reads out. If its registration has expired, the automatic way fails: use Telephone.",
		"Reactivate it by Telephone (that gives it another form of certificate): a reason is asked for, and the call ends with the confirmation. Until then new clients get no licences; licences already issued stay valid; those not yet issued are reissued by the Microsoft Clearinghouse.",
	}
}

// encryptionSteps names the three places of the encryption level: a level that
// the client cannot meet fails like a damaged certificate does.
func encryptionSteps(p *analyze.Pass) []string {
	names := "Low, Client Compatible, High or FIPS Compliant"
	tool := "Remote Desktop Session Host Configuration (tsconfig.msc), where the version has it,"
	if p.Windows.Era == analyze.EraNT5 {
		tool = "Terminal Services Configuration (tscc.msc)"
	}
	if p.Windows.Version == "5.0" {
		names = "Low, Medium or High"
	}
	steps := []string{fmt.Sprintf("If event 50 from TermDD is in the log, look at the encryption level too; it is set in three places: %s at the properties of the connection (%s; Client Compatible, on Windows 2000 Medium, suits most clients), the Group Policy \"Set client connection encryption level\", and the policy \"System cryptography: Use FIPS compliant algorithms\", which overrides both.", tool, names)}
	if p.Windows.Version == "5.0" {
		steps = append(steps, "On Windows 2000 with clients on a slow line: bring server and client to the last service pack and check the path MTU before anything else is reset.")
	}
	return steps
}

// clientSteps is what a person does after licence data of a client was
// deleted (KB187614).
func clientSteps() []string {
	return []string{
		"Delete the licence data (the fix does that, after a backup) and restart the client.",
		"Start mstsc once as administrator and connect: ordinary users may not recreate the key, and the connection would end with \"An error occurred in the licensing protocol\".",
		"If the terminal server still refuses the client, delete the server's certificate values and restart it; see explain TS-CERT-CORRUPT.",
	}
}

// newDevice says what it costs to lose the HardwareID.
const newDevice = "Deleting HardwareID makes the client a new device: the licence server may count another licence for it until the old one runs out."
