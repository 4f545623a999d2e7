package report

import "hivemend/analyze"

// style is how a piece of text looks on a terminal: parameters of the SGR
// escape sequence (ECMA-48 8.3.117). Colours always come with words.
type style string

const (
	bold style = "1"
	dim  style = "2"
	good style = "1;32"
)

var severityStyles = [...]style{analyze.Note: "36", analyze.Warning: "1;33", analyze.Error: "1;31"}

// paint returns text in that style, or as it is where p writes no colours.
func (p *printer) paint(s style, text string) string {
	if !p.colour || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}
