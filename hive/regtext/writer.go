package regtext

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"hivemend/hive"
	"hivemend/hive/cursor"
)

// UnrepresentableError says that .reg text cannot carry a key or a value.
// Nothing of it was written, and writing may go on without it.
type UnrepresentableError struct {
	Key     hive.Path
	Value   string // the name of the value, where IsValue is set
	IsValue bool
	Reason  string // what .reg text cannot carry
}

// Error names the key or value and the reason.
func (e *UnrepresentableError) Error() string {
	what := "key " + hive.Printable(e.Key.String())
	if e.IsValue {
		what += ", value " + hive.ValueLabel(e.Value)
	}
	return what + ": .reg text cannot carry " + e.Reason
}

// ErrUnrepresentable is what every UnrepresentableError is, for errors.Is.
var ErrUnrepresentable = errors.New("cannot be carried by .reg text")

// Is makes errors.Is(err, ErrUnrepresentable) true.
func (e *UnrepresentableError) Is(target error) bool { return target == ErrUnrepresentable }

// UnreadableError says that a value's data could not be read from its store.
type UnreadableError struct {
	Key   hive.Path
	Value string
	Err   error
}

// Error names the value and what went wrong.
func (e *UnreadableError) Error() string {
	return "key " + hive.Printable(e.Key.String()) + ", value " + hive.ValueLabel(e.Value) + ": " + e.Err.Error()
}

// Unwrap returns the error of the store.
func (e *UnreadableError) Unwrap() error { return e.Err }

// WriterOptions say how text is written. The zero value writes the Lossless
// dialect.
type WriterOptions struct {
	Dialect Dialect
	// CodePage is the Windows code page of the Regedit4 dialect; 0 means 1252.
	CodePage int
	// AnyRoot allows paths that begin with no registry root, as
	// Options.AnyRoot does for the reader.
	AnyRoot bool
	// Skip is called by WriteTree for every key and value that cannot be
	// written, with a *UnrepresentableError or *UnreadableError; writing then
	// goes on without it (and without what is below a key). Where Skip is nil
	// the first such error ends WriteTree.
	Skip func(error)
}

// Writer writes .reg text. Sections come out in the order of the calls. After
// an error of the underlying writer every call returns that error.
type Writer struct {
	out      io.Writer
	opt      WriterOptions
	codePage *codePage
	buf      []byte // encoded, not written yet
	text     []byte // scratch: WTF-8
	err      error

	started   bool
	inComment bool // the last line was a comment before any section of its own
	key       hive.Path
	hasKey    bool
	seen      nameSet // the values that WriteTree met in the current key
}

// NewWriter returns a Writer that writes to w. An unknown code page shows as
// an error of the first call.
func NewWriter(w io.Writer, opt WriterOptions) *Writer {
	wr := &Writer{out: w, opt: opt}
	if opt.Dialect == Regedit4 {
		wr.codePage, wr.err = newCodePage(opt.CodePage)
	}
	return wr
}

// flushAt is how much text is gathered before it is written.
const flushAt = 1 << 16

// emit encodes text and writes it when enough is gathered. ok is false, and
// nothing is written, when the code page lacks a character of it.
func (w *Writer) emit(text []byte) (ok bool) {
	w.start()
	if w.codePage == nil {
		w.buf = appendWide(w.buf, text)
	} else if w.buf, ok = w.codePage.appendBytes(w.buf, text); !ok {
		return false
	}
	if len(w.buf) >= flushAt {
		w.flush()
	}
	return true
}

func (w *Writer) start() {
	if w.started {
		return
	}
	w.started = true
	if w.codePage != nil {
		w.buf = append(w.buf, V4.String()+crlf...)
		return
	}
	w.buf = append(w.buf, bomUTF16LE...)
	w.buf = appendWide(w.buf, []byte(V5.String()+crlf))
}

func (w *Writer) flush() {
	if w.err == nil && len(w.buf) > 0 {
		_, w.err = w.out.Write(w.buf)
	}
	w.buf = w.buf[:0]
}

// Comment writes text as lines of comment. Before the first section, or
// after DeleteKey, it stands in a block of its own; else below the last value.
func (w *Writer) Comment(text string) error {
	if w.err != nil {
		return w.err
	}
	w.text = w.text[:0]
	if !w.hasKey && !w.inComment {
		w.text = append(w.text, crlf...)
	}
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	for _, line := range strings.Split(text, "\n") {
		w.text = append(w.text, strings.TrimRight("; "+hive.Printable(line), " ")...)
		w.text = append(w.text, crlf...)
	}
	if !w.emit(w.text) {
		w.emit([]byte(asciiOnly(string(w.text))))
	}
	w.inComment = !w.hasKey
	return w.err
}

func asciiOnly(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0x80 {
			return '?'
		}
		return r
	}, s)
}

// Key begins the section of the key at path, which starts with a registry
// root; a short root name is written long. The error is an
// *UnrepresentableError where .reg text has no form for the path.
func (w *Writer) Key(path hive.Path) error {
	if err := w.section("[", path); err != nil {
		return err
	}
	w.key, w.hasKey = path, true
	return nil
}

// DeleteKey writes a section that deletes the key at path with everything
// below it. No value may follow before the next Key.
func (w *Writer) DeleteKey(path hive.Path) error { return w.section("[-", path) }

func (w *Writer) section(bracket string, path hive.Path) error {
	if w.err != nil {
		return w.err
	}
	w.hasKey = false
	if reason := w.checkPath(path, bracket == "[-"); reason != "" {
		return &UnrepresentableError{Key: path, Reason: reason}
	}
	w.text = append(append(w.text[:0], crlf...), bracket...)
	for i, name := range path {
		if i > 0 {
			w.text = append(w.text, '\\')
		} else if long, ok := hive.RootName(name); ok {
			name = long
		}
		w.text = append(w.text, name...)
	}
	w.text = append(w.text, "]"+crlf...)
	if !w.emit(w.text) {
		return &UnrepresentableError{Key: path, Reason: w.outsideCodePage()}
	}
	w.inComment = false
	return w.err
}

func (w *Writer) outsideCodePage() string {
	return fmt.Sprintf("a character that code page %d does not have", w.codePage.number)
}

// checkPath returns why path cannot be written, or "".
func (w *Writer) checkPath(path hive.Path, deletes bool) string {
	root := ""
	if len(path) > 0 {
		root = path[0]
	}
	_, known := hive.RootName(root)
	switch {
	case !known && !w.opt.AnyRoot:
		return "a path that begins with no registry root"
	case !known && root != "" && strings.ContainsRune("- \t", rune(root[0])):
		return "a path that begins with a blank or a minus sign"
	case deletes && len(path) < 2 && !w.opt.AnyRoot:
		return "the deletion of a whole registry root"
	case len(path) > maxPath:
		return fmt.Sprintf("a path of more than %d levels", maxPath)
	}
	for _, name := range path {
		if reason := checkKeyName(name); reason != "" {
			return reason
		}
	}
	return ""
}

func checkKeyName(name string) string {
	switch {
	case name == "":
		return "an empty key name"
	case strings.Contains(name, `\`):
		return "a key name with a backslash inside"
	case strings.ContainsAny(name, "\r\n"):
		return "a key name with a line break inside"
	case strings.Contains(name, "\x00"):
		return "a key name with a NUL inside"
	case len(name) > maxKeyName && cursor.UnitLen(name) > maxKeyName:
		return fmt.Sprintf("a key name of more than %d characters", maxKeyName)
	}
	return ""
}

func checkValueName(name string) string {
	switch {
	case strings.ContainsAny(name, "\r\n"):
		return "a value name with a line break inside"
	case strings.Contains(name, "\x00"):
		return "a value name with a NUL inside"
	case len(name) > maxValueName && cursor.UnitLen(name) > maxValueName:
		return fmt.Sprintf("a value name of more than %d characters", maxValueName)
	}
	return ""
}

var errNoKey = errors.New("a value is to be written to .reg text outside of any section")

// Value writes a value of the current section; "" names the default value.
// Data is as the registry holds it.
func (w *Writer) Value(name string, t hive.Type, data []byte) error {
	if err := w.checkValue(name); err != nil {
		return err
	}
	if w.codePage != nil {
		var reason string
		if data, reason = w.narrowed(t, data); reason != "" {
			return w.cannot(name, reason)
		}
	}
	w.text = appendValue(w.text[:0], name, t, data, w.opt.Dialect)
	if !w.emit(w.text) {
		return w.cannot(name, w.outsideCodePage())
	}
	return w.err
}

// DeleteValue writes a line that deletes a value of the current section.
func (w *Writer) DeleteValue(name string) error {
	if err := w.checkValue(name); err != nil {
		return err
	}
	w.text = append(appendName(w.text[:0], name), "=-"+crlf...)
	if !w.emit(w.text) {
		return w.cannot(name, w.outsideCodePage())
	}
	return w.err
}

func (w *Writer) checkValue(name string) error {
	if w.err != nil {
		return w.err
	}
	if !w.hasKey {
		return errNoKey
	}
	if reason := checkValueName(name); reason != "" {
		return w.cannot(name, reason)
	}
	return nil
}

func (w *Writer) cannot(name, reason string) error {
	return &UnrepresentableError{Key: w.key, Value: name, IsValue: true, Reason: reason}
}

// narrowed returns data as REGEDIT4 text has it: REG_EXPAND_SZ and
// REG_MULTI_SZ in bytes of the code page. A reason says why that cannot be.
func (w *Writer) narrowed(t hive.Type, data []byte) (out []byte, reason string) {
	text := t == hive.RegSZ || t == hive.RegExpandSZ || t == hive.RegMultiSZ
	switch {
	case text && len(data)%2 != 0:
		return nil, "a string of an odd number of bytes in the regedit4 dialect"
	case !text || t == hive.RegSZ:
		return data, ""
	}
	out, ok := w.codePage.appendBytes(nil, appendNarrow(nil, data))
	if !ok {
		return nil, w.outsideCodePage()
	}
	return out, ""
}

// Close ends the text and writes what is left. It does not close the
// underlying writer.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	w.emit([]byte(crlf))
	w.flush()
	return w.err
}
