package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hivemend/analyze"
	"hivemend/hive"
	"hivemend/hive/source"
	"hivemend/patch"
)

// editOptions are the flags of the commands that write edited hives.
type editOptions struct {
	output  string
	inPlace bool
	backup  string
	dryRun  bool
	force   bool
	wipe    bool
	// The rest is for .reg files.
	prefix   string
	as       string
	strict   bool
	codepage int
}

func (o *editOptions) addFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.output, "output", "o", "", "where the edited copies go: a `FILE` for one hive, a folder for several")
	f.BoolVar(&o.inPlace, "in-place", false, "replace the hives themselves, after a backup")
	f.StringVar(&o.backup, "backup", "", "with --in-place: the `DIR` for the old hives and their logs; nothing in it is overwritten")
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "print what would change, write nothing")
	f.BoolVar(&o.force, "force", false, "edit hives that would be refused")
	f.BoolVar(&o.wipe, "wipe", false, "zero what is freed (destroys remnants that may be evidence)")
}

// check holds the flags against each other.
func (o *editOptions) check() error {
	switch {
	case o.inPlace && o.output != "":
		return fmt.Errorf("--in-place and -o exclude each other")
	case o.inPlace && o.backup == "" && !o.dryRun:
		return fmt.Errorf("--in-place needs --backup DIR for the old hives")
	case !o.inPlace && o.backup != "":
		return fmt.Errorf("--backup goes with --in-place")
	case !o.inPlace && o.output == "" && !o.dryRun:
		return withHint(fmt.Errorf("-o OUT says where the edited copies go, and is missing"), "or use --in-place --backup DIR, or --dry-run to see what would change")
	}
	return nil
}

func (a *app) applyCommand() *cobra.Command {
	opt := &editOptions{}
	cmd := &cobra.Command{
		Use:   "apply PACKAGE|FILE.reg HIVE...|FOLDER -o OUT",
		Short: "Apply a fix package or a .reg file to copies of hives",
		Long: `Apply a fix package, or any .reg file, to copies of hives. Every edit of a
package says what it expects to find: a value that is neither as expected nor as
planned is refused by name, and then nothing is written. An edit whose result
stands already counts as done, so a second run changes nothing.

The lines of a .reg file are carried out in order. CurrentControlSet means the
control set in use. A section that lies outside the hive is an error that names
it; --prefix says where the hive stands in the file, such as HKLM\OFFLINE_SYSTEM.

Each result is read back by two independent readers before it is released. The
hives themselves are only read, unless --in-place --backup DIR is given.

Exit code 0: written and verified, or nothing to do. 1: with --dry-run,
something to do. 2: it could not be done.`,
		Example: `  hivemend apply package/ SYSTEM -o SYSTEM.new
  hivemend apply changes.reg SOFTWARE -o SOFTWARE.new
  hivemend apply package/ D:/Windows/System32/config --in-place --backup X:/backup`,
		Args: needsPackageAndHives,
		RunE: func(cmd *cobra.Command, args []string) error { return a.runApply(cmd.Context(), opt, args) },
	}
	opt.addFlags(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&opt.prefix, "prefix", "", "of a .reg file: where the hive stands in it, such as `HKLM\\OFFLINE_SYSTEM`")
	f.StringVar(&opt.as, "as", "", "of a .reg file: which hive it is where that cannot be told: `system|software|sam|security|default|ntuser`")
	f.BoolVar(&opt.strict, "strict", false, "of a .reg file: refuse any line that is not understood")
	f.IntVar(&opt.codepage, "codepage", 0, "of a .reg file: code page of 8-bit text, such as 1252 or 932")
	return cmd
}

// runApply applies a package, or a .reg file, to hives.
func (a *app) runApply(ctx context.Context, opt *editOptions, args []string) error {
	info, err := os.Stat(args[0])
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return a.applyText(ctx, opt, args)
	}
	return a.runEdit(ctx, opt, args, func(pk *patch.Package, inputs []*hive.Input, o patch.ApplyOptions) (*patch.Result, error) {
		return patch.Apply(pk.Plan, inputs, o)
	})
}

func needsPackageAndHives(cmd *cobra.Command, args []string) error {
	if len(args) < 2 {
		return withHint(fmt.Errorf("%s wants a package and the hives, %d given", cmd.Name(), len(args)), "usage: "+cmd.UseLine())
	}
	return nil
}

// readPackage reads the package in dir. A folder that holds the packages of
// several machines is refused by name.
func readPackage(dir string) (*patch.Package, error) {
	if _, err := os.Stat(filepath.Join(dir, patch.PlanFile)); err != nil {
		if several, _ := filepath.Glob(filepath.Join(dir, "*", patch.PlanFile)); len(several) > 0 {
			return nil, withHint(fmt.Errorf("%s holds the packages of %s", dir, count(len(several), "machine")), "name the one to use, such as "+filepath.Dir(several[0]))
		}
	}
	pk, err := patch.ReadPackage(dir)
	if err != nil {
		return nil, err
	}
	if pk.Plan == nil {
		return nil, fmt.Errorf("%s: the package holds no edits, only what a person must do", dir)
	}
	return pk, nil
}

// openHives opens the hives that are to be edited. They must belong to one
// machine.
func (a *app) openHives(paths []string) (*hive.Machine, error) {
	opened, err := source.Open(paths, source.Options{Stdin: a.in, AllHives: true, LogSequence: true})
	if err != nil {
		return nil, err
	}
	for _, f := range opened.Failures {
		a.say("%v", failure(f))
	}
	switch {
	case len(opened.Failures) > 0:
		return nil, &codeError{code: exitTrouble}
	case len(opened.Machines) > 1:
		return nil, withHint(fmt.Errorf("these are the hives of %d machines; one is edited at a time", len(opened.Machines)), machineNames(opened.Machines)...)
	}
	m := opened.Machines[0]
	for _, in := range m.Inputs {
		if in.Kind != hive.Regf {
			return nil, fmt.Errorf("%s is .reg text; only hives are edited", in.Path)
		}
	}
	return m, nil
}

func machineNames(machines []*hive.Machine) []string {
	var names []string
	for _, m := range machines {
		name := m.ID() + ":"
		for _, in := range m.Inputs {
			name += " " + in.Path
		}
		names = append(names, name)
	}
	return names
}

// runEdit reads a package and hives, lets change edit copies in memory, and
// writes the result.
func (a *app) runEdit(ctx context.Context, opt *editOptions, args []string, change func(*patch.Package, []*hive.Input, patch.ApplyOptions) (*patch.Result, error)) error {
	if err := opt.check(); err != nil {
		return err
	}
	pk, err := readPackage(args[0])
	if err != nil {
		return err
	}
	m, err := a.openHives(args[1:])
	if err != nil {
		return err
	}
	result, err := change(pk, m.Inputs, patch.ApplyOptions{
		Force: opt.force, Wipe: opt.wipe, MinSequence: logSequence, Rescan: rescanAfter(pk.Plan, m),
	})
	if err != nil {
		return err
	}
	return a.release(ctx, opt, result, m)
}

// release ends a command that edits: it shows the result of a dry run, or
// writes it.
func (a *app) release(ctx context.Context, opt *editOptions, result *patch.Result, m *hive.Machine) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, w := range result.Warnings {
		a.say("warning: %s", w)
	}
	switch {
	case opt.dryRun:
		return a.showEdits(result)
	case opt.inPlace:
		return a.replaceInPlace(opt, result)
	}
	return a.writeEdited(opt.output, result, m)
}

// replaceInPlace puts the edited hives where the old ones were.
func (a *app) replaceInPlace(opt *editOptions, result *patch.Result) error {
	if !result.Changed() {
		fmt.Fprintln(a.out, "nothing to do: every edit is made already")
	}
	done, err := patch.ReplaceInPlace(result, opt.backup)
	for _, path := range done.Backups {
		fmt.Fprintf(a.out, "backup: %s\n", path)
	}
	for _, path := range done.Replaced {
		fmt.Fprintf(a.out, "replaced and verified: %s\n", path)
	}
	for _, path := range done.Moved {
		fmt.Fprintf(a.out, "moved to the backup: %s\n", path)
	}
	if err != nil && len(done.Backups) > 0 {
		return withHint(err, "the backup is in "+opt.backup+"; run the same command again to complete what was begun")
	}
	return err
}

// rescanAfter scans the machine before and after the edits of a plan: what the
// plan repairs must be gone, and nothing may be new.
func rescanAfter(p *patch.Plan, m *hive.Machine) func([]*hive.Input) error {
	opt := analyze.Options{AsOf: p.AsOf, AsOfSource: "flag"}
	before := judgeMachine(m, opt)
	return rescan(m, before, repairedBy(p, before.Findings), opt)
}

// repairedBy returns the findings whose every edit is in the plan.
func repairedBy(p *patch.Plan, list []analyze.Finding) []analyze.Finding {
	planned := func(e hive.Edit) bool {
		return slices.ContainsFunc(p.Edits, func(q patch.Edit) bool {
			return q.Op == e.Op && q.Key.Equal(e.Key) && hive.EqualFold(q.Value, e.Value)
		})
	}
	var repaired []analyze.Finding
	for _, f := range list {
		if f.Fix == nil || len(f.Fix.Edits) == 0 {
			continue
		}
		if !slices.ContainsFunc(f.Fix.Edits, func(e hive.Edit) bool { return !planned(e) }) {
			repaired = append(repaired, f)
		}
	}
	return repaired
}

// showEdits prints what a dry run would have changed.
func (a *app) showEdits(result *patch.Result) error {
	for _, s := range result.Statuses {
		fmt.Fprintf(a.out, "%-9s %s\n", s.State, s.Edit)
	}
	if !result.Changed() {
		fmt.Fprintln(a.out, "nothing to do: every edit is made already")
		return nil
	}
	if _, err := a.out.Write(result.Diff()); err != nil {
		return err
	}
	return findings
}

// writeEdited writes the copies: to output itself where there is one hive,
// else into the folder output under the hives' own file names.
func (a *app) writeEdited(output string, result *patch.Result, m *hive.Machine) error {
	inputs := inputFiles([]*hive.Machine{m})
	single := len(result.Inputs) == 1
	if single {
		if info, err := os.Stat(output); err == nil && info.IsDir() {
			single = false
		}
	}
	if !single {
		if err := os.MkdirAll(output, 0o700); err != nil {
			return err
		}
	}
	// Every output is looked at before the first is written.
	paths := make([]string, len(result.Inputs))
	for i, p := range result.Inputs {
		paths[i] = output
		if !single {
			paths[i] = filepath.Join(output, filepath.Base(filepath.FromSlash(p.Input.Path)))
		}
		if slices.Contains(paths[:i], paths[i]) {
			return fmt.Errorf("two hives would be written to %s", paths[i])
		}
		if err := patch.RefuseInput(paths[i], inputs...); err != nil {
			return err
		}
	}
	for i, p := range result.Inputs {
		if err := patch.WriteFileAtomic(paths[i], p.After.Data, privatePerm, inputs...); err != nil {
			return fmt.Errorf("write %s: %w", paths[i], err)
		}
		if p.Changed {
			made := count(p.Proof.Edits, "edit")
			if p.Proof.Edits == 0 {
				made = "byte for byte as it was before"
			}
			fmt.Fprintf(a.out, "written and verified: %s (%s)\n", paths[i], made)
		} else {
			fmt.Fprintf(a.out, "nothing to do in %s; unchanged copy written: %s\n", p.Input.Path, paths[i])
		}
	}
	return nil
}
