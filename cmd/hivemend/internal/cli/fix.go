package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hivemend/analyze"
	"hivemend/analyze/rdp"
	"hivemend/cmd/hivemend/internal/report"
	"hivemend/hive"
	"hivemend/patch"
)

// fixOptions are the flags of fix.
type fixOptions struct {
	judgeOptions
	chooseOptions
	profile         string
	output          string
	editTime        string
	generations     []string
	dryRun          bool
	requireComplete bool
	force           bool
	wipe            bool
	anyMachine      bool
	era             string
}

func (a *app) fixCommand() *cobra.Command {
	opt := &fixOptions{}
	cmd := &cobra.Command{
		Use:   "fix PATH... -o DIR",
		Short: "Write a package that repairs each machine found in PATH, and takes it back",
		Long: `Write a fix package for each machine found in PATH: the plan, a diff, .reg files
for the running machine and for mounted hives, patched copies of the hives, the
way back, and a runbook. PATH itself is only read. One machine's package is DIR
itself; several machines get a folder each below it.

Only what a finding proves is edited. What needs a person's decision is named,
and is edited only when a flag asks for it.

Exit code 0: written, or nothing to do. 1: with --dry-run, something to do; with
--require-complete, something is left. 2: something could not be done.`,
		Example: `  hivemend fix evidence/ -o package/
  hivemend fix SYSTEM SOFTWARE -o package/ --restore
  hivemend fix evidence/ --dry-run`,
		Args: func(cmd *cobra.Command, args []string) error {
			if opt.anyMachine {
				return nil
			}
			return needsPaths(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.runFix(cmd.Context(), opt, args) },
	}
	f := cmd.Flags()
	opt.judgeOptions.addFlags(f)
	f.StringVarP(&opt.output, "output", "o", "", "the `DIR` to write the package into")
	f.BoolVarP(&opt.dryRun, "dry-run", "n", false, "print what would change, write nothing")
	f.StringVar(&opt.profile, "profile", profileTargeted, "`targeted|article`: what a finding proves, or the whole procedure of Microsoft's article whatever was found")
	f.BoolVar(&opt.anyMachine, "any-machine", false, "with --profile article and --era: a package for machines that were not seen, without PATH")
	f.StringVar(&opt.era, "era", "", "with --any-machine: `2003|2008`, the article of Windows 2000 to 2003 or of 2008 and later")
	f.StringSliceVar(&opt.include, "include", nil, "repair also what these `RULE,...` find")
	f.StringVar(&opt.encryption, "encryption-level", "", "set the encryption level where it may be the cause: `low|client-compatible`")
	f.BoolVar(&opt.restore, "restore", false, "put a proven original byte back instead of deleting the value")
	f.StringSliceVar(&opt.generations, "generation", nil, "repair these generations too, such as `regback,windows.old`")
	f.StringVar(&opt.editTime, "edit-time", "", "last-write `TIME` of changed keys in patched hives (default the moment of judging)")
	f.BoolVar(&opt.requireComplete, "require-complete", false, "exit 1 while a finding at or above --fail-on is left unrepaired")
	f.BoolVar(&opt.force, "force", false, "edit hives that would be refused")
	f.BoolVar(&opt.wipe, "wipe", false, "zero what is freed in patched hives (destroys remnants that may be evidence)")
	return cmd
}

// The profiles of fix.
const (
	profileTargeted = "targeted"
	profileArticle  = "article"
)

func (a *app) runFix(ctx context.Context, opt *fixOptions, paths []string) error {
	if opt.output == "" && !opt.dryRun {
		return withHint(fmt.Errorf("fix needs -o DIR to write the package into"), "or --dry-run to see what it would do")
	}
	if opt.profile != profileTargeted && opt.profile != profileArticle {
		return fmt.Errorf("--profile %s: want %s or %s", opt.profile, profileTargeted, profileArticle)
	}
	if err := opt.chooseOptions.check(); err != nil {
		return err
	}
	if opt.anyMachine {
		return a.runFixAny(opt, paths)
	}
	if opt.era != "" {
		return fmt.Errorf("--era is for --any-machine: of a machine that was read it is known")
	}
	judged, err := a.judge(&opt.judgeOptions, paths, true)
	if err != nil {
		return err
	}
	if len(judged.report.Machines) == 0 {
		return judged.nothingRead(a)
	}
	repairs, err := a.repairs(opt, judged)
	if err != nil {
		return err
	}
	for _, r := range repairs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.prepare(a, opt); err != nil {
			return fmt.Errorf("%s: %w", r.result.ID, err)
		}
	}
	if err := a.printRepairs(opt, judged, repairs); err != nil {
		return err
	}
	if !opt.dryRun {
		for _, r := range repairs {
			if err := r.write(a); err != nil {
				return err
			}
		}
	}
	return a.fixOutcome(opt, judged, repairs)
}

// repair is the repair of one machine.
type repair struct {
	machine *hive.Machine
	result  analyze.Result
	options analyze.Options
	chosen  chosen
	dir     string // "" where nothing is to be written
	plan    *patch.Plan
	applied *patch.Result
	pkg     *patch.Package // nil where there is nothing to do
}

// repairs chooses the machines to repair and the folder of each.
func (a *app) repairs(opt *fixOptions, j *judged) ([]*repair, error) {
	var repairs []*repair
	for i, m := range j.machines {
		if !wantsGeneration(m.Generation, opt.generations) {
			a.say("%s: %s is left alone; --generation %s repairs it too", j.report.Machines[i].ID, m.Generation, m.Generation)
			continue
		}
		repairs = append(repairs, &repair{machine: m, result: j.report.Machines[i], options: j.options})
	}
	for _, r := range repairs {
		if opt.output == "" {
			continue
		}
		if r.dir = opt.output; len(repairs) > 1 {
			r.dir = filepath.Join(opt.output, r.result.ID)
		}
	}
	return repairs, nil
}

func wantsGeneration(g hive.Generation, also []string) bool {
	return g == hive.Live || g == hive.Unknown || slices.Contains(also, string(g))
}

// prepare makes the plan, applies it in memory, and gathers the package.
func (r *repair) prepare(a *app, opt *fixOptions) error {
	r.options.SecondReading = newSecondReader().read
	if err := r.keepMoment(opt); err != nil {
		return err
	}
	r.chosen = choose(r.result.Findings, opt.chooseOptions)
	if opt.profile == profileArticle {
		r.chosen.edits = append(r.chosen.edits, rdp.Article(r.machine, r.options)...)
	}
	if !r.anythingToDo() {
		return nil
	}
	if len(r.chosen.edits) == 0 {
		r.pkg = patch.BarePackage()
		return r.addReports(opt, nil)
	}
	if err := r.makePlan(opt); err != nil {
		return err
	}
	var err error
	r.applied, err = patch.Apply(r.plan, r.machine.Inputs, patch.ApplyOptions{
		Force: opt.force, Wipe: opt.wipe, MinSequence: logSequence,
		Rescan: rescan(r.machine, r.result, r.chosen.repaired, r.options),
	})
	if err != nil {
		return err
	}
	for _, w := range r.applied.Warnings {
		a.say("%s", w)
	}
	if r.pkg, err = patch.NewPackage(r.plan, r.applied); err != nil {
		return err
	}
	return r.addReports(opt, r.applied.Diff())
}

// logSequence is the number that a patched hive has to be numbered above.
func logSequence(in *hive.Input) uint32 { return in.LogSequence }

// keepMoment makes a run that repeats an earlier one give the same package:
// where no moment is asked for and the folder holds a package, that package's
// moment is taken if judging then and judging now say the same.
func (r *repair) keepMoment(opt *fixOptions) error {
	if opt.asOf != "" || r.dir == "" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(r.dir, "report.json"))
	if err != nil {
		return nil // no package, or none that was finished; writing will say so
	}
	var old report.Report
	if err := json.Unmarshal(text, &old); err != nil || len(old.Machines) != 1 || old.Machines[0].AsOfSource != "now" {
		return nil
	}
	then := r.options
	then.AsOf = old.Machines[0].AsOf
	again := judgeMachine(r.machine, then)
	if sameFindings(again.Findings, r.result.Findings) {
		r.result, r.options = again, then
	}
	return nil
}

func sameFindings(a, b []analyze.Finding) bool {
	return slices.EqualFunc(a, b, func(x, y analyze.Finding) bool {
		return x.Fingerprint == y.Fingerprint && x.Severity == y.Severity
	})
}

// anythingToDo reports whether there is an edit to make or a step for a person
// at warning or above: a healthy machine gets no package.
func (r *repair) anythingToDo() bool {
	if len(r.chosen.edits) > 0 {
		return true
	}
	return slices.ContainsFunc(r.result.Findings, func(f analyze.Finding) bool {
		return f.Severity >= analyze.Warning && len(f.ManualSteps) > 0
	})
}

func (r *repair) makePlan(opt *fixOptions) error {
	po := patch.PlanOptions{
		Tool: patch.Tool{Name: "hivemend", Version: version}, AsOf: r.result.AsOf, EditTime: r.result.AsOf, FillExpect: true,
	}
	if opt.editTime != "" {
		at, err := parseMoment(opt.editTime)
		if err != nil {
			return fmt.Errorf("--edit-time: %w", err)
		}
		po.EditTime = hive.FileTimeOf(at)
	}
	var err error
	r.plan, err = patch.NewPlan(r.chosen.edits, r.machine, po)
	return err
}

// addReports puts the runbook and the reports into the package.
func (r *repair) addReports(opt *fixOptions, diff []byte) error {
	one := report.New(report.Tool{Name: "hivemend", Version: version}, []analyze.Result{r.result}, nil)
	book := report.Runbook{Result: r.result, Diff: string(diff), Left: r.leftUnrepaired(analyze.Warning), Offered: r.chosen.offered}
	if r.plan != nil {
		for _, e := range r.plan.Edits {
			book.Edits = append(book.Edits, e.Edit)
		}
	}
	if r.applied != nil {
		book.Proved = proofSentences(r.applied)
		book.Hives = patchedHives(r.applied)
		_, book.Scripts = r.pkg.Files[patch.LiveScript]
		book.Article = opt.profile == profileArticle
		r.addCircumstances(&book)
	}
	for _, f := range []struct {
		name   string
		render func(*bytes.Buffer) error
	}{
		{"RUNBOOK.md", func(b *bytes.Buffer) error { return book.Write(b) }},
		{"report.html", func(b *bytes.Buffer) error {
			return report.HTML(b, one, report.HTMLOptions{Diffs: map[string]string{r.result.ID: string(diff)}})
		}},
		{"report.json", func(b *bytes.Buffer) error { return report.JSON(b, one) }},
	} {
		var b bytes.Buffer
		if err := f.render(&b); err != nil {
			return err
		}
		if err := r.pkg.Add(f.name, b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// leftUnrepaired returns the findings at that severity or above which the
// package does not repair.
func (r *repair) leftUnrepaired(from analyze.Severity) []analyze.Finding {
	var left []analyze.Finding
	for _, f := range r.chosen.left {
		if f.Severity >= from {
			left = append(left, f)
		}
	}
	return left
}

// patchedHives returns the hives in the package with the inputs they are of.
func patchedHives(res *patch.Result) map[string]string {
	hives := map[string]string{}
	for _, p := range res.Inputs {
		if p.Changed && p.Input.Kind == hive.Regf {
			hives[string(p.Input.Hive)] = p.Input.Path
		}
	}
	return hives
}

// proofSentences says for people what was proved of each patched hive.
func proofSentences(res *patch.Result) []string {
	var out []string
	for _, p := range res.Inputs {
		if !p.Changed || p.Input.Kind != hive.Regf {
			continue
		}
		proof := p.Proof
		said := []string{fmt.Sprintf("%s: %s, %s changed in %s", p.Input.Hive, count(proof.Edits, "edit"), count(int(proof.Changed), "byte"), count(proof.Ranges, "place"))}
		for _, s := range []struct {
			holds bool
			text  string
		}{
			{proof.PlannedTree, "read back, it holds exactly the planned tree"},
			{proof.SecondReader, "a second, independent reader sees the same"},
			{proof.NoNewDefect, "its structure has no defect that it had not before"},
			{proof.Rescanned, "scanned again, nothing that was repaired is left and nothing is new"},
			{proof.UndoExact, "undone on a copy, it is the original byte for byte"},
		} {
			if s.holds {
				said = append(said, s.text)
			}
		}
		said = append(said, proof.Notes...)
		out = append(out, strings.Join(said, "; ")+".")
	}
	return out
}

// count returns n with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// printRepairs shows the findings and what is changed. The diff is shortened
// where the package will hold the whole of it.
func (a *app) printRepairs(opt *fixOptions, j *judged, repairs []*repair) error {
	shown := *j.report
	shown.Machines = nil
	for _, r := range repairs {
		shown.Machines = append(shown.Machines, r.result)
	}
	if err := report.Text(a.out, &shown, report.TextOptions{}); err != nil {
		return err
	}
	for _, r := range repairs {
		fmt.Fprintln(a.out)
		if r.pkg == nil {
			fmt.Fprintf(a.out, "nothing to fix on %s\n", r.result.ID)
			continue
		}
		if r.applied == nil {
			fmt.Fprintf(a.out, "nothing to edit on %s; what is to be done by hand is in the runbook\n", r.result.ID)
			continue
		}
		fmt.Fprintf(a.out, "%s on %s:\n", count(len(r.plan.Edits), "edit"), r.result.ID)
		for _, e := range r.plan.Edits {
			fmt.Fprintf(a.out, "  %s\n", e.Edit)
		}
		fmt.Fprintln(a.out)
		diff := string(r.applied.Diff())
		if !opt.dryRun {
			diff = report.ShortDiff(diff)
		}
		if _, err := io.WriteString(a.out, diff); err != nil {
			return err
		}
		fmt.Fprintln(a.out)
		for _, s := range proofSentences(r.applied) {
			fmt.Fprintf(a.out, "proved of %s\n", s)
		}
	}
	return nil
}

// write releases the package of one machine.
func (r *repair) write(a *app) error {
	if r.pkg == nil {
		return nil
	}
	for _, path := range inputFiles([]*hive.Machine{r.machine}) {
		if insideFolder(path, r.dir) {
			return fmt.Errorf("%s: the output folder holds the input %s", r.dir, path)
		}
	}
	if err := os.MkdirAll(filepath.Dir(r.dir), 0o700); err != nil {
		return err
	}
	written, err := r.pkg.Write(r.dir)
	if err != nil {
		return err
	}
	for _, offer := range r.chosen.offered {
		fmt.Fprintf(a.out, "not repaired: %s\n", offer)
	}
	a.sayWritten(written, r.dir)
	return nil
}

// sayWritten says where a package is and what to do next.
func (a *app) sayWritten(written patch.Written, dir string) {
	if written == patch.AlreadyThere {
		fmt.Fprintf(a.out, "the package is already there, unchanged: %s\n", dir)
	} else {
		fmt.Fprintf(a.out, "package written: %s\n", dir)
	}
	fmt.Fprintf(a.out, "next: read %s\n", filepath.ToSlash(filepath.Join(dir, "RUNBOOK.md")))
}

func (a *app) fixOutcome(opt *fixOptions, j *judged, repairs []*repair) error {
	if len(j.failures) > 0 {
		j.sayFailures(a)
		return &codeError{code: exitTrouble}
	}
	for _, r := range repairs {
		if opt.dryRun && len(r.chosen.edits) > 0 {
			return findings
		}
		if opt.requireComplete && !j.never && len(r.leftUnrepaired(j.failOn)) > 0 {
			return findings
		}
	}
	return nil
}
