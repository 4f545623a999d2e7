package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hivemend/hive"
	"hivemend/hive/source"
)

type checkOptions struct {
	format   string
	output   string
	noReplay bool
}

func (a *app) checkCommand() *cobra.Command {
	opt := &checkOptions{}
	cmd := &cobra.Command{
		Use:   "check HIVE...",
		Short: "List every structural defect of a hive",
		Long: `List every structural defect of a hive: its code, where it lies, which key it
touches, and what Windows does with it. A hive whose transaction logs lie beside
it is judged as it is after they are applied, in memory.

Exit code 0: sound. 1: a defect that Windows refuses or heals with loss. 2: no
hive, or it could not be read.`,
		Example: `  hivemend check SYSTEM
  hivemend check config/ --format json`,
		Args: needsPaths,
		RunE: func(_ *cobra.Command, args []string) error { return a.runCheck(opt, args) },
	}
	cmd.Flags().StringVar(&opt.format, "format", "text", "`text|json`")
	cmd.Flags().StringVarP(&opt.output, "output", "o", "", "write to this `FILE` instead of the terminal")
	cmd.Flags().BoolVar(&opt.noReplay, "no-replay", false, "judge dirty hives as they lie, without their transaction logs")
	return cmd
}

// checked is the answer about one hive, in the form that the JSON shows.
type checked struct {
	Path    string     `json:"path"`
	Sound   bool       `json:"sound"`
	State   hive.State `json:"state"`
	Defects []defect   `json:"defects"`
}

type defect struct {
	Code     string      `json:"code"`
	Severity hive.Damage `json:"severity"`
	Offset   int64       `json:"offset"`
	Key      string      `json:"key,omitempty"`
	Detail   string      `json:"detail"`
	Effect   string      `json:"effect,omitempty"`
}

func (a *app) runCheck(opt *checkOptions, paths []string) error {
	if opt.format != "text" && opt.format != "json" {
		return fmt.Errorf("--format %s: want text or json", opt.format)
	}
	opened, err := source.Open(paths, source.Options{NoReplay: opt.noReplay, Stdin: a.in, AllHives: true})
	if err != nil {
		return err
	}
	failed := len(opened.Failures) > 0
	for _, f := range opened.Failures {
		a.say("%v", failure(f))
	}
	var out bytes.Buffer
	hives, sound := 0, true
	for _, m := range opened.Machines {
		for _, in := range m.Inputs {
			if in.Kind != hive.Regf {
				a.say("%s is .reg text; check judges hives", in.Path)
				failed = true
				continue
			}
			c := checkedInput(in)
			sound = sound && c.Sound
			hives++
			if err := writeChecked(&out, opt.format, c); err != nil {
				return err
			}
		}
	}
	if hives > 0 {
		if err := a.writeResult(opt.output, out.Bytes(), paths); err != nil {
			return err
		}
	}
	switch {
	case failed || hives == 0:
		return &codeError{code: exitTrouble}
	case !sound:
		return findings
	}
	return nil
}

func checkedInput(in *hive.Input) checked {
	c := checked{Path: in.Path, Sound: true, State: in.State, Defects: []defect{}}
	for _, i := range in.Issues {
		c.Sound = c.Sound && i.Damage < hive.DamageLoss
		c.Defects = append(c.Defects, defect{i.Code, i.Damage, i.Offset, i.Key.String(), i.Detail, i.Effect})
	}
	return c
}

func writeChecked(w io.Writer, format string, c checked) error {
	if format == "json" {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return enc.Encode(c)
	}
	verdict := "sound"
	if !c.Sound {
		verdict = "damaged"
	}
	fmt.Fprintf(w, "%s: %s (%s)\n", hive.Printable(c.Path), verdict, c.State)
	for _, d := range c.Defects {
		fmt.Fprintf(w, "  %-7s %s at %#x", d.Severity, d.Code, d.Offset)
		if d.Key != "" {
			fmt.Fprintf(w, ", key %s", hive.Printable(d.Key))
		}
		fmt.Fprintf(w, ": %s\n", d.Detail)
		if d.Effect != "" {
			fmt.Fprintf(w, "          Windows: %s\n", d.Effect)
		}
	}
	return nil
}
