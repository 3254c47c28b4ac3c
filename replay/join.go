package replay

import (
	"context"
	"fmt"
	"time"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// recorded is a verdict as it stands on its topic.
type recorded struct {
	verdict   schemas.Verdict
	value     []byte // its bytes; kept where answers are to be compared byte by byte
	key       []byte
	timestamp int64 // Unix milliseconds
	position  int64 // offset in the topic of verdicts
}

// verdicts of one partition, in the order of their inputs, read while inputs are.
type verdicts struct {
	blocks <-chan []recorded
	failed func() error
	now    []recorded
}

// verdictsAtOnce is how many go from their reader to the join at once.
const verdictsAtOnce = 512

// follow reads the verdicts of a partition's inputs from an offset on. The topic of verdicts has them in the inputs' order: who answers a partition does so in its order.
func follow(ctx context.Context, cfg *kafka.Config, partition int32, from, to int64, whole kafka.Range, bytes bool) (*verdicts, error) {
	start, err := firstOf(ctx, cfg, partition, from, whole)
	if err != nil {
		return nil, err
	}
	blocks := make(chan []recorded, 4)
	var failed error
	part := kafka.Range{From: map[int32]int64{partition: start}, To: map[int32]int64{partition: whole.To[partition]}}
	go func() {
		defer close(blocks)
		block := make([]recorded, 0, verdictsAtOnce)
		send := func() error {
			select {
			case blocks <- block:
			case <-ctx.Done():
				return ctx.Err()
			}
			block = make([]recorded, 0, verdictsAtOnce)
			return nil
		}
		failed = kafka.Read(ctx, cfg, cfg.Verdicts, part, func(r *kafka.Record) error {
			v, err := schemas.ParseVerdict(r.Value)
			if err != nil {
				return fmt.Errorf("%s partition %d offset %d: %w", r.Topic, r.Partition, r.Offset, err)
			}
			if v.Source.Offset < from {
				return nil
			}
			if v.Source.Offset >= to {
				return errEnough
			}
			one := recorded{verdict: v, timestamp: r.Timestamp.UnixMilli(), position: r.Offset}
			if bytes {
				one.value, one.key = r.Value, r.Key
			}
			if block = append(block, one); len(block) == verdictsAtOnce {
				return send()
			}
			return nil
		})
		if failed == errEnough {
			failed = nil
		}
		if failed == nil && len(block) > 0 {
			failed = send()
		}
	}()
	return &verdicts{blocks: blocks, failed: func() error { return failed }}, nil
}

var errEnough = fmt.Errorf("enough")

// until gives all verdicts whose inputs stand at or before an offset and were not given yet; the slice is valid until the next call.
func (v *verdicts) until(offset int64, each func(*recorded)) error {
	for {
		for len(v.now) > 0 {
			if v.now[0].verdict.Source.Offset > offset {
				return nil
			}
			each(&v.now[0])
			v.now = v.now[1:]
		}
		block, ok := <-v.blocks
		if !ok {
			return v.failed()
		}
		v.now = block
	}
}

// firstOf finds where in the topic of verdicts those of the inputs from an offset on begin, by bisection: a partition's verdicts are in the order of their inputs.
func firstOf(ctx context.Context, cfg *kafka.Config, partition int32, from int64, whole kafka.Range) (int64, error) {
	low, high := whole.From[partition], whole.To[partition] // the answer is within, or at its end
	for high-low > bisectUntil {
		middle := low + (high-low)/2
		at, source, err := peek(ctx, cfg, partition, middle, high)
		if err != nil {
			return 0, err
		}
		switch {
		case at < 0 || source >= from: // at < 0: nothing stands there but ends of transactions
			high = middle
		default:
			low = at + 1
		}
	}
	return low, nil
}

// bisectUntil is how many offsets are read through rather than halved again.
const bisectUntil = 5000

// peek gives the first verdict at an offset or later, and of which input it is; -1 where there is none before to.
func peek(ctx context.Context, cfg *kafka.Config, partition int32, at, to int64) (position, source int64, err error) {
	position = -1
	one := kafka.Range{From: map[int32]int64{partition: at}, To: map[int32]int64{partition: to}}
	err = kafka.Read(ctx, cfg, cfg.Verdicts, one, func(r *kafka.Record) error {
		v, err := schemas.ParseVerdict(r.Value)
		if err != nil {
			return fmt.Errorf("%s partition %d offset %d: %w", r.Topic, r.Partition, r.Offset, err)
		}
		position, source = r.Offset, v.Source.Offset
		return errEnough
	})
	if err == errEnough {
		err = nil
	}
	return position, source, err
}

// letter is what the dead-letter topic has of an input.
type letter struct {
	class  schemas.Class
	bundle string
	count  int
	first  int // attempt
}

// settlePatience bounds the wait for transactions that are open: scorers' are for less, unless CONSUMER_TXN_TIMEOUT is above it.
const settlePatience = 20 * time.Second

// settled is what stands on a topic of answers once the transactions that are open now have ended. An answer may be committed, and the group know it, a moment before readers see it: it is not missing.
func settled(ctx context.Context, cfg *kafka.Config, topic string) (kafka.Range, error) {
	return kafka.Settled(ctx, cfg, topic, settlePatience)
}

// maxLetters bounds their memory.
const maxLetters = 5_000_000

// readLetters reads the dead letters of inputs of a range. They are few; a redrive puts those that it does not send at the end of the topic again, so that they have no order, and one may stand there
// several times.
func readLetters(ctx context.Context, cfg *kafka.Config, topic string, within kafka.Range) (map[int32]map[int64]*letter, error) {
	whole, err := settled(ctx, cfg, cfg.DeadLetters)
	if err != nil {
		return nil, err
	}
	all := map[int32]map[int64]*letter{}
	n := 0
	err = kafka.Read(ctx, cfg, cfg.DeadLetters, whole, func(r *kafka.Record) error {
		d, err := producer.ParseDeadLetter(r)
		if err != nil {
			return err
		}
		p := d.Source.Partition
		if d.Source.Topic != topic || d.Source.Offset < within.From[p] || d.Source.Offset >= within.To[p] {
			return nil
		}
		if all[p] == nil {
			all[p] = map[int64]*letter{}
		}
		if known := all[p][d.Source.Offset]; known != nil {
			known.count++
			return nil
		}
		if n++; n > maxLetters {
			return fmt.Errorf("more than %d dead letters: replay a shorter time", maxLetters)
		}
		all[p][d.Source.Offset] = &letter{class: d.Class, bundle: d.Bundle, count: 1, first: d.Attempt}
		return nil
	})
	return all, err
}
