package cli

import (
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages into DIR",
		Long: `Write a manual page for the program and for each of its commands into DIR, which
is made where it does not exist. Read one with "man DIR/hivemend.1".`,
		Example: `  hivemend man ~/.local/share/man/man1`,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("man takes one DIR, %d given", len(args))
			}
			return writeManual(cmd.Root(), args[0])
		},
	}
}

func writeManual(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root.DisableAutoGenTag = true
	date := buildDate()
	return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "hivemend " + version, Manual: "hivemend", Date: &date}, dir)
}

// buildDate returns when the revision that was built was made, so that the
// same build always writes the same pages.
func buildDate() time.Time {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" {
				if at, err := time.Parse(time.RFC3339, s.Value); err == nil {
					return at.UTC()
				}
			}
		}
	}
	return time.Unix(0, 0).UTC()
}
