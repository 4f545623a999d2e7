package source

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"hivemend/hive"
	"hivemend/hive/regf"
)

func hexSHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// loadHives reads the hives of one group.
func (s *Search) loadHives(set []*member, logs map[*member][]*member) Result {
	var r Result
	type loaded struct {
		m  *member
		in *hive.Input
	}
	var all []loaded
	for _, m := range set {
		in, failures := s.loadHive(m, logs[m])
		r.Failures = append(r.Failures, failures...)
		if in != nil {
			all = append(all, loaded{m, in})
		}
	}
	// The content has the last word on what a hive is. Where it shows two of a
	// kind, names were wrong, and nobody can tell what belongs together.
	seen := make(map[hive.Kind]bool)
	clash := false
	for _, l := range all {
		clash = clash || ofInterest[l.in.Hive] && seen[l.in.Hive]
		seen[l.in.Hive] = true
	}
	if !clash {
		m := &hive.Machine{}
		for _, l := range all {
			m.Inputs = append(m.Inputs, l.in)
			m.Generation = l.m.place.generation
		}
		if len(all) > 0 {
			name(m, groupLabel(set))
			r.Machines = append(r.Machines, m)
		}
		return r
	}
	for _, l := range all {
		l.in.Notes = append(l.in.Notes, fmt.Sprintf("was paired with no other hive: two of %s are %s hives by what they hold", labels(set), l.in.Hive))
		m := &hive.Machine{Generation: l.m.place.generation, Inputs: []*hive.Input{l.in}}
		name(m, l.in.Path)
		r.Machines = append(r.Machines, m)
	}
	return r
}

// name gives a machine the name that its SYSTEM hive holds, else the label of
// the place where it was found.
func name(m *hive.Machine, label string) {
	for _, root := range m.Roots(hive.System) {
		if m.ComputerName = computerName(root.Root, root.Input.Kind == hive.Reg); m.ComputerName != "" {
			break
		}
	}
	m.Name = m.ComputerName
	if m.Name == "" {
		m.Name = label
	}
}

// computerName reads Control\ComputerName\ComputerName of the current control
// set; live is set for .reg text.
func computerName(system hive.Key, live bool) string {
	current := hive.FindControlSets(system, live).Current.Key
	if !current.Valid() {
		return ""
	}
	key, ok := current.Lookup(hive.Path{"Control", "ComputerName", "ComputerName"})
	if !ok {
		return ""
	}
	v, ok := key.Value("ComputerName")
	if !ok {
		return ""
	}
	text, err := v.Text()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(text)
}

// loadHive reads one hive, replays the logs beside it where it is dirty, and
// checks what comes of it. Without an input the failures say why; with one,
// they are about its logs.
func (s *Search) loadHive(m *member, logs []*member) (*hive.Input, []Failure) {
	data, err := m.whole()
	if err == nil && len(data) == 0 {
		err = errEmpty
	}
	if err != nil {
		return nil, []Failure{{m.label, err}}
	}
	in := &hive.Input{
		Path:   m.label,
		Kind:   hive.Regf,
		Size:   int64(len(data)),
		SHA256: hexSHA256(data),
		State:  hive.Clean,
		Data:   data,
		Notes:  m.notes,
	}
	var failures []Failure
	options := regf.OpenOptions{Lenient: true}
	im, err := regf.Open(data, options)
	var pending []hive.Issue
	replays := !s.opt.NoReplay && (err != nil || im.Dirty())
	var read []regf.Log
	if replays || s.opt.LogSequence || s.opt.KeepLogs {
		read, failures = readLogs(logs)
		in.LogSequence, _ = regf.MaxSequence(read)
	}
	if replays {
		// Without any log this still says that there was none.
		options.Provenance, pending = replay(in, read)
		im, err = regf.Open(in.Data, options)
	}
	if err != nil {
		return nil, append(failures, Failure{m.label, err})
	}
	if s.opt.KeepLogs {
		for _, log := range read {
			in.Logs = append(in.Logs, hive.Log(log))
		}
	}
	describeHive(in, im)
	in.Issues = append(in.Issues, pending...)
	return in, failures
}

// describeHive fills in what the hive says of itself and what its check found.
func describeHive(in *hive.Input, im *regf.Image) {
	header, root := im.Header(), im.Root()
	in.FileName, in.LastWrite = header.FileName, header.LastWritten
	in.Hive = hive.KindOf(header.FileName, root)
	in.Mounts = []hive.Mount{{Kind: in.Hive, Prefix: in.Hive.Prefix(), Root: root}}
	report := im.Check()
	in.Issues, in.Bounded = report.Issues, report.Bounded()
	switch {
	case im.Dirty():
		in.State = hive.Dirty
	case !report.Sound():
		in.State = hive.Damaged
	}
}
