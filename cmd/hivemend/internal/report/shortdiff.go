package report

import (
	"fmt"
	"strings"
)

// keepLines is how many lines of one value a short diff shows.
const keepLines = 2

// ShortDiff returns a unified diff of .reg text for reading: of a value that
// runs over many lines only the first are kept, and a line says how many are
// not. What it returns is no diff that a program could apply.
func ShortDiff(diff string) string {
	var out strings.Builder
	lines := strings.SplitAfter(diff, "\n")
	for i := 0; i < len(lines); {
		end := i + 1
		for end < len(lines) && continues(lines[end-1]) && sameSide(lines[i], lines[end]) {
			end++
		}
		if end-i <= keepLines+1 {
			out.WriteString(strings.Join(lines[i:end], ""))
		} else {
			out.WriteString(strings.Join(lines[i:i+keepLines], ""))
			fmt.Fprintf(&out, "%c  (%s of this value not shown)\n", lines[i][0], plural(end-i-keepLines, "line"))
		}
		i = end
	}
	return out.String()
}

// sameSide reports whether two lines are both added, both deleted or both
// unchanged: what a diff is about is never folded away with its surroundings.
func sameSide(a, b string) bool { return a != "" && b != "" && a[0] == b[0] }

// continues reports whether the value on a line goes on in the next one.
func continues(line string) bool { return strings.HasSuffix(strings.TrimRight(line, "\r\n"), ",\\") }
