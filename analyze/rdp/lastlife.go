package rdp

import (
	"fmt"
	"time"

	"hivemend/analyze"
)

// addLastLife says of something that has ended whether it had ended already
// when the machine was last alive: an old backup is not stale only for its age.
func addLastLife(p *analyze.Pass, f *analyze.Finding, end time.Time) {
	last := p.LastLife()
	if last == 0 || last >= p.AsOf {
		return
	}
	expiredThen := last.Time().After(end)
	f.Evidence.Set("lastWrite", last)
	f.Evidence.Set("expiredAtLastWrite", expiredThen)
	if expiredThen {
		f.Message += fmt.Sprintf(" It had ended already when these hives were last written, on %s.", timeText(last.Time()))
		return
	}
	f.Message += fmt.Sprintf(" It still held when these hives were last written, on %s; --as-of hive judges at that moment.", timeText(last.Time()))
}
