package source

import (
	"fmt"
	"strings"

	"hivemend/hive"
)

// ordered is a group with the place of its first member.
type ordered struct {
	*Group
	order int
}

// hiveGroups makes one group of each set of hives that belong together.
func (f *finding) hiveGroups() []ordered {
	var groups []ordered
	for _, folder := range byFolder(f.hives) {
		for _, set := range split(folder) {
			set := set
			logs := make(map[*member][]*member, len(set))
			for _, m := range set {
				logs[m] = f.logsOf(m)
			}
			groups = append(groups, ordered{&Group{
				Label: groupLabel(set),
				load:  func() Result { return f.search.loadHives(set, logs) },
			}, set[0].seq})
		}
	}
	return groups
}

// textGroups makes one group of the .reg files of each folder.
func (f *finding) textGroups() []ordered {
	var groups []ordered
	for _, set := range byFolder(f.texts) {
		set := set
		groups = append(groups, ordered{&Group{
			Label: groupLabel(set),
			load:  func() Result { return f.search.loadTexts(set) },
		}, set[0].seq})
	}
	return groups
}

// byFolder sorts members by the folder they lie in, in the order of the first.
func byFolder(members []*member) [][]*member {
	place := make(map[string]int)
	var folders [][]*member
	for _, m := range members {
		i, ok := place[m.key]
		if !ok {
			i = len(folders)
			place[m.key] = i
			folders = append(folders, nil)
		}
		folders[i] = append(folders[i], m)
	}
	return folders
}

// groupLabel is the path of a single member, or the folder of several.
func groupLabel(set []*member) string {
	label := set[0].label
	if len(set) == 1 {
		return label
	}
	i := strings.LastIndexByte(label, '/')
	j := strings.LastIndex(label, "::")
	switch {
	case j > i:
		return label[:j]
	case i > 0:
		return label[:i]
	}
	return "."
}

// kindGuess is what can be known of a hive's kind before it is read.
func (m *member) kindGuess() hive.Kind {
	if m.named.kind != "" {
		return m.named.kind
	}
	return nameOf(m.header).kind
}

// split sorts the hives of one folder into machines. What carries the same
// marks around the hive's name (SYSTEM.bak and SOFTWARE.bak, HOST1_SYSTEM and
// HOST1_SOFTWARE) belongs together. A hive whose name says nothing joins the
// others only where there is exactly one of each kind. What is left in doubt
// stays alone, with a note.
func split(folder []*member) [][]*member {
	var tags []string
	sets := make(map[string][]*member)
	var nameless []*member
	for _, m := range folder {
		if m.named.kind == "" {
			nameless = append(nameless, m)
			continue
		}
		if sets[m.named.tag] == nil {
			tags = append(tags, m.named.tag)
		}
		sets[m.named.tag] = append(sets[m.named.tag], m)
	}
	if len(tags) <= 1 && !folder[0].place.layout {
		if oneOfEach(folder) {
			return [][]*member{folder}
		}
	}
	var out [][]*member
	for _, tag := range tags {
		set := sets[tag]
		if tag != plainTag {
			for _, m := range set {
				if m.place.layout { // SYSTEM.bak among the live hives is not live
					m.place.generation = hive.Unknown
				}
			}
		}
		if oneOfEach(set) {
			out = append(out, set)
			continue
		}
		for _, m := range set {
			out = append(out, []*member{m})
			m.notes = append(m.notes, fmt.Sprintf("was paired with no other hive: its folder holds several that it could belong to (%s)", labels(set)))
		}
	}
	for _, m := range nameless {
		if m.place.layout {
			m.place.generation = hive.Unknown
		}
		if len(folder) > 1 {
			m.notes = append(m.notes, "was paired with no other hive of its folder: neither its name nor its base block says which it belongs to")
		}
		out = append(out, []*member{m})
	}
	return out
}

// oneOfEach reports whether the kinds of all are known and no two are equal.
func oneOfEach(set []*member) bool {
	seen := make(map[hive.Kind]bool)
	for _, m := range set {
		kind := m.kindGuess()
		if kind == "" && len(set) > 1 || seen[kind] {
			return false
		}
		seen[kind] = true
	}
	return true
}

// labels names members, at most a few.
func labels(set []*member) string {
	const most = 6
	var names []string
	for i, m := range set {
		if i == most {
			names = append(names, fmt.Sprintf("and %d more", len(set)-most))
			break
		}
		names = append(names, m.label)
	}
	return strings.Join(names, ", ")
}
