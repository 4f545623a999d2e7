package cli

import (
	"github.com/spf13/cobra"

	"hivemend/hive"
	"hivemend/patch"
)

func (a *app) undoCommand() *cobra.Command {
	opt := &editOptions{}
	cmd := &cobra.Command{
		Use:   "undo PACKAGE HIVE... -o OUT",
		Short: "Take a fix package back on copies of hives",
		Long: `Take a fix package back. On the hive that the package was applied to, this gives
back the bytes from before, all of them. On a hive that has lived since, the
inverse edits are made; what has changed meanwhile is refused by name, above all
a certificate that Windows has made anew.

Exit code 0: written and verified, or nothing to do. 1: with --dry-run,
something to do. 2: it could not be done.`,
		Example: `  hivemend undo package/ SYSTEM.new -o SYSTEM.old`,
		Args:    needsPackageAndHives,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runEdit(cmd.Context(), opt, args, func(pk *patch.Package, inputs []*hive.Input, o patch.ApplyOptions) (*patch.Result, error) {
				o.Rescan = nil // going back brings the old findings back
				return patch.Undo(pk.Plan, pk.Journal, inputs, o)
			})
		},
	}
	opt.addFlags(cmd.Flags())
	return cmd
}
