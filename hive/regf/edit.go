package regf

import (
	"errors"
	"fmt"
	"slices"

	"hivemend/hive"
)

// EditorOptions says how a hive is to be edited.
type EditorOptions struct {
	// Time becomes the last write time of each key that changes, and that of
	// the hive. 0 leaves all times as they are; new keys then have none.
	Time hive.FileTime
	// MinSequence is the highest sequence number that was seen in the hive's
	// logs; 0 means that none was. The number of the edited hive will be
	// higher, so that no left-over log is ever taken for newer.
	MinSequence uint32
	// Force edits what would otherwise be refused, as far as it can be done
	// at all; see [RefusedError].
	Force bool
	// Wipe zeroes all bytes that are freed. Without it they stay, as Windows
	// leaves them, and can be recovered.
	Wipe bool
	// Report is what [Image.Check] said about the hive. It saves checking the
	// hive again; nil makes [NewEditor] do so.
	Report *Report
}

// ErrRefused is what every [RefusedError] is.
var ErrRefused = errors.New("refused")

// RefusedError says that an edit could be made but would not be right, or
// that the hive is too damaged around it.
type RefusedError struct {
	What      string // what was to be done, such as "delete key Control\Lsa"; "edit the hive" for all of it
	Why       string // why not, in a short sentence
	Forceable bool   // whether [EditorOptions.Force] does it all the same
	Err       error  // the damage behind it, or nil
}

// Error says what was refused and why.
func (e *RefusedError) Error() string {
	if e.Forceable {
		return e.What + ": refused unless forced: " + e.Why
	}
	return e.What + ": refused: " + e.Why
}

// Is makes errors.Is(err, ErrRefused) true for every RefusedError.
func (e *RefusedError) Is(target error) bool { return target == ErrRefused }

// Unwrap returns the damage behind the refusal, if it is that.
func (e *RefusedError) Unwrap() error { return e.Err }

// Editor changes a private copy of a hive. Only the bytes that an edit needs
// change: cells stay where they are, and nothing is put in better order on the
// way.
//
// An edit that fails leaves the copy as it was before, and the Editor can go
// on. [Editor.Commit] ends the work; after it the Editor is of no more use. An
// Editor must not be used by several goroutines at once.
type Editor struct {
	original []byte
	im       *Image // the copy, and the reader's view of it
	opt      EditorOptions
	defects  defects
	ended    bool

	// sound holds the beginnings of bins whose cells were seen to fit together,
	// and starts where the cells in them begin.
	sound  map[cellOffset]bool
	starts cellStarts
	// orderly holds the keys whose lists of subkeys were seen to be in order.
	orderly map[cellOffset]bool
	// free holds the free cells from reuseFrom on; nil until they are needed.
	free      *freeIndex
	reuseFrom cellOffset

	touched []uint64 // one bit for each page of the file that may have changed
	undo    undo
}

// undo is what takes back the edit that is being made.
type undo struct {
	pages  map[int][]byte // the pages that it touched, as they were
	size   int            // of the file
	length int            // of the bins
}

// pageSize is the grain in which changes are remembered until they are compared.
const pageSize = 4096

// NewEditor returns an Editor over a copy of im, which itself is never
// changed. It refuses a hive that is dirty (replay its logs first), one of
// layered keys, and one whose bins or cells are so damaged that no place in it
// is safe to write to; see [RefusedError]. Damage elsewhere only refuses the
// edits that it touches.
func NewEditor(im *Image, opt EditorOptions) (*Editor, error) {
	if err := admitHeader(im, opt.Force); err != nil {
		return nil, err
	}
	report := opt.Report
	if report == nil {
		report = im.Check()
	}
	e := &Editor{original: im.data, opt: opt, defects: sortDefects(report), sound: map[cellOffset]bool{}, orderly: map[cellOffset]bool{}}
	if err := e.defects.admit(opt.Force); err != nil {
		return nil, err
	}
	data := slices.Clone(im.data)
	e.im = &Image{
		data: data, bins: data[binsStart : binsStart+len(im.bins) : binsStart+len(im.bins)], binEnd: slices.Clone(im.binEnd),
		base: baseBlock(data[:baseBlockSize:baseBlockSize]), minor: im.minor, root: im.root, file: im.file,
	}
	if e.defects.keepFree {
		e.reuseFrom = cellOffset(len(im.bins))
	}
	e.touched = make([]uint64, len(data)/pageSize/64+1)
	return e, nil
}

// admitHeader refuses hives that cannot or should not be edited as a whole.
func admitHeader(im *Image, force bool) error {
	h := im.Header()
	refuse := func(forceable bool, why string, args ...any) error {
		if forceable && force {
			return nil
		}
		return &RefusedError{What: "edit the hive", Why: fmt.Sprintf(why, args...), Forceable: forceable}
	}
	switch {
	case h.Major != 1 || h.Minor < 2 || h.Minor > 6:
		return refuse(false, "its version %s is not one that can be written", h.Version())
	case h.Type != 0 || h.Format != 1:
		return refuse(false, "its file type is %d and its format %d; a hive has 0 and 1", h.Type, h.Format)
	case im.root != im.base.root():
		return refuse(false, "the root key is not where the base block says; repair the hive first")
	case uint64(h.Length) != uint64(len(im.bins)):
		return refuse(false, "its bins have %d bytes where the base block says %d; repair the hive first", len(im.bins), h.Length)
	}
	for at := 0; at < len(im.bins); {
		size, err := im.binAt(at)
		if err != nil {
			return &RefusedError{What: "edit the hive", Why: err.Error() + "; repair the hive first", Err: err}
		}
		at += size
	}
	if h.Checksum != h.ComputedChecksum {
		if err := refuse(true, "it is dirty: the checksum of its base block is wrong; replay its logs first"); err != nil {
			return err
		}
	}
	if h.Sequence1 != h.Sequence2 {
		if err := refuse(true, "it is dirty: its sequence numbers are %d and %d; replay its logs first", h.Sequence1, h.Sequence2); err != nil {
			return err
		}
	}
	if h.Minor >= 6 && h.Flags&baseFlagLayered != 0 {
		return refuse(true, "it holds layered keys, whose meaning depends on another hive")
	}
	return nil
}

// run makes one edit, wholly or not at all.
func (e *Editor) run(what string, edit func() error) error {
	if e.ended {
		return fmt.Errorf("%s: the edits to this hive were committed already", what)
	}
	e.undo = undo{pages: map[int][]byte{}, size: len(e.im.data), length: len(e.im.bins)}
	err := edit()
	if err == nil {
		return nil
	}
	e.rollback()
	var refused *RefusedError
	var format *hive.FormatError
	switch {
	case errors.As(err, &refused) && refused.What == "":
		refused.What = what
		return err
	case errors.As(err, &format):
		return &RefusedError{What: what, Why: err.Error() + "; repair the hive first", Err: err}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// rollback takes back what the edit that failed has changed so far.
func (e *Editor) rollback() {
	e.im.data = e.im.data[:e.undo.size]
	for page, old := range e.undo.pages {
		copy(e.im.data[page*pageSize:], old)
	}
	e.im.base = baseBlock(e.im.data[:baseBlockSize:baseBlockSize])
	e.im.bins = e.im.data[binsStart : binsStart+e.undo.length : binsStart+e.undo.length]
	e.im.binEnd = e.im.binEnd[:e.undo.length/binUnit]
	e.free = nil
	clear(e.sound)
	clear(e.orderly)
}

// touch has to be called before n bytes from c on are changed.
func (e *Editor) touch(c cellOffset, n int) { e.touchFile(int(c.file()), n) }

// touchFile is touch for an offset in the file.
func (e *Editor) touchFile(at, n int) {
	if n == 0 {
		return
	}
	for page := at / pageSize; page <= (at+n-1)/pageSize; page++ {
		for page/64 >= len(e.touched) {
			e.touched = append(e.touched, 0)
		}
		e.touched[page/64] |= 1 << (page % 64)
		if _, saved := e.undo.pages[page]; !saved && page*pageSize < e.undo.size {
			e.undo.pages[page] = slices.Clone(e.im.data[page*pageSize : min((page+1)*pageSize, e.undo.size)])
		}
	}
}

// refuse makes the error of an edit that Force does not make either.
func refuse(why string, args ...any) error { return &RefusedError{Why: fmt.Sprintf(why, args...)} }

// unlessForced is refuse, or nil where the edit is forced.
func (e *Editor) unlessForced(why string, args ...any) error {
	if e.opt.Force {
		return nil
	}
	return &RefusedError{Why: fmt.Sprintf(why, args...), Forceable: true}
}

// keyLabel names a key for people.
func keyLabel(path hive.Path) string {
	if len(path) == 0 {
		return "the root key"
	}
	return hive.Printable(path.String())
}

// stamp gives a key the time of the edit.
func (e *Editor) stamp(k nk) {
	if e.opt.Time != 0 {
		k.setLastWritten(uint64(e.opt.Time))
	}
}

// used returns the payload of a cell in use, at least size bytes long.
func (e *Editor) used(structure string, c cellOffset, size int) ([]byte, error) {
	payload, used, f := e.im.raw(c)
	switch {
	case f != faultNone:
		return nil, e.im.fault(structure, c, f)
	case !used:
		return nil, &hive.FormatError{File: e.im.file, Struct: structure, Offset: int64(c.file()), Want: "a cell in use", Found: "a free cell"}
	case len(payload) < size:
		return nil, e.im.shortCell(structure, c, size, len(payload))
	}
	return payload, nil
}

// key returns the record of a key, in use and whole.
func (e *Editor) key(c cellOffset) (nk, error) {
	if _, err := e.used("nk", c, nkSize); err != nil {
		return nil, err
	}
	return e.im.key(c)
}

// writableKey is key for changing it.
func (e *Editor) writableKey(c cellOffset) (nk, error) {
	if _, err := e.key(c); err != nil {
		return nil, err
	}
	return e.writable("nk", c)
}
