package api

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// Bounds of what is watched.
const (
	maxWatchers   = 100
	keptSeconds   = 300         // that a page sees when it opens
	recentEach    = 20          // verdicts named in each second
	lingerAfter   = time.Minute // the last watcher has gone: a page that is loaded again finds its curves
	followPause   = time.Second // after a failure
	probeEvery    = 2 * time.Second
	streamsAtMost = 10 * time.Minute
)

// Figures are of one second.
type Figures struct {
	At        time.Time    `json:"at"`
	Verdicts  Rates        `json:"verdicts" doc:"in this second"`
	Letters   int64        `json:"dead_letters" doc:"in this second"`
	P50       float64      `json:"p50_ms" doc:"median of the time from the transaction's timestamp to when this API read its committed verdict, in ms; 0 without verdicts"`
	P95       float64      `json:"p95_ms"`
	P99       float64      `json:"p99_ms"`
	Following bool         `json:"following" doc:"false: the topics cannot be read now"`
	Recent    []RecentLine `json:"recent" doc:"the latest of this second, the latest first; some where there are many"`
}

// Rates are counts by decision.
type Rates struct {
	Approve int64 `json:"approve"`
	Review  int64 `json:"review"`
	Decline int64 `json:"decline"`
}

// RecentLine is a verdict in short.
type RecentLine struct {
	TransactionID string    `json:"transaction_id"`
	Decision      string    `json:"decision"`
	Probability   float64   `json:"probability"`
	At            time.Time `json:"at" doc:"of the transaction's record"`
	Bundle        string    `json:"bundle" doc:"version"`
}

// live counts what the topics say while somebody watches; otherwise it reads nothing.
type live struct {
	follow Follow
	ready  func(context.Context) error // of the brokers: who follows a topic of brokers that are away is told nothing
	log    *slog.Logger

	mu        sync.Mutex
	watchers  map[chan Figures]bool
	last      []Figures
	stop      context.CancelFunc // nil while nothing is followed
	idle      *time.Timer
	absent    bool    // the brokers, when they were last asked
	pausing   bool    // the topics could not be read, and are not being read yet
	failed    bool    // that was so at some moment of this second
	now       Figures // of this second, but for the quantiles
	latencies Latencies
}

func newLive(follow Follow, ready func(context.Context) error, log *slog.Logger) *live {
	return &live{follow: follow, ready: ready, log: log, watchers: map[chan Figures]bool{}}
}

var errTooManyWatchers = errors.New("too many watch already")

// watch gives the last seconds, and each one that comes, until leave is called. Who does not take them misses them.
func (l *live) watch() (last []Figures, each <-chan Figures, leave func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.watchers) >= maxWatchers {
		return nil, nil, nil, errTooManyWatchers
	}
	mine := make(chan Figures, 4)
	l.watchers[mine] = true
	if l.idle != nil {
		l.idle.Stop()
		l.idle = nil
	}
	if l.stop == nil {
		ctx, cancel := context.WithCancel(context.Background())
		l.stop, l.last, l.now = cancel, nil, Figures{}
		l.absent, l.pausing, l.failed = false, false, false
		l.latencies.Reset()
		go l.read(ctx)
		go l.tick(ctx)
		go l.probe(ctx)
	}
	return append([]Figures{}, l.last...), mine, func() { l.leave(mine) }, nil
}

func (l *live) leave(mine chan Figures) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.watchers, mine)
	if len(l.watchers) == 0 && l.idle == nil {
		l.idle = time.AfterFunc(lingerAfter, l.rest)
	}
}

// rest ends the reading when nobody watches.
func (l *live) rest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.idle = nil; len(l.watchers) == 0 && l.stop != nil {
		l.stop()
		l.stop = nil
	}
}

// read follows the topics, again after each failure.
func (l *live) read(ctx context.Context) {
	for ctx.Err() == nil {
		err := l.follow(ctx, l.verdict, l.letter)
		if ctx.Err() != nil {
			return
		}
		l.log.Warn("the topics cannot be followed", "error", err)
		l.set(func() { l.pausing, l.failed = true, true })
		select {
		case <-ctx.Done():
			return
		case <-time.After(followPause):
		}
		l.set(func() { l.pausing = false })
	}
}

// probe asks the brokers while somebody watches: quiet topics and absent brokers look alike.
func (l *live) probe(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(probeEvery):
		}
		asked, cancel := context.WithTimeout(ctx, probeEvery)
		err := l.ready(asked)
		cancel()
		if ctx.Err() != nil {
			return // the error is of nobody watching
		}
		l.set(func() { l.absent = err != nil })
	}
}

func (l *live) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *live) verdict(r *kafka.Record) {
	v, err := schemas.ParseVerdict(r.Value)
	if err != nil {
		return // what is no verdict is the audit's to tell
	}
	l.latencies.Add(time.Since(r.Timestamp))
	l.mu.Lock()
	defer l.mu.Unlock()
	switch v.Decision {
	case schemas.Approve:
		l.now.Verdicts.Approve++
	case schemas.Review:
		l.now.Verdicts.Review++
	case schemas.Decline:
		l.now.Verdicts.Decline++
	}
	line := RecentLine{string(v.TransactionID), string(v.Decision), v.Probability, r.Timestamp.UTC(), v.Bundle.Version}
	if len(l.now.Recent) < recentEach {
		l.now.Recent = append(l.now.Recent, line)
		return
	}
	l.now.Recent = append(l.now.Recent[1:], line)
}

func (l *live) letter(*kafka.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now.Letters++
}

// tick tells the watchers of each second.
func (l *live) tick(ctx context.Context) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-second.C:
			l.tell(at)
		}
	}
}

func (l *live) tell(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.now
	f.At, f.Following = at.UTC().Truncate(time.Millisecond), !l.absent && !l.failed
	l.failed = l.pausing
	ms := func(q float64) float64 { return float64(l.latencies.Quantile(q).Microseconds()) / 1000 }
	f.P50, f.P95, f.P99 = ms(0.5), ms(0.95), ms(0.99)
	l.latencies.Reset()
	recent := make([]RecentLine, 0, len(f.Recent))
	for i := len(f.Recent) - 1; i >= 0; i-- {
		recent = append(recent, f.Recent[i])
	}
	f.Recent, l.now = recent, Figures{}
	if n := len(l.last); n > 0 {
		l.last[n-1].Recent = []RecentLine{} // who comes later is shown the latest only
	}
	if l.last = append(l.last, f); len(l.last) > keptSeconds {
		l.last = append([]Figures{}, l.last[len(l.last)-keptSeconds:]...)
	}
	for w := range l.watchers {
		select {
		case w <- f:
		default: // slow: it misses this second
		}
	}
}
