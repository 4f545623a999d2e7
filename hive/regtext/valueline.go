package regtext

import (
	"encoding/binary"

	"hivemend/hive"
)

// valueLine reads a line that begins with a quote or @ at i, and what
// continues it.
func (p *parser) valueLine(i, end int) {
	line, column := p.line, i-p.lineStart+1
	if op, ok := p.value(i, end); ok {
		p.add(op, line, column)
	}
}

// strayValueLine reads a line like valueLine where there is no section for
// it. It comes to nothing, but goes on over as many lines as it would in one.
func (p *parser) strayValueLine(i, end int) {
	p.fail(CodeNoKey, i, "the value %s belongs to no key, because no section was read above it or the one above deletes its key; it was ignored", p.excerpt(i, end))
	p.muted = true
	p.value(i, end)
	p.muted = false
}

// value reads the value at i.
func (p *parser) value(i, end int) (op Op, ok bool) {
	name, i, ok := p.valueName(i, end)
	if !ok {
		return Op{}, false
	}
	i = p.skipBlanks(i, end)
	if i == end || p.unit(i) != '=' {
		p.fail(CodeData, i, "= is missing behind the name of the value; the line was ignored")
		return Op{}, false
	}
	op = Op{Kind: SetValue, Name: name}
	ok = p.valueData(p.skipBlanks(i+1, end), end, &op)
	return op, ok
}

// valueData reads what stands behind the = from i on into op.
func (p *parser) valueData(i, end int, op *Op) (ok bool) {
	switch {
	case i == end:
	case p.unit(i) == '"':
		op.Type = hive.RegSZ
		op.Data, ok = p.stringData(i+1, end)
		return ok
	case p.unit(i) == '-':
		op.Kind = DeleteValue
		if !p.isTail(i+1, end) {
			p.fail(CodeData, i+1, "only a comment may follow the - that deletes a value; the line was ignored")
			return false
		}
		return true
	case p.hasText(i, end, "hex"):
		if t, start, ok := p.hexType(i+len("hex"), end); ok {
			op.Type = t
			op.Data, ok = p.hexData(start, end, t)
			return ok
		}
	case p.hasText(i, end, "dword:"):
		op.Type = hive.RegDWORD
		op.Data, ok = p.dwordData(i+len("dword:"), end)
		return ok
	}
	p.fail(CodeData, i, `the data is none of "text", dword:, hex:, hex(type): and -; the value was not read`)
	return false
}

// valueName reads @ or a quoted name at i and returns the position behind it.
func (p *parser) valueName(i, end int) (name string, next int, ok bool) {
	if p.unit(i) == '@' {
		return "", i + 1, true
	}
	start := i + 1
	stop, escapes, fault := p.scanQuoted(start, end)
	switch {
	case fault != "":
		p.failQuoted(fault, stop, end, "the name of a value")
		return "", 0, false
	case stop == end:
		p.fail(CodeName, i, "the name of a value does not end with a quote in this line; the line was ignored")
		return "", 0, false
	}
	wide := p.slice(start, stop)
	if escapes {
		p.scratch = p.appendUnquoted(p.scratch[:0], start, stop)
		wide = p.scratch
	}
	if units := len(wide) / 2; units > maxValueName {
		p.fail(CodeNameLength, i, "the name of the value has %d characters, Windows allows %d; the value was not read", units, maxValueName)
		return "", 0, false
	}
	return p.nameString(wide), stop + 1, true
}

// nameString returns wide as a string. The same few names stand in most keys,
// so short ones are shared.
func (p *parser) nameString(wide []byte) string {
	const shared, most = 64, 1 << 12
	var buf [4 * shared]byte
	text := appendNarrow(buf[:0], wide)
	if s, ok := p.names[string(text)]; ok {
		return s
	}
	s := string(text)
	if len(s) <= shared && len(p.names) < most {
		p.names[s] = s
	}
	return s
}

// scanQuoted looks for the quote that ends the text from i on, and returns
// its position, or end where there is none. With a fault (the code of a
// diagnostic) it returns the position of the fault.
func (p *parser) scanQuoted(i, end int) (stop int, escapes bool, fault string) {
	b := p.b[: 2*end : 2*end]
	for at := 2 * i; at+1 < len(b); at += 2 {
		if b[at+1] != 0 {
			continue
		}
		switch b[at] {
		case '"':
			return at / 2, escapes, ""
		case 0:
			return at / 2, escapes, CodeNUL
		case '\\':
			escapes = true
			if at+3 >= len(b) || b[at+3] != 0 || !p.isEscape(b[at+2]) {
				return at / 2, escapes, CodeEscape
			}
			at += 2
		}
	}
	return end, escapes, ""
}

func (p *parser) isEscape(c byte) bool {
	return c == '\\' || c == '"' || p.opt.WineEscapes && (c == 'n' || c == 'r')
}

// appendUnquoted appends to dst what the quoted text from start to end stands
// for: without the backslashes that escape, and without the CR before each LF,
// because Registry Editor writes the line feed of a string as both.
func (p *parser) appendUnquoted(dst []byte, start, end int) []byte {
	for i := start; i < end; i++ {
		u := p.unit(i)
		switch {
		case u == '\r' && i+1 < end && p.unit(i+1) == '\n':
			continue
		case u == '\\' && i+1 < end:
			i++
			u = p.escaped(p.unit(i))
		}
		dst = append(dst, byte(u), byte(u>>8))
	}
	return dst
}

// escaped returns what the character u stands for behind a backslash.
func (p *parser) escaped(u uint16) uint16 {
	switch {
	case p.opt.WineEscapes && u == 'n':
		return '\n'
	case p.opt.WineEscapes && u == 'r':
		return '\r'
	}
	return u
}

// failQuoted reports a fault that scanQuoted found at i, in a line that ends at end.
func (p *parser) failQuoted(fault string, i, end int, what string) {
	if fault == CodeNUL {
		p.fail(fault, i, "a NUL character stands in %s; the value was not read", what)
		return
	}
	p.fail(fault, i, `a backslash in %s may stand only before another one or before a quote, here it is %s; the value was not read`, what, p.excerpt(i, min(i+2, end)))
}

// lineEndOf is lineEnd for any position, without the memory of it.
func (p *parser) lineEndOf(i int) int {
	for i < p.end() && p.unit(i) != '\n' && p.unit(i) != '\r' {
		i++
	}
	return i
}

// longString is the number of units from which a string is read straight to
// where it stays.
const longString = 1 << 15

// stringData reads the text of a REG_SZ from i, behind its opening quote.
func (p *parser) stringData(i, end int) (data []byte, ok bool) {
	stop, escapes, fault := p.scanQuoted(i, end)
	switch {
	case fault != "":
		p.failQuoted(fault, stop, end, "a string")
		return nil, false
	case stop == end:
		return p.multilineData(i, end)
	case !p.isTail(stop+1, end):
		p.fail(CodeString, stop+1, "only a comment may follow the quote that ends a string; a quote inside must be written as \\\"; the value was not read")
		return nil, false
	}
	if escapes {
		return p.unquoted(i, stop), true
	}
	return p.terminated(p.slice(i, stop)), true
}

// terminated returns a copy of wide with a NUL behind it.
func (p *parser) terminated(wide []byte) []byte {
	data := p.alloc(len(wide) + 2)
	copy(data, wide)
	data[len(wide)], data[len(wide)+1] = 0, 0
	return data
}

// unquoted returns what the quoted text from start to end stands for, with a
// NUL behind it.
func (p *parser) unquoted(start, end int) []byte {
	if n := end - start; n > longString {
		// A text of such length is not held twice.
		data := p.appendUnquoted(make([]byte, 0, 2*n+2), start, end)
		return append(data, 0, 0)
	}
	p.scratch = p.appendUnquoted(p.scratch[:0], start, end)
	return p.terminated(p.scratch)
}

// multilineData reads a REG_SZ that does not end in its first line, which
// ends at firstEnd: Registry Editor exports line breaks inside a string as
// they are. Where the text that follows does not end like one, the value is
// given up and reading goes on in the line below the first.
func (p *parser) multilineData(start, firstEnd int) (data []byte, ok bool) {
	stop, ok := p.findClosing(firstEnd)
	if !ok {
		p.fail(CodeString, start-1, "the string has no closing quote; the value was not read")
		return nil, false
	}
	p.report(Note, CodeMultiline, p.line, start-p.lineStart, "the string goes over several lines")
	for p.pos <= stop {
		p.nextLine()
	}
	return p.unquoted(start, stop), true
}

// findClosing looks for the quote that ends a string of several lines, whose
// first line ends at i.
func (p *parser) findClosing(i int) (stop int, ok bool) {
	for i < p.end() {
		i = p.skipBreak(i)
		end := p.lineEndOf(i)
		if p.isSectionStart(i, end) {
			return 0, false
		}
		at, _, fault := p.scanQuoted(i, end)
		if fault != "" {
			return 0, false
		}
		if at < end {
			return at, p.isTail(at+1, end)
		}
		i = end
	}
	return 0, false
}

// isSectionStart reports whether the line from i to end begins a section of a
// known registry root.
func (p *parser) isSectionStart(i, end int) bool {
	i = p.skipBlanks(i, end)
	if i == end || p.unit(i) != '[' {
		return false
	}
	i++
	if i < end && p.unit(i) == '-' {
		i++
	}
	stop := i
	for stop < end && stop-i < len("HKEY_PERFORMANCE_DATA")+1 && p.unit(stop) != '\\' && p.unit(stop) != ']' {
		stop++
	}
	_, ok := hive.RootName(string(appendNarrow(nil, p.slice(i, stop))))
	return ok
}

// dwordData reads the digits of a REG_DWORD from i, behind the colon.
func (p *parser) dwordData(i, end int) (data []byte, ok bool) {
	i = p.skipBlanks(i, end)
	n, start := uint32(0), i
	for ; i < end && i-start <= 8; i++ {
		digit := p.hexDigit(i)
		if digit > 0xf {
			break
		}
		n = n<<4 | uint32(digit)
	}
	if i == start || i-start > 8 || !p.isTail(i, end) {
		p.fail(CodeDWORD, start, "dword: wants 1 to 8 hexadecimal digits and nothing but a comment behind them; the value was not read")
		return nil, false
	}
	data = p.alloc(4)
	binary.LittleEndian.PutUint32(data, n)
	return data, true
}
