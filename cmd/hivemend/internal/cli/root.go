// Package cli is the command line: one file a command, each of which parses
// its flags, calls the packages that do the work, and turns what came out into
// an exit code. Nothing here knows a file format or a rule.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// The exit codes. Scripts rely on them.
const (
	exitDone        = 0
	exitFindings    = 1
	exitTrouble     = 2
	exitInterrupted = 130
)

// app holds what a command takes from the outside, so that tests can give it
// other streams and another clock.
type app struct {
	in       io.Reader
	out, err io.Writer
	now      func() time.Time
	noColour bool // --no-color
}

// Main runs the program with the arguments of the process and returns its exit
// code.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return Run(ctx, os.Args[1:], Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
}

// Streams are where a command reads from and writes to.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Run carries out one command line on those streams and returns the exit code.
func Run(ctx context.Context, args []string, s Streams) int {
	a := &app{in: s.In, out: s.Out, err: s.Err, now: time.Now}
	return a.run(ctx, args)
}

// run carries out one command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := root.ExecuteContext(ctx)
	if ctx.Err() != nil {
		a.say("interrupted; nothing is half written")
		return exitInterrupted
	}
	return a.exitCode(err)
}

// codeError carries an exit code. Its error may be nil: then everything there
// is to say has been said.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *codeError) Unwrap() error { return e.err }

// findings is what a command returns that did its work and found something.
var findings = &codeError{code: exitFindings}

// hintError is an error with advice on lines of its own.
type hintError struct {
	err   error
	hints []string
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

// withHint adds advice to err.
func withHint(err error, hints ...string) error { return &hintError{err, hints} }

// exitCode reports err to the person at the terminal and returns its code.
func (a *app) exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	var code *codeError
	if errors.As(err, &code) && code.err == nil {
		return code.code
	}
	a.say("%v", err)
	var hint *hintError
	if errors.As(err, &hint) {
		for _, h := range hint.hints {
			a.say("%s", h)
		}
	}
	if code != nil {
		return code.code
	}
	return exitTrouble
}

// say writes a line for the person at the terminal, never among the results.
func (a *app) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprintf(a.err, "hivemend: %s\n", strings.ReplaceAll(text, "\n", "\nhivemend: "))
}

const rootLong = `hivemend finds and mends, offline, the registry data that makes a Windows
machine refuse Remote Desktop with "Because of a security error, the client
could not connect to the terminal server".

It reads SYSTEM and SOFTWARE hives and .reg exports of broken machines, proves
which certificate and licence data is corrupt or stale, and writes a package
that mends it and takes the change back. Inputs are only ever read.

  an analyst with collected hives:      hivemend scan evidence/
  an engineer who builds fix packages:  hivemend fix evidence/ -o package/
  an administrator who puts it back:    hivemend apply package/ SYSTEM -o SYSTEM.new`

func (a *app) rootCommand() *cobra.Command {
	scan := a.scanOptions()
	root := &cobra.Command{
		Use:           "hivemend [command] PATH...",
		Short:         "Find and mend, offline, the registry data that breaks Remote Desktop",
		Long:          rootLong,
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			if err := mistypedCommand(cmd, args[0]); err != nil {
				return err
			}
			return a.runScan(cmd.Context(), scan, args)
		},
	}
	scan.addFlags(root.Flags())
	root.SetFlagErrorFunc(flagError)
	root.PersistentFlags().BoolVar(&a.noColour, "no-color", false, "no colours, even on a terminal (NO_COLOR does the same)")
	root.SuggestionsMinimumDistance = 2
	for _, command := range a.commands() {
		root.AddCommand(command)
	}
	completeFlags(root)
	return root
}

// commands lists every command in the order in which the help shows them.
func (a *app) commands() []*cobra.Command {
	return []*cobra.Command{
		a.scanCommand(), a.fixCommand(), a.applyCommand(), a.undoCommand(), a.verifyCommand(), a.diffCommand(), a.showCommand(), a.checkCommand(), a.repairCommand(), a.replayCommand(), a.convertCommand(), a.recoverCommand(), a.timelineCommand(), a.auditCommand(),
		a.rulesCommand(), a.explainCommand(), a.completionCommand(), a.manCommand(), a.versionCommand(),
	}
}

// mistypedCommand tells a command that does not exist from a path: a bare word
// that names no file is more likely a typing mistake.
func mistypedCommand(root *cobra.Command, word string) error {
	if word == "-" || strings.ContainsAny(word, `/\.:`) {
		return nil
	}
	if _, err := os.Lstat(word); err == nil {
		return nil
	}
	err := fmt.Errorf("%q is neither a command nor a file here", word)
	if like := root.SuggestionsFor(word); len(like) > 0 {
		return withHint(err, "did you mean `hivemend "+strings.Join(like, "` or `hivemend ")+"`?")
	}
	return withHint(err, "see `hivemend --help`")
}
