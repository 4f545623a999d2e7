package report

import (
	"path/filepath"
	"testing"

	"hivemend/analyze"
	"hivemend/analyze/rdp"
	"hivemend/hive"
	"hivemend/hive/source"
)

// asOf is when the bundled machines are judged in the tests of this package.
var asOf = moment("2009-11-30T00:00:00Z")

func moment(text string) hive.FileTime {
	var t hive.FileTime
	if err := t.UnmarshalText([]byte(text)); err != nil {
		panic(err)
	}
	return t
}

// scan judges the bundled machines of those names, all of them where none is
// given, and returns the report under the paths that a person would type at the
// top of the project.
func scan(t testing.TB, names ...string) *Report {
	t.Helper()
	t.Chdir("../../../..")
	paths := []string{"testdata/machines"}
	if len(names) > 0 {
		paths = nil
	}
	for _, name := range names {
		paths = append(paths, filepath.Join("testdata", "machines", name))
	}
	opened, err := source.Open(paths, source.Options{})
	if err != nil || len(opened.Failures) > 0 || len(opened.Machines) == 0 {
		t.Fatalf("%v, %v, %d machines", err, opened.Failures, len(opened.Machines))
	}
	var results []analyze.Result
	for _, m := range opened.Machines {
		results = append(results, analyze.Run(m, rdp.Rules, analyze.Options{AsOf: asOf, AsOfSource: "flag"}))
	}
	return New(Tool{Name: "hivemend", Version: "test"}, results, nil)
}

// testOptions are those that the tests render with.
func testOptions() Options {
	return Options{Rules: rdp.Rules, FailOn: analyze.Warning}
}
