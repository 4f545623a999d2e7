package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"hivemend/hive"
	"hivemend/patch"
)

func (a *app) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify PACKAGE [HIVE...]",
		Short: "Prove a fix package again, and say how hives stand towards it",
		Long: `Hold the files of a package against its manifest, prove again from nothing but
the package that its patched hives and its way back are right, and say of each
hive whether the change is applied.

Exit code 0: the proof holds, and every hive has the change. 1: a hive has not.
2: the package is altered, a hive has drifted, or something could not be read.`,
		Example: `  hivemend verify package/
  hivemend verify package/ C/Windows/System32/config`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return withHint(fmt.Errorf("no PACKAGE is given"), "usage: "+cmd.UseLine())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.runVerify(args[0], args[1:]) },
	}
}

func (a *app) runVerify(dir string, paths []string) error {
	pk, err := readPackage(dir)
	if err != nil {
		return err
	}
	for _, name := range pk.Unlisted {
		a.say("warning: %s: %s is not in the manifest", dir, name)
	}
	var inputs []*hive.Input
	if len(paths) > 0 {
		m, err := a.openHives(paths)
		if err != nil {
			return err
		}
		inputs = m.Inputs
	}
	verified, err := patch.Verify(pk, inputs)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%s: manifest and proof hold (%s)\n", dir, count(len(pk.Plan.Edits), "edit"))
	missing, drifted := false, false
	for _, v := range verified {
		exact := ""
		if v.Exact {
			exact = ", byte for byte"
		}
		fmt.Fprintf(a.out, "%s: %s%s\n", v.Input.Path, v.Standing, exact)
		for _, s := range v.Statuses {
			if s.State == patch.Drifted {
				fmt.Fprintf(a.out, "  %s\n", s.Detail)
			}
		}
		missing = missing || v.Standing == patch.NotApplied
		drifted = drifted || v.Standing == patch.HasDrifted
	}
	switch {
	case drifted:
		return &codeError{code: exitTrouble}
	case missing:
		return findings
	}
	return nil
}
