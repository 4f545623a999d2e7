package rdp_test

import (
	"fmt"

	"hivemend/analyze"
	"hivemend/analyze/rdp"
	"hivemend/hive"
)

// A machine is judged by running the rules over it. Here it has one hive, held
// in memory; package hive/source reads machines from files.
func Example() {
	binary := func(name string, data ...byte) hive.NodeValue {
		return hive.NodeValue{Name: name, Type: hive.RegBinary, Data: data}
	}
	number := func(name string, n byte) hive.NodeValue {
		return hive.NodeValue{Name: name, Type: hive.RegDWORD, Data: []byte{n, 0, 0, 0}}
	}
	system := &hive.Node{Keys: []*hive.Node{
		{Name: "Select", Values: []hive.NodeValue{number("Current", 1), number("Default", 1)}},
		{Name: "ControlSet001", Keys: []*hive.Node{
			{Name: "Control", Keys: []*hive.Node{{Name: "Terminal Server", Keys: []*hive.Node{
				{Name: "RCM", Values: []hive.NodeValue{binary("Certificate", 1, 0, 0, 0)}},
			}}}},
		}},
	}}
	input := &hive.Input{Path: "SYSTEM", Kind: hive.Regf, Hive: hive.System, State: hive.Clean}
	input.Mounts = []hive.Mount{{Kind: hive.System, Prefix: hive.System.Prefix(), Root: system.Key()}}
	machine := &hive.Machine{ComputerName: "TS01", Inputs: []*hive.Input{input}}

	result := analyze.Run(machine, rdp.Rules, analyze.Options{AsOf: 133000000000000000})
	for _, f := range result.Findings {
		fmt.Println(f.Severity, f.Rule, f.Cause())
		fmt.Println(f.Location.Key, f.Location.Value)
		for _, edit := range f.Fix.Edits {
			fmt.Println(edit)
		}
	}
	// Output:
	// error TS-CERT-CORRUPT truncated
	// HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Control\Terminal Server\RCM Certificate
	// delete value "Certificate" in HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Control\Terminal Server\RCM
}
