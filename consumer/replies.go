package consumer

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// replies copies answers to the topic of replies, for inputs that ask for it, in the transaction of the answers: who waits for one gets a committed, audited verdict. A reply that fails touches no verdict: the
// transaction is done again without replies, which then are left out for a while; who waits finds the verdict by its transaction's id.
type replies struct {
	log        *slog.Logger
	sent, lost prometheus.Counter
	partitions atomic.Int32 // of the topic; 0 while it is not known, or there is none
	failed     atomic.Pointer[error]
	done       func(*kgo.Record, error)

	mu     sync.Mutex
	paused time.Time
}

const (
	repliesPause = 30 * time.Second
	repliesEvery = 10 * time.Second // between two looks at the topic
)

// errReply marks a failure of a reply.
var errReply = errors.New("a reply could not be published")

func newReplies(m *metrics, log *slog.Logger) *replies {
	r := &replies{log: log, sent: m.replies.WithLabelValues("sent"), lost: m.replies.WithLabelValues("lost")}
	r.done = func(_ *kgo.Record, err error) {
		if err != nil {
			failure := err
			r.failed.CompareAndSwap(nil, &failure)
		}
	}
	return r
}

// look asks how many partitions the topic has. What it does not find out stays as it was: scoring needs no replies.
func (r *replies) look(ctx context.Context, cl *kgo.Client, topic string) {
	if topic == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if n, err := kafka.PartitionCount(ctx, cl, topic); err == nil {
		r.partitions.Store(int32(n))
	}
}

// watch looks again and again, until ctx ends: the topic may come, or grow.
func (r *replies) watch(ctx context.Context, cl *kgo.Client, topic string) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(repliesEvery):
		}
		r.look(ctx, cl, topic)
	}
}

// takes says whether a partition can be replied to now.
func (r *replies) takes(partition int32) bool {
	if partition >= r.partitions.Load() {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return !time.Now().Before(r.paused)
}

// fail leaves replies out for a while.
func (r *replies) fail(err error) {
	r.log.Error("replies are left out for a while, scoring goes on", "error", err, "for", repliesPause.String())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paused = time.Now().Add(repliesPause)
}
