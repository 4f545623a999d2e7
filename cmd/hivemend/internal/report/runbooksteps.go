package report

import (
	"path"
	"strings"

	"hivemend/hive"
)

// warn says what has to be known before anything is done.
func (rb *Runbook) warn(p *printer) {
	if len(rb.Edits) == 0 || !rb.FullShutdown && rb.LastKnownGood == "" && rb.Licences == 0 && !rb.Article {
		return
	}
	p.line("## Before you begin")
	p.line("")
	if rb.FullShutdown {
		p.line("- **First step: a full shutdown.** This Windows hibernates or starts fast: what is changed in its files while it sleeps")
		p.line("  is overwritten when it wakes. Start it, run `shutdown /s /t 0`, and only then work on its disk. The offline script")
		p.line("  asks for `/full-shutdown-done`.")
	}
	if rb.LastKnownGood != "" {
		p.line("- Last Known Good (`%s`) still holds the damaged value. Do not choose Last Known Good Configuration when Windows", rb.LastKnownGood)
		p.line("  starts: it would bring the damage back. `--all-control-sets` repairs it as well.")
	}
	if rb.Licences > 0 {
		p.line("- The hardware identifier goes, and the licence server will see a new device: up to %s may be consumed anew.", plural(rb.Licences, "licence"))
	}
	if rb.Article {
		p.line("- The whole procedure of the article was asked for, whatever was found. That is right for an image that will be cloned:")
		p.line("  each copy then makes its own certificate and hardware identifier. On a single machine prefer `--profile targeted`.")
	} else {
		p.line("- Should this be an image that will be cloned, use `--profile article` instead: each copy has to make its own")
		p.line("  certificate and hardware identifier, which this package leaves where they are sound.")
	}
	p.line("")
}

// inOrder says where this package stands in the article's procedure.
func (rb *Runbook) inOrder(p *printer) {
	if len(rb.Edits) == 0 {
		return
	}
	p.line("## The order of the whole procedure")
	p.line("")
	articleOrder(p)
	p.line("")
}

// intoContainer says how patched hives get back into what they were read from.
func (rb *Runbook) intoContainer(p *printer) {
	first := true
	for _, name := range sortedKeys(rb.Hives) {
		container, inner, ok := strings.Cut(rb.Hives[name], "::")
		if !ok {
			continue
		}
		if first {
			p.line("## Putting it back into the image")
			p.line("")
			p.line("Work on a copy of the image. The old logs beside the hive go, or Windows could apply them to the new one.")
			first = false
		}
		p.line("")
		p.line("For `%s`:", hive.Printable(rb.Hives[name]))
		p.line("")
		p.line("```")
		for _, line := range containerCommands(container, inner, name) {
			p.line("%s", hive.Printable(line))
		}
		p.line("```")
	}
	if !first {
		p.line("")
	}
}

// containerCommands returns the commands that put one hive back. inner is the
// member's path, for a WIM with the index of the image in front.
func containerCommands(container, inner, name string) []string {
	inner = "/" + strings.TrimLeft(inner, "/")
	logs := []string{".LOG", ".LOG1", ".LOG2"}
	switch strings.ToLower(path.Ext(container)) {
	case ".wim", ".swm", ".esd":
		index, rest, ok := strings.Cut(inner[1:], "/")
		if !ok {
			return nil
		}
		out := []string{"# with wimlib:", `wimlib-imagex update "` + container + `" ` + index + ` --command='add "hives/` + name + `" "/` + rest + `"'`}
		for _, log := range logs {
			out = append(out, `wimlib-imagex update "`+container+`" `+index+` --command='delete --force "/`+rest+log+`"'`)
		}
		windows := strings.ReplaceAll(rest, "/", `\`)
		out = append(out, "rem or with DISM, as an administrator on Windows:", `mkdir C:\mount`,
			`dism /Mount-Image /ImageFile:"`+container+`" /Index:`+index+` /MountDir:C:\mount`,
			`copy /y "hives\`+name+`" "C:\mount\`+windows+`"`)
		for _, log := range logs {
			out = append(out, `del /f /q /a "C:\mount\`+windows+log+`"`)
		}
		return append(out, `dism /Unmount-Image /MountDir:C:\mount /Commit`)
	case ".zip", ".7z", ".tar", ".gz", ".tgz", ".xz", ".zst", ".bz2":
		return []string{"# an archive holds evidence and is left as it is: take hives/" + name, "# to the machine that it was collected from"}
	}
	// A disk: the member's path may begin with the volume's name.
	if i := strings.Index(strings.ToLower(inner), "/windows/"); i > 0 {
		inner = inner[i:]
	} else if i := strings.Index(strings.ToLower(inner), "/winnt/"); i > 0 {
		inner = inner[i:]
	}
	rm := ""
	for _, log := range logs {
		rm += ` : rm-f "` + inner + log + `"`
	}
	out := []string{"# with guestfish, on a disk that no machine has open:",
		`guestfish --rw -a "` + container + `" -i upload "hives/` + name + `" "` + inner + `"` + rm}
	windows := strings.ReplaceAll(inner, "/", `\`)
	out = append(out, "rem or on Windows: attach it (a VHD or VHDX: Mount-DiskImage), with X: as its letter:", `copy /y "hives\`+name+`" "X:`+windows+`"`)
	for _, log := range logs {
		out = append(out, `del /f /q /a "X:`+windows+log+`"`)
	}
	return out
}
