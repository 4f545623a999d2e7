package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"hivemend/hive"
	"hivemend/hive/source"
	"hivemend/patch"
)

func (a *app) replayCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "replay HIVE -o OUT",
		Short: "Apply the transaction logs beside a hive to a copy of it",
		Long: `Apply the transaction logs that lie beside a dirty hive (LOG, LOG1, LOG2) to a
copy of it, as Windows does when it loads the hive. Replay stops at the first
entry that is not sound and keeps everything before it. The hive and its logs
are only read.

Exit code 0: written, or an unchanged copy of a clean hive. 2: there is no log
that can be used, and nothing is written.`,
		Example: `  hivemend replay config/SYSTEM -o SYSTEM.replayed`,
		Args:    needsOneHive,
		RunE:    func(_ *cobra.Command, args []string) error { return a.runReplay(args[0], output) },
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "the `FILE` to write")
	return cmd
}

func needsOneHive(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return withHint(fmt.Errorf("%s wants one hive, %d given", cmd.Name(), len(args)), "usage: "+cmd.UseLine())
	}
	return nil
}

func (a *app) runReplay(path, output string) error {
	if output == "" {
		return fmt.Errorf("-o OUT says where the result goes, and is missing")
	}
	in, m, err := a.openHive(path, false)
	if err != nil {
		return err
	}
	if in.State == hive.Dirty || in.Replay != nil && in.Replay.Entries == 0 {
		return withHint(noReplay(in), "without its logs the hive can be read as it lies: hivemend scan "+quotePaths([]string{path})+" --no-replay")
	}
	if err := patch.WriteFileAtomic(output, in.Data, privatePerm, inputFiles([]*hive.Machine{m})...); err != nil {
		return fmt.Errorf("write %s: %w", output, err)
	}
	if in.Replay == nil {
		fmt.Fprintf(a.out, "%s is clean: its logs hold nothing that it lacks; unchanged copy written: %s\n", in.Path, output)
		return nil
	}
	r := in.Replay
	fmt.Fprintf(a.out, "%s: %s with %s applied", in.Path, countAs(r.Entries, "log entry", "log entries"), count(r.Pages, "page"))
	for i, l := range r.Logs {
		fmt.Fprintf(a.out, "%s%s", map[bool]string{true: " from ", false: " and "}[i == 0], l.Path)
	}
	fmt.Fprintln(a.out)
	if r.Stopped != "" {
		fmt.Fprintf(a.out, "stopped: %s\n", r.Stopped)
	}
	fmt.Fprintf(a.out, "written: %s, SHA-256 %s\n", output, r.SHA256)
	return nil
}

func noReplay(in *hive.Input) error {
	if in.Replay == nil || len(in.Replay.Logs) == 0 {
		return fmt.Errorf("%s is dirty, and no transaction log lies beside it", in.Path)
	}
	return fmt.Errorf("%s is dirty, and its transaction logs cannot be used: %s", in.Path, in.Replay.Stopped)
}

// openHive opens a path that has to be one hive, with the logs beside it unless
// noReplay is set.
func (a *app) openHive(path string, noReplay bool) (*hive.Input, *hive.Machine, error) {
	opened, err := source.Open([]string{path}, source.Options{Stdin: a.in, AllHives: true, NoReplay: noReplay})
	if err != nil {
		return nil, nil, err
	}
	if len(opened.Failures) > 0 {
		return nil, nil, failure(opened.Failures[0])
	}
	if len(opened.Machines) != 1 || len(opened.Machines[0].Inputs) != 1 {
		return nil, nil, withHint(fmt.Errorf("%s holds several hives", path), "name the hive itself")
	}
	m := opened.Machines[0]
	if m.Inputs[0].Kind != hive.Regf {
		return nil, nil, fmt.Errorf("%s is .reg text, not a hive", path)
	}
	return m.Inputs[0], m, nil
}

// countAs returns n with its noun in the right form.
func countAs(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
