package main

import (
	"context"
	"errors"
	"fmt"
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
	verdicts   []verdict // on each transaction, by the first program that gave one
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
