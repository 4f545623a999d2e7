package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"hivemend/analyze"
	"hivemend/analyze/fleet"
	"hivemend/cmd/hivemend/internal/report"
	"hivemend/hive/source"
)

type auditOptions struct {
	judgeOptions
	format      string
	output      string
	minSeverity string
	jobs        int
	resume      string
	shard       string
	baseline    string
	temp        string
	expand      bool
	redact      bool
	newFound    bool // a finding that counts is not in the baseline
}

func (o *auditOptions) addReportFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.format, "format", "text", "`text|jsonl|json|csv|sarif|junit|html`")
	f.StringVarP(&o.output, "output", "o", "", "write the report to this `FILE` instead of the terminal")
	f.StringVar(&o.minSeverity, "min-severity", "warning", "what text output lists: `error|warning|note`")
	f.StringVar(&o.baseline, "baseline", "", "an earlier audit as `OLD.jsonl`: say what is new and gone, exit 1 only for what is new")
	f.BoolVar(&o.expand, "expand", false, "list machines with the same findings one by one")
	f.BoolVar(&o.redact, "redact", false, "no names of machines, people or companies, and no paths, in the report")
}

func (a *app) auditCommand() *cobra.Command {
	opt := &auditOptions{}
	cmd := &cobra.Command{
		Use:   "audit PATH...",
		Short: "Judge very many machines, a row each",
		Long: `Judge every machine found in PATH, a whole backup archive at once: a row for
each machine, and what only shows across machines, such as clones of one image.
A machine that cannot be read never stops the rest.

Exit code 0: nothing found. 1: findings (with --baseline, new ones). 2: some
input could not be read; the report holds the others.`,
		Example: `  hivemend audit backups/ --format jsonl -o audit.jsonl
  hivemend audit backups/ -j 8 --resume audit.state --format html -o audit.html
  hivemend audit backups/ --shard 3/16 --format jsonl -o shard-03.jsonl`,
		Args: needsPaths,
		RunE: func(cmd *cobra.Command, args []string) error { return a.runAudit(cmd.Context(), opt, args) },
	}
	opt.judgeOptions.addFlags(cmd.Flags())
	opt.addReportFlags(cmd)
	f := cmd.Flags()
	f.IntVarP(&opt.jobs, "jobs", "j", runtime.NumCPU(), "how many machines to judge at a time")
	f.StringVar(&opt.resume, "resume", "", "keep what is done in this `STATE` file, and go on from it after an interruption")
	f.StringVar(&opt.shard, "shard", "", "judge only part `I/N` of what is found, I counted from 1; done when the file of -o stands")
	f.StringVar(&opt.temp, "temp", "", "folder for temporary files")
	cmd.AddCommand(a.auditMergeCommand())
	return cmd
}

// unit is what one group of files gave: as a rule one machine.
type unit struct {
	Label    string           `json:"label"`
	Place    int              `json:"place"` // among everything that was found, from 0
	Machines []analyze.Result `json:"machines"`
	Personal [][]string       `json:"personal,omitempty"` // of each machine, for --redact
	Failures []report.Failure `json:"failures,omitempty"`
}

func (a *app) runAudit(ctx context.Context, opt *auditOptions, paths []string) error {
	if err := opt.check(); err != nil {
		return err
	}
	shard, err := parseShard(opt.shard)
	if err != nil {
		return err
	}
	if shard.of > 0 && opt.output != "" {
		if _, err := os.Stat(opt.output); err == nil {
			a.say("%s stands already: this shard is done", opt.output)
			return nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	state, err := openAuditState(opt, paths)
	if err != nil {
		return err
	}
	defer state.close()
	options, err := opt.analyzeOptions(a.now())
	if err != nil {
		return err
	}
	state.keepMoment(&options)
	search, err := source.Find(paths, source.Options{NoReplay: opt.noReplay, CodePage: opt.codepage, Stdin: a.in, Temp: opt.temp})
	if err != nil {
		return err
	}
	defer search.Close()
	run := &auditRun{app: a, options: options, state: state, shard: shard, jobs: max(opt.jobs, 1)}
	units, err := run.judge(ctx, search)
	if err != nil {
		if opt.resume != "" {
			return withHint(err, "run the same command again to go on from "+opt.resume)
		}
		return err
	}
	return a.finishAudit(opt, units, options, paths)
}

func (o *auditOptions) check() error {
	if _, err := analyze.ParseSeverity(o.minSeverity); err != nil {
		return fmt.Errorf("--min-severity: %w", err)
	}
	if o.failOn != "never" {
		if _, err := analyze.ParseSeverity(o.failOn); err != nil {
			return fmt.Errorf("--fail-on: %w, or never", err)
		}
	}
	return report.CheckFormat(o.format)
}

// part is which units a shard judges; of is 0 for all.
type part struct{ index, of int }

func parseShard(text string) (part, error) {
	if text == "" {
		return part{}, nil
	}
	i, n, ok := strings.Cut(text, "/")
	index, err1 := strconv.Atoi(i)
	of, err2 := strconv.Atoi(n)
	if !ok || err1 != nil || err2 != nil || index < 1 || of < 1 || index > of {
		return part{}, fmt.Errorf("--shard %q: want I/N with I from 1 to N", text)
	}
	return part{index, of}, nil
}

// has reports whether the shard judges the unit found at that place.
func (p part) has(place int) bool { return p.of == 0 || place%p.of == p.index-1 }

// auditRun judges what a search finds with several workers.
type auditRun struct {
	app     *app
	options analyze.Options
	state   *auditState
	shard   part
	jobs    int
}

// judge returns the units in the order in which they were found, whatever the
// number of workers.
func (r *auditRun) judge(ctx context.Context, search *source.Search) ([]unit, error) {
	type job struct {
		place int
		group *source.Group
	}
	jobs := make(chan job)
	var mu sync.Mutex
	done := map[int]unit{}
	var failed error
	var workers sync.WaitGroup
	for range r.jobs {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for j := range jobs {
				u := r.unit(j.group)
				mu.Lock()
				done[j.place] = u
				if err := r.state.keep(u); err != nil && failed == nil {
					failed = err
				}
				mu.Unlock()
			}
		}()
	}
	place := 0
	for group := range search.Groups() {
		mu.Lock()
		stop := failed != nil
		mu.Unlock()
		if ctx.Err() != nil || stop {
			break
		}
		here := place
		place++
		if !r.shard.has(here) {
			continue
		}
		if u, ok := r.state.done(group.Label); ok {
			mu.Lock()
			done[here] = u
			mu.Unlock()
			continue
		}
		jobs <- job{here, group}
	}
	close(jobs)
	workers.Wait()
	if err := errors.Join(ctx.Err(), failed); err != nil {
		return nil, err
	}
	units := make([]unit, 0, len(done))
	for i := range place {
		if u, ok := done[i]; ok {
			u.Place = i
			units = append(units, u)
		}
	}
	return units, nil
}

// unit loads and judges one group. Only what the report needs is kept: the
// hives themselves are let go.
func (r *auditRun) unit(group *source.Group) unit {
	loaded := group.Load()
	u := unit{Label: group.Label}
	for _, f := range loaded.Failures {
		u.Failures = append(u.Failures, report.Failure{Path: f.Path, Error: failure(f).Error()})
	}
	for _, m := range loaded.Machines {
		res := judgeMachine(m, r.options)
		res.Machine = nil
		u.Machines = append(u.Machines, res)
		u.Personal = append(u.Personal, res.Personal)
	}
	return u
}

// finishAudit looks across the machines and writes the report.
func (a *app) finishAudit(opt *auditOptions, units []unit, options analyze.Options, inputs []string) error {
	audit, err := gather(opt, units)
	if err != nil {
		return err
	}
	if len(audit.Machines) == 0 {
		for _, e := range audit.Errors {
			a.say("%s", e.Error)
		}
		if len(audit.Errors) == 0 {
			a.say("no machine was found in this part")
		}
		if opt.shard == "" || len(audit.Errors) > 0 {
			return &codeError{code: exitTrouble}
		}
	}
	if opt.redact {
		audit = report.RedactAudit(audit)
	}
	var out bytes.Buffer
	if err := opt.render(&out, audit, options, opt.output == "" && colours(a.out, a.noColour)); err != nil {
		return err
	}
	if err := a.writeResult(opt.output, out.Bytes(), inputs); err != nil {
		return err
	}
	return a.auditOutcome(opt, audit)
}

func (o *auditOptions) render(out *bytes.Buffer, audit *report.Audit, options analyze.Options, colour bool) error {
	from, _ := analyze.ParseSeverity(o.minSeverity) // checked before
	switch o.format {
	case "text":
		return report.AuditText(out, audit, from, o.expand, colour)
	case "jsonl":
		return report.AuditLines(out, audit)
	case "html":
		return report.AuditHTML(out, audit, from)
	}
	failOn, _ := analyze.ParseSeverity(o.failOn)
	return report.Render(out, o.format, audit.Report, report.Options{
		FailOn: failOn, NeverFail: o.failOn == "never", Rules: append(chosenRules(options), fleet.Rules...),
		Text: report.TextOptions{MinSeverity: from, Colour: colour},
	})
}

// gather joins the units, adds what only shows across machines, and compares
// with the baseline.
func gather(opt *auditOptions, units []unit) (*report.Audit, error) {
	audit := &report.Audit{}
	var results []analyze.Result
	var failures []report.Failure
	all := fleet.New()
	slices.SortStableFunc(units, func(x, y unit) int { return cmp.Compare(x.Place, y.Place) })
	for _, u := range units {
		for i, m := range u.Machines {
			if i < len(u.Personal) {
				m.Personal = u.Personal[i]
			}
			m.Findings = slices.DeleteFunc(slices.Clone(m.Findings), func(f analyze.Finding) bool { return f.Rule == fleet.Clone.ID })
			all.Add(m)
			results = append(results, m)
			audit.Paths = append(audit.Paths, u.Label)
			audit.Places = append(audit.Places, u.Place)
		}
		for _, f := range u.Failures {
			failures = append(failures, f)
			audit.FailurePlaces = append(audit.FailurePlaces, u.Place)
		}
	}
	if wanted(opt, fleet.Clone.ID) {
		for i := range results {
			results[i].Findings = append(results[i].Findings, all.Findings(i)...)
		}
	}
	audit.Summary = all.Summary()
	audit.Report = report.New(report.Tool{Name: "hivemend", Version: version}, results, failures)
	if opt.baseline == "" {
		return audit, nil
	}
	old, err := readAuditFile(opt.baseline)
	if err != nil {
		return nil, fmt.Errorf("--baseline: %w", err)
	}
	base := fleet.NewBaseline()
	for _, u := range old {
		for _, m := range u.Machines {
			base.Add(m)
		}
	}
	audit.Baseline = &report.Changes{New: make([]int, len(results)), Gone: []fleet.Gone{}}
	for i := range results {
		added, unchanged := base.Compare(results[i])
		audit.Baseline.New[i] = len(added)
		audit.Baseline.Unchanged += unchanged
		for _, f := range added {
			opt.newFound = opt.newFound || reaches(f, opt.failOn)
		}
	}
	audit.Baseline.Gone = append(audit.Baseline.Gone, base.Gone()...)
	return audit, nil
}

// reaches reports whether f is at that severity or above; "never" is above all.
func reaches(f analyze.Finding, from string) bool {
	s, err := analyze.ParseSeverity(from)
	return err == nil && f.Severity >= s
}

// wanted reports whether --only and --exclude leave that rule in.
func wanted(opt *auditOptions, id string) bool {
	same := func(name string) bool { return strings.EqualFold(strings.TrimSpace(name), id) }
	return !slices.ContainsFunc(opt.exclude, same) && (len(opt.only) == 0 || slices.ContainsFunc(opt.only, same))
}

// auditOutcome is the exit code of an audit that has written its report.
func (a *app) auditOutcome(opt *auditOptions, audit *report.Audit) error {
	if len(audit.Errors) > 0 {
		if opt.format != "text" || opt.output != "" {
			for _, e := range audit.Errors {
				a.say("%s", e.Error)
			}
		}
		return &codeError{code: exitTrouble}
	}
	switch {
	case opt.failOn == "never":
		return nil
	case opt.baseline != "":
		if opt.newFound {
			return findings
		}
		return nil
	}
	from, _ := analyze.ParseSeverity(opt.failOn) // checked before
	if audit.Reaches(from) {
		return findings
	}
	return nil
}
