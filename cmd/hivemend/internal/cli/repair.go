package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"hivemend/hive"
	"hivemend/hive/regf"
	"hivemend/hive/witness"
	"hivemend/patch"
)

// repairSchema names the form of repair --format json.
const repairSchema = "hivemend/repair/1"

type repairOptions struct {
	output   string
	format   string
	dryRun   bool
	noReplay bool
	force    bool
}

func (a *app) repairCommand() *cobra.Command {
	opt := &repairOptions{}
	cmd := &cobra.Command{
		Use:   "repair HIVE -o OUT",
		Short: "Rebuild what check finds in a copy of a hive",
		Long: `Repair a damaged hive, in a copy. Where every defect has one right value, only
those fields change. Else everything that can be read is put into a new hive;
then deleted data that could still be recovered from the original is not in it,
so keep the original.

Transaction logs beside the hive are applied first. More is kept than Windows
keeps when it heals a hive: keys in the wrong order are sorted, a broken list
costs none of the keys that it named, data is kept as far as it can be read.
What was mended, changed and lost is listed by name. Before the copy is written
it is read back, checked, and read by a second, independent reader.

Exit code 0: written and verified, or an unchanged copy of a sound hive. 1: with
--dry-run, something to repair. 2: it could not be done, and nothing is written.`,
		Example: `  hivemend repair SYSTEM -n
  hivemend repair SYSTEM -o SYSTEM.repaired --format json > repair.json`,
		Args: needsOneHive,
		RunE: func(_ *cobra.Command, args []string) error { return a.runRepair(opt, args[0]) },
	}
	f := cmd.Flags()
	f.StringVarP(&opt.output, "output", "o", "", "the `FILE` to write")
	f.StringVar(&opt.format, "format", "text", "of the report: `text|json`")
	f.BoolVarP(&opt.dryRun, "dry-run", "n", false, "say what would be done, write nothing")
	f.BoolVar(&opt.noReplay, "no-replay", false, "leave out what is in the transaction logs")
	f.BoolVar(&opt.force, "force", false, "repair hives that would be refused")
	return cmd
}

func (a *app) runRepair(opt *repairOptions, path string) error {
	switch {
	case opt.format != "text" && opt.format != "json":
		return fmt.Errorf("--format %s: want text or json", opt.format)
	case opt.output == "" && !opt.dryRun:
		return withHint(fmt.Errorf("-o OUT says where the result goes, and is missing"), "to see what would be done: hivemend repair "+quotePaths([]string{path})+" -n")
	}
	in, m, err := a.openHive(path, opt.noReplay)
	if err != nil {
		return err
	}
	repaired, err := a.repairInput(in, opt)
	if err != nil {
		return err
	}
	report := repairReport(in, repaired)
	if !opt.dryRun {
		if err := patch.WriteFileAtomic(opt.output, repaired.Data, privatePerm, inputFiles([]*hive.Machine{m})...); err != nil {
			return fmt.Errorf("write %s: %w", opt.output, err)
		}
		report.Written = opt.output
	}
	var out bytes.Buffer
	if err := report.write(&out, opt.format); err != nil {
		return err
	}
	if _, err := a.out.Write(out.Bytes()); err != nil {
		return err
	}
	if opt.dryRun && (repaired.Method != regf.RepairNone || report.replayed()) {
		return findings
	}
	return nil
}

// repairInput repairs a hive and proves the result.
func (a *app) repairInput(in *hive.Input, opt *repairOptions) (*regf.Repaired, error) {
	im, err := regf.Open(in.Data, regf.OpenOptions{File: in.Path, Lenient: true})
	if err != nil {
		return nil, err
	}
	repaired, err := regf.Repair(im, regf.RepairOptions{
		Time: hive.FileTimeOf(a.now()), MinSequence: in.LogSequence, Force: opt.force,
	})
	var refused *regf.RefusedError
	switch {
	case errors.As(err, &refused) && refused.Forceable:
		return nil, withHint(err, "--force does it all the same")
	case err != nil || repaired.Method == regf.RepairNone:
		return repaired, err
	}
	differences, err := witness.Compare(repaired.Data, repaired.Root)
	if err != nil {
		return nil, fmt.Errorf("%s: the second reader cannot read the repaired hive, so it is not written: %w", in.Path, err)
	}
	if len(differences) > 0 {
		return nil, fmt.Errorf("%s: the second reader reads the repaired hive otherwise, so it is not written: %s", in.Path, differences[0])
	}
	return repaired, nil
}

// repairDone is the report in the form that the JSON shows.
type repairDone struct {
	Schema  string            `json:"schema"`
	Path    string            `json:"path"`
	SHA256  string            `json:"sha256"`
	State   hive.State        `json:"state"`
	Replay  *repairReplay     `json:"replay,omitempty"`
	Method  regf.RepairMethod `json:"method"`
	Before  repairCount       `json:"before"`
	After   repairCount       `json:"after"`
	Mended  []defect          `json:"mended"`
	Changed []repairNote      `json:"changed"`
	Lost    []repairNote      `json:"lost"`
	Left    []repairNote      `json:"left"`
	Written string            `json:"written,omitempty"`
	Result  string            `json:"resultSha256"`
}

type repairReplay struct {
	Entries int    `json:"entries"`
	Stopped string `json:"stopped,omitempty"`
}

// repairCount is what of a hive can be reached.
type repairCount struct {
	Keys   int `json:"keys"`
	Values int `json:"values"`
}

type repairNote struct {
	Kind   string  `json:"kind"`
	Key    string  `json:"key,omitempty"`
	Value  *string `json:"value,omitempty"`
	Offset int64   `json:"offset"`
	Length int64   `json:"length,omitempty"`
	Text   string  `json:"text"`
}

func repairReport(in *hive.Input, r *regf.Repaired) *repairDone {
	d := &repairDone{
		Schema: repairSchema, Path: in.Path, SHA256: in.SHA256, State: in.State, Method: r.Method, Result: sha256Hex(r.Data),
		Before: repairCount{r.Before.Keys, r.Before.Values}, After: repairCount{r.After.Keys, r.After.Values},
		Mended: []defect{}, Changed: repairNotes(r.Changed), Lost: repairNotes(r.Lost), Left: repairNotes(r.Left),
	}
	if in.Replay != nil {
		d.Replay = &repairReplay{in.Replay.Entries, in.Replay.Stopped}
	}
	for _, i := range r.Mended {
		d.Mended = append(d.Mended, defect{i.Code, i.Damage, i.Offset, i.Key.String(), i.Detail, i.Effect})
	}
	return d
}

func repairNotes(notes []regf.RepairNote) []repairNote {
	out := make([]repairNote, 0, len(notes))
	for _, n := range notes {
		note := repairNote{Kind: n.Kind, Key: n.Key.String(), Offset: n.Offset, Length: n.Length, Text: n.Text}
		if n.Kind == "value" {
			note.Value = &n.Value
		}
		out = append(out, note)
	}
	return out
}

// replayed reports whether transaction logs were applied before the repair.
func (d *repairDone) replayed() bool { return d.Replay != nil && d.Replay.Entries > 0 }

func (d *repairDone) write(w io.Writer, format string) error {
	if format == "json" {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return enc.Encode(d)
	}
	name := hive.Printable(d.Path)
	if d.replayed() {
		fmt.Fprintf(w, "%s: %s applied first\n", name, countAs(d.Replay.Entries, "log entry", "log entries"))
	}
	if d.Replay != nil && d.Replay.Stopped != "" {
		fmt.Fprintf(w, "the transaction logs were not applied to their end: %s\n", d.Replay.Stopped)
	}
	switch d.Method {
	case regf.RepairNone:
		fmt.Fprintf(w, "%s: sound; there is nothing to repair\n", name)
	case regf.RepairInPlace:
		fmt.Fprintf(w, "%s: mended in place; only the fields that were wrong change, and the number and time of the last writing\n", name)
	case regf.RepairRebuilt:
		fmt.Fprintf(w, "%s: built anew from what can be read; keep the original: deleted data can only be recovered from there\n", name)
	}
	if d.Method != regf.RepairNone {
		fmt.Fprintf(w, "before: %s and %s could be reached; after: %s and %s\n", count(d.Before.Keys, "key"), count(d.Before.Values, "value"), count(d.After.Keys, "key"), count(d.After.Values, "value"))
	}
	d.writeMended(w)
	writeRepairNotes(w, "changed", d.Changed)
	writeRepairNotes(w, "lost", d.Lost)
	writeRepairNotes(w, "found, but not taken along", d.Left)
	if d.Method != regf.RepairNone && len(d.Lost) == 0 {
		fmt.Fprintln(w, "nothing was lost")
	}
	switch {
	case d.Written == "" && d.Method == regf.RepairNone && d.replayed():
		fmt.Fprintln(w, "nothing is written (--dry-run)")
	case d.Written == "" && d.Method != regf.RepairNone:
		fmt.Fprintln(w, "verified by a second reader; nothing is written (--dry-run)")
	case d.Written != "" && d.Method == regf.RepairNone && d.replayed():
		fmt.Fprintf(w, "copy with the log applied written: %s, SHA-256 %s\n", d.Written, d.Result)
	case d.Written != "" && d.Method == regf.RepairNone:
		fmt.Fprintf(w, "unchanged copy written: %s, SHA-256 %s\n", d.Written, d.Result)
	case d.Written != "":
		fmt.Fprintf(w, "written and verified by a second reader: %s, SHA-256 %s\n", d.Written, d.Result)
	}
	return nil
}

// writeMended tells of each kind of defect that was mended how many there were,
// and shows the first.
func (d *repairDone) writeMended(w io.Writer) {
	byCode := map[string][]defect{}
	for _, m := range d.Mended {
		byCode[m.Code] = append(byCode[m.Code], m)
	}
	if len(byCode) > 0 {
		fmt.Fprintln(w, "mended:")
	}
	for _, code := range slices.Sorted(maps.Keys(byCode)) {
		first := byCode[code][0]
		fmt.Fprintf(w, "  %s at %#x", code, first.Offset)
		if first.Key != "" {
			fmt.Fprintf(w, ", key %s", hive.Printable(first.Key))
		}
		fmt.Fprintf(w, ": %s", first.Detail)
		if more := len(byCode[code]) - 1; more > 0 {
			fmt.Fprintf(w, " (and %d more)", more)
		}
		fmt.Fprintln(w)
	}
}

func writeRepairNotes(w io.Writer, what string, notes []repairNote) {
	if len(notes) == 0 {
		return
	}
	fmt.Fprintf(w, "%s:\n", what)
	for _, n := range notes {
		fmt.Fprintf(w, "  %s\n", n.Text)
	}
}

func sha256Hex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
