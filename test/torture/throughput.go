package torture

import (
	"sync"
	"time"
)

// throughput samples what a reader sees, once a second.
type throughput struct {
	mu      sync.Mutex
	samples []Sample
	quit    chan struct{}
}

// Sample is what was read in a second.
type Sample struct {
	At       float64 `json:"at"`       // seconds since the start
	Inputs   int64   `json:"inputs"`   // a second
	Answered int64   `json:"answered"` // verdicts and dead letters, a second
}

func newThroughput(l *Ledger) *throughput {
	t := &throughput{quit: make(chan struct{})}
	go func() {
		began, last, lastAt := time.Now(), l.Totals(), time.Now()
		for tick := time.NewTicker(time.Second); ; {
			select {
			case <-t.quit:
				tick.Stop()
				return
			case <-tick.C:
			}
			now, at := l.Totals(), time.Now()
			seconds := at.Sub(lastAt).Seconds()
			t.mu.Lock()
			t.samples = append(t.samples, Sample{at.Sub(began).Seconds(), int64(float64(now.Inputs-last.Inputs) / seconds),
				int64(float64(now.Verdicts+now.DeadLetters-last.Verdicts-last.DeadLetters) / seconds)})
			t.mu.Unlock()
			last, lastAt = now, at
		}
	}()
	return t
}

func (t *throughput) stop() { close(t.quit) }

func (t *throughput) all() []Sample {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Sample(nil), t.samples...)
}
