package api

import (
	"math"
	"sync"
	"time"
)

// Latencies counts durations in bins that each are 2 % wide, from 1 µs to over an hour: bounded memory, quantiles within 1 %.
type Latencies struct {
	mu    sync.Mutex
	bins  [1200]uint64
	total uint64
}

const (
	latencyStep  = 1.02
	latencyFirst = time.Microsecond
)

// Add counts one.
func (l *Latencies) Add(d time.Duration) {
	bin := 0
	if d > latencyFirst {
		bin = int(math.Log(float64(d)/float64(latencyFirst)) / math.Log(latencyStep))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bins[min(bin, len(l.bins)-1)]++
	l.total++
}

// Quantile is the duration that a share q of all does not exceed, 0 when there is none.
func (l *Latencies) Quantile(q float64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	rank := uint64(math.Ceil(q * float64(l.total)))
	seen := uint64(0)
	for bin, n := range l.bins {
		if seen += n; n > 0 && seen >= rank {
			return time.Duration(float64(latencyFirst) * math.Pow(latencyStep, float64(bin)+0.5))
		}
	}
	return 0
}

// Reset forgets all.
func (l *Latencies) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bins, l.total = [1200]uint64{}, 0
}
