package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"

	"hivemend/hive"
	"hivemend/hive/regtext"
	"hivemend/patch"
)

// applyText applies a .reg file to hives, with the same proofs as a package.
func (a *app) applyText(ctx context.Context, opt *editOptions, args []string) error {
	if err := opt.check(); err != nil {
		return err
	}
	data, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	file, err := regtext.Parse(data, regtext.Options{File: args[0], CodePage: opt.codepage, Strict: opt.strict})
	if err != nil {
		return err
	}
	for _, d := range file.Diagnostics {
		a.say("%s", d)
	}
	if file.MoreDiagnostics > 0 {
		a.say("%s: %d more", args[0], file.MoreDiagnostics)
	}
	m, err := a.openHives(args[1:])
	if err != nil {
		return err
	}
	if err := opt.place(m); err != nil {
		return err
	}
	if err := sectionsInside(file, m); err != nil {
		return err
	}
	now := hive.FileTimeOf(a.now())
	plan, err := patch.NewPlan(file.Edits(), m, patch.PlanOptions{
		Tool: patch.Tool{Name: "hivemend", Version: version}, AsOf: now, EditTime: now, Ordered: true, Live: true, FillExpect: true,
	})
	if err != nil {
		return err
	}
	o := patch.ApplyOptions{Force: opt.force, Wipe: opt.wipe, MinSequence: logSequence}
	if !opt.force {
		o.Rescan = rescanAfter(plan, m)
	}
	result, err := patch.Apply(plan, m.Inputs, o)
	if err != nil {
		return err
	}
	settle(result)
	err = a.release(ctx, opt, result, m)
	if opt.dryRun && result.Changed() {
		if undo := a.showUndo(plan); undo != nil {
			return undo
		}
	}
	return err
}

// settle takes back what comes to nothing: a file that deletes a key and makes
// it again as it was, which is how a key is reset, changes nothing the second
// time.
func settle(result *patch.Result) {
	for i := range result.Inputs {
		p := &result.Inputs[i]
		if !p.Changed {
			continue
		}
		same := true
		for j, mount := range p.Input.Mounts {
			same = same && hive.Digest(mount.Root) == hive.Digest(p.After.Mounts[j].Root)
		}
		if same {
			p.After, p.Changed = p.Input, false
		}
	}
}

// place makes the hive stand where --prefix or --as say that it stands in the
// .reg file.
func (o *editOptions) place(m *hive.Machine) error {
	if o.prefix == "" && o.as == "" {
		return nil
	}
	if len(m.Inputs) != 1 {
		return fmt.Errorf("--prefix and --as speak of one hive, %d are given", len(m.Inputs))
	}
	mount := &m.Inputs[0].Mounts[0]
	if o.as != "" {
		mount.Kind = hive.Kind(strings.ToUpper(o.as))
		mount.Prefix = mount.Kind.Prefix()
	}
	if o.prefix != "" {
		mount.Prefix = parsePrefix(o.prefix)
	}
	return nil
}

// sectionsInside holds that every section of the file lies in one of the hives.
func sectionsInside(file *regtext.File, m *hive.Machine) error {
	for _, op := range file.Ops {
		inside := false
		var prefixes []string
		for _, in := range m.Inputs {
			for _, mount := range in.Mounts {
				_, ok := op.Key.CutPrefix(mount.Prefix)
				inside = inside || ok
				prefixes = append(prefixes, mount.Prefix.String())
			}
		}
		if !inside {
			return withHint(fmt.Errorf("%s:%d: section %s lies outside the hives given (%s)", file.Name, op.Line, hive.Printable(op.Key.String()), strings.Join(prefixes, ", ")),
				"--prefix says where the hive stands in the file")
		}
	}
	return nil
}

// showUndo prints the .reg text that would take the edits back.
func (a *app) showUndo(p *patch.Plan) error {
	shown, withheld := patch.Withhold(p.UndoEdits())
	var b bytes.Buffer
	w := regtext.NewWriter(&b, regtext.WriterOptions{})
	if err := regtext.WriteEdits(w, shown); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	fmt.Fprintln(a.out, "\nto take it back, this .reg text would be needed:")
	fmt.Fprint(a.out, strings.ReplaceAll(strings.TrimPrefix(hive.TextOf(b.Bytes()), "\ufeff"), "\r\n", "\n"))
	if len(withheld) > 0 {
		fmt.Fprintf(a.out, "and %s of secrets, which are not shown\n", count(len(withheld), "edit"))
	}
	return nil
}
