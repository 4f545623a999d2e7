package source

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
	"unicode/utf16"

	"hivemend/hive/regtext"
)

// headSize is how many bytes of a file are looked at to tell what it is.
const headSize = 2048

// content is what a file turns out to be.
type content int

const (
	unknownContent content = iota
	emptyContent
	hiveContent
	logContent // a transaction log of a hive
	textContent
	gzipContent
	zstdContent
	xzContent
	bzip2Content
	tarContent
	zipContent
	sevenZipContent
	wimContent
	vhdContent
	vhdxContent
	diskContent // a raw disk or volume
	refusedContent
)

// magics are the contents that are told by how a file begins.
var magics = []struct {
	at    int
	magic string
	is    content
}{
	{0, "\x1f\x8b\x08", gzipContent},
	{0, "\x28\xb5\x2f\xfd", zstdContent},
	{0, "\xfd7zXZ\x00", xzContent},
	{0, "PK\x03\x04", zipContent},
	{0, "PK\x05\x06", zipContent},
	{0, "PK\x07\x08PK\x03\x04", zipContent},
	{0, "PK00PK\x03\x04", zipContent},
	{0, "7z\xbc\xaf\x27\x1c", sevenZipContent},
	{0, "MSWIM\x00\x00\x00", wimContent},
	{0, "conectix", vhdContent},
	{0, "vhdxfile", vhdxContent},
	{3, "NTFS    ", diskContent},
	{512, "EFI PART", diskContent},
}

// refusal is something that is recognised and not read.
type refusal struct {
	at           int
	magic        string
	what, advice string
	// holder is set for what may well hold hives: in a folder it is reported,
	// where anything else that is not read is passed over.
	holder bool
}

const toRaw = "convert it to a raw image and give that, for instance with "

var refusals = []refusal{
	{0, "EVF\x09\x0d\x0a\xff\x00", "an EnCase image (E01)", toRaw + "ewfexport", true},
	{0, "EVF2\x0d\x0a\x81\x00", "an EnCase image (Ex01)", toRaw + "ewfexport", true},
	{0, "LVF\x09\x0d\x0a\xff\x00", "an EnCase logical image (L01)", "export the hives from it and give the folder", true},
	{0, "KDMV", "a VMware disk (VMDK)", toRaw + "qemu-img convert -O raw", true},
	{0, "COWD", "a VMware disk (VMDK)", toRaw + "qemu-img convert -O raw", true},
	{0, "# Disk DescriptorFile", "the description of a VMware disk (VMDK)", toRaw + "qemu-img convert -O raw", true},
	{0, "QFI\xfb", "a QEMU disk (qcow2)", toRaw + "qemu-img convert -O raw", true},
	{64, "\x7f\x10\xda\xbe", "a VirtualBox disk (VDI)", toRaw + "qemu-img convert -O raw", true},
	{0, "AFF10\r\n", "an AFF image", toRaw + "affconvert", true},
	{0, "Rar!\x1a\x07", "a RAR archive", "unpack it and give the folder", true},
	{0, "TAPE", "a backup made by NTBackup (.bkf)", "restore it and give the folder", true},
	{0, "MSCF", "a cabinet file", "unpack it, for instance with expand or cabextract, and give the folder", false},
	{0, "WLPWM\x00\x00\x00", "a WIM archive made for pipes", "export it to an ordinary one with wimlib-imagex export", true},
	{0, "SSH\x00", "a full flash update image (FFU)", "apply it to a disk and give an image of that", false},
	{3, "-FVE-FS-", "a volume encrypted with BitLocker", "unlock it, for instance with dislocker, and give the unlocked volume", true},
	{3, "ReFS\x00\x00\x00\x00", "a ReFS volume", "copy the hives out on a Windows machine and give the folder", true},
	{3, "EXFAT   ", "an exFAT volume", "mount it and give the folder", true},
	{82, "FAT32   ", "a FAT volume", "mount it and give the folder", true},
	{54, "FAT16   ", "a FAT volume", "mount it and give the folder", true},
	{54, "FAT12   ", "a FAT volume", "mount it and give the folder", true},
	{0, "\x04\x22\x4d\x18", "lz4 data", "decompress it and give the result", true},
	{0, "LZIP", "lzip data", "decompress it and give the result", true},
	{0, "]\x00\x00", "lzma data", "decompress it and give the result", true},
	{0, "\x1f\x9d", "compress (.Z) data", "decompress it and give the result", true},
	{0, "Salted__", "data encrypted with openssl", "decrypt it and give the result", true},
	{0, "age-encryption.org/", "data encrypted with age", "decrypt it and give the result", true},
	{0, "-----BEGIN PGP MESSAGE", "data encrypted with PGP", "decrypt it and give the result", true},
	{0, "CREG", "a registry file of Windows 95, 98 or Me", "export it there as REGEDIT4 text and give that", false},
	{0, "RGKN", "a registry file of Windows 95", "export it there as REGEDIT4 text and give that", false},
	{0, "ElfFile\x00", "an event log", "give the registry hives SYSTEM and SOFTWARE instead", false},
}

func at(head []byte, offset int, magic string) bool {
	return len(head) >= offset && bytes.HasPrefix(head[offset:], []byte(magic))
}

// sniff tells what a file is by its first bytes.
func sniff(head []byte) (content, *refusal) {
	if len(head) == 0 {
		return emptyContent, nil
	}
	if at(head, 0, "regf") {
		if len(head) >= 32 {
			if kind := binary.LittleEndian.Uint32(head[28:]); kind == 1 || kind == 2 || kind == 6 {
				return logContent, nil
			}
		}
		return hiveContent, nil
	}
	for _, m := range magics {
		if at(head, m.at, m.magic) {
			return m.is, nil
		}
	}
	switch {
	case at(head, 0, "BZh") && at(head, 4, "1AY&SY"), at(head, 0, "BZh") && at(head, 4, "\x17rE8P\x90"):
		return bzip2Content, nil
	case isTar(head):
		return tarContent, nil
	case regtext.Sniff(head):
		return textContent, nil
	}
	for i := range refusals {
		if r := &refusals[i]; at(head, r.at, r.magic) {
			return refusedContent, r
		}
	}
	if isPartitioned(head) {
		return diskContent, nil
	}
	return unknownContent, nil
}

// isTar tells the header of a tar archive by its checksum, which old archives
// without the word ustar have as well.
func isTar(head []byte) bool {
	const size, sumAt, sumEnd = 512, 148, 156
	if len(head) < size || head[0] == 0 {
		return false
	}
	want, err := strconv.ParseUint(strings.Trim(string(head[sumAt:sumEnd]), " \x00"), 8, 32)
	if err != nil {
		return false
	}
	sum := uint64((sumEnd - sumAt) * ' ')
	for i, c := range head[:size] {
		if i < sumAt || i >= sumEnd {
			sum += uint64(c)
		}
	}
	return sum == want
}

// isPartitioned tells a master boot record: its signature, and four entries
// that are each empty or one with a possible boot flag, a type and a length.
func isPartitioned(head []byte) bool {
	if !at(head, 510, "\x55\xaa") {
		return false
	}
	used := 0
	for i := range 4 {
		e := head[446+16*i:][:16]
		if bytes.Count(e, []byte{0}) == len(e) {
			continue
		}
		if e[0]&0x7f != 0 || e[4] == 0 || binary.LittleEndian.Uint32(e[12:]) == 0 {
			return false
		}
		used++
	}
	return used > 0
}

// describe says in words what an unknown file begins with.
func describe(head []byte) string {
	n := min(len(head), 4)
	if bytes.Count(head, []byte{0}) == len(head) {
		return "nothing but zeros at its start"
	}
	return "the bytes " + strings.ToUpper(hexBytes(head[:n])) + " at its start"
}

func hexBytes(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for i, c := range b {
		if i > 0 {
			s.WriteByte(' ')
		}
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

// headerName returns the last part of the path that a hive's base block
// remembers, in upper case, or "" where that is not plain ASCII. The field holds
// the path's last 31 characters in UTF-16.
func headerName(head []byte) string {
	const from, to = 48, 112
	if len(head) < to {
		return ""
	}
	var name []byte
	for i := from; i < to && (head[i] != 0 || head[i+1] != 0); i += 2 {
		if head[i] < ' ' || head[i] > '~' || head[i+1] != 0 {
			return "" // memory that was never cleared
		}
		name = append(name, head[i])
	}
	return strings.ToUpper(string(name[bytes.LastIndexAny(name, `\/`)+1:]))
}

// decodeUTF16 returns the UTF-16LE text in b; what is no text becomes U+FFFD.
func decodeUTF16(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}
