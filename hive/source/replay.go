package source

import (
	"strings"

	"hivemend/hive"
	"hivemend/hive/regf"
)

// readLogs reads transaction logs. The failures are those that could not be.
func readLogs(members []*member) (logs []regf.Log, failures []Failure) {
	for _, m := range members {
		data, err := m.whole()
		if err != nil {
			failures = append(failures, Failure{m.label, err})
			continue
		}
		logs = append(logs, regf.Log{Path: m.label, Data: data})
	}
	return logs, failures
}

// replay applies transaction logs to the hive of an input, in memory. Where no
// log is of use the input stays as it is, and its Replay says why. The issues
// are about the logs.
func replay(in *hive.Input, logs []regf.Log) ([]regf.Provenance, []hive.Issue) {
	done := &hive.Replay{}
	for _, log := range logs {
		done.Logs = append(done.Logs, hive.ReplayLog{Path: log.Path, SHA256: hexSHA256(log.Data)})
	}
	if len(logs) > 0 {
		in.Replay = done
	}
	replayed, err := regf.Replay(in.Data, logs)
	if replayed == nil {
		done.Stopped = err.Error()
		return nil, nil
	}
	if err != nil || replayed.Entries == 0 {
		done.Stopped = unused(replayed, err)
		return nil, replayed.Issues
	}
	done.Entries, done.Pages, done.Stopped = replayed.Entries, replayed.Pages, replayed.Stopped
	done.SHA256 = hexSHA256(replayed.Data)
	in.AsItLay, in.Data, in.State = in.Data, replayed.Data, hive.Replayed
	return replayed.Provenance, replayed.Issues
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
