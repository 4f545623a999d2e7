package cli

import (
	"bytes"
	"fmt"

	"hivemend/analyze"
	"hivemend/analyze/rdp"
	"hivemend/cmd/hivemend/internal/report"
	"hivemend/hive"
	"hivemend/patch"
)

// eras are the values of --era: which article a machine that was not seen follows.
var eras = map[string]analyze.Era{"2003": analyze.EraNT5, "2008": analyze.EraNT6}

// runFixAny writes a package for machines that nobody has looked at.
func (a *app) runFixAny(opt *fixOptions, paths []string) error {
	era, ok := eras[opt.era]
	switch {
	case !ok:
		return withHint(fmt.Errorf("--any-machine needs --era 2003 or --era 2008"), "2003 stands for Windows 2000, XP and 2003, 2008 for everything later")
	case opt.profile != profileArticle:
		return fmt.Errorf("--any-machine needs --profile article: without a machine there is no finding to act on")
	case len(paths) > 0:
		return fmt.Errorf("--any-machine takes no PATH: leave it out, or leave %s out", paths[0])
	case len(opt.include) > 0 || opt.restore || opt.encryption != "":
		return fmt.Errorf("--include, --restore and --encryption-level act on findings, and with --any-machine there are none")
	}
	asOf := hive.FileTimeOf(a.now())
	if opt.asOf != "" {
		at, err := parseMoment(opt.asOf)
		if err != nil {
			return fmt.Errorf("--as-of: %w", err)
		}
		asOf = hive.FileTimeOf(at)
	}
	plan, err := patch.NewPlan(rdp.ArticleFor(era), nil, patch.PlanOptions{Tool: patch.Tool{Name: "hivemend", Version: version}, AsOf: asOf, EditTime: asOf})
	if err != nil {
		return err
	}
	pkg, err := patch.NewPackage(plan, nil)
	if err != nil {
		return err
	}
	book := report.AnyRunbook{Era: opt.era, AsOf: asOf}
	for _, e := range plan.Edits {
		book.Edits = append(book.Edits, e.Edit)
		fmt.Fprintf(a.out, "  %s\n", e.Edit)
	}
	if opt.dryRun {
		return findings
	}
	var text bytes.Buffer
	if err := book.Write(&text); err != nil {
		return err
	}
	if err := pkg.Add("RUNBOOK.md", text.Bytes()); err != nil {
		return err
	}
	written, err := pkg.Write(opt.output)
	if err != nil {
		return err
	}
	a.sayWritten(written, opt.output)
	return nil
}
