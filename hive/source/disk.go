package source

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// part is a stretch of a disk that may hold a volume, in bytes.
type part struct{ at, size int64 }

// openDisk looks at the NTFS volumes of a raw disk: the whole of it, or its
// partitions.
func (f *finding) openDisk(outer *file, r io.ReaderAt, size int64, from usable) error {
	parts, err := partitions(r, size)
	if err != nil {
		return err
	}
	var volumes []part
	var unread []*refusal
	for _, p := range parts {
		boot := make([]byte, headSize)
		n, err := r.ReadAt(boot[:min(int64(headSize), p.size)], p.at)
		if err != nil && err != io.EOF {
			return cause(err)
		}
		switch is, refusal := sniff(boot[:n]); {
		case at(boot, 3, "NTFS    "):
			volumes = append(volumes, p)
		case is == refusedContent && !at(boot, 82, "FAT32   ") && !at(boot, 54, "FAT1"): // FAT is where firmware keeps its files
			unread = append(unread, refusal)
		}
	}
	for _, u := range unread {
		f.fail(outer.label, refused("a disk with "+u.what, u.advice))
	}
	if len(volumes) == 0 && len(unread) == 0 {
		return fmt.Errorf("no NTFS volume was found on the disk image, in %s", count(len(parts), "partition"))
	}
	for i, p := range volumes {
		v, err := openNTFS(io.NewSectionReader(r, p.at, p.size), p.size)
		if err != nil {
			f.fail(outer.label, err)
			continue
		}
		if v.cut != nil {
			f.fail(outer.label, v.cut)
		}
		w := &volumeWalk{f: f, outer: outer, v: v, done: from.use}
		if len(volumes) > 1 { // the same path may be there twice
			w.prefix = []string{fmt.Sprintf("volume%d", i+1)}
		}
		if err := w.run(); err != nil {
			f.fail(outer.label, err)
		}
	}
	return nil
}

const maxPartitions = 256

var errDynamicDisk = refused("a dynamic disk (LDM)", "mount it on Windows and give the folder, or give an image of the volume")

// partitions reads the partition table. A disk without one is one partition.
func partitions(r io.ReaderAt, size int64) ([]part, error) {
	mbr := make([]byte, 512)
	if _, err := r.ReadAt(mbr, 0); err != nil {
		return nil, fmt.Errorf("the disk image is cut off: %w", cutOff(err))
	}
	if at(mbr, 3, "NTFS    ") {
		return []part{{0, size}}, nil
	}
	for _, sector := range []int64{512, 4096} {
		header := make([]byte, 92)
		if _, err := r.ReadAt(header, sector); err == nil && at(header, 0, "EFI PART") {
			return gpt(r, size, sector, header)
		}
	}
	var parts []part
	err := mbrParts(r, size, mbr, func(p part) { parts = append(parts, p) })
	return parts, err
}

// Types of partitions in a master boot record.
const (
	mbrExtended, mbrExtendedLBA, mbrExtendedLinux = 0x05, 0x0f, 0x85
	mbrDynamic                                    = 0x42
)

func isExtended(kind byte) bool {
	return kind == mbrExtended || kind == mbrExtendedLBA || kind == mbrExtendedLinux
}

// mbrParts reads a master boot record with the chain of its logical drives.
func mbrParts(r io.ReaderAt, size int64, mbr []byte, yield func(part)) error {
	const sector = 512
	entry := func(record []byte, i int) (kind byte, from, n int64) {
		e := record[446+16*i:][:16]
		return e[4], int64(binary.LittleEndian.Uint32(e[8:])) * sector, int64(binary.LittleEndian.Uint32(e[12:])) * sector
	}
	for i := range 4 {
		kind, from, n := entry(mbr, i)
		switch {
		case kind == 0 || n == 0:
		case kind == mbrDynamic:
			return errDynamicDisk
		case isExtended(kind):
			base, next := from, from
			for range maxPartitions {
				record := make([]byte, sector)
				if _, err := r.ReadAt(record, next); err != nil || !at(record, 510, "\x55\xaa") {
					break
				}
				kind, off, n := entry(record, 0)
				if kind != 0 && n > 0 {
					yieldPart(size, next+off, n, yield)
				}
				kind, off, _ = entry(record, 1)
				if !isExtended(kind) || off == 0 {
					break
				}
				next = base + off
			}
		default:
			yieldPart(size, from, n, yield)
		}
	}
	return nil
}

// yieldPart gives out what of a partition lies on the disk.
func yieldPart(size, from, n int64, yield func(part)) {
	if from < size && from >= 0 {
		yield(part{from, min(n, size-from)})
	}
}

// Types of partitions in a GUID partition table, as stored.
const (
	gptLDMData     = "\xa0\x60\x9b\xaf\x31\x14\x62\x4f\xbc\x68\x33\x11\x71\x4a\x69\xad"
	gptLDMMetadata = "\xaa\xc8\x08\x58\x8f\x7e\xe0\x42\x85\xd2\xe1\xe9\x04\x34\xcf\xb3"
	gptSpaces      = "\x8f\xaf\x5c\xe7\x80\xf6\xee\x4c\xaf\xa3\xb0\x01\xe5\x6e\xfc\x2d"
)

// gpt reads a GUID partition table (UEFI specification, section 5.3).
func gpt(r io.ReaderAt, size, sector int64, header []byte) ([]part, error) {
	le := binary.LittleEndian
	table, n, length := le.Uint64(header[72:]), le.Uint32(header[80:]), le.Uint32(header[84:])
	if n > maxPartitions || length < 128 || length > 4096 || table > uint64(size/sector) {
		return nil, errors.New("the partition table (GPT) is damaged")
	}
	var parts []part
	entry := make([]byte, 128)
	for i := range int64(n) {
		if _, err := r.ReadAt(entry, int64(table)*sector+i*int64(length)); err != nil {
			return nil, fmt.Errorf("the partition table (GPT) is cut off: %w", cutOff(err))
		}
		switch string(entry[:16]) {
		case string(make([]byte, 16)):
			continue
		case gptLDMData, gptLDMMetadata:
			return nil, errDynamicDisk
		case gptSpaces:
			return nil, refused("a disk of a storage pool", "mount it on Windows and give the folder")
		}
		first, last := le.Uint64(entry[32:]), le.Uint64(entry[40:])
		if first > last || first >= uint64(size/sector) {
			continue
		}
		last = min(last, uint64(size/sector)-1)
		parts = append(parts, part{int64(first) * sector, int64(last-first+1) * sector})
	}
	return parts, nil
}
