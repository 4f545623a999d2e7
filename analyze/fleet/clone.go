package fleet

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"hivemend/analyze"
	"hivemend/hive"
)

//go:embed FLEET-CLONE.txt
var clonePage string

// Clone is the rule about machines that share what none should share. It has
// no Run: it judges what [Fleet] has gathered.
var Clone = &analyze.Rule{
	ID:         "FLEET-CLONE",
	Explain:    clonePage,
	Severity:   analyze.Warning,
	Title:      "Machines of different names share an identity",
	References: []string{"MS-RDPELE 2.2.2.3.1", "MS-RDPBCGR 5.3.3.1"},
}

// Rules are all rules about many machines.
var Rules = []*analyze.Rule{Clone}

// maxMembers is how many members a finding names; their number is whole.
const maxMembers = 20

// Fleet gathers what machines could share. The zero Fleet is not ready; use New.
type Fleet struct {
	machines []member
	counts   map[string]int // findings by rule
	groups   []Group        // nil until asked for
	byIndex  map[int][]int  // index of a machine to indices of its groups
}

// member is what is kept of a machine.
type member struct {
	id, computer string
	identity     analyze.Identity
}

// New returns an empty Fleet.
func New() *Fleet { return &Fleet{counts: map[string]int{}} }

// Add takes the next machine. Machines are told apart by the order in which
// they are added, from 0.
func (f *Fleet) Add(r analyze.Result) {
	f.machines = append(f.machines, member{r.ID, r.ComputerName, r.Identity})
	for _, finding := range r.Findings {
		if finding.Rule != Clone.ID {
			f.counts[finding.Rule]++
		}
	}
	f.groups = nil
}

// Group is a set of machines of different names that share one thing.
type Group struct {
	Group string `json:"group"` // the same in every report of the same machines
	Cause string `json:"cause"` // "hwid", "certificate" or "machineguid"
	// MemberCount counts machines; generations and dated copies of one machine
	// (same computer name and MachineGuid) count once.
	MemberCount int      `json:"memberCount"`
	Members     []Member `json:"members"`

	indices []int // of all machines in it, copies included
}

// Member is one machine of a group.
type Member struct {
	ComputerName string   `json:"computerName"`
	MachineGuid  string   `json:"machineGuid,omitempty"`
	IDs          []string `json:"ids"` // of its copies in the report, in the order in which they were added
}

// shared is something that two machines should not share.
type shared struct{ cause, value string }

// Groups returns the groups, in the order in which their first members were
// added.
func (f *Fleet) Groups() []Group {
	if f.groups != nil {
		return f.groups
	}
	holders := map[shared][]int{}
	var order []shared
	for i, m := range f.machines {
		for _, s := range sharedBy(m) {
			if holders[s] == nil {
				order = append(order, s)
			}
			holders[s] = append(holders[s], i)
		}
	}
	f.groups, f.byIndex = []Group{}, map[int][]int{}
	for _, s := range order {
		if g, ok := f.group(s, holders[s]); ok {
			for _, i := range g.indices {
				f.byIndex[i] = append(f.byIndex[i], len(f.groups))
			}
			f.groups = append(f.groups, g)
		}
	}
	return f.groups
}

// sharedBy lists what the machine could share. A machine without a name cannot
// be told from another.
func sharedBy(m member) []shared {
	if m.computer == "" {
		return nil
	}
	var list []shared
	for _, id := range m.identity.HardwareIDs {
		list = append(list, shared{"hwid", id})
	}
	for _, key := range m.identity.CertificateKeys {
		list = append(list, shared{"certificate", key})
	}
	if guid := m.identity.MachineGuid; strings.Trim(guid, "{}0-") != "" {
		list = append(list, shared{"machineguid", hive.Fold(guid)})
	}
	return list
}

// group makes a group of the machines at indices, if more than one computer
// name is among them.
func (f *Fleet) group(s shared, indices []int) (Group, bool) {
	sum := sha256.Sum256([]byte(s.cause + "\x00" + s.value))
	g := Group{Group: s.cause + "-" + hex.EncodeToString(sum[:6]), Cause: s.cause, indices: indices}
	names := map[string]bool{}
	at := map[string]int{}
	for _, i := range indices {
		m := f.machines[i]
		names[hive.Fold(m.computer)] = true
		key := hive.Fold(m.computer) + "\x00" + hive.Fold(m.identity.MachineGuid)
		n, ok := at[key]
		if !ok {
			n = len(g.Members)
			at[key] = n
			g.Members = append(g.Members, Member{ComputerName: m.computer, MachineGuid: m.identity.MachineGuid})
		}
		g.Members[n].IDs = append(g.Members[n].IDs, m.id)
	}
	g.MemberCount = len(g.Members)
	slices.SortStableFunc(g.Members, func(a, b Member) int {
		return cmp.Or(hive.CompareFold(a.ComputerName, b.ComputerName), hive.CompareFold(a.MachineGuid, b.MachineGuid))
	})
	return g, len(names) > 1
}

// Findings returns the findings about the machine that was added at index: one
// for each group that it is in.
func (f *Fleet) Findings(index int) []analyze.Finding {
	groups := f.Groups()
	var list []analyze.Finding
	for _, n := range f.byIndex[index] {
		list = append(list, finding(f.machines[index], groups[n]))
	}
	return list
}

var causeWords = map[string]string{
	"hwid":        "the same hardware identifier (ClientHWID)",
	"certificate": "the same key pair in the server's own certificate",
	"machineguid": "the same MachineGuid",
}

func finding(m member, g Group) analyze.Finding {
	var names []string
	for _, member := range g.Members[:min(len(g.Members), maxMembers)] {
		names = append(names, member.ComputerName)
	}
	f := analyze.Finding{
		Rule: Clone.ID, Severity: Clone.Severity, Confidence: analyze.Medium, References: Clone.References,
		Evidence: analyze.Evidence{
			{Name: "cause", Value: g.Cause}, {Name: "group", Value: g.Group},
			{Name: "members", Value: names}, {Name: "memberCount", Value: g.MemberCount},
		},
		Message: fmt.Sprintf("%s and %d more have %s: they were cloned from one image that was not generalised.", hive.Printable(m.computer), g.MemberCount-1, causeWords[g.Cause]),
		ManualSteps: []string{
			"Find the image they come from, and generalise it (sysprep) or clear what must not be shared before it is used again.",
			cloneSteps[g.Cause],
		},
	}
	f.Fingerprint = analyze.Fingerprint(m.computer, &f)
	return f
}

var cloneSteps = map[string]string{
	"hwid":        "On each of these clients delete MSLicensing after a backup and start mstsc once as administrator; each becomes a device of its own and may consume a licence.",
	"certificate": "On each of these servers delete the certificate values and restart it, so that each makes a key pair of its own.",
	"machineguid": "MachineGuid cannot simply be changed: other software relies on it. Rebuild the machines from a generalised image.",
}

// Summary is what is said about all machines together.
type Summary struct {
	Machines int            `json:"machines"`
	Counts   map[string]int `json:"counts"` // findings by rule, FLEET-CLONE included
	Clones   []Group        `json:"clones"` // with all members
}

// Summary returns what is known after the last Add.
func (f *Fleet) Summary() Summary {
	s := Summary{Machines: len(f.machines), Counts: map[string]int{}, Clones: f.Groups()}
	for rule, n := range f.counts {
		s.Counts[rule] = n
	}
	for _, groups := range f.byIndex {
		s.Counts[Clone.ID] += len(groups)
	}
	return s
}
