package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/test/bench/kit"
)

// quantiles of latencies, milliseconds.
type quantiles struct {
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p99_9_ms"`
	Max  float64 `json:"max_ms"`
}

// load is one program under a steady load, in a group and on topics of its own.
type load struct {
	program
	*settings
	rate   int
	group  string
	topics kafka.Config

	start time.Time
	first atomic.Int64 // when the first answer came, nanoseconds after the start
	late  []float64    // of each answer that counts, milliseconds
}

// due is when transaction n is to be sent. Latencies count from then, not from when it was sent: a producer that is held up must not hide what its
// transactions wait.
func (l *load) due(n int64) time.Time {
	return l.start.Add(time.Duration(float64(n) / float64(l.rate) * float64(time.Second)))
}

// from is when the measured time begins; false before the first answer.
func (l *load) from() (time.Time, bool) {
	first := l.first.Load()
	return l.start.Add(time.Duration(first) + l.warm), first > 0
}

func (l *load) run(ctx context.Context) (result, error) {
	r := result{Program: l.name, Interval: l.interval.Seconds() * 1000, Rate: l.rate}
	if _, err := kafka.LayOut(ctx, &l.topics, kafka.Layout{Partitions: int32(l.partitions), Replication: -1}, false); err != nil {
		return r, err
	}
	process, err := kit.Start(append(kit.Environment(&l.topics, l.group, "bench"), l.program.env...), l.args...)
	if err != nil {
		return r, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	l.start = time.Now()
	group, both := errgroup.WithContext(ctx)
	sent := make(chan int64, 1)
	group.Go(func() error { return l.send(both, process, sent, &r.CPU) })
	group.Go(func() error { return l.read(both, sent) })
	if err := errors.Join(group.Wait(), process.Stop()); err != nil {
		return r, err
	}
	r.quantiles = quantilesOf(l.late)
	cl, err := kgo.NewClient(kgo.SeedBrokers(l.topics.Brokers...))
	if err != nil {
		return r, err
	}
	defer cl.Close()
	_, err = kadm.NewClient(cl).DeleteTopics(ctx, l.topics.Topics()...)
	return r, err
}

// send sends every transaction when it is due, until the measured time is over, and measures the program's processor time in it.
func (l *load) send(ctx context.Context, process *kit.Process, sent chan<- int64, share *float64) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(l.topics.Brokers...), kgo.DefaultProduceTopic(l.topics.Transactions), kgo.ProducerLinger(0))
	if err != nil {
		return err
	}
	defer cl.Close()
	sim, err := producer.NewSimulator(producer.DefaultSimulator(1, 0, 0))
	if err != nil {
		return err
	}
	var failed kgo.FirstErrPromise
	n := int64(0)
	var began time.Duration // processor time at the start of the measured time
	measuring := false
	for {
		now := time.Now()
		from, flows := l.from()
		if flows && !measuring && now.After(from) {
			if began, err = kit.CPU(process.PID()); err != nil {
				return err
			}
			measuring = true
		}
		if flows && now.After(from.Add(l.length)) {
			break
		}
		for ; !l.due(n).After(now); n++ {
			e := sim.Next(make([]byte, 0, 512))
			cl.Produce(ctx, &kgo.Record{Key: e.Key, Value: e.Value, Timestamp: now}, failed.Promise())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-process.Ended():
			return errors.New("the program ended by itself")
		case <-time.After(300 * time.Microsecond):
		}
	}
	ended, err := kit.CPU(process.PID())
	if err != nil {
		return err
	}
	*share = (ended - began).Seconds() / l.length.Seconds()
	sent <- n
	return errors.Join(cl.Flush(ctx), failed.Err())
}

// read takes the answers until every transaction has one, and none has two.
func (l *load) read(ctx context.Context, sent <-chan int64) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(l.topics.Brokers...), kgo.ConsumeTopics(l.topics.Verdicts), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer cl.Close()
	seen := map[int64]bool{}
	total := int64(-1) // known once all are sent
	for total < 0 || int64(len(seen)) < total {
		poll, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		fetches := cl.PollFetches(poll)
		cancel()
		now := time.Now()
		if ctx.Err() != nil {
			return fmt.Errorf("%d of %d transactions have an answer: %w", len(seen), total, ctx.Err())
		}
		from, flows := l.from()
		for records := fetches.RecordIter(); !records.Done(); {
			n, err := kit.TransactionNumber(records.Next().Value)
			if err != nil {
				return err
			}
			if seen[n] {
				return fmt.Errorf("transaction %d has two answers", n)
			}
			seen[n] = true
			if due := l.due(n); flows && due.After(from) && due.Before(from.Add(l.length)) {
				l.late = append(l.late, float64(now.Sub(due).Microseconds())/1000)
			}
		}
		if len(seen) > 0 {
			l.first.CompareAndSwap(0, int64(now.Sub(l.start)))
		}
		select {
		case total = <-sent:
		default:
		}
	}
	return nil
}

func quantilesOf(late []float64) quantiles {
	slices.Sort(late)
	at := func(q float64) float64 { return late[int(q*float64(len(late)-1))] }
	return quantiles{at(0.5), at(0.99), at(0.999), at(1)}
}
