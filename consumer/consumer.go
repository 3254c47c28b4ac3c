package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// ErrInstanceTaken means that another process runs under the same INSTANCE_ID: of the two only one may.
var ErrInstanceTaken = errors.New("another process has taken over this INSTANCE_ID")

// Times that bound a stop: within 10 s the process is gone.
const (
	finishTimeout = 6 * time.Second // to end the open transaction
	leaveTimeout  = 2 * time.Second // to leave the group
)

// Consumer scores the transactions topic. It is one member of the group of scorers.
type Consumer struct {
	cfg      Config
	topics   *kafka.Config
	bundle   *scorer.Bundle
	log      *slog.Logger
	reg      prometheus.Registerer
	metrics  *metrics
	breaker  breaker
	mu       sync.Mutex
	notReady error // why the consumer is not ready; nil while it runs
	haltedBy string
	client   *kgo.Client
	assigned *assignment
	progress atomic.Int64 // when a transaction last committed, or the client was made; Unix nanoseconds
	behind   atomic.Int64 // inputs of this member's partitions not answered yet, as last measured
}

// New makes a consumer; it connects when it runs.
func New(cfg Config, topics *kafka.Config, bundle *scorer.Bundle, log *slog.Logger, reg prometheus.Registerer) *Consumer {
	c := &Consumer{cfg: cfg, topics: topics, bundle: bundle, log: log, reg: reg, metrics: newMetrics(reg),
		breaker: breaker{limit: cfg.MaxDeadLetterRatio, window: cfg.DeadLetterWindow}, notReady: errors.New("starting")}
	c.metrics.bundle.WithLabelValues(bundle.ID.Name, bundle.ID.Version, bundle.ID.Digest).Set(1)
	return c
}

// Run scores until ctx ends; then it finishes or abandons the open transaction, leaves the group, and returns nil. It outlives brokers that
// go and come back; it returns an error only for what waiting does not mend: kafka.ErrRefused, kafka.ErrOldBroker, ErrInstanceTaken.
func (c *Consumer) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(finishTimeout, cancel) })
	defer stop()
	for backoff := 250 * time.Millisecond; ; backoff = min(2*backoff, 5*time.Second) {
		began := time.Now()
		err := c.live(ctx, work)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, kafka.ErrRefused), errors.Is(err, kafka.ErrOldBroker):
			return err
		case errors.Is(err, kerr.FencedInstanceID):
			return fmt.Errorf("%w %q: give each process its own: %w", ErrInstanceTaken, c.cfg.Instance, err)
		}
		c.setReady(err)
		c.metrics.restarts.Inc()
		if time.Since(began) > time.Minute {
			backoff = 250 * time.Millisecond
		}
		c.log.Warn("scoring failed, starting anew", "error", err, "retry_in", backoff.String())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff):
		}
	}
}

// live is one life of the client: connect, check, claim the transactional id, answer batches.
func (c *Consumer) live(ctx, work context.Context) error {
	if err := kafka.Connect(ctx, c.topics, c.log, c.setReady); err != nil {
		return err
	}
	c.setReady(errors.New("joining the group"))
	base, err := c.topics.Options()
	if err != nil {
		return err
	}
	maxBatch, err := c.check(ctx, base)
	if err != nil {
		return err
	}
	assigned := newAssignment(func() *processor { return newProcessor(c.topics, c.bundle) })
	hook, release := kafka.ClientMetrics(c.reg, "score")
	defer release()
	opts := append(base, options(&c.cfg, c.topics, assigned, maxBatch)...)
	txn, err := kgo.NewGroupTransactSession(append(opts, kgo.WithHooks(hook), kafka.ClientLog(c.log))...)
	if err != nil {
		return fmt.Errorf("make the client: %w", err)
	}
	defer func() {
		txn.Close()
		if ctx.Err() != nil {
			c.leave(base)
		}
	}()
	// Claimed now, the id aborts what an earlier life left open; claimed with the first record, that would stall the group's offsets
	// and with them the first record.
	claim, cancel := context.WithTimeout(ctx, 2*c.cfg.TxnTimeout)
	defer cancel()
	if _, _, err := txn.Client().ProducerID(claim); err != nil {
		return fmt.Errorf("claim the transactional id: %w", err)
	}
	c.progress.Store(time.Now().UnixNano())
	c.behind.Store(0)
	c.setLife(txn.Client(), assigned)
	defer c.setLife(nil, nil)
	c.setReady(nil)
	c.log.Info("scoring", "group", c.cfg.Group, "topic", c.topics.Transactions,
		"bundle", c.bundle.ID.Name, "version", c.bundle.ID.Version, "digest", c.bundle.ID.Digest)
	s := &session{cfg: &c.cfg, txn: txn, assigned: assigned, breaker: &c.breaker, metrics: c.metrics, log: c.log, halt: c.setHalted,
		committed: func() { c.progress.Store(time.Now().UnixNano()) }}
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	go c.watchLag(watching, txn.Client(), assigned)
	err = s.run(ctx, work)
	c.setHalted("")
	c.metrics.halted.Set(0)
	return err
}

// check refuses a cluster or a layout on which the promises do not hold, and gives the largest batch that both output topics take.
func (c *Consumer) check(ctx context.Context, base []kgo.Opt) (int32, error) {
	cl, err := kgo.NewClient(base...)
	if err != nil {
		return 0, fmt.Errorf("make the client: %w", err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	version, err := kafka.CheckTransactions(ctx, cl, c.topics)
	if err != nil {
		return 0, err
	}
	c.metrics.txnVersion.Set(float64(version))
	if version < 2 {
		c.log.Warn("KAFKA_ALLOW_OLD_BROKERS: a crash may lose or double a verdict on this cluster", "transaction_version", version)
	}
	if _, err := kafka.CheckTopics(ctx, cl, c.topics); err != nil {
		return 0, err
	}
	return kafka.MaxMessageBytes(ctx, cl, c.topics.Verdicts, c.topics.DeadLetters)
}

// leave gives the partitions to the others at once: a static member that only goes silent keeps them until its session ends. The member's own
// client is closed by then, or it would join again.
func (c *Consumer) leave(base []kgo.Opt) {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	cl, err := kgo.NewClient(base...)
	if err != nil {
		return // the options made a client before
	}
	defer cl.Close()
	_, err = kadm.NewClient(cl).LeaveGroup(ctx, kadm.LeaveGroup(c.cfg.Group).Reason("shutting down").InstanceIDs(c.cfg.Instance))
	if err != nil {
		c.log.Warn("could not leave the group, its session will end by itself", "error", err, "session_timeout", c.cfg.Session.String())
		return
	}
	c.log.Info("left the group", "group", c.cfg.Group)
}

func (c *Consumer) setLife(cl *kgo.Client, a *assignment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.client, c.assigned = cl, a
}

func (c *Consumer) setReady(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notReady = err
}

func (c *Consumer) setHalted(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.haltedBy = reason
}

// Ready says why this member does not score now, nil when it does: connected, in the group, not halted, and the brokers answer.
func (c *Consumer) Ready(ctx context.Context) error {
	c.mu.Lock()
	notReady, halted, cl, assigned := c.notReady, c.haltedBy, c.client, c.assigned
	c.mu.Unlock()
	switch {
	case notReady != nil:
		return notReady
	case halted != "":
		return errors.New(halted)
	case cl == nil:
		return errors.New("starting")
	}
	if _, joined := assigned.partitions(); !joined {
		return errors.New("waiting for the group to assign partitions")
	}
	if err := cl.Ping(ctx); err != nil {
		return fmt.Errorf("no broker answers: %w", err)
	}
	return c.stalled(time.Now())
}

// stalled is an error when inputs wait and none was answered for three transaction timeouts: something that should have ended by then has not,
// such as a transaction that a broker lost track of, whose offsets the next reader waits for.
func (c *Consumer) stalled(now time.Time) error {
	still := now.Sub(time.Unix(0, c.progress.Load()))
	if behind := c.behind.Load(); behind > 0 && still > 3*c.cfg.TxnTimeout {
		return fmt.Errorf("stalled: %d inputs wait, none was answered for %v; see \"When score is stalled\" in docs/operations.md", behind, still.Round(time.Second))
	}
	return nil
}
