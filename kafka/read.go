package kafka

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Range is a part of a topic: for each partition the offsets From (included) to To (not included).
type Range struct{ From, To map[int32]int64 }

// Record is a record of a topic, for packages that do not use the client library themselves.
type Record = kgo.Record

// Whole is all that a read_committed reader may see of a topic now.
func Whole(ctx context.Context, cfg *Config, topic string) (Range, error) {
	return Settled(ctx, cfg, topic, 0)
}

// settlePoll is how often Settled looks whether transactions have ended.
const settlePoll = 20 * time.Millisecond

// Settled is Whole once the transactions that are open now have ended, or when patience is. Brokers answer a commit before readers see it: who wants to read what he knows to be committed waits.
func Settled(ctx context.Context, cfg *Config, topic string, patience time.Duration) (Range, error) {
	opts, err := cfg.Options()
	if err != nil {
		return Range{}, err
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return Range{}, err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	var r Range
	list := func(ask func(context.Context, ...string) (kadm.ListedOffsets, error)) map[int32]int64 {
		listed, failed := ask(ctx, topic)
		if failed == nil {
			failed = listed.Error()
		}
		if failed != nil {
			err = fmt.Errorf("list the offsets of %s: %w", topic, failed)
		}
		at := map[int32]int64{}
		for p, o := range listed[topic] {
			at[p] = o.Offset
		}
		return at
	}
	var ends map[int32]int64
	if patience > 0 {
		ends = list(adm.ListEndOffsets)
	}
	r.From = list(adm.ListStartOffsets)
	for until := time.Now().Add(patience); ; {
		r.To = list(adm.ListCommittedOffsets)
		open := false
		for p, end := range ends {
			open = open || r.To[p] < end
		}
		if err != nil || !open || time.Now().After(until) {
			return r, err
		}
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-time.After(settlePoll):
		}
	}
}

// Between is the part of a topic whose records have timestamps from from (included) to to (not included), as the brokers' indexes know them: a partition's range
// begins at its first record of that time or later. A zero time is the topic's begin or end.
func Between(ctx context.Context, cfg *Config, topic string, from, to time.Time) (Range, error) {
	r, err := Whole(ctx, cfg, topic)
	if err != nil {
		return Range{}, err
	}
	opts, err := cfg.Options()
	if err != nil {
		return Range{}, err
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return Range{}, err
	}
	defer cl.Close()
	for _, bound := range []struct {
		at   time.Time
		into map[int32]int64
	}{{from, r.From}, {to, r.To}} {
		if bound.at.IsZero() {
			continue
		}
		if bound.at.UnixMilli() < 0 { // brokers take negative times for something else; no record has one
			for p := range bound.into {
				bound.into[p] = r.From[p]
			}
			continue
		}
		listed, err := kadm.NewClient(cl).ListOffsetsAfterMilli(ctx, bound.at.UnixMilli(), topic)
		if err == nil {
			err = listed.Error()
		}
		if err != nil {
			return Range{}, fmt.Errorf("list the offsets of %s after %s: %w", topic, bound.at.UTC().Format(time.RFC3339), err)
		}
		for p, o := range listed[topic] {
			bound.into[p] = min(max(o.Offset, r.From[p]), r.To[p])
		}
	}
	return r, nil
}

// Len is how many offsets the range has.
func (r Range) Len() (n int64) {
	for p, to := range r.To {
		n += max(0, to-r.From[p])
	}
	return n
}

// Latest keeps the last most offsets, taken from the partitions' ends evenly; where one has few, the others give more.
func (r Range) Latest(most int64) {
	var partitions []int32
	for p, to := range r.To {
		if r.From[p] < to {
			partitions = append(partitions, p)
		}
	}
	slices.SortFunc(partitions, func(a, b int32) int {
		return cmp.Or(cmp.Compare(r.To[a]-r.From[a], r.To[b]-r.From[b]), cmp.Compare(a, b))
	})
	for i, p := range partitions { // the shortest first: what it leaves is for the rest
		share := min(r.To[p]-r.From[p], most/int64(len(partitions)-i))
		r.From[p] = r.To[p] - share
		most -= share
	}
}

// Read calls each for every committed record of the range, in offset order within a partition, and returns when it has seen all. The record is
// valid until each returns. It uses no group, and leaves nothing behind.
func Read(ctx context.Context, cfg *Config, topic string, r Range, each func(*Record) error) error {
	return read(ctx, cfg, topic, r, kgo.ReadCommitted(), each)
}

// ReadUncommitted is Read with the records of transactions that were aborted or are open.
func ReadUncommitted(ctx context.Context, cfg *Config, topic string, r Range, each func(*Record) error) error {
	return read(ctx, cfg, topic, r, kgo.ReadUncommitted(), each)
}

func read(ctx context.Context, cfg *Config, topic string, r Range, level kgo.IsolationLevel, each func(*Record) error) error {
	left := map[int32]int64{}
	from := map[int32]kgo.Offset{}
	for p, to := range r.To {
		if r.From[p] < to {
			left[p] = to
			from[p] = kgo.NewOffset().At(r.From[p])
		}
	}
	if len(left) == 0 {
		return nil
	}
	opts, err := cfg.Options()
	if err != nil {
		return err
	}
	// Control records show how far a partition is read when nothing else follows.
	cl, err := kgo.NewClient(append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}), kgo.KeepControlRecords(),
		kgo.FetchIsolationLevel(level), kgo.ConsumeResetOffset(kgo.NoResetOffset()))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	for len(left) > 0 {
		fetches := cl.PollFetches(ctx)
		if errs := fetches.Errors(); len(errs) > 0 {
			return fmt.Errorf("read %s partition %d: %w", topic, errs[0].Partition, errs[0].Err)
		}
		for records := fetches.RecordIter(); !records.Done(); {
			rec := records.Next()
			to, ok := left[rec.Partition]
			if !ok {
				continue
			}
			if rec.Offset < to && !rec.Attrs.IsControl() {
				if err := each(rec); err != nil {
					return err
				}
			}
			if rec.Offset+1 >= to {
				delete(left, rec.Partition)
				cl.PauseFetchPartitions(map[string][]int32{topic: {rec.Partition}})
			}
		}
	}
	return nil
}

// Follow calls each for every record that is committed to a topic from now on, until ctx ends.
func Follow(ctx context.Context, cfg *Config, topic string, each func(*Record)) error {
	opts, err := cfg.Options()
	if err != nil {
		return err
	}
	cl, err := kgo.NewClient(append(opts, kgo.ConsumeTopics(topic), kgo.ConsumeStartOffset(kgo.NewOffset().AtEnd()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	for ctx.Err() == nil {
		fetches := cl.PollFetches(ctx)
		if errs := fetches.Errors(); len(errs) > 0 && ctx.Err() == nil {
			return fmt.Errorf("follow %s partition %d: %w", topic, errs[0].Partition, errs[0].Err)
		}
		fetches.EachRecord(each)
	}
	return nil
}
