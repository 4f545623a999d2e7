package rdp

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"hivemend/analyze"
	"hivemend/analyze/internal/chain"
	"hivemend/analyze/internal/mscert"
	"hivemend/analyze/internal/verdict"
	"hivemend/hive"
)

var x509References = []string{kbCertificates, docNoServers, "MS-RDPBCGR 2.2.1.4.3.1", "MS-RDPELE 2.2.1.4.2"}

var x509Corrupt = &analyze.Rule{
	ID:         "TS-X509-CORRUPT",
	Explain:    page("TS-X509-CORRUPT"),
	Severity:   analyze.Error,
	Title:      "The certificate chain from the licence server is damaged",
	Needs:      []hive.Kind{hive.System},
	References: x509References,
	Run:        runX509Corrupt,
}

var x509Expired = &analyze.Rule{
	ID:         "TS-X509-EXPIRED",
	Explain:    page("TS-X509-EXPIRED"),
	Severity:   analyze.Warning,
	Title:      "A certificate of the chain has expired",
	Needs:      []hive.Kind{hive.System},
	References: x509References,
	Run:        runX509Expired,
}

var x509Orphan = &analyze.Rule{
	ID:         "TS-X509-ORPHAN",
	Explain:    page("TS-X509-ORPHAN"),
	Severity:   analyze.Warning,
	Title:      "The chain and its ID do not stand together",
	Needs:      []hive.Kind{hive.System},
	References: x509References,
	Run:        runX509Orphan,
}

var x509Temporary = &analyze.Rule{
	ID:         "TS-X509-TEMPORARY",
	Explain:    page("TS-X509-TEMPORARY"),
	Severity:   analyze.Note,
	Title:      "The chain is a temporary one",
	Needs:      []hive.Kind{hive.System},
	References: x509References,
	Run:        runX509Temporary,
}

var x509Note = &analyze.Rule{
	ID:         "TS-X509-NOTE",
	Explain:    page("TS-X509-NOTE"),
	Severity:   analyze.Note,
	Title:      "Something about a certificate that is no damage",
	Needs:      []hive.Kind{hive.System},
	References: x509References,
	Run:        runX509Note,
}

var x509Foreign = &analyze.Rule{
	ID:         "TS-X509-FOREIGN",
	Explain:    page("TS-X509-FOREIGN"),
	Severity:   analyze.Note,
	Title:      "The chain names another machine or licence server",
	Needs:      []hive.Kind{hive.System},
	References: x509References,
	Run:        runX509Foreign,
}

// chainValue is a value that should hold a certificate chain, decoded.
type chainValue struct {
	key   certKey
	value hive.Value
	data  []byte
	chain *chain.Chain // nil where the data cannot be read
	fault verdict.Fault
	err   error
}

// chains decodes X509 Certificate and X509 Certificate2 wherever they stand.
func chains(p *analyze.Pass) []chainValue {
	return p.Once("chains", func() any {
		var list []chainValue
		for _, key := range certKeys(p) {
			for _, name := range []string{x509, x5092} {
				if v, ok := key.Value(name); ok {
					list = append(list, decodeChain(key, v))
				}
			}
		}
		return list
	}).([]chainValue)
}

func decodeChain(key certKey, v hive.Value) chainValue {
	cv := chainValue{key: key, value: v}
	if cv.data, cv.err = v.Data(); cv.err != nil {
		return cv
	}
	cv.chain = chain.Decode(cv.data)
	cv.fault = cv.chain.Fault
	if v.Type() != hive.RegBinary {
		cv.fault = typeFault(v)
	}
	return cv
}

// judged reports whether damage in the value counts: always in X509
// Certificate; in X509 Certificate2, whose layout no source gives, only where
// it is framed as a chain.
func (cv chainValue) judged() bool {
	return hive.EqualFold(cv.value.Name(), x509) || cv.chain.Framed && !cv.chain.Unrecognised
}

// search looks for the one changed byte.
func (cv chainValue) search(p *analyze.Pass) (verdict.Search, bool) {
	return searchByte(p, cv.key.Place, cv.value, cv.fault.Cause, func() verdict.Search { return chain.Search(cv.data, chain.SearchBudget) })
}

// damages reports whether cv is a damaged member of the set in that key.
func (cv chainValue) damages(key certKey) bool {
	return cv.err == nil && !cv.fault.Healthy() && cv.judged() && cv.key.same(key)
}

// soundChains returns the chains in use that can be read and are not damaged.
func soundChains(p *analyze.Pass) []chainValue {
	var list []chainValue
	for _, cv := range chains(p) {
		if cv.key.inUse && cv.err == nil && cv.judged() && cv.fault.Healthy() && !cv.chain.Unrecognised {
			list = append(list, cv)
		}
	}
	return list
}

func runX509Corrupt(p *analyze.Pass) {
	for _, cv := range chains(p) {
		switch {
		case !cv.key.inUse:
		case cv.err != nil:
			notReadable(p, cv.key.Place, cv.value, cv.err)
		case !cv.fault.Healthy() && cv.judged():
			p.Report(cv.key.Place, corruptChain(p, cv))
		}
	}
}

func corruptChain(p *analyze.Pass, cv chainValue) analyze.Finding {
	f := p.New(cv.key.LocateValue(cv.value))
	f.Evidence = faultEvidence(cv.fault)
	if cv.chain.FaultCertificate >= 0 {
		f.Evidence.Set("certificate", cv.chain.FaultCertificate)
	}
	search, searched := cv.search(p)
	if searched {
		addSearch(&f.Evidence, search)
	}
	addChain(p, &f.Evidence, cv.chain)
	f.Evidence.Set("fields", fieldEvidence(cv.chain.Fields))
	if cv.fault.Cause == verdict.Type || cv.fault.Cause == verdict.Date {
		f.Confidence = analyze.Medium
	}
	f.Message = fmt.Sprintf("%s in %s is damaged: %s%s Clients that check the server's chain refuse the connection; the server asks its licence server for a new one once it is gone.",
		label(cv.value.Name()), shortPath(cv.key.Place), cv.fault.Detail, searchSentence(search, cv.data))
	f.Fix = &analyze.Fix{Default: true, Edits: cv.key.deleteSet(p.Rule.ID, fmt.Sprintf("%s is damaged (%s); the licence server issues a new one", cv.value.Name(), cv.fault.Cause))}
	if restorable(p, cv.key) {
		addRestore(p, &f, cv.key.Place, cv.value, cv.data, search)
	}
	f.ManualSteps = certificateSteps(p)
	return f
}

// addChain adds what a chain says about itself.
func addChain(p *analyze.Pass, e *analyze.Evidence, c *chain.Chain) {
	e.Set("certificates", len(c.Certificates))
	if c.Framed {
		e.Set("temporary", c.Temporary)
	}
	leaf := c.Leaf()
	if leaf == nil {
		return
	}
	p.Personal(leafMachine(leaf))
	personalNames(p, c.Certificates)
	issuer := leaf.Issuer.Get("CN")
	e.Set("issuedTo", leafMachine(leaf))
	e.Set("issuedBy", issuer)
	addValidity(e, leaf)
}

// personalNames notes the names of computers, people and domains in
// certificates.
func personalNames(p *analyze.Pass, certs []*mscert.Certificate) {
	for _, c := range certs {
		p.Personal(c.Subject.Get("CN"), c.Subject.Get("L"), c.Issuer.Get("CN"), c.Issuer.Get("L"))
	}
}

func addValidity(e *analyze.Evidence, c *mscert.Certificate) {
	e.Set("notBefore", timeText(c.NotBefore))
	e.Set("notAfter", timeText(c.NotAfter))
}

// timeText returns t as reports write it, "" for none.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// leafMachine returns the computer that a terminal server's certificate names.
// Its common name is the address of a local procedure call.
func leafMachine(leaf *mscert.Certificate) string {
	name := leaf.Subject.Get("CN")
	if rest, ok := strings.CutPrefix(strings.ToLower(name), "ncalrpc:"); ok {
		return name[len(name)-len(rest):]
	}
	return name
}

// endOfTime reports whether a date means "never": the last second that 32 bits
// can count, with which permanent chains end, and the year 2049, the last that
// their short form of a date can name.
func endOfTime(t time.Time) bool {
	return t.Equal(time.Unix(1<<31-1, 0)) || t.Year() == 2049
}

func expired(p *analyze.Pass, t time.Time) bool {
	return !t.IsZero() && !endOfTime(t) && p.AsOf.Time().After(t)
}

func noMoment(p *analyze.Pass) bool {
	if p.AsOf == 0 {
		p.NotChecked("no moment to judge at was given")
	}
	return p.AsOf == 0
}

func runX509Expired(p *analyze.Pass) {
	if noMoment(p) {
		return
	}
	for _, cv := range soundChains(p) {
		for i, c := range cv.chain.Certificates {
			if expired(p, c.NotAfter) {
				p.Report(cv.key.Place, expiredChain(p, cv, i))
				break
			}
		}
	}
}

func expiredChain(p *analyze.Pass, cv chainValue, i int) analyze.Finding {
	c := cv.chain.Certificates[i]
	f := p.New(cv.key.LocateValue(cv.value))
	f.Confidence = analyze.Medium
	f.Evidence.Set("cause", "expired")
	f.Evidence.Set("certificate", i)
	f.Evidence.Set("subject", c.Subject.String())
	addChain(p, &f.Evidence, cv.chain)
	addValidity(&f.Evidence, c)
	f.Evidence.Set("asOf", p.AsOf)
	f.Message = fmt.Sprintf("Certificate %d of the chain in %s in %s ended on %s. Clients may refuse the server until its licence server issues a new chain.",
		i, label(cv.value.Name()), shortPath(cv.key.Place), timeText(c.NotAfter))
	addLastLife(p, &f, c.NotAfter)
	f.Fix = &analyze.Fix{Edits: cv.key.deleteSet(p.Rule.ID, "the chain has expired; the licence server issues a new one")}
	f.ManualSteps = certificateSteps(p)
	return f
}

func runX509Orphan(p *analyze.Pass) {
	for _, key := range certKeys(p) {
		if !key.inUse {
			continue
		}
		if f, found := orphan(p, key); found {
			p.Report(key.Place, f)
		}
	}
}

// orphan judges whether chain and ID stand together in one key. Only presence,
// type and length count: no source gives the content of the ID.
func orphan(p *analyze.Pass, key certKey) (analyze.Finding, bool) {
	id, hasID := key.Value(x509ID)
	cv, hasChain := key.Value(x509)
	var f analyze.Finding
	switch {
	case hasChain && !hasID && key.ValueAbsent(x509ID):
		f = p.New(key.LocateMissing(x509ID))
		f.Evidence.Set("cause", "id-missing")
		f.Evidence.Set("values", valueList(key.Place, []hive.Value{cv}))
		f.Message = fmt.Sprintf("%s stands in %s without %s.", label(cv.Name()), shortPath(key.Place), label(x509ID))
	case hasID && !hasChain && key.ValueAbsent(x509):
		f = p.New(key.LocateMissing(x509))
		f.Evidence.Set("cause", "chain-missing")
		f.Evidence.Set("values", valueList(key.Place, []hive.Value{id}))
		f.Message = fmt.Sprintf("%s stands in %s without %s.", label(id.Name()), shortPath(key.Place), label(x509))
	case hasID && id.Type() != hive.RegBinary:
		f = p.New(key.LocateValue(id))
		f.Evidence.Set("cause", "id-type")
		f.Message = fmt.Sprintf("%s in %s is %s; %s is due.", label(id.Name()), shortPath(key.Place), id.Type(), hive.RegBinary)
	case hasID && id.Size() == 0:
		f = p.New(key.LocateValue(id))
		f.Evidence.Set("cause", "id-empty")
		f.Message = fmt.Sprintf("%s in %s is empty.", label(id.Name()), shortPath(key.Place))
	default:
		return f, false
	}
	f.Confidence = analyze.Medium
	f.Message += " The two are written and deleted together, so half of the set was lost or deleted by hand, and the server may not be able to use what is left."
	f.Fix = &analyze.Fix{Default: setHasError(p, key), Edits: key.deleteSet(p.Rule.ID, "the values of the set belong together")}
	if restorable(p, key) {
		// Once the damage is put right no error stands in the set any more.
		f.Fix.Choices = []analyze.Choice{{Name: analyze.ChoiceRestore}}
	}
	f.ManualSteps = certificateSteps(p)
	return f, true
}

// setHasError reports whether an error stands in the set of that key.
func setHasError(p *analyze.Pass, key certKey) bool {
	return slices.ContainsFunc(proprietary(p), func(pv propValue) bool { return pv.damages(key) }) ||
		slices.ContainsFunc(chains(p), func(cv chainValue) bool { return cv.damages(key) })
}

func runX509Temporary(p *analyze.Pass) {
	for _, cv := range soundChains(p) {
		if !cv.chain.Temporary {
			continue
		}
		f := p.New(cv.key.LocateValue(cv.value))
		f.Evidence.Set("cause", "temporary")
		addChain(p, &f.Evidence, cv.chain)
		f.Message = fmt.Sprintf("The chain in %s in %s was issued for a time only, as a licence server does that is not activated.", label(cv.value.Name()), shortPath(cv.key.Place))
		f.ManualSteps = []string{"Activate " + serverNames(p) + "; the server is then given a permanent chain."}
		p.Report(cv.key.Place, f)
	}
}

// runX509Note reports what the decoders noted, at most one finding for each
// cause and value.
func runX509Note(p *analyze.Pass) {
	for _, cv := range chains(p) {
		if !cv.key.inUse || cv.err != nil {
			continue
		}
		notes := noteSet{p: p, at: cv.key.Place, value: cv.value}
		switch {
		case cv.judged() && !cv.fault.Healthy():
			continue
		case !cv.judged() && !cv.chain.Unrecognised:
			notes.add("unrecognised", "The value is not framed as a certificate chain; no source gives its layout.", 0, 0)
		}
		for _, n := range cv.chain.Notes {
			notes.decoded(n)
		}
		if cv.judged() {
			notes.future(cv.chain.Certificates)
		}
		notes.report()
	}
	for _, pv := range proprietary(p) {
		if pv.key.inUse && pv.cert != nil && pv.fault.Healthy() {
			noteProprietary(p, pv)
		}
	}
}

// noteProprietary reports what is odd about a healthy certificate of the
// server's own. Short keys are what XP, 2003 and CertificateOld have.
func noteProprietary(p *analyze.Pass, pv propValue) {
	notes := noteSet{p: p, at: pv.key.Place, value: pv.value}
	shortIsUsual := pv.key.era == analyze.EraNT5 || hive.EqualFold(pv.value.Name(), certificateOld)
	for _, n := range pv.cert.Notes {
		if n.Kind != verdict.Weak || !shortIsUsual {
			notes.decoded(n)
		}
	}
	notes.report()
}

// noteSet gathers the notes about one value: the first of each cause, and how
// many there are.
type noteSet struct {
	p     *analyze.Pass
	at    analyze.Place
	value hive.Value
	found []foundNote
}

type foundNote struct {
	cause, detail  string
	offset, length int
	count          int
}

func (s *noteSet) add(cause, detail string, offset, length int) {
	for i := range s.found {
		if s.found[i].cause == cause {
			s.found[i].count++
			return
		}
	}
	s.found = append(s.found, foundNote{cause, detail, offset, length, 1})
}

// decoded takes a decoder's note. Padding that is missing is none: whether the
// registry's copy has any, no source says.
func (s *noteSet) decoded(n verdict.Note) {
	switch {
	case n.Kind == verdict.Padding && strings.Contains(n.Detail, "not zero"):
		s.add(string(verdict.Trailing), n.Detail, n.Offset, n.Length)
	case n.Kind == verdict.Padding:
	default:
		s.add(string(n.Kind), n.Detail, n.Offset, n.Length)
	}
}

// future notes certificates that do not hold yet.
func (s *noteSet) future(certs []*mscert.Certificate) {
	if s.p.AsOf == 0 {
		return
	}
	for i, c := range certs {
		if c.NotBefore.After(s.p.AsOf.Time()) {
			s.add("future", fmt.Sprintf("Certificate %d holds only from %s on, which is after %s: a clock was wrong, or the moment to judge at is.", i, timeText(c.NotBefore), s.p.AsOf), 0, 0)
		}
	}
}

func (s *noteSet) report() {
	for _, n := range s.found {
		f := s.p.New(s.at.LocateValue(s.value))
		f.Evidence.Set("cause", n.cause)
		f.Evidence.Set("detail", n.detail)
		if n.length > 0 {
			f.Evidence.Set("offset", n.offset)
			f.Evidence.Set("length", n.length)
		}
		if n.count > 1 {
			f.Evidence.Set("count", n.count)
		}
		f.Message = fmt.Sprintf("%s in %s: %s This is no damage.", label(s.value.Name()), shortPath(s.at), n.detail)
		s.p.Report(s.at, f)
	}
}

func runX509Foreign(p *analyze.Pass) {
	sound := soundChains(p)
	if p.Computer == "" && len(sound) > 0 {
		p.NotChecked("the computer's name is not known")
	}
	for _, cv := range sound {
		leaf := cv.chain.Leaf()
		if leaf == nil {
			continue
		}
		if name := leafMachine(leaf); p.Computer != "" && name != "" && !hive.EqualFold(name, p.Computer) {
			p.Report(cv.key.Place, foreignChain(p, cv, "machine", fmt.Sprintf("was issued to %s, but this computer is called %s: it was renamed or cloned", hive.Printable(name), hive.Printable(p.Computer))))
		}
		if issuer := leaf.Issuer.Get("CN"); issuer != "" && !knownServer(p, issuer) {
			p.Report(cv.key.Place, foreignChain(p, cv, "license-server", fmt.Sprintf("was issued by %s, which is not among the configured licence servers", hive.Printable(issuer))))
		}
	}
}

func foreignChain(p *analyze.Pass, cv chainValue, cause, what string) analyze.Finding {
	f := p.New(cv.key.LocateValue(cv.value))
	f.Confidence = analyze.Low
	f.Evidence.Set("cause", cause)
	addChain(p, &f.Evidence, cv.chain)
	names := []string{}
	for _, s := range licenceServers(p) {
		names = append(names, s.name)
	}
	f.Evidence.Set("configuredServers", names)
	f.Message = fmt.Sprintf("The chain in %s in %s %s. That alone breaks nothing.", label(cv.value.Name()), shortPath(cv.key.Place), what)
	return f
}

// knownServer reports whether a licence server of that NetBIOS name is
// configured, or whether that cannot be told: nothing is configured, or an
// address is.
func knownServer(p *analyze.Pass, name string) bool {
	servers := licenceServers(p)
	for _, s := range servers {
		host, _, _ := strings.Cut(s.name, ".")
		if hive.EqualFold(host, name) || hive.EqualFold(s.name, name) || isAddress(s.name) {
			return true
		}
	}
	return len(servers) == 0
}

// isAddress reports whether a name is a numeric address.
func isAddress(name string) bool {
	return strings.Contains(name, ":") || strings.Trim(name, "0123456789.") == ""
}
