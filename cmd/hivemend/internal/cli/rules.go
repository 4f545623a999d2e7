package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hivemend/analyze"
	"hivemend/analyze/fleet"
	"hivemend/analyze/rdp"
	"hivemend/hive"
)

// ruleJSON is a rule as `rules --format json` lists it.
type ruleJSON struct {
	ID         string           `json:"id"`
	Severity   analyze.Severity `json:"severity"` // the highest that it gives
	Title      string           `json:"title"`
	Needs      []hive.Kind      `json:"needs"` // hives without which it cannot look
	References []string         `json:"references"`
	Explain    string           `json:"explain"`
}

func (a *app) rulesCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "List what is looked for",
		Long: `List every rule: its id, the highest severity that it gives, and what it finds.
"hivemend explain RULE" tells how it is decided and what the fix does.`,
		Example: `  hivemend rules
  hivemend rules --format json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.listRules(format) },
	}
	cmd.Flags().StringVar(&format, "format", "text", "`text|json`")
	return cmd
}

func (a *app) listRules(format string) error {
	switch format {
	case "text":
		return a.printRules()
	case "json":
		list := make([]ruleJSON, len(allRules()))
		for i, r := range allRules() {
			list[i] = ruleJSON{r.ID, r.Severity, r.Title, append([]hive.Kind{}, r.Needs...), append([]string{}, r.References...), r.Explain}
		}
		enc := json.NewEncoder(a.out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(list)
	}
	return fmt.Errorf("--format %s: want text or json", format)
}

func (a *app) printRules() error {
	width := 0
	for _, r := range allRules() {
		width = max(width, len(r.ID))
	}
	for _, r := range allRules() {
		if _, err := fmt.Fprintf(a.out, "%-*s  %-7s  %s\n", width, r.ID, r.Severity, r.Title); err != nil {
			return err
		}
	}
	return nil
}

// allRules are the rules there are, in the order in which reports list them.
func allRules() []*analyze.Rule { return slices.Concat(rdp.Rules, fleet.Rules) }

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain RULE",
		Short: "Explain a rule: what it means, how it is decided, what the fix does",
		Long: `Explain a rule: what it means, how it is decided, what Windows does, what the fix
does, what can go wrong, and the sources. "hivemend rules" lists the rules.`,
		Example:           `  hivemend explain TS-CERT-CORRUPT`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeRules,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return withHint(fmt.Errorf("no RULE is given"), "`hivemend rules` lists them")
			}
			for i, id := range args {
				if err := a.explain(id, i > 0); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// explain prints the page of one rule, with a line between it and the one
// before.
func (a *app) explain(id string, another bool) error {
	rule := findRule(id)
	if rule == nil {
		return unknownRule(id)
	}
	if another {
		fmt.Fprintln(a.out)
	}
	_, err := fmt.Fprintf(a.out, "%s (%s): %s\n\n%s\n", rule.ID, rule.Severity, rule.Title, strings.TrimRight(rule.Explain, "\n"))
	return err
}

func findRule(id string) *analyze.Rule {
	for _, r := range allRules() {
		if hive.EqualFold(r.ID, strings.TrimSpace(id)) {
			return r
		}
	}
	return nil
}

// unknownRule is the error for a rule that does not exist, with those that may
// have been meant.
func unknownRule(id string) error {
	err := fmt.Errorf("there is no rule %q", id)
	like := similarRules(id)
	if len(like) == 0 {
		return withHint(err, "`hivemend rules` lists them")
	}
	return withHint(err, "did you mean "+strings.Join(like, " or ")+"?", "`hivemend rules` lists them all")
}

// maxSuggestions is how many rules a suggestion names.
const maxSuggestions = 3

// similarRules returns the ids that are nearest to a mistyped one: those that
// begin with it or hold it, else those within a third of its length in typing
// mistakes.
func similarRules(id string) []string {
	id = hive.Fold(strings.TrimSpace(id))
	if id == "" {
		return nil
	}
	var part, near []string
	best := len(id)/3 + 1
	for _, r := range allRules() {
		if strings.Contains(r.ID, id) {
			part = append(part, r.ID)
		}
		switch d := typingDistance(id, r.ID, best); {
		case d < best:
			best, near = d, []string{r.ID}
		case d == best && d <= len(id)/3:
			near = append(near, r.ID)
		}
	}
	if len(near) > 0 {
		part = near
	}
	return part[:min(len(part), maxSuggestions)]
}

// typingDistance returns the number of insertions, deletions, replacements and
// swaps of neighbours that turn a into b (optimal string alignment), or limit+1
// where it is greater than that.
func typingDistance(a, b string, limit int) int {
	x, y := []rune(a), []rune(b)
	if len(x)-len(y) > limit || len(y)-len(x) > limit {
		return limit + 1
	}
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(y)], limit+1)
}
