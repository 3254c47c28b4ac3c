package main

import (
	"fmt"
	"os"
	"slices"
)

// run is what rig asks of a test.
type run struct{ undo []func() }

func (r *run) Helper()          {}
func (r *run) Failed() bool     { return false }
func (r *run) Cleanup(f func()) { r.undo = append(r.undo, f) }

func (r *run) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (r *run) Fatalf(format string, args ...any) {
	r.Logf(format, args...)
	r.cleanup()
	os.Exit(1)
}

// cleanup undoes everything, last first, once.
func (r *run) cleanup() {
	undo := r.undo
	r.undo = nil
	for _, f := range slices.Backward(undo) {
		f()
	}
}
