package patch

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"text/template"

	"hivemend/hive"
	"hivemend/hive/regtext"
)

// The names of the scripts, and of the .reg file that they compare with.
const (
	LiveScript    = "apply-live.cmd"
	OfflineScript = "apply-offline.cmd"
	ExpectedFile  = "expected.reg"
)

//go:embed scripts/*.tmpl
var scriptFiles embed.FS

var scriptTemplates = template.Must(template.ParseFS(scriptFiles, "scripts/*.tmpl"))

// script is what the templates of the scripts are filled with. Every string in
// it is fit to stand in a batch file.
type script struct {
	File    string
	Title   string
	Tag     string   // tells this package from others
	Banner  []string // the comment on top
	Offline bool
	// Any is set for packages made without looking at a machine: nothing is
	// expected, and the way back comes from the backup that the script makes.
	Any bool
	NT5 bool // with Any: for Windows up to 2003
	Old bool // this Windows is older than 8.1
	// Name is where the computer name stands; nil where it is not known.
	Name *scriptName
	// Select is set where the number of the control set has to be compared.
	Select  bool
	Sets    []int // with Any: the control sets to look for
	Power   string
	Edits   []scriptEdit
	Already []scriptEdit
	Kept    []scriptKey
	Loads   []hive.Kind // the hives to load
	Copies  []scriptCopy
}

type scriptName struct{ Key string }

// scriptEdit is one edit: which subroutine judges it, and about what.
type scriptEdit struct {
	N     int
	Judge string
	What  string // for the screen
	Key   string
	Value string // as arguments of reg.exe, "" for edits of keys
}

// scriptKey is a key whose state is kept before it is changed.
type scriptKey struct {
	N    int
	What string
	Key  string
	Deep string // "/s" where everything below it is kept too
}

// scriptCopy is a patched hive, and the files that it was made from.
type scriptCopy struct {
	Hive    hive.Kind
	Patched string
	From    []scriptFile
}

type scriptFile struct{ File, SHA256 string }

// errUnsayable is given for plans that a batch file cannot carry out.
var errUnsayable = errors.New("a script cannot name it")

// addScripts adds the scripts and what they compare with. A plan with names
// that plain ASCII cannot say, or with edits outside SYSTEM and SOFTWARE, gets
// none: hivemend itself applies it.
func (pk *Package) addScripts(r *Result) error {
	p := pk.Plan
	if p.Ordered || len(p.Edits) == 0 {
		return nil
	}
	tag := hash(pk.Files[PlanFile])[:8]
	files := map[string][]byte{}
	for _, offline := range []bool{false, true} {
		s, err := newScript(p, r, tag, offline)
		if errors.Is(err, errUnsayable) {
			return nil
		}
		if err != nil {
			return err
		}
		if offline && r != nil {
			s.Copies = pk.scriptCopies(r)
		}
		if files[s.File], err = s.render(); err != nil {
			return err
		}
	}
	if r != nil {
		expected, err := p.expectedReg(r.work, tag)
		if errors.Is(err, regtext.ErrUnrepresentable) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", ExpectedFile, err)
		}
		files[ExpectedFile] = expected
	}
	maps.Copy(pk.Files, files)
	return nil
}

// render fills the template. Batch files are lines that end with CR and LF.
func (s *script) render() ([]byte, error) {
	name := "live.tmpl"
	if s.Offline {
		name = "offline.tmpl"
	}
	var out bytes.Buffer
	if err := scriptTemplates.ExecuteTemplate(&out, name, s); err != nil {
		return nil, fmt.Errorf("%s: %w", s.File, err)
	}
	text := strings.TrimSpace(out.String()) + "\n"
	for strings.Contains(text, "\n\n\n") {
		text = strings.ReplaceAll(text, "\n\n\n", "\n\n")
	}
	for i := range len(text) {
		if text[i] >= 0x7f || text[i] < 0x20 && text[i] != '\n' {
			return nil, fail(ErrUnproved, "%s: byte 0x%02X at offset %d is no plain ASCII", s.File, text[i], i)
		}
	}
	return []byte(strings.ReplaceAll(text, "\n", "\r\n")), nil
}

func newScript(p *Plan, r *Result, tag string, offline bool) (*script, error) {
	s := &script{File: LiveScript, Tag: tag, Offline: offline, Any: r == nil}
	form := liveForm(p)
	if offline {
		s.File, form = OfflineScript, offlineForm(p)
		s.Loads = []hive.Kind{hive.System}
	}
	name := p.Machine.ComputerName
	if name == "" {
		name = "a computer whose name is not known"
	}
	if s.Any {
		name = "any machine"
	}
	s.Title = "hivemend package " + tag + " for " + onScreen(name)
	for _, line := range p.banner("Applies the changes of this package, and takes them back.") {
		s.Banner = append(s.Banner, onScreen(line))
	}
	if err := s.addEdits(p, r, form); err != nil {
		return nil, err
	}
	return s, s.addMachine(p, r, form)
}

// addEdits adds what is changed, and what is kept of it before.
func (s *script) addEdits(p *Plan, r *Result, form pathForm) error {
	kept := map[string]bool{}
	for i, e := range p.Edits {
		kind, ok := kindOf(e.Key)
		if !ok || kind != hive.System && kind != hive.Software {
			return errUnsayable
		}
		if s.Offline && !slices.Contains(s.Loads, kind) {
			s.Loads = append(s.Loads, kind)
		}
		se, err := s.edit(i+1, e.Edit, form)
		if err != nil {
			return err
		}
		s.Edits = append(s.Edits, se)
		deep := ""
		if e.Op == hive.DeleteKey {
			deep = "/s"
		}
		if e.Op != hive.CreateKey && !kept[se.Key] {
			kept[se.Key] = true
			s.Kept = append(s.Kept, scriptKey{N: len(s.Kept) + 1, What: onScreen(form(e.Key).String()), Key: se.Key, Deep: deep})
		}
	}
	for _, e := range p.Already {
		if e.Op != hive.DeleteValue {
			continue
		}
		if se, err := s.edit(0, e, form); err == nil && se.Judge == "delete_value" {
			s.Already = append(s.Already, se)
		}
	}
	return nil
}

// edit says how one edit is judged.
func (s *script) edit(n int, e hive.Edit, form pathForm) (scriptEdit, error) {
	path := form(e.Key)
	key, ok := s.keyArgument(path)
	if !ok {
		return scriptEdit{}, errUnsayable
	}
	out := scriptEdit{N: n, Key: key, What: onScreen(path.String())}
	switch e.Op {
	case hive.DeleteKey:
		out.Judge = "delete_key"
		return out, nil
	case hive.CreateKey:
		out.Judge = "create_key"
		return out, nil
	}
	out.What += " value " + onScreen(e.Value)
	if e.Value == "" {
		out.Value, out.What = "/ve", onScreen(path.String())+" default value"
	} else if value, ok := argument(e.Value); ok {
		out.Value = `/v "` + value + `"`
	} else if s.Any {
		return scriptEdit{}, errUnsayable
	} else {
		out.Judge = "whole_key"
		return out, nil
	}
	switch {
	case e.Op == hive.DeleteValue:
		out.Judge = "delete_value"
	case e.Expect != nil && e.Expect.Absent:
		out.Judge = "new_value"
	default:
		out.Judge = "set_value"
	}
	return out, nil
}

// addMachine adds how the script knows the machine.
func (s *script) addMachine(p *Plan, r *Result, form pathForm) error {
	set := p.controlSet()
	if set == "" {
		if set = assumedSet; p.Live {
			set = currentControlSet
		}
	}
	control, ok := s.keyArgument(form(hive.System.Prefix().Join(set, "Control")))
	if !ok {
		return errUnsayable
	}
	s.Power = control
	if s.Any {
		s.Sets = []int{1, 2, 3, 4, 5, 6, 7, 8, 9}
		s.NT5 = !slices.ContainsFunc(p.Edits, func(e Edit) bool { return hive.EqualFold(e.Key[len(e.Key)-1], "RCM") })
		return nil
	}
	known := p.machineValues(r.work)
	if known.name.Valid() {
		s.Name = &scriptName{Key: control + `\ComputerName\ComputerName`}
	}
	s.Select = s.Offline && (known.current.Valid() || p.assumesControlSet())
	s.Old = known.old
	return nil
}

// machineValues are the values by which a script knows a machine.
type machineValues struct {
	name    hive.Value // the computer name
	current hive.Value // Select\Current
	old     bool       // the machine's Windows is older than 8.1
}

func (p *Plan) machineValues(w *workspace) machineValues {
	var out machineValues
	set := p.controlSet()
	for _, m := range w.mounts {
		switch m.Kind {
		case hive.System:
			if k, ok := m.Root.Lookup(hive.Path{set, "Control", "ComputerName", "ComputerName"}); ok && set != "" {
				out.name, _ = k.Value("ComputerName")
			}
			if k, ok := m.Root.Lookup(hive.Path{"Select"}); ok {
				out.current, _ = k.Value("Current")
			}
		case hive.Software:
			if k, ok := m.Root.Lookup(hive.ParsePath(`Microsoft\Windows NT\CurrentVersion`)); ok {
				v, _ := k.Value("CurrentVersion")
				text, err := v.Text()
				out.old = err == nil && len(text) == 3 && text < "6.3"
			}
		}
	}
	return out
}

// scratchKey is where expected values are loaded for comparison.
func scratchKey(tag string) hive.Path {
	return hive.Path{"HKEY_CURRENT_USER", "Software", "hivemend-" + tag}
}

// expectedReg returns the state before and after each edit as .reg text under
// the scratch key: reg.exe can compare binary values only with other values.
func (p *Plan) expectedReg(w *workspace, tag string) ([]byte, error) {
	scratch := scratchKey(tag)
	title := "What the scripts of this package compare with. They load it and delete it again."
	return p.regFile(title, nil, func(out *regtext.Writer) error {
		known := p.machineValues(w)
		if err := out.Key(scratch); err != nil {
			return err
		}
		if err := writeOneValue(out, scratch.Join("name"), "ComputerName", known.name); err != nil {
			return err
		}
		if known.current.Valid() {
			if err := writeOneValue(out, scratch.Join("select"), "Current", known.current); err != nil {
				return err
			}
		} else if p.assumesControlSet() {
			err := out.Key(scratch.Join("select"))
			if err == nil {
				err = out.Value("Current", hive.RegDWORD, []byte{1, 0, 0, 0})
			}
			if err != nil {
				return err
			}
		}
		for _, s := range w.made {
			if err := p.expectedOf(out, scratch, s); err != nil {
				return err
			}
		}
		return nil
	})
}

// expectedOf writes what stands before and after one edit, as far as the
// scripts compare with it.
func (p *Plan) expectedOf(out *regtext.Writer, scratch hive.Path, s step) error {
	n := fmt.Sprint(s.index + 1)
	before, after := scratch.Join("before", n), scratch.Join("after", n)
	old, _ := s.at.Root.Lookup(s.rel)
	now, _ := s.at.tree.key().Lookup(s.rel)
	if s.edit.Op == hive.DeleteKey {
		return regtext.WriteTree(out, before, old)
	}
	if s.edit.Op == hive.CreateKey {
		return nil
	}
	if _, ok := argument(s.edit.Value); !ok && s.edit.Value != "" {
		var lost []string
		if err := writeOwnValues(out, before, old, &lost); err != nil {
			return err
		}
		if err := writeOwnValues(out, after, now, &lost); err != nil {
			return err
		}
		if len(lost) > 0 {
			return fmt.Errorf("%s: %w", lost[0], regtext.ErrUnrepresentable)
		}
		return nil
	}
	for _, state := range []struct {
		at  hive.Path
		key hive.Key
	}{{before, old}, {after, now}} {
		if !state.key.Valid() {
			continue
		}
		v, _ := state.key.Value(s.edit.Value)
		if err := writeOneValue(out, state.at, s.edit.Value, v); err != nil {
			return err
		}
	}
	return nil
}

func writeOneValue(out *regtext.Writer, at hive.Path, name string, v hive.Value) error {
	if !v.Valid() {
		return nil
	}
	data, err := v.Data()
	if err != nil {
		return err
	}
	if err := out.Key(at); err != nil {
		return err
	}
	return out.Value(name, v.Type(), data)
}

// scriptCopies says which patched hives may take the place of which files: all
// or none. A hive whose pending changes are unknown is not among them.
func (pk *Package) scriptCopies(r *Result) []scriptCopy {
	var out []scriptCopy
	for _, in := range r.Inputs {
		if !in.Changed {
			continue
		}
		patched, ok := pk.Files[hiveFile(in.Input.Hive, 1)]
		if in.Input.Kind != hive.Regf || in.Input.State == hive.Dirty || !ok || hash(patched) != hash(in.After.Data) {
			return nil
		}
		c := scriptCopy{Hive: in.Input.Hive, Patched: hash(patched), From: []scriptFile{{string(in.Input.Hive), in.Input.SHA256}}}
		if in.Input.Replay != nil && in.Input.Replay.SHA256 != "" {
			for _, log := range in.Input.Replay.Logs {
				c.From = append(c.From, scriptFile{string(in.Input.Hive) + strings.ToUpper(path.Ext(log.Path)), log.SHA256})
			}
		}
		out = append(out, c)
	}
	return out
}

// keyArgument writes a path as reg.exe takes it, between quotes. ok is false
// where a batch file cannot say it.
func (s *script) keyArgument(p hive.Path) (text string, ok bool) {
	rest, ok := p.CutPrefix(hive.Path{hive.LocalMachine})
	if !ok {
		return "", false
	}
	out := "HKLM"
	for i, name := range rest {
		if s.Any && s.Offline && i == 1 && name == assumedSet {
			out += `\%SET%`
			continue
		}
		arg, ok := argument(name)
		if !ok {
			return "", false
		}
		out += `\` + arg
	}
	return out, true
}

// argument escapes a name for use between quotes in a batch file. ok is false
// for names that cannot be written so.
func argument(name string) (text string, ok bool) {
	if name == "" || strings.HasSuffix(name, `\`) {
		return "", false
	}
	for i := range len(name) {
		if name[i] < 0x20 || name[i] >= 0x7f || name[i] == '"' {
			return "", false
		}
	}
	return strings.ReplaceAll(name, "%", "%%"), true
}

// onScreen replaces what has a meaning to cmd, or is no plain ASCII.
func onScreen(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f || strings.ContainsRune(`&|<>^%!"()`, r) {
			return '?'
		}
		return r
	}, text)
}

// kindOf returns the hive in which a path of a plan lies.
func kindOf(p hive.Path) (hive.Kind, bool) {
	for _, kind := range []hive.Kind{hive.System, hive.Software} {
		if _, ok := p.CutPrefix(kind.Prefix()); ok {
			return kind, true
		}
	}
	return "", false
}
