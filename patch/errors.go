package patch

import (
	"errors"
	"fmt"

	"hivemend/hive"
)

// The reasons for which this package does not do what it is asked to. Each
// error it returns says in words which key, value or file is meant, and is one
// of these where errors.Is is asked.
var (
	// ErrConflict: two edits of one plan contradict each other.
	ErrConflict = errors.New("edits contradict each other")
	// ErrProtected: an edit would touch what is never edited.
	ErrProtected = errors.New("never edited")
	// ErrDrifted: a value or key is neither as it was expected nor as planned.
	ErrDrifted = errors.New("changed since the plan was made")
	// ErrNotGiven: no input holds the key that an edit names.
	ErrNotGiven = errors.New("no input holds it")
	// ErrUnproved: the result of an edit did not pass every check.
	ErrUnproved = errors.New("the result could not be proved")
	// ErrRefused: everything else that is refused for safety.
	ErrRefused = errors.New("refused")
)

// fail returns an error that says text and is kind.
func fail(kind error, format string, args ...any) error {
	return &kindError{kind, fmt.Sprintf(format, args...)}
}

type kindError struct {
	kind error
	text string
}

func (e *kindError) Error() string        { return e.text }
func (e *kindError) Is(target error) bool { return target == e.kind }

// place names a value, or a key where value is nil, for people.
func place(key hive.Path, value *string) string {
	text := hive.Printable(key.String())
	if value != nil {
		text += ", value " + hive.ValueLabel(*value)
	}
	return text
}

// placeOf names what e is about.
func placeOf(e hive.Edit) string {
	if e.Op == hive.SetValue || e.Op == hive.DeleteValue {
		return place(e.Key, &e.Value)
	}
	return place(e.Key, nil)
}
