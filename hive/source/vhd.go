package source

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	vhdx "github.com/Velocidex/go-vhdx/parser"
)

// vhdDisk is the disk inside of a dynamic VHD ("Virtual Hard Disk Image Format
// Specification", Microsoft 2006). One of fixed size needs no reader: it is a
// raw disk with a footer behind it.
type vhdDisk struct {
	r                 io.ReaderAt
	table             int64 // where the block table lies
	blocks            int64
	blockSize, bitmap int64 // of a block's data, and of the bitmap before it
	size              int64
}

const vhdFooterSize, vhdHeaderSize = 512, 1024

// openVHD opens a dynamic VHD by the copy of the footer that begins it.
func openVHD(r io.ReaderAt, size int64) (*vhdDisk, error) {
	be := binary.BigEndian
	footer, header := make([]byte, vhdFooterSize), make([]byte, vhdHeaderSize)
	if _, err := r.ReadAt(footer, 0); err != nil {
		return nil, fmt.Errorf("the virtual disk (VHD) is cut off: %w", cutOff(err))
	}
	if vhdSum(footer, 64) != be.Uint32(footer[64:]) {
		return nil, errors.New("the virtual disk (VHD) is damaged: its footer does not match its check sum")
	}
	const dynamic, differencing = 3, 4
	switch kind := be.Uint32(footer[60:]); kind {
	case dynamic:
	case differencing:
		return nil, refused("a differencing virtual disk (VHD), which needs its parent", "merge the two and give the result, or mount it and give the folder")
	default:
		return nil, fmt.Errorf("the virtual disk (VHD) is of kind %d, which is unknown", kind)
	}
	at := be.Uint64(footer[16:])
	if at > uint64(size) {
		return nil, errors.New("the virtual disk (VHD) is cut off: its header lies behind the end")
	}
	if _, err := r.ReadAt(header, int64(at)); err != nil {
		return nil, fmt.Errorf("the virtual disk (VHD) is cut off: %w", cutOff(err))
	}
	if string(header[:8]) != "cxsparse" || vhdSum(header, 36) != be.Uint32(header[36:]) {
		return nil, errors.New("the virtual disk (VHD) is damaged: its header does not match its check sum")
	}
	d := &vhdDisk{r: r, table: int64(min(be.Uint64(header[16:]), 1<<62)), blocks: int64(be.Uint32(header[28:])), blockSize: int64(be.Uint32(header[32:]))}
	d.size = int64(min(be.Uint64(footer[48:]), 1<<62))
	const least, most = 512, 256 << 20
	if d.blockSize < least || d.blockSize > most || d.blockSize&(d.blockSize-1) != 0 || d.size > d.blocks*d.blockSize {
		return nil, errors.New("the virtual disk (VHD) is damaged: its header holds sizes that no disk has")
	}
	d.bitmap = (d.blockSize/512/8 + 511) &^ 511
	return d, nil
}

// vhdSum is the complement of the sum of all bytes but the sum's own.
func vhdSum(b []byte, at int) uint32 {
	var sum uint32
	for i, c := range b {
		if i < at || i >= at+4 {
			sum += uint32(c)
		}
	}
	return ^sum
}

func (d *vhdDisk) ReadAt(p []byte, off int64) (int, error) {
	return readBlocks(p, off, d.size, d.blockSize, func(block int64) (int64, error) {
		entry := make([]byte, 4)
		if _, err := d.r.ReadAt(entry, d.table+4*block); err != nil {
			return 0, cutOff(err)
		}
		const absent = 0xffffffff
		sector := binary.BigEndian.Uint32(entry)
		if sector == absent {
			return 0, nil
		}
		return int64(sector)*512 + d.bitmap, nil
	}, d.r)
}

// readBlocks reads from a disk that is stored in blocks; find returns where a
// block lies, 0 for one of zeros.
func readBlocks(p []byte, off, size, blockSize int64, find func(int64) (int64, error), r io.ReaderAt) (int, error) {
	done := 0
	for done < len(p) {
		if off < 0 || off >= size {
			return done, io.EOF
		}
		in := off % blockSize
		n := int(min(int64(len(p)-done), blockSize-in, size-off))
		at, err := find(off / blockSize)
		if err != nil {
			return done, err
		}
		if at == 0 {
			clear(p[done : done+n])
		} else if _, err := r.ReadAt(p[done:done+n], at+in); err != nil {
			return done, cutOff(err)
		}
		done, off = done+n, off+int64(n)
	}
	return done, nil
}

// openVHDX opens a VHDX through a library, after a look at what the library
// believes without looking ([MS-VHDX] 2.2 and 2.6).
func openVHDX(r io.ReaderAt, size int64) (io.ReaderAt, int64, error) {
	le := binary.LittleEndian
	const headers, regions, step = 64 << 10, 192 << 10, 64 << 10
	buf := make([]byte, 72)
	for i := range int64(2) {
		if _, err := r.ReadAt(buf, headers+i*step); err != nil {
			return nil, 0, fmt.Errorf("the virtual disk (VHDX) is cut off: %w", cutOff(err))
		}
		if log := string(buf[48:64]); string(buf[:4]) == "head" && log != string(make([]byte, 16)) {
			return nil, 0, refused("a virtual disk (VHDX) that was not closed, with changes in its log", "mount it once on Windows, or convert it with qemu-img, and give the result")
		}
	}
	const mostEntries = 2047
	if _, err := r.ReadAt(buf[:16], regions); err != nil || le.Uint32(buf[8:]) > mostEntries {
		return nil, 0, errors.New("the virtual disk (VHDX) is damaged: its region table")
	}
	n := int64(le.Uint32(buf[8:]))
	for i := range n {
		if _, err := r.ReadAt(buf[:32], regions+16+32*i); err != nil {
			return nil, 0, fmt.Errorf("the virtual disk (VHDX) is cut off: %w", cutOff(err))
		}
		at := le.Uint64(buf[16:])
		if at > uint64(size) {
			return nil, 0, errors.New("the virtual disk (VHDX) is cut off: a region lies behind the end")
		}
		table := make([]byte, 16)
		if _, err := r.ReadAt(table, int64(at)); err == nil && string(table[:8]) == "metadata" && le.Uint16(table[10:]) > mostEntries {
			return nil, 0, errors.New("the virtual disk (VHDX) is damaged: its metadata table")
		}
	}
	disk, err := vhdx.NewVHDXFile(r)
	if err != nil {
		return nil, 0, fmt.Errorf("the virtual disk (VHDX) is damaged: %w", err)
	}
	if disk.Metadata.HasParent {
		return nil, 0, refused("a differencing virtual disk (VHDX), which needs its parent", "merge the two and give the result, or mount it and give the folder")
	}
	const mostSize, mostBlock = 64 << 40, 256 << 20
	if disk.Metadata.VirtualDiskSize > mostSize || disk.Metadata.BlockSize > mostBlock || disk.Metadata.BlockSize&(disk.Metadata.BlockSize-1) != 0 {
		return nil, 0, errors.New("the virtual disk (VHDX) is damaged: it claims sizes that no disk has")
	}
	return disk, int64(disk.Metadata.VirtualDiskSize), nil
}
