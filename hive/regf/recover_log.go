package regf

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"

	"hivemend/hive"
)

// logState is one entry of a log: pages of the hive as they were written at
// one time.
type logState struct {
	log      string
	sequence uint32
	pages    []logPage
	data     []byte // the log
}

// logPage is a range of the bins and where its bytes lie in the log.
type logPage struct{ at, size, from int64 }

// hashSpare is how often the bytes of a log may be hashed to find its entries.
// Entries of a sound log do not overlap, so once is enough for them.
const hashSpare = 4

// logStates returns the sound entries of all logs, the oldest first. Those left
// over from earlier rounds count as well.
func (r *recovery) logStates(logs []Log) []logState {
	var states []logState
	for _, log := range logs {
		if h, err := logHeader(log.Data); err == nil && h.fileType() != logTypeNew {
			if s, ok := oldState(log, h); ok {
				states = append(states, s)
			}
			continue
		}
		states = append(states, r.newStates(log)...)
	}
	base := r.base.sequence2()
	slices.SortStableFunc(states, func(a, b logState) int { return cmp.Compare(int32(a.sequence-base), int32(b.sequence-base)) })
	return states
}

func (r *recovery) newStates(log Log) []logState {
	var states []logState
	left := hashSpare * len(log.Data)
	for at := logHeaderSize; at+entryFixedSize <= len(log.Data); {
		next := at + logUnit
		e := logEntry(log.Data[at:])
		if bytes.Equal(e.signature(), entrySignature) && marvin32(logSeed, e[:32]) == e.hash2() {
			if left -= int(min(uint64(e.size()), uint64(len(e)))); left < 0 {
				r.stepsSpent = true
				break
			}
			if e, err := entryAt(log.Data, at); err == nil && e != nil {
				states = append(states, newState(log, e, at))
				next = at + len(e)
			}
		}
		at = next
	}
	return states
}

func newState(log Log, e logEntry, at int) logState {
	s := logState{log: log.Path, sequence: e.sequence(), data: log.Data}
	from := int64(at) + entryFixedSize + int64(e.pages())*entryRefSize
	for i := range int(e.pages()) {
		offset, size := e.page(i)
		s.pages = append(s.pages, logPage{int64(offset), int64(size), from})
		from += int64(size)
	}
	return s
}

func oldState(log Log, h baseBlock) (logState, bool) {
	start, err := oldPages(log.Data, h)
	if err != nil {
		return logState{}, false
	}
	s := logState{log: log.Path, sequence: h.sequence1(), data: log.Data}
	from := int64(start)
	for i := range int(h.length() / logUnit) {
		if log.Data[dirtyMapStart+i/8]>>(i%8)&1 == 0 {
			continue
		}
		if n := len(s.pages); n > 0 && s.pages[n-1].at+s.pages[n-1].size == int64(i)*logUnit {
			s.pages[n-1].size += logUnit
		} else {
			s.pages = append(s.pages, logPage{int64(i) * logUnit, logUnit, from})
		}
		from += logUnit
	}
	return s, true
}

// recoverStates applies the entries of the logs one by one, and looks after
// each for what was part of the tree then and is no longer, or has changed.
func (r *recovery) recoverStates(opt RecoverOptions) {
	states := r.logStates(opt.Logs)
	if len(states) == 0 {
		return
	}
	before, applied := r.data, opt.Before != nil
	if applied {
		before = opt.Before
	}
	if len(before) < binsStart+binUnit {
		return
	}
	w := r.newStateWalk(before, states)
	if applied {
		w.source = SourceBefore
		w.scan(w.touched(states))
	}
	w.source = SourceLog
	since := baseBlock(before).sequence2()
	for i := range states {
		s := &states[i]
		w.apply(s)
		w.stale = !applied || laterSequence(since, s.sequence)
		w.scan(s.pages)
	}
}

// stateWalk goes through the states of a hive.
type stateWalk struct {
	*recovery
	image    *Image // of the state in the making
	source   RecoverySource
	stale    bool // what the entry's neighbours were then is not known for certain
	state    *logState
	byPlace  []logPage                 // the pages of state, in order of their places
	seen     map[[sha256.Size]byte]int // the items by place and bytes
	attached map[cellOffset]bool       // values of the state that belong to a key
}

// newStateWalk makes room for the largest of the states.
func (r *recovery) newStateWalk(before []byte, states []logState) *stateWalk {
	size := int64(len(before))
	for i := range states {
		limit := int64(len(before) + len(states[i].data) + growthLimit)
		states[i].pages = slices.DeleteFunc(states[i].pages, func(p logPage) bool { return binsStart+p.at+p.size > limit })
		for _, p := range states[i].pages {
			size = max(size, binsStart+p.at+p.size)
		}
		r.dataLeft += int64(len(states[i].data)) / int64(len(states))
	}
	data := make([]byte, roundUp(int(size), binUnit))
	copy(data, before)
	im := &Image{data: data, bins: data[binsStart:], base: r.base, minor: r.minor, root: r.root}
	im.binEnd = make([]uint32, len(im.bins)/binUnit)
	for i := range im.binEnd {
		im.binEnd[i] = uint32(len(im.bins))
	}
	return &stateWalk{recovery: r, image: im, seen: map[[sha256.Size]byte]int{}}
}

// touched returns the pages that any of the entries changes.
func (w *stateWalk) touched(states []logState) []logPage {
	done := make([]bool, len(w.image.bins)/logUnit)
	var pages []logPage
	for _, s := range states {
		for _, p := range s.pages {
			for at := p.at; at < p.at+p.size; at += logUnit {
				if done[at/logUnit] {
					continue
				}
				done[at/logUnit] = true
				pages = append(pages, logPage{at: at, size: logUnit})
			}
		}
	}
	return pages
}

func (w *stateWalk) apply(s *logState) {
	for _, p := range s.pages {
		copy(w.image.bins[p.at:], s.data[p.from:p.from+p.size])
	}
	w.state = s
	w.byPlace = slices.Clone(s.pages)
	slices.SortStableFunc(w.byPlace, func(a, b logPage) int { return cmp.Compare(a.at, b.at) })
}

// scan looks at every record that begins on one of the pages.
func (w *stateWalk) scan(pages []logPage) {
	w.attached = map[cellOffset]bool{}
	var values []cellOffset
	for _, p := range pages {
		for at := p.at + cellHeaderSize; at < p.at+p.size; at += cellUnit {
			length, isKey := plausibleRecord(w.record(at))
			off := cellOffset(at - cellHeaderSize)
			switch {
			case length == 0 || w.same(off, length):
			case isKey:
				w.key(off, length)
			default:
				values = append(values, off)
			}
		}
	}
	for _, off := range values {
		if !w.attached[off] {
			w.loose(off)
		}
	}
}

func (w *stateWalk) record(at int64) []byte {
	bins := w.image.bins
	return bins[at:min(at+nkSize+plausibleName, int64(len(bins)))]
}

// same reports whether the hive has the same bytes in that cell, so that the
// record is no news.
func (w *stateWalk) same(off cellOffset, length int) bool {
	from, to := int(off)+cellHeaderSize, int(off)+cellHeaderSize+length
	return to <= len(w.bins) && bytes.Equal(w.bins[from:to], w.image.bins[from:to])
}

// key looks at a key that is not as the hive has it, and at its values.
func (w *stateWalk) key(off cellOffset, length int) {
	k := nk(w.image.bins[int(off)+cellHeaderSize:][:length])
	_, inUse, _ := w.image.raw(off)
	path, known, listed := w.path(off, k)
	now, exists := hive.Ref(0), false
	confidence := ConfidenceLow
	if known {
		_, parent := w.lookup(path.Parent())
		now, exists = w.lookup(path)
		confidence = ConfidenceMedium
		if parent && listed && inUse && !w.stale {
			confidence = ConfidenceHigh
		}
	}
	if !known || !exists {
		w.addState(RecoveredItem{
			Kind: RecoveredKey, Path: path, PathKnown: known, Name: k.name().text(), Confidence: confidence,
			Offset: int64(off.file() + cellHeaderSize), Length: int64(length), LastWrite: hive.FileTime(k.lastWritten()),
		}, k)
	}
	if !exists && confidence == ConfidenceHigh {
		confidence = ConfidenceMedium // of its values: their parent is deleted
	}
	entries, _ := w.image.valueList(k)
	if !w.spend(len(entries) / 4) {
		return
	}
	for ; len(entries) > 0; entries = entries[4:] {
		w.value(reference(entries), inUse, now, exists, RecoveredItem{Path: path, PathKnown: known, Confidence: confidence})
	}
}

// value looks at a value of a key of the state.
func (w *stateWalk) value(off cellOffset, inUse bool, now hive.Ref, exists bool, item RecoveredItem) {
	v := w.image.valueQuick(off)
	if v == nil || !plausibleValue(v) {
		return
	}
	length := vkSize + int(v.nameLength())
	if !inUse && w.same(off, length) {
		return // the key was deleted then; what lies here is another's, or found already
	}
	w.attached[off] = true
	if exists {
		if n := w.keyQuick(cellOffset(now)).valueCount(); !w.spend(int(min(n, uint32(len(w.bins)/4)))) {
			return
		}
		if ref, ok := (tree{w.Image}).Value(now, v.name().text()); ok {
			item.Replaced = true
			data, err := tree{w.Image}.ValueData(ref)
			old, oldErr := tree{w.image}.ValueData(hive.Ref(off))
			if err == nil && oldErr == nil && uint32((tree{w.Image}).ValueType(ref)) == v.valueType() && bytes.Equal(data, old) {
				return
			}
		}
	}
	w.addValue(off, v[:length], item)
}

// loose adds a value of which no key is known.
func (w *stateWalk) loose(off cellOffset) {
	if v := w.image.valueQuick(off); v != nil && plausibleValue(v) {
		w.addValue(off, v[:vkSize+int(v.nameLength())], RecoveredItem{Confidence: ConfidenceLow})
	}
}

func (w *stateWalk) addValue(off cellOffset, v vk, item RecoveredItem) {
	item.Kind, item.Name, item.Type, item.Size = RecoveredValue, v.name().text(), hive.Type(v.valueType()), int64(v.dataSize()&^inlineBit)
	item.Offset, item.Length = int64(off.file()+cellHeaderSize), int64(len(v))
	t := tree{w.image}
	data, err := t.ValueData(hive.Ref(off))
	item.DataState, item.DataOffset = DataWhole, t.ValueOrigin(hive.Ref(off)).Image
	_, inUse, _ := w.image.raw(off)
	switch {
	case err != nil && !inUse && int64(len(data)) == item.Size: // deleted then, and its data with it
	case err != nil && len(data) == 0:
		item.DataState = DataOverwritten
	case err != nil:
		item.DataState = DataPartial
	}
	item.Data = data
	w.addState(item, v)
}

// addState adds an item. Of the same bytes in the same place, which several
// states may hold, the one of which most is known stays. Its data is copied,
// for the state goes on changing.
func (w *stateWalk) addState(item RecoveredItem, record []byte) {
	h := sha256.New()
	var fixed [16]byte
	le.PutUint64(fixed[:], uint64(item.Offset))
	le.PutUint64(fixed[8:], uint64(len(record)))
	h.Write(fixed[:])
	h.Write(record)
	h.Write(item.Data)
	sum := [sha256.Size]byte(h.Sum(nil))
	item.Source = w.source
	if w.source == SourceLog {
		item.Log, item.LogSequence, item.LogOffset = w.state.log, w.state.sequence, w.logOffset(item.Offset-binsStart)
	}
	if i, again := w.seen[sum]; again {
		if old := &w.result.Items[i]; rank(item.Confidence) > rank(old.Confidence) {
			item.Data, item.DataState = old.Data, old.DataState
			*old = item
		}
		return
	}
	if w.dataLeft -= int64(len(item.Data)); w.dataLeft < 0 {
		item.Data, item.DataState = nil, DataSkipped
		w.skipped++
	}
	item.Data = bytes.Clone(item.Data)
	if len(w.result.Items) < maxRecovered {
		w.seen[sum] = len(w.result.Items)
	}
	w.add(item)
}

func rank(c Confidence) int {
	return slices.Index([]Confidence{ConfidenceLow, ConfidenceMedium, ConfidenceHigh}, c)
}

// logOffset returns where in the log a place of the bins lies, 0 for nowhere.
func (w *stateWalk) logOffset(at int64) int64 {
	i, ok := slices.BinarySearchFunc(w.byPlace, at, func(p logPage, at int64) int { return cmp.Compare(p.at, at) })
	if !ok {
		i--
	}
	if i < 0 || at >= w.byPlace[i].at+w.byPlace[i].size {
		return 0
	}
	return w.byPlace[i].from + at - w.byPlace[i].at
}

// path follows parents up to the root of the state. listed reports whether the
// parent's list names the key.
func (w *stateWalk) path(off cellOffset, k nk) (path hive.Path, known, listed bool) {
	if off == w.root {
		return nil, true, true
	}
	for len(path) < hive.MaxDepth && w.spend(1) && w.spendPath(k.name()) {
		path = append(path, k.name().text())
		parent := k.parent()
		p := w.image.keyQuick(parent)
		if p == nil {
			break
		}
		if len(path) == 1 {
			listed = w.lists(p, off)
		}
		if known = parent == w.root; known {
			break
		}
		off, k = parent, p
	}
	slices.Reverse(path)
	return path, known, listed
}

func (w *stateWalk) lists(p nk, child cellOffset) (found bool) {
	if p.subkeyCount() == 0 {
		return false
	}
	w.image.leaves(p.subkeyList(), func(leaf list) bool {
		elements, size := leaf.elements()
		for ; len(elements) > 0 && w.spend(1); elements = elements[size:] {
			if found = reference(elements) == child; found {
				break
			}
		}
		return !found && !w.stepsSpent
	})
	return found
}

// lookup finds a key of the hive as it is now.
func (w *stateWalk) lookup(path hive.Path) (key hive.Ref, ok bool) {
	t := tree{w.Image}
	key = t.Root()
	for _, name := range path {
		if !w.spend(int(min(w.keyQuick(cellOffset(key)).subkeyCount(), uint32(len(w.bins)/4)))/8 + 1) {
			return 0, false
		}
		if key, ok = t.Subkey(key, name); !ok {
			return 0, false
		}
	}
	return key, true
}
