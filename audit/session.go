package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/tracing"
)

// errLost means that the next verdict of a partition is no longer in the topic.
var errLost = errors.New("verdicts were deleted from the topic before they were audited")

// idlePoll is how long a poll waits for records; one that finds none shows that the writer has caught up.
const idlePoll = time.Second

// session is one life of the client: from the stored offsets on, until anything fails. The client's position and the database's can then
// not drift apart: whatever happened to a batch, the next life asks the database where it stands.
type session struct {
	cfg      *Config
	topic    string
	client   *kgo.Client
	store    Store
	assigned *assignment
	metrics  *metrics
	log      *slog.Logger
	recheck  time.Duration // how long other partitions are read before a lost one gets another look
	settled  func()        // tells that nothing is amiss: a batch was written, or there was none to write
	writing  chan error    // the database transaction under way, nil when there is none
	appended bool
}

// letGo is how long the group is kept from a rebalance while one database transaction follows the other.
const letGo = 500 * time.Millisecond

// options of the client of a writer.
func options(cfg *Config, topics *kafka.Config, a *assignment) []kgo.Opt {
	opts := []kgo.Opt{
		kgo.ConsumerGroup(cfg.Group), kgo.ConsumeTopics(topics.Verdicts), kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(cfg.Session), kgo.HeartbeatInterval(cfg.Session / 10), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(a.assigned), kgo.OnPartitionsRevoked(a.revoked), kgo.OnPartitionsLost(a.revoked), kgo.AdjustFetchOffsetsFn(a.start),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		// A stored offset that is no longer in the topic means that verdicts were deleted unaudited: an error, not a jump.
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxWait(250 * time.Millisecond), kgo.FetchMaxBytes(4 << 20), kgo.MaxBufferedRecords(max(50_000, 2*cfg.BatchRecords)),
	}
	if cfg.Instance != "" {
		opts = append(opts, kgo.InstanceID(cfg.Instance))
	}
	return opts
}

// run writes until ctx ends (nil) or something fails. work outlives ctx for a while: within it an open database transaction is ended.
func (s *session) run(ctx, work context.Context) (err error) {
	defer func() { err = errors.Join(err, s.wait()) }()
	var lostSince time.Time
	calm := time.Now() // when nothing was under way
	for ctx.Err() == nil {
		poll, cancel := context.WithTimeout(ctx, idlePoll)
		fetches := s.client.PollRecords(poll, s.cfg.BatchRecords)
		cancel()
		err := s.write(work, fetches)
		if err == nil {
			err = s.fetchErrors(fetches)
		}
		// A rebalance may take partitions away: what was polled of them has to be written before.
		if err == nil && (fetches.NumRecords() == 0 || time.Since(calm) > letGo) {
			err = s.wait()
			calm = time.Now()
			s.client.AllowRebalance()
		}
		if err != nil {
			return err
		}
		switch lost := s.assigned.lostWhy(); {
		case lost == nil:
			lostSince = time.Time{}
			if s.assigned.isJoined() {
				s.settled()
			}
		case lostSince.IsZero():
			lostSince = time.Now()
		case time.Since(lostSince) > s.recheck:
			return lost
		}
	}
	return nil
}

// fetchErrors gives the first error that ends the session. A partition that is lost does not: the others are read on, or they would fall out
// of the topic as well.
func (s *session) fetchErrors(fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		var group *kgo.ErrGroupSession
		switch {
		case errors.As(e.Err, &group):
			return fmt.Errorf("group %s: %w", s.cfg.Group, e.Err)
		case errors.Is(e.Err, context.Canceled), errors.Is(e.Err, context.DeadlineExceeded): // the end of waiting
		case errors.Is(e.Err, kerr.OffsetOutOfRange):
			from, err := s.assigned.from(e.Partition)
			if err != nil {
				continue // revoked meanwhile
			}
			lost := fmt.Errorf("%w: %s partition %d has no offset %d: see docs/audit.md, \"Lost verdicts\"", errLost, s.topic, e.Partition, from)
			if s.assigned.lose(e.Partition, lost) {
				s.client.PauseFetchPartitions(map[string][]int32{s.topic: {e.Partition}}) // or it would be asked for again and again
				s.log.Error("verdicts are lost to the audit", "topic", s.topic, "partition", e.Partition, "offset", from, "error", e.Err)
			}
		default:
			return fmt.Errorf("read %s partition %d: %w", e.Topic, e.Partition, e.Err)
		}
	}
	return nil
}

// write has what was polled appended, in one transaction or, when it is large, in several, while the next records are polled and read.
func (s *session) write(ctx context.Context, fetches kgo.Fetches) error {
	g := gathering{assigned: s.assigned, began: time.Now()}
	for records := fetches.RecordIter(); !records.Done(); {
		if err := g.add(records.Next()); err != nil {
			return err
		}
		if g.bytes >= s.cfg.BatchBytes {
			if err := s.hand(ctx, &g); err != nil {
				return err
			}
		}
	}
	return s.hand(ctx, &g)
}

// hand has what is gathered appended once the append before has ended well, and empties it.
func (s *session) hand(ctx context.Context, g *gathering) error {
	if len(g.batches) == 0 {
		return nil
	}
	if err := s.wait(); err != nil {
		return err
	}
	handed := *g
	*g = gathering{assigned: s.assigned, began: g.began}
	s.assigned.claim(handed.batches)
	s.writing = make(chan error, 1)
	go func() { s.writing <- s.append(ctx, &handed) }()
	return nil
}

// wait waits for the append under way.
func (s *session) wait() error {
	if s.writing == nil {
		return nil
	}
	err := <-s.writing
	s.writing = nil
	return err
}

// append writes what is gathered.
func (s *session) append(ctx context.Context, g *gathering) error {
	begin := time.Now()
	err := s.store.Append(ctx, s.topic, g.batches)
	s.metrics.appending.Observe(time.Since(begin).Seconds())
	if errors.Is(err, ErrFenced) {
		s.metrics.fenced.Inc()
		return err
	}
	if err != nil {
		s.metrics.appendErrors.Inc()
		return err
	}
	s.assigned.written(g.batches)
	s.appended = true
	for _, r := range g.traced {
		tracing.Processed(r, "audit", s.cfg.Group, g.began, time.Now())
	}
	for _, b := range g.batches {
		s.metrics.rows.Add(float64(len(b.Rows)))
		s.metrics.rejected.Add(float64(len(b.Rejects)))
		if n := len(b.Rejects); n > 0 {
			s.log.Warn("records on the verdicts topic are no verdicts, see audit_rejects", "topic", s.topic, "partition", b.Partition, "count", n, "reason", b.Rejects[0].Reason)
		}
	}
	s.log.Debug("appended", "topic", s.topic, "partitions", len(g.batches), "bytes", g.bytes, "seconds", time.Since(begin).Seconds())
	return nil
}

// gathering is what one database transaction will hold.
type gathering struct {
	assigned *assignment
	batches  []Batch
	bytes    int
	began    time.Time     // when the records came
	traced   []*kgo.Record // whose senders trace them
}

// add takes the next record; those of one partition come together, in the order of offsets.
func (g *gathering) add(r *kgo.Record) error {
	b := g.batch(r.Partition)
	if r.Attrs.IsControl() { // the end of a Kafka transaction: no row, but a step
		if b != nil {
			b.Next = r.Offset + 1
		} else {
			g.assigned.passed(r.Partition, r.Offset+1)
		}
		return nil
	}
	if b == nil {
		from, err := g.assigned.from(r.Partition)
		if err != nil {
			return err
		}
		g.batches = append(g.batches, Batch{Partition: r.Partition, From: from})
		b = &g.batches[len(g.batches)-1]
	}
	b.add(r)
	if tracing.On() && tracing.Sampled(r) {
		g.traced = append(g.traced, r)
	}
	g.bytes += len(r.Key) + len(r.Value)
	return nil
}

func (g *gathering) batch(partition int32) *Batch {
	for i := len(g.batches) - 1; i >= 0; i-- {
		if g.batches[i].Partition == partition {
			return &g.batches[i]
		}
	}
	return nil
}
