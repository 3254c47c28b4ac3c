package main

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/mattn/go-isatty"
)

// isTerminal says whether a person looks at w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// showRate keeps one line of progress on a terminal, and nothing elsewhere, until stop.
func showRate(w io.Writer, n *atomic.Int64, total uint64) (stop func()) {
	if !isTerminal(w) {
		return func() {}
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		start := time.Now()
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				fmt.Fprint(w, "\r\x1b[K")
				return
			case <-tick.C:
				rate := float64(n.Load()) / time.Since(start).Seconds()
				left := ""
				if total > 0 && rate > 0 {
					left = fmt.Sprintf(" of %d, %v left", total, time.Duration(float64(int64(total)-n.Load())/rate*float64(time.Second)).Round(time.Second))
				}
				fmt.Fprintf(w, "\r\x1b[K%d%s, %.0f/s", n.Load(), left, rate)
			}
		}
	}()
	return func() { close(quit); <-done }
}
