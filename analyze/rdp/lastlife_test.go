package rdp

import (
	"strings"
	"testing"
	"time"

	"hivemend/analyze"
	"hivemend/hive"
)

func TestWhatWasTrueWhenLastWritten(t *testing.T) {
	at := func(text string) hive.FileTime {
		moment, err := time.Parse("2006-01-02", text)
		if err != nil {
			t.Fatal(err)
		}
		return hive.FileTimeOf(moment)
	}
	end := at("2020-06-01").Time()
	for _, tt := range []struct{ name, last, want string }{
		{"ended before", "2020-07-01", "had ended already"},
		{"ended since", "2020-05-01", "still held"},
		{"nothing known", "", ""},
		{"alive now", "2021-01-01", ""},
	} {
		in := &hive.Input{Path: "SYSTEM", Kind: hive.Regf, Hive: hive.System}
		if tt.last != "" {
			in.LastWrite = at(tt.last)
		}
		message := ""
		rule := &analyze.Rule{ID: "R", Run: func(p *analyze.Pass) {
			f := p.New(nil)
			addLastLife(p, &f, end)
			message = f.Message
		}}
		analyze.Run(&hive.Machine{Inputs: []*hive.Input{in}}, []*analyze.Rule{rule}, analyze.Options{AsOf: at("2021-01-01")})
		if tt.want == "" && message != "" || !strings.Contains(message, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, message, tt.want)
		}
	}
}

func TestReplayThatBrokeOffIsSaid(t *testing.T) {
	in := &hive.Input{Path: "SYSTEM", Kind: hive.Regf, Hive: hive.System, State: hive.Replayed, Replay: &hive.Replay{Entries: 3}}
	m := &hive.Machine{Inputs: []*hive.Input{in}}
	run := func() []analyze.Finding {
		return analyze.Run(m, []*analyze.Rule{Find("HIVE-UNREPLAYED")}, analyze.Options{}).Findings
	}
	if got := run(); len(got) != 0 {
		t.Errorf("logs that simply end give %v", got)
	}
	in.Replay.Stopped = "log entry at 0x2000: its hash is wrong"
	if got := run(); len(got) != 1 || got[0].Cause() != "logs-incomplete" || got[0].Severity != analyze.Note {
		t.Errorf("logs that break off give %v", got)
	}
}
