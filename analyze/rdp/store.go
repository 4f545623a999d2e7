package rdp

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"hivemend/analyze"
	"hivemend/analyze/internal/hwid"
	"hivemend/analyze/internal/licence"
	"hivemend/analyze/internal/verdict"
	"hivemend/hive"
)

var hwidCorrupt = &analyze.Rule{
	ID:         "LIC-HWID-CORRUPT",
	Explain:    page("LIC-HWID-CORRUPT"),
	Severity:   analyze.Error,
	Title:      "The client's hardware identifier is damaged",
	Needs:      []hive.Kind{hive.Software},
	References: []string{kbClient, kbCertificates, "MS-RDPELE 2.2.2.3.1"},
	Run:        runHWID,
}

var calCorrupt = &analyze.Rule{
	ID:         "LIC-CAL-CORRUPT",
	Explain:    page("LIC-CAL-CORRUPT"),
	Severity:   analyze.Error,
	Title:      "A client licence is damaged",
	Needs:      []hive.Kind{hive.Software},
	References: calReferences,
	Run:        runCALCorrupt,
}

var calExpired = &analyze.Rule{
	ID:         "LIC-CAL-EXPIRED",
	Explain:    page("LIC-CAL-EXPIRED"),
	Severity:   analyze.Error,
	Title:      "A client licence has expired",
	Needs:      []hive.Kind{hive.Software},
	References: calReferences,
	Run:        runCALExpired,
}

var storeIncomplete = &analyze.Rule{
	ID:         "LIC-STORE-INCOMPLETE",
	Explain:    page("LIC-STORE-INCOMPLETE"),
	Severity:   analyze.Error,
	Title:      "The client's licence store lacks a part",
	Needs:      []hive.Kind{hive.Software},
	References: calReferences,
	Run:        runStoreIncomplete,
}

var calNote = &analyze.Rule{
	ID:         "LIC-CAL-NOTE",
	Explain:    page("LIC-CAL-NOTE"),
	Severity:   analyze.Note,
	Title:      "Something about a client licence that is no damage",
	Needs:      []hive.Kind{hive.Software},
	References: calReferences,
	Run:        runCALNote,
}

var calDuplicate = &analyze.Rule{
	ID:         "LIC-CAL-DUPLICATE",
	Explain:    page("LIC-CAL-DUPLICATE"),
	Severity:   analyze.Note,
	Title:      "An older licence stands beside a newer one for the same",
	Needs:      []hive.Kind{hive.Software},
	References: calReferences,
	Run:        runCALDuplicate,
}

var calForeign = &analyze.Rule{
	ID:         "LIC-CAL-FOREIGN",
	Explain:    page("LIC-CAL-FOREIGN"),
	Severity:   analyze.Note,
	Title:      "A client licence was issued to another machine",
	Needs:      []hive.Kind{hive.Software},
	References: calReferences,
	Run:        runCALForeign,
}

var calReferences = []string{kbClient, "MS-RDPELE 2.2.2.6.1", "MS-RDPELE 2.2.2.9"}

const (
	clientHWID    = "ClientHWID"
	clientLicense = "ClientLicense"
)

// licenceValues are what every licence key holds.
var licenceValues = []string{clientLicense, "CompanyName", "LicenseScope", "ProductID"}

// store is one place where a client keeps its licences: the native one, or the
// one of 32-bit programs on 64-bit Windows. Both are live.
type store struct {
	analyze.Place               // MSLicensing
	hardwareID    analyze.Place // MSLicensing\HardwareID
	licences      []calKey      // MSLicensing\Store\LICENSEnnn
}

// calKey is one licence key, its ClientLicense decoded.
type calKey struct {
	analyze.Place
	value   hive.Value // ClientLicense; not Valid where it is missing
	data    []byte
	license *licence.License // nil where there is nothing to decode
	fault   verdict.Fault
	err     error
}

// stores returns the licence stores that are there.
func stores(p *analyze.Pass) []store {
	return p.Once("licence stores", func() any {
		var list []store
		for _, root := range p.Roots(hive.Software) {
			for _, at := range []analyze.Place{root.Sub("Microsoft", "MSLicensing"), root.Sub("Wow6432Node", "Microsoft", "MSLicensing")} {
				if at.Exists() {
					list = append(list, readStore(at))
				}
			}
		}
		return list
	}).([]store)
}

func readStore(at analyze.Place) store {
	s := store{Place: at, hardwareID: at.Sub("HardwareID")}
	for sub := range at.Sub("Store").Subkeys() {
		if isLicenceKey(sub.Key.Name()) {
			s.licences = append(s.licences, readLicence(sub))
		}
	}
	return s
}

// isLicenceKey reports whether a key of the store holds a licence: LICENSE and
// three digits.
func isLicenceKey(name string) bool {
	digits, ok := strings.CutPrefix(hive.Fold(name), "LICENSE")
	return ok && len(digits) == 3 && strings.Trim(digits, "0123456789") == ""
}

func readLicence(at analyze.Place) calKey {
	k := calKey{Place: at}
	v, ok := at.Value(clientLicense)
	if !ok {
		return k
	}
	k.value = v
	if k.data, k.err = v.Data(); k.err != nil {
		return k
	}
	k.license = licence.Decode(k.data)
	k.fault = k.license.Fault
	if v.Type() != hive.RegBinary {
		k.fault = typeFault(v)
	}
	return k
}

// allLicences calls do for every licence of every store.
func allLicences(p *analyze.Pass, do func(calKey)) {
	for _, s := range stores(p) {
		for _, k := range s.licences {
			do(k)
		}
	}
}

// sound returns the grant that counts: the one that holds longest, of a
// licence that is not damaged.
func (k calKey) sound() (licence.Grant, bool) {
	if k.license == nil || !k.fault.Healthy() || len(k.license.Grants) == 0 {
		return licence.Grant{}, false
	}
	return slices.MaxFunc(k.license.Grants, func(a, b licence.Grant) int { return a.NotAfter.Compare(b.NotAfter) }), true
}

func runHWID(p *analyze.Pass) {
	for _, s := range stores(p) {
		v, ok := s.hardwareID.Value(clientHWID)
		if !ok {
			continue
		}
		data, err := v.Data()
		if err != nil {
			notReadable(p, s.hardwareID, v, err)
			continue
		}
		id := hwid.Decode(data)
		if fault := hwidFault(v, id); !fault.Healthy() {
			p.Report(s.Place, corruptHWID(p, s, v, id, fault))
			continue
		}
		sum := sha256.Sum256(data)
		p.IdentifyHardware(hex.EncodeToString(sum[:]))
	}
}

// hwidFault puts the type between the two causes that the bytes show.
func hwidFault(v hive.Value, id *hwid.ID) verdict.Fault {
	if v.Type() != hive.RegBinary && id.Cause != verdict.Size {
		return typeFault(v)
	}
	return id.Fault
}

func corruptHWID(p *analyze.Pass, s store, v hive.Value, id *hwid.ID, fault verdict.Fault) analyze.Finding {
	f := p.New(s.hardwareID.LocateValue(v))
	f.Evidence = faultEvidence(fault)
	f.Evidence.Set("fields", fieldEvidence(id.Fields))
	if fault.Cause != verdict.Size {
		f.Confidence = analyze.Medium
	}
	f.Message = fmt.Sprintf("%s in %s is damaged: %s Licence servers know the client by it, so its licences cannot be matched and it is refused.", label(v.Name()), shortPath(s.hardwareID), fault.Detail)
	f.Fix = deleteStore(p, s, "the hardware identifier is damaged; the client makes a new one")
	f.ManualSteps = append(clientSteps(), newDevice)
	return f
}

// deleteStore deletes MSLicensing with everything in it.
func deleteStore(p *analyze.Pass, s store, reason string) *analyze.Fix {
	return &analyze.Fix{Default: true, Edits: []hive.Edit{s.DeleteKey(p.Rule.ID, reason)}}
}

// deleteLicence deletes one licence and leaves HardwareID, so that the client
// stays the device it is.
func deleteLicence(p *analyze.Pass, k calKey, byDefault bool, reason string) *analyze.Fix {
	return &analyze.Fix{Default: byDefault, Edits: []hive.Edit{k.DeleteKey(p.Rule.ID, reason)}}
}

func runCALCorrupt(p *analyze.Pass) {
	allLicences(p, func(k calKey) {
		switch {
		case !k.value.Valid():
		case k.err != nil:
			notReadable(p, k.Place, k.value, k.err)
		case !k.fault.Healthy():
			p.Report(k.Place, corruptLicence(p, k))
		}
	})
}

func corruptLicence(p *analyze.Pass, k calKey) analyze.Finding {
	f := p.New(k.LocateValue(k.value))
	f.Evidence = faultEvidence(k.fault)
	if k.license.FaultCertificate >= 0 {
		f.Evidence.Set("certificate", k.license.FaultCertificate)
	}
	search, searched := searchByte(p, k.Place, k.value, k.fault.Cause, func() verdict.Search { return licence.Search(k.data, licence.SearchBudget) })
	if searched {
		addSearch(&f.Evidence, search)
	}
	personalNames(p, k.license.Certificates)
	if len(k.license.Grants) > 0 {
		addGrant(p, &f.Evidence, k.license.Grants[len(k.license.Grants)-1])
	}
	f.Evidence.Set("fields", fieldEvidence(k.license.Fields))
	if k.fault.Cause == verdict.Type || k.fault.Cause == verdict.Date {
		f.Confidence = analyze.Medium
	}
	f.Message = fmt.Sprintf("%s in %s is damaged: %s%s The client presents it and is refused, often with \"An error occurred in the licensing protocol\".", label(k.value.Name()), shortPath(k.Place), k.fault.Detail, searchSentence(search, k.data))
	f.Fix = deleteLicence(p, k, true, fmt.Sprintf("the licence is damaged (%s); the licence server issues a new one", k.fault.Cause))
	addRestore(p, &f, k.Place, k.value, k.data, search)
	f.ManualSteps = clientSteps()
	return f
}

// addGrant adds what a licence says about itself.
func addGrant(p *analyze.Pass, e *analyze.Evidence, g licence.Grant) {
	p.Personal(g.Machine, g.User, g.Issuer, g.IssuerScope)
	e.Set("issuedTo", g.Machine)
	e.Set("issuedToUser", g.User)
	e.Set("issuedBy", g.Issuer)
	e.Set("issuerScope", g.IssuerScope)
	if g.HasProduct {
		e.Set("product", g.AdjustedProduct)
		e.Set("productVersion", fmt.Sprintf("%d.%d", g.Major, g.Minor))
		e.Set("flags", g.Flags)
		e.Set("temporary", g.Temporary)
	}
	e.Set("notBefore", timeText(g.NotBefore))
	e.Set("notAfter", timeText(g.NotAfter))
}

func runCALExpired(p *analyze.Pass) {
	if noMoment(p) {
		return
	}
	allLicences(p, func(k calKey) {
		if g, ok := k.sound(); ok && expired(p, g.NotAfter) {
			p.Report(k.Place, expiredLicence(p, k, g))
		}
	})
}

func expiredLicence(p *analyze.Pass, k calKey, g licence.Grant) analyze.Finding {
	f := p.New(k.LocateValue(k.value))
	f.Evidence.Set("cause", "temporary")
	addGrant(p, &f.Evidence, g)
	f.Evidence.Set("asOf", p.AsOf)
	f.Message = fmt.Sprintf("The temporary licence in %s ended on %s.", shortPath(k.Place), timeText(g.NotAfter))
	if g.Temporary {
		f.Message += " A client is given a temporary licence only once; with an expired one it is refused (event 1011)."
		addLastLife(p, &f, g.NotAfter)
		f.Fix = deleteLicence(p, k, true, "the temporary licence has expired; HardwareID stays")
		f.ManualSteps = append(clientSteps(), "See whether the licence server has licences left for this client: a temporary licence is given where it has none.")
		return f
	}
	f.Evidence.Set("cause", "permanent")
	f.Severity, f.Confidence = analyze.Note, analyze.Medium
	f.Message = fmt.Sprintf("The licence in %s ended on %s. Permanent licences run for 52 to 89 days and are renewed on use, so this is normal on a machine that was off for long; the licence server issues a new one.", shortPath(k.Place), timeText(g.NotAfter))
	addLastLife(p, &f, g.NotAfter)
	f.Fix = deleteLicence(p, k, false, "the licence has expired; HardwareID stays")
	return f
}

func runStoreIncomplete(p *analyze.Pass) {
	for _, s := range stores(p) {
		if len(s.licences) > 0 && s.hwidAbsent() {
			p.Report(s.Place, noHardwareID(p, s))
		}
		for _, k := range s.licences {
			if missing := k.missing(); len(missing) > 0 {
				p.Report(k.Place, valueMissing(p, k, missing))
			}
		}
	}
}

// hwidAbsent reports whether ClientHWID is known to be missing.
func (s store) hwidAbsent() bool {
	return s.hardwareID.Absent() || s.hardwareID.Exists() && s.hardwareID.ValueAbsent(clientHWID)
}

// missing lists which of the licence's values are known not to be there.
func (k calKey) missing() []string {
	var names []string
	for _, name := range licenceValues {
		if k.ValueAbsent(name) {
			names = append(names, name)
		}
	}
	return names
}

func noHardwareID(p *analyze.Pass, s store) analyze.Finding {
	f := p.New(s.hardwareID.LocateMissing(clientHWID))
	f.Evidence.Set("cause", "no-hardware-id")
	keys := []string{}
	for _, k := range s.licences {
		keys = append(keys, k.Key.Name())
	}
	f.Evidence.Set("licences", keys)
	f.Message = fmt.Sprintf("%s holds %s, but no %s: the licence server cannot match them to this client, and refuses it.", shortPath(s.Place), plural(len(keys), "licence"), clientHWID)
	f.Fix = deleteStore(p, s, "licences without a hardware identifier are of no use; the client makes both anew")
	f.ManualSteps = append(clientSteps(), newDevice)
	return f
}

func valueMissing(p *analyze.Pass, k calKey, missing []string) analyze.Finding {
	f := p.New(k.LocateMissing(missing[0]))
	f.Confidence = analyze.Medium
	f.Evidence.Set("cause", "value-missing")
	f.Evidence.Set("missing", missing)
	var present []hive.Value
	for v := range k.Values() {
		present = append(present, v)
	}
	f.Evidence.Set("values", valueList(k.Place, present))
	f.Message = fmt.Sprintf("The licence in %s lacks %s. Windows writes four values together, so this one cannot be used.", shortPath(k.Place), strings.Join(missing, ", "))
	f.Fix = deleteLicence(p, k, true, "the licence lacks "+strings.Join(missing, ", "))
	f.ManualSteps = clientSteps()
	return f
}

func runCALNote(p *analyze.Pass) {
	allLicences(p, func(k calKey) {
		if k.license == nil || !k.fault.Healthy() {
			return
		}
		notes := noteSet{p: p, at: k.Place, value: k.value}
		for _, n := range k.license.Notes {
			notes.decoded(n)
		}
		notes.future(k.license.Certificates)
		notes.report()
	})
}

// sameLicence is what two licences have in common when one replaces the other.
// A licence of a higher version is valid for older servers too, so versions
// are kept apart (MS-RDPELE, note on licence versions).
type sameLicence struct {
	issuer, product string
	major, minor    uint16
}

func runCALDuplicate(p *analyze.Pass) {
	for _, s := range stores(p) {
		groups := map[sameLicence][]calKey{}
		for _, k := range s.licences {
			if g, ok := k.sound(); ok && g.HasProduct {
				same := sameLicence{hive.Fold(g.Issuer), g.AdjustedProduct, g.Major, g.Minor}
				groups[same] = append(groups[same], k)
			}
		}
		for _, k := range s.licences {
			if newest, ok := replacedBy(k, groups); ok {
				p.Report(k.Place, duplicate(p, k, newest))
			}
		}
	}
}

// replacedBy returns the newest licence for the same as k, where that is
// another one.
func replacedBy(k calKey, groups map[sameLicence][]calKey) (calKey, bool) {
	for _, group := range groups {
		if len(group) < 2 || !slices.ContainsFunc(group, func(o calKey) bool { return o.Path.Equal(k.Path) }) {
			continue
		}
		newest := slices.MaxFunc(group, func(a, b calKey) int {
			return cmp.Or(a.notAfter().Compare(b.notAfter()), strings.Compare(b.Key.Name(), a.Key.Name()))
		})
		return newest, !newest.Path.Equal(k.Path)
	}
	return calKey{}, false
}

func (k calKey) notAfter() time.Time {
	g, _ := k.sound()
	return g.NotAfter
}

func duplicate(p *analyze.Pass, k, newest calKey) analyze.Finding {
	g, _ := k.sound()
	f := p.New(k.LocateValue(k.value))
	f.Confidence = analyze.Medium
	f.Evidence.Set("cause", "older")
	addGrant(p, &f.Evidence, g)
	f.Evidence.Set("replacedBy", newest.Key.Name())
	f.Evidence.Set("replacedByNotAfter", timeText(newest.notAfter()))
	f.Message = fmt.Sprintf("The licence in %s is for the same issuer, product and version as %s, which holds until %s; the older one is of no use.", shortPath(k.Place), newest.Key.Name(), timeText(newest.notAfter()))
	f.Fix = deleteLicence(p, k, false, "a newer licence for the same stands beside it")
	return f
}

func runCALForeign(p *analyze.Pass) {
	allLicences(p, func(k calKey) {
		g, ok := k.sound()
		if !ok || g.Machine == "" || hive.EqualFold(g.Machine, p.Computer) {
			return
		}
		if p.Computer == "" {
			p.NotChecked("the computer's name is not known")
			return
		}
		f := p.New(k.LocateValue(k.value))
		f.Confidence = analyze.Low
		f.Evidence.Set("cause", "machine")
		addGrant(p, &f.Evidence, g)
		f.Message = fmt.Sprintf("The licence in %s was issued to %s, but this computer is called %s: it was renamed or cloned. That alone breaks nothing.", shortPath(k.Place), hive.Printable(g.Machine), hive.Printable(p.Computer))
		p.Report(k.Place, f)
	})
}
