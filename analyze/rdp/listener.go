package rdp

import (
	"bytes"
	"crypto/sha1"
	cryptox509 "crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"hivemend/analyze"
	"hivemend/analyze/internal/certstore"
	"hivemend/hive"
)

var listenerCert = &analyze.Rule{
	ID:         "RDP-LISTENER-CERT",
	Explain:    page("RDP-LISTENER-CERT"),
	Severity:   analyze.Warning,
	Title:      "A listener's TLS certificate cannot be used",
	Needs:      []hive.Kind{hive.System},
	References: []string{"KB3042780", "KB2000960", "MS-GPEF 2.2.1.1.1"},
	Run:        runListenerCert,
}

const (
	chosenHash      = "SSLCertificateSHA1Hash"
	selfSignedHash  = "SelfSignedCertificate"
	selfSignedStore = "SelfSignedCertStore"
)

// certReference is a value that names a TLS certificate by its SHA-1.
type certReference struct {
	analyze.Place // the key of the value
	value         hive.Value
	selfSigned    bool
}

// certReferences returns what the listeners refer to. The self-signed one
// stands on WinStations in real hives, the chosen one on the listener; both are
// looked for in both places.
func certReferences(set analyze.Place) []certReference {
	var list []certReference
	for _, at := range append([]analyze.Place{winStations(set)}, listeners(set)...) {
		if v, ok := at.Value(chosenHash); ok {
			list = append(list, certReference{at, v, false})
		}
		if v, ok := at.Value(selfSignedHash); ok {
			list = append(list, certReference{at, v, true})
		}
	}
	return list
}

// stores names the stores that the certificate may be in: the one that the
// registry names beside the reference, and the two that Remote Desktop uses.
func (ref certReference) stores() []string {
	names := []string{"Remote Desktop", "MY"}
	if named := ref.Text(selfSignedStore); named != "" && !strings.EqualFold(named, "NULL") && !slices.Contains(names, named) {
		names = append(names, named)
	}
	return names
}

// storedCert is the entry of a certificate store that a reference names.
type storedCert struct {
	analyze.Place        // ...\Certificates\<SHA-1>
	store         string // the store's name
	value         hive.Value
	data          []byte
	err           error // the data could not be read
	blob          *certstore.Entry
}

// storeRoots are where SOFTWARE keeps the stores of the machine.
func storeRoots(software analyze.Place) []analyze.Place {
	return []analyze.Place{
		software.Sub("Microsoft", "SystemCertificates"),
		software.Sub("Policies", "Microsoft", "SystemCertificates"),
	}
}

// findStored looks a certificate up in the stores that Remote Desktop uses. The
// second result is false where that cannot be told from what was given.
func findStored(p *analyze.Pass, ref certReference, thumbprint string) (entry storedCert, known bool) {
	roots := p.Roots(hive.Software)
	known = len(roots) > 0
	for _, root := range roots {
		for i, stores := range storeRoots(root) {
			for _, name := range ref.stores() {
				at := stores.Sub(name, "Certificates", thumbprint)
				if at.Exists() {
					return readStored(at, name), true
				}
				known = known && (at.Absent() || i > 0) // policies are rarely exported along
			}
		}
	}
	return storedCert{}, known
}

func readStored(at analyze.Place, store string) storedCert {
	e := storedCert{Place: at, store: store}
	v, ok := at.Value("Blob")
	if !ok {
		return e
	}
	e.value = v
	if e.data, e.err = v.Data(); e.err == nil {
		e.blob = certstore.Decode(e.data)
	}
	return e
}

func runListenerCert(p *analyze.Pass) {
	for _, set := range p.ControlSets() {
		for _, ref := range certReferences(set) {
			if f, found := judgeReference(p, ref); found {
				p.Report(ref.Place, f)
			}
		}
	}
}

// judgeReference gives the first cause that holds for a reference.
func judgeReference(p *analyze.Pass, ref certReference) (analyze.Finding, bool) {
	data, err := ref.value.Data()
	if err != nil {
		notReadable(p, ref.Place, ref.value, err)
		return analyze.Finding{}, false
	}
	f := p.New(ref.LocateValue(ref.value))
	if ref.value.Type() != hive.RegBinary || len(data) != sha1.Size {
		f.Evidence.Set("cause", "corrupt")
		f.Message = fmt.Sprintf("%s in %s is %s of %d bytes; a SHA-1 of 20 bytes is due.", label(ref.value.Name()), shortPath(ref.Place), ref.value.Type(), len(data))
		return closeReference(p, f, ref, nil), true
	}
	thumbprint := strings.ToUpper(hex.EncodeToString(data))
	f.Evidence.Set("cause", "")
	f.Evidence.Set("thumbprint", thumbprint)
	f.Evidence.Set("selfSigned", ref.selfSigned)
	entry, known := findStored(p, ref, thumbprint)
	switch {
	case !known && !entry.Key.Valid():
		if ref.InScope {
			p.NotChecked("the certificate stores in SOFTWARE that %s in %s points into were not given", label(ref.value.Name()), shortPath(ref.Place))
		}
		return f, false
	case !entry.Key.Valid():
		f.Evidence.Set("cause", "dangling")
		f.Message = fmt.Sprintf("%s in %s names the certificate %s, which is in no store.", label(ref.value.Name()), shortPath(ref.Place), thumbprint)
		return closeReference(p, f, ref, nil), true
	case entry.err != nil:
		notReadable(p, entry.Place, entry.value, entry.err)
		return f, false
	}
	f.Evidence.Set("store", entry.store)
	f.Evidence.Set("storeKey", entry.Path.String())
	return judgeStored(p, f, ref, entry, data)
}

// judgeStored judges the certificate that a reference names.
func judgeStored(p *analyze.Pass, f analyze.Finding, ref certReference, entry storedCert, thumbprint []byte) (analyze.Finding, bool) {
	if detail := storedFault(entry, thumbprint); detail != "" {
		f.Evidence.Set("cause", "corrupt")
		f.Evidence.Set("detail", detail)
		f.Message = fmt.Sprintf("The certificate that %s in %s names is damaged: %s", label(ref.value.Name()), shortPath(ref.Place), detail)
		return closeReference(p, f, ref, &entry), true
	}
	names := certNames(entry)
	addListenerCert(p, &f.Evidence, entry, names)
	switch {
	case p.AsOf != 0 && p.AsOf.Time().After(entry.blob.NotAfter):
		f.Confidence = analyze.Medium
		f.Evidence.Set("cause", "expired")
		f.Evidence.Set("asOf", p.AsOf)
		f.Message = fmt.Sprintf("The certificate that %s in %s names ended on %s.", label(ref.value.Name()), shortPath(ref.Place), timeText(entry.blob.NotAfter))
		addLastLife(p, &f, entry.blob.NotAfter)
	case !entry.blob.HasKey:
		f.Confidence = analyze.Medium
		f.Evidence.Set("cause", "nokey")
		f.Message = fmt.Sprintf("The certificate that %s in %s names has no record of a private key in store %s.", label(ref.value.Name()), shortPath(ref.Place), entry.store)
	case namesAnother(p, names):
		f.Severity, f.Confidence = analyze.Note, analyze.Low
		f.Evidence.Set("cause", "foreign")
		f.Message = fmt.Sprintf("The certificate that %s in %s names was made for %s, but this computer is called %s: clients may warn about the name.", label(ref.value.Name()), shortPath(ref.Place), hive.Printable(strings.Join(names, ", ")), hive.Printable(p.Computer))
		return f, true
	default:
		return f, false
	}
	return closeReference(p, f, ref, &entry), true
}

// storedFault says what is wrong with the entry itself, "" where nothing is.
func storedFault(entry storedCert, thumbprint []byte) string {
	switch {
	case !entry.value.Valid():
		return "The store's key has no value Blob."
	case entry.value.Type() != hive.RegBinary:
		return typeFault(entry.value).Detail
	case !entry.blob.Healthy():
		return entry.blob.Detail
	case !bytes.Equal(entry.blob.Thumbprint[:], thumbprint):
		return fmt.Sprintf("The entry's certificate has the SHA-1 %X, not the one that it is stored under.", entry.blob.Thumbprint)
	}
	return ""
}

// closeReference gives a finding its severity, fix and steps. entry is nil
// where no store has the certificate. Windows makes a new self-signed
// certificate by itself where that has expired or cannot be found.
func closeReference(p *analyze.Pass, f analyze.Finding, ref certReference, entry *storedCert) analyze.Finding {
	cause := f.Cause()
	if ref.selfSigned && (cause == "expired" || cause == "dangling") {
		f.Severity = analyze.Note
		f.Message += " Windows makes a new self-signed one when the service starts."
	} else {
		f.Message += " Clients that use TLS may be refused or warned; Windows falls back to a self-signed certificate where it can."
	}
	reason := "the listener's certificate is of no use (" + cause + "); Windows makes a self-signed one"
	f.Fix = &analyze.Fix{Edits: []hive.Edit{ref.DeleteValue(ref.value, p.Rule.ID, reason)}}
	if entry != nil && (ref.selfSigned || cause == "corrupt") {
		f.Fix.Edits = append(f.Fix.Edits, entry.DeleteKey(p.Rule.ID, reason))
	}
	f.ManualSteps = []string{
		"If the certificate was chosen on purpose (a company's own, or one from Group Policy), renew and assign it there; do not delete it.",
		"Otherwise let the reference and, for a self-signed certificate, its store entry be deleted (--include RDP-LISTENER-CERT edits both hives), and restart the service or the machine.",
		"The private key lies in a file outside the registry; where the entry is whole but TLS still fails, look at the rights of that file.",
	}
	return f
}

// machineKeyOfRemoteDesktop is how the file with the private key of Remote
// Desktop's own container begins; the machine's GUID follows.
const machineKeyOfRemoteDesktop = "f686aace6942fb7f7ceb231212eef4a4_"

func addListenerCert(p *analyze.Pass, e *analyze.Evidence, entry storedCert, names []string) {
	p.Personal(names...)
	e.Set("subject", entry.blob.Subject)
	e.Set("issuer", entry.blob.Issuer)
	e.Set("names", names)
	e.Set("notBefore", timeText(entry.blob.NotBefore))
	e.Set("notAfter", timeText(entry.blob.NotAfter))
	if entry.blob.Key == nil {
		return
	}
	e.Set("keyContainer", entry.blob.Key.Container)
	e.Set("keyProvider", entry.blob.Key.Provider)
	if hive.EqualFold(entry.blob.Key.Container, "TSSecKeySet1") && p.MachineGuid != "" {
		e.Set("keyFile", `ProgramData\Microsoft\Crypto\RSA\MachineKeys\`+machineKeyOfRemoteDesktop+p.MachineGuid)
	}
}

// certNames returns the host names that a certificate is for.
func certNames(entry storedCert) []string {
	names := []string{}
	if cert, err := cryptox509.ParseCertificate(entry.blob.Certificate.In(entry.data)); err == nil {
		names = append(names, cert.DNSNames...)
	}
	if cn := entry.blob.SubjectCN; cn != "" && !slices.Contains(names, cn) {
		names = append(names, cn)
	}
	return names
}

// namesAnother reports whether a certificate is for hosts of which none is this
// computer. Wildcards and addresses say nothing.
func namesAnother(p *analyze.Pass, names []string) bool {
	if p.Computer == "" || len(names) == 0 {
		return false
	}
	for _, name := range names {
		host, _, _ := strings.Cut(name, ".")
		if strings.HasPrefix(name, "*") || isAddress(name) || hive.EqualFold(host, p.Computer) || truncatedName(host, p.Computer) {
			return false
		}
	}
	return true
}

// netBIOSLen is how many characters of a host name the registry's
// ComputerName keeps.
const netBIOSLen = 15

func truncatedName(host, computer string) bool {
	return len(host) > netBIOSLen && hive.EqualFold(host[:netBIOSLen], computer)
}
