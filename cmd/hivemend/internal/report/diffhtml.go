package report

import (
	"html/template"
	"io"
)

var diffTemplate = template.Must(template.New("diff").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{.A}} against {{.B}}</title>
<style>
:root { color-scheme: light dark; --bg: #fff; --fg: #1b1f24; --add: #dafbe1; --del: #ffebe9; --dim: #57606a; }
@media (prefers-color-scheme: dark) { :root { --bg: #14181d; --fg: #e6e9ec; --add: #12361f; --del: #4a1c1c; --dim: #9aa4af; } }
body { margin: 0 auto; padding: 1rem; max-width: 76rem; background: var(--bg); color: var(--fg); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
pre { font: .85rem/1.45 ui-monospace, Consolas, monospace; overflow-x: auto; } pre span { display: block; }
.add { background: var(--add); } .del { background: var(--del); } .place, .file { color: var(--dim); font-weight: 600; }
</style>
</head>
<body>
<h1>What differs</h1>
<p><code>{{.A}}</code> against <code>{{.B}}</code></p>
{{if .Lines}}<pre>{{range .Lines}}<span{{with .Kind}} class="{{.}}"{{end}}>{{.Text}}</span>{{end}}</pre>
{{else}}<p>Nothing differs.</p>
{{end}}</body>
</html>
`))

// DiffHTML writes a unified diff as a page that needs no network and no script.
func DiffHTML(w io.Writer, a, b, diff string) error {
	return diffTemplate.Execute(w, struct {
		A, B  string
		Lines []diffLine
	}{a, b, diffLines(diff)})
}
