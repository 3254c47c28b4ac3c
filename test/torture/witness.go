package torture

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// witness reads the three topics as any consumer downstream would, read_committed, and tells the ledger. For every input it works out the answer on
// its own, one by one: the clean replay that the answers are held against.
type witness struct {
	topics *kafka.Config
	ledger *Ledger
	client *kgo.Client
	scorer *scorer.Scorer // under the first of models
	models models
	done   chan struct{}

	mu   sync.Mutex
	read map[string]map[int32]int64 // offset behind the last record or marker, by topic and partition
}

func newWitness(ctx context.Context, topics *kafka.Config, ledger *Ledger, swapped *swapped) (*witness, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(topics.Brokers...), kgo.ConsumeTopics(append(topics.Topics(), topics.Models)...), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.MetadataMaxAge(5*time.Second), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return nil, err
	}
	w := &witness{topics: topics, ledger: ledger, client: cl, scorer: swapped.bundles[0].NewScorer(), models: newModels(swapped, topics.Transactions), done: make(chan struct{}), read: map[string]map[int32]int64{}}
	go w.run(ctx)
	return w, nil
}

func (w *witness) close() {
	w.client.Close()
	<-w.done
}

func (w *witness) run(ctx context.Context) {
	defer close(w.done)
	for {
		fetches := w.client.PollFetches(ctx)
		if fetches.IsClientClosed() || ctx.Err() != nil {
			return
		}
		now := time.Now()
		fetches.EachError(func(topic string, p int32, err error) {
			if lost := new(kgo.ErrDataLoss); errors.As(err, &lost) {
				w.ledger.report("topic", fmt.Sprintf("%s partition %d: %v", topic, p, err)) // acknowledged records are gone
			}
		})
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			for _, r := range p.Records {
				if !r.Attrs.IsControl() {
					w.note(r, now)
				}
				w.step(r)
			}
		})
	}
}

func (w *witness) step(r *kgo.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.read[r.Topic] == nil {
		w.read[r.Topic] = map[int32]int64{}
	}
	w.read[r.Topic][r.Partition] = r.Offset + 1
}

// position is the offset behind the last record or marker read.
func (w *witness) position(topic string, partition int32) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.read[topic][partition]
}

func (w *witness) note(r *kgo.Record, now time.Time) {
	switch r.Topic {
	case w.topics.Transactions:
		w.ledger.Input(r.Partition, r.Offset, now, w.expected(r))
	case w.topics.Verdicts:
		v, err := schemas.ParseVerdict(r.Value)
		if err != nil {
			w.ledger.report("payload", fmt.Sprintf("verdicts partition %d offset %d is no verdict: %v", r.Partition, r.Offset, err))
			return
		}
		w.ledger.Verdict(r.Partition, r.Offset, r.Key, r.Value)
		// The answers that are expected are under the first bundle; another one's differ in nothing but its name.
		value, err := w.models.verdict(v.Source.Partition, v.Source.Offset, v.Bundle, r.Value)
		if err != nil {
			w.ledger.report("models", err.Error())
		}
		w.ledger.Answered(r.Partition, v.Source.Partition, v.Source.Offset, now, &Answer{Key: r.Key, Timestamp: r.Timestamp.UnixMilli(), Value: value})
	case w.topics.Models:
		if err := w.models.event(r.Value); err != nil {
			w.ledger.report("models", fmt.Sprintf("models offset %d: %v", r.Offset, err))
		}
	case w.topics.DeadLetters:
		d, err := producer.ParseDeadLetter(r)
		if err != nil {
			w.ledger.report("payload", fmt.Sprintf("dead letter at partition %d offset %d: %v", r.Partition, r.Offset, err))
			return
		}
		w.ledger.Answered(r.Partition, d.Source.Partition, d.Source.Offset, now,
			&Answer{Dead: true, Class: string(d.Class), Key: r.Key, Timestamp: r.Timestamp.UnixMilli(), Value: r.Value})
	}
}

// expected is the answer that an input must get.
func (w *witness) expected(r *kgo.Record) *Answer {
	a := &Answer{Key: r.Key, Timestamp: r.Timestamp.UnixMilli()}
	w.scorer.Reset()
	w.scorer.Add(r.Value, r.Timestamp)
	outcomes, err := w.scorer.Score()
	if err != nil {
		w.ledger.report("witness", err.Error())
		return a
	}
	o := &outcomes[0]
	if o.Err != nil {
		a.Dead, a.Class, a.Value = true, string(o.Err.Class), r.Value
		return a
	}
	o.Verdict.Source = schemas.Source{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
	if a.Value, err = o.Verdict.Append(nil); err != nil {
		w.ledger.report("witness", err.Error())
	}
	return a
}
