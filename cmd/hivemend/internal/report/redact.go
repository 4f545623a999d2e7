package report

import (
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"hivemend/analyze"
	"hivemend/hive"
	"hivemend/hive/cursor"
)

// Redact returns a copy of r in which the names of machines, people and
// companies, and the paths of inputs, are replaced by placeholders, the same
// ones throughout: machine-1, name-1, machine-1/SYSTEM. Fingerprints and hashes
// stay, so findings can still be told again.
//
// The copy is for reading: data of edits has names blanked out too, and no
// longer has the hash that it had.
func Redact(r *Report) *Report {
	d := NewRedactor()
	d.learnReport(r)
	return d.report(r)
}

func (d *Redactor) learnReport(r *Report) {
	for i := range r.Machines {
		d.machineName(&r.Machines[i]) // before it is known as a name in another machine's certificates
	}
	for i := range r.Machines {
		d.Learn(&r.Machines[i])
	}
	for i := range r.Errors {
		d.learnFailure(r.Errors[i])
	}
}

func (d *Redactor) report(r *Report) *Report {
	out := *r
	out.Machines, out.Errors = []analyze.Result{}, []Failure{}
	for _, m := range r.Machines {
		out.Machines = append(out.Machines, d.Machine(m))
	}
	for _, e := range r.Errors {
		out.Errors = append(out.Errors, d.Failure(e))
	}
	return &out
}

// Redactor replaces names in the results that it is given. What it replaces is
// what it has learnt so far.
type Redactor struct {
	names map[string]string // placeholder by folded name
	tree  *branch           // the same, unit by unit
	paths map[string]string // placeholder by path
	used  map[string]bool   // placeholders of paths that are taken
	here  []string          // paths that the texts at hand may hold, the longest first

	machines, others, inputs int // how many have a placeholder
}

// branch is a set of names in folded UTF-16 units that begin alike.
type branch struct {
	next        map[uint16]*branch
	placeholder string // of the name that ends here, "" where none does
}

func (b *branch) add(units []uint16, placeholder string) {
	for _, u := range units {
		if b.next == nil {
			b.next = map[uint16]*branch{}
		}
		if b.next[u] == nil {
			b.next[u] = &branch{}
		}
		b = b.next[u]
	}
	b.placeholder = placeholder
}

// NewRedactor returns a Redactor that knows no names.
func NewRedactor() *Redactor {
	return &Redactor{names: map[string]string{}, tree: &branch{}, paths: map[string]string{}, used: map[string]bool{}}
}

// Learn takes the names of a machine: of the computer, of what the rules marked
// as a name, and of what the decoded certificates and licences hold.
func (d *Redactor) Learn(m *analyze.Result) {
	machine := d.machineName(m)
	for i := range m.Inputs {
		d.learnInput(machine, &m.Inputs[i])
	}
	for _, n := range m.Personal {
		d.learnOther(n)
	}
	for i := range m.Findings {
		d.learnEvidence(m.Findings[i].Evidence)
	}
}

// machineName returns the placeholder of a machine. States of one computer
// share one; a machine without a name has its own.
func (d *Redactor) machineName(m *analyze.Result) string {
	key := m.ComputerName
	if key == "" {
		key = m.ID
	}
	if known, ok := d.names[hive.Fold(key)]; ok && strings.HasPrefix(known, "machine-") {
		return known
	}
	d.machines++
	placeholder := fmt.Sprintf("machine-%d", d.machines)
	d.add(key, placeholder)
	return placeholder
}

// learnOther takes a name of anything else. Of a name with a domain, the domain
// is a name as well.
func (d *Redactor) learnOther(text string) {
	text = strings.Trim(text, " \t\r\n\x00")
	if len(text) < 2 || slices.Contains(publicNames, hive.Fold(text)) {
		return
	}
	if _, known := d.names[hive.Fold(text)]; !known {
		d.others++
		d.add(text, fmt.Sprintf("name-%d", d.others))
	}
	host, domain, ok := strings.Cut(text, ".")
	if ok && strings.Trim(text, "0123456789.") != "" && !strings.ContainsAny(text, " :/\\[]") {
		d.learnOther(host)
		if domain != "" && strings.Contains(domain, ".") {
			d.learnOther(domain)
		}
	}
}

// publicNames stand in certificates and licences and are nobody's.
var publicNames = []string{"MICROSOFT", "MICROSOFT CORPORATION", "WINDOWS", "REMOTE DESKTOP", "LOCALHOST", "US", "NONE"}

func (d *Redactor) add(text, placeholder string) {
	folded := hive.Fold(text)
	d.names[folded] = placeholder
	d.tree.add(cursor.UnitsFromString(folded), placeholder)
}

// namedFacts are the facts of evidence, and the fields of certificates and
// licences, that hold a name or a distinguished name.
var namedFacts = regexp.MustCompile(`^(issuedTo|issuedToUser|issuedBy|issuerScope|issuer|subject|names|members|server|user|machine|certificate \d+|CN|L|O|OU|E|S|ST|DC)$`)

// distinguished is one part of a distinguished name as text.
var distinguished = regexp.MustCompile(`(?:^|, ?|\+)(?:CN|L|O|OU|E|S|ST|DC)=([^,+]+)`)

func (d *Redactor) learnEvidence(e analyze.Evidence) {
	if field := e.Text("name"); field != "" && namedFacts.MatchString(field) {
		d.learnNamed(e.Get("value"))
	}
	for _, f := range e {
		if namedFacts.MatchString(f.Name) {
			d.learnNamed(f.Value)
		}
		eachEvidence(f.Value, d.learnEvidence)
	}
}

func (d *Redactor) learnNamed(v any) {
	switch v := v.(type) {
	case string:
		parts := distinguished.FindAllStringSubmatch(v, -1)
		for _, p := range parts {
			d.learnOther(p[1])
		}
		if len(parts) == 0 {
			d.learnOther(v)
		}
	case []string:
		for _, s := range v {
			d.learnNamed(s)
		}
	case []any:
		for _, s := range v {
			d.learnNamed(s)
		}
	}
}

// eachEvidence calls do for evidence that stands in v, alone or in a list.
func eachEvidence(v any, do func(analyze.Evidence)) {
	switch v := v.(type) {
	case analyze.Evidence:
		do(v)
	case []analyze.Evidence:
		for _, e := range v {
			do(e)
		}
	case []any:
		for _, e := range v {
			eachEvidence(e, do)
		}
	}
}

func (d *Redactor) learnInput(machine string, in *analyze.Input) {
	file := string(in.Hive)
	if in.Kind == hive.Reg {
		file = "export.reg"
	}
	placeholder := d.learnPath(in.Path, machine+"/"+file)
	if in.Replay == nil {
		return
	}
	for _, log := range in.Replay.Logs {
		end := strings.ToUpper(path.Ext(log.Path))
		if !slices.Contains([]string{".LOG", ".LOG1", ".LOG2"}, end) {
			end = ".log"
		}
		d.learnPath(log.Path, placeholder+end)
	}
}

func (d *Redactor) learnFailure(e Failure) {
	if e.Path == "" {
		return
	}
	if _, known := d.paths[e.Path]; !known {
		d.inputs++
		d.learnPath(e.Path, fmt.Sprintf("input-%d", d.inputs))
	}
}

// learnPath gives a path a placeholder of its own, and the container that it
// lies in another.
func (d *Redactor) learnPath(p, placeholder string) string {
	if known, ok := d.paths[p]; ok {
		return known
	}
	free := placeholder
	for n := 2; d.used[free]; n++ {
		free = fmt.Sprintf("%s-%d", placeholder, n)
	}
	d.used[free] = true
	d.paths[p] = free
	if container := containerOf(p); container != "" && d.paths[container] == "" {
		d.inputs++
		d.paths[container] = fmt.Sprintf("input-%d", d.inputs)
	}
	return free
}

// containerOf returns the path of the container that p lies in, "" where it
// lies in none.
func containerOf(p string) string {
	if container, _, ok := strings.Cut(p, "::"); ok {
		return container
	}
	return ""
}

// expect prepares for texts that may hold these paths. A path that could be any
// word is left to where it stands alone.
func (d *Redactor) expect(paths ...string) {
	d.here = nil
	for _, p := range paths {
		for _, p := range []string{p, containerOf(p)} {
			if strings.ContainsAny(p, "/.:") && strings.Trim(p, "/.") != "" && !slices.Contains(d.here, p) {
				d.here = append(d.here, p)
			}
		}
	}
	slices.SortStableFunc(d.here, func(a, b string) int { return len(b) - len(a) })
}

// Machine returns a copy of m without names. It has no bytes of hives behind it.
func (d *Redactor) Machine(m analyze.Result) analyze.Result {
	placeholder := d.machineName(&m)
	d.expectInputs(m.Inputs)
	digits := m.ID[strings.LastIndexByte(m.ID, '-')+1:]
	m.ID = placeholder + "-" + strings.ReplaceAll(string(m.Generation), ":", "_") + "-" + digits
	m.Name = placeholder
	if m.ComputerName != "" {
		m.ComputerName = placeholder
	}
	m.Machine, m.Personal = nil, nil
	m.Windows.Product = d.text(m.Windows.Product)
	m.Inputs = each(m.Inputs, d.input)
	m.Findings = each(m.Findings, d.finding)
	m.NotChecked = each(m.NotChecked, func(nc analyze.NotChecked) analyze.NotChecked {
		nc.Reason = d.text(nc.Reason)
		return nc
	})
	return m
}

func (d *Redactor) expectInputs(inputs []analyze.Input) {
	var paths []string
	for i := range inputs {
		paths = append(paths, inputs[i].Path)
		if inputs[i].Replay != nil {
			for _, log := range inputs[i].Replay.Logs {
				paths = append(paths, log.Path)
			}
		}
	}
	d.expect(paths...)
}

// each returns a copy of list with change made to every element.
func each[T any](list []T, change func(T) T) []T {
	if list == nil {
		return nil
	}
	out := make([]T, len(list))
	for i, v := range list {
		out[i] = change(v)
	}
	return out
}

func (d *Redactor) input(in analyze.Input) analyze.Input {
	in.Path = d.path(in.Path)
	in.Issues = each(in.Issues, func(i analyze.Issue) analyze.Issue {
		i.Detail = d.text(i.Detail)
		return i
	})
	in.Notes = each(in.Notes, d.text)
	if in.Replay != nil {
		replay := *in.Replay
		replay.Stopped = d.text(replay.Stopped)
		replay.Logs = each(replay.Logs, func(l analyze.ReplayLog) analyze.ReplayLog {
			l.Path = d.path(l.Path)
			return l
		})
		in.Replay = &replay
	}
	return in
}

func (d *Redactor) finding(f analyze.Finding) analyze.Finding {
	f.Message = d.text(f.Message)
	f.ManualSteps = each(f.ManualSteps, d.text)
	f.Evidence = d.evidence(f.Evidence)
	if f.Location != nil {
		l := *f.Location
		l.Input, l.Key, l.Value = d.path(l.Input), each(l.Key, d.keyName), d.name(l.Value)
		if l.Origin != nil {
			origin := *l.Origin
			origin.File = d.path(origin.File)
			l.Origin = &origin
		}
		f.Location = &l
	}
	if f.Fix != nil {
		fix := *f.Fix
		fix.Edits = each(fix.Edits, d.edit)
		fix.Choices = each(fix.Choices, func(c analyze.Choice) analyze.Choice {
			c.Edits = each(c.Edits, d.edit)
			return c
		})
		f.Fix = &fix
	}
	return f
}

func (d *Redactor) edit(e hive.Edit) hive.Edit {
	e.Key, e.Value, e.Reason = each(e.Key, d.keyName), d.name(e.Value), d.text(e.Reason)
	e.Data = d.blank(e.Data)
	return e
}

func (d *Redactor) evidence(e analyze.Evidence) analyze.Evidence {
	return each(e, func(f analyze.Field) analyze.Field {
		if f.Name != "cause" && !strings.HasSuffix(strings.ToLower(f.Name), "sha256") {
			f.Value = d.fact(f.Value)
		}
		return f
	})
}

func (d *Redactor) fact(v any) any {
	switch v := v.(type) {
	case string:
		return d.text(v)
	case []string:
		return each(v, d.text)
	case analyze.Evidence:
		return d.evidence(v)
	case []analyze.Evidence:
		return each(v, d.evidence)
	case []any:
		return each(v, d.fact)
	}
	return v // numbers, bools and times
}

// Failure returns e without names.
func (d *Redactor) Failure(e Failure) Failure {
	d.learnFailure(e)
	d.expect(e.Path)
	text := e.Error
	if rest, ok := strings.CutPrefix(text, e.Path+":"); ok && e.Path != "" {
		return Failure{Path: d.path(e.Path), Error: d.path(e.Path) + ":" + d.text(rest)}
	}
	return Failure{Path: d.path(e.Path), Error: d.text(text)}
}

// path returns the placeholder of a path.
func (d *Redactor) path(p string) string {
	if p == "" {
		return ""
	}
	if placeholder, ok := d.paths[p]; ok {
		return placeholder
	}
	d.inputs++
	return d.learnPath(p, fmt.Sprintf("input-%d", d.inputs))
}

// text returns a text without known paths and names. Names that stand in it as
// hexadecimal digits are blanked out.
func (d *Redactor) text(text string) string {
	for _, p := range d.here {
		if before, after, ok := strings.Cut(text, p); ok {
			return d.text(before) + d.paths[p] + d.text(after)
		}
	}
	return d.name(text)
}

// name returns a name of a key or value, or a text without paths, without the
// names that it holds.
func (d *Redactor) name(text string) string { return d.hexText(d.plainText(text)) }

// fixedKeys are names of keys that every registry has, so that a machine that
// is called Server costs nobody the key Terminal Server.
var fixedKeys = []string{"SYSTEM", "SOFTWARE", "MICROSOFT", "CONTROL", "SERVICES", "TERMINAL SERVER", "LICENSING CORE", "PARAMETERS", "STORE", "CURRENTVERSION"}

// keyName returns the name of a key without the names that it holds.
func (d *Redactor) keyName(key string) string {
	if slices.Contains(fixedKeys, hive.Fold(key)) {
		return key
	}
	return d.name(key)
}

// plainText replaces names that stand in text as words of their own, whatever
// the case.
func (d *Redactor) plainText(text string) string {
	units := cursor.UnitsFromString(text)
	folded := make([]uint16, len(units))
	for i, u := range units {
		folded[i] = hive.Upcase(u)
	}
	var out strings.Builder
	kept := 0
	for i := 0; i < len(folded); {
		placeholder, length := d.nameAt(folded, i)
		if length == 0 {
			i++
			continue
		}
		out.WriteString(cursor.StringFromUnits(units[kept:i]))
		out.WriteString(placeholder)
		i += length
		kept = i
	}
	if kept == 0 {
		return text
	}
	out.WriteString(cursor.StringFromUnits(units[kept:]))
	return out.String()
}

// nameAt returns the placeholder and the length of the longest name that stands
// at i as a word of its own; a length of 0 where none does.
func (d *Redactor) nameAt(folded []uint16, i int) (placeholder string, length int) {
	if i > 0 && joined(folded[i-1], folded[i]) {
		return "", 0
	}
	b := d.tree
	for j := i; j < len(folded); j++ {
		if b = b.next[folded[j]]; b == nil {
			break
		}
		if b.placeholder != "" && !(j+1 < len(folded) && joined(folded[j], folded[j+1])) {
			placeholder, length = b.placeholder, j+1-i
		}
	}
	return placeholder, length
}

// joined reports whether two neighbours belong to one word.
func joined(a, b uint16) bool { return inWord(a) && inWord(b) }

func inWord(u uint16) bool { return unicode.IsLetter(rune(u)) || unicode.IsDigit(rune(u)) }

// hexDigits are runs of digits that may hold a name.
var hexDigits = regexp.MustCompile(`(?:[0-9a-f]{2}){4,}|(?:[0-9A-F]{2}){4,}`)

func (d *Redactor) hexText(text string) string {
	return hexDigits.ReplaceAllStringFunc(text, func(digits string) string {
		data, err := hex.DecodeString(digits)
		if err != nil {
			return digits
		}
		blanked := d.blank(data)
		if string(blanked) == string(data) {
			return digits
		}
		return hex.EncodeToString(blanked)
	})
}

// blank returns data with every name in it, as ASCII or UTF-16 of either order,
// overwritten with the letter x.
func (d *Redactor) blank(data []byte) []byte {
	out := data
	for _, encoding := range encodings {
		for i := 0; i < len(data); i++ {
			if n := d.longestIn(data[i:], encoding); n > 0 {
				if &out[0] == &data[0] {
					out = slices.Clone(data)
				}
				for j := 0; j < n; j++ {
					copy(out[i+j*encoding.width:], encoding.x)
				}
			}
		}
	}
	return out
}

// encoding is a way to write a UTF-16 unit as bytes.
type encoding struct {
	width int
	unit  func([]byte) uint16
	x     []byte
}

var encodings = []encoding{
	{1, func(b []byte) uint16 { return uint16(b[0]) }, []byte{'x'}},
	{2, func(b []byte) uint16 { return uint16(b[0]) | uint16(b[1])<<8 }, []byte{'x', 0}},
	{2, func(b []byte) uint16 { return uint16(b[1]) | uint16(b[0])<<8 }, []byte{0, 'x'}},
}

// longestIn returns the length in units of the longest name that data begins
// with, or 0.
func (d *Redactor) longestIn(data []byte, enc encoding) int {
	longest := 0
	b := d.tree
	for n := 0; (n+1)*enc.width <= len(data); n++ {
		if b = b.next[hive.Upcase(enc.unit(data[n*enc.width:]))]; b == nil {
			break
		}
		if b.placeholder != "" {
			longest = n + 1
		}
	}
	return longest
}
