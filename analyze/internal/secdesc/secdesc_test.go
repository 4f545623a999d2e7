package secdesc

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"hivemend/analyze/internal/mscert/mscerttest"
	"hivemend/analyze/internal/verdict"
)

// encodeSID is the inverse of readSID for authorities below 2^32.
func encodeSID(s SID) []byte {
	parts := strings.Split(string(s), "-")[2:]
	b := []byte{1, byte(len(parts) - 1), 0, 0, 0, 0, 0, 0}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			panic(err)
		}
		if i == 0 {
			binary.BigEndian.PutUint32(b[4:], uint32(n))
		} else {
			b = binary.LittleEndian.AppendUint32(b, uint32(n))
		}
	}
	return b
}

func ace(typ, flags byte, mask uint32, s SID) []byte {
	sid := encodeSID(s)
	b := []byte{typ, flags}
	b = binary.LittleEndian.AppendUint16(b, uint16(8+len(sid)))
	b = binary.LittleEndian.AppendUint32(b, mask)
	return append(b, sid...)
}

func acl(aces ...[]byte) []byte {
	body := slices.Concat(aces...)
	b := []byte{2, 0}
	b = binary.LittleEndian.AppendUint16(b, uint16(8+len(body)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(aces)))
	return append(append(b, 0, 0), body...)
}

// descriptor lays the parts out as Windows does for keys: lists first.
func descriptor(control uint16, owner, group SID, sacl, dacl []byte) []byte {
	b := make([]byte, headerLen)
	b[0] = 1
	binary.LittleEndian.PutUint16(b[2:], control|selfRelative)
	put := func(at int, part []byte) {
		if part != nil {
			binary.LittleEndian.PutUint32(b[at:], uint32(len(b)))
			b = append(b, part...)
		}
	}
	put(12, sacl)
	put(16, dacl)
	put(4, encodeSID(owner))
	put(8, encodeSID(group))
	return b
}

func sample() []byte {
	return descriptor(daclPresent|saclPresent|daclProtected|daclAutoInherited, Administrators, LocalSystem,
		acl(ace(typeLabel, 0, 1, "S-1-16-4096")),
		acl(ace(typeAllow, 2, KeyRead, Users), ace(typeAllow, 2|8, genericAll, "S-1-3-0"), ace(typeAllow, 0, KeyAll, Administrators), ace(typeAllow, 0, 0x2001f, "S-1-5-80-1-2-3")))
}

func TestSDDL(t *testing.T) {
	d := Decode(sample())
	if !d.Healthy() {
		t.Fatalf("cause %q (%s)", d.Cause, d.Detail)
	}
	want := "O:BAG:SYD:PAI(A;CI;KR;;;BU)(A;CIIO;GA;;;CO)(A;;KA;;;BA)(A;;0x2001f;;;S-1-5-80-1-2-3)S:(ML;;NW;;;LW)"
	if got := d.SDDL(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if d.Owner != Administrators || d.Owner.String() != "Administrators (S-1-5-32-544)" || d.Group != LocalSystem {
		t.Errorf("owner %v, group %v", d.Owner, d.Group)
	}
	if err := mscerttest.CheckFields(len(sample()), d.Fields); err != nil {
		t.Error(err)
	}
}

func TestObjectEntry(t *testing.T) {
	id, err := hex.DecodeString("33221100554477668899aabbccddeeff")
	if err != nil {
		t.Fatal(err)
	}
	sid := encodeSID(Everyone)
	b := []byte{typeAllowObject, 0, byte(12 + 16 + len(sid)), 0, 1, 0, 0, 0, 1, 0, 0, 0}
	b = slices.Concat(b, id, sid)
	d := Decode(descriptor(daclPresent, Users, Users, nil, acl(b)))
	if got, want := d.SDDL(), "O:BUG:BUD:(OA;;0x1;00112233-4455-6677-8899-aabbccddeeff;;WD)"; got != want || !d.Healthy() {
		t.Errorf("%s, want %s (%s)", got, want, d.Detail)
	}
	if d.Granted(Everyone) != 0 {
		t.Error("an object entry counts for the key as a whole")
	}
}

func TestWhoMayWrite(t *testing.T) {
	for _, tt := range []struct {
		name   string
		dacl   []byte
		holder []SID
		want   bool
	}{
		{"read only", acl(ace(typeAllow, 0, KeyRead, Users)), []SID{Users, Interactive}, false},
		{"full", acl(ace(typeAllow, 0, KeyAll, Users)), []SID{Users}, true},
		{"another's", acl(ace(typeAllow, 0, KeyAll, Administrators)), []SID{Users, Interactive}, false},
		{"through a second group", acl(ace(typeAllow, 0, KeyRead, Users), ace(typeAllow, 0, KeyWrite, Interactive)), []SID{Users, Interactive}, true},
		{"generic", acl(ace(typeAllow, 0, genericWrite, Users)), []SID{Users}, true},
		{"one right of two", acl(ace(typeAllow, 0, SetValue, Users)), []SID{Users}, false},
		{"two rights by two entries", acl(ace(typeAllow, 0, SetValue, Users), ace(typeAllow, 0, CreateSubKey, Users)), []SID{Users}, true},
		{"only inherited", acl(ace(typeAllow, inheritOnlyFlag, KeyAll, Users)), []SID{Users}, false},
		{"denied first", acl(ace(typeDeny, 0, KeyWrite, Users), ace(typeAllow, 0, KeyAll, Users)), []SID{Users}, false},
		{"denied too late", acl(ace(typeAllow, 0, KeyAll, Users), ace(typeDeny, 0, KeyWrite, Users)), []SID{Users}, true},
		{"empty list", acl(), []SID{Users}, false},
		{"no list", nil, []SID{Users}, true},
		{"audit", acl(ace(typeAudit, 0, KeyAll, Users)), []SID{Users}, false},
	} {
		d := Decode(descriptor(daclPresent, Administrators, LocalSystem, nil, tt.dacl))
		if !d.Healthy() {
			t.Fatalf("%s: %s", tt.name, d.Detail)
		}
		if got := d.MayWrite(tt.holder...); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if got, want := Decode(sample()).Writers(), []SID{Administrators, "S-1-5-80-1-2-3"}; !slices.Equal(got, want) {
		t.Errorf("writers %v, want %v", got, want)
	}
}

func TestFaults(t *testing.T) {
	good := sample()
	put := func(at int, c byte) []byte {
		b := slices.Clone(good)
		b[at] = c
		return b
	}
	sacl := int(binary.LittleEndian.Uint32(good[12:]))
	for _, tt := range []struct {
		name  string
		data  []byte
		cause verdict.Cause
	}{
		{"empty", nil, verdict.Empty},
		{"head cut off", good[:19], verdict.Truncated},
		{"group cut off", good[:len(good)-1], verdict.Truncated},
		{"revision", put(0, 2), verdict.Structure},
		{"absolute", put(3, 0), verdict.Structure},
		{"owner inside the head", put(4, 3), verdict.Structure},
		{"owner outside", put(6, 1), verdict.Truncated},
		{"owner no identifier", put(int(binary.LittleEndian.Uint32(good[4:])), 9), verdict.Structure},
		{"list too long", put(sacl+3, 0xff), verdict.Truncated},
		{"list too short", put(sacl+2, 7), verdict.Structure},
		{"too many entries", put(sacl+4, 9), verdict.Structure},
		{"entry too long", put(sacl+10, 0xff), verdict.Structure},
		{"entry of no length", put(sacl+10, 0), verdict.Structure},
	} {
		d := Decode(tt.data)
		if d.Cause != tt.cause || d.Detail == "" {
			t.Errorf("%s: cause %q, want %q (%s)", tt.name, d.Cause, tt.cause, d.Detail)
		}
	}
	broken := put(18, 0xff) // the DACL's offset
	if d := Decode(broken); d.Healthy() || d.MayWrite(Users) {
		t.Error("a list that cannot be read grants rights")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(sample())
	f.Add(descriptor(daclPresent, Users, Users, nil, acl(ace(typeDeny, 0, KeyAll, Everyone))))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := Decode(data)
		if err := mscerttest.CheckFields(len(data), d.Fields); err != nil {
			t.Fatal(err)
		}
		if d.FailingOffset < 0 || d.FailingOffset+d.FailingLength > len(data) {
			t.Fatalf("fault outside the data: %+v", d.Fault)
		}
		d.SDDL()
		d.Writers()
		for _, list := range []*ACL{d.DACL, d.SACL} {
			for i := 0; d.Healthy() && list != nil && i < len(list.ACEs); i++ {
				a := list.ACEs[i]
				// A simple entry, written again, is what was read.
				if a.Type <= 3 && strings.Count(string(a.SID), "-") > 2 && !strings.Contains(string(a.SID), "x") {
					again := ace(a.Type, a.Flags, a.Mask, a.SID)
					copy(again[2:4], data[a.Offset+2:]) // entries may be longer than they need
					if !bytes.HasPrefix(data[a.Offset:], again) {
						t.Fatalf("entry at %d: %x, want %x", a.Offset, again, data[a.Offset:a.Offset+a.Length])
					}
				}
			}
		}
	})
}

// TestRealDescriptors decodes the security cells of real hives, found by their
// signature alone.
func TestRealDescriptors(t *testing.T) {
	corpus := os.Getenv("HIVEMEND_CORPUS")
	if corpus == "" {
		t.Skip("HIVEMEND_CORPUS is not set: no real hives at hand")
	}
	for file, least := range map[string]int{
		"hives/regipy-SYSTEM_2/SYSTEM_2.xz":               200,
		"hives/aiowinreg-nt-system.reg/system.reg.xz":     200,
		"hives/aiowinreg-nt-software.reg/software.reg.xz": 50,
	} {
		f, err := os.Open(filepath.Join(corpus, file))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := xz.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for off := 4096; off+24 < len(data); off += 8 {
			cell := -int64(int32(binary.LittleEndian.Uint32(data[off:])))
			size := int64(binary.LittleEndian.Uint32(data[off+20:]))
			if string(data[off+4:off+6]) != "sk" || size < headerLen || size+24 > cell || int64(off)+24+size > int64(len(data)) {
				continue
			}
			d := Decode(data[off+24 : int64(off)+24+size])
			if !d.Healthy() {
				t.Errorf("%s, offset %#x: cause %q (%s)", file, off, d.Cause, d.Detail)
			}
			if d.Owner == "" || d.DACL == nil || !strings.HasPrefix(d.SDDL(), "O:") {
				t.Errorf("%s, offset %#x: %s", file, off, d.SDDL())
			}
			n++
		}
		t.Logf("%s: %d descriptors", file, n)
		if n < least {
			t.Errorf("%s: %d descriptors; at least %d are known to be there", file, n, least)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	data := sample()
	b.ReportAllocs()
	for b.Loop() {
		if !Decode(data).Healthy() {
			b.Fatal("not healthy")
		}
	}
}
