package source

import (
	"errors"
	"io"
	"iter"

	"hivemend/hive"
)

// Options say how to look and what to put up with. The zero value reads hives
// with their logs replayed, and has the default limits.
type Options struct {
	// Stdin is read where a path is "-".
	Stdin io.Reader
	// NoReplay leaves dirty hives as they lie.
	NoReplay bool
	// LogSequence reads the logs of clean hives too, for the highest sequence
	// number in them: for hives that are going to be edited.
	LogSequence bool
	// KeepLogs leaves the transaction logs beside a hive in its input, for
	// those who look for older states.
	KeepLogs bool
	// AllHives takes every hive found in a folder or container. Without it
	// hives that are known to be of no interest there (SAM, DEFAULT,
	// NTUSER.DAT, COMPONENTS, ...) are left out. A hive whose own path is
	// given is always taken.
	AllHives bool
	// CodePage is the Windows code page of 8-bit .reg text, 0 to guess.
	CodePage int
	// Strict refuses .reg text that gives any diagnostic.
	Strict bool
	// Temp is the folder for temporary files, "" for the system's.
	Temp string
	// Limits bound what hostile containers can cost.
	Limits Limits
}

// Result is what a search gave.
type Result struct {
	Machines []*hive.Machine // in the order in which they were found
	Failures []Failure       // in the order in which they happened
}

// Failure is something that could not be read.
type Failure struct {
	Path string // as it would stand in Input.Path
	Err  error  // does not repeat Path
}

// Error returns the path and what was wrong.
func (f Failure) Error() string { return f.Path + ": " + f.Err.Error() }

// Unwrap returns what was wrong.
func (f Failure) Unwrap() error { return f.Err }

// Open finds and loads everything under paths. The error is one of usage: no
// path at all, or "-" without anything to read; whatever is wrong with an
// input stands in Result.Failures.
//
// All machines are in memory at once; where there may be very many, use Find.
func Open(paths []string, opt Options) (Result, error) {
	search, err := Find(paths, opt)
	if err != nil {
		return Result{}, err
	}
	defer search.Close()
	var all Result
	for g := range search.Groups() {
		r := g.Load()
		all.Machines = append(all.Machines, r.Machines...)
		all.Failures = append(all.Failures, r.Failures...)
	}
	return all, nil
}

// A Search gives out what lies under some paths, group by group.
type Search struct {
	paths []string
	opt   Options
	space *space
}

// Find begins a search under paths. It reads nothing yet; the error is one of
// usage. The Search must be closed.
func Find(paths []string, opt Options) (*Search, error) {
	if len(paths) == 0 {
		return nil, errors.New("no path was given")
	}
	stdin := 0
	for _, p := range paths {
		if p == "-" {
			stdin++
		}
	}
	switch {
	case stdin > 1:
		return nil, errors.New(`"-" was given more than once`)
	case stdin == 1 && opt.Stdin == nil:
		return nil, errors.New(`"-" was given, but there is no standard input`)
	}
	opt.Limits = opt.Limits.withDefaults()
	return &Search{paths: paths, opt: opt, space: newSpace(opt)}, nil
}

// Groups iterates over what is found, in the order of the paths and, below a
// folder, of the names. It can be used once. A Group may be loaded at any time
// before the Search is closed, and several at the same time.
func (s *Search) Groups() iter.Seq[*Group] {
	return func(yield func(*Group) bool) {
		for _, u := range s.units() {
			for _, g := range u.groups() {
				if !yield(g) {
					return
				}
			}
		}
	}
}

// Close removes what temporary files there are. Groups can no longer be
// loaded; machines that were, stay good.
func (s *Search) Close() error { return s.space.close() }

// A Group is one machine that was found but not read yet, or the failure to
// find one.
type Group struct {
	// Label says where it lies: a folder, a file, or a container's inside.
	Label string
	load  func() Result
}

// Load reads the group: as a rule one machine, several where the content shows
// that what lies together does not belong together, none where reading failed.
// It can be called once.
func (g *Group) Load() Result { return g.load() }

func failedGroup(path string, err error) *Group {
	return &Group{Label: path, load: func() Result { return Result{Failures: []Failure{{path, err}}} }}
}
