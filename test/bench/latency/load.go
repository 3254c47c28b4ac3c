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

	kit.Pace
	first atomic.Int64 // when the first answer came, nanoseconds after the start
	late  []float64    // of each answer that counts, milliseconds
}

// from is when the measured time begins; false before the first answer.
func (l *load) from() (time.Time, bool) {
	first := l.first.Load()
	return l.Start.Add(time.Duration(first) + l.warm), first > 0
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
	l.Pace = kit.Pace{Start: time.Now(), Rate: float64(l.rate)}
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
	sim, err := producer.NewSimulator(producer.DefaultSimulator(1, 0, 0))
	if err != nil {
		return err
	}
	var began time.Duration // processor time at the start of the measured time
	measuring := false
	n, err := kit.Publish(ctx, &l.topics, sim, l.Pace, func(now time.Time) (bool, error) {
		select {
		case <-process.Ended():
			return true, errors.New("the program ended by itself")
		default:
		}
		from, flows := l.from()
		if flows && !measuring && now.After(from) {
			measuring = true
			if began, err = kit.CPU(process.PID()); err != nil {
				return true, err
			}
		}
		if !flows || !now.After(from.Add(l.length)) {
			return false, nil
		}
		ended, err := kit.CPU(process.PID())
		*share = (ended - began).Seconds() / l.length.Seconds()
		return true, err
	})
	sent <- n
	return err
}

// read takes the answers until every transaction has one, and none has two.
func (l *load) read(ctx context.Context, sent <-chan int64) error {
	seen := map[int64]bool{}
	total := int64(-1) // known once all are sent
	err := kit.Follow(ctx, &l.topics, func(n int64, now time.Time) error {
		if seen[n] {
			return fmt.Errorf("transaction %d has two answers", n)
		}
		seen[n] = true
		l.first.CompareAndSwap(0, int64(now.Sub(l.Start)))
		from, flows := l.from()
		if due := l.Due(n); flows && due.After(from) && due.Before(from.Add(l.length)) {
			l.late = append(l.late, kit.Milliseconds(now.Sub(due)))
		}
		return nil
	}, func() bool {
		select {
		case total = <-sent:
		default:
		}
		return total >= 0 && int64(len(seen)) >= total
	})
	if err != nil {
		return fmt.Errorf("%d of %d transactions have an answer: %w", len(seen), total, err)
	}
	return nil
}

func quantilesOf(late []float64) quantiles {
	slices.Sort(late)
	return quantiles{kit.Quantile(late, 0.5), kit.Quantile(late, 0.99), kit.Quantile(late, 0.999), kit.Quantile(late, 1)}
}
