package regf

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"hivemend/hive"
)

// ErrNoUsableLog says that a dirty hive has no log that could be applied. What
// was pending when it was written last is unknown.
var ErrNoUsableLog = errors.New("no usable transaction log")

// Replayed is a hive with its logs applied.
type Replayed struct {
	// Data is the hive as it is now: a new slice, or the one that Replay was
	// given where nothing was applied.
	Data []byte
	// Clean says that the hive needed no log. Logs beside a clean hive mean
	// nothing.
	Clean bool
	// HeaderFromLog says that the base block was damaged and came from a log.
	HeaderFromLog bool

	Entries       int // log entries applied; a log of the old format counts as one
	Pages         int // ranges that they replaced
	FirstSequence uint32
	LastSequence  uint32
	// Stopped says why entries that might have followed were not applied, and
	// is "" where the logs simply end.
	Stopped string
	// Logs tells of each log what became of it, in the order given.
	Logs []LogUse
	// Issues are what is worth knowing about the logs, with the codes of the
	// hive check: LG01 no usable log, LG02 a log that is newer than a clean
	// hive, LG03 the replay is not complete, LG04 the log may be of another hive.
	Issues []hive.Issue
	// Provenance tells which ranges came out of which log, in order of Offset.
	// What the logs added to the bins' length without filling it is zero and
	// in no range.
	Provenance []Provenance
}

// LogUse is what became of one log.
type LogUse struct {
	Path     string
	Used     bool
	Sequence uint32 // of the header; 0 where it is not sound
	Entries  int    // applied
	Reason   string // why it was not used
}

// Replay applies transaction logs to a hive as Windows does when it loads one
// (regf specification, "Recovery"), and returns the result; primary and logs
// are only read. A clean hive comes back as it is. A dirty hive for which no
// log is of use comes back as it is together with an error that is
// ErrNoUsableLog; other errors return nil.
//
// In the format since Windows 8.1 all entries apply that follow each other
// without a gap and have their hashes; a bad one ends the replay, and what came
// before it stays. An older log applies whole or not at all.
func Replay(primary []byte, logs []Log) (*Replayed, error) {
	if len(primary) < baseBlockSize+binHeaderSize {
		if err := checkMagic(primary, "hive"); err != nil {
			return nil, err
		}
		return nil, &hive.FormatError{
			Struct: "hive", Offset: -1, Want: fmt.Sprintf("a base block of %d bytes and at least one bin", baseBlockSize),
			Found: fmt.Sprintf("%d bytes: the file is truncated", len(primary)),
		}
	}
	magic := checkMagic(primary, "hive")
	if magic != nil && string(primary[binsStart:binsStart+4]) != "hbin" {
		return nil, magic
	}
	r := &replay{base: baseBlock(primary[:baseBlockSize]), primary: primary}
	r.believable = magic == nil && r.base.checksumValid()
	r.result.Data = primary
	r.readLogs(logs)
	if r.believable && !dirty(r.base) {
		r.result.Clean = true
		r.noteNewerLogs(logs)
		return &r.result, nil
	}
	err := r.run()
	return &r.result, err
}

// replay is one run of Replay.
type replay struct {
	primary    []byte
	base       baseBlock
	believable bool // the primary's base block is
	logs       []openLog
	result     Replayed

	data   []byte // the result in the making
	length uint64 // of its bins
	source []uint32
	ranges []Provenance
}

// openLog is a log with a sound header.
type openLog struct {
	Log
	header baseBlock
	use    *LogUse
}

// readLogs looks at the headers of all logs.
func (r *replay) readLogs(logs []Log) {
	r.result.Logs = make([]LogUse, len(logs))
	for i, log := range logs {
		use := &r.result.Logs[i]
		use.Path = log.Path
		h, err := logHeader(log.Data)
		if err != nil {
			use.Reason = err.Error()
			continue
		}
		use.Sequence = h.sequence1()
		if reason := r.foreign(h); reason != "" {
			use.Reason = reason
			r.issue("LG04", hive.DamageAnomaly, "%s: %s", log.Path, reason)
			continue
		}
		r.logs = append(r.logs, openLog{log, h, use})
	}
}

// foreign says why a log seems to belong to another hive, or "". Nothing in a
// log names its hive, but its header is a copy of the hive's base block.
func (r *replay) foreign(h baseBlock) string {
	if !r.believable {
		return ""
	}
	ours, theirs := lastName(r.base), lastName(h)
	switch {
	case h.root() != r.base.root():
		return fmt.Sprintf("a log of another hive: its root key lies at %s, here at %s", h.root(), r.base.root())
	case h.minor() != r.base.minor():
		return fmt.Sprintf("a log of another hive: its version is 1.%d, here it is 1.%d", h.minor(), r.base.minor())
	case ours != "" && theirs != "" && !hive.EqualFold(ours, theirs):
		return fmt.Sprintf("a log of another hive: it is of %q, this is %q", hive.Printable(theirs), hive.Printable(ours))
	}
	return ""
}

// lastName is the last component of the path that a base block remembers. The
// rest of it depends on who loaded the hive.
func lastName(b baseBlock) string {
	name := fixedText(b.fileName())
	return name[strings.LastIndexByte(name, '\\')+1:]
}

func (r *replay) issue(code string, damage hive.Damage, format string, args ...any) {
	r.result.Issues = append(r.result.Issues, hive.Issue{Code: code, Damage: damage, Detail: fmt.Sprintf(format, args...), Effect: logEffects[code]})
}

var logEffects = map[string]string{
	"LG01": "Windows refuses to load the hive, or loads it without what was pending.",
	"LG02": "None while the hive is clean; should it be damaged later, Windows may apply the log to it.",
	"LG03": "Windows does the same.",
	"LG04": "Windows cannot tell, and would apply the log.",
}

// noteNewerLogs reports logs that are ahead of a clean hive.
func (r *replay) noteNewerLogs(logs []Log) {
	if highest, found := MaxSequence(logs); found && laterSequence(highest, r.base.sequence2()) {
		r.issue("LG02", hive.DamageAnomaly, "the logs go up to sequence number %d, the hive, which is clean, has %d", highest, r.base.sequence2())
	}
}

// run applies what there is and puts the base block right.
func (r *replay) run() error {
	r.data = slices.Clone(r.primary)
	r.length = uint64(r.base.length())
	r.source = make([]uint32, len(r.data)/logUnit+1)
	if r.hasLogs(logTypeNew) {
		r.runNew()
	} else if r.hasLogs(logTypeOld1, logTypeOld2) {
		r.runOld()
	}
	if r.result.Entries == 0 {
		err := r.noUsableLog()
		r.issue("LG01", hive.DamageInfo, "%v", err)
		return err
	}
	b := baseBlock(r.data)
	b.setFileType(0)
	b.setLength(uint32(r.length))
	b.setSequence1(r.result.LastSequence + 1)
	b.setSequence2(r.result.LastSequence + 1)
	b.setChecksum(b.computeChecksum())
	r.result.Data = r.data
	r.result.Provenance = r.collectProvenance()
	if r.result.Stopped != "" {
		r.issue("LG03", hive.DamageInfo, "%s", r.result.Stopped)
	}
	return nil
}

func (r *replay) hasLogs(types ...uint32) bool {
	return slices.ContainsFunc(r.logs, func(l openLog) bool { return slices.Contains(types, l.header.fileType()) })
}

// noUsableLog says of every log why it was of no use.
func (r *replay) noUsableLog() error {
	if len(r.result.Logs) == 0 {
		return fmt.Errorf("%w: none was given", ErrNoUsableLog)
	}
	var reasons []string
	for _, use := range r.result.Logs {
		reasons = append(reasons, strings.TrimPrefix(use.Path+": "+use.Reason, ": "))
	}
	return fmt.Errorf("%w: %s", ErrNoUsableLog, strings.Join(reasons, "; "))
}

// runNew applies the logs of the new format. Which of them, and in which
// order, goes by the sequence numbers: the earlier of two is tried first, and
// the later only follows if nothing is missing between them. Where the base
// block of the hive is damaged, the later log alone is used.
func (r *replay) runNew() {
	logs := slices.DeleteFunc(slices.Clone(r.logs), func(l openLog) bool {
		if l.header.fileType() == logTypeNew {
			return false
		}
		l.use.Reason = "a log of the old format beside one of the new"
		return true
	})
	slices.SortStableFunc(logs, func(a, b openLog) int { return int(int32(a.header.sequence1() - b.header.sequence1())) })
	if !r.believable {
		for _, l := range logs[:len(logs)-1] {
			l.use.Reason = "the base block of the hive is damaged, and then only the latest log counts"
		}
		logs = logs[len(logs)-1:]
		r.takeHeader(logs[0])
	}
	for _, l := range logs {
		first := l.header.sequence1()
		switch {
		case r.result.Entries == 0 && r.believable && laterSequence(r.base.sequence2(), first):
			l.use.Reason = fmt.Sprintf("it begins with sequence number %d, but the hive already has %d", first, r.base.sequence2())
		case r.result.Entries > 0 && first != r.result.LastSequence+1:
			l.use.Reason = fmt.Sprintf("it begins with sequence number %d, but %d is next", first, r.result.LastSequence+1)
			if laterSequence(first, r.result.LastSequence) {
				r.stop(l.Path + ": " + l.use.Reason)
			}
		default:
			r.applyEntries(l)
		}
	}
	if r.result.Entries > 0 && r.believable && r.result.FirstSequence != r.base.sequence2() {
		r.issue("LG03", hive.DamageInfo, "the entries begin with sequence number %d, the hive stands at %d: what lies between was written to it already, or is lost",
			r.result.FirstSequence, r.base.sequence2())
	}
}

// stop remembers the first reason for which the replay is not complete.
func (r *replay) stop(reason string) {
	if r.result.Stopped == "" {
		r.result.Stopped = reason
	}
}

// takeHeader replaces the damaged base block by that of a log.
func (r *replay) takeHeader(l openLog) {
	copy(r.data, l.header)
	r.length = uint64(l.header.length())
	r.result.HeaderFromLog = true
	r.ranges = append(r.ranges, Provenance{0, logHeaderSize, l.Path, l.header.sequence1(), 0})
}

// applyEntries applies the entries of a log one after the other, until one is
// missing or damaged.
func (r *replay) applyEntries(l openLog) {
	expect := l.header.sequence1()
	for at := logHeaderSize; at <= len(l.Data); {
		e, err := entryAt(l.Data, at)
		if e == nil {
			break
		}
		if e.sequence() != expect {
			if err == nil && laterSequence(e.sequence(), expect) {
				r.stop(fmt.Sprintf("%s at %#x: want the entry with sequence number %d, found %d", l.Path, at, expect, e.sequence()))
			}
			break // otherwise left over from when the log was used before
		}
		if err == nil {
			err = r.grow(uint64(e.length()), l, at)
		}
		if err != nil {
			r.stop(fmt.Sprintf("%s: %v", l.Path, err))
			break
		}
		r.apply(e, l, at)
		expect++
		at += len(e)
	}
	if !l.use.Used {
		l.use.Reason = fmt.Sprintf("no sound entry with sequence number %d", expect)
	}
}

// apply writes the pages of one entry into the hive.
func (r *replay) apply(e logEntry, l openLog, at int) {
	from := uint64(entryFixedSize) + uint64(e.pages())*entryRefSize
	for i := range int(e.pages()) {
		offset, size := e.page(i)
		r.put(offset, e[from:from+size], l, e.sequence(), int64(at)+int64(from))
		from += size
	}
	b := baseBlock(r.data)
	b.setFlags(b.flags()&^baseFlagPending | e.flags()&baseFlagPending)
	if r.result.Entries == 0 {
		r.result.FirstSequence = e.sequence()
	}
	r.result.LastSequence = e.sequence()
	r.result.Entries++
	l.use.Entries++
	l.use.Used = true
}

// put writes one range of the bins.
func (r *replay) put(offset uint64, page []byte, l openLog, sequence uint32, logOffset int64) {
	at := binsStart + offset
	copy(r.data[at:], page)
	r.ranges = append(r.ranges, Provenance{int64(at), int64(len(page)), l.Path, sequence, logOffset})
	for i := range uint64(len(page) / logUnit) {
		r.source[at/logUnit+i] = uint32(len(r.ranges))
	}
	r.result.Pages++
}

// growthLimit is how much longer than the hive and its logs a hive may become
// by being replayed. All that is added to a hive goes through its log, so a
// sound log stays far below.
const growthLimit = 16 << 20

// grow sets the length of the bins. What is added is zero until pages fill it.
func (r *replay) grow(length uint64, l openLog, at int) error {
	limit := uint64(len(r.primary) + len(l.Data) + growthLimit)
	if binsStart+length > limit {
		return entryError(at, 16, fmt.Sprintf("a hive of at most %d bytes", limit), fmt.Sprint(binsStart+length))
	}
	end := binsStart + length
	if end > uint64(len(r.data)) {
		r.data = append(r.data, make([]byte, end-uint64(len(r.data)))...)
		r.source = append(r.source, make([]uint32, end/logUnit+1-uint64(len(r.source)))...)
	}
	if length > r.length {
		clear(r.data[min(binsStart+r.length, uint64(len(r.data))):end])
	}
	r.length = length
	return nil
}

// collectProvenance joins what is known of each 512 bytes into ranges.
func (r *replay) collectProvenance() []Provenance {
	var out []Provenance
	if r.result.HeaderFromLog {
		out = append(out, r.ranges[0])
	}
	for i := binsStart / logUnit; i < len(r.source); {
		n := r.source[i]
		j := i + 1
		for j < len(r.source) && r.source[j] == n {
			j++
		}
		if n != 0 {
			p := r.ranges[n-1]
			p.LogOffset += int64(i*logUnit) - p.Offset
			p.Offset, p.Length = int64(i*logUnit), int64((j-i)*logUnit)
			out = append(out, p)
		}
		i = j
	}
	return out
}

// runOld applies one log of the old format: one that was written at the same
// moment as the hive. That moment stands in the base block, and again in the
// first bin in case the base block is damaged; either is proof enough, for
// the times are exact to 100 ns.
func (r *replay) runOld() {
	inBase, inBin := r.base.lastWritten(), binHeader(r.primary[binsStart:]).timestamp()
	var best *openLog
	for i := range r.logs {
		l := &r.logs[i]
		written := l.header.lastWritten()
		if written != inBase && (r.believable || written != inBin) {
			l.use.Reason = fmt.Sprintf("it was written at %s, the hive at %s", hive.FileTime(written), hive.FileTime(inBase))
			continue
		}
		_, err := oldPages(l.Data, l.header)
		if err == nil {
			err = r.fits(l)
		}
		if err != nil {
			l.use.Reason = err.Error()
			continue
		}
		if best != nil && !laterSequence(l.header.sequence1(), best.header.sequence1()) {
			l.use.Reason = "another log is as new"
			continue
		}
		if best != nil {
			best.use.Reason = "another log is newer"
		}
		best = l
	}
	if best != nil {
		r.applyOld(*best)
	}
}

// fits reports why a log of the old format would make the hive too long.
func (r *replay) fits(l *openLog) error {
	if limit := uint64(len(r.primary) + len(l.Data) + growthLimit); binsStart+uint64(l.header.length()) > limit {
		return &hive.FormatError{
			Struct: "header of the transaction log", Offset: 40,
			Want: fmt.Sprintf("a hive of at most %d bytes", limit), Found: fmt.Sprint(binsStart + uint64(l.header.length())),
		}
	}
	return nil
}

// oldPages returns where the pages of a log of the old format begin, once it is
// certain that all of them are there. The log holds "DIRT", one bit for each
// 512 bytes of the bins, and those 512 bytes for each bit that is set.
func oldPages(data []byte, h baseBlock) (start int, err error) {
	fail := func(at int, want, found string) (int, error) {
		return 0, &hive.FormatError{Struct: "transaction log", Offset: int64(at), Want: want, Found: found}
	}
	mapSize := uint64(h.length()) / logUnit / 8
	if uint64(len(data)) < dirtyMapStart+mapSize {
		return fail(dirtyMapStart, fmt.Sprintf("a map of %d bytes", mapSize), fmt.Sprintf("%d: the log is truncated", max(0, len(data)-dirtyMapStart)))
	}
	if found := data[logHeaderSize:dirtyMapStart]; !bytes.Equal(found, []byte("DIRT")) {
		return fail(logHeaderSize, `"DIRT"`, fmt.Sprintf("%q", found))
	}
	count := 0
	for _, b := range data[dirtyMapStart : dirtyMapStart+int(mapSize)] {
		count += bits.OnesCount8(b)
	}
	start = roundUp(dirtyMapStart+int(mapSize), logUnit)
	switch have := max(0, len(data)-start) / logUnit; {
	case count == 0:
		return fail(dirtyMapStart, "at least one page", "none")
	case have < count:
		return fail(start, fmt.Sprintf("%d pages of %d bytes", count, logUnit), fmt.Sprintf("%d: the log is truncated", have))
	}
	return start, nil
}

// applyOld applies a log of the old format, which was found whole.
func (r *replay) applyOld(l openLog) {
	from, err := oldPages(l.Data, l.header)
	if err != nil {
		return
	}
	if !r.believable {
		r.takeHeader(l)
	}
	if err := r.grow(uint64(l.header.length()), l, 0); err != nil {
		return
	}
	b := baseBlock(r.data)
	b.setRoot(l.header.root())
	b.setMinor(l.header.minor())
	dirtyMap := l.Data[dirtyMapStart : dirtyMapStart+int(l.header.length()/logUnit/8)]
	for i := range len(dirtyMap) * 8 {
		if dirtyMap[i/8]>>(i%8)&1 == 0 {
			continue
		}
		r.put(uint64(i*logUnit), l.Data[from:from+logUnit], l, l.header.sequence1(), int64(from))
		from += logUnit
	}
	r.result.Entries = 1
	r.result.FirstSequence, r.result.LastSequence = l.header.sequence1(), l.header.sequence1()
	l.use.Entries, l.use.Used = 1, true
}
