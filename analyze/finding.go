package analyze

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"hivemend/hive"
)

// Finding is one thing that a rule found.
type Finding struct {
	Rule       string     `json:"rule"`
	Severity   Severity   `json:"severity"`
	Confidence Confidence `json:"confidence"`
	// Message says in one or two sentences what was found, where, and why it matters.
	Message string `json:"message"`
	// Location is nil where the finding is about no one key or value.
	Location *Location `json:"location,omitempty"`
	// Evidence holds "cause" where the rule knows several causes.
	Evidence Evidence `json:"evidence"`
	// Fix is nil where nothing is to be changed, or only by a person.
	Fix *Fix `json:"fix,omitempty"`
	// ManualSteps are what a person does, in order.
	ManualSteps []string `json:"manualSteps"`
	// References are the Microsoft articles behind the finding, such as "KB329896".
	References []string `json:"references"`
	// Fingerprint tells the finding again in another scan of the same
	// computer: the SHA-256, in hex, of computer name, rule, key without
	// control-set number, value and cause.
	Fingerprint string `json:"fingerprint"`
}

// Cause returns evidence.cause, or "".
func (f *Finding) Cause() string { return f.Evidence.Text("cause") }

// Location says where a finding's bytes stand in the registry and where they
// lie in the file.
type Location struct {
	Input string    // the input's path, as given
	Key   hive.Path // the whole path, as it stands in the input's own terms
	// HasValue is set where the finding is about a value; the fields up to
	// SHA256 describe it. A value's name may be empty.
	HasValue  bool
	Value     string
	Type      hive.Type
	Size      int64  // of the data, in bytes
	SHA256    string // of the data, in hex
	LastWrite hive.FileTime
	// FileOffset is where the data lies in the hive as judged; 0 where that
	// is unknown or where the data came with a transaction log.
	FileOffset int64
	Line       int // for .reg text
	// Origin says where the bytes physically lie; nil for .reg text.
	Origin *Origin
}

// Origin is a place in a file: the input itself or a transaction log.
type Origin struct {
	File        string `json:"file"`
	LogSequence uint32 `json:"logSequence,omitempty"` // of the log entry that brought the bytes
	Offset      int64  `json:"offset"`
}

type locationJSON struct {
	Input      string        `json:"input,omitempty"`
	Key        string        `json:"key,omitempty"`
	Value      *string       `json:"value,omitempty"`
	Type       string        `json:"type,omitempty"`
	Size       *int64        `json:"size,omitempty"`
	SHA256     string        `json:"sha256,omitempty"`
	LastWrite  hive.FileTime `json:"lastWrite,omitempty"`
	FileOffset int64         `json:"fileOffset,omitempty"`
	Line       int           `json:"line,omitempty"`
	Origin     *Origin       `json:"origin,omitempty"`
}

// MarshalJSON writes l in the report's form: what is unknown is absent.
func (l Location) MarshalJSON() ([]byte, error) {
	j := locationJSON{Input: l.Input, Key: l.Key.String(), LastWrite: l.LastWrite, FileOffset: l.FileOffset, Line: l.Line, Origin: l.Origin}
	if l.HasValue {
		j.Value = &l.Value
		if l.SHA256 != "" {
			j.Type, j.Size, j.SHA256 = l.Type.String(), &l.Size, l.SHA256
		}
	}
	return json.Marshal(j)
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (l *Location) UnmarshalJSON(text []byte) error {
	var j locationJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	*l = Location{Input: j.Input, Key: hive.ParsePath(j.Key), SHA256: j.SHA256, LastWrite: j.LastWrite, FileOffset: j.FileOffset, Line: j.Line, Origin: j.Origin}
	if j.Value == nil {
		return nil
	}
	l.HasValue, l.Value = true, *j.Value
	if j.Size != nil {
		l.Size = *j.Size
	}
	if j.Type == "" {
		return nil
	}
	var err error
	l.Type, err = hive.ParseType(j.Type)
	return err
}

// Fix is what would repair a finding.
type Fix struct {
	// Default is set where the edits are made without being asked for by name.
	Default bool        `json:"default"`
	Edits   []hive.Edit `json:"edits"`
	// Choices are other edits that a person may ask for instead of Edits.
	Choices []Choice `json:"choices,omitempty"`
}

// Choice is a named alternative to the edits of a Fix. The names in use are
// [ChoiceRestore], [ChoiceLow] and [ChoiceClientCompatible]. A choice without
// edits means that nothing is to be done for this finding when it is asked for:
// what other findings do then is enough.
type Choice struct {
	Name  string      `json:"name"`
	Edits []hive.Edit `json:"edits"`
}

// The choices there are.
const (
	ChoiceRestore          = "restore"           // puts a proven original byte back instead of deleting
	ChoiceLow              = "low"               // encryption level Low
	ChoiceClientCompatible = "client-compatible" // encryption level Client Compatible
)

// Choice returns the edits of that choice, and whether f has it.
func (f *Fix) Choice(name string) ([]hive.Edit, bool) {
	if f == nil {
		return nil, false
	}
	for _, c := range f.Choices {
		if c.Name == name {
			return c.Edits, true
		}
	}
	return nil, false
}

// whole returns f with lists that are empty in the place of such that are nil,
// so that JSON has lists too.
func (f *Fix) whole() *Fix {
	if f == nil {
		return nil
	}
	fix := *f
	fix.Edits = append([]hive.Edit{}, fix.Edits...)
	for i := range fix.Choices {
		fix.Choices[i].Edits = append([]hive.Edit{}, fix.Choices[i].Edits...)
	}
	return &fix
}

// NotChecked says what a rule could not look at, and why.
type NotChecked struct {
	Rule   string `json:"rule"`
	Reason string `json:"reason"`
}

// Fingerprint computes the Fingerprint of f on the computer of that name.
func Fingerprint(computer string, f *Finding) string {
	key, value := "", ""
	if f.Location != nil {
		key = anyControlSet(f.Location.Key).String()
		if f.Location.HasValue {
			value = hive.Fold(f.Location.Value)
		}
	}
	parts := []string{hive.Fold(computer), f.Rule, key, value, f.Cause()}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}

// anyControlSet returns path folded, and with one name for every control set.
func anyControlSet(path hive.Path) hive.Path {
	out := path.Fold()
	for i, name := range out {
		if isControlSet(name) {
			out[i] = "CONTROLSET"
		}
	}
	return out
}

func isControlSet(folded string) bool {
	if folded == "CURRENTCONTROLSET" {
		return true
	}
	digits, ok := strings.CutPrefix(folded, "CONTROLSET")
	return ok && len(digits) == 3 && strings.Trim(digits, "0123456789") == ""
}
