package regtext

import (
	"encoding/binary"

	"hivemend/hive"
)

// valueLine reads a line that begins with a quote or @ at i, and what
// continues it.
func (p *parser) valueLine(i, end int) {
	if !p.hasKey {
		p.fail(CodeNoKey, i, "the value %s stands below no key that was read, and was ignored", p.excerpt(i, end))
		return
	}
	line, column := p.line, i-p.lineStart+1
	name, i, ok := p.valueName(i, end)
	if !ok {
		return
	}
	i = p.skipBlanks(i, end)
	if i == end || p.unit(i) != '=' {
		p.fail(CodeData, i, "= is missing behind the name of the value; the line was ignored")
		return
	}
	i = p.skipBlanks(i+1, end)
	op := Op{Kind: SetValue, Name: name}
	if !p.valueData(i, end, &op) {
		return
	}
	p.add(op, line, column)
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
		p.failQuoted(fault, stop, "the name of a value")
		return "", 0, false
	case stop == end:
		p.fail(CodeName, i, "the name of a value does not end with a quote in this line; the line was ignored")
		return "", 0, false
	}
	wide := p.slice(start, stop)
	if escapes {
		wide = p.unescape(start, stop)
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

// unescape returns the text from start to end without its escaping
// backslashes. The result is good until the next call.
func (p *parser) unescape(start, end int) []byte {
	out := p.scratch[:0]
	for i := start; i < end; i++ {
		u := p.unit(i)
		if u == '\\' && i+1 < end {
			i++
			switch u = p.unit(i); u {
			case 'n':
				u = '\n'
			case 'r':
				u = '\r'
			}
		}
		out = append(out, byte(u), byte(u>>8))
	}
	p.scratch = out
	return out
}

func (p *parser) failQuoted(fault string, i int, what string) {
	if fault == CodeNUL {
		p.fail(fault, i, "a NUL character stands in %s; the value was not read", what)
		return
	}
	p.fail(fault, i, `a backslash in %s may stand only before another one or before a quote, here it is %s; the value was not read`, what, p.excerpt(i, min(i+2, p.lineEndOf(i))))
}

// lineEndOf is lineEnd for a position that lies in the current line or behind.
func (p *parser) lineEndOf(i int) int {
	for i < p.end() && p.unit(i) != '\n' && p.unit(i) != '\r' {
		i++
	}
	return i
}

// stringData reads the text of a REG_SZ from i, behind its opening quote.
func (p *parser) stringData(i, end int) (data []byte, ok bool) {
	stop, escapes, fault := p.scanQuoted(i, end)
	switch {
	case fault != "":
		p.failQuoted(fault, stop, "a string")
		return nil, false
	case stop == end:
		return p.multilineData(i, end)
	case !p.isTail(stop+1, end):
		p.fail(CodeString, stop+1, "only a comment may follow the quote that ends a string; a quote inside must be written as \\\"; the value was not read")
		return nil, false
	}
	wide := p.slice(i, stop)
	if escapes {
		wide = p.unescape(i, stop)
	}
	return p.terminated(wide), true
}

// terminated returns a copy of wide with a NUL behind it.
func (p *parser) terminated(wide []byte) []byte {
	data := p.alloc(len(wide) + 2)
	copy(data, wide)
	data[len(wide)], data[len(wide)+1] = 0, 0
	return data
}

// multilineData reads a REG_SZ that does not end in its first line, which
// ends at firstEnd: Registry Editor exports line breaks inside a string as
// they are. Where the text that follows does not end like one, the value is
// given up and reading goes on in the line below the first.
func (p *parser) multilineData(start, firstEnd int) (data []byte, ok bool) {
	stop, escapes, ok := p.findClosing(firstEnd)
	if !ok {
		p.fail(CodeString, start-1, "the string has no closing quote; the value was not read")
		return nil, false
	}
	p.report(Note, CodeMultiline, p.line, start-p.lineStart, "the string goes over several lines")
	_, moreEscapes, _ := p.scanQuoted(start, firstEnd)
	wide := p.slice(start, stop)
	if escapes || moreEscapes {
		wide = p.unescape(start, stop)
	}
	wide = p.foldBreaks(wide)
	for p.pos <= stop {
		p.nextLine()
	}
	return p.terminated(wide), true
}

// findClosing looks for the quote that ends a string of several lines, whose
// first line ends at i.
func (p *parser) findClosing(i int) (stop int, escapes, ok bool) {
	for i < p.end() {
		i = p.skipBreak(i)
		end := p.lineEndOf(i)
		if p.isSectionStart(i, end) {
			return 0, false, false
		}
		at, esc, fault := p.scanQuoted(i, end)
		escapes = escapes || esc
		if fault != "" {
			return 0, false, false
		}
		if at < end {
			return at, escapes, p.isTail(at+1, end)
		}
		i = end
	}
	return 0, false, false
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

// foldBreaks drops the CR before each LF: Registry Editor writes the line
// feed of a string as both.
func (p *parser) foldBreaks(wide []byte) []byte {
	out := make([]byte, 0, len(wide))
	for i := 0; i+1 < len(wide); i += 2 {
		if i+3 < len(wide) && wide[i] == '\r' && wide[i+1] == 0 && wide[i+2] == '\n' && wide[i+3] == 0 {
			continue
		}
		out = append(out, wide[i], wide[i+1])
	}
	return out
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
