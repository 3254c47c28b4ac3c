package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// event is one line of go test -json; see `go doc test2json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // of build-output and build-fail
	Test       string
	Output     string
	Elapsed    float64 // seconds
}

type tally struct {
	out                     io.Writer
	passed, failed, skipped int
	pending                 map[[2]string]*strings.Builder // output of tests (and, with no test, of packages) that have not ended
	blamed                  map[string]bool                // packages with a failed test
}

func newTally(out io.Writer) *tally {
	return &tally{out: out, pending: map[[2]string]*strings.Builder{}, blamed: map[string]bool{}}
}

// readEvents takes a line that is no event for text of the runner's, and prints it.
func (t *tally) readEvents(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) == nil && e.Action != "" {
				t.see(e)
			} else {
				fmt.Fprintln(t.out, strings.TrimRight(line, "\n"))
			}
		}
		if err == io.EOF {
			return t.unended()
		}
		if err != nil {
			return fmt.Errorf("read the output of go test: %w", err)
		}
	}
}

func (t *tally) see(e event) {
	key := [2]string{e.Package, e.Test}
	switch e.Action {
	case "start", "run":
		t.pending[key] = &strings.Builder{}
	case "output":
		if t.pending[key] == nil {
			t.pending[key] = &strings.Builder{}
		}
		t.pending[key].WriteString(e.Output)
	case "build-output":
		fmt.Fprint(t.out, e.Output)
	case "pass", "fail", "skip":
		if e.Test != "" {
			t.endTest(e, key)
		} else {
			t.endPackage(e, key)
		}
		delete(t.pending, key)
	}
}

func (t *tally) endTest(e event, key [2]string) {
	switch e.Action {
	case "pass":
		t.passed++
	case "skip":
		t.skipped++
		t.print(key) // says why
	case "fail":
		t.failed++
		t.blamed[e.Package] = true
		t.print(key)
	}
}

func (t *tally) endPackage(e event, key [2]string) {
	switch {
	case e.Action == "pass":
		fmt.Fprintf(t.out, "ok    %s  %.1fs\n", e.Package, e.Elapsed)
	case e.Action == "skip": // no test files
	default:
		if !t.blamed[e.Package] {
			t.failed++
			t.print(key)
		}
		fmt.Fprintf(t.out, "FAIL  %s  %.1fs\n", e.Package, e.Elapsed)
	}
}

func (t *tally) print(key [2]string) {
	if b := t.pending[key]; b != nil {
		fmt.Fprint(t.out, b.String())
	}
}

// unended finds what was started and has no end: go test was ended, or its output was cut.
func (t *tally) unended() error {
	for key := range t.pending {
		if key[1] != "" && !t.blamed[key[0]] {
			return fmt.Errorf("the output ends while %s of %s runs", key[1], key[0])
		}
	}
	for key := range t.pending {
		if key[1] == "" {
			return fmt.Errorf("the output ends while the tests of %s run", key[0])
		}
	}
	return nil
}
