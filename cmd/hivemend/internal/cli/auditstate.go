package cli

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"hivemend/analyze"
	"hivemend/cmd/hivemend/internal/report"
	"hivemend/hive"
)

// auditStateSchema names the form of a --resume file: a header, then a line for
// each unit that is done.
const auditStateSchema = "hivemend/audit-state/1"

type auditStateHeader struct {
	Schema   string        `json:"schema"`
	Settings string        `json:"settings"` // a hash of everything that the results depend on
	AsOf     hive.FileTime `json:"asOf"`
}

// auditState is what an interrupted audit has done already. A nil file keeps
// nothing.
type auditState struct {
	file   *os.File
	header auditStateHeader
	fresh  bool
	units  map[string]unit
}

// openAuditState opens the state file, or returns an empty state where there
// is none. A line that was not written to its end is cut off.
func openAuditState(opt *auditOptions, paths []string) (*auditState, error) {
	s := &auditState{units: map[string]unit{}}
	if opt.resume == "" {
		return s, nil
	}
	s.header = auditStateHeader{Schema: auditStateSchema, Settings: auditSettings(opt, paths)}
	f, err := os.OpenFile(opt.resume, os.O_RDWR|os.O_CREATE, privatePerm)
	if err != nil {
		return nil, err
	}
	s.file = f
	if err := s.read(opt.resume); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

func auditSettings(opt *auditOptions, paths []string) string {
	text, err := json.Marshal([]any{version, paths, opt.asOf, opt.allControlSets, opt.only, opt.exclude, opt.noReplay, opt.codepage, opt.shard})
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func (s *auditState) read(path string) error {
	r := bufio.NewReader(s.file)
	good := int64(0)
	for n := 0; ; n++ {
		line, err := r.ReadBytes('\n')
		if err == io.EOF {
			break // what has no end was being written when the run ended
		}
		if err != nil {
			return err
		}
		if n == 0 {
			var h auditStateHeader
			if err := json.Unmarshal(line, &h); err != nil || h.Schema != auditStateSchema {
				return fmt.Errorf("%s is no state of an audit", path)
			}
			if h.Settings != s.header.Settings {
				return withHint(fmt.Errorf("%s is the state of an audit with other paths or flags", path), "give the same ones, or another STATE file")
			}
			s.header = h
		} else {
			var u unit
			if err := json.Unmarshal(line, &u); err != nil {
				return fmt.Errorf("%s:%d: %w", path, n+1, err)
			}
			s.units[u.Label] = u
		}
		good += int64(len(line))
	}
	s.fresh = good == 0
	if err := s.file.Truncate(good); err != nil {
		return err
	}
	_, err := s.file.Seek(good, io.SeekStart)
	return err
}

// keepMoment makes a resumed audit judge at the moment at which it began.
func (s *auditState) keepMoment(opt *analyze.Options) {
	if s.file == nil {
		return
	}
	if !s.fresh {
		opt.AsOf = s.header.AsOf
		return
	}
	s.header.AsOf = opt.AsOf
}

// done returns a unit that an earlier run has judged.
func (s *auditState) done(label string) (unit, bool) {
	u, ok := s.units[label]
	return u, ok
}

// keep writes a unit down, durably.
func (s *auditState) keep(u unit) error {
	if s.file == nil {
		return nil
	}
	var b bytes.Buffer
	if s.fresh {
		if err := report.JSONLine(&b, s.header); err != nil {
			return err
		}
		s.fresh = false
	}
	if err := report.JSONLine(&b, u); err != nil {
		return err
	}
	if _, err := s.file.Write(b.Bytes()); err != nil {
		return err
	}
	return s.file.Sync()
}

func (s *auditState) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

func (a *app) auditMergeCommand() *cobra.Command {
	opt := &auditOptions{}
	cmd := &cobra.Command{
		Use:   "merge FILE...",
		Short: "Join the reports of shards, and look across all their machines",
		Long: `Join the JSON Lines that the shards of an audit have written, and look again at
what only shows across machines. The exit code is what one audit of everything
would have had.`,
		Example: `  hivemend audit merge shard-*.jsonl --format html -o audit.html`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return withHint(fmt.Errorf("no FILE is given"), "give the .jsonl files that the shards have written")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.runAuditMerge(opt, args) },
	}
	opt.addReportFlags(cmd)
	cmd.Flags().StringVar(&opt.failOn, "fail-on", "warning", "exit 1 for findings at this severity or above: `error|warning|note|never`")
	return cmd
}

func (a *app) runAuditMerge(opt *auditOptions, files []string) error {
	if err := opt.check(); err != nil {
		return err
	}
	var units []unit
	for _, path := range files {
		more, err := readAuditFile(path)
		if err != nil {
			return err
		}
		units = append(units, more...)
	}
	return a.finishAudit(opt, units, analyze.Options{}, files)
}

// readAuditFile reads the JSON Lines of an audit. The line about the fleet has
// to be there, because a file without it was not finished.
func readAuditFile(path string) ([]unit, error) {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: there is no such file", path)
		}
		return nil, err
	}
	defer f.Close()
	var units []unit
	finished := false
	dec := json.NewDecoder(f)
	for n := 1; ; n++ {
		var line struct {
			Path  string          `json:"path"`
			Place int             `json:"place"`
			Error *string         `json:"error"`
			Fleet json.RawMessage `json:"fleet"`
			analyze.Result
		}
		if err := dec.Decode(&line); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("%s: line %d is no line of an audit: %w", path, n, err)
		}
		switch {
		case line.Fleet != nil:
			finished = true
		case line.Error != nil:
			units = append(units, unit{Label: line.Path, Place: line.Place, Failures: []report.Failure{{Path: line.Path, Error: *line.Error}}})
		default:
			units = append(units, unit{Label: line.Path, Place: line.Place, Machines: []analyze.Result{line.Result}})
		}
	}
	if !finished {
		return nil, fmt.Errorf("%s: the line about all machines is missing: the audit was not finished", path)
	}
	return units, nil
}
