package cli

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hivemend/analyze"
	"hivemend/analyze/rdp"
	"hivemend/cmd/hivemend/internal/report"
	"hivemend/hive"
	"hivemend/hive/source"
)

// judgeOptions are the flags of every command that judges machines.
type judgeOptions struct {
	asOf           string
	allControlSets bool
	only, exclude  []string
	failOn         string
	noReplay       bool
	codepage       int
}

func (o *judgeOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.asOf, "as-of", "", "judge what is stale at this moment (RFC 3339 or a date), or at each machine's own last life with `TIME|hive` (default now)")
	f.BoolVar(&o.allControlSets, "all-control-sets", false, "judge every control set, not only the current one")
	f.StringSliceVar(&o.only, "only", nil, "only these `RULE,...`")
	f.StringSliceVar(&o.exclude, "exclude", nil, "all rules but these `RULE,...`")
	f.StringVar(&o.failOn, "fail-on", "warning", "exit 1 for findings at this severity or above: `error|warning|note|never`")
	f.BoolVar(&o.noReplay, "no-replay", false, "read dirty hives as they lie, without their transaction logs")
	f.IntVar(&o.codepage, "codepage", 0, "code page of 8-bit .reg files, such as 1252 or 932")
}

// scanOptions are the flags of scan.
type scanOptions struct {
	judgeOptions
	format      string
	output      string
	minSeverity string
	redact      bool
}

func (a *app) scanOptions() *scanOptions { return &scanOptions{} }

func (o *scanOptions) addFlags(f *pflag.FlagSet) {
	o.judgeOptions.addFlags(f)
	f.StringVar(&o.format, "format", "text", "`"+strings.Join(report.Formats(), "|")+"`")
	f.StringVarP(&o.output, "output", "o", "", "write the report to this `FILE` instead of the terminal")
	f.BoolVar(&o.redact, "redact", false, "no names of machines, people or companies, and no paths, in the report")
	f.StringVar(&o.minSeverity, "min-severity", "note", "what text output lists: `error|warning|note`")
}

func (a *app) scanCommand() *cobra.Command {
	opt := a.scanOptions()
	cmd := &cobra.Command{
		Use:   "scan PATH...",
		Short: "Say what is wrong on each machine found in PATH",
		Long: `Say what is wrong on each machine found in PATH: hives, .reg exports, and
folders that hold them. Inputs are told by their content, never by their names,
and are only read. With "-" a hive or .reg text is read from standard input.

Exit code 0: nothing found. 1: findings. 2: something could not be read.`,
		Example: `  hivemend scan evidence/
  hivemend scan SYSTEM SOFTWARE --as-of hive
  hivemend scan export.reg --format json -o report.json`,
		Args: needsPaths,
		RunE: func(cmd *cobra.Command, args []string) error { return a.runScan(cmd.Context(), opt, args) },
	}
	opt.addFlags(cmd.Flags())
	return cmd
}

// needsPaths demands at least one path, in words that say what a path may be.
func needsPaths(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return withHint(fmt.Errorf("no PATH is given"), "give a hive, a .reg file, or a folder that holds them")
	}
	return nil
}

func (a *app) runScan(_ context.Context, opt *scanOptions, paths []string) error {
	minSeverity, err := analyze.ParseSeverity(opt.minSeverity)
	if err != nil {
		return fmt.Errorf("--min-severity: %w", err)
	}
	if err := report.CheckFormat(opt.format); err != nil {
		return err
	}
	judged, err := a.judge(&opt.judgeOptions, paths, false)
	if err != nil {
		return err
	}
	if len(judged.report.Machines) == 0 {
		return judged.nothingRead(a)
	}
	ropt := judged.reportOptions()
	ropt.Text = report.TextOptions{MinSeverity: minSeverity, Colour: opt.output == "" && colours(a.out, a.noColour)}
	if judged.fixable() {
		ropt.Text.Next = "hivemend fix " + quotePaths(paths) + " -o fix/"
	}
	shown := judged.report
	if opt.redact {
		shown = report.Redact(shown)
		ropt.Text.Next = ""
	}
	var out bytes.Buffer
	if err := report.Render(&out, opt.format, shown, ropt); err != nil {
		return err
	}
	if err := a.writeResult(opt.output, out.Bytes(), append(inputFiles(judged.machines), paths...)); err != nil {
		return err
	}
	return judged.outcome(a)
}

// judged is what judging some paths gave.
type judged struct {
	machines []*hive.Machine
	options  analyze.Options // what every machine was judged with
	report   *report.Report
	failures []source.Failure
	failOn   analyze.Severity
	never    bool // --fail-on never
}

// judge opens paths and lets the rules look at every machine in them. toEdit is
// set where hives are going to be edited.
func (a *app) judge(opt *judgeOptions, paths []string, toEdit bool) (*judged, error) {
	j := &judged{never: opt.failOn == "never"}
	var err error
	if !j.never {
		if j.failOn, err = analyze.ParseSeverity(opt.failOn); err != nil {
			return nil, fmt.Errorf("--fail-on: %w, or never", err)
		}
	}
	analyzeOpt, err := opt.analyzeOptions(a.now())
	if err != nil {
		return nil, err
	}
	opened, err := source.Open(paths, source.Options{NoReplay: opt.noReplay, CodePage: opt.codepage, Stdin: a.in, LogSequence: toEdit})
	if err != nil {
		return nil, err
	}
	j.machines, j.failures, j.options = opened.Machines, opened.Failures, analyzeOpt
	results := make([]analyze.Result, len(j.machines))
	for i, m := range j.machines {
		results[i] = judgeMachine(m, analyzeOpt)
	}
	var failures []report.Failure
	for _, f := range j.failures {
		failures = append(failures, report.Failure{Path: f.Path, Error: failure(f).Error()})
	}
	j.report = report.New(report.Tool{Name: "hivemend", Version: version}, results, failures)
	return j, nil
}

// analyzeOptions turns the flags into what the rules need.
func (o *judgeOptions) analyzeOptions(now time.Time) (analyze.Options, error) {
	opt := analyze.Options{AsOf: hive.FileTimeOf(now), AsOfSource: "now", AllControlSets: o.allControlSets}
	switch {
	case o.asOf == "hive":
		opt.AsOfHive = true
	case o.asOf != "":
		at, err := parseMoment(o.asOf)
		if err != nil {
			return opt, err
		}
		opt.AsOf, opt.AsOfSource = hive.FileTimeOf(at), "flag"
	}
	var err error
	if opt.Only, err = ruleIDs("--only", o.only); err != nil {
		return opt, err
	}
	opt.Exclude, err = ruleIDs("--exclude", o.exclude)
	return opt, err
}

// parseMoment reads a moment given on the command line; a date alone means its
// first instant in UTC.
func parseMoment(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02"} {
		if at, err := time.Parse(layout, text); err == nil {
			if at.Year() < 1601 {
				break
			}
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("--as-of %q: want a moment such as 2026-11-22T00:00:00Z or 2026-11-22, or hive", text)
}

// ruleIDs checks that every name is a rule and returns them as the rules are
// spelt.
func ruleIDs(flag string, names []string) ([]string, error) {
	var ids []string
	for _, name := range names {
		rule := rdp.Find(strings.ToUpper(strings.TrimSpace(name)))
		if rule == nil {
			return nil, fmt.Errorf("%s: %w", flag, unknownRule(name))
		}
		ids = append(ids, rule.ID)
	}
	return ids, nil
}

// fixable reports whether any finding brings an edit that fix would make
// without being asked for it by name.
func (j *judged) fixable() bool {
	for _, m := range j.report.Machines {
		for _, f := range m.Findings {
			if f.Fix != nil && f.Fix.Default && len(f.Fix.Edits) > 0 {
				return true
			}
		}
	}
	return false
}

// sayFailures names each input that could not be read.
func (j *judged) sayFailures(a *app) {
	for _, f := range j.failures {
		a.say("%v", failure(f))
	}
}

// reportOptions are what reports need to know of how machines were judged.
func (j *judged) reportOptions() report.Options {
	return report.Options{FailOn: j.failOn, NeverFail: j.never, Rules: chosenRules(j.options)}
}

// chosenRules returns the rules that were asked.
func chosenRules(opt analyze.Options) []*analyze.Rule {
	var rules []*analyze.Rule
	for _, r := range rdp.Rules {
		if (len(opt.Only) == 0 || slices.Contains(opt.Only, r.ID)) && !slices.Contains(opt.Exclude, r.ID) {
			rules = append(rules, r)
		}
	}
	return rules
}

// nothingRead is the end of a run that could read nothing: it leaves no output.
func (j *judged) nothingRead(a *app) error {
	j.sayFailures(a)
	return &codeError{code: exitTrouble}
}

// outcome is the end of a run that has written its results.
func (j *judged) outcome(a *app) error {
	if len(j.failures) > 0 {
		j.sayFailures(a)
		return &codeError{code: exitTrouble}
	}
	if !j.never && j.report.Reaches(j.failOn) {
		return findings
	}
	return nil
}

// quotePaths joins paths as they can be typed again.
func quotePaths(paths []string) string {
	quoted := make([]string, len(paths))
	for i, p := range paths {
		if strings.ContainsAny(p, " \t&%!'\"()$;") {
			p = `"` + p + `"`
		}
		quoted[i] = p
	}
	return strings.Join(quoted, " ")
}
