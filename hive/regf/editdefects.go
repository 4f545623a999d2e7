package regf

import (
	"fmt"
	"strings"

	"hivemend/hive"
)

// defects is what a check of the hive means for editing it.
type defects struct {
	keys  map[string]hive.Issue // the first serious one of each key, by its folded path
	cells *hive.Issue           // damage that makes it unsafe to allocate or free anything
	more  bool                  // there are serious ones that the report does not list
	// Where references are damaged, a new record could come to lie where one
	// of them leads. So in a hive with any serious defect, free cells are not
	// used again, and where a reference leads beyond the last bin, no bin is
	// added either.
	keepFree, keepLength bool
	security             bool // the counts of who uses which security cell are wrong
}

// sortDefects looks through a report for what Windows would not live with.
// Lesser oddities do not keep a hive from being edited.
func sortDefects(r *Report) defects {
	d := defects{keys: map[string]hive.Issue{}}
	serious := 0
	for _, issue := range r.Issues {
		if issue.Damage < hive.DamageLoss {
			continue
		}
		serious++
		switch issue.Code {
		case "CL01", "CL04":
			if d.cells == nil {
				d.cells = &issue
			}
		case "SK01", "SK02":
			d.security = true
		}
		// Only the text tells where a damaged reference leads.
		if strings.Contains(issue.Detail, faultRange.String()) {
			d.keepLength = true
		}
		if issue.Key == nil {
			continue
		}
		if key := foldedPath(issue.Key); d.keys[key].Code == "" {
			d.keys[key] = issue
		}
	}
	d.more = serious < r.Count(hive.DamageLoss)+r.Count(hive.DamageFatal)
	d.keepFree = serious > 0 || d.more
	d.keepLength = d.keepLength || d.more
	return d
}

// foldedPath is a path in a form in which two that mean the same key are
// equal, and that of a key begins with those of the keys above it.
func foldedPath(path hive.Path) string {
	var b strings.Builder
	for _, name := range path {
		// No key that can be found by its path has a backslash in its name.
		b.WriteString(`\`)
		b.WriteString(hive.Fold(name))
	}
	return b.String()
}

// admit refuses hives in which no change is safe.
func (d defects) admit(force bool) error {
	if force || d.cells == nil {
		return nil
	}
	return &RefusedError{
		What: "edit the hive", Why: fmt.Sprintf("its cells are damaged (%s); repair the hive first", describe(*d.cells)), Forceable: true,
	}
}

func describe(issue hive.Issue) string {
	return fmt.Sprintf("%s at %#x: %s", issue.Code, issue.Offset, issue.Detail)
}

// admitDefects refuses to edit a key that is damaged.
func (e *Editor) admitDefects(path hive.Path) error {
	if issue, ok := e.defects.keys[foldedPath(path)]; ok {
		return e.unlessForced("%s is damaged (%s); repair the hive first", keyLabel(path), describe(issue))
	}
	if e.defects.more {
		return e.unlessForced("the hive has more damage than could be listed; repair it first")
	}
	return nil
}

// admitDefectsBelow refuses to delete a key that is damaged, or that has
// damaged keys below it.
func (e *Editor) admitDefectsBelow(path hive.Path) error {
	if err := e.admitDefects(path); err != nil {
		return err
	}
	above := foldedPath(path) + `\`
	for key, issue := range e.defects.keys {
		if strings.HasPrefix(key, above) {
			return e.unlessForced("%s, which lies below it, is damaged (%s); repair the hive first", keyLabel(issue.Key), describe(issue))
		}
	}
	return nil
}
