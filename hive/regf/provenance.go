package regf

import (
	"sort"

	"hivemend/hive"
)

// Provenance says that a range of a replayed hive came out of a transaction
// log.
type Provenance struct {
	Offset int64 // where the range lies in the replayed hive, in bytes
	Length int64
	Log    string // the log's path as given
	// Sequence is the number of the log entry; of a log of the old format,
	// which has no entries, that of the log.
	Sequence  uint32
	LogOffset int64 // where the range lies in the log
}

// origin says where n bytes of the image come from. Where they come from
// several places it names the first.
func (im *Image) origin(at fileOffset, n int) hive.Origin {
	o := hive.Origin{Image: int64(at), Length: int64(n), Offset: int64(at)}
	p := im.provenance
	i := sort.Search(len(p), func(i int) bool { return p[i].Offset > int64(at) }) - 1
	if i >= 0 && int64(at) < p[i].Offset+p[i].Length {
		o.File, o.LogSequence, o.Offset = p[i].Log, p[i].Sequence, p[i].LogOffset+int64(at)-p[i].Offset
	}
	return o
}
