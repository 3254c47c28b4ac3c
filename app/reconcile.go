package app

import (
	"context"
	"fmt"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// Reconciliation is what a read_committed reader finds on the topics: every input must have exactly one answer.
type Reconciliation struct {
	Transactions int64
	Verdicts     int64
	DeadLetters  int64
	Unanswered   int64 // inputs without verdict and dead letter
	Doubled      int64 // answers beyond the first for an input
	Foreign      int64 // answers to inputs that are not there
	Decisions    map[schemas.Decision]int64
}

// Exact says whether every input has exactly one answer.
func (r Reconciliation) Exact() bool {
	return r.Unanswered == 0 && r.Doubled == 0 && r.Foreign == 0 && r.Transactions == r.Verdicts+r.DeadLetters
}

// Reconcile reads the three topics from end to end and matches each answer with its input by source position.
func Reconcile(ctx context.Context, topics *kafka.Config) (Reconciliation, error) {
	r := Reconciliation{Decisions: map[schemas.Decision]int64{schemas.Approve: 0, schemas.Review: 0, schemas.Decline: 0}}
	answers := map[int32]map[int64]int{} // by input partition and offset
	err := readAll(ctx, topics, topics.Transactions, func(rec *kafka.Record) error {
		r.Transactions++
		if answers[rec.Partition] == nil {
			answers[rec.Partition] = map[int64]int{}
		}
		answers[rec.Partition][rec.Offset] = 0
		return nil
	})
	if err != nil {
		return r, err
	}
	answered := func(s schemas.Source) {
		n, ok := answers[s.Partition][s.Offset]
		if !ok || s.Topic != topics.Transactions {
			r.Foreign++
			return
		}
		if n > 0 {
			r.Doubled++
		}
		answers[s.Partition][s.Offset] = n + 1
	}
	err = readAll(ctx, topics, topics.Verdicts, func(rec *kafka.Record) error {
		v, err := schemas.ParseVerdict(rec.Value)
		if err != nil {
			return fmt.Errorf("%s partition %d offset %d: %w", rec.Topic, rec.Partition, rec.Offset, err)
		}
		r.Verdicts++
		r.Decisions[v.Decision]++
		answered(v.Source)
		return nil
	})
	if err != nil {
		return r, err
	}
	err = readAll(ctx, topics, topics.DeadLetters, func(rec *kafka.Record) error {
		d, err := producer.ParseDeadLetter(rec)
		if err != nil {
			return err
		}
		r.DeadLetters++
		answered(d.Source)
		return nil
	})
	for _, partition := range answers {
		for _, n := range partition {
			if n == 0 {
				r.Unanswered++
			}
		}
	}
	return r, err
}

func readAll(ctx context.Context, topics *kafka.Config, topic string, each func(*kafka.Record) error) error {
	whole, err := kafka.Whole(ctx, topics, topic)
	if err != nil {
		return err
	}
	return kafka.Read(ctx, topics, topic, whole, each)
}
