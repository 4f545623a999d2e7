package patch

import (
	"bytes"
	"fmt"
	"strings"

	"hivemend/hive"
	"hivemend/hive/regtext"
)

// Change is one tree before and after.
type Change struct {
	// Name is what the tree is called in the diff, such as "SYSTEM.reg".
	Name string
	// Prefix stands for the name of both roots.
	Prefix        hive.Path
	Before, After hive.Key
}

// Unified returns a unified diff of the keys that differ, as .reg text in
// UTF-8 before and after: ---/+++ headers a/Name and b/Name, hunks with three
// lines of context, each line ended by a newline, so that GNU patch turns the
// one text into the other. Trees without a difference are left out.
//
// The texts are what [Change.Text] returns: the sections of the differing keys
// alone. The bytes in RCM\Secrets and RCM\GracePeriod are never shown, only
// their sizes and hashes.
func Unified(changes ...Change) []byte {
	var out bytes.Buffer
	for _, c := range changes {
		lines := c.diff()
		if lines == nil {
			continue
		}
		fmt.Fprintf(&out, "--- a/%s\n+++ b/%s\n", c.Name, c.Name)
		writeHunks(&out, lines)
	}
	return out.Bytes()
}

// Text returns the two texts that Unified compares, with \n at each line's end.
func (c Change) Text() (before, after string) {
	var a, b strings.Builder
	for _, line := range c.diff() {
		if line.op != '+' {
			a.WriteString(line.text + "\n")
		}
		if line.op != '-' {
			b.WriteString(line.text + "\n")
		}
	}
	return a.String(), b.String()
}

// diff returns the lines of all differing keys, nil where there are none. The
// layout is the one of .reg text: a header, and sections between empty lines.
func (c Change) diff() []diffLine {
	u := unifier{}
	u.keys(c.Before, c.After, c.Prefix, 0)
	if u.lines == nil {
		return nil
	}
	out := make([]diffLine, 0, len(u.lines)+2)
	out = append(out, diffLine{' ', regtext.V5.String()})
	out = append(out, u.lines...)
	return append(out, diffLine{' ', ""})
}

type unifier struct{ lines []diffLine }

func (u *unifier) keys(a, b hive.Key, path hive.Path, depth int) {
	if sharedKey(a, b) {
		return
	}
	if !sameValueList(a, b) {
		u.lines = diffLines(append(u.lines, diffLine{' ', ""}), keyLines(path, a), keyLines(path, b))
	}
	if depth >= hive.MaxDepth {
		return
	}
	subsA, subsB := sortedKeys(a), sortedKeys(b)
	for len(subsA) > 0 || len(subsB) > 0 {
		switch order(subsA, subsB) {
		case -1:
			u.whole('-', path.Join(subsA[0].name), subsA[0].item, depth+1)
			subsA = subsA[1:]
		case 1:
			u.whole('+', path.Join(subsB[0].name), subsB[0].item, depth+1)
			subsB = subsB[1:]
		default:
			u.keys(subsA[0].item, subsB[0].item, path.Join(subsA[0].name), depth+1)
			subsA, subsB = subsA[1:], subsB[1:]
		}
	}
}

// whole takes or adds a key with everything below it.
func (u *unifier) whole(op byte, path hive.Path, k hive.Key, depth int) {
	u.lines = appendLines(append(u.lines, diffLine{op, ""}), op, keyLines(path, k))
	if depth >= hive.MaxDepth {
		return
	}
	for _, sub := range sortedKeys(k) {
		u.whole(op, path.Join(sub.name), sub.item, depth+1)
	}
}

// sameValueList reports whether Diff finds nothing between the values of two keys.
func sameValueList(a, b hive.Key) bool {
	d := differ{}
	d.values(a, b, nil)
	return len(d.edits) == 0
}

// keyLines returns the section of one key, with what must not be shown withheld.
func keyLines(path hive.Path, k hive.Key) []string {
	if !Protected(path) {
		return regtext.KeyLines(path, k)
	}
	lines := []string{"[" + hive.Printable(path.String()) + "]"}
	for v := range k.Values() {
		data, _ := v.Data()
		lines = append(lines, fmt.Sprintf("; %s: %s (not shown)", hive.ValueLabel(v.Name()), describe(v.Type(), data)))
	}
	return lines
}

// Withhold parts edits into those that may be shown and those inside
// RCM\Secrets or RCM\GracePeriod, of which only place and size may be named.
func Withhold(edits []hive.Edit) (shown, withheld []hive.Edit) {
	for _, e := range edits {
		if Protected(e.Key) {
			withheld = append(withheld, e)
		} else {
			shown = append(shown, e)
		}
	}
	return shown, withheld
}

// contextLines is how many unchanged lines stand around a change.
const contextLines = 3

// writeHunks writes lines as the hunks of a unified diff. Behind the line
// numbers stands the section in which the hunk begins, for people.
func writeHunks(out *bytes.Buffer, lines []diffLine) {
	lineA, lineB := 1, 1 // numbers of the next line on each side
	section := ""
	for i := 0; i < len(lines); {
		first := nextChange(lines, i)
		if first == len(lines) {
			return
		}
		start := max(i, first-contextLines)
		for ; i < start; i++ { // unchanged, far from any change
			lineA, lineB = lineA+1, lineB+1
			section = sectionOf(lines[i], section)
		}
		end := hunkEnd(lines, first)
		countA, countB := 0, 0
		for _, line := range lines[start:end] {
			if line.op != '+' {
				countA++
			}
			if line.op != '-' {
				countB++
			}
		}
		fmt.Fprintf(out, "@@ -%s +%s @@%s\n", hunkRange(lineA, countA), hunkRange(lineB, countB), section)
		for ; i < end; i++ {
			out.WriteByte(lines[i].op)
			out.WriteString(lines[i].text)
			out.WriteByte('\n')
			section = sectionOf(lines[i], section)
		}
		lineA, lineB = lineA+countA, lineB+countB
	}
}

func nextChange(lines []diffLine, from int) int {
	for from < len(lines) && lines[from].op == ' ' {
		from++
	}
	return from
}

// hunkEnd returns where the hunk ends whose first change is at first: changes
// that are close to each other share their context.
func hunkEnd(lines []diffLine, first int) int {
	end := first
	for next := first; next < len(lines) && next-end <= 2*contextLines; next = nextChange(lines, end) {
		for end = next; end < len(lines) && lines[end].op != ' '; {
			end++
		}
	}
	return min(end+contextLines, len(lines))
}

// hunkRange writes a range as diff does. It is never empty: both texts begin
// and end with lines of context.
func hunkRange(line, count int) string {
	if count == 1 {
		return fmt.Sprint(line)
	}
	return fmt.Sprintf("%d,%d", line, count)
}

func sectionOf(line diffLine, now string) string {
	if line.op != '+' && strings.HasPrefix(line.text, "[") {
		return " " + line.text
	}
	return now
}
