package rdp

import (
	"slices"

	"hivemend/analyze"
	"hivemend/hive"
)

// ArticleRule stands as the rule of edits that follow Microsoft's article and
// not a finding.
const ArticleRule = "ARTICLE"

// Why each part of the article's procedure is done.
const (
	articleServer = "the article's procedure: the certificate values of this version of Windows"
	articleClient = "the article's procedure: the client's licence data; the client becomes a new device and may consume another licence"
)

// Article returns the edits of the whole procedure of Microsoft's articles
// (KB329896, KB187614), whatever was found: the certificate values of the
// machine's era as far as they are there, and, on a client that has a licence
// or a hardware identifier, the whole MSLicensing key with its twin under
// Wow6432Node. Edits expect to find what is there now. What no rule would ever
// edit is not among them.
func Article(m *hive.Machine, opt analyze.Options) []hive.Edit {
	var edits []hive.Edit
	collect := &analyze.Rule{ID: ArticleRule, Run: func(p *analyze.Pass) {
		for _, k := range certKeys(p) {
			if k.inUse && k.InScope {
				edits = append(edits, k.deleteSet(ArticleRule, articleServer)...)
			}
		}
		if licensed := stores(p); slices.ContainsFunc(licensed, store.licensed) {
			for _, s := range licensed {
				edits = append(edits, s.DeleteKey(ArticleRule, articleClient))
			}
		}
	}}
	opt.Only, opt.Exclude = nil, nil
	analyze.Run(m, []*analyze.Rule{collect}, opt)
	return edits
}

// licensed reports whether the store holds a licence or a hardware identifier.
func (s store) licensed() bool {
	_, identified := s.hardwareID.Value(clientHWID)
	return identified || len(s.licences) > 0
}

// ArticleFor returns the edits of the same procedure for a machine that nobody
// has seen: they expect nothing, and name everything that an article of that
// era names. CurrentControlSet in them is the control set in use.
func ArticleFor(era analyze.Era) []hive.Edit {
	key, names := hive.ParsePath(`HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\TermService\Parameters`), certKey{era: analyze.EraNT5}.set()
	if era == analyze.EraNT6 {
		key, names = hive.ParsePath(`HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Terminal Server\RCM`), certKey{era: analyze.EraNT6}.set()
	}
	var edits []hive.Edit
	for _, name := range names {
		edits = append(edits, hive.Edit{Op: hive.DeleteValue, Key: key, Value: name, Rule: ArticleRule, Reason: articleServer})
	}
	for _, path := range []string{`HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\MSLicensing`, `HKEY_LOCAL_MACHINE\SOFTWARE\Wow6432Node\Microsoft\MSLicensing`} {
		edits = append(edits, hive.Edit{Op: hive.DeleteKey, Key: hive.ParsePath(path), Rule: ArticleRule, Reason: articleClient})
	}
	return edits
}
