package kit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
)

// Pace is a steady rate, in transactions a second.
type Pace struct {
	Start time.Time
	Rate  float64
}

// Due is when transaction n is to be sent. Latencies count from then, not from when it was sent: a producer that is held up must not hide what its
// transactions wait.
func (p Pace) Due(n int64) time.Time {
	return p.Start.Add(time.Duration(float64(n) / p.Rate * float64(time.Second)))
}

// Publish sends the simulator's transactions, each when it is due, until enough says so, and gives how many. It asks enough several times a millisecond.
func Publish(ctx context.Context, topics *kafka.Config, sim *producer.Simulator, pace Pace, enough func(now time.Time) (bool, error)) (int64, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(topics.Brokers...), kgo.DefaultProduceTopic(topics.Transactions), kgo.ProducerLinger(0))
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	var failed kgo.FirstErrPromise
	n := int64(0)
	for {
		now := time.Now()
		if stop, err := enough(now); err != nil {
			return n, err
		} else if stop {
			return n, errors.Join(cl.Flush(ctx), failed.Err())
		}
		for ; !pace.Due(n).After(now); n++ {
			e := sim.Next(make([]byte, 0, 512))
			cl.Produce(ctx, &kgo.Record{Key: e.Key, Value: e.Value, Timestamp: now}, failed.Promise())
		}
		select {
		case <-ctx.Done():
			return n, ctx.Err()
		case <-time.After(300 * time.Microsecond):
		}
	}
}

// Follow gives see the number of each transaction that has a verdict, when a reader of committed records has it, until enough says so.
func Follow(ctx context.Context, topics *kafka.Config, see func(n int64, now time.Time) error, enough func() bool) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(topics.Brokers...), kgo.ConsumeTopics(topics.Verdicts), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer cl.Close()
	for !enough() {
		poll, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		fetches := cl.PollFetches(poll)
		cancel()
		now := time.Now()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for records := fetches.RecordIter(); !records.Done(); {
			n, err := TransactionNumber(records.Next().Value)
			if err != nil {
				return err
			}
			if err := see(n, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// Quantile of values that are sorted and not empty.
func Quantile(sorted []float64, q float64) float64 { return sorted[int(q*float64(len(sorted)-1))] }

// Port is free at the moment.
func Port() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// AwaitAnswer posts an event until it is answered with 200, for a minute.
func AwaitAnswer(ctx context.Context, url string, event []byte) error {
	last := errors.New("it does not answer")
	for range 300 {
		resp, err := http.Post(url, "application/json", bytes.NewReader(event))
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(resp.Status)
		}
		last = err
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	return last
}

// connections at once, when requests go as fast as they are answered.
const connections = 64

// Asked is what came of requests.
type Asked struct {
	Late   []float64 // of each request that was answered with 200, sorted, milliseconds
	Failed int64
	Why    map[string]int64 // how often each failure: a status, or what went wrong
	Took   time.Duration
}

// Ask posts events at a rate, whatever the answers do: latencies count from when a request was due. At rate 0 it is as fast as it is answered, for length at most.
func Ask(ctx context.Context, url string, rate float64, length time.Duration, events [][]byte) Asked {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 4096, MaxConnsPerHost: 4096}}
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	var late []float64
	failures := map[string]int64{}
	ask := func(event []byte, due time.Time) {
		resp, err := client.Post(url, "application/json", bytes.NewReader(event))
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if err == nil && resp.StatusCode != http.StatusOK {
				err = errors.New(resp.Status)
			}
		}
		ms := Milliseconds(time.Since(due))
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failures[err.Error()]++
			return
		}
		late = append(late, ms)
	}
	var all sync.WaitGroup
	pace := Pace{time.Now(), rate}
	if rate > 0 {
		for i, event := range events {
			due := pace.Due(int64(i))
			time.Sleep(time.Until(due))
			if ctx.Err() != nil {
				break
			}
			all.Go(func() { ask(event, due) })
		}
	} else {
		var next atomic.Int64
		for range connections {
			all.Go(func() {
				for time.Since(pace.Start) < length && ctx.Err() == nil {
					i := next.Add(1) - 1
					if i >= int64(len(events)) {
						return
					}
					ask(events[i], time.Now())
				}
			})
		}
	}
	all.Wait()
	slices.Sort(late)
	asked := Asked{Late: late, Why: failures, Took: time.Since(pace.Start)}
	for _, n := range failures {
		asked.Failed += n
	}
	return asked
}

// Milliseconds, of which a thousandth is kept.
func Milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Metrics are the samples of a role's /metrics, by what stands before the value.
func Metrics(ctx context.Context, opsPort int) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/metrics", opsPort), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	samples := map[string]float64{}
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		at := bytes.LastIndexByte(line, ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		var v float64
		if _, err := fmt.Sscan(string(line[at+1:]), &v); err != nil {
			return nil, fmt.Errorf("/metrics: %q: %w", line, err)
		}
		samples[string(line[:at])] = v
	}
	return samples, nil
}
