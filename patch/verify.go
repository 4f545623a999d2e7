package patch

import (
	"fmt"
	"strings"

	"hivemend/hive"
	"hivemend/hive/regf"
)

// Standing says how a hive stands towards a package.
type Standing string

// The standings of a hive.
const (
	Applied     Standing = "applied"
	NotApplied  Standing = "not applied" // nothing, or not all of it
	HasDrifted  Standing = "drifted"     // something is neither as before nor as planned
	Unconcerned Standing = "not concerned"
)

// VerifiedHive is one hive held against a package.
type VerifiedHive struct {
	Input    *hive.Input
	Standing Standing
	// Exact is set where the hive is, byte for byte, what the package was made
	// from or what it holds as patched.
	Exact    bool
	Statuses []Status
}

// Verify proves the package again, from nothing but its own files, and says
// for each input how it stands. The manifest was held against the files by
// ReadPackage. The error says which part of the proof does not hold.
func Verify(pk *Package, inputs []*hive.Input) ([]VerifiedHive, error) {
	if err := pk.prove(); err != nil {
		return nil, err
	}
	statuses, err := Precheck(pk.Plan, inputs)
	if err != nil {
		return nil, err
	}
	out := make([]VerifiedHive, len(inputs))
	for i, in := range inputs {
		out[i] = VerifiedHive{Input: in, Standing: Unconcerned, Exact: pk.knows(in)}
		for _, s := range statuses {
			if s.Input == in {
				out[i].Statuses = append(out[i].Statuses, s)
			}
		}
		out[i].Standing = standing(out[i].Statuses)
	}
	return out, nil
}

func standing(statuses []Status) Standing {
	result := Unconcerned
	for _, s := range statuses {
		switch {
		case s.State == Drifted:
			return HasDrifted
		case s.State == ToDo:
			result = NotApplied
		case result == Unconcerned:
			result = Applied
		}
	}
	return result
}

func (pk *Package) knows(in *hive.Input) bool {
	for _, pi := range pk.Plan.Inputs {
		if in.SHA256 == pi.SHA256 || in.SHA256 == pi.ReplayedSHA256 {
			return true
		}
	}
	if pk.Journal != nil {
		_, ok := pk.Journal.For(in.SHA256)
		return ok
	}
	return false
}

// prove repeats the proof of a package: the .reg files say what the plan says;
// the journal leads from each patched hive back to the original that the plan
// names; and each patched hive is that original with exactly the plan's edits,
// for both readers.
func (pk *Package) prove() error {
	if err := pk.checkReg(); err != nil {
		return err
	}
	if pk.Journal == nil {
		return pk.noHives()
	}
	patched := map[string][]byte{} // by hash
	for name, data := range pk.Files {
		if strings.HasPrefix(name, HivesFolder+"/") {
			patched[hash(data)] = data
		}
	}
	if len(patched) != len(pk.Journal.Hives) {
		return fail(ErrUnproved, "the journal speaks of %d hives, the package holds %d", len(pk.Journal.Hives), len(patched))
	}
	var originals []*hive.Input
	for _, j := range pk.Journal.Hives {
		data, ok := patched[j.Patched.SHA256]
		if !ok {
			return fail(ErrUnproved, "the package holds no %s hive with SHA-256 %s, of which the journal speaks", j.Hive, j.Patched.SHA256)
		}
		original, err := j.Revert(data)
		if err != nil {
			return err
		}
		if !pk.Plan.madeFrom(j.Original.SHA256) {
			return fail(ErrUnproved, "the journal leads back to a %s hive with SHA-256 %s, from which the plan was not made", j.Hive, j.Original.SHA256)
		}
		in, err := openOriginal(j, original)
		if err != nil {
			return err
		}
		originals = append(originals, in)
	}
	return pk.replay(originals, patched)
}

func (pk *Package) noHives() error {
	for name := range pk.Files {
		if strings.HasPrefix(name, HivesFolder+"/") {
			return fail(ErrUnproved, "%s: there is no journal for it", name)
		}
	}
	return nil
}

func (p *Plan) madeFrom(sha256 string) bool {
	for _, in := range p.Inputs {
		if in.ReplayedSHA256 == sha256 || in.ReplayedSHA256 == "" && in.SHA256 == sha256 {
			return true
		}
	}
	return false
}

func openOriginal(j HiveJournal, data []byte) (*hive.Input, error) {
	im, err := regf.Open(data, regf.OpenOptions{File: j.Path, Lenient: true})
	if err != nil {
		return nil, err
	}
	return &hive.Input{
		Path: j.Path, Kind: hive.Regf, Hive: j.Hive, Size: j.Original.Size, SHA256: j.Original.SHA256, State: hive.Clean, Data: data,
		Mounts: []hive.Mount{{Kind: j.Hive, Prefix: hive.ParsePath(j.Prefix), Root: im.Root()}},
	}, nil
}

// replay makes the plan's edits on the originals and holds the patched hives
// against what comes out.
func (pk *Package) replay(originals []*hive.Input, patched map[string][]byte) error {
	w, statuses, err := pk.Plan.run(originals)
	if err != nil {
		return err
	}
	for _, s := range statuses {
		if s.State == Drifted {
			return fail(ErrUnproved, "the plan does not fit the hive that it was made from: %s", s.Detail)
		}
	}
	for i, in := range originals {
		steps := w.stepsOn(in)
		if len(steps) == 0 {
			return fail(ErrUnproved, "%s: the package holds a patched hive, but the plan changes nothing in it", in.Path)
		}
		im, err := regf.Open(in.Data, regf.OpenOptions{File: in.Path, Lenient: true})
		if err != nil {
			return err
		}
		data := patched[pk.Journal.Hives[i].Patched.SHA256]
		if _, _, err := prove(in, im, im.Check(), data, steps[0].at.tree.key(), false); err != nil {
			return fmt.Errorf("%s: %w", hiveFile(in.Hive, 1), err)
		}
	}
	return nil
}
