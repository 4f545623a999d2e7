package patch

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sergi/go-diff/diffmatchpatch"
)

// A line of a diff: what happens to it, and its text.
type diffLine struct {
	op   byte // ' ', '-' or '+'
	text string
}

// maxDiffLines is how many changed lines of one key are compared line by line.
// The work grows with the square of it; beyond, whole values are compared.
const maxDiffLines = 8000

// diffLines compares the sections of one key before and after.
func diffLines(out []diffLine, before, after []string) []diffLine {
	prefix := 0
	for prefix < len(before) && prefix < len(after) && before[prefix] == after[prefix] {
		prefix++
	}
	suffix := 0
	for suffix < len(before)-prefix && suffix < len(after)-prefix &&
		before[len(before)-1-suffix] == after[len(after)-1-suffix] {
		suffix++
	}
	out = appendLines(out, ' ', before[:prefix])
	out = diffMiddle(out, before[prefix:len(before)-suffix], after[prefix:len(after)-suffix])
	return appendLines(out, ' ', before[len(before)-suffix:])
}

func appendLines(out []diffLine, op byte, lines []string) []diffLine {
	for _, line := range lines {
		out = append(out, diffLine{op, line})
	}
	return out
}

func diffMiddle(out []diffLine, before, after []string) []diffLine {
	switch {
	case len(before) == 0 || len(after) == 0:
	case len(before)+len(after) > maxDiffLines:
		return diffEntries(out, before, after)
	default:
		if lines, ok := diffShortest(before, after); ok {
			return append(out, lines...)
		}
	}
	return appendLines(appendLines(out, '-', before), '+', after)
}

// diffShortest finds the smallest difference. ok is false where the result
// does not add up to both sides, which would be a fault of the library.
func diffShortest(before, after []string) (lines []diffLine, ok bool) {
	dmp := diffmatchpatch.New()
	dmp.DiffTimeout = 0 // a limit in time would make the result depend on the machine
	a, b, _ := dmp.DiffLinesToRunes(strings.Join(before, "\n")+"\n", strings.Join(after, "\n")+"\n")
	if len(a) != len(before) || len(b) != len(after) {
		return nil, false
	}
	i, j := 0, 0
	for _, d := range dmp.DiffMainRunes(a, b, false) {
		n := utf8.RuneCountInString(d.Text) // one rune stands for one line
		useA, useB := d.Type != diffmatchpatch.DiffInsert, d.Type != diffmatchpatch.DiffDelete
		if useA && i+n > len(before) || useB && j+n > len(after) {
			return nil, false
		}
		switch {
		case useA && useB:
			if !slices.Equal(before[i:i+n], after[j:j+n]) {
				return nil, false
			}
			lines = appendLines(lines, ' ', before[i:i+n])
		case useA:
			lines = appendLines(lines, '-', before[i:i+n])
		default:
			lines = appendLines(lines, '+', after[j:j+n])
		}
		if useA {
			i += n
		}
		if useB {
			j += n
		}
	}
	return lines, i == len(before) && j == len(after)
}

// diffEntries compares value by value, in one pass: values that both sides
// have unchanged and in the same order stay, all others are replaced.
func diffEntries(out []diffLine, before, after []string) []diffLine {
	a, b := entries(before), entries(after)
	keepA, keepB := common(a, b), common(b, a)
	if !slices.Equal(keepA, keepB) {
		return appendLines(appendLines(out, '-', before), '+', after)
	}
	for _, kept := range keepA {
		for a[0] != kept {
			out, a = appendEntry(out, '-', a[0]), a[1:]
		}
		for b[0] != kept {
			out, b = appendEntry(out, '+', b[0]), b[1:]
		}
		out, a, b = appendEntry(out, ' ', kept), a[1:], b[1:]
	}
	for _, e := range a {
		out = appendEntry(out, '-', e)
	}
	for _, e := range b {
		out = appendEntry(out, '+', e)
	}
	return out
}

func appendEntry(out []diffLine, op byte, entry string) []diffLine {
	return appendLines(out, op, strings.Split(entry, "\n"))
}

// entries joins the lines of each value: those that continue one are indented.
func entries(lines []string) []string {
	var out []string
	for start, end := 0, 1; start < len(lines); start, end = end, end+1 {
		for end < len(lines) && strings.HasPrefix(lines[end], "  ") {
			end++
		}
		out = append(out, strings.Join(lines[start:end], "\n"))
	}
	return out
}

// common returns the entries of a, in order and without repetitions, that b has too.
func common(a, b []string) []string {
	has := make(map[string]bool, len(b))
	for _, e := range b {
		has[e] = true
	}
	var out []string
	for _, e := range a {
		if has[e] {
			has[e] = false
			out = append(out, e)
		}
	}
	return out
}
