package report

import (
	"io"

	"hivemend/hive"
)

// AnyRunbook is RUNBOOK.md of a package that was made without looking at a
// machine.
type AnyRunbook struct {
	Era   string // "2003" or "2008"
	AsOf  hive.FileTime
	Edits []hive.Edit
}

// Write renders rb as Markdown.
func (rb *AnyRunbook) Write(w io.Writer) error {
	p := &printer{w: w}
	which := "Windows 2000, XP and 2003"
	if rb.Era == "2008" {
		which = "Windows 2008 and later"
	}
	p.line("# Runbook for any machine (%s)", which)
	p.line("")
	p.line("Made at %s without looking at a machine: nothing was found, and nothing was proved. It follows Microsoft's article", rb.AsOf)
	p.line("whatever the machine holds. Where you can read the machine's hives, make a package from them instead.")
	p.line("")
	p.line("## What the package changes")
	p.line("")
	for _, e := range rb.Edits {
		p.line("- %s", e)
	}
	p.line("")
	p.line("What is not there is left alone. **On a client this deletes its hardware identifier: the licence server sees a new")
	p.line("device and may issue one more licence for each client.** On a server only the values named above go.")
	p.line("")
	p.line("## In this order")
	p.line("")
	articleOrder(p)
	p.line("")
	p.line("Run `apply-live.cmd` as an administrator on the running machine, or `apply-offline.cmd` from Windows PE; with `/check`")
	p.line("they look and change nothing. Both first copy what is there into a new folder `hivemend-...-1` in")
	p.line("`Windows\\System32\\config`, and say its name. For the offline script shut the machine down fully first: `shutdown /s /t 0`.")
	p.line("")
	p.line("## Going back")
	p.line("")
	p.line("`/undo` puts the newest of those backups back, **only until Windows has made a new certificate**, which it does when it")
	p.line("next starts: an old certificate would meet a new private key. It refuses where anything in those keys has changed.")
	p.line("The `undo.reg` of other packages does not exist here: nobody knew what the machine held.")
	p.line("")
	confirmSteps(p)
	return p.err
}

// articleOrder says in which order the article repairs: the client first, and
// the next place only where the last one did not help.
func articleOrder(p *printer) {
	p.line("First pass, in most cases enough: the machine that is damaged, then restart it and connect. Then, where it still fails:")
	p.line("")
	p.line("1. The client: back up and delete `HKLM\\SOFTWARE\\Microsoft\\MSLicensing`, restart, and start the Remote Desktop client")
	p.line("   once as an administrator (users may not write there since Windows Vista).")
	p.line("2. The server: back up and delete the certificate values, and restart the server.")
	p.line("3. The licence server: deactivate it (Automatic or Telephone, not Web), and activate it again by Telephone. Meanwhile")
	p.line("   it issues no new licences; those that were issued stay valid.")
}

func confirmSteps(p *printer) {
	p.line("## How to tell that it worked")
	p.line("")
	p.line("- `apply-live.cmd /check` ends with exit code 0: the change stands. (Once Windows has made a new certificate, it says")
	p.line("  OTHER DATA: that is as it should be.)")
	p.line("- On copies of the hives `hivemend verify PACKAGE HIVE` says the same.")
	p.line("- A Remote Desktop client connects. The System log shows no new event 50 (TermDD), none of 1003, 1004 and 1011")
	p.line("  (TermService), and none of 17, 19 and 28 (TermServLicensing) at that time; nor 1050 to 1053 and 1059")
	p.line("  (RemoteConnectionManager) where TLS is used.")
}
