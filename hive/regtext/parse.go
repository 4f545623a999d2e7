package regtext

import (
	"bytes"
	"fmt"
	"strings"

	"hivemend/hive"
	"hivemend/hive/cursor"
)

// Options say how text is read. The zero value reads what Registry Editor
// reads, and a little more.
type Options struct {
	// File is the name that errors and diagnostics give the text.
	File string
	// CodePage is the Windows code page of 8-bit text and of the string bytes
	// in REGEDIT4 text. 0 guesses the former and takes 1252 for the latter.
	CodePage int
	// Strict refuses text that gives any diagnostic.
	Strict bool
	// AllowSwallowed reads on, as Registry Editor does, where a list of bytes
	// that is continued swallows a section header. Without it that is an
	// error, because the values below it would land in the key above.
	AllowSwallowed bool
	// AnyRoot takes sections whose path begins with no registry root as they
	// are, such as [(HiveRoot)\Select] or [\Microsoft], which other programs
	// write. The path may then be empty.
	AnyRoot bool
	// WineEscapes reads \n and \r in strings as line feed and carriage return,
	// which Wine writes. Registry Editor knows no such escapes.
	WineEscapes bool
	// TerminateStrings adds the final NUL where hex(1), hex(2) or hex(7) data
	// of version 5 text lacks it. Without it the bytes are taken as they are.
	TerminateStrings bool
	// MaxDiagnostics is how many diagnostics are kept; 0 means 100. The others
	// are counted.
	MaxDiagnostics int
}

const defaultMaxDiagnostics = 100

// Limits of the registry. A key or value beyond them is not read.
const (
	maxKeyName   = 255               // units; Microsoft, "Registry element size limits"
	maxValueName = 16383             // units; the same
	maxPath      = hive.MaxDepth + 2 // names: the root, the hive's mount point, and the levels below
)

// Bounds on what one file may unfold into, so that memory stays in proportion
// to its size: an op or a key of a tree takes about a hundred times the space
// of the shortest line. A file that Windows exported never comes near.
const (
	entriesFree   = 1 << 20 // this many ops, and keys, are always allowed
	bytesPerEntry = 64      // beyond that, one for each so many bytes of UTF-16
)

// parser reads one file, line by line. Positions are counted in UTF-16 units.
type parser struct {
	opt      Options
	file     *File
	codePage *codePage

	b      []byte // the text as UTF-16LE, without byte order mark
	cutOff bool   // the file ended in the middle of a unit

	pos       int // where the next line begins
	lineStart int // where the current line begins
	line      int // the number of the current line, from 1
	lf, cr    int // where the next LF and CR stand, at or behind pos

	path    hive.Path // of the current section
	hasKey  bool      // whether there is a current section
	last    lastPath
	keys    int // how many names of keys were newly seen, for the bound
	scratch []byte
	arena   []byte
	names   map[string]string

	muted     bool        // whether only a swallowed section is still told
	swallowed *Diagnostic // what refuses the file without AllowSwallowed
	first     *Diagnostic
	err       error // what ends the reading: a bound
}

// Parse reads .reg text in any of its encodings and versions. Text that has
// no valid header, or that is another kind of file, is an error; everything
// else that Registry Editor would skip is told in File.Diagnostics. With
// Options.Strict, and where a section header is swallowed, the error is a
// *RefusedError.
//
// Data is not changed and not kept.
func Parse(data []byte, opt Options) (*File, error) {
	if err := stranger(opt.File, data); err != nil {
		return nil, err
	}
	if opt.MaxDiagnostics <= 0 {
		opt.MaxDiagnostics = defaultMaxDiagnostics
	}
	p := &parser{opt: opt, file: &File{Name: opt.File}, names: make(map[string]string), lf: -1, cr: -1}
	if err := p.decode(data); err != nil {
		return nil, p.named(err)
	}
	if err := p.header(); err != nil {
		return nil, err
	}
	if p.file.Version == Win31 {
		p.eachLine(p.win31Line)
	} else {
		p.eachLine(p.regLine)
	}
	if p.cutOff {
		p.report(Error, CodeOddByte, p.line, p.end()-p.lineStart+1, "the file ends in the middle of a character: its last byte was not read")
	}
	return p.verdict()
}

func (p *parser) named(err error) error {
	if p.opt.File == "" {
		return err
	}
	return fmt.Errorf("%s: %w", p.opt.File, err)
}

// verdict ends the reading.
func (p *parser) verdict() (*File, error) {
	cause := p.swallowed
	switch {
	case p.err != nil:
		return nil, p.err
	case p.opt.Strict:
		cause = p.first
	case p.opt.AllowSwallowed:
		cause = nil
	}
	if cause != nil {
		return nil, &RefusedError{Cause: *cause, Diagnostics: p.file.Diagnostics, More: p.file.MoreDiagnostics}
	}
	return p.file, nil
}

// header reads the first line.
func (p *parser) header() error {
	start, end, _ := p.nextLine()
	i := p.skipBlanks(start, end)
	stop := end
	for stop > i && isBlank(p.unit(stop-1)) {
		stop--
	}
	if stop-i <= len(versionHeaders[V5]) {
		line := string(appendNarrow(nil, p.slice(i, stop)))
		for v, header := range versionHeaders {
			if line == header {
				p.file.Version = Version(v)
				if stop < end {
					p.report(Warning, CodeHeaderBlank, 1, stop-start+1, "blanks stand behind the header; Windows would refuse this file, or read nothing from it")
				}
				return nil
			}
		}
	}
	found := p.excerpt(i, end).String()
	if strings.HasPrefix(string(appendNarrow(nil, p.slice(i, min(stop, i+len("REGEDIT"))))), "REGEDIT") {
		found += ", a header with which Registry Editor imports nothing and says nothing"
	}
	return &hive.FormatError{
		File: p.opt.File, Struct: "header of .reg text", Offset: 0,
		Want: `"Windows Registry Editor Version 5.00" or "REGEDIT4" in the first line`, Found: found,
	}
}

// eachLine calls read with every line that is left, without its end.
func (p *parser) eachLine(read func(start, end int)) {
	for p.err == nil {
		start, end, ok := p.nextLine()
		if !ok {
			return
		}
		read(start, end)
	}
}

// regLine reads one line of REGEDIT4 or version 5 text, and the lines that
// continue it.
func (p *parser) regLine(start, end int) {
	i := p.skipBlanks(start, end)
	if i == end {
		return
	}
	switch p.unit(i) {
	case ';':
	case '[':
		p.keyLine(i, end)
	case '"', '@':
		if !p.hasKey {
			p.strayValueLine(i, end)
			return
		}
		p.valueLine(i, end)
	default:
		p.fail(CodeIgnored, i, "the line %s is neither a key, a value nor a comment, and was ignored", p.excerpt(i, end))
	}
}

// end is the length of the text.
func (p *parser) end() int { return len(p.b) / 2 }

func (p *parser) unit(i int) uint16 { return uint16(p.b[2*i]) | uint16(p.b[2*i+1])<<8 }

// slice is the text from start to end as UTF-16LE.
func (p *parser) slice(start, end int) []byte { return p.b[2*start : 2*end] }

// nextLine moves to the next line and returns where it lies, without its end.
// ok is false when there is none left.
func (p *parser) nextLine() (start, end int, ok bool) {
	if p.line > 0 && p.pos >= p.end() {
		return p.pos, p.pos, false
	}
	start = p.pos
	end = p.lineEnd(start)
	p.line++
	p.lineStart = start
	p.pos = p.skipBreak(end)
	return start, end, true
}

// lineEnd returns where the line that holds position i ends. Calls must not
// go back: the next LF and CR are remembered, so that the text is searched
// once for each.
func (p *parser) lineEnd(i int) int {
	if p.lf < i {
		p.lf = p.find('\n', i)
	}
	if p.cr < i {
		p.cr = p.find('\r', i)
	}
	return min(p.lf, p.cr)
}

// skipBreak returns the position behind the line break at i, if any: CR LF,
// LF, or CR.
func (p *parser) skipBreak(i int) int {
	if i < p.end() && p.unit(i) == '\r' {
		i++
		if i < p.end() && p.unit(i) == '\n' {
			i++
		}
		return i
	}
	if i < p.end() {
		i++
	}
	return i
}

// find returns the position of the next ASCII character c from i on, or the end.
func (p *parser) find(c byte, i int) int {
	for at := 2 * i; at < len(p.b); {
		n := bytes.IndexByte(p.b[at:], c)
		if n < 0 {
			break
		}
		at += n
		if at%2 == 0 && p.b[at+1] == 0 {
			return at / 2
		}
		at++
	}
	return p.end()
}

func isBlank(u uint16) bool { return u == ' ' || u == '\t' }

func (p *parser) skipBlanks(i, end int) int {
	for i < end && isBlank(p.unit(i)) {
		i++
	}
	return i
}

// isTail reports whether nothing but blanks and a comment follows from i on.
func (p *parser) isTail(i, end int) bool {
	i = p.skipBlanks(i, end)
	return i == end || p.unit(i) == ';'
}

// hasText reports whether the ASCII text stands at i.
func (p *parser) hasText(i, end int, text string) bool {
	if end-i < len(text) {
		return false
	}
	for k := 0; k < len(text); k++ {
		if p.unit(i+k) != uint16(text[k]) {
			return false
		}
	}
	return true
}

// excerptLen is how many units of a line a diagnostic quotes.
const excerptLen = 40

// excerpt is a stretch of the text for a diagnostic to quote. It is put into
// words only when the diagnostic is kept.
type excerpt struct {
	p          *parser
	start, end int
}

func (p *parser) excerpt(start, end int) excerpt { return excerpt{p, start, end} }

// String returns the text in quotes, cut where it is long.
func (e excerpt) String() string {
	end, cut := e.end, ""
	if end-e.start > excerptLen {
		end, cut = e.start+excerptLen, "..."
	}
	return `"` + hive.Printable(cursor.String(e.p.slice(e.start, end))) + cut + `"`
}

// fail reports an error at position i of the current line.
func (p *parser) fail(code string, i int, format string, args ...any) {
	if p.muted && code != CodeContSwallow {
		return
	}
	if p.full() && (code != CodeContSwallow || p.swallowed != nil) {
		p.file.MoreDiagnostics++
		return
	}
	p.report(Error, code, p.line, i-p.lineStart+1, fmt.Sprintf(format, args...))
}

func (p *parser) full() bool { return len(p.file.Diagnostics) >= p.opt.MaxDiagnostics }

func (p *parser) report(sev Severity, code string, line, column int, text string) {
	if p.muted && code != CodeContSwallow {
		return
	}
	d := Diagnostic{File: p.opt.File, Line: line, Column: column, Code: code, Severity: sev, Text: text}
	if p.first == nil {
		p.first = &d
	}
	if code == CodeContSwallow && p.swallowed == nil {
		p.swallowed = &d
	}
	if p.full() {
		p.file.MoreDiagnostics++
		return
	}
	p.file.Diagnostics = append(p.file.Diagnostics, d)
}

// add appends an op of the current section, which began at column i of the
// given line.
func (p *parser) add(op Op, line, column int) {
	if bound := entriesFree + len(p.b)/bytesPerEntry; len(p.file.Ops) >= bound {
		p.tooMany("entries", bound)
		return
	}
	op.Key, op.Line, op.Column = p.path, line, column
	p.file.Ops = append(p.file.Ops, op)
}

func (p *parser) tooMany(what string, bound int) {
	p.err = &hive.FormatError{
		File: p.opt.File, Struct: fmt.Sprintf(".reg text, line %d", p.line), Offset: -1,
		Want: fmt.Sprintf("at most %d %s in a file of this size", bound, what), Found: "more",
	}
}

// alloc returns n bytes that belong to the caller. Small pieces share a block.
func (p *parser) alloc(n int) []byte {
	const block = 1 << 16
	if n > block/8 {
		return make([]byte, n)
	}
	if n > len(p.arena) {
		p.arena = make([]byte, block)
	}
	piece := p.arena[:n:n]
	p.arena = p.arena[n:]
	return piece
}
