package patch

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"hivemend/hive"
)

// JournalSchema is the schema of journal.json.
const JournalSchema = "hivemend/journal/1"

// Journal is the exact way back from patched hives to their originals.
type Journal struct {
	Schema string        `json:"schema"`
	Hives  []HiveJournal `json:"hives"`
}

// HiveJournal is the exact way back for one hive.
type HiveJournal struct {
	Hive hive.Kind `json:"hive"`
	Path string    `json:"path"` // of the input
	// Prefix is where the hive stands in the registry.
	Prefix string `json:"prefix"`
	// Original is the hive that the edits were made on: for a dirty hive, the
	// one that its logs gave.
	Original FileState      `json:"original"`
	Patched  FileState      `json:"patched"`
	Ranges   []JournalRange `json:"ranges"`
}

// FileState is the size in bytes and the SHA-256 in hex of a file.
type FileState struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// JournalRange is a range of bytes that the edits changed.
type JournalRange struct {
	Offset int64 `json:"offset"`
	// Old are the bytes in hex that stood there; fewer than Length, or none,
	// where the file has grown.
	Old string `json:"old"`
	// Length and NewSHA256 describe the bytes that stand there now.
	Length    int64  `json:"length"`
	NewSHA256 string `json:"newSha256"`
}

func stateOf(data []byte) FileState { return FileState{int64(len(data)), hash(data)} }

// journalGap is how many unchanged bytes part two ranges at least: closer
// ones are written as one.
const journalGap = 16

// newHiveJournal compares a hive before and after, byte by byte. It does not
// ask the editor what it did.
func newHiveJournal(in *hive.Input, original, patched []byte) HiveJournal {
	j := HiveJournal{Hive: in.Hive, Path: in.Path, Prefix: in.Mounts[0].Prefix.String(), Original: stateOf(original), Patched: stateOf(patched), Ranges: []JournalRange{}}
	common := min(len(original), len(patched))
	for from := 0; ; {
		start := nextDifference(original[:common], patched[:common], from)
		if start == common {
			break
		}
		end := start
		for next := start; next < common && next-end < journalGap; next = nextDifference(original[:common], patched[:common], end) {
			end = next + 1
		}
		j.Ranges = append(j.Ranges, journalRange(start, original[start:end], patched[start:end]))
		from = end
	}
	if len(original) != len(patched) {
		j.Ranges = append(j.Ranges, journalRange(common, original[common:], patched[common:]))
	}
	return j
}

func journalRange(offset int, before, after []byte) JournalRange {
	return JournalRange{Offset: int64(offset), Old: hex.EncodeToString(before), Length: int64(len(after)), NewSHA256: hash(after)}
}

// nextDifference returns the first place from which a and b, of equal length,
// differ, or their length.
func nextDifference(a, b []byte, from int) int {
	const block = 4096
	for from < len(a) {
		end := min(from+block, len(a))
		if bytes.Equal(a[from:end], b[from:end]) {
			from = end
			continue
		}
		for a[from] == b[from] {
			from++
		}
		return from
	}
	return len(a)
}

// Changed returns how many bytes the ranges hold.
func (j HiveJournal) Changed() int64 {
	var n int64
	for _, r := range j.Ranges {
		n += max(r.Length, int64(len(r.Old)/2))
	}
	return n
}

// Revert returns the original of a patched hive. The result is proved by its
// hash; patched must be exactly the bytes that were written.
func (j HiveJournal) Revert(patched []byte) ([]byte, error) {
	if got := stateOf(patched); got != j.Patched {
		return nil, fail(ErrDrifted, "%s: the journal is for a hive with SHA-256 %s, found %s", j.Path, j.Patched.SHA256, got.SHA256)
	}
	known := int64(len(patched))
	old := make([][]byte, len(j.Ranges))
	for i, r := range j.Ranges {
		var err error
		if old[i], err = hex.DecodeString(r.Old); err != nil {
			return nil, fmt.Errorf("journal of %s: range at %#x: %w", j.Path, r.Offset, err)
		}
		known += int64(len(old[i]))
	}
	if j.Original.Size < 0 || j.Original.Size > known {
		return nil, fmt.Errorf("journal of %s: want an original of at most %d bytes, found %d", j.Path, known, j.Original.Size)
	}
	out := make([]byte, j.Original.Size)
	copy(out, patched)
	for i, r := range j.Ranges {
		if r.Offset < 0 || r.Offset > int64(len(out)) || int64(len(old[i])) > int64(len(out))-r.Offset {
			return nil, fmt.Errorf("journal of %s: range at %#x lies outside the original", j.Path, r.Offset)
		}
		copy(out[r.Offset:], old[i])
	}
	if got := hash(out); got != j.Original.SHA256 {
		return nil, fail(ErrUnproved, "%s: going back gives a hive with SHA-256 %s, want %s", j.Path, got, j.Original.SHA256)
	}
	return out, nil
}

// For returns the way back for a hive with the given hash, as patched.
func (j *Journal) For(sha256 string) (HiveJournal, bool) {
	for _, h := range j.Hives {
		if h.Patched.SHA256 == sha256 {
			return h, true
		}
	}
	return HiveJournal{}, false
}

// JSON returns j as the bytes of journal.json.
func (j *Journal) JSON() ([]byte, error) {
	out := Journal{Schema: JournalSchema, Hives: j.Hives}
	if out.Hives == nil {
		out.Hives = []HiveJournal{}
	}
	return encodeJSON(out)
}

// ReadJournal reads journal.json strictly.
func ReadJournal(text []byte) (*Journal, error) {
	var j Journal
	if err := decodeJSON(text, &j); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if j.Schema != JournalSchema {
		return nil, fmt.Errorf("journal: want schema %q, found %q", JournalSchema, j.Schema)
	}
	for _, h := range j.Hives {
		if !isSHA256(h.Original.SHA256) || !isSHA256(h.Patched.SHA256) {
			return nil, fmt.Errorf("journal of %s: its SHA-256 is none", h.Path)
		}
		end := int64(0)
		for _, r := range h.Ranges {
			if r.Offset < end || r.Offset > h.Patched.Size || r.Length < 0 || r.Length > h.Patched.Size-r.Offset {
				return nil, fmt.Errorf("journal of %s: range at %#x overlaps another one or lies outside the hive", h.Path, r.Offset)
			}
			end = r.Offset + r.Length
			if !isSHA256(r.NewSHA256) {
				return nil, fmt.Errorf("journal of %s: range at %#x: its SHA-256 is none", h.Path, r.Offset)
			}
			if _, err := hex.DecodeString(r.Old); err != nil {
				return nil, fmt.Errorf("journal of %s: range at %#x: %w", h.Path, r.Offset, err)
			}
		}
	}
	return &j, nil
}
