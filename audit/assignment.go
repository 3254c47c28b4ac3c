package audit

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// position is how far a partition that is ours is dealt with.
type position struct {
	next   int64     // where the next batch begins: next_offset in the database, or behind the batch under way
	seen   int64     // next record to read: control records at the end are seen, not stored
	newest time.Time // timestamp of the last record written in this assignment
	lost   error     // why the partition cannot be read on
}

// assignment holds the positions of the partitions that this member owns. The group's callbacks change it, the loop and the lag read it.
type assignment struct {
	store   Store
	topic   string
	metrics *metrics

	mu     sync.Mutex
	owned  map[int32]*position
	joined bool // the group has given us an assignment, if an empty one
}

func newAssignment(store Store, topic string, m *metrics) *assignment {
	return &assignment{store: store, topic: topic, metrics: m, owned: map[int32]*position{}}
}

func (a *assignment) assigned(_ context.Context, cl *kgo.Client, topics map[string][]int32) {
	cl.ResumeFetchPartitions(topics) // one that was lost, and paused, in an earlier assignment gets a new look
	a.mu.Lock()
	defer a.mu.Unlock()
	a.joined = true
}

func (a *assignment) revoked(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range topics[a.topic] {
		delete(a.owned, p)
		a.metrics.forget(p)
	}
	a.countLost()
}

// start gives the client the stored offsets of new partitions, before it reads any of them. Whatever the group remembers is nothing to us.
func (a *assignment) start(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	stored, err := a.store.Offsets(ctx, a.topic)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for p := range offsets[a.topic] {
		at := stored[p]
		a.owned[p] = &position{next: at, seen: at}
		offsets[a.topic][p] = kgo.NewOffset().AtStart()
		if at > 0 {
			offsets[a.topic][p] = kgo.NewOffset().At(at)
		}
	}
	return offsets, nil
}

// from is where the next batch of a partition begins.
func (a *assignment) from(partition int32) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	pos := a.owned[partition]
	if pos == nil {
		return 0, fmt.Errorf("read %s partition %d: it is not ours", a.topic, partition)
	}
	return pos.next, nil
}

// claim takes note of batches that are being written.
func (a *assignment) claim(batches []Batch) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range batches {
		if pos := a.owned[b.Partition]; pos != nil {
			pos.next = b.Next
		}
	}
}

// written takes note of batches that are in the database.
func (a *assignment) written(batches []Batch) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range batches {
		if pos := a.owned[b.Partition]; pos != nil {
			pos.seen, pos.newest = max(pos.seen, b.Next), b.newest()
		}
	}
}

// passed takes note of control records, which leave no row.
func (a *assignment) passed(partition int32, next int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if pos := a.owned[partition]; pos != nil {
		pos.seen = max(pos.seen, next)
	}
}

// lose takes note that a partition cannot be read on, and says whether that is news.
func (a *assignment) lose(partition int32, why error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	pos := a.owned[partition]
	if pos == nil || pos.lost != nil {
		return false
	}
	pos.lost = why
	a.countLost()
	return true
}

func (a *assignment) countLost() {
	n := 0
	for _, pos := range a.owned {
		if pos.lost != nil {
			n++
		}
	}
	a.metrics.lost.Set(float64(n))
}

// lostWhy says which partition cannot be read on, the first of them; nil when there is none.
func (a *assignment) lostWhy() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []int32
	for p, pos := range a.owned {
		if pos.lost != nil {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return a.owned[slices.Min(all)].lost
}

// isJoined says whether the group has answered.
func (a *assignment) isJoined() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.joined
}

// measure sets the lag of the partitions that are ours: records between what is seen and the end that a read_committed reader may see.
func (a *assignment) measure(now time.Time, ends map[int32]int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for p, pos := range a.owned {
		end, ok := ends[p]
		if !ok {
			continue
		}
		label := strconv.Itoa(int(p))
		behind := max(0, end-pos.seen)
		a.metrics.lag.WithLabelValues(label).Set(float64(behind))
		switch {
		case behind == 0:
			a.metrics.lagSeconds.WithLabelValues(label).Set(0)
		case !pos.newest.IsZero():
			a.metrics.lagSeconds.WithLabelValues(label).Set(max(0, now.Sub(pos.newest).Seconds()))
		}
	}
}

// newest is the timestamp of the last record of the batch.
func (b *Batch) newest() time.Time {
	var t time.Time
	if n := len(b.Rows); n > 0 {
		t = b.Rows[n-1].PublishedAt
	}
	if n := len(b.Rejects); n > 0 && (len(b.Rows) == 0 || b.Rejects[n-1].Offset > b.Rows[len(b.Rows)-1].Offset) {
		t = b.Rejects[n-1].PublishedAt
	}
	return t
}
