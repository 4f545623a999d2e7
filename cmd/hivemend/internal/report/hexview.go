package report

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"hivemend/analyze"
	"hivemend/analyze/rdp"
	"hivemend/hive"
)

// hexView is a value's bytes, sixteen a row, with those that are wrong marked.
type hexView struct {
	Caption string
	Rows    []hexRow
}

// hexRow is one row of bytes or, where Skipped is set, a sentence in place of
// rows that are left out.
type hexRow struct {
	Offset  string
	Bytes   []hexRun
	Text    []hexRun
	Skipped string
}

// hexRun is a run of bytes that are marked alike: "" for no mark, "range" for
// bytes among which the wrong ones are, "byte" for the one that is wrong.
type hexRun struct {
	Mark string
	Text string
}

const (
	rowBytes = 16
	// maxShown is how many bytes of a value are shown in whole; of a longer one
	// the beginning and what lies around the marked bytes.
	maxShown = 1024
	// nearMark is how many bytes around a mark are shown.
	nearMark = 64
)

// valueBytes returns the data that a finding is about. It is nil where the
// finding is about no value, where its bytes are not at hand (a report that was
// read from JSON, or is redacted), and where they are secret.
func valueBytes(m *hive.Machine, l *analyze.Location) []byte {
	if m == nil || l == nil || !l.HasValue || l.SHA256 == "" {
		return nil
	}
	for _, in := range m.Inputs {
		if in.Path != l.Input {
			continue
		}
		for _, mount := range in.Mounts {
			if data := dataAt(mount, l); data != nil {
				return data
			}
		}
	}
	return nil
}

func dataAt(mount hive.Mount, l *analyze.Location) []byte {
	rel, ok := l.Key.CutPrefix(mount.Prefix)
	if !ok || !mount.Root.Valid() {
		return nil
	}
	key, ok := mount.Root.Lookup(rel)
	if !ok {
		return nil
	}
	v, ok := key.Value(l.Value)
	if !ok || rdp.DecodeAt(l.Key, v).Secret {
		return nil
	}
	data, err := v.Data()
	if sum := sha256.Sum256(data); err != nil || hex.EncodeToString(sum[:]) != l.SHA256 {
		return nil
	}
	return data
}

// newHexView returns the bytes of a finding's value, nil where there are none.
func newHexView(data []byte, f *analyze.Finding) *hexView {
	if len(data) == 0 {
		return nil
	}
	marks := newMarks(f, len(data))
	v := &hexView{Caption: marks.caption(data)}
	skipped := 0
	for at := 0; at < len(data); at += rowBytes {
		end := min(at+rowBytes, len(data))
		if !marks.shows(at, end, len(data)) {
			skipped += end - at
			continue
		}
		v.skip(skipped)
		skipped = 0
		v.Rows = append(v.Rows, marks.row(data, at, end))
	}
	v.skip(skipped)
	return v
}

func (v *hexView) skip(n int) {
	if n > 0 {
		v.Rows = append(v.Rows, hexRow{Skipped: plural(n, "byte") + " not shown"})
	}
}

// marks says which bytes of a value are wrong.
type marks struct {
	start, end int   // the bytes among which the wrong ones are; start == end for none
	one        int   // the one wrong byte, -1 where it is not known
	original   int64 // what that byte was, -1 where that is not known
}

func newMarks(f *analyze.Finding, size int) marks {
	m := marks{one: -1, original: -1}
	start, known := integer(f.Evidence.Get("failingOffset"))
	length, alsoKnown := integer(f.Evidence.Get("failingLength"))
	if known && alsoKnown && start >= 0 && length > 0 && start < int64(size) {
		m.start, m.end = int(start), int(min(length, int64(size)-start)+start)
	}
	if at, ok := integer(f.Evidence.Get("failingByte")); ok && at >= 0 && at < int64(size) {
		m.one = int(at)
		if was, ok := integer(f.Evidence.Get("original")); ok && was >= 0 && was <= 0xff {
			m.original = was
		}
	}
	return m
}

// caption says in words what is marked.
func (m marks) caption(data []byte) string {
	var parts []string
	if m.one >= 0 {
		text := fmt.Sprintf("Byte %d (%#x) is wrong: it is %02x", m.one, m.one, data[m.one])
		if m.original >= 0 {
			text += fmt.Sprintf(", it was %02x", m.original)
		}
		parts = append(parts, text+".")
	}
	if m.start < m.end {
		parts = append(parts, fmt.Sprintf("What fails are bytes %d to %d (%#x to %#x).", m.start, m.end-1, m.start, m.end-1))
	}
	if len(parts) == 0 {
		return "No byte can be named as the wrong one."
	}
	return strings.Join(parts, " ")
}

// shows reports whether the row is worth its place: of long values only the
// beginning, and what lies around the marks or, where a whole range is marked,
// around its two ends.
func (m marks) shows(at, end, size int) bool {
	if size <= maxShown || at < maxShown/4 {
		return true
	}
	near := func(pos int) bool { return at < pos+nearMark && end > pos-nearMark }
	if m.one >= 0 {
		return near(m.one)
	}
	return m.start < m.end && (near(m.start) || near(m.end-1))
}

func (m marks) of(i int) string {
	switch {
	case i == m.one:
		return "byte"
	case i >= m.start && i < m.end:
		return "range"
	}
	return ""
}

// row returns the bytes from at to end.
func (m marks) row(data []byte, at, end int) hexRow {
	row := hexRow{Offset: fmt.Sprintf("%06x", at)}
	for i := at; i < end; i++ {
		mark := m.of(i)
		if i > at {
			between := mark
			if m.of(i-1) != mark {
				between = ""
			}
			row.Bytes = addRun(row.Bytes, between, " ")
		}
		row.Bytes = addRun(row.Bytes, mark, fmt.Sprintf("%02x", data[i]))
		char := "."
		if data[i] >= 0x20 && data[i] < 0x7f {
			char = string(rune(data[i]))
		}
		row.Text = addRun(row.Text, mark, char)
	}
	return row
}

func addRun(runs []hexRun, mark, text string) []hexRun {
	if n := len(runs); n > 0 && runs[n-1].Mark == mark {
		runs[n-1].Text += text
		return runs
	}
	return append(runs, hexRun{mark, text})
}
