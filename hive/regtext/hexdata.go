package regtext

import (
	"encoding/binary"

	"hivemend/hive"
)

// noDigit marks what is no hexadecimal digit in hexDigits.
const noDigit = 0xff

var hexDigits = func() (t [256]byte) {
	for i := range t {
		t[i] = noDigit
	}
	for i := byte(0); i < 10; i++ {
		t['0'+i] = i
	}
	for i := byte(0); i < 6; i++ {
		t['a'+i], t['A'+i] = 10+i, 10+i
	}
	return t
}()

// hexDigit returns the number of the hexadecimal digit at i, or noDigit.
func (p *parser) hexDigit(i int) byte {
	if p.b[2*i+1] != 0 {
		return noDigit
	}
	return hexDigits[p.b[2*i]]
}

// hexType reads the (type): or : that follows hex at i, and returns the
// position behind the colon.
func (p *parser) hexType(i, end int) (t hive.Type, next int, ok bool) {
	if i < end && p.unit(i) == ':' {
		return hive.RegBinary, i + 1, true
	}
	if i == end || p.unit(i) != '(' {
		return 0, 0, false
	}
	i++
	n, start := uint64(0), i
	for ; i < end; i++ {
		digit := p.hexDigit(i)
		if digit == noDigit {
			break
		}
		if n = n<<4 | uint64(digit); n > 0xffffffff {
			return 0, 0, false
		}
	}
	if i == start || !p.hasText(i, end, "):") {
		return 0, 0, false
	}
	return hive.Type(n), i + len("):"), true
}

// segmentEnd says how one line of a list of bytes ends.
type segmentEnd uint8

const (
	listEnds segmentEnd = iota
	listContinues
	listBroken
)

// hexData reads a list of bytes from i on, over as many lines as it has.
func (p *parser) hexData(i, end int, t hive.Type) (data []byte, ok bool) {
	p.scratch = p.scratch[:0]
	code := CodeHex
	how := p.hexSegment(i, end, code)
	for how == listContinues {
		code = CodeCont
		start, stop, ok := p.continuation()
		if !ok {
			break // the file ends behind the backslash: Windows takes what there is
		}
		if p.hexDigit(start) == noDigit {
			p.failContinuation(start, stop)
			return nil, false
		}
		how = p.hexSegment(start, stop, code)
	}
	if how == listBroken {
		return nil, false
	}
	return p.typedBytes(p.scratch, t), true
}

// continuation moves to the next line that is neither blank nor a comment and
// returns where its text lies.
func (p *parser) continuation() (start, end int, ok bool) {
	for {
		start, end, ok = p.nextLine()
		if !ok {
			return 0, 0, false
		}
		start = p.skipBlanks(start, end)
		if start < end && p.unit(start) != ';' {
			return start, end, true
		}
	}
}

// failContinuation reports a line that should go on with a list of bytes, but
// does not. Windows drops both the value and the line.
func (p *parser) failContinuation(start, end int) {
	if p.unit(start) == '[' {
		p.fail(CodeContSwallow, start, "the list of bytes in the line above ends with a backslash, so Windows takes the section header %s for its continuation and drops both; the values below would land in the key above", p.excerpt(start, end))
		return
	}
	p.fail(CodeCont, start, "the list of bytes in the line above goes on here, but %s is no byte; neither this line nor the value was read", p.excerpt(start, end))
}

// hexSegment reads the bytes of one line and appends them to p.scratch.
func (p *parser) hexSegment(i, end int, code string) segmentEnd {
	i = p.hexRun(i, end)
	for {
		i = p.skipBlanks(i, end)
		if i == end || p.unit(i) == ';' {
			return listEnds
		}
		if p.unit(i) == '\\' {
			if p.isTail(i+1, end) {
				return listContinues
			}
			p.fail(code, i+1, "only a comment may follow the backslash at the end of a line; the value was not read")
			return listBroken
		}
		high := p.hexDigit(i)
		if high == noDigit {
			p.fail(code, i, "a byte of two hexadecimal digits is wanted here, found %s; the value was not read", p.excerpt(i, end))
			return listBroken
		}
		value := high
		i++
		if i < end {
			if low := p.hexDigit(i); low != noDigit {
				value = high<<4 | low
				i++
			}
		}
		p.scratch = append(p.scratch, value)
		if i < end && p.unit(i) == ',' {
			i = p.hexRun(i+1, end)
			continue
		}
		if p.isTail(i, end) {
			return listEnds
		}
		p.fail(code, i, "a comma is wanted between bytes, and before the backslash at the end of a line, found %s; the value was not read", p.excerpt(i, end))
		return listBroken
	}
}

// hexRun reads bytes of the regular form, two digits and a comma, as long as
// they last, and returns the position behind them. This is where the time of
// reading an export goes.
func (p *parser) hexRun(i, end int) int {
	const (
		triple  = 6                     // bytes of text that hold two digits and a comma
		highs   = 0x0000_ff00_ff00_ff00 // where ASCII has zeros
		comma   = uint64(',') << 32
		commaAt = 0x0000_00ff_0000_0000
	)
	b := p.b[2*i : 2*end]
	out := p.scratch
	for len(b) >= 8 {
		v := binary.LittleEndian.Uint64(b)
		high, low := hexDigits[byte(v)], hexDigits[byte(v>>16)]
		if v&highs != 0 || v&commaAt != comma || high|low > 0xf {
			break
		}
		out = append(out, high<<4|low)
		b = b[triple:]
	}
	p.scratch = out
	return end - len(b)/2
}

// typedBytes returns a copy of a list of bytes as the registry would hold it.
func (p *parser) typedBytes(list []byte, t hive.Type) []byte {
	text := t == hive.RegSZ || t == hive.RegExpandSZ || t == hive.RegMultiSZ
	if text && len(list) > 0 {
		switch {
		case p.file.Version == V4:
			return p.widened(list)
		case p.opt.TerminateStrings && !endsWithNUL(list):
			list = append(list, 0, 0)
		}
	}
	data := p.alloc(len(list))
	copy(data, list)
	return data
}

func endsWithNUL(b []byte) bool {
	return len(b) >= 2 && len(b)%2 == 0 && b[len(b)-1] == 0 && b[len(b)-2] == 0
}

// widened turns the string bytes of REGEDIT4 text, which are characters of a
// code page, into UTF-16LE with one NUL at the end.
func (p *parser) widened(list []byte) []byte {
	if e := p.file.Encoding; e != EightBit && e != UTF8 && looksWide(list) {
		p.report(Warning, CodeWide, p.line, 1, "REGEDIT4 text wants strings in bytes of a code page, but these are UTF-16 already; they were taken as they are")
		return append([]byte(nil), list...)
	}
	if list[len(list)-1] != 0 {
		list = append(list, 0)
	}
	data, err := p.codePage.appendUTF16(make([]byte, 0, 2*len(list)), list)
	if err != nil {
		p.err = p.named(err)
	}
	return data
}

// looksWide reports whether b looks like Latin text in UTF-16LE with its NUL.
func looksWide(b []byte) bool {
	if !endsWithNUL(b) {
		return false
	}
	for i := 1; i < len(b); i += 2 {
		if b[i] != 0 {
			return false
		}
	}
	return true
}
