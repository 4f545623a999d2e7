package propcert

import (
	"bytes"
	"crypto/sha256"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

// TestRealCertificatesVerify finds proprietary certificates in real hives by
// their first bytes alone and verifies each. Their number guards against a
// search that finds nothing.
func TestRealCertificatesVerify(t *testing.T) {
	corpus := os.Getenv("HIVEMEND_CORPUS")
	if corpus == "" {
		t.Skip("HIVEMEND_CORPUS is not set: no real hives at hand")
	}
	start := []byte{1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 6, 0}
	total := 0
	distinct := map[[32]byte]bool{}
	err := filepath.WalkDir(corpus, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".tsv") || strings.Contains(path, ".LOG") {
			return err
		}
		data, err := readHive(path)
		if err != nil {
			return err
		}
		for off := 0; ; off++ {
			i := bytes.Index(data[off:], start)
			if i < 0 {
				return nil
			}
			off += i
			if len(data) < off+20 || string(data[off+16:off+20]) != "RSA1" {
				continue
			}
			c := Decode(data[off:])
			if !c.Healthy() {
				t.Errorf("%s, offset %#x: cause %q (%s)", filepath.Base(path), off, c.Cause, c.Detail)
				continue
			}
			total++
			distinct[sha256.Sum256(data[off:off+c.Size])] = true
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if total < 6 || len(distinct) < 3 {
		t.Errorf("%d certificates, %d of them distinct; at least 6 and 3 are known to be there", total, len(distinct))
	}
	t.Logf("%d certificates, %d distinct, all verify", total, len(distinct))
}

func readHive(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".xz") {
		if r, err = xz.NewReader(f); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(r)
}
