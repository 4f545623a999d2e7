package regf

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"hivemend/hive"
)

// TestMarvin32 uses the vectors of the algorithm's other implementations, and
// some with the seed of logs.
func TestMarvin32(t *testing.T) {
	for _, tt := range []struct {
		seed uint64
		data string // hex
		want uint64
	}{
		{0x004FB61A001BDBCC, "", 0x30ED35C100CD3C7D},
		{0x004FB61A001BDBCC, "AF", 0x48E73FC77D75DDC1},
		{0x004FB61A001BDBCC, "E70F", 0xB5F6E1FC485DBFF8},
		{0x004FB61A001BDBCC, "37F495", 0xF0B07C789B8CF7E8},
		{0x004FB61A001BDBCC, "8642DC59", 0x7008F2E87E9CF556},
		{0x004FB61A001BDBCC, "153FB79826", 0xE6C08C6DA2AFA997},
		{0x004FB61A001BDBCC, "0932E6246C47", 0x6F04BF1A5EA24060},
		{0x004FB61A001BDBCC, "AB427EA8D10FC7", 0xE11847E4F0678C41},
		{0xD53CD9CECD0893B7, hex.EncodeToString([]byte("abc")), 0x22C74339492769BF},
		{0x0DDDDEEEEFFFF000, hex.EncodeToString([]byte("abcdefghijklmnopqrstuvwxyz")), 0xA128EB7E7260ACA2},
		{logSeed, "", 0xB39EFCA403966E08},
		{logSeed, "68", 0x32A1242FC6BB44A1},
		{logSeed, "68656c6c", 0xCB2072FFB4B192DE},
		// The headers of two entries that Windows wrote.
		{logSeed, "48764c45005e00000000000002000000005000000100000031e40718666c8667", 0xcd44f3cfa7657f02},
		{logSeed, "48764c45001e0000000000000300000000500000010000005d1e700717a84647", 0xe637dcaff6877267},
	} {
		data, err := hex.DecodeString(tt.data)
		if err != nil {
			t.Fatal(err)
		}
		if got := marvin32(tt.seed, data); got != tt.want {
			t.Errorf("marvin32(%#x, %s) = %#x, want %#x", tt.seed, tt.data, got, tt.want)
		}
	}
}

// testPage is a range that a log entry replaces.
type testPage struct {
	offset uint32
	data   []byte
}

// testEntry makes a log entry with right hashes.
func testEntry(sequence, length uint32, pages ...testPage) []byte {
	e := make([]byte, entryFixedSize)
	copy(e, entrySignature)
	le.PutUint32(e[12:], sequence)
	le.PutUint32(e[16:], length)
	le.PutUint32(e[20:], uint32(len(pages)))
	for _, p := range pages {
		e = le.AppendUint32(e, p.offset)
		e = le.AppendUint32(e, uint32(len(p.data)))
	}
	for _, p := range pages {
		e = append(e, p.data...)
	}
	e = append(e, make([]byte, roundUp(len(e), logUnit)-len(e))...)
	le.PutUint32(e[4:], uint32(len(e)))
	return rehash(e)
}

func rehash(e []byte) []byte {
	le.PutUint64(e[24:], marvin32(logSeed, e[40:]))
	le.PutUint64(e[32:], marvin32(logSeed, e[:32]))
	return e
}

// testLog makes a log of the new format for a hive.
func testLog(primary []byte, sequence uint32, entries ...[]byte) []byte {
	h := baseBlock(bytes.Clone(primary[:logHeaderSize]))
	h.setFileType(logTypeNew)
	h.setSequence1(sequence)
	h.setSequence2(sequence)
	h.setChecksum(h.computeChecksum())
	return append([]byte(h), bytes.Join(entries, nil)...)
}

// dirtyHive is a sound hive with sequence numbers second+1 and second.
func dirtyHive(t testing.TB, second uint32) []byte {
	data := soundHive(t, 5)
	b := baseBlock(data)
	b.setSequence1(second + 1)
	b.setSequence2(second)
	b.setChecksum(b.computeChecksum())
	return data
}

// fill is a page of one byte over and over.
func fill(c byte, n int) []byte { return bytes.Repeat([]byte{c}, n) }

// TestReplaySequences gives Replay logs whose entries mark the page that they
// write, and wants the right ones applied, in the right order.
func TestReplaySequences(t *testing.T) {
	const top = 0xffffffff
	for _, tt := range []struct {
		name    string
		second  uint32     // of the hive
		logs    [][]uint32 // the sequence number of the header, then those of the entries
		want    []uint32
		stopped string // part of the reason
	}{
		{"one log", 10, [][]uint32{{10, 10, 11, 12}}, []uint32{10, 11, 12}, ""},
		{"two logs", 10, [][]uint32{{10, 10, 11}, {12, 12, 13}}, []uint32{10, 11, 12, 13}, ""},
		{"two logs, the other way round", 10, [][]uint32{{12, 12, 13}, {10, 10, 11}}, []uint32{10, 11, 12, 13}, ""},
		{"the earlier is too old", 10, [][]uint32{{8, 8, 9}, {10, 10}}, []uint32{10}, ""},
		{"both are too old", 10, [][]uint32{{6, 6, 7}, {8, 8, 9}}, nil, ""},
		{"a gap between the logs", 10, [][]uint32{{10, 10, 11}, {13, 13}}, []uint32{10, 11}, "13, but 12 is next"},
		{"a gap before the first", 10, [][]uint32{{20, 20, 21}}, []uint32{20, 21}, ""},
		{"a gap inside", 10, [][]uint32{{10, 10, 12}}, []uint32{10}, "want the entry with sequence number 11, found 12"},
		{"entries left over", 10, [][]uint32{{10, 10, 7, 8}}, []uint32{10}, ""},
		{"only entries left over", 10, [][]uint32{{10, 7, 8}}, nil, ""},
		{"the numbers wrap round", top - 1, [][]uint32{{top - 1, top - 1, top}, {0, 0, 1}}, []uint32{top - 1, top, 0, 1}, ""},
		{"no entries", 10, [][]uint32{{10}}, nil, ""},
		{"no logs", 10, nil, nil, ""},
		{"three logs", 10, [][]uint32{{12, 12}, {11, 11}, {10, 10}}, []uint32{10, 11, 12}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			primary := dirtyHive(t, tt.second)
			length := baseBlock(primary).length()
			var logs []Log
			for i, numbers := range tt.logs {
				var entries [][]byte
				for _, n := range numbers[1:] {
					// Every entry marks a page of its own, and all of them one.
					entries = append(entries, testEntry(n, length, testPage{8192 + n%64*512, fill(byte(n), 512)}, testPage{4096, fill(byte(n), 512)}))
				}
				logs = append(logs, Log{Path: string(rune('A' + i)), Data: testLog(primary, numbers[0], entries...)})
			}
			r, err := Replay(primary, logs)
			if (len(tt.want) == 0) != errors.Is(err, ErrNoUsableLog) {
				t.Fatalf("error %v", err)
			}
			if len(tt.want) == 0 {
				if &r.Data[0] != &primary[0] || len(r.Issues) != 1 || r.Issues[0].Code != "LG01" {
					t.Errorf("changed, or issues %v", r.Issues)
				}
				for _, use := range r.Logs {
					if use.Used || use.Reason == "" {
						t.Errorf("%+v", use)
					}
				}
				return
			}
			last := tt.want[len(tt.want)-1]
			if r.Entries != len(tt.want) || r.FirstSequence != tt.want[0] || r.LastSequence != last {
				t.Errorf("%d entries, %d to %d", r.Entries, r.FirstSequence, r.LastSequence)
			}
			for _, n := range tt.want {
				if at := binsStart + 8192 + n%64*512; !bytes.Equal(r.Data[at:at+512], fill(byte(n), 512)) {
					t.Errorf("entry %d was not applied", n)
				}
			}
			if r.Data[binsStart+4096] != byte(last) {
				t.Errorf("the common page is of entry %d, want %d", r.Data[binsStart+4096], byte(last))
			}
			if (tt.stopped == "") != (r.Stopped == "") || !strings.Contains(r.Stopped, tt.stopped) {
				t.Errorf("stopped %q, want %q", r.Stopped, tt.stopped)
			}
			b := baseBlock(r.Data)
			if dirty(b) || b.sequence1() != last+1 || b.length() != length || b.fileType() != 0 {
				t.Errorf("base block: dirty %v, sequence number %d", dirty(b), b.sequence1())
			}
			checkProvenance(t, primary, r, logs)
		})
	}
}

// TestReplayStopsAtBadEntries spoils the second of three entries and wants the
// first applied and a reason.
func TestReplayStopsAtBadEntries(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(e []byte) []byte
		want  string
	}{
		{"a page changed", func(e []byte) []byte { e[100] ^= 1; return e }, "hash of the entry's pages"},
		{"the header changed", func(e []byte) []byte { e[9] ^= 1; return e }, "hash of the entry's header"},
		{"size 0", func(e []byte) []byte { le.PutUint32(e[4:], 0); return rehash(e) }, "want a size"},
		{"size 40", func(e []byte) []byte { le.PutUint32(e[4:], 40); return rehash(e) }, "want a size"},
		{"size beyond the log", func(e []byte) []byte { le.PutUint32(e[4:], 1<<31); return rehash(e) }, "want a size"},
		{"no pages", func(e []byte) []byte { le.PutUint32(e[20:], 0); return rehash(e) }, "pages, found 0"},
		{"very many pages", func(e []byte) []byte { le.PutUint32(e[20:], 0xffffffff); return rehash(e) }, "pages, found 4294967295"},
		{"a page outside", func(e []byte) []byte { le.PutUint32(e[40:], 0x7ffffe00); return rehash(e) }, "want a page inside"},
		{"a page over the end", func(e []byte) []byte { le.PutUint32(e[44:], 0xfffffe00); return rehash(e) }, "want a page inside"},
		{"a page of odd size", func(e []byte) []byte { le.PutUint32(e[44:], 100); return rehash(e) }, "want a page inside"},
		{"a page of no size", func(e []byte) []byte { le.PutUint32(e[44:], 0); return rehash(e) }, "want a page inside"},
		{"more than the entry holds", func(e []byte) []byte { le.PutUint32(e[44:], 4096); return rehash(e) }, "bytes of pages"},
		{"an odd length", func(e []byte) []byte { le.PutUint32(e[16:], 5000); return rehash(e) }, "length of bins"},
		{"a length of 2 GB", func(e []byte) []byte { le.PutUint32(e[16:], 0x7ffff000); return rehash(e) }, "want a hive of at most"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			primary := dirtyHive(t, 10)
			length := baseBlock(primary).length()
			entry := func(n uint32) []byte { return testEntry(n, length, testPage{n * 512, fill(byte(n), 512)}) }
			log := Log{"LOG1", testLog(primary, 10, entry(10), tt.spoil(entry(11)), entry(12))}
			r, err := Replay(primary, []Log{log})
			if err != nil {
				t.Fatal(err)
			}
			if r.Entries != 1 || r.LastSequence != 10 || !strings.Contains(r.Stopped, tt.want) || !strings.HasPrefix(r.Stopped, "LOG1: log entry at 0x") {
				t.Errorf("%d entries, stopped %q; want 1 and %q", r.Entries, r.Stopped, tt.want)
			}
			if len(r.Data) != len(primary) || len(r.Issues) == 0 || r.Issues[0].Code != "LG03" {
				t.Errorf("%d bytes, issues %v", len(r.Data), r.Issues)
			}
		})
	}
}

func TestReplayGrowsAndShrinks(t *testing.T) {
	primary := dirtyHive(t, 1)
	primary = append(primary, fill(0xee, 1000)...) // remnants behind the bins
	length := baseBlock(primary).length()
	log := func(lengths ...uint32) []Log {
		var entries [][]byte
		for i, n := range lengths {
			entries = append(entries, testEntry(uint32(1+i), n, testPage{n - 4096, fill(byte(1+i), 512)}))
		}
		return []Log{{"LOG1", testLog(primary, 1, entries...)}}
	}
	r, err := Replay(primary, log(length+8192))
	if err != nil {
		t.Fatal(err)
	}
	if b := baseBlock(r.Data); b.length() != length+8192 || uint32(len(r.Data)) != binsStart+length+8192 {
		t.Errorf("length %d of %d bytes", b.length(), len(r.Data))
	}
	if !bytes.Equal(r.Data[binsStart+length:binsStart+length+4096], make([]byte, 4096)) {
		t.Error("what was added is not zero")
	}
	if r, err = Replay(primary, log(length-4096)); err != nil {
		t.Fatal(err)
	}
	if b := baseBlock(r.Data); b.length() != length-4096 || len(r.Data) != len(primary) {
		t.Errorf("length %d of %d bytes", b.length(), len(r.Data))
	}
}

func TestReplayCleanHive(t *testing.T) {
	primary := soundHive(t, 5)
	newer := []Log{{"LOG1", testLog(primary, 7, testEntry(9, 4096, testPage{0, fill(9, 512)}))}}
	r, err := Replay(primary, newer)
	if err != nil || !r.Clean || r.Entries != 0 || &r.Data[0] != &primary[0] {
		t.Errorf("%+v, %v", r, err)
	}
	if len(r.Issues) != 1 || r.Issues[0].Code != "LG02" {
		t.Errorf("issues %v, want one that the log is newer", r.Issues)
	}
}

// TestReplayDamagedBaseBlock wants the base block of the later log, and only
// that log.
func TestReplayDamagedBaseBlock(t *testing.T) {
	sound := dirtyHive(t, 10)
	length := baseBlock(sound).length()
	logs := []Log{
		{"LOG1", testLog(sound, 10, testEntry(10, length, testPage{8192, fill(10, 512)}))},
		{"LOG2", testLog(sound, 11, testEntry(11, length, testPage{8704, fill(11, 512)}))},
	}
	for _, damage := range []func(b []byte){
		func(b []byte) { b[100] ^= 1 },
		func(b []byte) { clear(b[:4096]) },
	} {
		primary := bytes.Clone(sound)
		damage(primary)
		r, err := Replay(primary, logs)
		if err != nil {
			t.Fatal(err)
		}
		if !r.HeaderFromLog || r.Entries != 1 || r.FirstSequence != 11 || r.Logs[0].Used || r.Provenance[0].Length != 512 || r.Provenance[0].Log != "LOG2" {
			t.Errorf("%+v", r.Logs)
		}
		if b := baseBlock(r.Data); dirty(b) || b.fileType() != 0 || b.length() != length || b.root() != 0x20 {
			t.Errorf("base block %+v", b.decode())
		}
	}
}

func TestReplayForeignLog(t *testing.T) {
	primary := dirtyHive(t, 10)
	length := baseBlock(primary).length()
	for name, change := range map[string]func(h baseBlock){
		"root":    func(h baseBlock) { h.setRoot(0x80) },
		"version": func(h baseBlock) { h.setMinor(3) },
		"name":    func(h baseBlock) { copy(h.fileName()[16:], "O\x00") },
	} {
		log := testLog(primary, 10, testEntry(10, length, testPage{8192, fill(10, 512)}))
		change(log)
		baseBlock(log).setChecksum(baseBlock(log).computeChecksum())
		r, err := Replay(primary, []Log{{"LOG1", log}})
		if !errors.Is(err, ErrNoUsableLog) || !strings.Contains(err.Error(), "another hive") || r.Issues[0].Code != "LG04" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// oldLog makes a log of the old format that fills the pages named.
func oldLog(primary []byte, pages ...int) []byte {
	h := baseBlock(bytes.Clone(primary[:logHeaderSize]))
	h.setFileType(logTypeOld1)
	h.setSequence2(h.sequence1())
	h.setChecksum(h.computeChecksum())
	log := append([]byte(h), "DIRT"...)
	dirtyMap := make([]byte, h.length()/4096)
	for _, p := range pages {
		dirtyMap[p/8] |= 1 << (p % 8)
	}
	log = append(log, dirtyMap...)
	log = append(log, make([]byte, roundUp(len(log), 512)-len(log))...)
	slices.Sort(pages)
	for _, p := range pages {
		log = append(log, fill(byte(p), 512)...)
	}
	return log
}

func TestReplayOldLog(t *testing.T) {
	primary := dirtyHive(t, 4)
	good := oldLog(primary, 20, 21, 100)
	r, err := Replay(primary, []Log{{"LOG", good}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []int{20, 21, 100} {
		if at := binsStart + p*512; !bytes.Equal(r.Data[at:at+512], fill(byte(p), 512)) {
			t.Errorf("page %d was not applied", p)
		}
	}
	if b := baseBlock(r.Data); r.Pages != 3 || r.Entries != 1 || dirty(b) || b.sequence1() != 6 {
		t.Errorf("%+v, sequence number %d", r, b.sequence1())
	}
	checkProvenance(t, primary, r, []Log{{"LOG", good}})

	change := func(f func(h baseBlock)) []byte {
		log := bytes.Clone(good)
		f(log)
		baseBlock(log).setChecksum(baseBlock(log).computeChecksum())
		return log
	}
	for _, tt := range []struct {
		name string
		log  []byte
		want string
	}{
		{"empty", nil, "an empty file"},
		{"short", good[:300], "512 bytes"},
		{"no DIRT", change(func(h baseBlock) { copy(h[512:], "XXXX") }), `want "DIRT"`},
		{"a page is missing", good[:len(good)-1], "the log is truncated"},
		{"the map is missing", good[:520], "the log is truncated"},
		{"no page", oldLog(primary), "at least one page"},
		{"another time", change(func(h baseBlock) { h.setLastWritten(3) }), "it was written at"},
		{"unequal numbers", change(func(h baseBlock) { h.setSequence1(9) }), "equal sequence numbers"},
		{"a hive, no log", primary, "a transaction log"},
		{"checksum", append([]byte("regf\xff"), good[5:]...), "checksum"},
		{"huge", change(func(h baseBlock) { h.setLength(0x7ffff000) }), "the log is truncated"},
	} {
		r, err := Replay(primary, []Log{{"LOG", tt.log}})
		if !errors.Is(err, ErrNoUsableLog) || !strings.Contains(err.Error(), tt.want) || r.Entries != 0 {
			t.Errorf("%s: %v; want %q", tt.name, err, tt.want)
		}
	}
}

// TestReplayOldLogPrefersTheNewer gives two old logs that both fit.
func TestReplayOldLogPrefersTheNewer(t *testing.T) {
	primary := dirtyHive(t, 4)
	older, newer := oldLog(primary, 20), oldLog(primary, 21)
	baseBlock(newer).setSequence1(6)
	baseBlock(newer).setSequence2(6)
	baseBlock(newer).setChecksum(baseBlock(newer).computeChecksum())
	for _, logs := range [][]Log{{{"A", older}, {"B", newer}}, {{"B", newer}, {"A", older}}} {
		r, err := Replay(primary, logs)
		if err != nil || r.LastSequence != 6 || r.Data[binsStart+21*512] != 21 {
			t.Errorf("%+v, %v", r.Logs, err)
		}
	}
}

func TestReplayRefusesWhatIsNoHive(t *testing.T) {
	for _, data := range [][]byte{nil, []byte("regf"), []byte("something else"), fill(1, 8192), append(fill(0, 4096), fill(2, 4096)...)} {
		r, err := Replay(data, nil)
		if !errors.Is(err, hive.ErrCorrupt) || r != nil {
			t.Errorf("%d bytes: %v, %v", len(data), r, err)
		}
	}
}

func TestMaxSequence(t *testing.T) {
	primary := dirtyHive(t, 10)
	entry := func(n uint32) []byte { return testEntry(n, 4096, testPage{0, fill(1, 512)}) }
	spoiled := entry(90)
	spoiled[9] ^= 1
	for _, tt := range []struct {
		name  string
		logs  [][]byte
		want  uint32
		found bool
	}{
		{"none", nil, 0, false},
		{"empty", [][]byte{nil, {}}, 0, false},
		{"header", [][]byte{testLog(primary, 5)}, 5, true},
		{"entries", [][]byte{testLog(primary, 5, entry(5), entry(6)), testLog(primary, 3)}, 6, true},
		{"left over behind a gap", [][]byte{testLog(primary, 5, entry(5), make([]byte, 1024), entry(70))}, 70, true},
		{"a bad entry counts for nothing", [][]byte{testLog(primary, 5, entry(5), spoiled)}, 5, true},
		{"wrapped", [][]byte{testLog(primary, 0xfffffffe, entry(0xfffffffe), entry(0xffffffff), entry(0))}, 0, true},
	} {
		var logs []Log
		for _, l := range tt.logs {
			logs = append(logs, Log{Data: l})
		}
		if got, found := MaxSequence(logs); got != tt.want || found != tt.found {
			t.Errorf("%s: %d, %v; want %d, %v", tt.name, got, found, tt.want, tt.found)
		}
	}
}
