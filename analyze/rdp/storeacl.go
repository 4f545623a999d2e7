package rdp

import (
	"fmt"

	"hivemend/analyze"
	"hivemend/analyze/internal/secdesc"
	"hivemend/hive"
)

var storeACL = &analyze.Rule{
	ID:         "LIC-STORE-ACL",
	Explain:    page("LIC-STORE-ACL"),
	Severity:   analyze.Warning,
	Title:      "The licence store lacks values, and users may not write it",
	Needs:      []hive.Kind{hive.Software},
	References: []string{kbClient},
	Run:        runStoreACL,
}

// user is what an ordinary user holds who is logged on at the machine.
var user = []secdesc.SID{secdesc.Everyone, secdesc.AuthenticatedUsers, secdesc.Users, secdesc.Interactive}

func runStoreACL(p *analyze.Pass) {
	for _, s := range stores(p) {
		if s.Input.Kind == hive.Reg {
			p.NotChecked("%s is .reg text, which holds no access rights", s.Input.Path)
			continue
		}
		for _, at := range s.lacking() {
			if f, locked := lockedStore(p, at); locked {
				p.Report(at, f)
			}
		}
	}
}

// lacking returns the keys that lack a value, or the nearest key above where
// the key itself is missing.
func (s store) lacking() []analyze.Place {
	var list []analyze.Place
	if len(s.licences) > 0 && s.hwidAbsent() {
		at := s.Place
		if s.hardwareID.Exists() {
			at = s.hardwareID
		}
		list = append(list, at)
	}
	for _, k := range s.licences {
		if len(k.missing()) > 0 {
			list = append(list, k.Place)
		}
	}
	return list
}

// lockedStore reports whether an ordinary user may not write a key.
func lockedStore(p *analyze.Pass, at analyze.Place) (analyze.Finding, bool) {
	d := secdesc.Decode(at.Key.Security())
	if !d.Healthy() {
		p.NotChecked("the security descriptor of %s cannot be read: %s", shortPath(at), d.Detail)
		return analyze.Finding{}, false
	}
	if d.MayWrite(user...) {
		return analyze.Finding{}, false
	}
	f := p.New(at.LocateKey())
	f.Confidence = analyze.Medium
	f.Evidence.Set("cause", "users-may-not-write")
	f.Evidence.Set("sddl", d.SDDL())
	writers := []string{}
	for _, sid := range d.Writers() {
		writers = append(writers, sid.String())
	}
	f.Evidence.Set("writers", writers)
	f.Message = fmt.Sprintf("%s lacks a value, and neither Users nor the interactive user may write it: the client may have been unable to store what it was given. That users may not write is normal since Windows Vista; only together with missing values it explains something.", shortPath(at))
	f.ManualSteps = []string{
		"Repair the store (LIC-STORE-INCOMPLETE says how), then start mstsc once as administrator and connect, so that the values are written.",
		"Do not loosen the rights for everyone: on a machine that several people use, anyone could then damage the store.",
	}
	return f, true
}
