package vectors

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"hivemend/hive"
	"hivemend/testdata/gen/encode"
)

// IndexFile lists every vector with what is to be found in it.
const IndexFile = "vectors.tsv"

// Vector is the data of one registry value.
type Vector struct {
	Kind  Kind
	Name  string // of the file, without folder and ending
	About string // the deviation, in one sentence
	Type  hive.Type
	Data  []byte
	AsOf  time.Time
	// Rule is the one finding that is due, with its cause; "" when there must be
	// none at warning or above. A rule of severity note is named where the
	// deviation is worth just that.
	Rule, Cause string
	// FailingByte and Original name the changed byte where a judge must find
	// it; FailingByte is -1 otherwise.
	FailingByte int
	Original    byte
}

// Kind is which registry value a vector is the data of.
type Kind string

// The kinds, by the folder below testdata/vectors.
const (
	KindCertificate Kind = "certificate" // Certificate, CertificateOld
	KindChain       Kind = "chain"       // X509 Certificate
	KindLicence     Kind = "licence"     // ClientLicense
	KindHardwareID  Kind = "hwid"        // ClientHWID
	KindStoreBlob   Kind = "storeblob"   // Blob of a certificate in a store
)

// Path is where the vector's file lies below testdata/vectors.
func (v Vector) Path() string { return string(v.Kind) + "/" + v.Name + ".bin" }

// Files returns every file below testdata/vectors: path from there, with
// slashes, to content.
func Files() (map[string][]byte, error) {
	all := All()
	files := map[string][]byte{IndexFile: index(all)}
	for _, v := range all {
		if _, twice := files[v.Path()]; twice {
			return nil, fmt.Errorf("two vectors are named %s", v.Path())
		}
		files[v.Path()] = v.Data
	}
	hives, err := Hives()
	if err != nil {
		return nil, err
	}
	files[HivesFile] = hivesIndex(hives)
	for _, h := range hives {
		if _, twice := files[h.Path()]; twice {
			return nil, fmt.Errorf("two hives are named %s", h.Path())
		}
		files[h.Path()] = h.Data
	}
	return files, nil
}

// All returns the vectors in the order of the index.
func All() []Vector {
	var all []Vector
	all = append(all, certificates()...)
	all = append(all, chains()...)
	all = append(all, licences()...)
	all = append(all, hardwareIDs()...)
	return append(all, storeBlobs()...)
}

func index(all []Vector) []byte {
	var out bytes.Buffer
	out.WriteString("file\tkind\ttype\tasOf\trule\tcause\tfailingByte\toriginal\tdeviation\n")
	for _, v := range all {
		rule, failing, original := v.Rule, "", ""
		if rule == "" {
			rule = "-"
		}
		if v.FailingByte >= 0 {
			failing, original = fmt.Sprint(v.FailingByte), fmt.Sprint(v.Original)
		}
		fields := []string{v.Path(), string(v.Kind), v.Type.String(), v.AsOf.Format(time.RFC3339), rule, v.Cause, failing, original, v.About}
		out.WriteString(strings.Join(fields, "\t") + "\n")
	}
	return out.Bytes()
}

// A list collects vectors of one kind.
type list struct {
	kind Kind
	asOf time.Time
	rule string // of findings of damage
	all  []Vector
}

func (l *list) add(v Vector) {
	v.Kind = l.kind
	if v.AsOf.IsZero() {
		v.AsOf = l.asOf
	}
	if v.Type == hive.RegNone {
		v.Type = hive.RegBinary
	}
	l.all = append(l.all, v)
}

// sound adds a vector in which nothing is to be found at warning or above.
func (l *list) sound(name, about string, data []byte) {
	l.add(Vector{Name: name, About: about, Data: data, FailingByte: -1})
}

// note adds a vector that is worth a note of that rule and cause.
func (l *list) note(rule, cause, name, about string, data []byte) {
	l.add(Vector{Name: name, About: about, Data: data, Rule: rule, Cause: cause, FailingByte: -1})
}

// corrupt adds a vector that is damaged for that cause.
func (l *list) corrupt(cause, name, about string, data []byte) {
	l.note(l.rule, cause, name, about, data)
}

// provable adds one that is damaged in one byte that can be named: at, where
// before stood.
func (l *list) provable(name, about string, data []byte, at int, before byte) {
	l.add(Vector{Name: name, About: about, Data: data, Rule: l.rule, Cause: "signature", FailingByte: at, Original: before})
}

// text adds the data as a REG_SZ of hexadecimal digits: pasted text.
func (l *list) text(name string, data []byte) {
	l.add(Vector{
		Name: name, About: "pasted as text where binary data is due", Type: hive.RegSZ,
		Data: encode.UTF16Z(fmt.Sprintf("%x", data)), Rule: l.rule, Cause: "type", FailingByte: -1,
	})
}

// flip returns a copy of data with one byte changed by a mask.
func flip(data []byte, at int, mask byte) []byte {
	out := bytes.Clone(data)
	out[at] ^= mask
	return out
}

// put returns a copy of data with b written at an offset.
func put(data []byte, at int, b ...byte) []byte {
	out := bytes.Clone(data)
	copy(out[at:], b)
	return out
}
