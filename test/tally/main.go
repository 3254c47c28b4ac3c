// Command tally reads the output of go test -json, prints what a person wants to see of it, and counts honestly.
//
//	go test -json ./... | tally [-junit report.xml]
//
// A package's result is printed when it is there; the output of a test only when the test fails. -junit adds the counts of a report that another
// runner wrote (pytest --junit-xml). The last line is "N passed, N failed, N skipped"; subtests count as tests, and a package that does
// not build, or that ends without a failed test to blame, counts as one failed. It exits 1 when anything failed or nothing ran.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	junit := flag.String("junit", "", "report in JUnit's format to count as well")
	flag.Parse()
	os.Exit(run(os.Stdin, os.Stdout, *junit))
}

func run(events io.Reader, out io.Writer, junit string) (exit int) {
	t := newTally(out)
	if err := t.readEvents(events); err != nil {
		fmt.Fprintln(out, "tally:", err)
		t.failed++
	}
	if junit != "" {
		if err := t.readJUnit(junit); err != nil {
			fmt.Fprintln(out, "tally:", err)
			t.failed++
		}
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
	if t.failed > 0 || t.passed == 0 {
		return 1
	}
	return 0
}
