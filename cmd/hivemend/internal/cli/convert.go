package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hivemend/cmd/hivemend/internal/treejson"
	"hivemend/hive"
	"hivemend/hive/regf"
	"hivemend/hive/regtext"
	"hivemend/patch"
)

type convertOptions struct {
	output   string
	to       string
	dialect  string
	prefix   string
	as       string
	skip     bool
	strict   bool
	noReplay bool
	salvage  bool
	codepage int
}

func (a *app) convertCommand() *cobra.Command {
	opt := &convertOptions{}
	cmd := &cobra.Command{
		Use:   "convert IN -o OUT",
		Short: "Turn a hive into .reg text or JSON, and back",
		Long: `Turn a hive into .reg text or JSON, .reg text into a hive built from nothing, and
JSON into either. What OUT becomes is told by its ending: .reg, .json, and
anything else is a hive; --to says it instead. JSON keeps everything a hive
holds; .reg text carries no times, class names and security descriptors.

Exit code 0: written. 2: it could not be done, and nothing is written.`,
		Example: `  hivemend convert SYSTEM -o SYSTEM.reg
  hivemend convert export.reg -o SOFTWARE
  hivemend convert SYSTEM -o SYSTEM.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return withHint(fmt.Errorf("convert wants one input, %d given", len(args)), "usage: "+cmd.UseLine())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.runConvert(opt, args[0]) },
	}
	f := cmd.Flags()
	f.StringVarP(&opt.output, "output", "o", "", "the `FILE` to write")
	f.StringVar(&opt.to, "to", "", "what to write: `reg|json|hive` (default by the ending of OUT)")
	f.StringVar(&opt.dialect, "dialect", "lossless", "of .reg text written: `lossless|regedit|regedit4`")
	f.StringVar(&opt.prefix, "prefix", "", "where the hive stands in .reg text, such as `HKEY_LOCAL_MACHINE\\OFFLINE_SYSTEM`")
	f.StringVar(&opt.as, "as", "", "which hive it is where that cannot be told: `system|software|sam|security|default|ntuser`")
	f.BoolVar(&opt.skip, "skip-unrepresentable", false, "leave out, and list, what .reg text cannot carry")
	f.BoolVar(&opt.strict, "strict", false, "refuse .reg text with any line that is not understood")
	f.BoolVar(&opt.noReplay, "no-replay", false, "take a dirty hive as it lies, without its transaction logs")
	f.BoolVar(&opt.salvage, "force", false, "take what can be read of a damaged hive")
	f.IntVar(&opt.codepage, "codepage", 0, "code page of 8-bit .reg text, such as 1252 or 932")
	return cmd
}

// tree is what convert reads and writes: a root with its place and version.
type tree struct {
	root   hive.Key
	prefix hive.Path
	minor  uint32
	time   hive.FileTime // of the hive, where it was one
	file   string        // the name that the base block remembers
	inputs []string      // the files it was read from
}

func (a *app) runConvert(opt *convertOptions, path string) error {
	if opt.output == "" {
		return fmt.Errorf("-o OUT says where the result goes, and is missing")
	}
	to := opt.to
	if to == "" {
		to = formatOf(opt.output)
	}
	if !slices.Contains([]string{"reg", "json", "hive"}, to) {
		return fmt.Errorf("--to %s: want reg, json or hive", to)
	}
	t, err := a.readTree(opt, path)
	if err != nil {
		return err
	}
	data, skipped, err := t.write(to, opt)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := patch.WriteFileAtomic(opt.output, data, privatePerm, t.inputs...); err != nil {
		return fmt.Errorf("write %s: %w", opt.output, err)
	}
	for _, s := range skipped {
		a.say("left out: %v", s)
	}
	fmt.Fprintf(a.out, "written: %s, %d bytes\n", opt.output, len(data))
	if to == "reg" {
		a.say(".reg text carries no last-write times, class names or security descriptors; JSON does")
	}
	return nil
}

func formatOf(path string) string {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".reg":
		return "reg"
	case ".json":
		return "json"
	}
	return "hive"
}

// readTree reads a hive, .reg text or JSON, told apart by content.
func (a *app) readTree(opt *convertOptions, path string) (*tree, error) {
	if doc, data := readJSON(path); doc {
		d, err := treejson.Read(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return &tree{root: d.Root.Key(), prefix: opt.place(d.Prefix), minor: d.Minor, inputs: []string{path}}, nil
	}
	in, err := a.openOne(path, &diffOptions{noReplay: opt.noReplay, codepage: opt.codepage})
	if err != nil {
		return nil, err
	}
	inputs := inputFiles([]*hive.Machine{{Inputs: []*hive.Input{in}}})
	if in.Kind == hive.Reg {
		t, err := opt.textTree(in)
		if t != nil {
			t.inputs = inputs
		}
		return t, err
	}
	if in.State == hive.Dirty && !opt.noReplay {
		a.say("warning: %s is dirty and its logs were not applied: what is pending in them is not in the result", in.Path)
	}
	im, err := regf.Open(in.Data, regf.OpenOptions{File: in.Path, Lenient: true})
	if err != nil {
		return nil, err
	}
	h := im.Header()
	return &tree{
		root: in.Mounts[0].Root, prefix: opt.place(in.Mounts[0].Prefix), minor: h.Minor, time: h.LastWritten, file: h.FileName, inputs: inputs,
	}, nil
}

// readJSON reads path where it begins like a JSON object.
func readJSON(path string) (bool, []byte) {
	f, err := os.Open(path)
	if err != nil {
		return false, nil
	}
	defer f.Close()
	start := make([]byte, 64)
	n, _ := io.ReadFull(f, start)
	if start = bytes.TrimLeft(start[:n], " \t\r\n"); len(start) == 0 || start[0] != '{' {
		return false, nil
	}
	data, err := os.ReadFile(path)
	return err == nil, data
}

// place returns where the hive stands: as the flags say, else as it was told.
func (o *convertOptions) place(told hive.Path) hive.Path {
	if o.prefix != "" {
		return parsePrefix(o.prefix)
	}
	if o.as != "" {
		return hive.Kind(strings.ToUpper(o.as)).Prefix()
	}
	return told
}

// parsePrefix reads a path that may begin with the short name of a root.
func parsePrefix(text string) hive.Path {
	p := hive.ParsePath(text)
	if len(p) > 0 {
		if long, ok := hive.RootName(p[0]); ok {
			p[0] = long
		}
	}
	return p
}

// textTree takes the one hive that .reg text holds keys of. A section outside
// it is an error that names it.
func (o *convertOptions) textTree(in *hive.Input) (*tree, error) {
	file, err := regtext.Parse(in.Data, regtext.Options{File: in.Path, CodePage: o.codepage, Strict: o.strict})
	if err != nil {
		return nil, err
	}
	prefix := o.place(nil)
	if prefix == nil {
		if len(in.Mounts) != 1 {
			return nil, withHint(fmt.Errorf("%s holds keys of %d hives; a hive is made of one", in.Path, len(in.Mounts)), "name the one with --prefix")
		}
		prefix = in.Mounts[0].Prefix
	}
	for _, op := range file.Ops {
		if _, ok := op.Key.CutPrefix(prefix); !ok {
			return nil, fmt.Errorf("%s:%d: section %s lies outside %s", in.Path, op.Line, hive.Printable(op.Key.String()), prefix)
		}
	}
	node := file.Tree()
	for _, name := range prefix {
		if node = node.Subkey(name); node == nil {
			return nil, fmt.Errorf("%s holds no key below %s", in.Path, prefix)
		}
	}
	return &tree{root: node.Key(), prefix: prefix}, nil
}

func (t *tree) write(to string, opt *convertOptions) (data []byte, skipped []error, err error) {
	var b bytes.Buffer
	switch to {
	case "json":
		err = treejson.Write(&b, t.root, t.prefix, t.minor)
		return b.Bytes(), nil, err
	case "reg":
		skipped, err = t.writeText(&b, opt)
		return b.Bytes(), skipped, err
	}
	data, err = regf.Build(t.root, regf.BuildOptions{Minor: t.minor, Time: t.time, FileName: t.file, Salvage: opt.salvage})
	return data, nil, err
}

func (t *tree) writeText(w io.Writer, opt *convertOptions) (skipped []error, err error) {
	dialect, err := regtext.ParseDialect(opt.dialect)
	if err != nil {
		return nil, fmt.Errorf("--dialect: %w", err)
	}
	wo := regtext.WriterOptions{Dialect: dialect, CodePage: opt.codepage}
	if opt.skip {
		wo.Skip = func(err error) { skipped = append(skipped, err) }
	}
	out := regtext.NewWriter(w, wo)
	if err := regtext.WriteTree(out, t.prefix, t.root); err != nil {
		if errors.Is(err, regtext.ErrUnrepresentable) {
			return nil, withHint(err, "--skip-unrepresentable leaves such keys out and lists them")
		}
		return nil, err
	}
	return skipped, out.Close()
}
