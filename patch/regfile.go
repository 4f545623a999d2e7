package patch

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"hivemend/hive"
	"hivemend/hive/regtext"
)

// pathForm rewrites the paths of a plan for one way of using it.
type pathForm func(hive.Path) hive.Path

// liveForm gives paths the form they have on the running machine: there the
// control set in use is called CurrentControlSet.
func liveForm(p *Plan) pathForm {
	set := p.controlSet()
	return func(path hive.Path) hive.Path {
		rest, ok := path.CutPrefix(hive.System.Prefix())
		if !ok || len(rest) == 0 || set == "" || !hive.EqualFold(rest[0], set) {
			return path
		}
		return hive.System.Prefix().Join(currentControlSet).Join(rest[1:]...)
	}
}

// assumedSet stands for the control set in use where nothing tells its number.
const assumedSet = "ControlSet001"

// offlineForm gives paths the form they have when the hives are loaded as
// HKEY_LOCAL_MACHINE\OFFLINE_SYSTEM and so on: control sets have numbers there.
func offlineForm(p *Plan) pathForm {
	set := p.controlSet()
	if set == "" || hive.EqualFold(set, currentControlSet) {
		set = assumedSet
	}
	return func(path hive.Path) hive.Path {
		for _, kind := range []hive.Kind{hive.System, hive.Software, hive.SAM, hive.Security, hive.Default, hive.NTUser, hive.Other} {
			rest, ok := path.CutPrefix(kind.Prefix())
			if !ok {
				continue
			}
			if kind == hive.System && len(rest) > 0 && hive.EqualFold(rest[0], currentControlSet) && p.Live {
				rest = append(hive.Path{set}, rest[1:]...)
			}
			name := string(kind)
			if kind == hive.Other {
				name = "HIVE"
			}
			return hive.Path{hive.LocalMachine, "OFFLINE_" + name}.Join(rest...)
		}
		return path
	}
}

// controlSet returns the name of the control set in use, or "".
func (p *Plan) controlSet() string {
	for _, in := range p.Inputs {
		if in.ControlSet != "" {
			return in.ControlSet
		}
	}
	return ""
}

// assumesControlSet reports whether the offline form had to assume which
// control set is in use.
func (p *Plan) assumesControlSet() bool {
	set := p.controlSet()
	if set != "" && !hive.EqualFold(set, currentControlSet) {
		return false
	}
	return p.Live && slices.ContainsFunc(p.Edits, func(e Edit) bool {
		rest, ok := e.Key.CutPrefix(hive.System.Prefix())
		return ok && len(rest) > 0 && hive.EqualFold(rest[0], currentControlSet)
	})
}

// regFile writes .reg text with a comment on top that says what it is for.
func (p *Plan) regFile(title string, notes []string, write func(*regtext.Writer) error) ([]byte, error) {
	var out bytes.Buffer
	w := regtext.NewWriter(&out, regtext.WriterOptions{})
	lines := append(p.banner(title), notes...)
	if err := w.Comment(strings.Join(lines, "\n")); err != nil {
		return nil, err
	}
	if err := write(w); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// banner names the machine, its hives and the time.
func (p *Plan) banner(title string) []string {
	name := p.Machine.ComputerName
	if name == "" {
		name = "unknown computer name"
	}
	if p.Machine.ID != "" {
		name += " (" + p.Machine.ID + ")"
	}
	if len(p.Inputs) == 0 {
		name = "any machine: made without looking at one"
	}
	lines := []string{title, "Machine: " + hive.Printable(name), "Time: " + p.AsOf.String()}
	for _, in := range p.Inputs {
		lines = append(lines, fmt.Sprintf("%s: SHA-256 %s", in.Hive, in.SHA256))
		if in.ReplayedSHA256 != "" {
			lines = append(lines, fmt.Sprintf("%s with its logs applied: SHA-256 %s", in.Hive, in.ReplayedSHA256))
		}
	}
	return lines
}

// FixReg returns the plan's edits as .reg text: for the running machine, or
// with offline for hives loaded as HKEY_LOCAL_MACHINE\OFFLINE_SYSTEM and so on.
func (p *Plan) FixReg(offline bool) ([]byte, error) {
	edits := make([]hive.Edit, len(p.Edits))
	for i, e := range p.Edits {
		edits[i] = e.Edit
	}
	return p.editsReg("Changes that repair this machine.", edits, offline)
}

// UndoReg returns the edits that take the plan back, in the same forms.
func (p *Plan) UndoReg(offline bool) ([]byte, error) {
	return p.editsReg("Takes the changes back. Not to be used once Windows has made a new certificate.", p.UndoEdits(), offline)
}

// UndoEdits returns the edits that take the whole plan back, in order.
func (p *Plan) UndoEdits() []hive.Edit {
	var edits []hive.Edit
	for _, e := range slices.Backward(p.Edits) {
		edits = append(edits, e.Undo...)
	}
	return edits
}

func (p *Plan) editsReg(title string, edits []hive.Edit, offline bool) ([]byte, error) {
	form := liveForm(p)
	var notes []string
	if offline {
		form = offlineForm(p)
		notes = append(notes, `For hives loaded as HKEY_LOCAL_MACHINE\OFFLINE_SYSTEM and HKEY_LOCAL_MACHINE\OFFLINE_SOFTWARE.`)
		if p.assumesControlSet() {
			notes = append(notes, "The export does not say which control set is in use: "+assumedSet+" is assumed.",
				`Compare with the value Current in OFFLINE_SYSTEM\Select before you import this.`)
		}
	}
	mapped := make([]hive.Edit, len(edits))
	for i, e := range edits {
		e.Key = form(e.Key)
		mapped[i] = e
	}
	return p.regFile(title, notes, func(w *regtext.Writer) error { return regtext.WriteEdits(w, mapped) })
}

// The keys of the client's licence store, below SOFTWARE.
var licenceStores = []hive.Path{
	hive.ParsePath(`HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\MSLicensing`),
	hive.ParsePath(`HKEY_LOCAL_MACHINE\SOFTWARE\Wow6432Node\Microsoft\MSLicensing`),
}

// backups returns the state before the plan of every key that it touches, as
// .reg text for the running machine: the licence stores as a whole, of all
// other keys their own values, unless the plan deletes them as a whole.
// Nothing is returned for a file that would hold no key.
func (p *Plan) backups(w *workspace) (parameters, licensing []byte, err error) {
	form := liveForm(p)
	var server, client []backupKey
	seen := map[string]bool{}
	for _, s := range w.made {
		key := backupKey{path: s.edit.Key, rel: s.rel, at: s.at, whole: s.edit.Op == hive.DeleteKey}
		list := &server
		for _, store := range licenceStores {
			if below, ok := s.edit.Key.CutPrefix(store); ok {
				key.path, key.rel, key.whole = store, s.rel[:len(s.rel)-len(below)], true
				list = &client
			}
		}
		about := key.path.Fold().String()
		if seen[about] {
			continue
		}
		if _, ok := key.before(); ok {
			seen[about] = true
			*list = append(*list, key)
		}
	}
	if parameters, err = p.backupReg(server, form); err != nil {
		return nil, nil, err
	}
	licensing, err = p.backupReg(client, form)
	return parameters, licensing, err
}

// backupKey is a key whose state before the plan is kept.
type backupKey struct {
	path  hive.Path // in the registry
	rel   hive.Path // below the mount
	at    *mounted
	whole bool // with everything below it
}

func (k backupKey) before() (hive.Key, bool) { return k.at.Root.Lookup(k.rel) }

func (p *Plan) backupReg(keys []backupKey, form pathForm) ([]byte, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	var out bytes.Buffer
	var lost []string
	w := regtext.NewWriter(&out, regtext.WriterOptions{Skip: func(err error) { lost = append(lost, err.Error()) }})
	title := p.banner("The keys as they were before the change. Not to be used once Windows has made a new certificate.")
	if err := w.Comment(strings.Join(title, "\n")); err != nil {
		return nil, err
	}
	for _, k := range keys {
		key, _ := k.before()
		var err error
		if k.whole {
			err = regtext.WriteTree(w, form(k.path), key)
		} else {
			err = writeOwnValues(w, form(k.path), key, &lost)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, text := range lost {
		if err := w.Comment("Not kept: " + text); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// writeOwnValues writes the values of one key, without its subkeys.
func writeOwnValues(w *regtext.Writer, path hive.Path, key hive.Key, lost *[]string) error {
	if err := w.Key(path); err != nil {
		return err
	}
	for v := range key.Values() {
		data, err := v.Data()
		if err == nil {
			err = w.Value(v.Name(), v.Type(), data)
			if err == nil {
				continue
			}
			if !errors.Is(err, regtext.ErrUnrepresentable) {
				return err
			}
		}
		name := v.Name()
		*lost = append(*lost, place(path, &name)+": "+err.Error())
	}
	return nil
}
