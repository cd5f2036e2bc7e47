// Command stofstrom is the whole of Stofstrøm; see docs/architecture.md.
package main

import (
	"os"

	"github.com/stofstrom/stofstrom/ops/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
