package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagError adds advice to what is wrong with a command's flags: the flag that
// may have been meant, and where all of them are listed.
func flagError(cmd *cobra.Command, err error) error {
	help := fmt.Sprintf("see `%s --help`", cmd.CommandPath())
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		if like := similarFlag(cmd, unknown.GetSpecifiedName()); like != "" {
			return withHint(err, "did you mean --"+like+"?", help)
		}
	}
	return withHint(err, help)
}

// similarFlag returns the name of the flag of cmd that is nearest to a mistyped
// one, "" where none is within a third of its length in typing mistakes.
func similarFlag(cmd *cobra.Command, typed string) string {
	best, near := max(len(typed)/3, 1)+1, ""
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if d := typingDistance(typed, f.Name, best); d < best && !f.Hidden && len(typed) > 1 {
			best, near = d, f.Name
		}
	})
	return near
}
