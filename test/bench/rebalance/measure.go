package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/test/bench/kit"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// settle is how long the load goes on after an event before it counts as over.
const settle = 4 * time.Second

func measure(ctx context.Context, r *kit.Run, s *settings) ([]result, error) {
	binary, err := r.Build(ctx)
	if err != nil {
		return nil, err
	}
	r.Logf("starting Kafka")
	brokers := rig.PrivateKafka(r, 1).Brokers
	stalls := map[string][]float64{}
	var order []string
	for round := range s.rounds {
		for i, variant := range s.variants {
			one := &scene{settings: s, binary: binary, env: strings.Fields(variant), id: fmt.Sprintf("r%d-%d", round, i)}
			one.topics = kafka.Config{Brokers: brokers, Transactions: "in." + one.id, Verdicts: "out." + one.id, DeadLetters: "dlq." + one.id, Compression: "snappy"}
			err := one.play(ctx, func(event string, longest time.Duration) {
				r.Logf("round %d of %d, %s, %s: %d ms", round+1, s.rounds, variant, event, longest.Milliseconds())
				key := variant + "\t" + event
				if !slices.Contains(order, key) {
					order = append(order, key)
				}
				stalls[key] = append(stalls[key], float64(longest.Milliseconds()))
			})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", variant, err)
			}
		}
	}
	return summarize(order, stalls), nil
}

// scene is a group of scorers under load, on topics of its own.
type scene struct {
	*settings
	binary string
	env    []string
	id     string
	topics kafka.Config

	mu      sync.Mutex
	longest time.Duration // from a transaction's timestamp to its verdict, since the last event began
}

// scorer is one process.
type scorer struct {
	name    string
	ops     string // host:port
	process *kit.Process
}

func (s *scene) play(ctx context.Context, seen func(event string, longest time.Duration)) error {
	if _, err := kafka.LayOut(ctx, &s.topics, kafka.Layout{Partitions: int32(s.partitions), Replication: -1}, false); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return ignoreEnd(ctx, s.read(ctx)) })
	group.Go(func() error {
		_, err := producer.Produce(ctx, &s.topics, producer.ProduceConfig{Simulator: producer.DefaultSimulator(1, 0, 0), Rate: s.rate}, func() {})
		return ignoreEnd(ctx, err)
	})
	group.Go(func() error {
		defer cancel()
		return s.events(ctx, seen)
	})
	return group.Wait()
}

func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// events happen one after the other, each with time to settle.
func (s *scene) events(ctx context.Context, seen func(string, time.Duration)) error {
	var all []*scorer
	defer func() {
		for _, one := range all {
			one.process.Stop()
		}
	}()
	for i := range s.processes {
		one, err := s.start(ctx, fmt.Sprintf("score-%d", i))
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	if err := pause(ctx, 2*settle); err != nil { // what waited before the start is answered
		return err
	}
	event := func(name string, happen func() error) error {
		s.reset()
		if err := happen(); err != nil {
			return err
		}
		if err := pause(ctx, settle); err != nil {
			return err
		}
		seen(name, s.reset())
		return nil
	}
	if err := event("none", func() error { return nil }); err != nil {
		return err
	}
	for i := range all {
		if err := event("rolling restart", func() error { return s.restart(ctx, &all[i], syscall.SIGTERM) }); err != nil {
			return err
		}
	}
	if err := event("kill -9 and restart", func() error { return s.restart(ctx, &all[0], syscall.SIGKILL) }); err != nil {
		return err
	}
	if err := event("one joins", func() error {
		one, err := s.start(ctx, "score-more")
		if err == nil {
			all = append(all, one)
		}
		return err
	}); err != nil {
		return err
	}
	return event("one leaves", func() error {
		last := all[len(all)-1]
		all = all[:len(all)-1]
		return last.process.Stop()
	})
}

// restart ends a process and starts it again under its name.
func (s *scene) restart(ctx context.Context, one **scorer, signal syscall.Signal) error {
	if signal == syscall.SIGKILL {
		(*one).process.Kill()
	} else if err := (*one).process.Stop(); err != nil {
		return err
	}
	next, err := s.start(ctx, (*one).name)
	if err == nil {
		*one = next
	}
	return err
}

// start starts a scorer, and returns when it is ready.
func (s *scene) start(ctx context.Context, name string) (*scorer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ops := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(ops)
	process, err := kit.Start(append(append(kit.Environment(&s.topics, s.id, name), "BUNDLE_DIR=sample", "OPS_PORT="+port), s.env...), s.binary, "score")
	if err != nil {
		return nil, err
	}
	for {
		resp, err := http.Get("http://" + ops + "/ready")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return &scorer{name, ops, process}, nil
			}
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			process.Kill()
			return nil, fmt.Errorf("%s does not become ready: %w", name, err)
		}
	}
}

// read keeps the longest time that a verdict took.
func (s *scene) read(ctx context.Context) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.topics.Brokers...), kgo.ConsumeTopics(s.topics.Verdicts), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return err
	}
	defer cl.Close()
	for {
		fetches := cl.PollFetches(ctx)
		now := time.Now()
		if err := fetches.Err0(); err != nil {
			return err
		}
		s.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) { s.longest = max(s.longest, now.Sub(r.Timestamp)) })
		s.mu.Unlock()
	}
}

// reset gives the longest time since the reset before.
func (s *scene) reset() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	longest := s.longest
	s.longest = 0
	return longest
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
