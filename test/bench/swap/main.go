// Command swap measures what a swap of the bundle costs: one scorer at full speed on a real Kafka answers a backlog; the time is cut into windows, and in every second one, at
// its begin, another bundle is put in force: read, proved by its examples, and adopted between two transactions. It prints the ratio of what is answered in the windows
// with a swap to what is in the others.
//
//	go run ./test/bench/swap -bundle DIR [-records 5000000] [-window 2s] [-json]
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/test/bench/kit"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

const group = "swap"

// result has transactions a second, by window.
type result struct {
	Quiet    []float64  `json:"quiet"`
	Swapping []float64  `json:"swapping"`
	Ratio    float64    `json:"ratio"`     // of the medians
	Quartile [2]float64 `json:"quartiles"` // of the ratios of each window with a swap to the quiet one before it
	Events   int        `json:"events"`    // of swaps in the topic of models: one or more a swap, for its partitions
}

func main() {
	bundle := flag.String("bundle", "", "folder of the bundle to score with")
	records := flag.Uint64("records", 5_000_000, "transactions of the backlog")
	window := flag.Duration("window", 2*time.Second, "length of a window")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	kit.Main("bench-swap", func(ctx context.Context, r *kit.Run) error {
		found, err := measure(ctx, r, *bundle, *records, *window)
		if err != nil {
			return err
		}
		if *asJSON {
			return json.NewEncoder(os.Stdout).Encode(found)
		}
		fmt.Printf("%d events of swaps; medians of %d windows each: quiet %.0f/s, with a swap %.0f/s\nswapping_vs_quiet=%.3f (quartiles of pairs %.3f, %.3f)\n",
			found.Events, len(found.Swapping), kit.Median(found.Quiet), kit.Median(found.Swapping), found.Ratio, found.Quartile[0], found.Quartile[1])
		return nil
	})
}

// turns is a folder in which two bundles of the same files take turns.
type turns struct {
	dir       string
	manifests [2][]byte
	now       int
}

func newTurns(dir, of string) (*turns, error) {
	if err := os.CopyFS(dir, os.DirFS(of)); err != nil {
		return nil, err
	}
	first, err := os.ReadFile(filepath.Join(dir, "bundle.json"))
	if err != nil {
		return nil, err
	}
	other := bytes.Replace(first, []byte(`"version": "1"`), []byte(`"version": "other"`), 1)
	if bytes.Equal(first, other) {
		return nil, errors.New("the bundle's version is not 1")
	}
	return &turns{dir: dir, manifests: [2][]byte{first, other}}, nil
}

func (t *turns) turn() error {
	t.now = 1 - t.now
	temporary := filepath.Join(t.dir, ".bundle.json")
	if err := os.WriteFile(temporary, t.manifests[t.now], 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(t.dir, "bundle.json"))
}

func measure(ctx context.Context, r *kit.Run, bundle string, records uint64, window time.Duration) (*result, error) {
	binary, err := r.Build(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := r.TempDir()
	if err != nil {
		return nil, err
	}
	both, err := newTurns(filepath.Join(dir, "bundle"), bundle)
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
	cl, err := kgo.NewClient(kgo.SeedBrokers(topics.Brokers...))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	answered := func() (n int64, err error) {
		offsets, err := kadm.NewClient(cl).FetchOffsets(ctx, group)
		for _, o := range offsets[topics.Transactions] {
			n += max(o.At, 0)
		}
		return n, err
	}
	process, err := kit.Start(append(kit.Environment(&topics, group, "swap"), "BUNDLE_DIR="+both.dir, "MODEL_POLL_INTERVAL=100ms"), binary, "score")
	if err != nil {
		return nil, err
	}
	defer process.Stop()
	for n := int64(0); n < int64(records)/20; time.Sleep(100 * time.Millisecond) { // warm
		if n, err = answered(); err != nil && !errors.Is(err, context.Canceled) {
			n = 0 // the group is only just made
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	found := &result{}
	var ratios []float64
	for swapping := false; ; swapping = !swapping {
		before, err := answered()
		if err != nil {
			return nil, err
		}
		start := time.Now()
		if swapping {
			if err := both.turn(); err != nil {
				return nil, err
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-process.Ended():
			return nil, errors.New("the scorer ended by itself")
		case <-time.After(window):
		}
		after, err := answered()
		if err != nil {
			return nil, err
		}
		rate := float64(after-before) / time.Since(start).Seconds()
		if int64(records)-after < 2*(after-before) {
			break // the backlog ends
		}
		if !swapping {
			found.Quiet = append(found.Quiet, rate)
			continue
		}
		found.Swapping = append(found.Swapping, rate)
		ratios = append(ratios, rate/found.Quiet[len(found.Quiet)-1])
	}
	if len(found.Swapping) < 3 {
		return nil, errors.New("the backlog is too short for three windows of each: give -records more")
	}
	if err := process.Stop(); err != nil {
		return nil, err
	}
	digests := map[string]bool{}
	whole, err := kafka.Whole(ctx, &topics, topics.Models)
	if err == nil {
		err = kafka.Read(ctx, &topics, topics.Models, whole, func(rec *kafka.Record) error {
			var e struct{ Previous string }
			if err := json.Unmarshal(rec.Value, &e); err != nil {
				return err
			}
			if e.Previous != "" {
				digests[fmt.Sprint(e.Previous, rec.Offset)] = true
			}
			return nil
		})
	}
	if err != nil {
		return nil, err
	}
	found.Events = len(digests)
	slices.Sort(ratios)
	found.Quartile = [2]float64{ratios[len(ratios)/4], ratios[len(ratios)*3/4]}
	found.Ratio = kit.Median(found.Swapping) / kit.Median(found.Quiet)
	return found, nil
}
