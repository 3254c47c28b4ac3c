package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"time"

	"github.com/mlmonitor/mlmonitor/scorer/forest"
)

// loadReport is what loading a model costs, each time in a fresh process with Go's default settings.
type loadReport struct {
	Shape   string  `json:"shape"`
	Bytes   int     `json:"bytes"`      // of the model's text
	Seconds spread  `json:"seconds"`    // by the clock on the wall
	Peak    uint64  `json:"peak_bytes"` // of heap beyond what held the text, the most of all times
	Kept    uint64  `json:"kept_bytes"` // of heap, by the model
	Ratio   float64 `json:"peak_to_text"`
}

func (l *loadReport) String() string {
	const mega = 1e6
	return fmt.Sprintf("forest loads %s, %.1f MB, in %.0f ms (%.0f to %.0f; target < 300), with %.1f MB of heap at the peak, %.2f times its text (target <= 6), and keeps %.1f MB",
		l.Shape, float64(l.Bytes)/mega, 1e3*l.Seconds.Median, 1e3*l.Seconds.Min, 1e3*l.Seconds.Max, float64(l.Peak)/mega, l.Ratio, float64(l.Kept)/mega)
}

// loaded is one load.
type loaded struct {
	Seconds    float64
	Peak, Kept uint64 // bytes
}

// loadOnce loads a model in a process that did nothing before, so that HeapSys, which never shrinks and goes in steps of 4 MiB, tells the peak of
// the heap.
func loadOnce(path string) (l loaded, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return l, err
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begin := time.Now()
	m, err := forest.Load(text)
	l.Seconds = time.Since(begin).Seconds()
	if err != nil {
		return l, fmt.Errorf("load %s: %w", path, err)
	}
	runtime.ReadMemStats(&after)
	l.Peak = after.HeapSys - before.HeapInuse
	runtime.GC()
	runtime.ReadMemStats(&after)
	l.Kept = after.HeapAlloc - min(before.HeapAlloc, after.HeapAlloc)
	runtime.KeepAlive(m)
	runtime.KeepAlive(text)
	return l, nil
}

// loads measures the load of a model, times over, in processes of this program.
func loads(ctx context.Context, shape, path string, size, times int) (*loadReport, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r := &loadReport{Shape: shape, Bytes: size}
	var seconds []float64
	for range times {
		cmd := exec.CommandContext(ctx, program, "load", path)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("load %s: %w: %s", shape, err, lastLine(stderr.Bytes()))
		}
		var l loaded
		if err := json.Unmarshal(out, &l); err != nil {
			return nil, fmt.Errorf("load %s: %w", shape, err)
		}
		seconds = append(seconds, l.Seconds)
		r.Peak, r.Kept = max(r.Peak, l.Peak), max(r.Kept, l.Kept)
	}
	r.Seconds = spreadOf(slices.Clone(seconds))
	r.Ratio = float64(r.Peak) / float64(size)
	return r, nil
}
