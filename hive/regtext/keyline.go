package regtext

import (
	"bytes"

	"hivemend/hive"
	"hivemend/hive/cursor"
)

// lastPath remembers the path of the last key line: neighbouring sections
// share most of their names.
type lastPath struct {
	path   hive.Path
	ranges [][2]int // where each name stands in the text
}

// keyLine reads a line that begins with [ at i. Everything up to the last ]
// is the path, in which no character is special but the backslash. A line
// that is no valid key line leaves no current section, so that the values
// below it go nowhere instead of into the section above.
func (p *parser) keyLine(i, end int) {
	p.hasKey = false
	kind, start := OpenKey, i+1
	if start < end && p.unit(start) == '-' {
		kind, start = DeleteKey, start+1
	}
	stop := end
	for stop > start && p.unit(stop-1) != ']' {
		stop--
	}
	switch {
	case stop == start:
		p.fail(CodeKeyLine, i, "the key %s has no closing bracket; it was not read, nor are the values below it", p.excerpt(i, end))
		return
	case isBlank(p.unit(start)):
		p.fail(CodeKeyLine, start, "a blank stands before the path in %s; Windows ignores such a line, and so are the values below it", p.excerpt(i, end))
		return
	}
	if !p.readPath(start, stop-1) {
		return
	}
	if kind == DeleteKey && len(p.path) < 2 && !p.opt.AnyRoot {
		p.fail(CodeRootDelete, i, "a whole registry root is to be deleted, which Windows does not do")
		return
	}
	p.hasKey = kind == OpenKey
	p.add(Op{Kind: kind}, p.line, i-p.lineStart+1)
}

// readPath reads the path from start to end into p.path.
func (p *parser) readPath(start, end int) bool {
	ranges := p.splitPath(start, end)
	if !p.opt.AnyRoot && (ranges == nil || ranges[0][0] == ranges[0][1]) {
		p.fail(CodeRoot, start, "the path %s does not begin with a root of the registry; the section was not read, nor are the values below it", p.excerpt(start, end))
		return false
	}
	if len(ranges) > maxPath {
		p.fail(CodeDepth, start, "the path has %d levels or more, Windows allows %d; the section was not read", len(ranges), maxPath)
		return false
	}
	path := make(hive.Path, len(ranges))
	same := true
	for n, r := range ranges {
		same = same && n < len(p.last.ranges) && p.sameText(r, p.last.ranges[n])
		if same {
			path[n] = p.last.path[n]
			continue
		}
		if !p.checkName(r) {
			return false
		}
		p.keys++
		path[n] = cursor.String(p.slice(r[0], r[1]))
		if n == 0 {
			if path[0] = p.rootName(path[0], r); path[0] == "" {
				return false
			}
		}
	}
	if bound := entriesFree + len(p.b)/bytesPerEntry; p.keys > bound {
		p.tooMany("keys", bound)
		return false
	}
	p.last = lastPath{path, ranges}
	p.path = path
	return true
}

// splitPath returns where the names between backslashes stand. Empty ones
// vanish, but for the first, which is the root. It stops one name behind the
// most that are allowed.
func (p *parser) splitPath(start, end int) [][2]int {
	var ranges [][2]int
	for at := start; at < end && len(ranges) <= maxPath; {
		stop := at
		for stop < end && p.unit(stop) != '\\' {
			stop++
		}
		if stop > at || at == start && !p.opt.AnyRoot {
			ranges = append(ranges, [2]int{at, stop})
		}
		at = stop + 1
	}
	return ranges
}

func (p *parser) sameText(a, b [2]int) bool {
	return bytes.Equal(p.slice(a[0], a[1]), p.slice(b[0], b[1]))
}

func (p *parser) checkName(r [2]int) bool {
	if r[1]-r[0] > maxKeyName {
		p.fail(CodeKeyName, r[0], "the key name %s has %d characters, Windows allows %d; the section was not read", p.excerpt(r[0], r[1]), r[1]-r[0], maxKeyName)
		return false
	}
	for i := r[0]; i < r[1]; i++ {
		if p.unit(i) == 0 {
			p.fail(CodeNUL, i, "a NUL character stands in a key's path; the section was not read")
			return false
		}
	}
	return true
}

// rootName returns the long name of the registry root at r, or "" when it is
// none and none may stand there.
func (p *parser) rootName(name string, r [2]int) string {
	long, ok := hive.RootName(name)
	switch {
	case ok && hive.Fold(name) != long:
		p.report(Warning, CodeRootShort, p.line, r[0]-p.lineStart+1, "the root "+name+" was read as "+long+"; Registry Editor knows long names only")
	case !ok && p.opt.AnyRoot:
		return name
	case !ok:
		p.fail(CodeRoot, r[0], "the path begins with %s, which is no root of the registry; the section was not read, nor are the values below it", p.excerpt(r[0], r[1]))
	}
	return long
}
