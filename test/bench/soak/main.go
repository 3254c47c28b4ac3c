// Command soak has one scorer work at full speed on a real Kafka for minutes, and records once a second how fast it is, how much memory it has, and
// how far it is behind. Transactions are produced all the while, at most -ahead of what is answered, so that there is always a lag; the topics
// are short, so that disk does not fill.
//
//	go run ./test/bench/soak -bundle DIR [-for 10m] [-ahead 2000000] [-json]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/test/bench/kit"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// point is one look at the scorer.
type point struct {
	Seconds  float64 `json:"seconds"`
	Answered int64   `json:"answered"` // transactions, in all
	Lag      int64   `json:"lag"`      // transactions produced and not answered
	MiB      float64 `json:"resident_mib"`
}

// summary compares the memory at the start with that at the end.
type summary struct {
	Points  []point `json:"points"`
	Records float64 `json:"records_per_second"`
	First   float64 `json:"resident_mib_second_minute"` // the highest of the time in which the memory has grown to its size
	Last    float64 `json:"resident_mib_last_minute"`   // the highest
}

func main() {
	bundle := flag.String("bundle", "", "folder of the bundle to score with")
	length := flag.Duration("for", 10*time.Minute, "time, at least 3m")
	ahead := flag.Int64("ahead", 2_000_000, "transactions that are produced before they are answered, at most")
	asJSON := flag.Bool("json", false, "print JSON, all points")
	flag.Parse()
	kit.Main("bench-soak", func(ctx context.Context, r *kit.Run) error {
		if *length < 3*time.Minute {
			return errors.New("-for: give it 3m or more, the second minute is compared with the last")
		}
		s := &soak{r: r, length: *length, ahead: *ahead}
		points, err := s.run(ctx, *bundle)
		if err != nil {
			return err
		}
		sum := summarize(points)
		if *asJSON {
			return json.NewEncoder(os.Stdout).Encode(sum)
		}
		fmt.Printf("%.0f records/s over %v; resident at most %.0f MiB in the second minute, %.0f MiB in the last\nlast_vs_first=%.2f\n",
			sum.Records, *length, sum.First, sum.Last, sum.Last/sum.First)
		return nil
	})
}

func summarize(points []point) summary {
	last := points[len(points)-1]
	s := summary{Points: points, Records: float64(last.Answered) / last.Seconds}
	for _, p := range points {
		if p.Seconds >= 60 && p.Seconds < 120 {
			s.First = max(s.First, p.MiB)
		}
		if p.Seconds >= last.Seconds-60 {
			s.Last = max(s.Last, p.MiB)
		}
	}
	return s
}

const group = "soak"

type soak struct {
	r        *kit.Run
	length   time.Duration
	ahead    int64
	topics   kafka.Config
	answered atomic.Int64
	produced atomic.Int64
}

func (s *soak) run(ctx context.Context, bundle string) ([]point, error) {
	dir, err := filepath.Abs(bundle)
	if err != nil {
		return nil, err
	}
	binary, err := s.r.Build(ctx)
	if err != nil {
		return nil, err
	}
	cluster := rig.PrivateKafka(s.r, 1, "log.segment.bytes=67108864", "log.retention.bytes=536870912", "log.retention.check.interval.ms=5000", "log.segment.delete.delay.ms=1000")
	s.topics = kafka.Config{Brokers: cluster.Brokers, Transactions: "transactions", Verdicts: "verdicts", DeadLetters: "transactions.dlq", Compression: "snappy"}
	if _, err := kafka.LayOut(ctx, &s.topics, kafka.Layout{Partitions: 6, Replication: -1}, false); err != nil {
		return nil, err
	}
	process, err := kit.Start(append(kit.Environment(&s.topics, group, "soak"), "BUNDLE_DIR="+dir), binary, "score")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error {
		err := s.produce(ctx)
		if ctx.Err() != nil {
			return nil
		}
		return err
	})
	var points []point
	both.Go(func() (err error) {
		defer cancel()
		points, err = s.watch(ctx, process)
		return err
	})
	err = errors.Join(both.Wait(), process.Stop())
	return points, err
}

// produce sends as fast as it can, and waits when it is too far ahead: the callback holds up the client, and the client the producer.
func (s *soak) produce(ctx context.Context) error {
	_, err := producer.Produce(ctx, &s.topics, producer.ProduceConfig{Simulator: producer.DefaultSimulator(1, 0, 0)}, func() {
		for s.produced.Add(1); s.produced.Load()-s.answered.Load() > s.ahead && ctx.Err() == nil; {
			time.Sleep(10 * time.Millisecond)
		}
	})
	return err
}

func (s *soak) watch(ctx context.Context, process *kit.Process) ([]point, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.topics.Brokers...))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	var points []point
	start, tick := time.Now(), time.NewTicker(time.Second)
	defer tick.Stop()
	for time.Since(start) < s.length {
		select {
		case <-ctx.Done():
			return points, context.Cause(ctx)
		case <-process.Ended():
			return points, errors.New("the scorer ended by itself")
		case <-tick.C:
		}
		offsets, err := kadm.NewClient(cl).FetchOffsets(ctx, group)
		if err != nil {
			continue // the group is only just made
		}
		answered := int64(0)
		for _, o := range offsets[s.topics.Transactions] {
			answered += max(o.At, 0)
		}
		s.answered.Store(answered)
		p := point{Seconds: time.Since(start).Seconds(), Answered: answered, Lag: s.produced.Load() - answered}
		if p.MiB, err = kit.ResidentMiB(process.PID()); err != nil {
			return points, err
		}
		points = append(points, p)
		if len(points)%10 == 0 {
			s.r.Logf("%4.0f s: %d answered, %d behind, %.0f MiB", p.Seconds, p.Answered, p.Lag, p.MiB)
		}
	}
	return points, nil
}
