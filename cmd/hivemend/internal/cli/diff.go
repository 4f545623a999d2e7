package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hivemend/cmd/hivemend/internal/report"
	"hivemend/hive"
	"hivemend/hive/regtext"
	"hivemend/hive/source"
	"hivemend/patch"
)

// diffSchema names the form of diff --format json.
const diffSchema = "hivemend/diff/1"

type diffOptions struct {
	format   string
	output   string
	noReplay bool
	codepage int
	prefix   string
	as       string
}

// diffFormats are the forms that a difference can be shown in.
var diffFormats = []string{"unified", "reg", "json", "html"}

func (a *app) diffCommand() *cobra.Command {
	opt := &diffOptions{}
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Show what differs between two hives or .reg files",
		Long: `Show what differs between two hives, two .reg files, or one of each: keys,
values, types and data, not how they are stored.

Of a hive and a .reg file, what the file speaks of is compared: a key or value
counts as missing in the file only where the file has a section for the key
above it. CurrentControlSet in the file is the control set in use in the hive.

Exit code 0: no difference. 1: differences. 2: one of them could not be read.`,
		Example: `  hivemend diff SYSTEM.old SYSTEM
  hivemend diff SYSTEM.old SYSTEM --format reg -o changes.reg`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("diff wants two inputs, %d given", len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.runDiff(opt, args[0], args[1]) },
	}
	cmd.Flags().StringVar(&opt.format, "format", "unified", "`unified|reg|json|html`")
	cmd.Flags().StringVarP(&opt.output, "output", "o", "", "write to this `FILE` instead of the terminal")
	cmd.Flags().BoolVar(&opt.noReplay, "no-replay", false, "compare dirty hives as they lie, without their transaction logs")
	cmd.Flags().IntVar(&opt.codepage, "codepage", 0, "code page of 8-bit .reg files, such as 1252 or 932")
	cmd.Flags().StringVar(&opt.prefix, "prefix", "", "where a hive stands in the .reg file it is compared with, such as `HKLM\\OFFLINE_SYSTEM`")
	cmd.Flags().StringVar(&opt.as, "as", "", "which hive it is where that cannot be told: `system|software|sam|security|default|ntuser`")
	return cmd
}

func (a *app) runDiff(opt *diffOptions, pathA, pathB string) error {
	if !slices.Contains(diffFormats, opt.format) {
		return fmt.Errorf("--format %s: want %s", opt.format, strings.Join(diffFormats, ", "))
	}
	left, err := a.openOne(pathA, opt)
	if err != nil {
		return err
	}
	right, err := a.openOne(pathB, opt)
	if err != nil {
		return err
	}
	opt.place(left)
	opt.place(right)
	pairs, err := pairMounts(left, right)
	if err != nil {
		return err
	}
	out, differ, err := renderDiff(opt.format, pairs, pathA, pathB)
	if err != nil {
		return err
	}
	if err := a.writeResult(opt.output, out, []string{pathA, pathB}); err != nil {
		return err
	}
	if differ {
		return findings
	}
	return nil
}

// openOne opens a path that has to hold exactly one hive or .reg file.
func (a *app) openOne(path string, opt *diffOptions) (*hive.Input, error) {
	opened, err := source.Open([]string{path}, source.Options{NoReplay: opt.noReplay, CodePage: opt.codepage, Stdin: a.in, AllHives: true})
	if err != nil {
		return nil, err
	}
	if len(opened.Failures) > 0 {
		return nil, failure(opened.Failures[0])
	}
	var inputs []*hive.Input
	for _, m := range opened.Machines {
		inputs = append(inputs, m.Inputs...)
	}
	if len(inputs) != 1 {
		return nil, withHint(fmt.Errorf("%s holds %d hives and .reg files; diff compares one with one", path, len(inputs)), "name the file itself")
	}
	return inputs[0], nil
}

// pairMounts puts the trees of two inputs side by side. A tree that only one
// of them has is compared with an empty one.
func pairMounts(a, b *hive.Input) ([]patch.Change, error) {
	if a.Kind == hive.Regf && b.Kind == hive.Regf && len(a.Mounts) == 1 && len(b.Mounts) == 1 {
		return []patch.Change{{Name: string(a.Hive), Prefix: a.Mounts[0].Prefix, Before: a.Mounts[0].Root, After: b.Mounts[0].Root}}, nil
	}
	if a.Kind != b.Kind {
		return pairMixed(a, b)
	}
	empty := (&hive.Node{}).Key()
	var pairs []patch.Change
	for _, m := range a.Mounts {
		change := patch.Change{Name: string(m.Kind), Prefix: m.Prefix, Before: m.Root, After: empty}
		if i := mountAt(b.Mounts, m.Prefix); i >= 0 {
			change.After = b.Mounts[i].Root
		}
		pairs = append(pairs, change)
	}
	for _, m := range b.Mounts {
		if mountAt(a.Mounts, m.Prefix) < 0 {
			pairs = append(pairs, patch.Change{Name: string(m.Kind), Prefix: m.Prefix, Before: empty, After: m.Root})
		}
	}
	return pairs, nil
}

func mountAt(mounts []hive.Mount, prefix hive.Path) int {
	return slices.IndexFunc(mounts, func(m hive.Mount) bool { return m.Prefix.Equal(prefix) })
}

// place makes a hive stand where the flags say.
func (o *diffOptions) place(in *hive.Input) {
	if in.Kind != hive.Regf || len(in.Mounts) != 1 {
		return
	}
	if o.as != "" {
		in.Mounts[0].Prefix = hive.Kind(strings.ToUpper(o.as)).Prefix()
	}
	if o.prefix != "" {
		in.Mounts[0].Prefix = parsePrefix(o.prefix)
	}
}

func renderDiff(format string, pairs []patch.Change, pathA, pathB string) (out []byte, differ bool, err error) {
	if format == "unified" || format == "html" {
		out = patch.Unified(pairs...)
		differ = len(out) > 0
		if format == "html" {
			var b bytes.Buffer
			err = report.DiffHTML(&b, pathA, pathB, string(out))
			out = b.Bytes()
		}
		return out, differ, err
	}
	edits := []hive.Edit{}
	for _, c := range pairs {
		edits = append(edits, patch.Diff(c.Before, c.After, c.Prefix)...)
	}
	shown, withheld := patch.Withhold(edits)
	var b bytes.Buffer
	if format == "json" {
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		err = enc.Encode(struct {
			Schema   string      `json:"schema"`
			Edits    []hive.Edit `json:"edits"`
			Withheld int         `json:"withheld,omitempty"`
		}{diffSchema, append([]hive.Edit{}, shown...), len(withheld)})
		return b.Bytes(), len(edits) > 0, err
	}
	w := regtext.NewWriter(&b, regtext.WriterOptions{})
	if err := regtext.WriteEdits(w, shown); err != nil {
		return nil, false, err
	}
	err = w.Close()
	return b.Bytes(), len(edits) > 0, err
}
