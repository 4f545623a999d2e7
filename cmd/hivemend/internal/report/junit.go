package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"hivemend/analyze"
	"hivemend/hive"
)

// The elements of a JUnit report, as Jenkins and GitLab read them.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Properties []junitProperty `xml:"properties>property,omitempty"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Skipped *junitMessage `xml:"skipped"`
		Error   *junitMessage `xml:"error"`
		Failure *junitMessage `xml:"failure"`
		Output  string        `xml:"system-out,omitempty"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes r for a build server: a test suite a machine and a case a rule.
// A rule fails with findings that count as failures; what it found below that
// stands in its output. A rule that could not look is skipped. Inputs that
// could not be read are a suite of errors.
func JUnit(w io.Writer, r *Report, opt Options) error {
	all := junitSuites{Name: r.Tool.Name}
	for i := range r.Machines {
		all.add(machineSuite(&r.Machines[i], opt))
	}
	if len(r.Errors) > 0 {
		all.add(errorSuite(r.Errors))
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (all *junitSuites) add(s junitSuite) {
	all.Suites = append(all.Suites, s)
	all.Tests += s.Tests
	all.Failures += s.Failures
	all.Errors += s.Errors
	all.Skipped += s.Skipped
}

func (s *junitSuite) add(c junitCase) {
	s.Cases = append(s.Cases, c)
	s.Tests++
	switch {
	case c.Error != nil:
		s.Errors++
	case c.Failure != nil:
		s.Failures++
	case c.Skipped != nil:
		s.Skipped++
	}
}

func machineSuite(m *analyze.Result, opt Options) junitSuite {
	s := junitSuite{Name: m.ID, Properties: []junitProperty{
		{"machine", Title(m)}, {"asOf", m.AsOf.String()}, {"asOfSource", m.AsOfSource},
	}}
	for i := range m.Inputs {
		in := &m.Inputs[i]
		s.Properties = append(s.Properties, junitProperty{"input", fmt.Sprintf("%s, SHA-256 %s", InputLine(in), in.SHA256)})
	}
	for _, rule := range ruleIDs(opt.Rules, m) {
		s.add(ruleCase(m, rule, opt))
	}
	return s
}

// ruleIDs names the rules and, behind them, any other that speaks in m.
func ruleIDs(rules []*analyze.Rule, m *analyze.Result) []string {
	var ids []string
	seen := map[string]bool{}
	add := func(id string) {
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	for _, r := range rules {
		add(r.ID)
	}
	for i := range m.Findings {
		add(m.Findings[i].Rule)
	}
	for _, nc := range m.NotChecked {
		add(nc.Rule)
	}
	return ids
}

func ruleCase(m *analyze.Result, rule string, opt Options) junitCase {
	c := junitCase{Class: m.ID, Name: rule}
	var failed, told []*analyze.Finding
	for i := range m.Findings {
		switch f := &m.Findings[i]; {
		case f.Rule != rule:
		case opt.fails(f):
			failed = append(failed, f)
		default:
			told = append(told, f)
		}
	}
	if len(failed) > 0 {
		c.Failure = &junitMessage{Message: failed[0].Message, Type: failed[0].Severity.String(), Text: findingsText(failed)}
		if len(failed) > 1 {
			c.Failure.Message = fmt.Sprintf("%s (and %s)", failed[0].Message, plural(len(failed)-1, "more", "more"))
		}
	}
	var out strings.Builder
	out.WriteString(findingsText(told))
	var reasons []string
	for _, nc := range m.NotChecked {
		if nc.Rule == rule {
			reasons = append(reasons, nc.Reason)
		}
	}
	switch {
	case len(reasons) == 0:
	case len(failed)+len(told) == 0:
		c.Skipped = &junitMessage{Message: "not checked: " + strings.Join(reasons, "; ")}
	default:
		fmt.Fprintf(&out, "not checked: %s\n", strings.Join(reasons, "; "))
	}
	c.Output = out.String()
	return c
}

// findingsText describes findings as the text report does.
func findingsText(list []*analyze.Finding) string {
	var b strings.Builder
	p := &printer{w: &b}
	for _, f := range list {
		p.finding(f)
		p.field("id", "%s", f.Fingerprint)
	}
	return strings.TrimLeft(b.String(), "\n")
}

func errorSuite(list []Failure) junitSuite {
	s := junitSuite{Name: "inputs that could not be read"}
	for _, e := range list {
		s.add(junitCase{Class: "inputs", Name: hive.Printable(e.Path), Error: &junitMessage{Message: e.Error, Type: "unreadable"}})
	}
	return s
}
