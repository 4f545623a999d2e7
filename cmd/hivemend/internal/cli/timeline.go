package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"hivemend/hive"
	"hivemend/hive/regf"
	"hivemend/hive/source"
)

type timelineOptions struct {
	format   string
	output   string
	noReplay bool
}

func (a *app) timelineCommand() *cobra.Command {
	opt := &timelineOptions{}
	cmd := &cobra.Command{
		Use:   "timeline PATH...",
		Short: "List when each key was last written",
		Long: `List the last-write time of every key of the hives found in PATH, oldest first:
those that live, those that were deleted, and those that only older states in
the transaction logs hold, told apart. .reg text has no times.`,
		Example: `  hivemend timeline SYSTEM --format csv -o timeline.csv
  hivemend timeline evidence/ > timeline.body`,
		Args: needsPaths,
		RunE: func(_ *cobra.Command, args []string) error { return a.runTimeline(opt, args) },
	}
	cmd.Flags().StringVar(&opt.format, "format", "bodyfile", "`bodyfile|csv|jsonl`")
	cmd.Flags().StringVarP(&opt.output, "output", "o", "", "write to this `FILE` instead of the terminal")
	cmd.Flags().BoolVar(&opt.noReplay, "no-replay", false, "read dirty hives as they lie, without their transaction logs")
	return cmd
}

// moment is one last-write time in a timeline.
type moment struct {
	Time   hive.FileTime `json:"time"`
	Path   string        `json:"path"` // of the input
	Key    string        `json:"key"`
	State  string        `json:"state"`            // "live", "deleted" or "log"
	Offset int64         `json:"offset,omitempty"` // of the key's record in the (replayed) hive
	Log    string        `json:"log,omitempty"`    // the log that brought the record
}

func (a *app) runTimeline(opt *timelineOptions, paths []string) error {
	if !slices.Contains([]string{"bodyfile", "csv", "jsonl"}, opt.format) {
		return fmt.Errorf("--format %s: want bodyfile, csv or jsonl", opt.format)
	}
	opened, err := source.Open(paths, source.Options{NoReplay: opt.noReplay, KeepLogs: !opt.noReplay, Stdin: a.in, AllHives: true})
	if err != nil {
		return err
	}
	for _, f := range opened.Failures {
		a.say("%v", failure(f))
	}
	var moments []moment
	hives := 0
	for _, m := range opened.Machines {
		for _, in := range m.Inputs {
			if in.Kind != hive.Regf {
				a.say("%s is .reg text, which has no times", in.Path)
				continue
			}
			hives++
			for _, mount := range in.Mounts {
				moments = appendMoments(moments, in, mount.Root, mount.Prefix, 0)
				if moments, err = appendDeleted(moments, in, mount.Prefix); err != nil {
					return err
				}
			}
		}
	}
	if hives > 0 {
		slices.SortStableFunc(moments, func(x, y moment) int { return cmp.Compare(x.Time, y.Time) })
		var out bytes.Buffer
		if err := writeMoments(&out, opt.format, moments); err != nil {
			return err
		}
		if err := a.writeResult(opt.output, out.Bytes(), append(inputFiles(opened.Machines), paths...)); err != nil {
			return err
		}
	}
	if len(opened.Failures) > 0 || hives == 0 {
		return &codeError{code: exitTrouble}
	}
	return nil
}

// appendMoments adds the times of a key and of everything below it.
func appendMoments(moments []moment, in *hive.Input, k hive.Key, path hive.Path, depth int) []moment {
	if at := k.LastWrite(); at != 0 {
		origin := k.Origin()
		moments = append(moments, moment{Time: at, Path: in.Path, Key: path.String(), State: "live", Offset: origin.Image, Log: origin.File})
	}
	if depth >= hive.MaxDepth {
		return moments
	}
	for sub := range k.Subkeys() {
		moments = appendMoments(moments, in, sub, path.Join(sub.Name()), depth+1)
	}
	return moments
}

// appendDeleted adds the times of deleted keys, and of those that only older
// states held. Where the way up to the root is lost, the key begins with "...".
func appendDeleted(moments []moment, in *hive.Input, prefix hive.Path) ([]moment, error) {
	found, _, err := deletedFrom(in)
	if err != nil {
		return nil, err
	}
	for _, item := range found.Items {
		if item.Kind != regf.RecoveredKey {
			continue
		}
		m := moment{Time: item.LastWrite, Path: in.Path, State: "deleted", Offset: item.Offset, Log: item.Log}
		if item.Source == regf.SourceLog || item.Source == regf.SourceBefore {
			m.State = "log"
		}
		if m.Key = prefix.Join(item.Path...).String(); !item.PathKnown {
			m.Key = hive.Path{"..."}.Join(item.Path...).String()
		}
		moments = append(moments, m)
	}
	return moments, nil
}

func writeMoments(w io.Writer, format string, moments []moment) error {
	out := bufio.NewWriter(w)
	switch format {
	case "jsonl":
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		for _, m := range moments {
			if err := enc.Encode(m); err != nil {
				return err
			}
		}
	case "csv":
		if err := writeMomentsCSV(out, moments); err != nil {
			return err
		}
	default:
		for _, m := range moments {
			writeBodyLine(out, m)
		}
	}
	return out.Flush()
}

// writeBodyLine writes a line of the form that mactime reads:
// MD5|name|inode|mode|UID|GID|size|atime|mtime|ctime|crtime, times in seconds
// since 1970. What does not apply is 0.
func writeBodyLine(w io.Writer, m moment) {
	name := strings.NewReplacer("|", `\u007c`, "\n", `\u000a`, "\r", `\u000d`).Replace(hive.Printable(m.Key))
	if m.State != "live" {
		name += " (" + m.State + ")"
	}
	fmt.Fprintf(w, "0|%s|%d|0|0|0|0|0|%d|0|0\n", name, m.Offset, m.Time.Time().Unix())
}

func writeMomentsCSV(w io.Writer, moments []moment) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write([]string{"time", "path", "key", "state", "offset", "log"}); err != nil {
		return err
	}
	for _, m := range moments {
		row := []string{m.Time.String(), m.Path, m.Key, m.State, strconv.FormatInt(m.Offset, 10), m.Log}
		for i, cell := range row {
			row[i] = spreadsheetSafe(hive.Printable(cell))
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// spreadsheetSafe keeps a spreadsheet from taking a cell for a formula.
func spreadsheetSafe(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
