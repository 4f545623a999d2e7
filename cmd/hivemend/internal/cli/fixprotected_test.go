package cli

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hivemend/hive"
	"hivemend/hive/regf"
	"hivemend/patch"
)

// node builds a key of a test hive.
func node(name string, parts ...any) *hive.Node {
	n := &hive.Node{Name: name, LastWrite: 129500000000000000}
	for _, part := range parts {
		switch part := part.(type) {
		case *hive.Node:
			n.Keys = append(n.Keys, part)
		case hive.NodeValue:
			n.Values = append(n.Values, part)
		}
	}
	return n
}

func octets(name string, data string) hive.NodeValue {
	return hive.NodeValue{Name: name, Type: hive.RegBinary, Data: []byte(data)}
}

// TestFixNeverTouchesSecrets makes packages with every combination of flags
// for a server that holds both protected keys, and looks for an edit of them
// and for their bytes.
func TestFixNeverTouchesSecrets(t *testing.T) {
	const secret, grace = "THE SECRET KEY ITSELF, 0123456789", "THE GRACE PERIOD ITSELF, 9876543210"
	number := func(name string, n byte) hive.NodeValue {
		return hive.NodeValue{Name: name, Type: hive.RegDWORD, Data: []byte{n, 0, 0, 0}}
	}
	system := node("ROOT",
		node("ControlSet001",
			node("Control",
				node("Terminal Server",
					node("RCM",
						octets("Certificate", "no certificate"), octets("X509 Certificate", "no chain"),
						octets("X509 Certificate ID", "id"), octets("X509 Certificate2", "no chain"),
						node("GracePeriod", octets("L$RTMTIMEBOMB_1320153D-8DA3-4e8e-B27B-0D888223A588", grace), number("L", 0)),
						node("Secrets", octets("L$HYDRAENCKEY", secret)))))),
		node("Select", number("Current", 1), number("Default", 1), number("Failed", 0), number("LastKnownGood", 1)))
	data, err := regf.Build(system.Key(), regf.BuildOptions{Time: 129500000000000000, FileName: "SYSTEM"})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	input := filepath.Join(dir, "SYSTEM")
	if err := os.WriteFile(input, data, 0o600); err != nil {
		t.Fatal(err)
	}
	packages := 0
	flags := []string{"--profile=article", "--restore", "--all-control-sets", "--wipe", "--include=LIC-GRACE,RESIDUE,TS-SECRET-UNPAIRED,TS-X509-ORPHAN", "--encryption-level=low"}
	for set := range 1 << len(flags) {
		args := []string{"fix", input, "-o", filepath.Join(dir, "out", hex.EncodeToString([]byte{byte(set)})), "--as-of", "2026-01-01T00:00:00Z"}
		for i, flag := range flags {
			if set>>i&1 == 1 {
				args = append(args, flag)
			}
		}
		var out, errs bytes.Buffer
		if code := Run(t.Context(), args, Streams{In: strings.NewReader(""), Out: &out, Err: &errs}); code != 0 {
			t.Fatalf("%v: exit code %d: %s", args, code, errs.String())
		}
		pk, err := patch.ReadPackage(args[3])
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		packages++
		for _, e := range pk.Plan.Edits {
			for _, one := range append([]hive.Edit{e.Edit}, e.Undo...) {
				if patch.Protected(one.Key) || strings.Contains(strings.ToUpper(one.Key.String()), "GRACEPERIOD") {
					t.Errorf("%v: it would %s", args, one)
				}
			}
		}
		for name, content := range pk.Files {
			if strings.HasPrefix(name, "hives/") {
				continue // a patched hive is the whole hive
			}
			for _, bytesOf := range []string{secret, grace} {
				low := strings.ToLower(string(content))
				plain := hex.EncodeToString([]byte(bytesOf[:6]))
				if strings.Contains(string(content), bytesOf) || strings.Contains(low, plain) || strings.Contains(strings.ReplaceAll(low, "\x00", ""), commas(bytesOf[:6])) {
					t.Errorf("%v: %s holds bytes of a protected key", args, name)
				}
			}
		}
	}
	if packages != 1<<len(flags) {
		t.Errorf("%d packages were looked at, want %d", packages, 1<<len(flags))
	}
}

// commas writes bytes as .reg text does.
func commas(data string) string {
	var parts []string
	for i := range len(data) {
		parts = append(parts, hex.EncodeToString([]byte{data[i]}))
	}
	return strings.Join(parts, ",")
}
