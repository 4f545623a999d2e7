package patch

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"hivemend/hive"
)

// TestOverlayFindsNames holds an overlay with many keys and values, which
// finds them by halving and by an index, against a plain map; also on a base
// whose keys stand out of order, as in damaged hives.
func TestOverlayFindsNames(t *testing.T) {
	for _, first := range []string{"a", "zz"} { // in order, and out of order
		base := &hive.Node{Keys: []*hive.Node{{Name: first}, {Name: "m"}}, Values: []hive.NodeValue{{Name: "V7"}}}
		o := newOverlay(base.Key(), 0)
		keys := map[string]bool{hive.Fold(first): true, "M": true}
		values := map[string]byte{"V7": 0}
		rng := rand.New(rand.NewPCG(1, 1))
		for range 2000 {
			n := rng.IntN(60)
			key, value := fmt.Sprintf("k%d", n), []string{"v%d", "V%d"}[n%2]
			value = fmt.Sprintf(value, n)
			switch rng.IntN(5) {
			case 0:
				o.apply(hive.Edit{Op: hive.DeleteKey}, hive.Path{key})
				delete(keys, hive.Fold(key))
			case 1:
				o.apply(hive.Edit{Op: hive.CreateKey}, hive.Path{key})
				keys[hive.Fold(key)] = true
			case 2:
				o.apply(hive.Edit{Op: hive.DeleteValue, Value: value}, nil)
				delete(values, hive.Fold(value))
			default:
				b := byte(1 + rng.IntN(200))
				o.apply(hive.Edit{Op: hive.SetValue, Value: value, Type: hive.RegBinary, Data: []byte{b}}, nil)
				values[hive.Fold(value)] = b
			}
			_, keyThere := o.key().Subkey(key)
			v, valueThere := o.key().Value(value)
			want, wantThere := values[hive.Fold(value)]
			if keyThere != keys[hive.Fold(key)] || valueThere != wantThere {
				t.Fatalf("%s is there: %v, %s: %v", key, keyThere, value, valueThere)
			}
			if !valueThere || want == 0 {
				continue
			}
			if data, err := v.Data(); err != nil || len(data) != 1 || data[0] != want {
				t.Fatalf("%s is %x, %v, want %x", value, data, err, want)
			}
		}
		count, last := 0, ""
		for k := range o.key().Subkeys() {
			if count++; first == "a" && hive.CompareFold(last, k.Name()) >= 0 {
				t.Errorf("%s stands behind %s", k.Name(), last)
			}
			last = k.Name()
		}
		if count != len(keys) {
			t.Errorf("%d keys, want %d", count, len(keys))
		}
	}
}
