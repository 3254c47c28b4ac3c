package producer

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// ProduceConfig says how many simulated transactions are sent, and how fast.
type ProduceConfig struct {
	Simulator SimulatorConfig
	Count     uint64        // 0: until For or ctx ends
	For       time.Duration // 0: until Count or ctx ends
	Rate      float64       // transactions a second; 0: as fast as possible
}

// Validate names the flag that is wrong. A pace or time that makes no sense must not mean "without limit".
func (c ProduceConfig) Validate() error {
	if !(c.Rate >= 0) {
		return fmt.Errorf("--rate is %v: set it to 0 or more", c.Rate)
	}
	if c.For < 0 {
		return fmt.Errorf("--for is %v: set it to 0 or more", c.For)
	}
	return nil
}

// Produced counts what was acknowledged.
type Produced struct {
	Transactions uint64 `json:"transactions"`
	Malformed    uint64 `json:"malformed"` // of these
	Frauds       uint64 `json:"frauds"`    // of these
	Next         uint64 `json:"next"`      // --first of a run that continues
}

// Produce sends simulated transactions to the input topic, keyed by customer, and returns when each is acknowledged by all in-sync replicas.
// sent is called for each acknowledged record.
func Produce(ctx context.Context, topics *kafka.Config, cfg ProduceConfig, sent func()) (Produced, error) {
	opts, err := topics.Options()
	if err != nil {
		return Produced{}, err
	}
	cl, err := kgo.NewClient(append(opts, kgo.DefaultProduceTopic(topics.Transactions), kgo.MaxBufferedRecords(50_000), kgo.ProducerLinger(time.Millisecond), kgo.UnknownTopicRetries(3))...)
	if err != nil {
		return Produced{}, err
	}
	defer cl.Close()
	var failed atomic.Pointer[error]
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	acknowledged := func(_ *kgo.Record, err error) {
		if err != nil {
			failed.CompareAndSwap(nil, &err)
			stop()
			return
		}
		sent()
	}
	done, err := simulate(ctx, cfg, func(e Event) error {
		// The client keeps the record until it is acknowledged: the simulator's buffer is not reused for it.
		cl.Produce(context.WithoutCancel(ctx), &kgo.Record{Key: e.Key, Value: e.Value, Timestamp: time.Now()}, acknowledged)
		return nil
	})
	if err != nil {
		return done, err
	}
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := cl.Flush(flush); err != nil {
		return done, fmt.Errorf("send transactions: %w", err)
	}
	if err := failed.Load(); err != nil {
		return done, fmt.Errorf("send transactions: %w", *err)
	}
	return done, nil
}

// simulate calls each with every event, at the configured pace, until the count, the time or ctx ends. The event's bytes are new each time.
func simulate(ctx context.Context, cfg ProduceConfig, each func(Event) error) (Produced, error) {
	if err := cfg.Validate(); err != nil {
		return Produced{}, err
	}
	sim, err := NewSimulator(cfg.Simulator)
	if err != nil {
		return Produced{}, err
	}
	if cfg.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, cfg.For)
		defer cancel()
	}
	done := Produced{Next: cfg.Simulator.First}
	for start := time.Now(); (cfg.Count == 0 || done.Transactions < cfg.Count) && ctx.Err() == nil; {
		if cfg.Rate > 0 && float64(done.Transactions) > cfg.Rate*time.Since(start).Seconds() {
			select {
			case <-ctx.Done():
			case <-time.After(time.Millisecond):
			}
			continue
		}
		e := sim.Next(make([]byte, 0, 512))
		if err := each(e); err != nil {
			return done, err
		}
		done.Transactions++
		done.Next++
		if e.Malformed != "" {
			done.Malformed++
		}
		if e.Fraud != "" {
			done.Frauds++
		}
	}
	return done, nil
}

// WriteTransactions writes events as JSON lines and, for training, their labels as CSV: transaction_id,fraud_kind, the kind empty for an
// honest transaction. Malformed events have no place in a training set.
func WriteTransactions(ctx context.Context, cfg ProduceConfig, events, labels io.Writer, sent func()) (Produced, error) {
	if cfg.Count == 0 && cfg.For == 0 {
		return Produced{}, errors.New("say how many transactions to write: --count or --for")
	}
	if cfg.Simulator.Malformed > 0 && labels != nil {
		return Produced{}, errors.New("malformed events have no label: use --malformed 0 with --labels")
	}
	table := csv.NewWriter(io.Discard)
	if labels != nil {
		table = csv.NewWriter(labels)
	}
	if err := table.Write([]string{"transaction_id", "fraud_kind"}); err != nil {
		return Produced{}, err
	}
	done, err := simulate(ctx, cfg, func(e Event) error {
		sent()
		if _, err := events.Write(append(e.Value, '\n')); err != nil {
			return err
		}
		return table.Write([]string{e.TransactionID(), e.Fraud})
	})
	table.Flush()
	return done, errors.Join(err, table.Error())
}

// DefaultSimulator is 5,000 customers at 1,000 terminals since 1 January 2026: transaction number first happens when about as many have
// happened before it, so that a run that continues another continues its calendar too.
func DefaultSimulator(seed, first uint64, malformed float64) SimulatorConfig {
	const customers = 5000
	const each = 24 * time.Hour / (2 * customers) // two transactions a customer and day
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(min(first, 1<<32)) * each)
	return SimulatorConfig{Seed: seed, First: first, Start: start, Customers: customers, Terminals: 1000, Malformed: malformed}
}
