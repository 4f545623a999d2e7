package patch

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"hivemend/hive"
	"hivemend/hive/regtext"
)

// The names of the files of a fix package.
const (
	PlanFile        = "plan.json"
	JournalFile     = "journal.json"
	DiffFile        = "changes.diff"
	FixFile         = "fix.reg"
	UndoFile        = "undo.reg"
	FixOfflineFile  = "fix-offline.reg"
	UndoOfflineFile = "undo-offline.reg"
	ParametersFile  = "backup/exported-parameters.reg"
	LicensingFile   = "backup/mslicensingbackup.reg"
	HivesFolder     = "hives"
	ManifestFile    = "MANIFEST.sha256"
)

// Package is a fix package: every file that one machine's repair needs.
type Package struct {
	Plan    *Plan
	Journal *Journal
	// Files are the files by their paths in the package, with /. The manifest
	// is not among them.
	Files map[string][]byte
	// Unlisted are files that lie in the folder of a package that was read,
	// and that its manifest does not name.
	Unlisted []string
}

// NewPackage gathers the package of a plan. result is what Apply has made of
// it; nil for a plan without inputs. What the caller adds (runbook, reports,
// scripts) comes in through Add.
func NewPackage(p *Plan, result *Result) (*Package, error) {
	pk := &Package{Plan: p, Files: map[string][]byte{}}
	err := pk.text(PlanFile, p.JSON)
	if err == nil {
		err = pk.text(FixFile, func() ([]byte, error) { return p.FixReg(false) })
	}
	if err == nil {
		err = pk.text(FixOfflineFile, func() ([]byte, error) { return p.FixReg(true) })
	}
	if err == nil && result != nil {
		err = pk.addResult(p, result)
	}
	if err == nil {
		err = pk.addScripts(result)
	}
	if err == nil {
		err = pk.checkReg()
	}
	if err != nil {
		return nil, err
	}
	return pk, nil
}

// BarePackage returns a package without a plan, for machines that need
// nothing but what a person must do: it holds what is added, and no manifest.
func BarePackage() *Package { return &Package{Files: map[string][]byte{}} }

func (pk *Package) text(name string, render func() ([]byte, error)) error {
	data, err := render()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	pk.Files[name] = data
	return nil
}

// addResult adds what a plan has when it was applied to inputs.
func (pk *Package) addResult(p *Plan, r *Result) error {
	pk.Journal = r.Journal()
	pk.Files[DiffFile] = r.Diff()
	if err := pk.text(JournalFile, pk.Journal.JSON); err != nil {
		return err
	}
	if err := pk.text(UndoFile, func() ([]byte, error) { return p.UndoReg(false) }); err != nil {
		return err
	}
	if err := pk.text(UndoOfflineFile, func() ([]byte, error) { return p.UndoReg(true) }); err != nil {
		return err
	}
	parameters, licensing, err := p.backups(r.work)
	if err != nil {
		return err
	}
	if parameters != nil {
		pk.Files[ParametersFile] = parameters
	}
	if licensing != nil {
		pk.Files[LicensingFile] = licensing
	}
	names := map[hive.Kind]int{}
	for _, in := range r.Inputs {
		if in.Input.Kind != hive.Regf || !in.Changed {
			continue
		}
		names[in.Input.Hive]++
		pk.Files[hiveFile(in.Input.Hive, names[in.Input.Hive])] = in.After.Data
	}
	return nil
}

// hiveFile names the n-th patched hive of a kind.
func hiveFile(kind hive.Kind, n int) string {
	name := HivesFolder + "/" + string(kind)
	if n > 1 {
		name += fmt.Sprintf("-%d", n)
	}
	return name
}

// checkReg reads the .reg files of the plan back: they must hold exactly its
// edits, and nothing in text form may name what is never shown.
func (pk *Package) checkReg() error {
	fix, undo := plainEdits(pk.Plan.Edits), pk.Plan.UndoEdits()
	live, offline := liveForm(pk.Plan), offlineForm(pk.Plan)
	for _, f := range []struct {
		name  string
		edits []hive.Edit
		form  pathForm
	}{{FixFile, fix, live}, {FixOfflineFile, fix, offline}, {UndoFile, undo, live}, {UndoOfflineFile, undo, offline}} {
		text, ok := pk.Files[f.name]
		if !ok {
			continue
		}
		if err := sameReg(text, f.edits, f.form); err != nil {
			return fail(ErrUnproved, "%s: %s", f.name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(pk.Files)) {
		if ext := path.Ext(name); ext != ".reg" && ext != ".diff" && ext != ".cmd" {
			continue
		}
		if namesProtected(pk.Files[name]) {
			return fail(ErrProtected, "%s: it names RCM\\Secrets or RCM\\GracePeriod, which no file of a package may", name)
		}
	}
	return nil
}

func plainEdits(edits []Edit) []hive.Edit {
	out := make([]hive.Edit, len(edits))
	for i, e := range edits {
		out[i] = e.Edit
	}
	return out
}

// sameReg compares .reg text with the edits that it was written from. Sections
// that only lead to a value are no edit of their own.
func sameReg(text []byte, edits []hive.Edit, form pathForm) error {
	file, err := regtext.Parse(text, regtext.Options{})
	if err != nil {
		return err
	}
	if len(file.Diagnostics) > 0 {
		return fmt.Errorf("it does not read back without complaint: %s", file.Diagnostics[0])
	}
	i := 0
	for _, got := range file.Edits() {
		if i < len(edits) && sameEdit(got, edits[i], form) {
			i++
			continue
		}
		if got.Op != hive.CreateKey {
			return fmt.Errorf("it reads back as another change: %s", got)
		}
	}
	if i < len(edits) {
		return fmt.Errorf("it does not read back with this change: %s", edits[i])
	}
	return nil
}

func sameEdit(got, want hive.Edit, form pathForm) bool {
	return got.Op == want.Op && got.Key.Equal(form(want.Key)) && got.Value == want.Value &&
		got.Type == want.Type && bytes.Equal(got.Data, want.Data)
}

// namesProtected looks for the protected keys in text of either width.
func namesProtected(text []byte) bool {
	upper := strings.ToUpper(string(text))
	wide := strings.ToUpper(hive.TextOf(text))
	for _, name := range protectedNames {
		if needle := `RCM\` + name; strings.Contains(upper, needle) || strings.Contains(wide, needle) {
			return true
		}
	}
	return false
}

// Add puts a further file into the package. name is a path in the package,
// with /; a name that is taken or that leads elsewhere is refused.
func (pk *Package) Add(name string, data []byte) error {
	if !cleanName(name) || name == ManifestFile {
		return fail(ErrRefused, "%q cannot be a file of a package", name)
	}
	if _, ok := pk.Files[name]; ok {
		return fail(ErrRefused, "the package already has a file %s", name)
	}
	if path.Ext(name) == ".cmd" && namesProtected(data) {
		return fail(ErrProtected, "%s: it names RCM\\Secrets or RCM\\GracePeriod, which no script of a package may", name)
	}
	pk.Files[name] = data
	return nil
}

// cleanName reports whether name is a plain relative path of printable ASCII.
func cleanName(name string) bool {
	if name == "" || path.Clean(name) != name || path.IsAbs(name) || name == "." || name == ".." || strings.HasPrefix(name, "../") {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r <= 0x20 || r >= 0x7f || strings.ContainsRune(`\:*?"<>|`, r) })
}

// Manifest returns the bytes of MANIFEST.sha256, for sha256sum -c: every file
// of the package, with the inputs as comments above. Nil for a bare package.
func (pk *Package) Manifest() []byte {
	if pk.Plan == nil {
		return nil
	}
	var out bytes.Buffer
	for _, in := range pk.Plan.Inputs {
		fmt.Fprintf(&out, "# input %s  %s\n", in.SHA256, hive.Printable(in.Path))
		if in.ReplayedSHA256 != "" {
			fmt.Fprintf(&out, "# input with its logs applied %s  %s\n", in.ReplayedSHA256, hive.Printable(in.Path))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(pk.Files)) {
		fmt.Fprintf(&out, "%s  %s\n", hash(pk.Files[name]), name)
	}
	return out.Bytes()
}
