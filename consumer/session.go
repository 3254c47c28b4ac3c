package consumer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/tracing"
)

// session is one life of the client: a failure of which the client may not recover ends it, and the member starts the next. The
// transactional id stays, so the broker aborts what the last life left open.
type session struct {
	*member
	txn      *kgo.GroupTransactSession
	assigned *assignment
	batch    batch
	answers  *answers
	delivery delivery
	// Made once, as every commit's context holds it.
	sameMember func(*kmsg.TxnOffsetCommitRequest) error

	vetted   map[int32]int // of each partition, the assignment in which its offset was believed
	unvetted sync.Once     // that is told

	force        *Force // adopted
	announcement announcement
	shadow       *shadow       // nil without a challenger
	admission    *admission    // of the challenger that is to be the shadow; nil where none waits
	spent        time.Duration // on the scores of this batch that decide

	sent   int             // answers of the batch that the client has
	ended  <-chan struct{} // closed when the brokers have ended the last transaction
	halted bool
}

func newSession(m *member, txn *kgo.GroupTransactSession, assigned *assignment) *session {
	none := make(chan struct{})
	close(none)
	s := &session{member: m, txn: txn, assigned: assigned, ended: none, sameMember: assigned.sameMember, vetted: map[int32]int{}}
	s.adopt()
	return s
}

// options of the client of a scorer.
func options(cfg *Config, instance, transactionalID string, topics *kafka.Config, a *assignment, maxBatch int32) []kgo.Opt {
	return []kgo.Opt{
		kgo.ConsumerGroup(cfg.Group), kgo.InstanceID(instance), kgo.ConsumeTopics(topics.Transactions),
		// Not the brokers' own assignment (KIP-848): on default brokers it pauses partitions for seconds, see docs/performance.md.
		kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.SessionTimeout(cfg.Session), kgo.HeartbeatInterval(cfg.Session / 10),
		kgo.OnPartitionsAssigned(a.assigned), kgo.OnPartitionsRevoked(a.revoked), kgo.OnPartitionsLost(a.revoked),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(), kgo.KeepControlRecords(),
		// A committed offset that is no longer in the topic means that inputs were deleted unscored: an error, not a jump.
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		// Compressed: some ten transactions of the largest size. With more, memory grows and throughput does not.
		kgo.FetchMaxWait(250 * time.Millisecond), kgo.FetchMaxBytes(4 << 20), kgo.MaxBufferedRecords(max(100_000, 2*cfg.TxnMaxRecords)),
		kgo.TransactionalID(transactionalID), kgo.TransactionTimeout(cfg.TxnTimeout),
		kgo.ProducerLinger(0), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(maxBatch),
	}
}

// run answers batches until ctx ends (nil) or the client can go on no longer. work outlives ctx for a while: within it an open
// transaction is ended.
func (s *session) run(ctx, work context.Context) error {
	s.adoptChallenger(ctx)
	for ctx.Err() == nil {
		if err := s.gather(ctx); err != nil {
			return err
		}
		s.adopt()
		s.adoptChallenger(ctx)
		if s.batch.polled == 0 {
			if !s.reported() && ctx.Err() == nil {
				if err := s.report(work); err != nil {
					return err
				}
			}
			continue
		}
		if err := s.vet(ctx, work); err != nil {
			if ctx.Err() != nil {
				return nil // what was read is read again by whoever comes
			}
			return err
		}
		if err := s.answer(work); err != nil {
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

// gather waits for records, and takes what comes until the interval has passed and the brokers have ended the last transaction. Nothing is produced
// meanwhile: see ending.
func (s *session) gather(ctx context.Context) error {
	s.batch.reset()
	if err := s.wait(ctx); err != nil || s.batch.polled == 0 {
		return err
	}
	s.batch.began = time.Now()
	interval := s.cfg.TxnInterval
	if s.halted {
		interval = max(interval, time.Second) // look at as much of the stream as one transaction may hold
	}
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	last := s.ended // the next transaction's may stand there when the timer's function runs
	timer := time.AfterFunc(interval, func() {
		<-last
		enough()
	})
	defer timer.Stop()
	for ctx.Err() == nil && s.batch.polled < s.cfg.TxnMaxRecords && s.batch.bytes < s.cfg.TxnMaxBytes {
		if err := s.poll(ctx); err != nil {
			return err
		}
	}
	return nil
}

// reportAfter is how long a member that has not said yet which bundle it has waits for an input, whose transaction would say it.
const reportAfter = time.Second

// wait polls until there are records, or another bundle is in force or unreported: that is told also where nothing is to be scored; or until it is known whether a challenger is
// admitted.
func (s *session) wait(ctx context.Context) error {
	now, changed := s.models.Current()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if now != s.force {
		stop()
	}
	if !s.reported() {
		unreported := time.AfterFunc(reportAfter, stop)
		defer unreported.Stop()
	}
	var admitted chan struct{} // nil: never
	if s.admission != nil {
		admitted = s.admission.done
	}
	go func() {
		select {
		case <-changed:
			stop()
		case <-admitted:
			stop()
		case <-ctx.Done():
		}
	}()
	return s.poll(ctx)
}

// poll waits for records, at most until ctx ends, and adds what is there.
func (s *session) poll(ctx context.Context) error {
	fetches := s.txn.PollRecords(ctx, s.cfg.TxnMaxRecords-s.batch.polled)
	fetches.EachPartition(s.batch.add)
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

// answer scores the batch and commits its answers with its offsets, or leaves all of it to be read again.
func (s *session) answer(ctx context.Context) error {
	if err := s.txn.Begin(); err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	admitted, err := s.score(ctx)
	if err != nil {
		return err
	}
	if admitted {
		if err := s.produce(ctx); errors.Is(err, errShadow) || errors.Is(err, errReply) {
			admitted = false // abort, and do it again without the challenger, or without replies
		} else if err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	committed, err := s.end(ctx, admitted)
	if err != nil {
		s.metrics.transactions.WithLabelValues("unknown").Inc() // it may stand on the topics: what is read next shows
		return fmt.Errorf("end the transaction: %w", err)
	}
	if !committed {
		s.metrics.transactions.WithLabelValues("abort").Inc()
		s.assigned.restart()
		return nil
	}
	s.progress.Store(time.Now().UnixNano())
	s.answered.Store(true)
	s.announced()
	s.breaker.add(s.answers.dead)
	s.count()
	return nil
}

// score answers the batch, and sends the first answers while it scores on, once the brokers are ready for them; false when the batch may not be
// committed. An engine that fails, or too many dead letters, abort the transaction with what was sent.
func (s *session) score(ctx context.Context) (admitted bool, err error) {
	begin, sending := time.Now(), time.Duration(0)
	s.sent = 0
	s.delivery.begin()
	ours, err := s.answers.to(&s.batch, s.assigned, func() {
		select {
		case <-s.ended:
		default:
			return
		}
		if s.halted {
			return // most likely they would be aborted
		}
		start := time.Now()
		s.send(ctx)
		sending += time.Since(start)
	})
	if err != nil || !ours {
		return false, err
	}
	s.spent = time.Since(begin) - sending
	s.metrics.scoring.Observe(s.spent.Seconds() / float64(max(1, s.batch.records)))
	ratio := s.breaker.ratio(s.answers.dead)
	admitted = s.breaker.admits(s.answers.dead)
	s.metrics.ratio.WithLabelValues(s.name).Set(ratio)
	s.say(ratio, admitted)
	return admitted, nil
}

// send hands the answers that are there to the client.
func (s *session) send(ctx context.Context) {
	for ; s.sent < len(s.answers.records); s.sent++ {
		s.txn.Produce(ctx, &s.answers.records[s.sent], s.delivery.done)
	}
}

// produce sends the rest of the answers, and returns when the brokers have them all.
func (s *session) produce(ctx context.Context) error {
	<-s.ended // bounded
	if err := s.announce(ctx); err != nil {
		return err
	}
	s.send(ctx)
	s.replies.failed.Store(nil)
	for i := range s.answers.replies {
		s.txn.Produce(ctx, &s.answers.replies[i], s.replies.done)
	}
	shadowed := s.cast(ctx)
	// Flush before asking for errors: the client waits for its linger otherwise. Bounded: a transaction past its timeout is aborted anyway.
	flush, cancel := context.WithTimeout(ctx, s.cfg.TxnTimeout)
	defer cancel()
	if err := s.txn.Client().Flush(flush); err != nil {
		return fmt.Errorf("no answer from the brokers within %v: %w", s.cfg.TxnTimeout, err)
	}
	if err := s.delivery.err(); err != nil {
		return err
	}
	if failed := s.replies.failed.Load(); failed != nil {
		s.replies.fail(*failed)
		return fmt.Errorf("%w: %w", errReply, *failed)
	}
	if shadowed {
		if failed := s.shadow.failed.Load(); failed != nil {
			s.shadows.fail(*failed)
			return fmt.Errorf("%w: %w", errShadow, *failed)
		}
	}
	return nil
}

// cast has the challenger score the batch, while the champion's answers are on their way; false when it did not.
func (s *session) cast(ctx context.Context) bool {
	if s.shadow == nil {
		return false
	}
	s.shadow.count.reset()
	if s.shadows.off() {
		s.shadows.skipped.WithLabelValues("failed").Add(float64(s.batch.records))
		return false
	}
	budget := time.Duration(s.cfg.ShadowBudget * float64(s.spent))
	err := s.shadow.answer(ctx, &s.batch, s.answers.decided, budget, s.topics.Shadow, func(r *kgo.Record) { s.txn.Produce(ctx, r, s.shadow.done) })
	if err != nil {
		s.shadows.fail(err)
	}
	return true
}

// end ends the transaction; commit false aborts it, and rewinds to what was committed before.
func (s *session) end(ctx context.Context, commit bool) (committed bool, err error) {
	bounded, cancel := context.WithTimeout(ctx, 2*s.cfg.TxnTimeout)
	defer cancel()
	if committed, err = s.txn.End(kgo.PreTxnCommitFnContext(bounded, s.sameMember), kgo.TransactionEndTry(commit)); err == nil {
		s.ended = ending(ctx, s.txn.Client(), s.transactionalID(), endingReply, endingLimit)
	}
	return committed, err
}

// say says once that consumption stops, and once that it goes on.
func (s *session) say(ratio float64, admitted bool) {
	if admitted == !s.halted {
		return
	}
	s.halted = !admitted
	if s.halted {
		s.setHalted(fmt.Sprintf("halted: %.0f %% of the last inputs would be dead letters, CONSUMER_MAX_DEAD_LETTER_RATIO allows %.0f %%", 100*ratio, 100*s.cfg.MaxDeadLetterRatio))
		s.log.Error("consumption stopped: too many inputs cannot be scored; nothing is lost, they are read again", "ratio", ratio,
			"limit", s.cfg.MaxDeadLetterRatio, "retry_in", s.cfg.HaltRetry.String())
		return
	}
	s.setHalted("")
	s.log.Info("consumption goes on", "ratio", ratio)
}

// count is called after the commit: the metrics say what is on the topics.
func (s *session) count() {
	s.metrics.transactions.WithLabelValues("commit").Inc()
	s.metrics.batch.Observe(float64(s.batch.records))
	now := time.Now()
	for _, run := range s.batch.runs {
		s.metrics.latency.Observe(max(0, now.Sub(run.inputs[0].Timestamp).Seconds()))
		s.assigned.answered(run.partition, run.inputs[len(run.inputs)-1].Timestamp)
	}
	s.trace(now)
	for _, d := range s.answers.deciders {
		for decision, n := range d.decisions {
			s.metrics.predictions.WithLabelValues(string(decision), d.bundle.ID.Version).Add(float64(n))
		}
		d.commit()
	}
	if s.shadow != nil {
		s.shadows.commit(&s.shadow.count)
	}
	s.replies.sent.Add(float64(len(s.answers.replies)))
	s.replies.lost.Add(float64(s.answers.lost))
	for c, n := range s.answers.classes {
		s.metrics.deadLetters.WithLabelValues(string(c)).Add(float64(n))
	}
}

// trace tells of the inputs whose senders trace them: from when they came to the commit of their answers.
func (s *session) trace(committed time.Time) {
	if !tracing.On() {
		return
	}
	for _, run := range s.batch.runs {
		for _, r := range run.inputs {
			if tracing.Sampled(r) {
				tracing.Processed(r, "score", s.cfg.Group, s.batch.began, committed)
			}
		}
	}
}
