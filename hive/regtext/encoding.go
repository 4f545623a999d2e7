package regtext

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"

	"hivemend/hive"
)

var (
	bomUTF16LE = []byte{0xff, 0xfe}
	bomUTF16BE = []byte{0xfe, 0xff}
	bomUTF8    = []byte{0xef, 0xbb, 0xbf}
)

// sniffLen is how many bytes at the start of a file decide what it is.
const sniffLen = 512

// detect tells the encoding of a file, but for the code page of 8-bit text,
// and how long its byte order mark is.
func detect(data []byte) (e Encoding, bom int) {
	switch {
	case bytes.HasPrefix(data, bomUTF16LE):
		return UTF16LE, len(bomUTF16LE)
	case bytes.HasPrefix(data, bomUTF16BE):
		return UTF16BE, len(bomUTF16BE)
	case bytes.HasPrefix(data, bomUTF8):
		return UTF8, len(bomUTF8)
	case len(data) >= 4 && data[0] != 0 && data[1] == 0 && data[2] != 0 && data[3] == 0:
		return UTF16LENoBOM, 0
	}
	return EightBit, 0
}

// Sniff reports whether data, the first few hundred bytes of a file or all of
// it, looks like .reg text: whether it begins with a header that Parse reads
// or can name the fault of, in any encoding. Wine's own registry files count,
// because Parse says what they are.
func Sniff(data []byte) bool {
	line := strings.ToUpper(strings.TrimLeft(head(data), " \t\r\n"))
	return strings.HasPrefix(line, "WINDOWS REGISTRY EDITOR") || strings.HasPrefix(line, "REGEDIT") || strings.HasPrefix(line, wineHeader)
}

// head returns the ASCII characters at the start of data, whatever their
// encoding, up to the first other one.
func head(data []byte) string {
	e, bom := detect(data)
	data = data[bom:]
	if len(data) > sniffLen {
		data = data[:sniffLen]
	}
	step, low := 1, 0
	switch e {
	case UTF16LE, UTF16LENoBOM:
		step = 2
	case UTF16BE:
		step, low = 2, 1
	}
	var b strings.Builder
	for i := 0; i+step <= len(data); i += step {
		if step == 2 && data[i+1-low] != 0 || data[i+low] >= utf8.RuneSelf || data[i+low] == 0 {
			break
		}
		b.WriteByte(data[i+low])
	}
	return b.String()
}

// wineHeader begins the files in which Wine keeps its registry.
const wineHeader = "WINE REGISTRY VERSION"

// strangers are kinds of file that are handed to a reader of .reg text by
// mistake, by how they begin.
var strangers = []struct{ magic, what string }{
	{"regf", "a registry hive in binary form (regf), not .reg text"},
	{"CREG", "a registry file of Windows 95, 98 or Me (CREG), which is read by no command here; export it there as REGEDIT4 text"},
	{"RGKN", "a registry file of Windows 95 (RGKN), which is read by no command here; export it there as REGEDIT4 text"},
	{"HvLE", "the transaction log of a registry hive, not .reg text"},
	{"PK\x03\x04", "a zip archive, not .reg text; unpack it first"},
	{"\x1f\x8b", "a gzip file, not .reg text; unpack it first"},
	{"\xfd7zXZ\x00", "an xz file, not .reg text; unpack it first"},
	{"MZ", "a program, not .reg text"},
}

// stranger returns an error that names what data is where it is a known kind
// of file other than .reg text.
func stranger(file string, data []byte) error {
	if file != "" {
		file += ": "
	}
	if len(data) == 0 {
		return &hive.FormatError{File: strings.TrimSuffix(file, ": "), Struct: ".reg text", Offset: 0, Want: "a header line", Found: "an empty file"}
	}
	for _, s := range strangers {
		if bytes.HasPrefix(data, []byte(s.magic)) {
			return fmt.Errorf("%s%w: this is %s", file, hive.ErrUnsupported, s.what)
		}
	}
	if strings.HasPrefix(strings.ToUpper(head(data)), wineHeader) {
		return fmt.Errorf("%s%w: this is a file in which Wine keeps its registry, which has another grammar than .reg text; export it with: wine reg export KEY FILE.reg", file, hive.ErrUnsupported)
	}
	return nil
}

// decode brings the text of data into UTF-16LE without byte order mark, and
// says in f and its diagnostics what it took the encoding for. UTF-16LE text
// is not copied.
func (p *parser) decode(data []byte) error {
	f := p.file
	var bom int
	f.Encoding, bom = detect(data)
	body := data[bom:]
	cp, err := newCodePage(p.opt.CodePage)
	if err != nil {
		return err
	}
	p.codePage = cp
	switch f.Encoding {
	case UTF16LE:
		p.setWide(body)
	case UTF16LENoBOM:
		p.report(Warning, CodeEncoding, 1, 1, "the text is UTF-16LE without byte order mark; Windows would refuse this file")
		p.setWide(body)
	case UTF16BE:
		p.report(Warning, CodeEncoding, 1, 1, "the text is UTF-16BE; Windows would refuse this file")
		p.setWide(swapBytes(body))
	case UTF8:
		p.report(Warning, CodeEncoding, 1, 1, "the text begins with the byte order mark of UTF-8; many versions of Windows would refuse this file")
		p.b = appendWide(make([]byte, 0, 2*len(body)), body)
		if !utf8.Valid(body) {
			p.reportForeign(65001)
		}
	case EightBit:
		return p.decodeEightBit(body)
	}
	return nil
}

func (p *parser) setWide(b []byte) {
	p.b = b
	if len(b)%2 != 0 {
		p.b, p.cutOff = b[:len(b)-1], true
	}
}

func swapBytes(b []byte) []byte {
	out := make([]byte, len(b))
	for i := 0; i+1 < len(b); i += 2 {
		binary.LittleEndian.PutUint16(out[i:], binary.BigEndian.Uint16(b[i:]))
	}
	return out
}

func (p *parser) decodeEightBit(body []byte) (err error) {
	wide := make([]byte, 0, 2*len(body))
	switch {
	case isASCII(body):
		p.b = appendWide(wide, body)
		return nil
	case p.opt.CodePage == 0 && utf8.Valid(body):
		p.file.Encoding = UTF8
		p.report(Warning, CodeEncoding, 1, 1, "the text was read as UTF-8; Windows would take it for its own code page and read other characters")
		p.b = appendWide(wide, body)
		return nil
	case p.opt.CodePage == 0:
		p.report(Warning, CodeCodePage, 1, 1, fmt.Sprintf("the text holds 8-bit characters of an unknown code page; %d (Western) was taken", defaultCodePage))
	}
	p.file.CodePage = p.codePage.number
	if p.b, err = p.codePage.appendUTF16(wide, body); err != nil {
		return err
	}
	p.reportForeign(p.codePage.number)
	return nil
}

// reportForeign tells of the first character that decoding could not make
// sense of, and stands as U+FFFD now.
func (p *parser) reportForeign(codePage int) {
	line, column := 1, 1
	for i := 0; i < len(p.b); i += 2 {
		switch binary.LittleEndian.Uint16(p.b[i:]) {
		case utf8.RuneError:
			p.report(Warning, CodeCodePage, line, column, fmt.Sprintf("here, and perhaps further on, are bytes that are no character in code page %d; they were read as U+FFFD", codePage))
			return
		case '\n':
			line, column = line+1, 1
			continue
		case '\r':
			if i+2 < len(p.b) && binary.LittleEndian.Uint16(p.b[i+2:]) == '\n' {
				i += 2
			}
			line, column = line+1, 1
			continue
		}
		column++
	}
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
