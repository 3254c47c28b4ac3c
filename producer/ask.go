package producer

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/tracing"
)

// Asker publishes transactions and waits for their answers, which come by the topic of replies: committed verdicts, in the order and with the state of the partition's scorer. It decides nothing.
type Asker struct {
	cfg       *kafka.Config
	client    *kgo.Client
	partition int32 // of the topic of replies, that this process reads
	slots     chan struct{}

	mu      sync.Mutex
	waiting map[string]chan Reply // by id
	failed  error                 // why replies are not read; nil while they are
}

// ErrBusy says that as many wait already as may: try again later.
var ErrBusy = errors.New("too many transactions wait for their verdicts")

// ErrUnreachable says that the transaction was not published, and never will be: it may be sent again.
var ErrUnreachable = errors.New("the transaction could not be published")

// NewAsker connects. instance chooses the partition of replies: instances that share one read each other's replies, and pass over them. At most inFlight wait at a time.
func NewAsker(ctx context.Context, cfg *kafka.Config, instance string, inFlight int, log *slog.Logger, reg prometheus.Registerer) (*Asker, error) {
	if cfg.Replies == "" {
		return nil, errors.New("KAFKA_TOPIC_REPLIES is empty: verdicts come back by it")
	}
	base, err := cfg.Options()
	if err != nil {
		return nil, err
	}
	probe, err := kgo.NewClient(base...)
	if err != nil {
		return nil, err
	}
	defer probe.Close()
	partitions, err := kafka.PartitionCount(ctx, probe, cfg.Replies)
	if err != nil {
		return nil, err
	}
	hash := fnv.New32a()
	hash.Write([]byte(instance))
	partition := int32(hash.Sum32() % uint32(partitions))
	// Asked now, not by a client told to begin at the end: that asks when it begins, and the first reply may stand there already.
	ends, err := kadm.NewClient(probe).ListCommittedOffsets(ctx, cfg.Replies)
	end, found := ends.Lookup(cfg.Replies, partition)
	if found {
		err = end.Err // what fails of the other partitions is no matter
	} else if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("ask where %s partition %d ends: %w", cfg.Replies, partition, err)
	}
	a := &Asker{cfg: cfg, partition: partition, slots: make(chan struct{}, inFlight), waiting: map[string]chan Reply{}}
	hook, _ := kafka.ClientMetrics(reg, "api")
	opts := append(base, kgo.WithHooks(hook), kafka.ClientLog(log),
		// Idempotent: what is sent again after a lost answer stands once. Without linger: somebody waits.
		kgo.ProducerLinger(0), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordDeliveryTimeout(10*time.Second), kgo.MaxBufferedRecords(2*inFlight+100),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{cfg.Replies: {partition: kgo.NewOffset().At(end.Offset)}}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(500*time.Millisecond), kgo.FetchMinBytes(1))
	if a.client, err = kgo.NewClient(opts...); err != nil {
		return nil, err
	}
	return a, nil
}

// Run hands replies over until ctx ends.
func (a *Asker) Run(ctx context.Context) {
	defer a.client.Close()
	for ctx.Err() == nil {
		fetches := a.client.PollFetches(ctx)
		var failed error
		if errs := fetches.Errors(); len(errs) > 0 && ctx.Err() == nil {
			failed = fmt.Errorf("read %s partition %d: %w", a.cfg.Replies, a.partition, errs[0].Err)
		}
		a.mu.Lock()
		a.failed = failed
		a.mu.Unlock()
		fetches.EachRecord(a.deliver)
		if failed != nil {
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
}

// deliver gives a reply to who waits for it; nobody may wait any more, or another instance's.
func (a *Asker) deliver(r *kgo.Record) {
	reply, err := ParseReply(r)
	if err != nil {
		return // not ours, whoever wrote it
	}
	a.mu.Lock()
	waits := a.waiting[reply.ID]
	delete(a.waiting, reply.ID)
	a.mu.Unlock()
	if waits != nil {
		waits <- reply // has room for one
	}
}

// Ready says why nobody can be answered now; nil when they can.
func (a *Asker) Ready(ctx context.Context) error {
	a.mu.Lock()
	failed := a.failed
	a.mu.Unlock()
	if failed != nil {
		return failed
	}
	return a.client.Ping(ctx)
}

// Ask publishes a transaction under a key, and waits for its reply until ctx ends. ErrBusy and ErrUnreachable: it was not published. Any other error: it may have been, and its verdict may stand or come.
func (a *Asker) Ask(ctx context.Context, key, value []byte) (Reply, error) {
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	default:
		return Reply{}, ErrBusy
	}
	a.mu.Lock()
	failed := a.failed
	a.mu.Unlock()
	if failed != nil {
		return Reply{}, fmt.Errorf("%w: replies are not read: %w", ErrUnreachable, failed)
	}
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return Reply{}, err
	}
	id := hex.EncodeToString(random[:])
	reply := make(chan Reply, 1)
	a.mu.Lock()
	a.waiting[id] = reply
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.waiting, id)
		a.mu.Unlock()
	}()
	record := &kgo.Record{Topic: a.cfg.Transactions, Key: key, Value: value}
	AskReply(record, a.partition, id)
	tracing.Carry(ctx, record)
	published := make(chan error, 1)
	a.client.TryProduce(context.WithoutCancel(ctx), record, func(_ *kgo.Record, err error) { published <- err })
	for {
		select {
		case r := <-reply:
			return r, nil
		case err := <-published:
			if errors.Is(err, kgo.ErrMaxBuffered) || errors.Is(err, kgo.ErrRecordTimeout) || errors.Is(err, kgo.ErrRecordRetries) {
				return Reply{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
			}
			if err != nil {
				return Reply{}, fmt.Errorf("publish to %s: %w", a.cfg.Transactions, err)
			}
			published = nil // and now wait
		case <-ctx.Done():
			return Reply{}, ctx.Err()
		}
	}
}
