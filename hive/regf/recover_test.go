package regf

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"hivemend/hive"
)

// doomed is a hive that the tests delete from.
func doomed(t testing.TB, minor uint32) []byte {
	letters := bytes.Repeat([]byte("abcdefgh"), 4000)
	root := &hive.Node{Name: "ROOT", Keys: []*hive.Node{
		{Name: "Control", LastWrite: editTime - 50, Keys: []*hive.Node{
			{Name: "RCM", LastWrite: editTime - 40, Values: []hive.NodeValue{
				{Name: "LicensingMode", Type: hive.RegDWORD, Data: []byte{4, 0, 0, 0}},
				{Name: "Certificate", Type: hive.RegBinary, Data: letters[:376]},
				{Name: "CertificateOld", Type: hive.RegBinary, Data: letters[:184]},
				{Name: "Größe", Type: hive.RegSZ, Data: []byte("x\x00y\x00\x00\x00")},
			}},
		}},
		{Name: "Store", LastWrite: editTime - 30, Keys: []*hive.Node{
			{Name: "LICENSE000", LastWrite: editTime - 20, Class: []byte("c\x00"), Values: []hive.NodeValue{
				{Name: "ClientLicense", Type: hive.RegBinary, Data: letters[:1937]},
				{Name: "Большой", Type: hive.RegBinary, Data: letters[:segmentSize+77]},
				{Name: "", Type: hive.RegDWORD, Data: []byte{1, 2, 3, 4}},
			}, Keys: []*hive.Node{{Name: "Ωmega", LastWrite: editTime - 10, Values: []hive.NodeValue{{Name: "none", Type: hive.RegNone}}}}},
			{Name: "LICENSE001", LastWrite: editTime - 5},
		}},
	}}
	return buildTest(t, root, BuildOptions{Minor: minor})
}

// describeItem puts an item into one line, without where it lies.
func describeItem(item RecoveredItem) string {
	where := item.Path.String()
	if !item.PathKnown {
		where = "?" + where
	}
	if item.Kind == RecoveredKey {
		return fmt.Sprintf("key %s %s %s %d", where, item.Confidence, item.Source, item.LastWrite)
	}
	return fmt.Sprintf("value %s %q %s %s %s %d %s", where, item.Name, item.Confidence, item.Source, item.Type, len(item.Data), item.DataState)
}

func describeAll(items []RecoveredItem) []string {
	lines := make([]string, len(items))
	for i, item := range items {
		lines[i] = describeItem(item)
	}
	slices.Sort(lines)
	return lines
}

func expectItems(t *testing.T, got []RecoveredItem, want ...string) {
	t.Helper()
	slices.Sort(want)
	if lines := describeAll(got); !slices.Equal(lines, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

func recoverFrom(t testing.TB, data []byte, opt RecoverOptions) *Recovered {
	t.Helper()
	before := bytes.Clone(data)
	r := openTest(t, data).Recover(opt)
	if !bytes.Equal(before, data) {
		t.Fatal("Recover changed the hive")
	}
	if len(r.Notes) > 0 {
		t.Errorf("notes: %q", r.Notes)
	}
	checkItems(t, data, r.Items)
	return r
}

// checkItems wants of all items what always has to hold.
func checkItems(t testing.TB, data []byte, items []RecoveredItem) {
	t.Helper()
	seen := map[int64]bool{}
	for _, item := range items {
		if item.Source == SourceLog || item.Source == SourceBefore {
			continue
		}
		if item.Offset < binsStart || item.Length < vkSize || item.Offset+item.Length > int64(len(data)) {
			t.Fatalf("outside the file: %+v", item)
		}
		if seen[item.Offset] {
			t.Fatalf("twice: %+v", item)
		}
		seen[item.Offset] = true
		if item.DataOffset < 0 || item.DataOffset > 0 && item.DataState == DataWhole && item.Size <= segmentSize && item.DataOffset+int64(len(item.Data)) > int64(len(data)) {
			t.Fatalf("data outside the file: %+v", item)
		}
		if item.DataState == DataWhole && item.Kind == RecoveredValue && int64(len(item.Data)) != item.Size {
			t.Fatalf("whole, but of %d bytes: %+v", len(item.Data), item)
		}
	}
}

func TestRecoverNothing(t *testing.T) {
	for _, minor := range []uint32{3, 5, 6} {
		expectItems(t, recoverFrom(t, doomed(t, minor), RecoverOptions{}).Items)
	}
}

func TestRecoverDeletedValues(t *testing.T) {
	e := editTest(t, doomed(t, 5), EditorOptions{})
	rcm := hive.Path{"Control", "RCM"}
	for _, name := range []string{"Certificate", "Größe"} {
		if err := e.DeleteValue(rcm, name); err != nil {
			t.Fatal(err)
		}
	}
	data, _ := commit(t, e)
	r := recoverFrom(t, data, RecoverOptions{})
	expectItems(t, r.Items,
		`value Control\RCM "Certificate" low free REG_BINARY 376 whole`, // out of the middle of the list: no reference is left
		`value Control\RCM "Größe" high free REG_SZ 6 whole`,
	)
	for _, item := range r.Items {
		if item.Name == "Certificate" && !bytes.Equal(item.Data, bytes.Repeat([]byte("abcdefgh"), 47)) {
			t.Errorf("the certificate is %q", item.Data)
		}
		if string(data[item.Offset:item.Offset+2]) != "vk" {
			t.Errorf("no record at %#x", item.Offset)
		}
	}
}

func TestRecoverDeletedTree(t *testing.T) {
	e := editTest(t, doomed(t, 5), EditorOptions{})
	if err := e.DeleteKey(hive.Path{"Store", "LICENSE000"}); err != nil {
		t.Fatal(err)
	}
	data, _ := commit(t, e)
	expectItems(t, recoverFrom(t, data, RecoverOptions{}).Items,
		fmt.Sprintf(`key Store\LICENSE000 high free %d`, editTime-20),
		fmt.Sprintf(`key Store\LICENSE000\Ωmega medium free %d`, editTime-10),
		`value Store\LICENSE000 "ClientLicense" medium free REG_BINARY 1937 whole`,
		`value Store\LICENSE000 "Большой" medium free REG_BINARY 16421 whole`,
		`value Store\LICENSE000 "" medium free REG_DWORD 4 whole`,
		`value Store\LICENSE000\Ωmega "none" medium free REG_NONE 0 whole`,
	)
}

func TestRecoverAfterReuse(t *testing.T) {
	e := editTest(t, doomed(t, 5), EditorOptions{})
	rcm := hive.Path{"Control", "RCM"}
	if err := e.DeleteValue(rcm, "Certificate"); err != nil {
		t.Fatal(err)
	}
	if err := e.SetValue(rcm, "New", hive.RegBinary, bytes.Repeat([]byte{7}, 370)); err != nil {
		t.Fatal(err)
	}
	data, _ := commit(t, e)
	for _, item := range recoverFrom(t, data, RecoverOptions{}).Items {
		if item.Name == "New" || item.DataState == DataWhole && bytes.Contains(item.Data, []byte{7, 7}) {
			t.Errorf("what is part of the tree is found as deleted: %+v", item)
		}
	}
}

func TestRecoverNothingAfterWipe(t *testing.T) {
	e := editTest(t, doomed(t, 5), EditorOptions{Wipe: true})
	if err := e.DeleteValue(hive.Path{"Control", "RCM"}, "Certificate"); err != nil {
		t.Fatal(err)
	}
	if err := e.DeleteKey(hive.Path{"Store"}); err != nil {
		t.Fatal(err)
	}
	data, _ := commit(t, e)
	expectItems(t, recoverFrom(t, data, RecoverOptions{}).Items)
}

// TestRecoverSources puts the same deleted value where a free cell is none.
func TestRecoverSources(t *testing.T) {
	e := editTest(t, doomed(t, 5), EditorOptions{})
	if err := e.DeleteKey(hive.Path{"Store", "LICENSE001"}); err != nil {
		t.Fatal(err)
	}
	data, _ := commit(t, e)
	key := recoverFrom(t, data, RecoverOptions{}).Items[0]
	record := bytes.Clone(data[key.Offset-4 : key.Offset+key.Length])

	t.Run("trailing", func(t *testing.T) {
		longer := append(bytes.Clone(data), make([]byte, 512)...)
		copy(longer[len(data)+64:], record)
		items := recoverFrom(t, longer, RecoverOptions{}).Items
		expectItems(t, items, describeItem(key), fmt.Sprintf(`key Store\LICENSE001 high trailing %d`, editTime-5))
	})
	t.Run("unreferenced", func(t *testing.T) {
		used := bytes.Clone(data)
		le.PutUint32(used[key.Offset-4:], -le.Uint32(used[key.Offset-4:]))
		expectItems(t, recoverFrom(t, used, RecoverOptions{}).Items, fmt.Sprintf(`key Store\LICENSE001 high unreferenced %d`, editTime-5))
	})
	t.Run("slack", func(t *testing.T) {
		slack := bytes.Clone(data)
		im := openTest(t, slack)
		k, _ := im.Root().Lookup(hive.Path{"Control", "RCM"})
		_, ref := k.Store()
		value, _ := tree{im}.Value(ref, "CertificateOld")
		record0 := im.valueQuick(cellOffset(value))
		at := int64(record0.data().file()) + cellHeaderSize
		record0.setDataSize(24)
		at = (at+24+11)/8*8 - 4
		copy(slack[at-4:], record)
		clear(slack[key.Offset : key.Offset+key.Length])
		expectItems(t, recoverFrom(t, slack, RecoverOptions{}).Items, fmt.Sprintf(`key Store\LICENSE001 high slack %d`, editTime-5))
	})
	t.Run("parent written earlier", func(t *testing.T) {
		old := bytes.Clone(data)
		im := openTest(t, old)
		store, _ := im.Root().Subkey("Store")
		_, ref := store.Store()
		im.keyQuick(cellOffset(ref)).setLastWritten(uint64(editTime - 6))
		expectItems(t, recoverFrom(t, old, RecoverOptions{}).Items, fmt.Sprintf(`key Store\LICENSE001 medium free %d`, editTime-5))
	})
	t.Run("parent lost", func(t *testing.T) {
		lost := bytes.Clone(data)
		nk(lost[key.Offset:]).setParent(0x7ffffff8)
		expectItems(t, recoverFrom(t, lost, RecoverOptions{}).Items, fmt.Sprintf(`key ?LICENSE001 low free %d`, editTime-5))
	})
	t.Run("its own parent", func(t *testing.T) {
		own := bytes.Clone(data)
		nk(own[key.Offset:]).setParent((fileOffset(key.Offset) - cellHeaderSize).cell())
		expectItems(t, recoverFrom(t, own, RecoverOptions{}).Items, fmt.Sprintf(`key ?LICENSE001 low free %d`, editTime-5))
	})
}

// TestRecoverLogStates deletes in two steps, keeps the state between them in a
// log, and wants back what only that state held.
func TestRecoverLogStates(t *testing.T) {
	first := doomed(t, 5)
	rcm := hive.Path{"Control", "RCM"}
	e := editTest(t, first, EditorOptions{Wipe: true})
	if err := e.SetValue(rcm, "Fleeting", hive.RegSZ, []byte("f\x00\x00\x00")); err != nil {
		t.Fatal(err)
	}
	if err := e.SetValue(rcm, "LicensingMode", hive.RegDWORD, []byte{2, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if err := e.CreateKey(hive.Path{"Store", "Passing"}); err != nil {
		t.Fatal(err)
	}
	second, _ := commit(t, e)
	e = editTest(t, second, EditorOptions{Wipe: true, Time: editTime + 1})
	if err := e.DeleteValue(rcm, "Fleeting"); err != nil {
		t.Fatal(err)
	}
	if err := e.SetValue(rcm, "LicensingMode", hive.RegDWORD, []byte{5, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if err := e.DeleteKey(hive.Path{"Store", "Passing"}); err != nil {
		t.Fatal(err)
	}
	third, _ := commit(t, e)
	if len(third) != len(first) {
		t.Fatalf("the hive grew from %d to %d bytes", len(first), len(third))
	}
	bins := uint32(len(first) - binsStart)
	n := baseBlock(first).sequence2()
	dirty := bytes.Clone(first)
	baseBlock(dirty).setSequence1(n + 1)
	baseBlock(dirty).setChecksum(baseBlock(dirty).computeChecksum())
	log := Log{"x.LOG1", testLog(dirty, n, testEntry(n, bins, testPage{0, second[binsStart:]}), testEntry(n+1, bins, testPage{0, third[binsStart:]}))}

	between := []string{
		fmt.Sprintf(`key Store\Passing %%s log %d`, editTime),
		`value Control\RCM "Fleeting" %s log REG_SZ 4 whole`,
		`value Control\RCM "LicensingMode" %s log REG_DWORD 4 whole`,
	}
	with := func(confidence string) (lines []string) {
		for _, line := range between {
			lines = append(lines, fmt.Sprintf(line, confidence))
		}
		return lines
	}
	t.Run("applied", func(t *testing.T) {
		replayed, err := Replay(dirty, []Log{log})
		if err != nil || replayed.Entries != 2 {
			t.Fatal(err)
		}
		r := recoverFrom(t, replayed.Data, RecoverOptions{Logs: []Log{log}, Before: dirty})
		expectItems(t, r.Items, append(with("high"), `value Control\RCM "LicensingMode" high before REG_DWORD 4 whole`)...)
		for _, item := range r.Items {
			switch {
			case item.Source == SourceLog && (item.LogSequence != n || item.Log != "x.LOG1"):
				t.Errorf("want entry %d: %+v", n, item)
			case item.Source == SourceLog && !bytes.Equal(log.Data[item.LogOffset:][:item.Length], second[item.Offset:][:item.Length]):
				t.Errorf("the log has another record there: %+v", item)
			case item.Replaced != (item.Name == "LicensingMode"):
				t.Errorf("replaced: %+v", item)
			}
		}
	})
	t.Run("left over", func(t *testing.T) {
		expectItems(t, recoverFrom(t, third, RecoverOptions{Logs: []Log{log}}).Items, with("medium")...)
	})
	t.Run("spoilt entry", func(t *testing.T) {
		spoilt := bytes.Clone(log.Data)
		spoilt[logHeaderSize+100] ^= 1
		expectItems(t, recoverFrom(t, third, RecoverOptions{Logs: []Log{{"x", spoilt}}}).Items)
	})
}

// TestRecoverBounded makes a hive in which very many deleted values claim the
// same bytes.
func TestRecoverBounded(t *testing.T) {
	data := doomed(t, 5)
	const trailing = 1 << 20
	data = append(data, make([]byte, trailing)...)
	start := len(data) - trailing
	le.PutUint32(data[start:], uint32(trailing/2))
	for at := start + trailing/2; at+32 <= len(data); at += 32 {
		v := vk(data[at+4:])
		v.setSignature()
		v.setDataSize(trailing/2 - 4)
		v.setData(fileOffset(start).cell())
	}
	r := openTest(t, data).Recover(RecoverOptions{})
	checkItems(t, data, r.Items)
	total := 0
	for _, item := range r.Items {
		total += len(item.Data)
	}
	if len(r.Items) < trailing/2/32-1 || total > 2*len(data)+dataSpare || len(r.Notes) == 0 {
		t.Errorf("%d items with %d bytes of data, notes %q", len(r.Items), total, r.Notes)
	}
}

// TestRecoverCorpus holds what is found in real hives from which things were
// deleted on purpose.
func TestRecoverCorpus(t *testing.T) {
	for name, want := range map[string][]string{
		"yarp-DeletedDataHive/DeletedDataHive": {
			`key 456 high free 131345181379802944`, `value 123 "v2" high free REG_SZ 8 whole`, `value 456 "v" medium free REG_SZ 14 whole`,
		},
		"yarp-DeletedTreeHive/DeletedTreeHive": {
			`key 1\2\3 high free 131345184953072285`, `key 1\2\3\4 medium free 131345184953072285`,
			`key 1\2\3\4\5 medium free 131345184913496045`, `key 1\2\3\4\New Key #1 medium free 131345184906594029`,
		},
		"yarp-DeletedTreePartialPathHive/DeletedTreePartialPathHive": {
			`key ?3 low free 131345184953072285`, `key ?3\4 low free 131345184953072285`,
			`key ?3\4\5 low free 131345184913496045`, `key ?3\4\New Key #1 low free 131345184906594029`,
		},
		"yarp-ReallocValueDataHive/ReallocValueDataHive": {
			`key 2 high free 131495536517214140`, `value 2 "" medium free REG_SZ 0 overwritten`,
		},
		"yarp-EmptyHive/EmptyHive": {},
	} {
		t.Run(name, func(t *testing.T) {
			data := corpusBytes(t, "hives/"+name+".xz")
			expectItems(t, recoverFrom(t, data, RecoverOptions{}).Items, want...)
		})
	}
	t.Run("states", func(t *testing.T) {
		path := "hives/yarp-NewDirtyHive1-NewDirtyHive/NewDirtyHive"
		var data []byte
		for _, f := range corpus(t) {
			if strings.TrimSuffix(f.path, ".xz") == path {
				data = corpusBytes(t, f.path)
			}
		}
		logs := corpusLogs(t, path)
		replayed, err := Replay(data, logs)
		if err != nil {
			t.Fatal(err)
		}
		lines := describeAll(recoverFrom(t, replayed.Data, RecoverOptions{Logs: logs, Before: data}).Items)
		for _, want := range []string{`value Key1 "" medium before REG_SZ 12002 whole`, `value Key2 "v" medium before REG_SZ 18 whole`} {
			if !slices.Contains(lines, want) {
				t.Errorf("%s is not among\n%s", want, strings.Join(lines, "\n"))
			}
		}
	})
}

func FuzzRecover(f *testing.F) {
	for _, data := range smallHives(f) {
		f.Add(data, data)
	}
	data := doomed(f, 5)
	n := baseBlock(data).sequence2()
	log := testLog(data, n, testEntry(n, uint32(len(data)-binsStart), testPage{0, data[binsStart : binsStart+4096]}))
	e := editTest(f, data, EditorOptions{})
	if err := e.DeleteKey(hive.Path{"Store"}); err != nil {
		f.Fatal(err)
	}
	data, _ = commit(f, e)
	f.Add(data, log)
	f.Fuzz(func(t *testing.T, data, log []byte) {
		data, log = resign(data), bytes.Clone(log)
		for at := logHeaderSize; at+entryFixedSize <= len(log); at += logUnit {
			if e := logEntry(log[at:]); bytes.Equal(e.signature(), entrySignature) && e.size() >= entryFixedSize && uint64(e.size()) <= uint64(len(e)) {
				rehash(e[:e.size()])
			}
		}
		im, err := Open(data, OpenOptions{Lenient: true})
		if err != nil {
			return
		}
		for _, before := range [][]byte{nil, data} {
			r := im.Recover(RecoverOptions{Logs: []Log{{"l", log}}, Before: before})
			checkItems(t, data, r.Items)
			live := liveRecords(im)
			total := 0
			for _, item := range r.Items {
				total += len(item.Data)
				if item.Source != SourceLog && item.Source != SourceBefore && live[item.Offset] {
					t.Fatalf("part of the tree: %+v", item)
				}
			}
			if total > 2*len(data)+len(log)+dataSpare {
				t.Fatalf("%d bytes of data out of %d", total, len(data))
			}
		}
	})
}

// liveRecords returns where the records of the tree lie.
func liveRecords(im *Image) map[int64]bool {
	live := map[int64]bool{}
	var walk func(k hive.Key)
	walk = func(k hive.Key) {
		_, ref := k.Store()
		live[int64(cellOffset(ref).file())+cellHeaderSize] = true
		tree{im}.Values(ref, func(v hive.Ref) bool {
			live[int64(cellOffset(v).file())+cellHeaderSize] = true
			return true
		})
		for sub := range k.Subkeys() {
			walk(sub)
		}
	}
	walk(im.Root())
	return live
}

// TestRecoverMutations spoils bytes of a hive and its log at random, always
// the same way.
func TestRecoverMutations(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	data := doomed(t, 5)
	n := baseBlock(data).sequence2()
	log := testLog(data, n, testEntry(n, uint32(len(data)-binsStart), testPage{0, data[binsStart : binsStart+4096]}))
	e := editTest(t, data, EditorOptions{})
	if err := e.DeleteKey(hive.Path{"Store"}); err != nil {
		t.Fatal(err)
	}
	data, _ = commit(t, e)
	for range 400 {
		spoilt := bytes.Clone(data)
		for range 1 + random.IntN(20) {
			spoilt[binsStart+random.IntN(len(data)-binsStart)] = byte(random.IntN(256))
		}
		im, err := Open(spoilt, OpenOptions{Lenient: true})
		if err != nil {
			continue
		}
		checkItems(t, spoilt, im.Recover(RecoverOptions{Logs: []Log{{"l", log}}, Before: spoilt}).Items)
	}
}

func TestPlausibleRecord(t *testing.T) {
	key := func(change func(k nk)) []byte {
		k := nk(append(make([]byte, nkSize), "name"...))
		k.setSignature()
		k.setFlags(nkCompressed)
		k.setLastWritten(uint64(editTime))
		k.setNameLength(4)
		change(k)
		return k
	}
	for name, tt := range map[string]struct {
		record []byte
		want   int
	}{
		"sound":             {key(func(nk) {}), nkSize + 4},
		"before 1970":       {key(func(k nk) { k.setLastWritten(plausibleSince - 1) }), 0},
		"after 2100":        {key(func(k nk) { k.setLastWritten(plausibleUntil + 1) }), 0},
		"name too long":     {key(func(k nk) { k.setNameLength(5) }), 0},
		"no name":           {key(func(k nk) { k.setNameLength(0) }), 0},
		"too many subkeys":  {key(func(k nk) { k.setSubkeyCount(plausibleSubkeys + 1) }), 0},
		"half a pair":       {key(func(k nk) { k.setFlags(0); copy(k[nkSize:], "a\x00\x00\xd8") }), 0},
		"value in a record": {append([]byte("vk\x00\x00\x04\x00\x00\x80"), make([]byte, 12)...), vkSize},
		"5 bytes inside":    {append([]byte("vk\x00\x00\x05\x00\x00\x80"), make([]byte, 12)...), 0},
		"data nowhere":      {append([]byte("vk\x00\x00\x05\x00\x00\x00\x01"), make([]byte, 11)...), 0},
	} {
		if got, _ := plausibleRecord(tt.record); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}
