package main

import (
	"bufio"
	"bytes"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/dmitryikh/leaves"
	"golang.org/x/sys/unix"

	"github.com/mlmonitor/mlmonitor/scorer/forest"
)

// engine scores one model in one way.
type engine interface {
	// nanoseconds of one thread's CPU time for each row, when rows are scored batch at a time: one measurement, over measured or more.
	nanoseconds(batch int) (float64, error)
	// margins of all rows of the pool, scored batch at a time.
	margins(batch int) ([]float64, error)
	close()
}

// measured is the least CPU time of a measurement: 50,000 times what reading that clock takes.
const measured = 50 * time.Millisecond

// local is an engine of this process. score writes a margin for each of the rows, which are row-major.
type local struct {
	rows     []float64
	features int
	score    func(rows, margins []float64) error
	next     int
}

// Measures in one span, of a number of calls that grows until they take long enough: the shorter spans before it are the warm-up. Successive
// calls walk through the pool, since a few rows that repeat would be learnt by the branch predictor. No garbage is collected meanwhile.
func (l *local) nanoseconds(batch int) (float64, error) {
	runtime.LockOSThread() // the clock is a thread's
	defer runtime.UnlockOSThread()
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	margins := make([]float64, batch)
	for calls := 1; ; {
		begin, err := threadTime()
		if err != nil {
			return 0, err
		}
		for range calls {
			if (l.next+batch)*l.features > len(l.rows) {
				l.next = 0
			}
			if err := l.score(l.rows[l.next*l.features:(l.next+batch)*l.features], margins); err != nil {
				return 0, err
			}
			l.next += batch
		}
		end, err := threadTime()
		if err != nil {
			return 0, err
		}
		took := end - begin
		if took >= measured {
			return float64(took.Nanoseconds()) / (float64(calls) * float64(batch)), nil
		}
		calls = 1 + int(float64(calls)*min(16, 1.1*float64(measured)/float64(max(took, 1))))
	}
}

func (l *local) margins(batch int) ([]float64, error) {
	n := len(l.rows) / l.features
	margins := make([]float64, n)
	for i := 0; i < n; i += batch {
		end := min(i+batch, n)
		if err := l.score(l.rows[i*l.features:end*l.features], margins[i:end]); err != nil {
			return nil, err
		}
	}
	return margins, nil
}

func (l *local) close() {}

// threadTime is the CPU time that this thread has used.
func threadTime() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0, fmt.Errorf("read the thread's CPU time: %w", err)
	}
	return time.Duration(t.Nano()), nil
}

// variant is a model that scores with one kernel only.
type variant struct {
	kernel string
	model  *forest.Model
}

// variants of a model, one for each kernel that it has on this machine.
func variants(m *forest.Model) (all []variant, err error) {
	for _, name := range m.Kernels() {
		only, err := m.With(name)
		if err != nil {
			return nil, err
		}
		all = append(all, variant{name, only})
	}
	return all, nil
}

// leavesScore scores with leaves, which takes LightGBM 4's text only when it says version 3; the trees of the two are written alike. One row
// goes through the function that leaves has for it.
func leavesScore(text []byte, features int) (func(rows, margins []float64) error, error) {
	text = bytes.Replace(text, []byte("version=v4"), []byte("version=v3"), 1)
	ensemble, err := leaves.LGEnsembleFromReader(bufio.NewReader(bytes.NewReader(text)), false)
	if err != nil {
		return nil, fmt.Errorf("leaves: %w", err)
	}
	return func(rows, margins []float64) error {
		if len(margins) == 1 {
			margins[0] = ensemble.PredictSingle(rows, 0)
			return nil
		}
		return ensemble.PredictDense(rows, len(margins), features, margins, 0, 1)
	}, nil
}
