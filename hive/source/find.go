package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
	"strings"

	"hivemend/hive"
)

// finding collects what one unit holds.
type finding struct {
	search   *Search
	hives    []*member
	texts    []*member
	logs     map[string][]*member // by logKey
	failures []Failure
	looked   int // files looked at
	folders  int // folders looked at
	others   int // hives of no interest

	windows map[string]bool // which folders are Windows folders
	listed  string          // the folder that was listed last
	listing []string
}

func (f *finding) fail(label string, err error) {
	f.failures = append(f.failures, Failure{label, err})
}

func foldName(name string) string { return hive.Fold(name) }

// logKey names the hive that a transaction log belongs to.
func (f *file) logKey() string {
	stem, _ := logStem(f.name)
	return f.key + "/" + stem
}

// neutralStem cuts an ending such as .hiv, which a copy of a hive may have
// been given and its logs not.
func neutralStem(name string) string {
	folded := foldName(name)
	for _, end := range neutralEndings {
		if stem, ok := strings.CutSuffix(folded, end); ok {
			return stem
		}
	}
	return folded
}

// setupImages are archives of the small Windows that repairs or installs
// another one. They lie on nearly every disk and hold hives of their own, which
// nobody means who gives the disk; their own path has to be given.
var setupImages = map[string]bool{"WINRE.WIM": true, "BOOT.WIM": true}

// inspect tells what a file is, and takes what is of interest.
func (f *finding) inspect(file *file) {
	f.looked++
	if !file.explicit && !f.search.opt.AllHives && setupImages[foldName(file.name)] {
		return
	}
	r, err := file.open()
	if err != nil {
		f.fail(file.label, err)
		return
	}
	defer r.Close()
	head, err := readHead(r.guarded())
	if err != nil {
		f.fail(file.label, err)
		return
	}
	is, refusal := sniff(head)
	switch is {
	case hiveContent:
		f.takeHive(file, head, r)
	case logContent:
		f.takeLogContent(file, head, r)
	case textContent:
		f.texts = append(f.texts, f.member(file, head, r))
	case refusedContent:
		if file.explicit || refusal.holder {
			f.fail(file.label, refused(refusal.what, refusal.advice))
		}
	case unknownContent, emptyContent:
		f.takeUnknown(file, head, r)
	default:
		f.openContainer(file, is, head, r)
	}
}

// member makes a file a member. A file that can be opened only once is read
// now.
func (f *finding) member(file *file, head []byte, rest *stream) *member {
	m := &member{file: file, seq: f.looked, place: placeOf(file.dirs, file.name), named: nameOf(file.name)}
	limit := f.search.opt.Limits.Hive
	if file.budget != nil {
		if err := file.budget.member(); err != nil {
			m.whole = func() ([]byte, error) { return nil, err }
			return m
		}
	}
	if file.once {
		held, err := f.search.space.hold(io.MultiReader(bytes.NewReader(head), rest.guarded()), file.size, limit, "--max-hive")
		m.whole = func() ([]byte, error) {
			if err != nil {
				return nil, err
			}
			return held.bytes()
		}
		return m
	}
	m.whole = func() (data []byte, err error) {
		defer gaveUp(&err)
		r, err := file.open()
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return readWhole(r.guarded(), file.size, limit)
	}
	return m
}

func (f *finding) takeHive(file *file, head []byte, rest *stream) {
	header := headerName(head)
	if !file.explicit && !f.search.opt.AllHives && !wanted(file.name, header) {
		f.others++
		return
	}
	m := f.member(file, head, rest)
	m.header = header
	f.hives = append(f.hives, m)
}

// wanted reports whether a hive is one that the rules read, or may be: by its
// own name or by the one that its base block remembers.
func wanted(name, header string) bool {
	own, remembered := nameOf(name), nameOf(header)
	switch {
	case ofInterest[own.kind] || ofInterest[remembered.kind]:
		return true
	case own.kind != "" || remembered.kind != "":
		return false
	}
	return !otherHives[foldName(name)] && !otherHives[header]
}

func (f *finding) takeLogContent(file *file, head []byte, rest *stream) {
	stem, ok := logStem(file.name)
	switch {
	case ok:
		if !file.explicit && !file.beside && !f.search.opt.AllHives && !wanted(stem, "") {
			return
		}
		f.logs[file.logKey()] = append(f.logs[file.logKey()], f.member(file, head, rest))
	case file.explicit:
		f.fail(file.label, errLogAlone)
	}
}

var errLogAlone = errors.New("is the transaction log of a hive: give the hive; its logs are found beside it under the hive's name with .LOG, .LOG1 or .LOG2")

// failLogsAlone fails logs whose own path was given without that of their hive.
func (f *finding) failLogsAlone() {
	used := make(map[*member]bool)
	for _, m := range f.hives {
		for _, log := range f.logsOf(m) {
			used[log] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(f.logs)) {
		for _, log := range f.logs[key] {
			if log.explicit && !used[log] {
				f.fail(log.label, errLogAlone)
			}
		}
	}
}

// takeUnknown decides what to say about a file that is nothing known. In a
// folder that is the rule; not so where the name promises a hive or .reg text.
func (f *finding) takeUnknown(file *file, head []byte, rest *stream) {
	if stem, isLog := logStem(file.name); isLog {
		// A log whose first sector is gone is still worth a look, or a word;
		// not so every text that is called a log.
		if len(head) > 0 && (file.explicit || file.beside || ofInterest[nameOf(stem).kind]) {
			f.takeLogContent(file, head, rest)
		}
		return
	}
	name := foldName(file.name)
	text := strings.HasSuffix(name, ".REG")
	named := name == string(hive.System) || name == string(hive.Software) || name == string(hive.Security)
	switch {
	case len(head) == 0 && (file.explicit || text || named):
		f.fail(file.label, errEmpty)
	case !file.explicit && !text && !named:
	case text:
		f.fail(file.label, fmt.Errorf("is no .reg text, whatever its name says: want \"Windows Registry Editor Version 5.00\" or REGEDIT4 in its first line, found %s", describe(head)))
	default:
		f.fail(file.label, fmt.Errorf("is no registry hive (want \"regf\" at its start), no .reg text, and no archive or image that is known: found %s", describe(head)))
	}
}

// groups sorts what was found under a path into machines.
func (f *finding) groups(label string) []*Group {
	f.refuseTwins()
	f.dropLogsGivenAsHives()
	f.failLogsAlone()
	f.nothingFound(label)
	groups := f.hiveGroups()
	groups = append(groups, f.textGroups()...)
	sort.SliceStable(groups, func(i, j int) bool { return groups[i].order < groups[j].order })
	out := make([]*Group, 0, len(groups)+len(f.failures))
	for _, g := range groups {
		out = append(out, g.Group)
	}
	for _, failure := range f.failures {
		out = append(out, failedGroup(failure.Path, failure.Err))
	}
	return out
}

// refuseTwins fails members whose names differ in case alone. Windows would
// hold them for one file; which of them it was, nobody can tell.
func (f *finding) refuseTwins() {
	f.hives = f.withoutTwins(f.hives)
	f.texts = f.withoutTwins(f.texts)
	for _, key := range slices.Sorted(maps.Keys(f.logs)) {
		f.logs[key] = f.withoutTwins(f.logs[key])
	}
}

func (f *finding) withoutTwins(members []*member) []*member {
	first := make(map[string]*member, len(members))
	twin := make(map[*member]bool)
	for _, m := range members {
		key := m.fullKey()
		if other, ok := first[key]; ok {
			if !twin[other] {
				f.fail(other.label, fmt.Errorf("is the same name to Windows as %s; neither is read: remove the one that does not belong there", m.label))
			} else {
				f.fail(m.label, fmt.Errorf("is the same name to Windows as %s; neither is read", other.label))
			}
			twin[other], twin[m] = true, true
			continue
		}
		first[key] = m
	}
	if len(twin) == 0 {
		return members
	}
	kept := members[:0:0]
	for _, m := range members {
		if !twin[m] {
			kept = append(kept, m)
		}
	}
	return kept
}

// dropLogsGivenAsHives takes hives that carry the name of another hive's log
// for what they are named: an old log may look like a hive.
func (f *finding) dropLogsGivenAsHives() {
	names := make(map[string]bool, len(f.hives))
	for _, m := range f.hives {
		names[m.fullKey()] = true
	}
	kept := f.hives[:0:0]
	for _, m := range f.hives {
		if _, ok := logStem(m.name); ok && names[m.logKey()] {
			f.logs[m.logKey()] = append(f.logs[m.logKey()], m)
			continue
		}
		kept = append(kept, m)
	}
	f.hives = kept
}

// logsOf returns the transaction logs beside a hive, by name.
func (f *finding) logsOf(m *member) []*member {
	logs := f.logs[m.key+"/"+foldName(m.name)]
	if len(logs) == 0 {
		stem := neutralStem(m.name)
		for _, other := range f.hives {
			if other.key == m.key && foldName(other.name) == stem {
				return nil // the logs are that one's
			}
		}
		logs = f.logs[m.key+"/"+stem]
	}
	logs = append([]*member(nil), logs...)
	sort.SliceStable(logs, func(i, j int) bool { return foldName(logs[i].name) < foldName(logs[j].name) })
	return logs
}
