package report

import (
	"encoding/json"
	"io"
	"net/url"
	"strings"

	"hivemend/analyze"
	"hivemend/hive"
)

// The parts of SARIF 2.1.0 that are used here, section numbers from the OASIS
// standard "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".
type (
	sarifLog struct { // 3.13
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct { // 3.14
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Artifacts   []sarifArtifact   `json:"artifacts"`
		Results     []sarifResult     `json:"results"`
		Properties  map[string]any    `json:"properties"`
	}
	sarifTool struct { // 3.18
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct { // 3.19
		Name            string      `json:"name"`
		SemanticVersion string      `json:"semanticVersion"`
		Rules           []sarifRule `json:"rules"`
	}
	sarifRule struct { // 3.49
		ID            string         `json:"id"`
		Short         sarifText      `json:"shortDescription"`
		Full          *sarifText     `json:"fullDescription,omitempty"`
		Help          *sarifText     `json:"help,omitempty"`
		Configuration sarifRuleLevel `json:"defaultConfiguration"`
		Properties    map[string]any `json:"properties,omitempty"`
	}
	sarifRuleLevel struct { // 3.50
		Level string `json:"level"`
	}
	sarifText struct { // 3.11, 3.12
		Text string `json:"text"`
	}
	sarifInvocation struct { // 3.20
		Successful    bool                `json:"executionSuccessful"`
		ExitCode      int                 `json:"exitCode"`
		Description   string              `json:"exitCodeDescription"`
		Notifications []sarifNotification `json:"toolExecutionNotifications"`
	}
	sarifNotification struct { // 3.58
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations,omitempty"`
		Rule      *sarifReference `json:"associatedRule,omitempty"`
	}
	sarifReference struct { // 3.52
		ID    string `json:"id"`
		Index int    `json:"index"`
	}
	sarifArtifact struct { // 3.24
		Location   sarifPlace        `json:"location"`
		Length     *int64            `json:"length,omitempty"`
		Roles      []string          `json:"roles"`
		Hashes     map[string]string `json:"hashes,omitempty"`
		Properties map[string]any    `json:"properties,omitempty"`
	}
	sarifPlace struct { // 3.4
		URI   string `json:"uri"`
		Index *int   `json:"index,omitempty"`
	}
	sarifResult struct { // 3.27
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations,omitempty"`
		Fingerprints map[string]string `json:"partialFingerprints"`
		Properties   map[string]any    `json:"properties"`
	}
	sarifLocation struct { // 3.28
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct { // 3.29
		Artifact sarifPlace   `json:"artifactLocation"`
		Region   *sarifRegion `json:"region,omitempty"`
	}
	sarifRegion struct { // 3.30
		StartLine  int    `json:"startLine,omitempty"`
		ByteOffset *int64 `json:"byteOffset,omitempty"`
		ByteLength int64  `json:"byteLength,omitempty"`
	}
	sarifLogical struct { // 3.33
		Name      string `json:"name"`
		Qualified string `json:"fullyQualifiedName"`
		Kind      string `json:"kind"`
	}
)

// sarifSchema is where the standard publishes the schema of the format.
const sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

// SARIF writes r as a SARIF 2.1.0 log with one run: rules with their
// explanations, inputs with their hashes, findings with the bytes they are
// about, and as notifications what could not be read or looked at.
func SARIF(w io.Writer, r *Report, opt Options) error {
	run := newSARIFRun(r, opt)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(sarifLog{Schema: sarifSchema, Version: "2.1.0", Runs: []sarifRun{run}})
}

// sarifBuilder collects a run. Rules and artifacts are referred to by their
// places in its lists.
type sarifBuilder struct {
	run       sarifRun
	rules     map[string]int
	artifacts map[string]int // by path
}

func newSARIFRun(r *Report, opt Options) sarifRun {
	b := &sarifBuilder{rules: map[string]int{}, artifacts: map[string]int{}}
	b.run = sarifRun{
		Tool:      sarifTool{sarifDriver{Name: r.Tool.Name, SemanticVersion: r.Tool.Version, Rules: []sarifRule{}}},
		Artifacts: []sarifArtifact{}, Results: []sarifResult{},
		Properties: map[string]any{"status": r.Status, "machines": machineProperties(r.Machines)},
	}
	for _, rule := range opt.Rules {
		b.rules[rule.ID] = len(b.run.Tool.Driver.Rules)
		b.run.Tool.Driver.Rules = append(b.run.Tool.Driver.Rules, newSARIFRule(rule))
	}
	notes := []sarifNotification{}
	for i := range r.Machines {
		m := &r.Machines[i]
		for j := range m.Inputs {
			b.input(&m.Inputs[j])
		}
		for j := range m.Findings {
			b.run.Results = append(b.run.Results, b.result(m, &m.Findings[j]))
		}
		for _, nc := range m.NotChecked {
			notes = append(notes, sarifNotification{
				Level: "note", Message: sarifText{m.ID + ": " + nc.Rule + " was not checked: " + nc.Reason},
				Rule: &sarifReference{nc.Rule, b.rule(nc.Rule)},
			})
		}
	}
	for _, e := range r.Errors {
		notes = append(notes, sarifNotification{Level: "error", Message: sarifText{e.Error}, Locations: b.failed(e.Path)})
	}
	code := opt.exitCode(r)
	b.run.Invocations = []sarifInvocation{{
		Successful: code != 2, ExitCode: code, Description: exitDescriptions[code], Notifications: notes,
	}}
	return b.run
}

var exitDescriptions = [...]string{"nothing found", "findings", "something could not be read"}

// machineProperties is what is known about each machine beside its findings.
func machineProperties(machines []analyze.Result) []analyze.Result {
	list := make([]analyze.Result, len(machines))
	for i, m := range machines {
		m.Findings, m.Inputs, m.NotChecked = []analyze.Finding{}, orEmpty(m.Inputs), orEmpty(m.NotChecked)
		list[i] = m
	}
	return list
}

func newSARIFRule(rule *analyze.Rule) sarifRule {
	r := sarifRule{ID: rule.ID, Short: sarifText{rule.Title + "."}, Configuration: sarifRuleLevel{rule.Severity.String()}}
	if rule.Explain != "" {
		r.Full, r.Help = &sarifText{firstParagraph(rule.Explain)}, &sarifText{rule.Explain}
	}
	if len(rule.References) > 0 {
		r.Properties = map[string]any{"references": rule.References}
	}
	return r
}

// firstParagraph returns the first paragraph of an explanation that is no
// heading.
func firstParagraph(text string) string {
	for _, p := range strings.Split(text, "\n\n") {
		if strings.HasSuffix(strings.TrimSpace(p), ".") {
			return strings.TrimSpace(p)
		}
	}
	return strings.TrimSpace(text)
}

// rule returns the index of a rule, which is added where it is not listed.
func (b *sarifBuilder) rule(id string) int {
	i, ok := b.rules[id]
	if !ok {
		i = len(b.run.Tool.Driver.Rules)
		b.rules[id] = i
		b.run.Tool.Driver.Rules = append(b.run.Tool.Driver.Rules, sarifRule{ID: id, Short: sarifText{id}, Configuration: sarifRuleLevel{analyze.Warning.String()}})
	}
	return i
}

// artifact returns the index of a file, which is added where it is not listed.
func (b *sarifBuilder) artifact(path string, add func(*sarifArtifact)) int {
	i, ok := b.artifacts[path]
	if !ok {
		i = len(b.run.Artifacts)
		b.artifacts[path] = i
		a := sarifArtifact{Location: sarifPlace{URI: fileURI(path)}, Roles: []string{"analysisTarget"}}
		add(&a)
		b.run.Artifacts = append(b.run.Artifacts, a)
	}
	return i
}

// input adds an input and the logs that were applied to it.
func (b *sarifBuilder) input(in *analyze.Input) {
	b.artifact(in.Path, func(a *sarifArtifact) {
		a.Length, a.Hashes = &in.Size, map[string]string{"sha-256": in.SHA256}
		a.Properties = map[string]any{"kind": in.Kind, "hive": in.Hive, "state": in.State, "issues": in.Issues}
		if in.ControlSet != "" {
			a.Properties["controlSet"] = in.ControlSet
		}
		if in.Replay != nil {
			a.Properties["replay"] = in.Replay
		}
	})
	if in.Replay == nil {
		return
	}
	for _, log := range in.Replay.Logs {
		b.artifact(log.Path, func(a *sarifArtifact) { a.Hashes = map[string]string{"sha-256": log.SHA256} })
	}
}

// failed is the place of an input that could not be read.
func (b *sarifBuilder) failed(path string) []sarifLocation {
	if path == "" {
		return nil
	}
	return []sarifLocation{{Physical: &sarifPhysical{Artifact: b.place(path)}}}
}

func (b *sarifBuilder) place(path string) sarifPlace {
	i := b.artifact(path, func(*sarifArtifact) {})
	return sarifPlace{URI: fileURI(path), Index: &i}
}

func (b *sarifBuilder) result(m *analyze.Result, f *analyze.Finding) sarifResult {
	res := sarifResult{
		RuleID: f.Rule, RuleIndex: b.rule(f.Rule), Level: f.Severity.String(), Message: sarifText{f.Message},
		Fingerprints: map[string]string{"hivemend/v1": f.Fingerprint},
		Properties: map[string]any{
			"machine": m.ID, "confidence": f.Confidence, "evidence": f.Evidence,
			"manualSteps": orEmpty(f.ManualSteps), "references": orEmpty(f.References),
		},
	}
	if f.Fix != nil {
		res.Properties["fix"] = f.Fix
	}
	if f.Location != nil {
		res.Properties["location"] = f.Location
		res.Locations = []sarifLocation{b.location(f)}
	}
	return res
}

// location names the bytes as exactly as they are known, and the key or value.
func (b *sarifBuilder) location(f *analyze.Finding) sarifLocation {
	l := f.Location
	var loc sarifLocation
	if l.Input != "" {
		file, region := byteRegion(f)
		loc.Physical = &sarifPhysical{Artifact: b.place(file), Region: region}
	}
	switch {
	case l.HasValue:
		name := l.Value
		if name == "" {
			name = "(Default)"
		}
		loc.Logical = []sarifLogical{{Name: name, Qualified: l.Key.Join(name).String(), Kind: "value"}}
	case len(l.Key) > 0:
		loc.Logical = []sarifLogical{{Name: l.Key.Name(), Qualified: l.Key.String(), Kind: "key"}}
	}
	return loc
}

// maxContiguous is the longest data that lies in one piece in every version of
// the hive format; longer data may be cut into segments.
const maxContiguous = 16344

// byteRegion returns the file in which a finding's bytes physically lie and
// the range of the failing bytes in it, or of the whole value where those are
// not known. The region is nil where no place in a file is known.
func byteRegion(f *analyze.Finding) (file string, region *sarifRegion) {
	l := f.Location
	if l.Line > 0 {
		return l.Input, &sarifRegion{StartLine: l.Line}
	}
	file, offset := l.Input, l.FileOffset
	if l.Origin != nil {
		file, offset = l.Origin.File, l.Origin.Offset
	}
	if offset <= 0 || file == "" {
		return l.Input, nil
	}
	region = &sarifRegion{ByteOffset: &offset}
	if l.Size > maxContiguous || l.Origin != nil && l.Origin.LogSequence > 0 {
		return file, region // in a log too, data may lie in several pieces
	}
	region.ByteLength = l.Size
	if start, length, ok := failingRange(f); ok && start+length <= l.Size {
		offset += start
		region.ByteLength = length
	}
	return file, region
}

// failingRange returns the bytes of a finding's value that are wrong, as an
// offset from the value's start and a length, or that it has none to name.
func failingRange(f *analyze.Finding) (start, length int64, ok bool) {
	if at, ok := integer(f.Evidence.Get("failingByte")); ok && at >= 0 {
		return at, 1, true
	}
	start, ok = integer(f.Evidence.Get("failingOffset"))
	length, known := integer(f.Evidence.Get("failingLength"))
	return start, length, ok && known && start >= 0 && length > 0
}

// fileURI returns a path as a URI reference (RFC 3986): absolute paths as
// file URIs, others relative.
func fileURI(path string) string {
	path = strings.ToValidUTF8(path, "\ufffd")
	switch {
	case strings.HasPrefix(path, "//"): // \\server\share
		host, rest, _ := strings.Cut(path[2:], "/")
		return (&url.URL{Scheme: "file", Host: host, Path: "/" + rest}).String()
	case strings.HasPrefix(path, "/"):
		return (&url.URL{Scheme: "file", Path: path}).String()
	case len(path) >= 3 && path[1] == ':' && path[2] == '/' && hive.Upcase(uint16(path[0])) >= 'A' && hive.Upcase(uint16(path[0])) <= 'Z':
		return (&url.URL{Scheme: "file", Path: "/" + path}).String()
	}
	return (&url.URL{Path: path}).String()
}
