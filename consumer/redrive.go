package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// Redrive says which dead letters go back.
type Redrive struct {
	Classes     []schemas.Class // reason classes; empty for all
	MaxAttempts int             // a letter that was refused this often stays
}

// Redriven counts what a redrive did with the open dead letters.
type Redriven struct {
	Redriven  int `json:"redriven"`
	Kept      int `json:"kept"`      // of another class
	Exhausted int `json:"exhausted"` // refused MaxAttempts times
	Foreign   int `json:"foreign"`   // not written by this program
}

// redriveGroup keeps, for each partition of the dead-letter topic, up to where letters were dealt with: those behind are open.
func redriveGroup(cfg *Config) string { return cfg.Group + "-redrive" }

// OpenDeadLetters calls each for every dead letter that was not dealt with yet, or for all that the topic holds. A record that is not a dead
// letter of ours comes with the error that says so.
func OpenDeadLetters(ctx context.Context, cfg *Config, topics *kafka.Config, all bool, each func(producer.DeadLetter, error) error) error {
	r, err := openRange(ctx, cfg, topics, all)
	if err != nil {
		return err
	}
	return kafka.Read(ctx, topics, topics.DeadLetters, r, func(rec *kgo.Record) error { return each(producer.ParseDeadLetter(rec)) })
}

func openRange(ctx context.Context, cfg *Config, topics *kafka.Config, all bool) (kafka.Range, error) {
	// A redrive that has just ended moved letters to the end of the topic: where readers do not see them yet, there would seem to be none.
	r, err := kafka.Settled(ctx, topics, topics.DeadLetters, 2*cfg.TxnTimeout)
	if err != nil || all {
		return r, err
	}
	opts, err := topics.Options()
	if err != nil {
		return r, err
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return r, err
	}
	defer cl.Close()
	dealt, err := groupOffsets(kadm.RequireStable(ctx), kadm.NewClient(cl), redriveGroup(cfg))
	if err != nil {
		return r, fmt.Errorf("ask how far dead letters were dealt with: %w", err)
	}
	for p, from := range r.From {
		if o, ok := dealt.Lookup(topics.DeadLetters, p); ok {
			r.From[p] = max(from, o.At)
		}
	}
	return r, nil
}

// Run sends the open dead letters back to where they came from, each exactly once: letters, offsets and those that stay, put at the end of the
// dead-letter topic as they are, move in one Kafka transaction. It ends with the letters that were there when it began; progress is
// called after each transaction. Of two that run at once, the one that started first fails.
func (r Redrive) Run(ctx context.Context, cfg *Config, topics *kafka.Config, progress func(Redriven)) (Redriven, error) {
	var done Redriven
	open, err := openRange(ctx, cfg, topics, false)
	if err != nil {
		return done, err
	}
	for p, to := range open.To {
		if open.From[p] >= to {
			delete(open.To, p)
		}
	}
	if len(open.To) == 0 {
		return done, nil
	}
	opts, err := topics.Options()
	if err != nil {
		return done, err
	}
	txn, err := kgo.NewGroupTransactSession(append(opts, kgo.ConsumerGroup(redriveGroup(cfg)), kgo.ConsumeTopics(topics.DeadLetters),
		kgo.TransactionalID(redriveGroup(cfg)), kgo.TransactionTimeout(cfg.TxnTimeout), kgo.SessionTimeout(cfg.Session), kgo.ProducerLinger(0),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(), kgo.KeepControlRecords(), kgo.FetchMaxWait(250*time.Millisecond),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(2<<20))...)
	if err != nil {
		return done, err
	}
	defer txn.Close()
	if _, _, err := txn.Client().ProducerID(ctx); err != nil {
		return done, fmt.Errorf("claim the transactional id of the redrive: %w", err)
	}
	for len(open.To) > 0 {
		moved, reached, err := r.step(ctx, cfg, topics, txn)
		if err != nil {
			return done, err
		}
		for p, offset := range reached {
			if to, ok := open.To[p]; ok && offset >= to {
				delete(open.To, p)
				// Behind what was there at the start comes what this redrive itself let stay.
				txn.Client().PauseFetchPartitions(map[string][]int32{topics.DeadLetters: {p}})
			}
		}
		done.Redriven += moved.Redriven
		done.Kept += moved.Kept
		done.Exhausted += moved.Exhausted
		done.Foreign += moved.Foreign
		progress(done)
	}
	return done, nil
}

// step deals with what one poll gives, in one transaction. reached is the next offset of each partition, where it was committed.
func (r Redrive) step(ctx context.Context, cfg *Config, topics *kafka.Config, txn *kgo.GroupTransactSession) (moved Redriven, reached map[int32]int64, err error) {
	poll, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	fetches := txn.PollRecords(poll, cfg.TxnMaxRecords)
	if err := fetchError(fetches); err != nil {
		return moved, nil, err
	}
	if poll.Err() != nil {
		return moved, nil, fmt.Errorf("no dead letter came within a minute: %w", poll.Err())
	}
	if err := txn.Begin(); err != nil {
		return moved, nil, fmt.Errorf("begin a transaction: %w", err)
	}
	failed := kgo.AbortingFirstErrPromise(txn.Client())
	reached = map[int32]int64{}
	for records := fetches.RecordIter(); !records.Done(); {
		rec := records.Next()
		reached[rec.Partition] = rec.Offset + 1
		if !rec.Attrs.IsControl() {
			txn.Produce(ctx, r.route(rec, topics, &moved), failed.Promise())
		}
	}
	if err := txn.Client().Flush(ctx); err != nil {
		return Redriven{}, nil, fmt.Errorf("send dead letters back: %w", err)
	}
	sendErr := failed.Err()
	committed, err := txn.End(ctx, kgo.TransactionEndTry(sendErr == nil))
	if err := errors.Join(sendErr, err); err != nil {
		return Redriven{}, nil, fmt.Errorf("send dead letters back: %w", err)
	}
	if !committed {
		return Redriven{}, nil, nil // a rebalance: the same letters come again
	}
	return moved, reached, nil
}

// route is the record that a dead letter becomes: its input again, or itself at the end of the dead-letter topic.
func (r Redrive) route(rec *kgo.Record, topics *kafka.Config, moved *Redriven) *kgo.Record {
	letter, err := producer.ParseDeadLetter(rec)
	stay := &kgo.Record{Topic: topics.DeadLetters, Partition: rec.Partition, Key: rec.Key, Value: rec.Value, Headers: rec.Headers, Timestamp: rec.Timestamp}
	switch {
	case err != nil || letter.Source.Topic != topics.Transactions:
		moved.Foreign++
		return stay
	case !r.wants(letter.Class):
		moved.Kept++
		return stay
	case letter.Attempt >= r.MaxAttempts:
		moved.Exhausted++
		return stay
	}
	moved.Redriven++
	return letter.Redriven()
}

func (r Redrive) wants(class schemas.Class) bool {
	for _, c := range r.Classes {
		if c == class {
			return true
		}
	}
	return len(r.Classes) == 0
}
