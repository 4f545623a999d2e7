package cli

import (
	"fmt"

	"hivemend/hive"
	"hivemend/hive/witness"
)

// secondReader gives the rules the independent reader's view of the values
// that they read. It is asked only about hives whose structure our own check
// has passed: on others that reader may run astray.
type secondReader struct {
	readers map[*hive.Input]*witness.Reader
}

func newSecondReader(*hive.Machine) *secondReader {
	return &secondReader{readers: map[*hive.Input]*witness.Reader{}}
}

// read is an [hivemend/analyze.SecondReading].
func (s *secondReader) read(in *hive.Input, path hive.Path, value string) (hive.Type, []byte, bool, error) {
	if in.Kind != hive.Regf {
		return 0, nil, false, fmt.Errorf("%s is text, which has no second reader", in.Path)
	}
	if !in.Bounded {
		return 0, nil, false, fmt.Errorf("the structure of %s is damaged, so the second reader was not asked", in.Path)
	}
	reader, ok := s.readers[in]
	if !ok {
		var err error
		if reader, err = witness.Open(in.Data); err != nil {
			return 0, nil, false, err
		}
		s.readers[in] = reader
	}
	return reader.Value(path, value)
}
