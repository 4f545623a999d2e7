// Command hivemend finds and mends, offline, the registry data that makes a
// Windows machine refuse Remote Desktop with "Because of a security error, the
// client could not connect to the terminal server".
package main

import (
	"os"

	"hivemend/cmd/hivemend/internal/cli"
)

func main() { os.Exit(cli.Main()) }
