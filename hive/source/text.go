package source

import (
	"fmt"
	"strings"

	"hivemend/hive"
	"hivemend/hive/regtext"
)

// text is a .reg file that was read.
type text struct {
	m    *member
	in   *hive.Input
	file *regtext.File
}

// loadTexts reads the .reg files of one folder. They are one machine unless
// they contradict each other.
func (s *Search) loadTexts(set []*member) Result {
	var r Result
	var texts []text
	for _, m := range set {
		t, err := s.loadText(m)
		if err != nil {
			r.Failures = append(r.Failures, Failure{m.label, err})
			continue
		}
		texts = append(texts, t)
	}
	if len(texts) == 0 {
		return r
	}
	if why := contradiction(texts); why != "" {
		for _, t := range texts {
			t.in.Notes = append(t.in.Notes, "was taken alone: "+why)
			r.Machines = append(r.Machines, textMachine([]text{t}, t.in.Path))
		}
		return r
	}
	r.Machines = append(r.Machines, textMachine(texts, groupLabel(set)))
	return r
}

func textMachine(texts []text, label string) *hive.Machine {
	m := &hive.Machine{Generation: texts[0].m.place.generation}
	for _, t := range texts {
		m.Inputs = append(m.Inputs, t.in)
	}
	name(m, label)
	return m
}

// loadText reads one .reg file.
func (s *Search) loadText(m *member) (text, error) {
	data, err := m.whole()
	if err != nil {
		return text{}, err
	}
	file, err := regtext.Parse(data, regtext.Options{CodePage: s.opt.CodePage, Strict: s.opt.Strict})
	if err != nil {
		return text{}, err
	}
	in := &hive.Input{
		Path:   m.label,
		Kind:   hive.Reg,
		Hive:   hive.Other,
		Size:   int64(len(data)),
		SHA256: hexSHA256(data),
		State:  hive.Clean,
		Data:   data,
		Mounts: mounts(file.Tree().Key()),
		Notes:  m.notes,
	}
	for i, mount := range in.Mounts {
		if i == 0 {
			in.Hive = mount.Kind
		} else if in.Hive != mount.Kind {
			in.Hive = hive.Mixed
		}
	}
	for _, d := range file.Diagnostics {
		in.Notes = append(in.Notes, d.String())
	}
	if file.MoreDiagnostics > 0 {
		in.Notes = append(in.Notes, fmt.Sprintf("and %d more remarks about the text", file.MoreDiagnostics))
	}
	return text{m, in, file}, nil
}

// mounts finds the hives that the keys of .reg text belong to: by their place
// in the registry, and for hives mounted under a name of someone's choice,
// such as HKEY_LOCAL_MACHINE\OFFLINE_SYSTEM, by what they hold.
func mounts(registry hive.Key) []hive.Mount {
	var all []hive.Mount
	for root := range registry.Subkeys() {
		switch long, _ := hive.RootName(root.Name()); long {
		case hive.LocalMachine, hive.Users:
			for key := range root.Subkeys() {
				all = append(all, hive.Mount{Kind: mountKind(long, key), Prefix: hive.Path{long, key.Name()}, Root: key})
			}
		case hive.CurrentUser:
			all = append(all, hive.Mount{Kind: hive.NTUser, Prefix: hive.NTUser.Prefix(), Root: root})
		}
	}
	return all
}

func mountKind(root string, key hive.Key) hive.Kind {
	name := hive.Fold(key.Name())
	if root == hive.Users {
		switch {
		case name == ".DEFAULT":
			return hive.Default
		case strings.HasSuffix(name, "_CLASSES"):
			return hive.Other
		}
		return hive.NTUser
	}
	for _, kind := range []hive.Kind{hive.System, hive.Software, hive.SAM, hive.Security} {
		if name == string(kind) {
			return kind
		}
	}
	if kind := hive.KindOf("", key); kind != hive.Other {
		return kind
	}
	if kind := nameOf(name).kind; kind != "" {
		return kind
	}
	return hive.Other
}

// contradiction says why .reg files of one folder cannot be of one machine, or
// "": they name different computers, or give one value in different ways.
func contradiction(texts []text) string {
	computer, from := "", ""
	type setting struct {
		typ  hive.Type
		data string
		file string
	}
	if len(texts) == 1 {
		return ""
	}
	settings := make(map[string]setting)
	for _, t := range texts {
		for _, mount := range t.in.Mounts {
			if mount.Kind != hive.System {
				continue
			}
			name := computerName(mount.Root, true)
			if name != "" && computer != "" && !hive.EqualFold(name, computer) {
				return fmt.Sprintf("%s is of the computer %s, %s of %s", from, computer, t.in.Path, name)
			}
			if name != "" {
				computer, from = name, t.in.Path
			}
		}
		for _, op := range t.file.Ops {
			if op.Kind != regtext.SetValue {
				continue
			}
			key := op.Key.Fold().String() + "\x00" + hive.Fold(op.Name)
			here := setting{op.Type, string(op.Data), t.in.Path}
			if there, ok := settings[key]; ok && there.file != here.file && (there.typ != here.typ || there.data != here.data) {
				return fmt.Sprintf("%s and %s give different data for %s in %s", there.file, here.file, hive.ValueLabel(op.Name), hive.Printable(op.Key.String()))
			}
			settings[key] = here
		}
	}
	return ""
}
