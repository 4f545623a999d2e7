package cli

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hivemend/hive"
	"hivemend/hive/regf"
)

// deletedHive writes a SYSTEM hive from which a secret, a value of a grace
// period and a key were deleted.
func deletedHive(t *testing.T) string {
	t.Helper()
	secret := []byte(protectedStarts[0] + "TOPSECRETTOPSECRET")
	terminal := &hive.Node{Name: "Terminal Server", Keys: []*hive.Node{{Name: "RCM", LastWrite: 133_000_000_000_000_000, Keys: []*hive.Node{
		{Name: "GracePeriod", LastWrite: 133_000_000_000_000_000, Values: []hive.NodeValue{{Name: "L$RTMTIMEBOMB_1", Type: hive.RegBinary, Data: secret}}},
		{Name: "Secrets", LastWrite: 133_000_000_000_000_000, Values: []hive.NodeValue{{Name: "Odd", Type: hive.RegBinary, Data: secret}, {Name: "More", Type: hive.RegBinary, Data: secret}}},
		{Name: "Plain", LastWrite: 133_000_000_000_000_000, Values: []hive.NodeValue{{Name: "Text", Type: hive.RegSZ, Data: []byte("h\x00i\x00\x00\x00")}}},
	}}}}
	root := &hive.Node{Name: "ROOT", Keys: []*hive.Node{{Name: "ControlSet001", Keys: []*hive.Node{{Name: "Control", Keys: []*hive.Node{terminal}}}}}}
	data, err := regf.Build(root.Key(), regf.BuildOptions{Minor: 5, FileName: "SYSTEM", Time: 133_100_000_000_000_000})
	if err != nil {
		t.Fatal(err)
	}
	im, err := regf.Open(data, regf.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := regf.NewEditor(im, regf.EditorOptions{Time: 133_200_000_000_000_000})
	if err != nil {
		t.Fatal(err)
	}
	rcm := hive.ParsePath(`ControlSet001\Control\Terminal Server\RCM`)
	for _, err := range []error{
		e.DeleteValue(rcm.Join("Secrets"), "Odd"), e.DeleteValue(rcm.Join("Secrets"), "More"),
		e.DeleteKey(rcm.Join("GracePeriod")), e.DeleteKey(rcm.Join("Plain")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if data, _, err = e.Commit(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "SYSTEM")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// runTest carries out a command line and wants an exit code.
func runTest(t *testing.T, want int, args ...string) (out, err string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := Run(context.Background(), args, Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr}); code != want {
		t.Fatalf("%q: exit code %d, want %d: %s", args, code, want, &stderr)
	}
	return stdout.String(), stderr.String()
}

func TestRecoverKeepsSecrets(t *testing.T) {
	path := deletedHive(t)
	text, _ := runTest(t, exitDone, "recover", path)
	for _, want := range []string{`"L$RTMTIMEBOMB_1"  REG_BINARY, 38 bytes, a secret`, `RCM\Plain`, `"Text"  REG_SZ, 6 bytes, all there`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	listed, _ := runTest(t, exitDone, "recover", path, "--format", "json")
	var found recoveredHive
	if err := json.Unmarshal([]byte(listed), &found); err != nil {
		t.Fatal(err)
	}
	secrets := 0
	for _, item := range found.Items {
		if item.Secret && item.Value != nil {
			secrets++
		}
	}
	reg, said := runTest(t, exitDone, "recover", path, "--format", "reg", "--prefix", `HKLM\OFFLINE`)
	reg = latin(reg)
	if !strings.Contains(reg, `[HKEY_LOCAL_MACHINE\OFFLINE\ControlSet001\Control\Terminal Server\RCM\Plain]`) || !strings.Contains(reg, `"Text"="hi"`) {
		t.Errorf("not all that can be imported is in\n%s", reg)
	}
	if strings.Contains(reg, "GracePeriod") || strings.Contains(reg, "L$") || !strings.Contains(said, "left out") {
		t.Errorf("secrets are named in\n%s\n%s", reg, said)
	}
	for _, shown := range []string{text, listed, reg} {
		if strings.Contains(shown, "TOPSECRET") || strings.Contains(shown, "544f50534543524554") || strings.Contains(shown, "54,4f,50,53") || strings.Contains(shown, "54 4f 50 53") {
			t.Errorf("a secret is shown:\n%s", shown)
		}
	}
	if secrets != 3 {
		t.Errorf("%d secrets are listed: %s", secrets, listed)
	}
}

// latin reads UTF-16LE text of plain letters.
func latin(text string) string {
	var b strings.Builder
	for i := 2; i+1 < len(text); i += 2 {
		b.WriteRune(rune(binary.LittleEndian.Uint16([]byte(text[i:]))))
	}
	return b.String()
}

func TestRecoverGoesOnAfterFailure(t *testing.T) {
	path := deletedHive(t)
	broken := filepath.Join(t.TempDir(), "SYSTEM")
	if err := os.WriteFile(broken, []byte("no hive"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, said := runTest(t, exitTrouble, "recover", broken, path)
	if !strings.Contains(out, `RCM\Plain`) || !strings.Contains(said, broken) {
		t.Errorf("%s\n%s", out, said)
	}
}

func TestTimelineTellsDeletedKeys(t *testing.T) {
	out, _ := runTest(t, exitDone, "timeline", deletedHive(t), "--format", "csv")
	if !strings.Contains(out, `RCM\Plain,deleted,`) || !strings.Contains(out, `RCM,live,`) {
		t.Errorf("%s", out)
	}
}
