package rdp_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"hivemend/analyze"
	"hivemend/hive"
)

const vectorFolder = "../../testdata/vectors"

// vector is a line of vectors.tsv: a value with one deviation, and what is to
// be found about it.
type vector struct {
	file, kind, typ, asOf, rule, cause, failingByte, original string
}

func readVectors(t *testing.T) []vector {
	t.Helper()
	table, err := os.ReadFile(filepath.Join(vectorFolder, "vectors.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var list []vector
	for _, line := range strings.Split(strings.TrimSpace(string(table)), "\n")[1:] {
		f := strings.Split(line, "\t")
		if len(f) < 9 {
			t.Fatalf("vectors.tsv: %q has %d columns", line, len(f))
		}
		list = append(list, vector{f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7]})
	}
	return list
}

// machine returns a healthy machine with the vector in its place.
func (v vector) machine(t *testing.T) *machine {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(vectorFolder, v.file))
	if err != nil {
		t.Fatal(err)
	}
	typ, err := hive.ParseType(v.typ)
	if err != nil {
		t.Fatal(err)
	}
	m := server2003()
	switch v.kind {
	case "certificate":
		m.sys(oldPath, "Certificate", typ, data)
	case "chain":
		m.sys(oldPath, "X509 Certificate", typ, data)
		m.sys(oldPath, "X509 Certificate ID", hive.RegBinary, []byte{1})
	case "licence":
		m = licensed()
		m.soft(licence0, "ClientLicense", typ, data)
	case "hwid":
		m = licensed()
		drop(m.software, licence0, "")
		m.soft(licences+`\HardwareID`, "ClientHWID", typ, data)
	case "storeblob":
		m = listenerMachine(data)
	default:
		t.Fatalf("%s: unknown kind %q", v.file, v.kind)
	}
	m.opt.AsOf = moment(v.asOf)
	return m
}

// otherwise are vectors about which the rules say something else than the
// table, and why.
var otherwise = map[string]string{
	// The licence is signed as it stands, so no byte of it was damaged: its
	// issuer is simply not among the certificates.
	"licence/issuer.bin": "LIC-CAL-NOTE unverifiable",
}

// TestVectors holds the rules against values that were made without them.
// listenerMachine is W11-PC, whose listener has the chosen certificate in blob.
func listenerMachine(blob []byte) *machine {
	m := base("Windows 11", "6.3", "WinNT")
	m.computer = "W11-PC"
	m.sys(rcmPath, "Certificate", hive.RegBinary, proprietary2048)
	thumbprint := statedSHA1(blob)
	m.sys(stations+`\RDP-Tcp`, "SSLCertificateSHA1Hash", hive.RegBinary, thumbprint)
	m.soft(fmt.Sprintf(`Microsoft\SystemCertificates\MY\Certificates\%X`, thumbprint), "Blob", hive.RegBinary, blob)
	return m
}

// statedSHA1 returns the SHA-1 that a store's entry states, or 20 zero bytes.
func statedSHA1(blob []byte) []byte {
	head := []byte{3, 0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 0}
	if i := bytes.Index(blob, head); i >= 0 {
		return blob[i+len(head):][:20]
	}
	return make([]byte, 20)
}

func TestVectors(t *testing.T) {
	for _, v := range readVectors(t) {
		if other := otherwise[v.file]; other != "" {
			v.rule, v.cause, _ = strings.Cut(other, " ")
		}
		t.Run(v.file, func(t *testing.T) {
			res := v.machine(t).run()
			found := false
			for _, f := range res.Findings {
				if f.Rule == v.rule && (v.cause == "" || f.Cause() == v.cause) {
					found = true
					v.checkByte(t, f)
				} else if f.Severity > analyze.Note && f.Rule != "RESIDUE" {
					t.Errorf("%s %s was not expected: %s", f.Rule, f.Cause(), f.Message)
				}
			}
			if !found && v.rule != "-" {
				t.Errorf("no %s %s among %v", v.rule, v.cause, verdicts(res.Findings))
			}
		})
	}
}

func (v vector) checkByte(t *testing.T, f analyze.Finding) {
	t.Helper()
	for name, text := range map[string]string{"failingByte": v.failingByte, "original": v.original} {
		if text == "" {
			continue
		}
		if want, err := strconv.Atoi(text); err != nil || f.Evidence.Get(name) != want {
			t.Errorf("%s is %v, want %s", name, f.Evidence.Get(name), text)
		}
	}
}
