package regf

import (
	"fmt"
	"testing"

	"hivemend/hive"
)

// TestOffsetSet adds offsets, each twice, in sets of all sizes.
func TestOffsetSet(t *testing.T) {
	const bins = 1 << 20
	for _, n := range []int{0, 1, 12, 13, 32, 33, 512, 513, 5000} {
		var s offsetSet
		for i := range n {
			off := cellOffset(i*8191*cellUnit) % bins
			if !s.add(off) || s.add(off) {
				t.Fatalf("%d offsets: %s is not new once", n, off)
			}
		}
	}
}

// TestNamesThatCrowd gives a key 200 value names that all fall into one
// place of a nameTable, and one name twice.
func TestNamesThatCrowd(t *testing.T) {
	node := &hive.Node{Name: "r"}
	for i := 0; len(node.Values) < 200; i++ {
		name := fmt.Sprintf("n%08d", i)
		if encodeName(name).foldKey()*0x9e3779b1>>7&511 == 5 {
			node.Values = append(node.Values, hive.NodeValue{Name: name, Type: hive.RegNone})
		}
	}
	data, err := Build(node.Key(), BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	im := mustOpen(t, data)
	if r := im.Check(); len(r.Issues) != 0 {
		t.Fatalf("issues %v", r.Issues)
	}
	s := &spoiled{t: t, data: data, im: im}
	copy(s.vk("", node.Values[150].Name)[vkSize:], node.Values[40].Name)
	if r := im.Check(); damageCodes(r) != "VL02" || r.Count(hive.DamageLoss) != 1 {
		t.Errorf("%s, %d times", damageCodes(r), r.Count(hive.DamageLoss))
	}
	c := newChecker(im)
	c.checkBins()
	if c.visit(keyPlace{im.root, noCell, 0}); !c.names.crowded {
		t.Error("the names do not crowd, and nothing was proved")
	}
}

// overlapHive is a hive whose one large cell is full of what looks like cells
// again, and in which many keys take those for their lists.
func overlapHive(t *testing.T, point func(k nk, to cellOffset)) *Image {
	node := &hive.Node{Name: "r"}
	for i := range 2000 {
		node.Keys = append(node.Keys, &hive.Node{Name: fmt.Sprintf("%04d", i)})
	}
	const size = 1 << 20
	node.Values = []hive.NodeValue{{Name: "v", Type: hive.RegBinary, Data: make([]byte, size)}}
	data, err := Build(node.Key(), BuildOptions{Minor: 3})
	if err != nil {
		t.Fatal(err)
	}
	im := mustOpen(t, data)
	s := &spoiled{t: t, data: data, im: im}
	area := s.vk("", "v").data()
	for at := 0; at+16 < size; at += 8 {
		left := uint32(size-at) &^ 7
		le.PutUint32(im.bins[int(area)+8+at:], -left)
		copy(im.bins[int(area)+12+at:], "lf\xff\xff")
	}
	at := area + 8
	for k := range im.Root().Subkeys() {
		_, ref := k.Store()
		point(im.keyQuick(cellOffset(ref)), at)
		at += 8
	}
	return im
}

// TestCheckOverlappingLists wants Check to end on a hive where going through
// every list would take some ten thousand million steps.
func TestCheckOverlappingLists(t *testing.T) {
	for name, point := range map[string]func(k nk, to cellOffset){
		"values":  func(k nk, to cellOffset) { k.setValueList(to); k.setValueCount(1 << 28) },
		"subkeys": func(k nk, to cellOffset) { k.setSubkeyList(to); k.setSubkeyCount(0xffff) },
	} {
		r := overlapHive(t, point).Check()
		if r.Bounded() || r.Sound() || len(r.Issues) > MaxIssues*len(effects) {
			t.Errorf("%s: bounded %v, sound %v, %d issues", name, r.Bounded(), r.Sound(), len(r.Issues))
		}
	}
}
