package machines

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"hivemend/hive"
	"hivemend/hive/regf"
	"hivemend/hive/regtext"
	"hivemend/testdata/gen/encode"
)

// ExpectedFile is the index beside the machines' folders: the findings that
// each machine must give.
const ExpectedFile = "expected.tsv"

// Files returns every file below testdata/machines: path from there, with
// slashes, to content.
func Files() (map[string][]byte, error) {
	all := All()
	files := map[string][]byte{ExpectedFile: expectedTable(all)}
	for _, m := range all {
		if err := m.addFiles(files); err != nil {
			return nil, fmt.Errorf("machine %s: %w", m.Name, err)
		}
	}
	return files, nil
}

func (m Machine) addFiles(files map[string][]byte) error {
	for _, h := range []struct {
		name, path string
		root       *hive.Node
	}{
		{"SYSTEM", "SYSTEM", m.System},
		{"SOFTWARE", `\SystemRoot\System32\Config\SOFTWARE`, m.Software},
	} {
		if h.root == nil {
			continue
		}
		data, err := regf.Build(h.root.Key(), regf.BuildOptions{
			Minor: m.Minor, FileName: h.path, Time: hive.FileTime(encode.FileTime(m.Written)), Sequence: 212,
		})
		if err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
		files[m.Name+"/"+h.name] = data
	}
	for _, x := range m.Exports {
		data, err := x.encode()
		if err != nil {
			return fmt.Errorf("%s: %w", x.File, err)
		}
		files[m.Name+"/"+x.File] = data
	}
	return nil
}

// encode returns the export as Registry Editor writes it.
func (x Export) encode() ([]byte, error) {
	var out bytes.Buffer
	w := regtext.NewWriter(&out, regtext.WriterOptions{Dialect: regtext.Regedit})
	if err := regtext.WriteTree(w, hive.ParsePath(x.Prefix), x.Key.Key()); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// expectedTable lists what a scan of each machine must find at warning or
// above. A machine that must give nothing has one line with "-" for the rule.
func expectedTable(all []Machine) []byte {
	var out bytes.Buffer
	out.WriteString("machine\tasOf\trule\tseverity\tcause\tkey\tvalue\tfailingByte\toriginal\n")
	for _, m := range all {
		line := func(fields ...string) {
			head := []string{m.Name, m.AsOf.Format(time.RFC3339)}
			out.WriteString(strings.Join(append(head, fields...), "\t") + "\n")
		}
		if len(m.Expected) == 0 {
			line("-", "", "", "", "", "", "")
		}
		for _, x := range m.Expected {
			failing, original := "", ""
			if x.FailingByte >= 0 {
				failing, original = fmt.Sprint(x.FailingByte), fmt.Sprint(x.Original)
			}
			line(x.Rule, x.Severity, x.Cause, x.Key, x.Value, failing, original)
		}
	}
	return out.Bytes()
}
