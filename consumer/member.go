package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// Times that bound a stop: within 10 s the process is gone.
const (
	finishTimeout = 6 * time.Second // to end the open transaction
	leaveTimeout  = 2 * time.Second // to leave the group
)

// Times between two lives of the client: short, since inputs wait, and not so short that brokers in trouble get more of it.
const (
	firstBackoff = 250 * time.Millisecond
	lastBackoff  = 2 * time.Second
)

// member is one member of the group of scorers, with a transactional id of its own.
type member struct {
	name     string // within the process, from "1"; a label of metrics
	instance string // within the group
	cfg      Config
	topics   *kafka.Config
	models   *Models // shared by the members, as the shelf
	shelf    *shelf
	shadows  *shadowBooks
	replies  *replies
	log      *slog.Logger
	reg      prometheus.Registerer
	metrics  *metrics
	breaker  breaker
	progress atomic.Int64 // when a transaction last committed, or the client was made; Unix nanoseconds
	answered atomic.Bool  // a transaction has committed in this life of the client
	behind   atomic.Int64 // inputs of this member's partitions not answered yet, as last measured
	told     deciders     // the last that the topic of models was told of, in any life of the client

	mu       sync.Mutex // guards what follows: readiness asks for it
	notReady error      // nil while it runs
	haltedBy string
	client   *kgo.Client
	assigned *assignment
}

// newMember makes member i, from 0, of this process.
func newMember(i int, cfg Config, topics *kafka.Config, models *Models, books *shelf, shadows *shadowBooks, log *slog.Logger, reg prometheus.Registerer, shared *metrics) *member {
	m := &member{name: strconv.Itoa(i + 1), instance: cfg.Instance, cfg: cfg, topics: topics, models: models, shelf: books, shadows: shadows, reg: reg, metrics: shared,
		breaker: breaker{limit: cfg.MaxDeadLetterRatio, window: cfg.DeadLetterWindow}, notReady: errors.New("starting")}
	if i > 0 { // the first keeps the name: a process of one member is called as it is
		m.instance += ".m" + m.name
	}
	m.log = log
	if cfg.Members > 1 {
		m.log = log.With("member", m.name)
	}
	m.replies = newReplies(shared, m.log)
	m.metrics.halted.WithLabelValues(m.name)
	m.metrics.ratio.WithLabelValues(m.name)
	return m
}

func (m *member) transactionalID() string { return m.cfg.Group + "-" + m.instance }

// run is Consumer.Run for one member.
func (m *member) run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(finishTimeout, cancel) })
	defer stop()
	var fences kafka.Fences
	for backoff := firstBackoff; ; backoff = min(2*backoff, lastBackoff) {
		m.answered.Store(false)
		err := m.live(ctx, work)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, kafka.ErrRefused), errors.Is(err, kafka.ErrOldBroker):
			return err
		case errors.Is(err, kerr.FencedInstanceID) && fences.Taken(time.Now()):
			return fmt.Errorf("%w %q: give each process its own: %w", ErrInstanceTaken, m.instance, err)
		}
		err = kafka.Explain(ctx, m.topics, m.rights(), err)
		m.setReady(err)
		m.metrics.restarts.Inc()
		if m.answered.Load() {
			backoff = firstBackoff
		}
		m.log.Warn("scoring failed, starting anew", "error", err, "retry_in", backoff.String())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff):
		}
	}
}

// live is one life of the client: connect, check, claim the transactional id, answer batches.
func (m *member) live(ctx, work context.Context) error {
	if err := kafka.Connect(ctx, m.topics, m.log, m.setReady); err != nil {
		return err
	}
	m.setReady(errors.New("joining the group"))
	base, err := m.topics.Options()
	if err != nil {
		return err
	}
	maxBatch, err := m.check(ctx, base)
	if err != nil {
		return err
	}
	assigned := newAssignment()
	hook, release := kafka.ClientMetrics(m.reg, "score-"+m.name)
	defer release()
	closing, closeWithin := kafka.Closing()
	opts := append(append(base[:len(base):len(base)], closing), options(&m.cfg, m.instance, m.transactionalID(), m.topics, assigned, maxBatch)...)
	txn, err := kgo.NewGroupTransactSession(append(opts, kgo.WithHooks(hook), kafka.ClientLog(m.log))...)
	if err != nil {
		return fmt.Errorf("make the client: %w", err)
	}
	defer func() {
		closeWithin(leaveTimeout, txn.Close)
		if ctx.Err() != nil {
			m.leave(base)
		}
	}()
	// Claimed now, the id aborts what an earlier life left open; claimed with the first record, that would stall the group's offsets
	// and with them the first record.
	claim, cancel := context.WithTimeout(ctx, 2*m.cfg.TxnTimeout)
	defer cancel()
	if _, _, err := txn.Client().ProducerID(claim); err != nil {
		return fmt.Errorf("claim the transactional id: %w", err)
	}
	m.progress.Store(time.Now().UnixNano())
	m.behind.Store(0)
	m.setLife(txn.Client(), assigned)
	defer m.setLife(nil, nil)
	m.setReady(nil)
	force, _ := m.models.Current()
	m.log.Info("scoring", "group", m.cfg.Group, "instance", m.instance, "topic", m.topics.Transactions,
		"bundle", force.Champion.ID.Name, "version", force.Champion.ID.Version, "digest", force.Champion.ID.Digest)
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	go m.watchLag(watching, txn.Client(), assigned)
	go m.replies.watch(watching, txn.Client(), m.topics.Replies)
	go kafka.AdoptOrphans(watching, txn.Client(), m.cfg.Group, m.topics.Transactions, m.log, m.metrics.adoptions)
	err = newSession(m, txn, assigned).run(ctx, work)
	m.setHalted("")
	return err
}

// check refuses a cluster or a layout on which the promises do not hold, and gives the largest batch that both output topics take.
func (m *member) check(ctx context.Context, base []kgo.Opt) (int32, error) {
	cl, err := kgo.NewClient(base...)
	if err != nil {
		return 0, fmt.Errorf("make the client: %w", err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	version, err := kafka.CheckTransactions(ctx, cl, m.topics)
	if err != nil {
		return 0, err
	}
	m.metrics.txnVersion.Set(float64(version))
	if version < 2 {
		m.log.Warn("KAFKA_ALLOW_OLD_BROKERS: a crash may lose or double a verdict on this cluster", "transaction_version", version)
	}
	if _, err := kafka.CheckTopics(ctx, cl, m.topics); err != nil {
		return 0, err
	}
	m.replies.look(ctx, cl, m.topics.Replies) // now: who asks for the first answer waits for it too
	return kafka.MaxMessageBytes(ctx, cl, m.topics.Verdicts, m.topics.DeadLetters)
}

// leave gives the partitions to the others at once: a static member that only goes silent keeps them until its session ends. The member's own
// client is closed by then, or it would join again.
func (m *member) leave(base []kgo.Opt) {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	cl, err := kgo.NewClient(base...)
	if err != nil {
		return // the options made a client before
	}
	defer cl.Close()
	_, err = kadm.NewClient(cl).LeaveGroup(ctx, kadm.LeaveGroup(m.cfg.Group).Reason("shutting down").InstanceIDs(m.instance))
	if err != nil {
		m.log.Warn("could not leave the group, its session will end by itself", "error", err, "session_timeout", m.cfg.Session.String())
		return
	}
	m.log.Info("left the group", "group", m.cfg.Group)
}

func (m *member) setLife(cl *kgo.Client, a *assignment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.client, m.assigned = cl, a
}

func (m *member) setReady(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notReady = err
}

// setHalted says why consumption is stopped, "" when it goes on.
func (m *member) setHalted(reason string) {
	halted := 0.0
	if reason != "" {
		halted = 1
	}
	m.metrics.halted.WithLabelValues(m.name).Set(halted)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.haltedBy = reason
}

// ready is Consumer.Ready for one member.
func (m *member) ready(ctx context.Context) error {
	m.mu.Lock()
	notReady, halted, cl, assigned := m.notReady, m.haltedBy, m.client, m.assigned
	m.mu.Unlock()
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
	return m.stalled(time.Now())
}

// stalled is an error when inputs wait and none was answered for three transaction timeouts: something that should have ended by then has not,
// such as a transaction that a broker lost track of, whose offsets the next reader waits for.
func (m *member) stalled(now time.Time) error {
	still := now.Sub(time.Unix(0, m.progress.Load()))
	if behind := m.behind.Load(); behind > 0 && still > 3*m.cfg.TxnTimeout {
		return fmt.Errorf("stalled: %d inputs wait, none was answered for %v; see \"When score is stalled\" in docs/operations.md", behind, still.Round(time.Second))
	}
	return nil
}
