package fleet

import (
	"slices"

	"hivemend/analyze"
	"hivemend/hive"
)

// Baseline is an earlier audit, against which findings are new, gone or
// unchanged. A finding is known again by its fingerprint on a machine of the
// same computer name and generation. The zero Baseline is not ready; use
// NewBaseline.
type Baseline struct {
	machines map[machineKey]*oldMachine
	order    []machineKey
}

type machineKey struct {
	computer   string // folded
	generation hive.Generation
}

type oldMachine struct {
	id       string
	computer string
	findings map[string]analyze.Finding // by fingerprint
	order    []string
	seen     bool
	left     map[string]bool // fingerprints that were not met again
}

// NewBaseline returns an empty Baseline.
func NewBaseline() *Baseline { return &Baseline{machines: map[machineKey]*oldMachine{}} }

func keyOf(r analyze.Result) machineKey {
	return machineKey{hive.Fold(r.ComputerName), r.Generation}
}

// Add takes a machine of the earlier audit.
func (b *Baseline) Add(r analyze.Result) {
	k := keyOf(r)
	old := b.machines[k]
	if old == nil {
		old = &oldMachine{id: r.ID, computer: r.ComputerName, findings: map[string]analyze.Finding{}, left: map[string]bool{}}
		b.machines[k] = old
		b.order = append(b.order, k)
	}
	for _, f := range r.Findings {
		if !old.left[f.Fingerprint] {
			old.order = append(old.order, f.Fingerprint)
		}
		old.findings[f.Fingerprint], old.left[f.Fingerprint] = f, true
	}
}

// Compare takes a machine of the present audit and returns those of its
// findings that the earlier one had not, and how many it had.
func (b *Baseline) Compare(r analyze.Result) (added []analyze.Finding, unchanged int) {
	old := b.machines[keyOf(r)]
	if old == nil {
		return r.Findings, 0
	}
	old.seen = true
	for _, f := range r.Findings {
		if _, known := old.findings[f.Fingerprint]; !known {
			added = append(added, f)
			continue
		}
		delete(old.left, f.Fingerprint)
		unchanged++
	}
	return added, unchanged
}

// Gone is a finding that the earlier audit had and the present one has not.
type Gone struct {
	ID           string          `json:"id"` // of the machine in the earlier audit
	ComputerName string          `json:"computerName"`
	Finding      analyze.Finding `json:"finding"`
	// MachineMissing is set where the machine is not in the present audit, so
	// that nobody looked.
	MachineMissing bool `json:"machineMissing,omitempty"`
}

// Gone returns what is gone, in the order of the earlier audit, after every
// machine of the present one went through Compare.
func (b *Baseline) Gone() []Gone {
	list := []Gone{}
	for _, k := range b.order {
		old := b.machines[k]
		for _, fingerprint := range slices.Compact(old.order) {
			if old.left[fingerprint] {
				list = append(list, Gone{old.id, old.computer, old.findings[fingerprint], !old.seen})
			}
		}
	}
	return list
}
