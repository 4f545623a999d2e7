package regf

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"hivemend/hive"
)

// RepairOptions says how a hive is to be repaired. The zero value is good.
type RepairOptions struct {
	// Time becomes that of the hive, as if it had been written then; 0 leaves
	// it. The times of keys stay as they are.
	Time hive.FileTime
	// MinSequence is the highest sequence number that was seen in the hive's
	// logs; see [EditorOptions.MinSequence].
	MinSequence uint32
	// Force repairs what would be refused: a copy that was damaged on the way
	// (another copy would be better), and layered keys.
	Force bool
}

// RepairMethod says how a hive was repaired.
type RepairMethod string

// The ways to repair a hive.
const (
	// RepairNone: there was nothing to repair.
	RepairNone RepairMethod = "none"
	// RepairInPlace: only the fields that were wrong have changed.
	RepairInPlace RepairMethod = "in-place"
	// RepairRebuilt: everything that could be read was put into a new hive.
	RepairRebuilt RepairMethod = "rebuilt"
)

// Repaired is what came out of a repair.
type Repaired struct {
	// Data is the repaired hive: a new slice, or the one of the Image where
	// nothing was to be done.
	Data   []byte
	Method RepairMethod
	// Root is the tree that Data was made to hold. Any other reader has to
	// find the same in it.
	Root hive.Key
	// Before and After are what [Image.Check] says of the two hives.
	Before, After *Report

	// Mended are the defects of the original that are none any more.
	Mended []hive.Issue
	// Changed is what is new: keys that no list named and that are back under
	// their parent, names that had to change, records that were completed.
	Changed []RepairNote
	// Lost is what the hive claims to hold and what could not be read.
	Lost []RepairNote
	// Left is what is in the original, but in no key's reach, and so is not in
	// a hive that was rebuilt. It is empty after a repair in place.
	Left []RepairNote
}

// RepairNote says one thing about a repair.
type RepairNote struct {
	Kind   string    // "key", "value", "list", "security", "class", "range" or "header"
	Key    hive.Path // the key that it is about; nil where that is none
	Value  string    // the value's name, of Kind "value"
	Offset int64     // where it lies in the original, in bytes; negative where nowhere
	Length int64     // how many bytes it is about there; 0 where that says nothing
	Text   string    // the whole of it, for people
}

// Repair mends what [Image.Check] finds, and loses less than Windows does when
// it heals a hive: what is in the wrong order is sorted, what cannot be found
// by its hash gets the right one, a broken list costs none of the keys it
// named, for they name their parent, and data is kept as far as it can be read.
// The Image, which may have been opened leniently, is never changed.
//
// Where every defect has one right value that fits where the wrong one stands,
// nothing else is touched. Else everything that can be read is put into a new
// hive of the same version, with times, classes, security and base block as
// they were. Either way the result is clean and sound, holds exactly the tree
// that was planned, and has a sequence number above every one that was seen.
// The same hive and options give the same bytes.
//
// A sound and clean hive comes back as it is. A [RefusedError] says what is
// better not repaired, or not without Force.
func Repair(im *Image, opt RepairOptions) (*Repaired, error) {
	c := newChecker(im)
	c.run()
	r := &Repaired{Data: im.data, Method: RepairNone, Root: im.Root(), Before: &c.report, After: &c.report}
	lost := findOrphans(c)
	if !needsRepair(c, lost) {
		return r, nil
	}
	if err := admitRepair(im, &c.report, opt.Force); err != nil {
		return nil, im.named(err)
	}
	restored, changed, err := restoreSignatures(im)
	if err != nil {
		return nil, err
	}
	if restored != im {
		c = newChecker(restored)
		c.run()
		lost = findOrphans(c)
	}
	r.Changed = changed
	if err := r.repair(c, lost, opt); err != nil {
		return nil, im.named(err)
	}
	for _, issue := range r.Before.Issues {
		if issue.Damage >= hive.DamageLoss || issue.Code == "BB03" {
			r.Mended = append(r.Mended, issue)
		}
	}
	return r, nil
}

// repair tries the gentler way first, and keeps only what proves to be right.
func (r *Repaired) repair(c *checker, lost orphans, opt RepairOptions) error {
	if mendableInPlace(&c.report) {
		p := newPlanner(c, lost, false)
		root, err := p.run()
		if err != nil {
			return err
		}
		if p.needsBuild == "" {
			if data, ok := mendInPlace(c, root, opt); ok && r.accept(c.Image, data, root) == nil {
				r.Method = RepairInPlace
				r.Changed, r.Lost = append(r.Changed, p.changed...), append(lostRanges(c, false), p.lost...)
				return nil
			}
		}
	}
	if h := c.Header(); h.Minor >= 6 && h.Flags&baseFlagLayered != 0 && !opt.Force {
		return &RefusedError{What: "repair the hive", Why: "it would have to be built anew, and it holds layered keys, whose meaning depends on another hive", Forceable: true}
	}
	p := newPlanner(c, lost, true)
	root, err := p.run()
	if err != nil {
		return err
	}
	data, err := rebuild(c.Image, root, p.minor, opt)
	if err != nil {
		return fmt.Errorf("repair the hive: %w", err)
	}
	if err := r.accept(c.Image, data, root); err != nil {
		return fmt.Errorf("repair the hive: %w", err)
	}
	r.Method = RepairRebuilt
	r.Changed, r.Lost, r.Left = append(r.Changed, p.changed...), append(lostRanges(c, true), p.lost...), p.left()
	return nil
}

// accept takes a repaired hive if it is sound, clean and holds what was planned.
func (r *Repaired) accept(im *Image, data []byte, root *plannedKey) error {
	after, err := Open(data, OpenOptions{File: im.file})
	if err != nil {
		return err
	}
	report := after.Check()
	switch {
	case after.Dirty():
		return errors.New("the result would not be clean")
	case !report.Sound() || !report.Bounded():
		for _, issue := range report.Issues {
			if issue.Damage >= hive.DamageLoss {
				return fmt.Errorf("the result would not be sound: %s", describe(issue))
			}
		}
		return errors.New("the result would not be sound")
	}
	if problem := root.differs(after.Root(), nil); problem != "" {
		return fmt.Errorf("the result would not hold what was planned: %s", problem)
	}
	r.Data, r.Root, r.After = data, root.node.Key(), report
	return nil
}

// needsRepair reports whether there is anything to do. Windows lives with
// anomalies, but for one: a count of 0 that hides the keys of a list.
func needsRepair(c *checker, lost orphans) bool {
	if !c.report.Sound() || dirty(c.base) {
		return true
	}
	for _, issue := range c.report.Issues {
		if issue.Code == "LS05" && len(lost.below[fileOffset(issue.Offset).cell()-nkCountField]) > 0 {
			return true
		}
	}
	return false
}

// admitRepair refuses what another copy of the file would serve better.
func admitRepair(im *Image, report *Report, force bool) error {
	if force {
		return nil
	}
	for _, issue := range report.Issues {
		if issue.Code == "BN04" {
			return &RefusedError{What: "repair the hive", Why: "blocks of it were shifted when it was copied; copy it again from the machine", Forceable: true}
		}
	}
	return nil
}

// nextSequence is a number above every one that was seen.
func nextSequence(b baseBlock, seen uint32) uint32 {
	n := later(later(b.sequence1(), b.sequence2()), seen) + 1
	if n == 0 {
		n = 1
	}
	return n
}

// repairedMinor is the version that a repaired hive has: its own where that
// can be believed and exists.
func repairedMinor(im *Image) uint32 {
	if im.minor < 2 || im.minor > 6 {
		return defaultMinor
	}
	return im.minor
}

// differs says where a hive does not hold what was planned, or "".
func (p *plannedKey) differs(k hive.Key, path hive.Path) string {
	n := p.node
	fail := func(what string, args ...any) string { return keyLabel(path) + ": " + fmt.Sprintf(what, args...) }
	switch {
	case n.LastWrite != k.LastWrite():
		return fail("time %s instead of %s", k.LastWrite(), n.LastWrite)
	case !bytes.Equal(n.Class, k.Class()):
		return fail("another class name")
	case !bytes.Equal(n.Security, k.Security()):
		return fail("another security descriptor")
	}
	i := 0
	for v := range k.Values() {
		data, err := v.Data()
		if err != nil || i >= len(n.Values) {
			return fail("value %s is too much, or cannot be read", hive.ValueLabel(v.Name()))
		}
		if want := n.Values[i]; want.Name != v.Name() || want.Type != v.Type() || !bytes.Equal(want.Data, data) {
			return fail("value %s differs", hive.ValueLabel(want.Name))
		}
		i++
	}
	if i < len(n.Values) {
		return fail("value %s is missing", hive.ValueLabel(n.Values[i].Name))
	}
	i = 0
	for sub := range k.Subkeys() {
		if i >= len(p.keys) || p.keys[i].node.Name != sub.Name() {
			return fail("subkey %s is too much, or stands in the wrong place", quoteKey(sub.Name()))
		}
		if problem := p.keys[i].differs(sub, append(slices.Clip(path), sub.Name())); problem != "" {
			return problem
		}
		i++
	}
	if i < len(p.keys) {
		return fail("subkey %s is missing", quoteKey(p.keys[i].node.Name))
	}
	return ""
}

// lostRanges lists the stretches of the file that were no bins or cells. A
// repair in place only loses those that are not there.
func lostRanges(c *checker, rebuilt bool) (notes []RepairNote) {
	add := func(at, n int64, format string, args ...any) {
		notes = append(notes, RepairNote{Kind: "range", Offset: at, Length: n, Text: fmt.Sprintf(format, args...)})
	}
	for at := 0; at < len(c.bins); {
		end := int(c.binEnd[at/binUnit])
		from, n := int64(binsStart+at), int64(end-at)
		_, err := c.binAt(at)
		bad := c.badCellAt(at, end)
		switch {
		case err != nil && end == len(c.bins) && allZero(c.bins[at:end]):
			add(from, n, "%d bytes from %#x to the end of the bins are zero: what stood there is lost", n, from)
		case err != nil && rebuilt && bad < end:
			add(from, n, "%d bytes from %#x are no sound bin: only what a key refers to was read there", n, from)
		case rebuilt && bad < end:
			add(int64(binsStart+bad), int64(end-bad), "%d bytes from %#x are no sound cells: only what a key refers to was read there", end-bad, binsStart+bad)
		}
		at = end
	}
	claimed, rest := uint64(c.base.length()), uint64(len(c.data)-binsStart)
	if c.base.checksumValid() && lengthPlausible(claimed) && claimed > rest {
		add(int64(len(c.data)), int64(claimed-rest), "the file is truncated: its last %d bytes, from %#x on, are missing", claimed-rest, len(c.data))
	}
	return notes
}

func allZero(b []byte) bool { return len(bytes.TrimRight(b, "\x00")) == 0 }

// badCellAt returns where the cells of a bin stop making sense, or its end.
func (im *Image) badCellAt(at, end int) int {
	for at += binHeaderSize; at+cellUnit <= end; {
		size := int64(int32(le.Uint32(im.bins[at:])))
		size = max(size, -size)
		if size < cellUnit || size%cellUnit != 0 || size > int64(end-at) {
			return at
		}
		at += int(size)
	}
	return min(at, end)
}
