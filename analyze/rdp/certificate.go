package rdp

import (
	"encoding/hex"
	"fmt"

	"hivemend/analyze"
	"hivemend/analyze/internal/propcert"
	"hivemend/analyze/internal/verdict"
	"hivemend/hive"
)

var certCorrupt = &analyze.Rule{
	ID:         "TS-CERT-CORRUPT",
	Explain:    page("TS-CERT-CORRUPT"),
	Severity:   analyze.Error,
	Title:      "The server's own certificate is damaged",
	Needs:      []hive.Kind{hive.System},
	References: []string{kbCertificates, docNoServers, "MS-RDPBCGR 2.2.1.4.3.1.1", "MS-RDPBCGR 5.3.3.1"},
	Run:        runCertCorrupt,
}

// propValue is a value that should hold a proprietary certificate, decoded.
type propValue struct {
	key   certKey
	value hive.Value
	data  []byte
	cert  *propcert.Cert // nil where the type is wrong or the data cannot be read
	fault verdict.Fault
	err   error // the data could not be read in full
}

// proprietary decodes Certificate and CertificateOld wherever they stand.
func proprietary(p *analyze.Pass) []propValue {
	return p.Once("proprietary certificates", func() any {
		var list []propValue
		for _, key := range certKeys(p) {
			for _, name := range []string{certificate, certificateOld} {
				if v, ok := key.Value(name); ok {
					list = append(list, decodeProprietary(key, v))
				}
			}
		}
		return list
	}).([]propValue)
}

func decodeProprietary(key certKey, v hive.Value) propValue {
	pv := propValue{key: key, value: v}
	if pv.data, pv.err = v.Data(); pv.err != nil {
		return pv
	}
	if v.Type() != hive.RegBinary {
		pv.fault = typeFault(v)
		return pv
	}
	pv.cert = propcert.Decode(pv.data)
	pv.fault = pv.cert.Fault
	return pv
}

func runCertCorrupt(p *analyze.Pass) {
	for _, pv := range proprietary(p) {
		if !pv.key.inUse {
			continue
		}
		if pv.err != nil {
			notReadable(p, pv.key.Place, pv.value, pv.err)
			continue
		}
		if !pv.fault.Healthy() {
			p.Report(pv.key.Place, corruptCertificate(p, pv))
		} else if pv.key.InScope {
			p.IdentifyKey(hex.EncodeToString(pv.cert.KeyDigest[:]))
		}
	}
}

// search looks for the one changed byte.
func (pv propValue) search(p *analyze.Pass) (verdict.Search, bool) {
	return searchByte(p, pv.key.Place, pv.value, pv.fault.Cause, func() verdict.Search { return propcert.Search(pv.data, propcert.SearchBudget) })
}

// damages reports whether pv is a damaged member of the set in that key.
func (pv propValue) damages(key certKey) bool {
	return pv.err == nil && !pv.fault.Healthy() && pv.key.same(key) && hive.EqualFold(pv.value.Name(), certificate)
}

// restorable reports whether every damaged value of the set can be put right
// by its one changed byte. Where one cannot, the set is deleted as a whole.
func restorable(p *analyze.Pass, key certKey) bool {
	found := false
	for _, pv := range proprietary(p) {
		if pv.damages(key) {
			if search, _ := pv.search(p); search.Outcome != verdict.Found {
				return false
			}
			found = true
		}
	}
	for _, cv := range chains(p) {
		if cv.damages(key) {
			if search, _ := cv.search(p); search.Outcome != verdict.Found {
				return false
			}
			found = true
		}
	}
	return found
}

// notReadable says that a value's bytes could not be read; the damage itself
// is HIVE-DAMAGED's to report.
func notReadable(p *analyze.Pass, at analyze.Place, v hive.Value, err error) {
	if at.InScope {
		p.NotChecked("%s in %s could not be read: %v", label(v.Name()), shortPath(at), err)
	}
}

func corruptCertificate(p *analyze.Pass, pv propValue) analyze.Finding {
	f := p.New(pv.key.LocateValue(pv.value))
	f.Evidence = faultEvidence(pv.fault)
	search, searched := pv.search(p)
	if searched {
		addSearch(&f.Evidence, search)
	}
	if pv.cert != nil {
		addCertificate(&f.Evidence, pv.cert)
	}
	f.Message = fmt.Sprintf("%s in %s is damaged: %s%s Clients that are shown this certificate cannot connect; Windows makes a new one at the next start once it is gone.",
		label(pv.value.Name()), shortPath(pv.key.Place), pv.fault.Detail, searchSentence(search, pv.data))
	if pv.fault.Cause == verdict.Type {
		f.Confidence = analyze.Medium
	}
	f.Fix = certificateFix(p, pv)
	if hive.EqualFold(pv.value.Name(), certificateOld) || restorable(p, pv.key) {
		addRestore(p, &f, pv.key.Place, pv.value, pv.data, search)
	}
	f.ManualSteps = certificateSteps(p)
	return f
}

// certificateFix deletes the era's set, or CertificateOld alone where that is
// the damaged one: no article counts it among the set.
func certificateFix(p *analyze.Pass, pv propValue) *analyze.Fix {
	reason := fmt.Sprintf("%s is damaged (%s); Windows makes a new one", pv.value.Name(), pv.fault.Cause)
	if hive.EqualFold(pv.value.Name(), certificateOld) {
		return &analyze.Fix{Default: true, Edits: []hive.Edit{pv.key.DeleteValue(pv.value, p.Rule.ID, reason)}}
	}
	return &analyze.Fix{Default: true, Edits: pv.key.deleteSet(p.Rule.ID, reason)}
}

func addCertificate(e *analyze.Evidence, c *propcert.Cert) {
	if c.Bits > 0 {
		e.Set("keyBits", c.Bits)
	}
	if c.Size > 0 {
		e.Set("certificateSize", c.Size)
		e.Set("publicExponent", c.Exponent)
	}
	e.Set("fields", fieldEvidence(c.Fields))
}
