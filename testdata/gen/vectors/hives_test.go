package vectors

import (
	"slices"
	"testing"

	"hivemend/hive"
	"hivemend/hive/regf"
)

// TestHives checks every hive: its own defect must be found, with its
// severity, and nothing but what that entails.
func TestHives(t *testing.T) {
	all, err := Hives()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range all {
		t.Run(h.Code+"-"+h.Name, func(t *testing.T) {
			image, err := regf.Open(h.Data, regf.OpenOptions{File: h.Path(), Lenient: true})
			if err != nil {
				t.Fatal(err)
			}
			due := append([]string{}, h.Also...)
			if h.Code != "OK" {
				due = append(due, h.Code)
			}
			var found []string
			for _, issue := range image.Check().Issues {
				if issue.Code == h.Code && issue.Damage != h.Damage {
					t.Errorf("%s is %s, want %s", issue.Code, issue.Damage, h.Damage)
				}
				if issue.Code == h.Code || issue.Damage > hive.DamageInfo {
					found = append(found, issue.Code)
				}
			}
			slices.Sort(due)
			slices.Sort(found)
			if found = slices.Compact(found); !slices.Equal(found, due) {
				t.Errorf("found %v, want %v", found, due)
			}
		})
	}
}
