package report

import (
	"io"
	"strings"

	"hivemend/analyze"
	"hivemend/hive"
)

// Runbook is what RUNBOOK.md tells a person who repairs one machine.
type Runbook struct {
	Result analyze.Result
	Edits  []hive.Edit // what the package changes, in order
	Diff   string      // the same as a unified diff, "" where nothing is changed
	Proved []string    // what was proved before the package was released, a sentence each
	// Hives are the patched hives in the package, by file name, with the path
	// of the input each was made from.
	Hives map[string]string
	// Left are findings that the package does not repair.
	Left []analyze.Finding
	// Offered says which flags would repair some of them.
	Offered []string
	// FullShutdown is set where the machine hibernates or starts fast.
	FullShutdown bool
	// LastKnownGood names that control set where it still holds what was
	// found damaged, "" where it does not.
	LastKnownGood string
	// Security is the security of each key that is deleted, in SDDL, by path.
	Security map[string]string
	// Licences is how many licences of the client may be consumed anew.
	Licences int
	// Scripts is set where the package has scripts.
	Scripts bool
	// Article is set where the whole procedure of the article was asked for.
	Article bool
}

// Write renders rb as Markdown.
func (rb *Runbook) Write(w io.Writer) error {
	p := &printer{w: w}
	rb.found(p)
	rb.changes(p)
	rb.proof(p)
	rb.warn(p)
	rb.inOrder(p)
	rb.steps(p)
	rb.putBack(p)
	rb.intoContainer(p)
	rb.goBack(p)
	confirmSteps(p)
	return p.err
}

func (rb *Runbook) found(p *printer) {
	p.line("# Runbook for %s", hive.Printable(rb.Result.Name))
	p.line("")
	p.line("%s. Judged as of %s (%s).", Title(&rb.Result), rb.Result.AsOf, rb.Result.AsOfSource)
	p.line("")
	p.line("Made from these files, which were only read:")
	p.line("")
	for i := range rb.Result.Inputs {
		in := &rb.Result.Inputs[i]
		p.line("- %s, SHA-256 `%s`", InputLine(in), in.SHA256)
	}
	p.line("")
	p.line("## What was found")
	for i := range rb.Result.Findings {
		f := &rb.Result.Findings[i]
		p.line("")
		p.line("- **%s %s**: %s", f.Severity, f.Rule, f.Message)
		if where := Where(f.Location); where != "" {
			p.line("  Where: `%s`.", where)
		}
		if bytes := BytesLine(f); bytes != "" {
			p.line("  Bytes: %s.", bytes)
		}
	}
	p.line("")
}

func (rb *Runbook) changes(p *printer) {
	p.line("## What the package changes")
	p.line("")
	if len(rb.Edits) == 0 {
		p.line("Nothing in the registry: what is to be done has to be done by hand (below).")
		p.line("")
		return
	}
	for _, e := range rb.Edits {
		line := "- " + e.String()
		if e.Reason != "" {
			line += ": " + e.Reason
		}
		p.line("%s", line)
	}
	p.line("")
	p.line("```diff")
	p.line("%s", strings.TrimRight(ShortDiff(rb.Diff), "\n"))
	p.line("```")
	p.line("")
}

func (rb *Runbook) proof(p *printer) {
	if len(rb.Proved) == 0 {
		return
	}
	p.line("## What was proved before this package was released")
	p.line("")
	for _, s := range rb.Proved {
		p.line("- %s", s)
	}
	p.line("")
}

// steps lists what a person does by hand: the steps of every finding in its
// order, each said once.
func (rb *Runbook) steps(p *printer) {
	seen := map[string]bool{}
	first := true
	for i := range rb.Result.Findings {
		f := &rb.Result.Findings[i]
		var steps []string
		for _, s := range f.ManualSteps {
			if !seen[s] {
				seen[s] = true
				steps = append(steps, s)
			}
		}
		if len(steps) == 0 {
			continue
		}
		if first {
			p.line("## What must be done by hand, in this order")
			first = false
		}
		p.line("")
		p.line("For %s:", f.Rule)
		p.line("")
		for n, s := range steps {
			p.line("%d. %s", n+1, s)
		}
	}
	if !first {
		p.line("")
	}
	if len(rb.Left) > 0 {
		p.line("## What this package leaves as it is")
		p.line("")
		for i := range rb.Left {
			p.line("- %s %s: %s", rb.Left[i].Severity, rb.Left[i].Rule, rb.Left[i].Message)
		}
		for _, offer := range rb.Offered {
			p.line("- %s.", offer)
		}
		p.line("")
	}
}

func (rb *Runbook) putBack(p *printer) {
	if len(rb.Edits) == 0 {
		return
	}
	p.line("## Putting it back")
	p.line("")
	if rb.Scripts {
		p.line("`apply-live.cmd` does it on the running machine (as an administrator), `apply-offline.cmd` from Windows PE. Both look")
		p.line("first, back up, make the change and prove it; with `/check` they look and change nothing. Windows 2000 has no")
		p.line("`reg.exe` of its own: install its Support Tools, or use `hivemend apply`.")
		p.line("")
	} else {
		p.line("This package has no scripts: they cannot write a name in it. Use `hivemend apply PACKAGE HIVE... -o OUT`, or")
		p.line("`reg import fix.reg` on the running machine, which must still hold what the files above held.")
		p.line("")
	}
	if len(rb.Hives) == 0 {
		return
	}
	p.line("By hand, on a machine that is switched off and was not started since the hives were taken, or in an image:")
	p.line("")
	for _, name := range sortedKeys(rb.Hives) {
		p.line("1. Copy `hives/%s` over the machine's `Windows\\System32\\config\\%s` (it was made from `%s`).", name, name, hive.Printable(rb.Hives[name]))
		p.line("2. Move `%s.LOG`, `%s.LOG1` and `%s.LOG2` beside it to a backup folder; Windows makes new ones.", name, name, name)
	}
	p.line("")
}

func (rb *Runbook) goBack(p *printer) {
	if len(rb.Edits) == 0 {
		return
	}
	p.line("## Going back")
	p.line("")
	p.line("**Only until Windows has made a new certificate, which it does when it next starts**: `undo.reg`, the scripts' `/undo` and")
	p.line("the files in `backup/` hold no longer than that, because an old certificate would meet a new private key. Once a")
	p.line("`Certificate` value with other bytes stands there, leave it; the scripts and `hivemend undo` refuse then.")
	p.line("")
	p.line("- Patched hives: `hivemend undo PACKAGE HIVE -o OUT` gives back the exact bytes from before.")
	if rb.Scripts {
		p.line("- The running machine: `apply-live.cmd /undo`. From Windows PE: `apply-offline.cmd /undo`.")
	}
	p.line("- Without scripts: `reg import undo.reg`, for mounted hives `undo-offline.reg`. They check nothing.")
	if len(rb.Security) > 0 {
		p.line("")
		p.line("No .reg file can restore who may do what with a key. Keys that the package deletes had this security (SDDL):")
		p.line("")
		for _, path := range sortedKeys(rb.Security) {
			p.line("- `%s`: `%s`", hive.Printable(path), rb.Security[path])
		}
	}
	p.line("")
}
