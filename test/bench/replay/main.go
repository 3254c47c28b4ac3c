// Command replay measures how fast a topic is replayed on a real Kafka, beside the same client that only reads the topic, in the same run; and how much memory replays of a part and of the
// whole have.
//
//	go run ./test/bench/replay -bundle DIR [-records 4000000] [-rounds 5] [-json]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/replay"
	"github.com/mlmonitor/mlmonitor/replay/metrics"
	"github.com/mlmonitor/mlmonitor/scorer"
	"github.com/mlmonitor/mlmonitor/test/bench/kit"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// line is one way to read the topic.
type line struct {
	What  string    `json:"what"`
	Rates []float64 `json:"records_per_second"`
	Ratio float64   `json:"of_reading"` // median of the rounds' ratios to only reading
}

type result struct {
	Lines  []line  `json:"lines"`
	Part   float64 `json:"resident_mib_of_a_quarter"`
	Whole  float64 `json:"resident_mib_of_all"`
	Bundle string  `json:"bundle"`
}

func main() {
	bundle := flag.String("bundle", "bundles/sample", "folder of the bundle to replay with")
	records := flag.Uint64("records", 4_000_000, "transactions on the topic")
	rounds := flag.Int("rounds", 5, "rounds")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	kit.Main("bench-replay", func(ctx context.Context, r *kit.Run) error {
		found, err := measure(ctx, r, *bundle, *records, *rounds)
		if err != nil {
			return err
		}
		if *asJSON {
			return json.NewEncoder(os.Stdout).Encode(found)
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "what\trecords/s, median\tof reading\t")
		for _, l := range found.Lines {
			fmt.Fprintf(w, "%s\t%.0f\t%.2f\t\n", l.What, kit.Median(l.Rates), l.Ratio)
		}
		w.Flush()
		fmt.Printf("resident at most: %.0f MiB for a quarter of the topic, %.0f MiB for all of it\n", found.Part, found.Whole)
		return nil
	})
}

func measure(ctx context.Context, r *kit.Run, dir string, records uint64, rounds int) (*result, error) {
	binary, err := r.Build(ctx)
	if err != nil {
		return nil, err
	}
	b, err := scorer.LoadBundle(os.DirFS(dir), scorer.Auto)
	if err != nil {
		return nil, err
	}
	topics := kafka.Config{Brokers: rig.PrivateKafka(r, 1).Brokers, Transactions: "transactions", Verdicts: "verdicts", DeadLetters: "transactions.dlq", Models: "mlmonitor.models", Compression: "snappy"}
	if _, err := kafka.LayOut(ctx, &topics, kafka.Layout{Partitions: 6, Replication: -1}, false); err != nil {
		return nil, err
	}
	r.Logf("producing %d transactions", records)
	if _, err := producer.Produce(ctx, &topics, producer.ProduceConfig{Simulator: producer.DefaultSimulator(1, 0, 0), Count: records}, func() {}); err != nil {
		return nil, err
	}
	folder, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	environment := kit.Environment(&topics, "bench", "bench")
	r.Logf("scoring them")
	if err := scored(ctx, binary, append(environment, "BUNDLE_DIR="+folder), &topics); err != nil {
		return nil, err
	}
	labels, err := madeUp(r, records)
	if err != nil {
		return nil, err
	}
	whole, err := kafka.Whole(ctx, &topics, topics.Transactions)
	if err != nil {
		return nil, err
	}
	source := func() *replay.Source { return replay.FromTopic(&topics, topics.Transactions, whole) }
	options := func() *replay.Options {
		return &replay.Options{Candidate: b, Unlabelled: "unknown", K: 100, Sample: 1, Workers: runtime.GOMAXPROCS(0), Hop: time.Hour, AsOf: time.Now().AddDate(10, 0, 0)}
	}
	ways := []struct {
		what string
		run  func() error
	}{
		{"only reading", func() error { return read(ctx, &topics, whole) }},
		{"replay", func() error { _, err := replay.Run(ctx, source(), &topics, options()); return err }},
		{"replay against the verdicts", func() error {
			o := options()
			o.Verdicts = true
			_, err := replay.Run(ctx, source(), &topics, o)
			return err
		}},
		{"replay with labels and costs", func() error {
			o := options()
			o.Labels = labels
			o.Costs = &metrics.Costs{FraudShare: 1, FraudFixed: 15, DeclinedShare: 0.03, DeclinedFixed: 5, ReviewFixed: 3, ReviewCatches: 0.85, ReviewsPerDay: 200, MaxDeclinedShare: 0.01}
			_, err := replay.Run(ctx, source(), &topics, o)
			return err
		}},
		{"verify", func() error {
			v, err := replay.Verify(ctx, &topics, whole, whole.To, func(context.Context, string) (*scorer.Bundle, error) { return b, nil }, runtime.GOMAXPROCS(0), nil)
			if err == nil && !v.Holds() {
				err = fmt.Errorf("it does not hold: %v", v.Found)
			}
			return err
		}},
	}
	found := &result{Lines: make([]line, len(ways)), Bundle: fmt.Sprintf("%s, %d trees", b.ID.Name, b.Model.Trees())}
	ratios := make([][]float64, len(ways))
	for round := range rounds {
		floor := 0.0
		for i, w := range ways {
			runtime.GC()
			start := time.Now()
			if err := w.run(); err != nil {
				return nil, fmt.Errorf("%s: %w", w.what, err)
			}
			rate := float64(whole.Len()) / time.Since(start).Seconds()
			if i == 0 {
				floor = rate
			}
			found.Lines[i].What = w.what
			found.Lines[i].Rates = append(found.Lines[i].Rates, rate)
			ratios[i] = append(ratios[i], rate/floor)
			r.Logf("round %d of %d, %s: %.0f/s", round+1, rounds, w.what, rate)
		}
	}
	for i := range found.Lines {
		found.Lines[i].Ratio = kit.Median(ratios[i])
	}
	quarter := int64(records) / 6 / 4
	if found.Part, err = resident(ctx, binary, environment, folder, "--to", strconv.FormatInt(quarter, 10)); err != nil {
		return nil, err
	}
	found.Whole, err = resident(ctx, binary, environment, folder)
	return found, err
}

// read is what the client can do: all partitions beside each other, as a replay reads them, and nothing is done with the records.
func read(ctx context.Context, topics *kafka.Config, whole kafka.Range) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for p := range whole.To {
		group.Go(func() error {
			one := kafka.Range{From: map[int32]int64{p: whole.From[p]}, To: map[int32]int64{p: whole.To[p]}}
			return kafka.Read(ctx, topics, topics.Transactions, one, func(*kafka.Record) error { return nil })
		})
	}
	return group.Wait()
}

// scored has a scorer answer the topic.
func scored(ctx context.Context, binary string, env []string, topics *kafka.Config) error {
	process, err := kit.Start(env, binary, "score")
	if err != nil {
		return err
	}
	for lag := int64(1); lag > 0; {
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), process.Stop())
		case <-process.Ended():
			return errors.New("the scorer ended by itself")
		case <-time.After(200 * time.Millisecond):
		}
		if lag, err = consumer.Lag(ctx, topics, "bench"); err != nil {
			lag = 1
		}
	}
	return process.Stop()
}

// madeUp are labels of all transactions: one in a hundred is fraud.
func madeUp(r *kit.Run, records uint64) (*replay.Labels, error) {
	dir, err := r.TempDir()
	if err != nil {
		return nil, err
	}
	text := []byte("transaction_id,label\n")
	for i := range records {
		text = fmt.Appendf(text, "tx-%012d,%d\n", i, map[bool]int{true: 1}[i%100 == 0])
	}
	name := filepath.Join(dir, "labels.csv")
	if err := os.WriteFile(name, text, 0o644); err != nil {
		return nil, err
	}
	return replay.ReadLabels(name)
}

// resident is the most memory that the program has.
func resident(ctx context.Context, binary string, env []string, folder string, more ...string) (float64, error) {
	process, err := kit.Start(env, append([]string{binary, "replay", "--bundle", folder, "--json", "--out", os.DevNull}, more...)...)
	if err != nil {
		return 0, err
	}
	most := 0.0
	for {
		select {
		case <-ctx.Done():
			return 0, errors.Join(ctx.Err(), process.Stop())
		case <-process.Ended():
			return most, process.Stop()
		case <-time.After(10 * time.Millisecond):
		}
		if mib, err := kit.PeakMiB(process.PID()); err == nil {
			most = max(most, mib)
		}
	}
}
