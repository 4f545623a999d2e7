package source

import (
	"strings"

	"hivemend/hive"
	"hivemend/hive/regf"
)

// replay applies transaction logs to the hive of an input, in memory. Where no
// log is of use the input stays as it is, and its Replay says why. The issues
// are about the logs; the failures, about those that could not be read.
func replay(in *hive.Input, members []*member) ([]regf.Provenance, []hive.Issue, []Failure) {
	var failures []Failure
	var logs []regf.Log
	done := &hive.Replay{}
	for _, m := range members {
		data, err := m.whole()
		if err != nil {
			failures = append(failures, Failure{m.label, err})
			continue
		}
		logs = append(logs, regf.Log{Path: m.label, Data: data})
		done.Logs = append(done.Logs, hive.ReplayLog{Path: m.label, SHA256: hexSHA256(data)})
	}
	if len(logs) > 0 {
		in.Replay = done
	}
	in.LogSequence, _ = regf.MaxSequence(logs)
	replayed, err := regf.Replay(in.Data, logs)
	if replayed == nil {
		done.Stopped = err.Error()
		return nil, nil, failures
	}
	if err != nil || replayed.Entries == 0 {
		done.Stopped = unused(replayed, err)
		return nil, replayed.Issues, failures
	}
	done.Entries, done.Pages, done.Stopped = replayed.Entries, replayed.Pages, replayed.Stopped
	done.SHA256 = hexSHA256(replayed.Data)
	in.AsItLay, in.Data, in.State = in.Data, replayed.Data, hive.Replayed
	return replayed.Provenance, replayed.Issues, failures
}

// unused says why nothing was applied: of each log, where that is known.
func unused(replayed *regf.Replayed, err error) string {
	var reasons []string
	for _, log := range replayed.Logs {
		if log.Reason != "" {
			reasons = append(reasons, log.Path+": "+log.Reason)
		}
	}
	switch {
	case len(reasons) > 0:
		return strings.Join(reasons, "; ")
	case err != nil:
		return err.Error()
	}
	return replayed.Stopped
}

// logSequence returns the highest sequence number in the logs beside a hive
// that needs none of them: Windows could apply them to a hive that is written
// anew with a lower one.
func logSequence(members []*member) (uint32, []Failure) {
	var failures []Failure
	var logs []regf.Log
	for _, m := range members {
		data, err := m.whole()
		if err != nil {
			failures = append(failures, Failure{m.label, err})
			continue
		}
		logs = append(logs, regf.Log{Path: m.label, Data: data})
	}
	highest, _ := regf.MaxSequence(logs)
	return highest, failures
}
