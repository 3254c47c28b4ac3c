package main

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"math"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/test/bench/kit"
)

// verdict is what programs that score must agree on.
type verdict struct {
	given       bool
	probability float64
	rest        uint64 // hash of what stands behind the scores (bundle, findings, event time, source) and of the record's key, partition and timestamp
}

// verify reads what is committed, and wants every transaction of the input exactly once, and every verdict to be that of the program before: who scores has to
// do the same work.
func (b *bench) verify(ctx context.Context, topic string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.topics.Brokers...), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	seen := make([]bool, b.records)
	for left := b.records; left > 0; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("%s lacks %d of %d transactions: %w", topic, left, b.records, err)
		}
		for records := fetches.RecordIter(); !records.Done(); left-- {
			r := records.Next()
			n, err := kit.TransactionNumber(r.Value)
			if err != nil || n >= b.records || seen[n] {
				return fmt.Errorf("%s has transaction %d twice, or not of this input: %w", topic, n, err)
			}
			seen[n] = true
			if err := b.verdicts[n].agree(r); err != nil {
				return fmt.Errorf("%s, transaction %d: %w", topic, n, err)
			}
		}
	}
	return nil
}

var seed = maphash.MakeSeed()

// agree compares a verdict with the one before, and takes the first. What is no verdict, such as a copy of the input, is left alone.
func (v *verdict) agree(r *kgo.Record) error {
	_, value, scored := bytes.Cut(r.Value, []byte(`"probability":`))
	if !scored {
		return nil
	}
	text, _, _ := bytes.Cut(value, []byte(","))
	probability, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return err
	}
	_, rest, _ := bytes.Cut(value, []byte(`"bundle":`))
	if otherBundles {
		_, rest, _ = bytes.Cut(rest, []byte(`},`))
	}
	got := verdict{true, probability, maphash.String(seed, fmt.Sprintf("%s %q %d %d", rest, r.Key, r.Partition, r.Timestamp.UnixMilli()))}
	switch {
	case !v.given:
		*v = got
	case !(math.Abs(got.probability-v.probability) <= 1e-12*v.probability): // an engine may sum the trees in another order
		return fmt.Errorf("the probability is %v, another program's %v", got.probability, v.probability)
	case got.rest != v.rest:
		return fmt.Errorf("another program's verdict has another bundle, finding, time, source, key, partition or timestamp than %s", r.Value)
	}
	return nil
}
