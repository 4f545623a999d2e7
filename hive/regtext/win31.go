package regtext

import "hivemend/hive"

// win31Line reads one line of REGEDIT text, the form of Windows 3.1:
//
//	HKEY_CLASSES_ROOT\path = value
//
// The line begins with the root, in exactly this spelling; the key ends at
// the first blank; one = and one space are skipped, and all the rest is the
// key's default value.
func (p *parser) win31Line(start, end int) {
	if p.skipBlanks(start, end) == end {
		return
	}
	i := start
	for i < end && !isBlank(p.unit(i)) {
		i++
	}
	root := start + len(hive.ClassesRoot)
	if !p.hasText(start, i, hive.ClassesRoot) || root < i && p.unit(root) != '\\' {
		p.fail(CodeIgnored, start, "a line of REGEDIT text must begin with %s, found %s; it was ignored", hive.ClassesRoot, p.excerpt(start, end))
		return
	}
	if !p.readPath(start, i) {
		return
	}
	i = p.skipBlanks(i, end)
	if i < end && p.unit(i) == '=' {
		i++
	}
	if i < end && p.unit(i) == ' ' {
		i++
	}
	for at := i; at < end; at++ {
		if p.unit(at) == 0 {
			p.failQuoted(CodeNUL, at, end, "a string")
			return
		}
	}
	p.add(Op{Kind: OpenKey}, p.line, 1)
	p.add(Op{Kind: SetValue, Type: hive.RegSZ, Data: p.terminated(p.slice(i, end))}, p.line, i-start+1)
}
