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
	"hivemend/analyze/rdp"
	"hivemend/hive"
	"hivemend/hive/source"
	"hivemend/patch"
)

// editOptions are the flags of the commands that write edited hives.
type editOptions struct {
	output string
	dryRun bool
	force  bool
	wipe   bool
}

func (o *editOptions) addFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.output, "output", "o", "", "where the edited copies go: a `FILE` for one hive, a folder for several")
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "print what would change, write nothing")
	f.BoolVar(&o.force, "force", false, "edit hives that would be refused")
	f.BoolVar(&o.wipe, "wipe", false, "zero what is freed (destroys remnants that may be evidence)")
}

func (a *app) applyCommand() *cobra.Command {
	opt := &editOptions{}
	cmd := &cobra.Command{
		Use:   "apply PACKAGE HIVE...|FOLDER -o OUT",
		Short: "Apply a fix package to copies of hives",
		Long: `Apply a fix package to copies of hives. Every edit says what it expects to find:
a value that is neither as expected nor as planned is refused by name, and then
nothing is written. An edit whose result stands already counts as done, so a
second run changes nothing. The hives themselves are only read.

Exit code 0: written and verified, or nothing to do. 1: with --dry-run,
something to do. 2: it could not be done.`,
		Example: `  hivemend apply package/ SYSTEM -o SYSTEM.new
  hivemend apply package/ C/Windows/System32/config -o patched/`,
		Args: needsPackageAndHives,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runEdit(cmd.Context(), opt, args, func(pk *patch.Package, inputs []*hive.Input, o patch.ApplyOptions) (*patch.Result, error) {
				return patch.Apply(pk.Plan, inputs, o)
			})
		},
	}
	opt.addFlags(cmd.Flags())
	return cmd
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
	opened, err := source.Open(paths, source.Options{Stdin: a.in, AllHives: true})
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
	if opt.output == "" && !opt.dryRun {
		return withHint(fmt.Errorf("-o OUT says where the edited copies go, and is missing"), "or use --dry-run to see what would change")
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
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, w := range result.Warnings {
		a.say("warning: %s", w)
	}
	if opt.dryRun {
		return a.showEdits(result)
	}
	return a.writeEdited(opt.output, result, m)
}

// rescanAfter scans the machine before and after the edits of a plan: what the
// plan repairs must be gone, and nothing may be new.
func rescanAfter(p *patch.Plan, m *hive.Machine) func([]*hive.Input) error {
	opt := analyze.Options{AsOf: p.AsOf, AsOfSource: "flag"}
	opt.SecondReading = newSecondReader(m).read
	before := analyze.Run(m, rdp.Rules, opt)
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
			fmt.Fprintf(a.out, "written and verified: %s (%s)\n", paths[i], count(p.Proof.Edits, "edit"))
		} else {
			fmt.Fprintf(a.out, "nothing to do in %s; unchanged copy written: %s\n", p.Input.Path, paths[i])
		}
	}
	return nil
}
