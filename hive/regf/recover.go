package regf

import (
	"cmp"
	"slices"

	"hivemend/hive"
)

// RecoverOptions say where else than in the hive itself Recover looks.
type RecoverOptions struct {
	// Logs are the transaction logs beside the hive, used or not. Older states
	// of the hive are taken out of all their sound entries, those left over
	// from earlier rounds included.
	Logs []Log
	// Before is the hive as it lay before its logs were applied; nil where
	// nothing was.
	Before []byte
}

// Recovered is what [Image.Recover] found.
type Recovered struct {
	// Items that lie in the hive come first, in order of their offsets; those
	// of older states follow, the oldest state first.
	Items []RecoveredItem
	// Notes say in words what was left out because a limit was reached.
	Notes []string
}

// RecoveredItem is a key or a value that is no longer part of the tree.
type RecoveredItem struct {
	Kind RecoveredKind
	// Path is the key's own path, or that of the key to which the value
	// belonged, from the root of the hive. Where PathKnown is false the way up
	// ends before the root, and names are missing in front.
	Path      hive.Path
	PathKnown bool
	Name      string // of the key or value; "" is the default value
	// Confidence says how sure the path is.
	Confidence Confidence
	// Source says in what kind of place the record lies.
	Source RecoverySource
	// Offset is where the record lies in the hive, in bytes from the start of
	// the file; for an older state, where it would lie if that state were the
	// file's. Length is that of the record with its name.
	Offset, Length int64
	// LastWrite is set for keys.
	LastWrite hive.FileTime

	// The rest is for values. Size is how many bytes of data the record claims.
	Type hive.Type
	Size int64
	// Data is what is left of them. It must not be changed.
	Data []byte
	// DataState says what Data is worth, and DataOffset where in the hive it begins.
	DataState  DataState
	DataOffset int64

	// Log, LogSequence and LogOffset name the log entry whose state held the
	// item, and where in the log the record lies; LogOffset is 0 where the
	// record itself came from elsewhere. All are zero for what lies in the
	// hive, and for the state before its logs were applied.
	Log         string
	LogSequence uint32
	LogOffset   int64
	// Replaced says that the tree has a value of this name in this place, with
	// other data or type.
	Replaced bool
}

// RecoveredKind tells keys from values.
type RecoveredKind string

// What can be recovered.
const (
	RecoveredKey   RecoveredKind = "key"
	RecoveredValue RecoveredKind = "value"
)

// Confidence says how sure it is where an item belonged.
type Confidence string

// The degrees of confidence.
const (
	ConfidenceHigh   Confidence = "high"   // its parent is part of the tree, and both records agree
	ConfidenceMedium Confidence = "medium" // its parent is deleted as well, or the connection is inferred
	ConfidenceLow    Confidence = "low"    // the way up to the root is lost; a whole path is a guess from what lies beside the value
)

// RecoverySource is the kind of place in which a deleted record lies.
type RecoverySource string

// The places, in the order of how much usually lies there.
const (
	SourceFree         RecoverySource = "free"         // a free cell
	SourceUnreferenced RecoverySource = "unreferenced" // a cell in use that nothing refers to, or space that belongs to no cell
	SourceSlack        RecoverySource = "slack"        // the unused end of a cell in use
	SourceTrailing     RecoverySource = "trailing"     // behind the last bin
	SourceLog          RecoverySource = "log"          // an older state that the logs hold
	SourceBefore       RecoverySource = "before"       // the hive as it lay before its logs were applied
)

// DataState says what the data of a recovered value is worth.
type DataState string

// The states of recovered data.
const (
	DataWhole       DataState = "whole"       // all bytes are there, and nothing lies over them
	DataPartial     DataState = "partial"     // bytes are missing at the end, or other records lie in the same place
	DataOverwritten DataState = "overwritten" // another cell lies in its place, or its place is outside the file
	DataSkipped     DataState = "skipped"     // not read: a limit was reached
)

// Limits of plausibility: what a record claims beyond them is taken for
// chance, not for a record. (Observed by the authors of yarp; Windows allows
// more.)
const (
	plausibleName    = 1024 // bytes
	plausibleNulls   = 5    // NULs in a name
	plausibleSubkeys = 10_000
	plausibleValues  = 1000
	plausibleSince   = 116444736000000000 // 1970-01-01
	plausibleUntil   = 157469184000000000 // 2100-01-01
)

// Limits of what Recover gives. A sound hive stays far below them; they keep a
// made-up one, in which much refers to the same few bytes, from costing more
// than a multiple of its size.
const (
	maxRecovered = 1 << 20  // items
	pathSpare    = 16 << 20 // bytes of paths, beside twice the size of the hive
	dataSpare    = 1 << 20  // bytes of data, likewise
	stepsSpare   = 32 << 20 // references followed, beside the size of the hive
)

// Recover looks for deleted keys and values where Windows leaves them: in free
// cells, in cells that nothing refers to, in the unused ends of cells, behind
// the last bin, and in the older states that transaction logs hold. Nothing
// that is part of the tree is among them, and nothing is changed.
//
// A record counts where its fields are plausible. A path is made by following
// parents, which may be deleted too; see Confidence for how far it can be
// trusted.
func (im *Image) Recover(opt RecoverOptions) *Recovered {
	r := newRecovery(im)
	r.findGround()
	r.findRecords()
	r.linkValues()
	r.addItems()
	if len(opt.Logs) > 0 || opt.Before != nil {
		r.recoverStates(opt)
	}
	r.noteLimits()
	return &r.result
}

// recovery is one run of Recover.
type recovery struct {
	*Image
	live   bitmap // the keys of the tree
	use    usedCells
	ground []stretch
	found  []record

	result                         Recovered
	pathsLeft, dataLeft, stepsLeft int64 // how much more of each may be spent
	more                           int   // items beyond maxRecovered
	skipped                        int   // values whose data was not read
	pathsCut, stepsSpent           bool
}

func newRecovery(im *Image) *recovery {
	size := int64(len(im.data))
	return &recovery{Image: im, pathsLeft: 2*size + pathSpare, dataLeft: 2*size + dataSpare, stepsLeft: size + stepsSpare}
}

// isLive reports whether the key at off is part of the tree.
func (r *recovery) isLive(off cellOffset) bool {
	return uint64(off) < uint64(len(r.bins)) && off%cellUnit == 0 && r.live.has(off)
}

// spend takes n steps from what may be spent and reports whether there were
// as many.
func (r *recovery) spend(n int) bool {
	if r.stepsLeft -= int64(n); r.stepsLeft < 0 {
		r.stepsSpent = true
	}
	return !r.stepsSpent
}

func (r *recovery) add(item RecoveredItem) {
	if len(r.result.Items) >= maxRecovered {
		r.more++
		return
	}
	r.result.Items = append(r.result.Items, item)
}

func (r *recovery) noteLimits() {
	note := func(is bool, text string) {
		if is {
			r.result.Notes = append(r.result.Notes, text)
		}
	}
	note(r.more > 0, "more items were found than are listed")
	note(r.skipped > 0, "the data of some values was not read: together the values claim more than twice the size of the hive")
	note(r.pathsCut, "some paths were not followed to their end: together they are longer than twice the size of the hive")
	note(r.stepsSpent, "not every reference was followed: there are more than a hive of this size can need")
}

// addItems makes items of the records that were found in the hive.
func (r *recovery) addItems() {
	for i := range r.found {
		rec := &r.found[i]
		item := RecoveredItem{Source: rec.source, Offset: int64(rec.at), Length: int64(rec.end - rec.at)}
		if rec.isKey() {
			k := nk(r.data[rec.at:rec.end])
			item.Kind, item.Name, item.LastWrite = RecoveredKey, k.name().text(), hive.FileTime(k.lastWritten())
			item.Path, item.PathKnown, item.Confidence = r.pathOf(i)
		} else {
			r.fillValue(&item, rec)
		}
		r.add(item)
	}
}

// fillValue fills in what is known of a deleted value.
func (r *recovery) fillValue(item *RecoveredItem, rec *record) {
	v := vk(r.data[rec.at:rec.end])
	item.Kind, item.Name, item.Type, item.Size = RecoveredValue, v.name().text(), hive.Type(v.valueType()), int64(v.dataSize()&^inlineBit)
	item.Data, item.DataState, item.DataOffset = r.dataOf(rec, v)
	switch {
	case rec.ownerLive != noCell:
		item.Path, item.PathKnown = r.livePath(rec.ownerLive, nil)
		item.Confidence = ConfidenceHigh
		if rec.inferred || !item.PathKnown {
			item.Confidence = ConfidenceMedium
		}
		item.Replaced = r.hasValue(rec.ownerLive, v.name())
	case rec.owner >= 0:
		item.Path, item.PathKnown, item.Confidence = r.pathOf(rec.owner)
		if item.Confidence == ConfidenceHigh {
			item.Confidence = ConfidenceMedium
		}
	default:
		item.Confidence = ConfidenceLow
		if rec.guess != noCell {
			item.Path, item.PathKnown = r.livePath(rec.guess, nil)
		}
	}
}

// hasValue reports whether a key of the tree has a value of that name.
func (r *recovery) hasValue(key cellOffset, name storedName) bool {
	entries, _ := r.valueList(r.keyQuick(key))
	if !r.spend(len(entries) / 4) {
		return false
	}
	for ; len(entries) > 0; entries = entries[4:] {
		if v := r.valueQuick(reference(entries)); v != nil && v.name().compare(name) == 0 {
			return true
		}
	}
	return false
}

// at returns the index of the record whose cell would begin at off, or -1.
func (r *recovery) at(off cellOffset) int {
	i, ok := slices.BinarySearchFunc(r.found, off.file()+cellHeaderSize, func(rec record, at fileOffset) int { return cmp.Compare(rec.at, at) })
	if !ok {
		return -1
	}
	return i
}
