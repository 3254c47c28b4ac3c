package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// ErrInstanceTaken means that another process runs under the same INSTANCE_ID: of the two only one may.
var ErrInstanceTaken = errors.New("another process has taken over this INSTANCE_ID")

// Times that bound a stop, within 10 s in all, and the waits after a failure.
const (
	finishTimeout = 6 * time.Second // to end the open database transaction
	leaveTimeout  = 2 * time.Second // to leave the group
	firstBackoff  = 100 * time.Millisecond
	lastBackoff   = 5 * time.Second
)

// Writer is one member of the group of audit writers.
type Writer struct {
	cfg      Config
	topics   *kafka.Config
	store    Store
	log      *slog.Logger
	reg      prometheus.Registerer
	metrics  *metrics
	worked   bool          // Run's own: it has been in the group once, and what is refused from now on is waited for
	recheck  time.Duration // of lost partitions
	lagEvery time.Duration
	finishIn time.Duration // finishTimeout, but for tests
	leaveIn  time.Duration // leaveTimeout, likewise

	mu       sync.Mutex
	state    error // why the writer does not write now; nil while it is in the group
	failed   error // the last failure, until a batch is written or there is none to write
	client   *kgo.Client
	assigned *assignment
}

// New makes a writer; it connects when it runs. The store stays the caller's to close, after Run. It fails when reg has these metrics already.
func New(cfg Config, kcfg *kafka.Config, store Store, log *slog.Logger, reg prometheus.Registerer) (*Writer, error) {
	m, err := newMetrics(reg)
	if err != nil {
		return nil, err
	}
	return &Writer{cfg: cfg, topics: kcfg, store: store, log: log, reg: reg, metrics: m,
		recheck: 30 * time.Second, lagEvery: 5 * time.Second, finishIn: finishTimeout, leaveIn: leaveTimeout, state: errors.New("starting")}, nil
}

// Run writes until ctx ends; then it finishes the open database transaction or leaves it to be rolled back, leaves the group, and returns
// nil. It outlives brokers and databases that go and come back. It returns an error only for what waiting does not mend: ErrInstanceTaken,
// and, until it has worked once, ErrRefused and kafka.ErrRefused.
func (w *Writer) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(w.finishIn, cancel) })
	defer stop()
	var fences kafka.Fences
	for backoff := firstBackoff; ; backoff = min(2*backoff, lastBackoff) {
		progress, err := w.live(ctx, work)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, kerr.FencedInstanceID) && fences.Taken(time.Now()):
			return fmt.Errorf("%w %q: give each process its own: %w", ErrInstanceTaken, w.cfg.Instance, err)
		case !w.worked && (errors.Is(err, ErrRefused) || errors.Is(err, kafka.ErrRefused)):
			return err
		}
		err = kafka.Explain(ctx, w.topics, w.rights(), err)
		w.fail(err)
		w.metrics.restarts.Inc()
		if progress {
			backoff = firstBackoff
		}
		w.log.Warn("audit stopped, it goes on from the stored offsets", "error", err, "retry_in", backoff.String())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff):
		}
	}
}

// live is one life of the client: wait for database and brokers, join, write. Nothing is read from Kafka while the database is away. progress
// says whether anything was written.
func (w *Writer) live(ctx, work context.Context) (progress bool, err error) {
	if err := w.store.Ping(ctx); err != nil {
		return false, err
	}
	if err := kafka.Connect(ctx, w.topics, w.log, w.setState); err != nil {
		return false, err
	}
	w.setState(errors.New("joining the group"))
	base, err := w.topics.Options()
	if err != nil {
		return false, err
	}
	if err := w.checkTopic(ctx, base); err != nil {
		return false, err
	}
	assigned := newAssignment(w.store, w.topics.Verdicts, w.metrics)
	hook, release := kafka.ClientMetrics(w.reg, "audit")
	defer release()
	closing, closeWithin := kafka.Closing()
	client, err := kgo.NewClient(append(append(base[:len(base):len(base)], options(&w.cfg, w.topics, assigned)...), closing, kgo.WithHooks(hook), kafka.ClientLog(w.log))...)
	if err != nil {
		return false, fmt.Errorf("make the client: %w", err)
	}
	defer w.leave(ctx, client, closeWithin, base)
	w.setLife(client, assigned)
	defer w.setLife(nil, nil)
	w.log.Info("auditing", "group", w.cfg.Group, "topic", w.topics.Verdicts)

	watching, stopWatching := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { w.watchLag(watching, client, assigned) })
	watcher.Go(func() {
		kafka.AdoptOrphans(watching, client, w.cfg.Group, w.topics.Verdicts, w.log, w.metrics.adoptions)
	})
	defer func() {
		stopWatching()
		watcher.Wait()
		w.metrics.reset()
	}()
	s := &session{cfg: &w.cfg, topic: w.topics.Verdicts, client: client, store: w.store, assigned: assigned, metrics: w.metrics, log: w.log,
		recheck: w.recheck, settled: w.settle}
	err = s.run(ctx, work)
	w.worked = w.worked || assigned.isJoined()
	return s.appended, err
}

// checkTopic: the client would wait in silence for a topic that does not exist, and read one that was made anew from where the last one was left.
func (w *Writer) checkTopic(ctx context.Context, base []kgo.Opt) error {
	cl, err := kgo.NewClient(base...)
	if err != nil {
		return fmt.Errorf("make the client: %w", err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	id, err := topicID(ctx, cl, w.topics.Verdicts)
	if err != nil {
		return err
	}
	return w.store.Claim(ctx, w.topics.Verdicts, id)
}

// topicID is the id that the brokers gave the topic when it was made.
func topicID(ctx context.Context, cl *kgo.Client, topic string) (string, error) {
	details, err := kadm.NewClient(cl).ListTopics(ctx, topic)
	if err == nil {
		err = details[topic].Err
	}
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return "", fmt.Errorf("topic %s does not exist: run `mlmonitor topics` to create it", topic)
	}
	if err != nil {
		return "", fmt.Errorf("look for topic %s: %w", topic, err)
	}
	return details[topic].ID.String(), nil
}

// leave closes the client. At the end of Run a static member also gives its partitions to the others at once; between two lives it keeps them.
func (w *Writer) leave(ctx context.Context, client *kgo.Client, closeWithin func(time.Duration, func()), base []kgo.Opt) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.leaveIn)
	defer cancel()
	client.AllowRebalance()
	err := client.LeaveGroupContext(bounded) // asks the broker for a dynamic member only
	closeWithin(0, client.CloseAllowingRebalance)
	if ctx.Err() == nil {
		return
	}
	if w.cfg.Instance != "" {
		err = w.leaveStatic(bounded, base)
	}
	if err != nil {
		w.log.Warn("could not leave the group, the session will end by itself", "error", err, "session_timeout", w.cfg.Session.String())
		return
	}
	w.log.Info("left the group", "group", w.cfg.Group)
}

// leaveStatic needs a client of its own: the member's would join again.
func (w *Writer) leaveStatic(ctx context.Context, base []kgo.Opt) error {
	cl, err := kgo.NewClient(base...)
	if err != nil {
		return err
	}
	defer cl.Close()
	_, err = kadm.NewClient(cl).LeaveGroup(ctx, kadm.LeaveGroup(w.cfg.Group).Reason("shutting down").InstanceIDs(w.cfg.Instance))
	return err
}
