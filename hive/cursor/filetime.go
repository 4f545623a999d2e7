package cursor

import "time"

// FileTime is a Windows FILETIME: the number of 100-nanosecond intervals since
// 1601-01-01 00:00:00 UTC. Zero means that no time was recorded.
type FileTime uint64

// unixEpoch is 1970-01-01 00:00:00 UTC as a FILETIME.
const unixEpoch = 116444736000000000

// maxTime is 9999-12-31 23:59:59.9999999 UTC, the last moment RFC 3339 can write.
const maxTime FileTime = 2650467743999999999

// FromTime returns t as a FILETIME, cut to 100 ns. Moments before 1601 give 0.
func FromTime(t time.Time) FileTime {
	ticks := t.Unix()*1e7 + int64(t.Nanosecond())/100 + unixEpoch
	if ticks < 0 {
		return 0
	}
	return FileTime(ticks)
}

// Time returns f in UTC. Moments after the year 9999 are cut to its end, so
// that a hostile number still prints.
func (f FileTime) Time() time.Time {
	if f > maxTime {
		f = maxTime
	}
	ticks := int64(f) - unixEpoch
	sec, frac := ticks/1e7, ticks%1e7
	return time.Unix(sec, frac*100).UTC()
}

// String returns f as RFC 3339 in UTC with as many digits as the time needs
// (at most seven), or "" for zero.
func (f FileTime) String() string {
	if f == 0 {
		return ""
	}
	return f.Time().Format("2006-01-02T15:04:05.9999999Z")
}

// MarshalText gives f in JSON the form that String has.
func (f FileTime) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText is the inverse of MarshalText; an empty text is no time.
func (f *FileTime) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*f = 0
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return err
	}
	*f = FromTime(t)
	return nil
}
