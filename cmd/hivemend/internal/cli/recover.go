package cli

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hivemend/analyze"
	"hivemend/analyze/rdp"
	"hivemend/hive"
	"hivemend/hive/regf"
	"hivemend/hive/regtext"
	"hivemend/hive/source"
)

type recoverOptions struct {
	format   string
	output   string
	noReplay bool
	place    convertOptions // --prefix and --as
}

func (a *app) recoverCommand() *cobra.Command {
	opt := &recoverOptions{}
	cmd := &cobra.Command{
		Use:   "recover HIVE...",
		Short: "List deleted keys and values, and what older log states held",
		Long: `List what was deleted from a hive and can still be read: keys and values in free
cells, in cells that nothing refers to, in the unused ends of cells and behind
the last bin, and what older states in the transaction logs beside it held.

Each item says how sure its place is. High: its parent is there. Medium: its
parent is deleted too, or an old list tells. Low: the way up to the root is
lost; a key that is named all the same is a guess from what lies beside it.

--format reg writes what can be imported again: whole values whose place is at
least of medium confidence and is empty now. The contents of RCM\Secrets and
RCM\GracePeriod are named and sized, never shown.`,
		Example: `  hivemend recover SYSTEM
  hivemend recover SYSTEM --format reg -o deleted.reg`,
		Args: needsPaths,
		RunE: func(_ *cobra.Command, args []string) error { return a.runRecover(opt, args) },
	}
	f := cmd.Flags()
	f.StringVar(&opt.format, "format", "text", "`text|json|reg`")
	f.StringVarP(&opt.output, "output", "o", "", "write to this `FILE` instead of the terminal")
	f.BoolVar(&opt.noReplay, "no-replay", false, "look into dirty hives as they lie, and not into transaction logs")
	f.StringVar(&opt.place.prefix, "prefix", "", "where the hive stands in .reg text, such as `HKEY_LOCAL_MACHINE\\OFFLINE_SYSTEM`")
	f.StringVar(&opt.place.as, "as", "", "which hive it is where that cannot be told: `system|software|sam|security|default|ntuser`")
	return cmd
}

// recoveredHive is what was found in one hive, in the form that the JSON shows.
type recoveredHive struct {
	Path   string          `json:"path"`
	Prefix string          `json:"prefix"`
	State  hive.State      `json:"state"`
	Items  []recoveredItem `json:"items"`
	Notes  []string        `json:"notes,omitempty"`

	prefix hive.Path
	root   hive.Key
}

// recoveredItem is one deleted key or value.
type recoveredItem struct {
	Kind        regf.RecoveredKind  `json:"kind"`
	Key         string              `json:"key"`       // with the prefix where the path is known
	PathKnown   bool                `json:"pathKnown"` // else Key begins somewhere below the root
	Value       *string             `json:"value,omitempty"`
	Confidence  regf.Confidence     `json:"confidence"`
	Source      regf.RecoverySource `json:"source"`
	Offset      int64               `json:"offset"`
	LastWrite   hive.FileTime       `json:"lastWrite,omitzero"`
	Type        *hive.Type          `json:"type,omitempty"`
	Size        *int64              `json:"size,omitempty"`
	DataState   regf.DataState      `json:"dataState,omitempty"`
	DataOffset  int64               `json:"dataOffset,omitempty"`
	Data        *string             `json:"data,omitempty"` // hex; absent for secrets and where nothing is left
	Text        string              `json:"text,omitempty"`
	Decoded     string              `json:"decoded,omitempty"` // what it is
	Problem     string              `json:"problem,omitempty"` // and what is wrong with it
	Secret      bool                `json:"secret,omitempty"`
	Replaced    bool                `json:"replaced,omitempty"`
	Log         string              `json:"log,omitempty"`
	LogSequence uint32              `json:"logSequence,omitempty"`
	LogOffset   int64               `json:"logOffset,omitempty"`

	found regf.RecoveredItem
}

func (a *app) runRecover(opt *recoverOptions, paths []string) error {
	if !slices.Contains([]string{"text", "json", "reg"}, opt.format) {
		return fmt.Errorf("--format %s: want text, json or reg", opt.format)
	}
	opened, err := source.Open(paths, source.Options{NoReplay: opt.noReplay, KeepLogs: !opt.noReplay, Stdin: a.in, AllHives: true})
	if err != nil {
		return err
	}
	failed := len(opened.Failures) > 0
	for _, f := range opened.Failures {
		a.say("%v", failure(f))
	}
	var found []recoveredHive
	for _, m := range opened.Machines {
		for _, in := range m.Inputs {
			if in.Kind != hive.Regf {
				a.say("%s is .reg text, in which nothing is left of what was deleted", in.Path)
				failed = true
				continue
			}
			r, err := recoverInput(in, &opt.place)
			if err != nil {
				a.say("%v", err)
				failed = true
				continue
			}
			found = append(found, r)
		}
	}
	if len(found) > 0 {
		var out bytes.Buffer
		if err := a.writeRecovered(&out, opt.format, found); err != nil {
			return err
		}
		if err := a.writeResult(opt.output, out.Bytes(), append(inputFiles(opened.Machines), paths...)); err != nil {
			return err
		}
	}
	if failed || len(found) == 0 {
		return &codeError{code: exitTrouble}
	}
	return nil
}

// deletedFrom looks for what was deleted from the hive of an input.
func deletedFrom(in *hive.Input) (*regf.Recovered, hive.Key, error) {
	im, err := regf.Open(in.Data, regf.OpenOptions{File: in.Path, Lenient: true})
	if err != nil {
		return nil, hive.Key{}, err
	}
	opt := regf.RecoverOptions{Before: in.AsItLay}
	for _, log := range in.Logs {
		opt.Logs = append(opt.Logs, regf.Log(log))
	}
	return im.Recover(opt), im.Root(), nil
}

func recoverInput(in *hive.Input, place *convertOptions) (recoveredHive, error) {
	found, root, err := deletedFrom(in)
	if err != nil {
		return recoveredHive{}, err
	}
	prefix := place.place(in.Mounts[0].Prefix)
	r := recoveredHive{
		Path: in.Path, Prefix: prefix.String(), State: in.State, Items: make([]recoveredItem, 0, len(found.Items)), Notes: found.Notes,
		prefix: prefix, root: root,
	}
	for _, item := range found.Items {
		r.Items = append(r.Items, newRecoveredItem(item, in.Hive, prefix))
	}
	return r, nil
}

func newRecoveredItem(item regf.RecoveredItem, kind hive.Kind, prefix hive.Path) recoveredItem {
	path := item.Path
	if item.PathKnown {
		path = prefix.Join(item.Path...)
	}
	r := recoveredItem{
		Kind: item.Kind, Key: path.String(), PathKnown: item.PathKnown, Confidence: item.Confidence, Source: item.Source, Offset: item.Offset,
		LastWrite: item.LastWrite, Replaced: item.Replaced, Log: item.Log, LogSequence: item.LogSequence, LogOffset: item.LogOffset, found: item,
	}
	if item.Kind == regf.RecoveredKey {
		r.Secret = decodeRecovered(item, path).Secret
		return r
	}
	r.Value, r.Type, r.Size, r.DataState, r.DataOffset = &item.Name, &item.Type, &item.Size, item.DataState, item.DataOffset
	decoded := decodeRecovered(item, path)
	if r.Secret = decoded.Secret || mayBeSecret(item, kind); r.Secret {
		return r
	}
	r.Decoded = decoded.Kind
	if item.DataState == regf.DataWhole {
		r.Text, r.Problem = plainText(valueOf(item)), decoded.Problem
	}
	if item.DataState != regf.DataOverwritten && item.DataState != regf.DataSkipped {
		text := hex.EncodeToString(item.Data)
		r.Data = &text
	}
	return r
}

// valueOf makes a value of a recovered one, for what works on values.
func valueOf(item regf.RecoveredItem) hive.Value {
	node := &hive.Node{Values: []hive.NodeValue{{Name: item.Name, Type: item.Type, Data: item.Data}}}
	v, _ := node.Key().Value(item.Name)
	return v
}

// decodeRecovered says what an item is, by its place and its name.
func decodeRecovered(item regf.RecoveredItem, path hive.Path) analyze.Decoded {
	if item.Kind == regf.RecoveredKey {
		item.Name = ""
	}
	return rdp.DecodeAt(path, valueOf(item))
}

// protectedStarts is how data begins that Windows encrypts for itself (DPAPI:
// version and provider), and how a private key begins.
var protectedStarts = []string{"\x01\x00\x00\x00\xd0\x8c\x9d\xdf\x01\x15\xd1\x11\x8c\x7a\x00\xc0\x4f\xc2\x97\xeb", "RSA2"}

// mayBeSecret reports whether a value whose place is not certain may come from
// a key whose contents are never shown.
func mayBeSecret(item regf.RecoveredItem, kind hive.Kind) bool {
	if item.PathKnown && item.Confidence != regf.ConfidenceLow {
		return false
	}
	isProtected := func(start string) bool { return bytes.HasPrefix(item.Data, []byte(start)) }
	return kind == hive.Security || slices.ContainsFunc(protectedStarts, isProtected) || slices.ContainsFunc(item.Path, func(name string) bool {
		return hive.EqualFold(name, "Secrets") || hive.EqualFold(name, "GracePeriod")
	})
}

func (a *app) writeRecovered(w io.Writer, format string, found []recoveredHive) error {
	switch format {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		for _, r := range found {
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
	case "reg":
		return a.writeRecoveredText(w, found)
	default:
		for _, r := range found {
			writeRecoveredHive(w, r)
		}
	}
	return nil
}

// recoverySources says in words where an item lies.
var recoverySources = map[regf.RecoverySource]string{
	regf.SourceFree:         "in a free cell",
	regf.SourceUnreferenced: "in a cell that nothing refers to",
	regf.SourceSlack:        "in the unused end of a cell",
	regf.SourceTrailing:     "behind the last bin",
	regf.SourceBefore:       "in the hive before its logs were applied",
}

func writeRecoveredHive(w io.Writer, r recoveredHive) {
	keys := 0
	for i := range r.Items {
		if r.Items[i].Kind == regf.RecoveredKey {
			keys++
		}
	}
	fmt.Fprintf(w, "%s: %s and %s recovered\n", hive.Printable(r.Path), count(keys, "deleted key"), count(len(r.Items)-keys, "deleted or older value"))
	for i := range r.Items {
		writeRecoveredItem(w, &r.Items[i])
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "  note: %s\n", note)
	}
}

func writeRecoveredItem(w io.Writer, r *recoveredItem) {
	key := hive.Printable(r.Key)
	switch {
	case !r.PathKnown && key == "":
		key = "(of an unknown key)"
	case !r.PathKnown:
		key = `...\` + key
	case r.Confidence == regf.ConfidenceLow:
		key += " (a guess)"
	}
	where := recoverySources[r.Source]
	if r.Source == regf.SourceLog {
		where = fmt.Sprintf("in entry %d of %s", r.LogSequence, hive.Printable(r.Log))
		if r.LogOffset > 0 {
			where += fmt.Sprintf(" at %#x", r.LogOffset)
		}
	} else {
		where += fmt.Sprintf(" at %#x", r.Offset)
	}
	fmt.Fprintf(w, "\n  %-5s %s\n", r.Kind, key)
	if r.Kind == regf.RecoveredKey {
		fmt.Fprintf(w, "        last written %s\n        %s confidence, %s\n", r.LastWrite, r.Confidence, where)
		return
	}
	fmt.Fprintf(w, "        %s  %s, %d bytes, %s\n", hive.ValueLabel(*r.Value), r.Type, *r.Size, dataWords(r))
	fmt.Fprintf(w, "        %s confidence, %s\n", r.Confidence, where)
	if r.Replaced {
		fmt.Fprintf(w, "        the key has a value of this name today, which is another\n")
	}
	switch {
	case r.Decoded != "" && r.Problem != "":
		fmt.Fprintf(w, "        %s, damaged: %s\n", r.Decoded, r.Problem)
	case r.Decoded != "":
		fmt.Fprintf(w, "        %s\n", r.Decoded)
	case r.Text != "":
		fmt.Fprintf(w, "        %s\n", r.Text)
	case r.Data != nil && len(r.found.Data) > 0:
		const shown = 16
		fmt.Fprintf(w, "        %s%s\n", hexBytes(r.found.Data[:min(shown, len(r.found.Data))]), map[bool]string{true: " ..", false: ""}[len(r.found.Data) > shown])
	}
}

// dataWords says in words what a value's data is worth.
func dataWords(r *recoveredItem) string {
	switch {
	case r.Secret:
		return "a secret; its bytes are not shown"
	case r.DataState == regf.DataWhole:
		return "all there"
	case r.DataState == regf.DataPartial:
		return fmt.Sprintf("%d there, or partly overwritten", len(r.found.Data))
	case r.DataState == regf.DataSkipped:
		return "not read"
	}
	return "overwritten"
}

// writeRecoveredText writes as .reg text what can be imported again, and says
// what is left out. Of several states of one value the surest counts, and of
// those the latest found.
func (a *app) writeRecoveredText(w io.Writer, found []recoveredHive) error {
	out := regtext.NewWriter(w, regtext.WriterOptions{})
	if err := out.Comment("Deleted keys and values, recovered by hivemend. Read before you import."); err != nil {
		return err
	}
	for i := range found {
		if err := a.writeRecoveredKeys(out, &found[i]); err != nil {
			return err
		}
	}
	return out.Close()
}

func (a *app) writeRecoveredKeys(out *regtext.Writer, r *recoveredHive) error {
	if err := out.Comment("From " + hive.Printable(r.Path)); err != nil {
		return err
	}
	keys, left := importable(r)
	for _, k := range keys {
		if err := out.Key(k.path); err != nil {
			a.say("left out: %v", err)
			continue
		}
		for _, item := range k.values {
			if err := out.Value(item.Name, item.Type, item.Data); err != nil {
				a.say("left out: %v", err)
			}
		}
	}
	if left > 0 {
		a.say("%s: %s left out: not whole, secret, of unknown place, or there again; --format text lists all", r.Path, count(left, "item"))
	}
	return nil
}

// importableKey is a key with the values that can be put back into it.
type importableKey struct {
	path   hive.Path
	values []regf.RecoveredItem
}

// importable sorts out what can be put back, by key, and counts what cannot.
func importable(r *recoveredHive) (keys []*importableKey, left int) {
	byPath := map[string]*importableKey{}
	key := func(path hive.Path) *importableKey {
		folded := strings.Join(path.Fold(), "\x00")
		k := byPath[folded]
		if k == nil {
			k = &importableKey{path: r.prefix.Join(path...)}
			byPath[folded] = k
			keys = append(keys, k)
		}
		return k
	}
	for i := range r.Items {
		item := &r.Items[i].found
		if !item.PathKnown || item.Confidence == regf.ConfidenceLow || r.Items[i].Secret {
			left++
			continue
		}
		if item.Kind == regf.RecoveredKey {
			key(item.Path)
			continue
		}
		live, exists := r.root.Lookup(item.Path)
		if exists {
			_, exists = live.Value(item.Name)
		}
		if exists || item.DataState != regf.DataWhole {
			left++
			continue
		}
		k := key(item.Path)
		n := slices.IndexFunc(k.values, func(v regf.RecoveredItem) bool { return hive.EqualFold(v.Name, item.Name) })
		switch {
		case n < 0:
			k.values = append(k.values, *item)
		case item.Confidence == regf.ConfidenceHigh || k.values[n].Confidence != regf.ConfidenceHigh:
			k.values[n] = *item
			left++
		default:
			left++
		}
	}
	slices.SortStableFunc(keys, func(x, y *importableKey) int {
		return slices.CompareFunc(x.path.Fold(), y.path.Fold(), cmp.Compare[string])
	})
	return keys, left
}
