package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hivemend/cmd/hivemend/internal/report"
)

// shells are those that completion is written for.
var shells = []string{"bash", "zsh", "fish", "powershell"}

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Write a script that completes commands, flags, rules and formats in a shell",
		Long: `Write a script with which a shell completes commands, flags, rule ids and
formats: bash, zsh, fish or powershell. The script asks the program itself what
there is, so it need not be written again for a newer version.`,
		Example: `  bash:        hivemend completion bash > /etc/bash_completion.d/hivemend
  zsh:         hivemend completion zsh > "${fpath[1]}/_hivemend"
  fish:        hivemend completion fish > ~/.config/fish/completions/hivemend.fish
  PowerShell:  hivemend completion powershell >> $PROFILE`,
		Args:      cobra.ArbitraryArgs,
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			want := "want " + strings.Join(shells[:len(shells)-1], ", ") + " or " + shells[len(shells)-1]
			if len(args) != 1 {
				return withHint(fmt.Errorf("completion takes one SHELL, %d given", len(args)), want)
			}
			switch root := cmd.Root(); args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.out, true)
			case "zsh":
				return root.GenZshCompletion(a.out)
			case "fish":
				return root.GenFishCompletion(a.out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.out)
			}
			return withHint(fmt.Errorf("there is no completion for %q", args[0]), want)
		},
	}
}

// completeFlags tells every command what the values of its flags may be: of
// flags with a list of words in their usage, such as text|json, these words;
// of flags that take rules, their ids.
func completeFlags(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if complete := flagCompletion(f); complete != nil {
			// The only error is that the flag has a completion already.
			_ = cmd.RegisterFlagCompletionFunc(f.Name, complete)
		}
	})
	for _, sub := range cmd.Commands() {
		completeFlags(sub)
	}
}

func flagCompletion(f *pflag.Flag) cobra.CompletionFunc {
	value, _ := pflag.UnquoteUsage(f)
	switch {
	case strings.HasPrefix(value, "RULE"):
		return completeRuleList
	case value == "DIR":
		return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		}
	case f.Name == "format" && !strings.Contains(value, "|"):
		return words(report.Formats())
	case strings.Contains(value, "|"):
		return words(strings.Split(value, "|"))
	}
	return nil
}

// words completes one of a few words; those in capitals stand for something
// else and are left out.
func words(list []string) cobra.CompletionFunc {
	list = slices.DeleteFunc(slices.Clone(list), func(w string) bool { return w == strings.ToUpper(w) })
	return cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp)
}

// completeRules completes rule ids that stand as arguments.
func completeRules(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return ruleCompletions("", typed), cobra.ShellCompDirectiveNoFileComp
}

// completeRuleList completes the last of a list of rule ids with commas
// between them.
func completeRuleList(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	done := typed[:strings.LastIndexByte(typed, ',')+1]
	return ruleCompletions(done, typed[len(done):]), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

func ruleCompletions(before, typed string) []cobra.Completion {
	var list []cobra.Completion
	for _, r := range allRules() {
		if strings.HasPrefix(r.ID, strings.ToUpper(typed)) {
			list = append(list, cobra.CompletionWithDesc(before+r.ID, r.Title))
		}
	}
	return list
}
