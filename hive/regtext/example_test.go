package regtext_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"hivemend/hive"
	"hivemend/hive/cursor"
	"hivemend/hive/regtext"
)

// A file is read into ops; what has no effect is told.
func Example() {
	text := "REGEDIT4\r\n\r\n" +
		"[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\TermService\\Parameters]\r\n" +
		"\"Certificate\"=-\r\n" +
		"\"Path\"=\"C:\\Temp\"\r\n" +
		"\"Start\"=dword:2\r\n"
	f, err := regtext.Parse([]byte(text), regtext.Options{File: "fix.reg"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, d := range f.Diagnostics {
		fmt.Println(d)
	}
	for _, e := range f.Edits() {
		fmt.Println(e)
	}
	// Output:
	// fix.reg:5:11: error E-ESCAPE: a backslash in a string may stand only before another one or before a quote, here it is "\T"; the value was not read
	// create key HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\TermService\Parameters
	// delete value "Certificate" in HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\TermService\Parameters
	// set value "Start" in HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\TermService\Parameters to REG_DWORD of 4 bytes
}

// A patch is written as Registry Editor would write it.
func ExampleWriter() {
	var out bytes.Buffer
	w := regtext.NewWriter(&out, regtext.WriterOptions{})
	err := errors.Join(
		w.Comment("deletes the certificate of TS01"),
		w.Key(hive.Path{hive.LocalMachine, "SYSTEM", "CurrentControlSet", "Services", "TermService", "Parameters"}),
		w.DeleteValue("Certificate"),
		w.Close(),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(strings.ReplaceAll(cursor.String(out.Bytes()[2:]), "\r\n", "\n"))
	// Output:
	// Windows Registry Editor Version 5.00
	//
	// ; deletes the certificate of TS01
	//
	// [HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\TermService\Parameters]
	// "Certificate"=-
}
