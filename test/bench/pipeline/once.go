package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/test/bench/kit"
)

// bench is a broker with the input on it.
type bench struct {
	topics     kafka.Config
	broker     int // its process id
	records    int64
	partitions int32
	scores     []float64 // probability of each transaction, by the first program that gave one; NaN before
}

// sample is one round of one program.
type sample struct {
	records float64 // per second
	cpu     float64 // seconds of the program's processor time per million records
	broker  float64 // the broker's
	mib     float64 // peak resident memory of the program
}

func (b *bench) layout() kafka.Layout { return kafka.Layout{Partitions: b.partitions, Replication: -1} }

// once runs one program over the whole input, in a group and with output topics of its own, and counts what it wrote.
func (b *bench) once(ctx context.Context, p program, id string) (s sample, err error) {
	topics := b.topics
	topics.Verdicts, topics.DeadLetters = "verdicts."+id, "dlq."+id
	if _, err := kafka.LayOut(ctx, &topics, b.layout(), false); err != nil {
		return s, err
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(topics.Brokers...))
	if err != nil {
		return s, err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	process, err := kit.Start(append(kit.Environment(&topics, id, "bench"), p.env...), p.args...)
	if err != nil {
		return s, err
	}
	s, err = b.watch(ctx, adm, process, id)
	if err := errors.Join(err, process.Stop()); err != nil {
		return s, err
	}
	if p.writes {
		if err := b.verify(ctx, topics.Verdicts); err != nil {
			return s, err
		}
	}
	_, err = adm.DeleteTopics(ctx, topics.Verdicts, topics.DeadLetters)
	return s, err
}

// watch measures from the first commit that it sees to the last, so that a runtime's start does not count.
func (b *bench) watch(ctx context.Context, adm *kadm.Client, process *kit.Process, group string) (s sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	var began, ended time.Time
	var first, last int64
	var cpu, broker [2]time.Duration
	for last < b.records {
		select {
		case <-ctx.Done():
			return s, fmt.Errorf("%d of %d records are committed: %w", last, b.records, ctx.Err())
		case <-process.Ended():
			return s, fmt.Errorf("ended by itself when %d of %d records were committed", last, b.records)
		case <-time.After(20 * time.Millisecond):
		}
		offsets, err := adm.FetchOffsets(ctx, group)
		if err != nil {
			continue // the group's coordinator is only just made
		}
		last, ended = 0, time.Now()
		for _, o := range offsets[b.topics.Transactions] {
			last += max(o.At, 0) // the input is not transactional: every offset is a record
		}
		at := 1
		if first == 0 {
			if last == 0 {
				continue
			}
			at, first, began = 0, last, ended
		}
		if cpu[at], err = kit.CPU(process.PID()); err != nil {
			return s, err
		}
		if broker[at], err = kit.CPU(b.broker); err != nil {
			return s, err
		}
	}
	if s.mib, err = kit.PeakMiB(process.PID()); err != nil {
		return s, err
	}
	n := float64(b.records - first)
	s.records = n / ended.Sub(began).Seconds()
	s.cpu, s.broker = (cpu[1]-cpu[0]).Seconds()/n*1e6, (broker[1]-broker[0]).Seconds()/n*1e6
	return s, nil
}

// verify reads what is committed, and wants every transaction of the input exactly once, and every verdict's probability to be that of the program before:
// who scores has to do the same work. The last bits may differ, as the exponential functions of languages do.
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
			value := records.Next().Value
			n, err := kit.TransactionNumber(value)
			if err != nil || n >= b.records || seen[n] {
				return fmt.Errorf("%s has transaction %d twice, or not of this input: %w", topic, n, err)
			}
			seen[n] = true
			p, scored, err := probability(value)
			switch {
			case err != nil:
				return fmt.Errorf("%s, transaction %d: %w", topic, n, err)
			case scored && math.IsNaN(b.scores[n]):
				b.scores[n] = p
			case scored && math.Abs(p-b.scores[n]) > 1e-12*b.scores[n]:
				return fmt.Errorf("%s: the probability of transaction %d is %v, another program's %v", topic, n, p, b.scores[n])
			}
		}
	}
	return nil
}

// probability of a verdict; false for what is none, such as a copy of the input.
func probability(value []byte) (p float64, scored bool, err error) {
	_, value, scored = bytes.Cut(value, []byte(`"probability":`))
	if !scored {
		return 0, false, nil
	}
	value, _, _ = bytes.Cut(value, []byte(","))
	p, err = strconv.ParseFloat(string(value), 64)
	return p, true, err
}
