package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hivemend/cmd/hivemend/internal/cli"
)

// example is one command of the README with the output it shows.
type example struct {
	line    int
	command string
	want    []string // "[...]" stands for any lines
}

// readExamples returns the commands in the console blocks of README.md.
func readExamples(t *testing.T) []example {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var examples []example
	inside := false
	for i, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case !inside:
		case strings.HasPrefix(line, "$ "):
			examples = append(examples, example{line: i + 1, command: line[2:]})
		case len(examples) == 0:
			t.Fatalf("README.md:%d: output without a command", i+1)
		default:
			e := &examples[len(examples)-1]
			e.want = append(e.want, line)
		}
	}
	return examples
}

// TestReadmeShowsWhatTheProgramPrints runs every hivemend command of the
// README, in order and in one folder, and compares the output.
func TestReadmeShowsWhatTheProgramPrints(t *testing.T) {
	examples := readExamples(t)
	data, err := filepath.Abs("../../testdata")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.CopyFS(filepath.Join("testdata", "machines"), os.DirFS(filepath.Join(data, "machines"))); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, e := range examples {
		args, ok := hivemendArgs(e.command)
		if !ok {
			continue
		}
		var out bytes.Buffer
		cli.Run(context.Background(), args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &out})
		got := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
		if len(e.want) > 0 && !matches(e.want, got) {
			t.Errorf("README.md:%d: %s prints\n%s\nbut the README shows\n%s", e.line, e.command, strings.Join(got, "\n"), strings.Join(e.want, "\n"))
		}
		ran++
	}
	if ran < 1 {
		t.Errorf("%d commands of the README were run", ran)
	}
}

func hivemendArgs(command string) ([]string, bool) {
	for _, start := range []string{"go run ./cmd/hivemend ", "hivemend "} {
		if rest, ok := strings.CutPrefix(command, start); ok {
			return strings.Fields(rest), true
		}
	}
	return nil, false
}

// matches compares output with what is shown, line by line.
func matches(want, got []string) bool {
	for i, line := range want {
		if line == "[...]" {
			for skip := 0; skip <= len(got); skip++ {
				if matches(want[i+1:], got[skip:]) {
					return true
				}
			}
			return false
		}
		if len(got) == 0 || got[0] != line {
			return false
		}
		got = got[1:]
	}
	return len(got) == 0
}

func TestReadmeOpensWithItsTwoCommands(t *testing.T) {
	examples := readExamples(t)
	if len(examples) < 2 {
		t.Fatal("README.md shows fewer than two commands")
	}
	for i, want := range []string{"go run ./cmd/hivemend fix testdata/machines/ts2003 -o out/ts2003", "go test ./..."} {
		if got := examples[i].command; got != want {
			t.Errorf("command %d of README.md is %q, want %q", i+1, got, want)
		}
	}
}
