package cli

import (
	"fmt"

	"hivemend/analyze"
	"hivemend/analyze/rdp"
	"hivemend/hive"
	"hivemend/hive/regf"
	"hivemend/hive/witness"
)

// judgeMachine lets all rules look at a machine, with the second reader at
// hand. Where transaction logs were applied, what they changed is said.
func judgeMachine(m *hive.Machine, opt analyze.Options) analyze.Result {
	opt.SecondReading = newSecondReader().read
	res := analyze.Run(m, rdp.Rules, opt)
	before, replayed := asItLay(m)
	if !replayed {
		return res
	}
	opt.SecondReading = nil // the second reader is asked about what is judged
	return analyze.CompareReplay(analyze.Run(before, rdp.Rules, opt), res)
}

// asItLay returns the machine as it was before its logs were applied, and
// whether any were.
func asItLay(m *hive.Machine) (*hive.Machine, bool) {
	before := *m
	before.Inputs = nil
	replayed := false
	for _, in := range m.Inputs {
		if in.AsItLay != nil && len(in.Mounts) == 1 {
			if im, err := regf.Open(in.AsItLay, regf.OpenOptions{File: in.Path, Lenient: true}); err == nil {
				old := *in
				// Defects of the state before are no news: it was not finished.
				old.Data, old.State, old.Replay, old.Issues = in.AsItLay, hive.Dirty, nil, nil
				old.Mounts = []hive.Mount{in.Mounts[0]}
				old.Mounts[0].Root = im.Root()
				before.Inputs = append(before.Inputs, &old)
				replayed = true
				continue
			}
		}
		before.Inputs = append(before.Inputs, in)
	}
	return &before, replayed
}

// secondReader gives the rules the independent reader's view of the values
// that they read. It is asked only about hives whose structure our own check
// has passed: on others that reader may run astray.
type secondReader struct {
	readers map[*hive.Input]*witness.Reader
}

func newSecondReader() *secondReader {
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
