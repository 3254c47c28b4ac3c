package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// session is one life of the client: a failure of which the client may not recover ends it, and the consumer starts the next. The
// transactional id stays, so the broker aborts what the last life left open.
type session struct {
	cfg      *Config
	txn      *kgo.GroupTransactSession
	assigned *assignment
	breaker  *breaker
	metrics  *metrics
	log      *slog.Logger
	halt     func(reason string) // tells readiness; "" when consumption goes on
	halted   bool

	committed func() // tells readiness that a transaction was committed
}

// options of the client of a scorer.
func options(cfg *Config, topics *kafka.Config, a *assignment, maxBatch int32) []kgo.Opt {
	return []kgo.Opt{
		kgo.ConsumerGroup(cfg.Group), kgo.InstanceID(cfg.Instance), kgo.ConsumeTopics(topics.Transactions),
		kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.SessionTimeout(cfg.Session), kgo.HeartbeatInterval(cfg.Session / 10),
		kgo.OnPartitionsAssigned(a.assigned), kgo.OnPartitionsRevoked(a.revoked), kgo.OnPartitionsLost(a.revoked),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(), kgo.KeepControlRecords(),
		// A committed offset that is no longer in the topic means that inputs were deleted unscored: an error, not a jump.
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxWait(250 * time.Millisecond), kgo.FetchMaxBytes(16 << 20), kgo.MaxBufferedRecords(max(100_000, 2*cfg.TxnMaxRecords)),
		kgo.TransactionalID(cfg.Group + "-" + cfg.Instance), kgo.TransactionTimeout(cfg.TxnTimeout),
		kgo.ProducerLinger(0), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(maxBatch),
	}
}

// run answers batches until ctx ends (nil) or the client can go on no longer. work outlives ctx for a while: within it an open
// transaction is ended.
func (s *session) run(ctx, work context.Context) error {
	for ctx.Err() == nil {
		batch, err := s.gather(ctx)
		if err != nil {
			return err
		}
		if batch.polled == 0 {
			continue
		}
		if err := s.answer(work, batch); err != nil {
			return err
		}
		if s.halted {
			select {
			case <-ctx.Done():
			case <-time.After(s.cfg.HaltRetry):
			}
		}
	}
	return nil
}

// batch is the input of one transaction, by partition, each in offset order.
type batch struct {
	inputs         map[int32][]*kgo.Record
	order          []int32 // partitions as they came
	records, bytes int
	polled         int // records and markers of transactions: those are passed over, and their offsets committed
}

func (b *batch) add(r *kgo.Record) {
	if b.polled++; r.Attrs.IsControl() {
		return
	}
	if b.inputs[r.Partition] == nil {
		b.order = append(b.order, r.Partition)
	}
	b.inputs[r.Partition] = append(b.inputs[r.Partition], r)
	b.records++
	b.bytes += len(r.Key) + len(r.Value)
}

// gather waits for records, and takes what comes within the interval. Nothing is produced meanwhile: a broker needs about 20 ms between
// two transactions of one producer, and waits inside the first produce if we do not.
func (s *session) gather(ctx context.Context) (*batch, error) {
	b := &batch{inputs: map[int32][]*kgo.Record{}}
	if err := s.poll(ctx, b); err != nil || b.polled == 0 {
		return b, err
	}
	interval := s.cfg.TxnInterval
	if s.halted {
		interval = max(interval, time.Second) // look at as much of the stream as one transaction may hold
	}
	ctx, cancel := context.WithTimeout(ctx, interval)
	defer cancel()
	for ctx.Err() == nil && b.polled < s.cfg.TxnMaxRecords && b.bytes < s.cfg.TxnMaxBytes {
		if err := s.poll(ctx, b); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// poll waits for records, at most until ctx ends, and adds what is there.
func (s *session) poll(ctx context.Context, b *batch) error {
	fetches := s.txn.PollRecords(ctx, s.cfg.TxnMaxRecords-b.polled)
	fetches.EachRecord(b.add)
	return fetchError(fetches)
}

// fetchError is the first error of a poll that is not the end of waiting.
func fetchError(fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		if errors.Is(e.Err, context.Canceled) || errors.Is(e.Err, context.DeadlineExceeded) {
			continue
		}
		if e.Topic == "" {
			return fmt.Errorf("poll: %w", e.Err)
		}
		return fmt.Errorf("read %s partition %d: %w", e.Topic, e.Partition, e.Err)
	}
	return nil
}

// answer scores a batch and commits its answers with its offsets, or leaves all of it to be read again.
func (s *session) answer(ctx context.Context, b *batch) error {
	start := time.Now()
	answers, dead, err := s.process(b)
	if err != nil {
		return err
	}
	admitted := answers != nil
	if admitted {
		s.metrics.scoring.Observe(time.Since(start).Seconds() / float64(max(1, b.records)))
		s.metrics.ratio.Set(s.breaker.ratio(dead))
		admitted = s.breaker.admits(dead)
		s.report(s.breaker.ratio(dead), admitted)
	}
	committed, err := s.publish(ctx, answers, admitted)
	if err != nil {
		return err
	}
	if !committed {
		s.metrics.transactions.WithLabelValues("abort").Inc()
		s.assigned.restart()
		return nil
	}
	s.committed()
	s.breaker.add(dead)
	s.count(b, answers)
	return nil
}

// process has each partition's processor answer its inputs; nil answers when a partition is no longer ours. dead says of each input whether
// it is a dead letter.
func (s *session) process(b *batch) (all [][]answer, dead []bool, err error) {
	all = [][]answer{} // not nil: a batch of nothing but markers is answered by committing their offsets
	for _, partition := range b.order {
		p := s.assigned.processor(partition)
		if p == nil {
			return nil, nil, nil // revoked since the poll: the commit would be refused
		}
		answers, err := p.process(b.inputs[partition])
		if err != nil {
			return nil, nil, err
		}
		for _, a := range answers {
			dead = append(dead, a.class != "")
		}
		all = append(all, answers)
	}
	return all, dead, nil
}

// publish ends the transaction of a batch; commit false only rewinds to what was committed before.
func (s *session) publish(ctx context.Context, answers [][]answer, commit bool) (bool, error) {
	if err := s.txn.Begin(); err != nil {
		return false, fmt.Errorf("begin a transaction: %w", err)
	}
	failed := kgo.AbortingFirstErrPromise(s.txn.Client())
	if commit {
		for _, partition := range answers {
			for _, a := range partition {
				s.txn.Produce(ctx, a.record, failed.Promise())
			}
		}
		// Flush before asking for errors: the client waits for its linger otherwise. Bounded: a transaction past its timeout is aborted anyway.
		flush, cancel := context.WithTimeout(ctx, s.cfg.TxnTimeout)
		err := s.txn.Client().Flush(flush)
		cancel()
		if err != nil {
			return false, fmt.Errorf("publish: no answer from the brokers within %v: %w", s.cfg.TxnTimeout, err)
		}
		if err := failed.Err(); err != nil {
			return false, fmt.Errorf("publish: %w", err)
		}
	}
	end, cancel := context.WithTimeout(ctx, 2*s.cfg.TxnTimeout)
	defer cancel()
	committed, err := s.txn.End(end, kgo.TransactionEndTry(commit))
	if err != nil {
		return false, fmt.Errorf("end the transaction: %w", err)
	}
	return committed, nil
}

// report says once that consumption stops, and once that it goes on.
func (s *session) report(ratio float64, admitted bool) {
	if admitted == !s.halted {
		return
	}
	s.halted = !admitted
	if s.halted {
		s.metrics.halted.Set(1)
		s.halt(fmt.Sprintf("halted: %.0f %% of the last inputs would be dead letters, CONSUMER_MAX_DEAD_LETTER_RATIO allows %.0f %%", 100*ratio, 100*s.cfg.MaxDeadLetterRatio))
		s.log.Error("consumption stopped: too many inputs cannot be scored; nothing is lost, they are read again", "ratio", ratio,
			"limit", s.cfg.MaxDeadLetterRatio, "retry_in", s.cfg.HaltRetry.String())
		return
	}
	s.metrics.halted.Set(0)
	s.halt("")
	s.log.Info("consumption goes on", "ratio", ratio)
}

// count is called after the commit: the metrics say what is on the topics.
func (s *session) count(b *batch, answers [][]answer) {
	s.metrics.transactions.WithLabelValues("commit").Inc()
	s.metrics.batch.Observe(float64(b.records))
	now := time.Now()
	for _, partition := range b.order {
		s.metrics.latency.Observe(max(0, now.Sub(b.inputs[partition][0].Timestamp).Seconds()))
	}
	decisions, classes := map[string]int{}, map[string]int{}
	for _, partition := range answers {
		for _, a := range partition {
			if a.class != "" {
				classes[string(a.class)]++
			} else {
				decisions[string(a.decision)]++
			}
		}
	}
	for d, n := range decisions {
		s.metrics.predictions.WithLabelValues(d).Add(float64(n))
	}
	for c, n := range classes {
		s.metrics.deadLetters.WithLabelValues(c).Add(float64(n))
	}
}
