package report

import (
	"slices"

	"hivemend/analyze"
	"hivemend/analyze/fleet"
	"hivemend/hive"
)

// RedactAudit is [Redact] for an audit: the groups of clones and what is gone
// since an earlier audit lose their names too, and machines are found at their
// placeholders.
func RedactAudit(a *Audit) *Audit {
	d := NewRedactor()
	d.learnReport(a.Report)
	if a.Baseline != nil {
		for _, g := range a.Baseline.Gone {
			d.machineName(&analyze.Result{ID: g.ID, ComputerName: g.ComputerName})
			d.learnEvidence(g.Finding.Evidence)
		}
	}
	out := *a
	out.Report = d.report(a.Report)
	ids := map[string]string{}
	out.Paths = make([]string, len(a.Paths))
	for i := range out.Machines {
		ids[a.Machines[i].ID] = out.Machines[i].ID
		if i < len(out.Paths) {
			out.Paths[i] = out.Machines[i].Name
		}
	}
	out.Summary.Clones = each(a.Summary.Clones, func(g fleet.Group) fleet.Group {
		g.Members = each(g.Members, func(m fleet.Member) fleet.Member {
			m.ComputerName = d.computer(m.ComputerName)
			m.IDs = each(m.IDs, func(id string) string { return d.id(ids, id) })
			return m
		})
		return g
	})
	if a.Baseline != nil {
		changes := *a.Baseline
		changes.New = slices.Clone(changes.New)
		changes.Gone = each(changes.Gone, func(g fleet.Gone) fleet.Gone {
			g.ID, g.ComputerName, g.Finding = d.id(ids, g.ID), d.computer(g.ComputerName), d.finding(g.Finding)
			return g
		})
		out.Baseline = &changes
	}
	return &out
}

// computer returns the placeholder of a computer's name.
func (d *Redactor) computer(name string) string {
	if name == "" {
		return ""
	}
	if placeholder, ok := d.names[hive.Fold(name)]; ok {
		return placeholder
	}
	return d.machineName(&analyze.Result{ComputerName: name})
}

// id returns the redacted id of a machine: the one it has in this report, or
// the old one with its name replaced.
func (d *Redactor) id(ids map[string]string, id string) string {
	if known, ok := ids[id]; ok {
		return known
	}
	return d.name(id)
}
