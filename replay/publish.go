package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// HeaderReplay tells a replayed verdict from a live one: the topic of its inputs.
const HeaderReplay = "mlmonitor.replay"

// publishedAtOnce is how many verdicts go in one transaction.
const publishedAtOnce = 4096

// publishTimeout bounds a transaction.
const publishTimeout = time.Minute

// Published is what a backfill came to.
type Published struct {
	Topic     string     `json:"topic"`
	Verdicts  int64      `json:"verdicts"`  // that this run published
	Refused   int64      `json:"refused"`   // inputs without a verdict: they are not published
	Continued int64      `json:"continued"` // partitions in which an earlier run had begun
	Parts     []PartDone `json:"parts"`
}

// Publish writes the verdicts of a range of inputs under a bundle to another topic, of as many partitions, exactly once: a partition's verdicts are in the order of its inputs and published in transactions, so
// that the last one there says where to go on. It may be killed and started again with the same range, until it returns nil; what already stands there under another bundle is an error.
func Publish(ctx context.Context, cfg *kafka.Config, within kafka.Range, b *scorer.Bundle, topic string, workers int, seen func(int)) (*Published, error) {
	if slices.Contains([]string{cfg.Transactions, cfg.Verdicts, cfg.DeadLetters, cfg.Shadow, cfg.Models}, topic) {
		return nil, fmt.Errorf("%s is a topic that live scoring uses: publish to another", topic)
	}
	target, err := kafka.Whole(ctx, cfg, topic)
	if err != nil {
		return nil, fmt.Errorf("%w: create %s with the partitions of %s", err, topic, cfg.Transactions)
	}
	for p := range within.To {
		if _, ok := target.To[p]; !ok {
			return nil, fmt.Errorf("%s has no partition %d: give it as many as %s has", topic, p, cfg.Transactions)
		}
	}
	total := &Published{Topic: topic}
	var verdicts, refused, continued atomic.Int64
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(max(1, workers))
	parts := FromTopic(cfg, cfg.Transactions, within).Parts
	done := make([]PartDone, len(parts))
	for i, part := range parts {
		group.Go(func() error {
			p := &publisher{cfg: cfg, topic: topic, part: part, bundle: b, seen: seen}
			err := p.run(inner)
			verdicts.Add(p.verdicts)
			refused.Add(p.refused)
			if p.next > part.From {
				continued.Add(1)
			}
			done[i] = PartDone{cfg.Transactions, part.Partition, part.From, part.To, p.verdicts + p.refused}
			return err
		})
	}
	if err = group.Wait(); err == nil {
		_, err = settled(ctx, cfg, topic) // who reads it now reads all of it
	}
	total.Verdicts, total.Refused, total.Continued, total.Parts = verdicts.Load(), refused.Load(), continued.Load(), done
	return total, err
}

// publisher writes one partition.
type publisher struct {
	cfg               *kafka.Config
	topic             string
	part              Part
	bundle            *scorer.Bundle
	seen              func(int)
	client            *kgo.Client
	next              int64 // offset of the first input that is not published
	verdicts, refused int64
}

func (p *publisher) run(ctx context.Context) error {
	opts, err := p.cfg.Options()
	if err != nil {
		return err
	}
	id := fmt.Sprintf("mlmonitor-replay-%s-%d", p.topic, p.part.Partition)
	if p.client, err = kgo.NewClient(append(opts, kgo.TransactionalID(id), kgo.TransactionTimeout(publishTimeout), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))...); err != nil {
		return err
	}
	defer p.client.Close()
	// First of all: it aborts what an earlier run left open, and that run can write no more.
	claim, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if _, _, err := p.client.ProducerID(claim); err != nil {
		return fmt.Errorf("claim the transactional id %s: %w", id, err)
	}
	if p.next, err = p.resume(ctx); err != nil {
		return err
	}
	if p.next >= p.part.To {
		return nil
	}
	left := FromTopic(p.cfg, p.cfg.Transactions, kafka.Range{From: map[int32]int64{p.part.Partition: p.next}, To: map[int32]int64{p.part.Partition: p.part.To}})
	s := p.bundle.NewScorer()
	var waiting []*kgo.Record
	flush := func() error {
		if len(waiting) == 0 {
			return nil
		}
		outcomes, err := s.Score()
		if err == nil {
			err = p.commit(ctx, waiting, outcomes)
		}
		if p.seen != nil {
			p.seen(len(waiting))
		}
		s.Reset()
		waiting = waiting[:0]
		return err
	}
	for _, part := range left.Parts {
		err := part.read(ctx, func(in *Input) error {
			s.Add(in.Value, in.Timestamp)
			waiting = append(waiting, &kgo.Record{Key: in.Key, Timestamp: in.Timestamp, Partition: in.Partition, Offset: in.Offset, Topic: p.cfg.Transactions})
			if len(waiting) == publishedAtOnce {
				return flush()
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return flush()
}

// resume says where to go on: after the input of the last verdict that stands in the partition.
func (p *publisher) resume(ctx context.Context) (int64, error) {
	whole, err := kafka.Whole(ctx, p.cfg, p.topic)
	if err != nil {
		return 0, err
	}
	from, to := whole.From[p.part.Partition], whole.To[p.part.Partition]
	for back := int64(16); ; back *= 16 { // ends of transactions stand there too
		begin := max(from, to-back)
		last := kafka.Range{From: map[int32]int64{p.part.Partition: begin}, To: map[int32]int64{p.part.Partition: to}}
		next := int64(-1)
		err := kafka.Read(ctx, p.cfg, p.topic, last, func(r *kafka.Record) error {
			v, err := schemas.ParseVerdict(r.Value)
			if err != nil {
				return fmt.Errorf("%s partition %d offset %d is no verdict: %w: publish to a topic of its own", p.topic, r.Partition, r.Offset, err)
			}
			if v.Bundle != p.bundle.ID || v.Source.Topic != p.cfg.Transactions || v.Source.Offset < p.part.From || v.Source.Offset >= p.part.To {
				return fmt.Errorf("%s partition %d offset %d is of another replay (%s, %s offset %d): publish to a topic of its own", p.topic, r.Partition, r.Offset, v.Bundle.Digest, v.Source.Topic, v.Source.Offset)
			}
			next = v.Source.Offset + 1
			return nil
		})
		if err != nil || next >= 0 {
			return next, err
		}
		if begin == from {
			return p.part.From, nil
		}
	}
}

// commit publishes the verdicts of inputs in one transaction.
func (p *publisher) commit(ctx context.Context, inputs []*kgo.Record, outcomes []scorer.Outcome) error {
	if err := p.client.BeginTransaction(); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	var failed atomic.Pointer[error]
	digest := []byte(p.bundle.ID.Digest)
	n := int64(0)
	for i := range outcomes {
		if outcomes[i].Err != nil {
			p.refused++
			continue
		}
		in, v := inputs[i], &outcomes[i].Verdict
		v.Source = schemas.Source{Topic: in.Topic, Partition: in.Partition, Offset: in.Offset}
		payload, err := v.Append(nil)
		if err != nil {
			return errors.Join(err, p.abort())
		}
		out := &kgo.Record{}
		producer.SetVerdict(out, in, p.topic, payload, digest, nil)
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: HeaderReplay, Value: []byte(p.cfg.Transactions)})
		p.client.Produce(bounded, out, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		})
		n++
	}
	err := p.client.Flush(bounded)
	if f := failed.Load(); f != nil && err == nil {
		err = *f
	}
	if err != nil {
		return errors.Join(fmt.Errorf("publish to %s: %w", p.topic, err), p.abort())
	}
	if err := p.client.EndTransaction(bounded, kgo.TryCommit); err != nil {
		return fmt.Errorf("commit to %s: %w", p.topic, err)
	}
	p.verdicts += n
	return nil
}

// abort leaves nothing of the open transaction, also when ctx has ended.
func (p *publisher) abort() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(p.client.AbortBufferedRecords(ctx), p.client.EndTransaction(ctx, kgo.TryAbort))
}
