package rdp

import (
	"slices"
	"testing"

	"hivemend/analyze"
	"hivemend/hive"
)

func TestArticleForNamesWhatTheArticlesName(t *testing.T) {
	for era, want := range map[analyze.Era]int{analyze.EraNT5: 5, analyze.EraNT6: 6} {
		edits := ArticleFor(era)
		if len(edits) != want {
			t.Errorf("era %v: %d edits, want %d", era, len(edits), want)
		}
		for _, e := range edits {
			if e.Expect != nil {
				t.Errorf("%s expects something of a machine that was not seen", e)
			}
			if slices.Contains(e.Key, "GracePeriod") || slices.Contains(e.Key, "Secrets") {
				t.Errorf("%s edits what is never edited", e)
			}
		}
	}
}

func TestArticleOnHealthyMachine(t *testing.T) {
	parameters := &hive.Node{Name: "Parameters", Values: []hive.NodeValue{
		{Name: "Certificate", Type: hive.RegBinary, Data: []byte{1}}, {Name: "X509 Certificate", Type: hive.RegBinary, Data: []byte{2}}, {Name: "Other", Type: hive.RegBinary},
	}}
	system := &hive.Node{Keys: []*hive.Node{
		{Name: "Select", Values: []hive.NodeValue{{Name: "Current", Type: hive.RegDWORD, Data: []byte{1, 0, 0, 0}}, {Name: "Default", Type: hive.RegDWORD, Data: []byte{1, 0, 0, 0}}}},
		{Name: "ControlSet001", Keys: []*hive.Node{{Name: "Services", Keys: []*hive.Node{{Name: "TermService", Keys: []*hive.Node{parameters}}}}}},
	}}
	licensing := &hive.Node{Name: "MSLicensing", Keys: []*hive.Node{{Name: "HardwareID"}, {Name: "Store"}}}
	software := &hive.Node{Keys: []*hive.Node{{Name: "Microsoft", Keys: []*hive.Node{licensing}}}}
	m := &hive.Machine{}
	for kind, root := range map[hive.Kind]*hive.Node{hive.System: system, hive.Software: software} {
		m.Inputs = append(m.Inputs, &hive.Input{Path: string(kind), Kind: hive.Regf, Hive: kind, Mounts: []hive.Mount{{Kind: kind, Prefix: kind.Prefix(), Root: root.Key()}}})
	}
	edits := Article(m, analyze.Options{})
	if len(edits) != 2 {
		t.Fatalf("%v, want the two certificate values alone: the client has no licence and no identifier", edits)
	}
	for _, e := range edits {
		if e.Op != hive.DeleteValue || e.Expect == nil || e.Value == "Other" {
			t.Errorf("unexpected edit %s", e)
		}
	}
	licensing.Keys[0].Values = []hive.NodeValue{{Name: "ClientHWID", Type: hive.RegBinary, Data: make([]byte, 20)}}
	for _, in := range m.Inputs {
		if in.Hive == hive.Software {
			in.Mounts[0].Root = software.Key()
		}
	}
	if edits = Article(m, analyze.Options{}); len(edits) != 3 {
		t.Errorf("%v, want MSLicensing deleted too", edits)
	}
}
