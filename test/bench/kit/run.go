// Package kit is what the benchmarks share: real servers for a program that is no test, processes and what they use, and medians.
package kit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
)

// Run is one run of a benchmark. It is what rig asks of a test.
type Run struct{ undo []func() }

// Main runs a benchmark until it ends or is interrupted, undoes what it started, and exits with 1 if it failed.
func Main(name string, bench func(context.Context, *Run) error) {
	// The tests' own Java is light, not fast.
	os.Setenv("KAFKA_JVM", "-Xms1g -Xmx1g -XX:+UseG1GC")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r := &Run{}
	defer r.cleanup() // also when bench panics
	if err := bench(ctx, r); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		r.cleanup()
		os.Exit(1)
	}
}

// Helper is of rig.T.
func (r *Run) Helper() {}

// Failed is of rig.T.
func (r *Run) Failed() bool { return false }

// Cleanup has f run at the end.
func (r *Run) Cleanup(f func()) { r.undo = append(r.undo, f) }

// Logf writes a line to stderr; stdout is for results.
func (r *Run) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// Fatalf ends the program after it has undone everything.
func (r *Run) Fatalf(format string, args ...any) {
	r.Logf(format, args...)
	r.cleanup()
	os.Exit(1)
}

// Within gives f a run of its own, and undoes what that started.
func (r *Run) Within(f func(*Run) error) error {
	inner := &Run{}
	r.Cleanup(inner.cleanup) // should the program end meanwhile
	defer inner.cleanup()
	return f(inner)
}

// cleanup undoes everything, last first, once.
func (r *Run) cleanup() {
	undo := r.undo
	r.undo = nil
	for _, f := range slices.Backward(undo) {
		f()
	}
}

// TempDir makes a directory that goes with the run.
func (r *Run) TempDir() (string, error) {
	dir, err := os.MkdirTemp("", "mlmonitor-bench")
	if err == nil {
		r.Cleanup(func() { os.RemoveAll(dir) })
	}
	return dir, err
}

// Build builds the product as a release is built, and gives the path of the binary.
func (r *Run) Build(ctx context.Context) (string, error) {
	dir, err := r.TempDir()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "mlmonitor")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "./cmd/mlmonitor")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build mlmonitor: %w: %s", err, out)
	}
	return binary, nil
}

// Median of the values, the upper one of the two in the middle; NaN-free and not empty.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
