package cli

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"hivemend/analyze"
	"hivemend/analyze/rdp"
	"hivemend/hive"
	"hivemend/hive/source"
)

type showOptions struct {
	format   string
	output   string
	noReplay bool
	codepage int
}

func (a *app) showCommand() *cobra.Command {
	opt := &showOptions{}
	cmd := &cobra.Command{
		Use:   "show PATH... [KEY]",
		Short: "Show certificates, licences and any key, byte by byte with its meaning",
		Long: `Show the values of a key with their bytes and what they mean, side by side.
Without KEY the keys that hold Remote Desktop certificates and licences are
shown. KEY may begin with a registry root or at the hive's root, and
CurrentControlSet means the control set in use. The contents of RCM\Secrets and
RCM\GracePeriod are named and sized, never shown.`,
		Example: `  hivemend show SYSTEM
  hivemend show SYSTEM 'CurrentControlSet\Control\Terminal Server\RCM'
  hivemend show SOFTWARE 'HKLM\SOFTWARE\Microsoft\MSLicensing\Store\LICENSE000' --format json`,
		Args: needsPaths,
		RunE: func(_ *cobra.Command, args []string) error { return a.runShow(opt, args) },
	}
	cmd.Flags().StringVar(&opt.format, "format", "text", "`text|json`")
	cmd.Flags().StringVarP(&opt.output, "output", "o", "", "write to this `FILE` instead of the terminal")
	cmd.Flags().BoolVar(&opt.noReplay, "no-replay", false, "show dirty hives as they lie, without their transaction logs")
	cmd.Flags().IntVar(&opt.codepage, "codepage", 0, "code page of 8-bit .reg files, such as 1252 or 932")
	return cmd
}

// shownKey is one key as show gives it in JSON.
type shownKey struct {
	Input     string        `json:"input"`
	Key       string        `json:"key"`
	LastWrite hive.FileTime `json:"lastWrite,omitzero"`
	Values    []shownValue  `json:"values"`
	Subkeys   []string      `json:"subkeys"`
}

type shownValue struct {
	Name       string          `json:"name"`
	Type       hive.Type       `json:"type"`
	Size       int64           `json:"size"`
	FileOffset int64           `json:"fileOffset,omitempty"`
	Line       int             `json:"line,omitempty"`
	Data       *string         `json:"data,omitempty"` // hex; absent for secrets
	Text       string          `json:"text,omitempty"`
	Problem    string          `json:"problem,omitempty"` // why the data could not be read
	Decoded    analyze.Decoded `json:"decoded"`
	bytes      []byte
}

func (a *app) runShow(opt *showOptions, args []string) error {
	if opt.format != "text" && opt.format != "json" {
		return fmt.Errorf("--format %s: want text or json", opt.format)
	}
	paths, key := splitKey(args)
	opened, err := source.Open(paths, source.Options{NoReplay: opt.noReplay, CodePage: opt.codepage, Stdin: a.in, AllHives: true})
	if err != nil {
		return err
	}
	for _, f := range opened.Failures {
		a.say("%v", failure(f))
	}
	shown := showMachines(opened.Machines, key)
	if len(shown) == 0 && len(opened.Machines) > 0 {
		return withHint(nothingToShow(key), "hivemend show PATH KEY shows any key")
	}
	if len(shown) > 0 {
		var out bytes.Buffer
		if err := writeShown(&out, opt.format, shown); err != nil {
			return err
		}
		if err := a.writeResult(opt.output, out.Bytes(), paths); err != nil {
			return err
		}
	}
	if len(opened.Failures) > 0 || len(shown) == 0 {
		return &codeError{code: exitTrouble}
	}
	return nil
}

func nothingToShow(key string) error {
	if key == "" {
		return fmt.Errorf("none of the keys that hold Remote Desktop certificates or licences is there")
	}
	return fmt.Errorf("there is no key %q", key)
}

// splitKey takes the last argument as a key where it looks like one and is no
// file.
func splitKey(args []string) (paths []string, key string) {
	if last := len(args) - 1; last > 0 {
		if _, err := os.Lstat(args[last]); err != nil && args[last] != "-" {
			return args[:last], args[last]
		}
	}
	return args, ""
}

// shownPaths are the keys, from the hive's root, that show gives without a KEY.
var shownPaths = map[hive.Kind][]string{
	hive.System: {
		`CurrentControlSet\Services\TermService\Parameters`, `CurrentControlSet\Control\Terminal Server\RCM`,
		`CurrentControlSet\Control\Terminal Server\WinStations`,
	},
	hive.Software: {
		`Microsoft\MSLicensing\HardwareID`, `Microsoft\MSLicensing\Store`,
		`Wow6432Node\Microsoft\MSLicensing\HardwareID`, `Wow6432Node\Microsoft\MSLicensing\Store`,
	},
}

func showMachines(machines []*hive.Machine, key string) []shownKey {
	var shown []shownKey
	for _, m := range machines {
		for _, in := range m.Inputs {
			for _, mount := range in.Mounts {
				shown = append(shown, showMount(in, mount, key)...)
			}
		}
	}
	return shown
}

func showMount(in *hive.Input, mount hive.Mount, key string) []shownKey {
	if key != "" {
		path, ok := insideMount(mount, hive.ParsePath(key))
		if !ok {
			return nil
		}
		if k, path, ok := lookup(in, mount, path); ok {
			return []shownKey{showKey(in, path, k)}
		}
		return nil
	}
	var shown []shownKey
	for _, text := range shownPaths[mount.Kind] {
		k, path, ok := lookup(in, mount, hive.ParsePath(text))
		if !ok {
			continue
		}
		shown = append(shown, showKey(in, path, k))
		if strings.HasSuffix(text, `\Store`) {
			for sub := range k.Subkeys() {
				shown = append(shown, showKey(in, path.Join(sub.Name()), sub))
			}
		}
	}
	return shown
}

// insideMount returns path from the mount's root. A path that begins with
// another hive's place is not in the mount.
func insideMount(mount hive.Mount, path hive.Path) (hive.Path, bool) {
	if len(path) == 0 {
		return path, true
	}
	long, ok := hive.RootName(path[0])
	if !ok {
		return path, true
	}
	return append(hive.Path{long}, path[1:]...).CutPrefix(mount.Prefix)
}

// lookup finds a key from the mount's root, CurrentControlSet meaning the
// control set in use, and returns it with its whole path.
func lookup(in *hive.Input, mount hive.Mount, path hive.Path) (hive.Key, hive.Path, bool) {
	if !mount.Root.Valid() {
		return hive.Key{}, nil, false
	}
	if mount.Kind == hive.System && len(path) > 0 && hive.EqualFold(path[0], "CurrentControlSet") {
		sets := hive.FindControlSets(mount.Root, in.Kind == hive.Reg)
		if sets.Current.Key.Valid() {
			path = append(hive.Path{sets.Current.Name}, path[1:]...)
		}
	}
	k, whole := mount.Root, mount.Prefix
	for _, name := range path {
		var ok bool
		if k, ok = k.Subkey(name); !ok {
			return hive.Key{}, nil, false
		}
		whole = whole.Join(k.Name())
	}
	return k, whole, true
}

func showKey(in *hive.Input, path hive.Path, k hive.Key) shownKey {
	s := shownKey{Input: in.Path, Key: path.String(), LastWrite: k.LastWrite(), Values: []shownValue{}, Subkeys: []string{}}
	for v := range k.Values() {
		s.Values = append(s.Values, showValue(path, v))
	}
	for sub := range k.Subkeys() {
		s.Subkeys = append(s.Subkeys, sub.Name())
	}
	return s
}

func showValue(path hive.Path, v hive.Value) shownValue {
	origin := v.Origin()
	s := shownValue{Name: v.Name(), Type: v.Type(), Size: v.Size(), FileOffset: origin.Image, Line: origin.Line, Decoded: rdp.DecodeAt(path, v)}
	if s.Decoded.Secret {
		return s
	}
	data, err := v.Data()
	if err != nil {
		s.Problem = err.Error()
	}
	s.bytes = data
	text := hex.EncodeToString(data)
	s.Data = &text
	s.Text = plainText(v)
	return s
}

// plainText returns what a value of a simple type says, "" for others.
func plainText(v hive.Value) string {
	if n, err := v.DWORD(); err == nil {
		return fmt.Sprintf("%d (%#x)", n, n)
	}
	if text, err := v.Text(); err == nil {
		return hive.Printable(text)
	}
	if texts, err := v.Texts(); err == nil {
		return hive.Printable(strings.Join(texts, ", "))
	}
	return ""
}

func writeShown(w io.Writer, format string, shown []shownKey) error {
	if format == "json" {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(shown)
	}
	for i, s := range shown {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s\n", hive.Printable(s.Key))
		fmt.Fprintf(w, "  in %s", hive.Printable(s.Input))
		if s.LastWrite != 0 {
			fmt.Fprintf(w, ", last written %s", s.LastWrite)
		}
		fmt.Fprintln(w)
		for i := range s.Values {
			writeShownValue(w, &s.Values[i])
		}
		for _, name := range s.Subkeys {
			fmt.Fprintf(w, "  [%s]\n", hive.Printable(name))
		}
	}
	return nil
}

func writeShownValue(w io.Writer, v *shownValue) {
	fmt.Fprintf(w, "\n  %s  %s, %d bytes", hive.ValueLabel(v.Name), v.Type, v.Size)
	if v.FileOffset > 0 {
		fmt.Fprintf(w, " at %#x", v.FileOffset)
	}
	if v.Line > 0 {
		fmt.Fprintf(w, " in line %d", v.Line)
	}
	fmt.Fprintln(w)
	if v.Problem != "" {
		fmt.Fprintf(w, "    could not be read whole: %s\n", v.Problem)
	}
	switch {
	case v.Decoded.Secret:
		fmt.Fprintf(w, "    a secret; its bytes are not shown\n")
		return
	case v.Text != "":
		fmt.Fprintf(w, "    %s\n", v.Text)
	}
	if v.Decoded.Kind != "" {
		fmt.Fprintf(w, "    %s\n", v.Decoded.Kind)
	}
	if v.Decoded.Problem != "" {
		fmt.Fprintf(w, "    damaged: %s\n", v.Decoded.Problem)
	}
	switch {
	case len(v.Decoded.Fields) > 0:
		for _, f := range v.Decoded.Fields {
			writeShownField(w, v.bytes, f)
		}
	case v.Text == "":
		writeDump(w, v.bytes)
	}
}

// fieldBytes is how many bytes of a field show prints beside its meaning.
const fieldBytes = 8

func writeShownField(w io.Writer, data []byte, f analyze.DecodedField) {
	at, raw := "", ""
	if f.Length > 0 && f.Offset >= 0 && f.Offset <= len(data) && f.Length <= len(data)-f.Offset {
		at = fmt.Sprintf("%#06x", f.Offset)
		raw = hexBytes(data[f.Offset:][:min(f.Length, fieldBytes)])
		if f.Length > fieldBytes {
			raw += " .."
		}
	}
	fmt.Fprintf(w, "    %-6s  %-26s  %s%s: %s\n", at, raw, strings.Repeat("  ", f.Depth), f.Name, hive.Printable(f.Text))
}

func hexBytes(b []byte) string {
	parts := make([]string, len(b))
	for i, c := range b {
		parts[i] = fmt.Sprintf("%02x", c)
	}
	return strings.Join(parts, " ")
}

// writeDump prints data sixteen bytes a line with their offsets and, where
// they are printable, their characters.
func writeDump(w io.Writer, data []byte) {
	for at := 0; at < len(data); at += 16 {
		row := data[at:min(at+16, len(data))]
		chars := []byte(strings.Repeat(".", len(row)))
		for i, c := range row {
			if c >= 0x20 && c < 0x7f {
				chars[i] = c
			}
		}
		fmt.Fprintf(w, "    %#06x  %-47s  %s\n", at, hexBytes(row), chars)
	}
}
