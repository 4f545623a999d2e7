package rdp

import (
	"embed"

	"hivemend/analyze"
	"hivemend/hive"
)

// Rules are all rules about one machine, in the order in which reports list
// them.
var Rules = []*analyze.Rule{
	certCorrupt,
	x509Corrupt,
	x509Expired,
	x509Orphan,
	x509Temporary,
	x509Note,
	x509Foreign,
	keyMisspelt,
	keyLeftover,
	secretUnpaired,
	listenerCert,
	encryptionInvalid,
	encryptionLevel,
	hwidCorrupt,
	calCorrupt,
	calExpired,
	storeIncomplete,
	storeACL,
	calNote,
	calDuplicate,
	calForeign,
	modeInvalid,
	serverUnset,
	serverRole,
	grace,
	w2kFragmentation,
	sysSelect,
	residue,
	hiveDamaged,
	hiveUnreplayed,
	hiveDisagreement,
}

// Find returns the rule of that ID, whatever the case, or nil.
func Find(id string) *analyze.Rule {
	for _, r := range Rules {
		if hive.EqualFold(r.ID, id) {
			return r
		}
	}
	return nil
}

//go:embed explain/*.txt
var pages embed.FS

// page returns the text of explain/id.txt.
func page(id string) string {
	text, err := pages.ReadFile("explain/" + id + ".txt")
	if err != nil {
		return "" // a test keeps every rule from having no page
	}
	return string(text)
}
