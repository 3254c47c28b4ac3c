// Command latency measures, on one real Kafka, how long transactions take at a steady rate from the time that they are due to a read_committed reader
// of their answers: for a copy that is exactly once, and for score, over intervals of gathering. Programs take turns, round after round; medians of the
// rounds' percentiles are printed.
//
//	go run ./test/bench/latency -bundle DIR [-rates 1000,5000,20000] [-intervals 0s,1ms,2ms,5ms,20ms] [-for 10s] [-rounds 3] [-streams PROGRAM] [-json]
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/test/bench/floor"
	"github.com/mlmonitor/mlmonitor/test/bench/kit"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

type settings struct {
	bundle     string
	rates      string
	intervals  string
	length     time.Duration
	warm       time.Duration
	rounds     int
	partitions int
	streams    string
	properties string
	env        string
	asJSON     bool
}

// result is one program at one rate: medians over the rounds.
type result struct {
	Program  string  `json:"program"`
	Interval float64 `json:"interval_ms"`
	Rate     int     `json:"rate"`
	quantiles
	CPU float64 `json:"client_cpu_share"` // seconds of the program's processor time a second
}

// usual is the interval that score has when nothing is set.
const usual = 2 * time.Millisecond

func main() {
	floor.Main()
	var s settings
	flag.StringVar(&s.bundle, "bundle", "", "folder of the bundle to score with")
	flag.StringVar(&s.rates, "rates", "1000,5000,20000", "transactions a second, separated by commas")
	flag.StringVar(&s.intervals, "intervals", "0s,1ms,2ms,5ms,20ms", "values of CONSUMER_TXN_INTERVAL, separated by commas")
	flag.DurationVar(&s.length, "for", 10*time.Second, "measured time of one run")
	flag.DurationVar(&s.warm, "warm", 4*time.Second, "time before that, from the first answer")
	flag.IntVar(&s.rounds, "rounds", 3, "rounds; the medians are printed")
	flag.IntVar(&s.partitions, "partitions", 6, "partitions of every topic")
	flag.StringVar(&s.streams, "streams", "", "program of Kafka Streams, to measure it too at a commit interval of 10 ms")
	flag.StringVar(&s.properties, "broker", "", "lines for the broker's server.properties, separated by commas")
	flag.StringVar(&s.env, "env", "", "further environment of score, separated by spaces")
	flag.BoolVar(&s.asJSON, "json", false, "print JSON")
	flag.Parse()
	kit.Main("bench-latency", func(ctx context.Context, r *kit.Run) error {
		all, err := measure(ctx, r, &s)
		if err != nil {
			return err
		}
		if s.asJSON {
			return json.NewEncoder(os.Stdout).Encode(all)
		}
		print(all)
		return nil
	})
}

// program is what is measured.
type program struct {
	name     string
	interval time.Duration
	args     []string
	env      []string
}

func programs(ctx context.Context, r *kit.Run, s *settings) ([]program, error) {
	binary, err := r.Build(ctx)
	if err != nil {
		return nil, err
	}
	bundle, err := filepath.Abs(s.bundle)
	if err != nil {
		return nil, err
	}
	pass, err := floor.Command("pass")
	if err != nil {
		return nil, err
	}
	var all []program
	for text := range strings.SplitSeq(s.intervals, ",") {
		interval, err := time.ParseDuration(text)
		if err != nil {
			return nil, fmt.Errorf("-intervals: %w", err)
		}
		gather := "CONSUMER_TXN_INTERVAL=" + text
		all = append(all, program{"pass", interval, pass, []string{gather}},
			program{"score", interval, []string{binary, "score"}, append(strings.Fields(s.env), gather, "BUNDLE_DIR="+bundle)})
	}
	if s.streams != "" {
		all = append(all, program{"streams", 10 * time.Millisecond, []string{s.streams}, []string{"COMMIT_INTERVAL_MS=10"}})
	}
	return all, nil
}

func measure(ctx context.Context, r *kit.Run, s *settings) ([]result, error) {
	programs, err := programs(ctx, r, s)
	if err != nil {
		return nil, err
	}
	r.Logf("starting Kafka")
	cluster := rig.PrivateKafka(r, 1, strings.Split(s.properties, ",")...)
	r.Logf("warming up")
	warm := *s
	warm.length = 15 * time.Second // the broker's Java compiles what it runs often
	for i, p := range programs[:2] {
		if _, err := run(ctx, cluster, &warm, p, 5000, fmt.Sprintf("warm-%d", i)); err != nil {
			return nil, err
		}
	}
	var all []result
	for text := range strings.SplitSeq(s.rates, ",") {
		rate, err := strconv.Atoi(text)
		if err != nil || rate < 1 {
			return nil, fmt.Errorf("-rates: %q is not a number of transactions a second", text)
		}
		runs := make([][]result, len(programs))
		for round := range s.rounds {
			for i, p := range programs {
				got, err := run(ctx, cluster, s, p, rate, fmt.Sprintf("%d-%d-%d", rate, round, i))
				if err != nil {
					return nil, fmt.Errorf("%s, %v, %d/s: %w", p.name, p.interval, rate, err)
				}
				r.Logf("round %d of %d: %6d/s %-7s %-5v p50 %6.1f p99 %6.1f p99.9 %6.1f ms", round+1, s.rounds, rate, p.name, p.interval, got.P50, got.P99, got.P999)
				runs[i] = append(runs[i], got)
			}
		}
		for _, one := range runs {
			all = append(all, medians(one))
		}
	}
	return all, nil
}

// run is one round of one program.
func run(ctx context.Context, cluster *rig.Cluster, s *settings, p program, rate int, id string) (result, error) {
	l := &load{program: p, settings: s, rate: rate, group: id, topics: kafka.Config{Brokers: cluster.Brokers, Transactions: "in." + id,
		Verdicts: "out." + id, DeadLetters: "dlq." + id, Compression: "snappy"}}
	return l.run(ctx)
}

func medians(runs []result) result {
	of := func(f func(result) float64) float64 {
		var values []float64
		for _, r := range runs {
			values = append(values, f(r))
		}
		return kit.Median(values)
	}
	m := runs[0]
	m.P50, m.P99, m.P999 = of(func(r result) float64 { return r.P50 }), of(func(r result) float64 { return r.P99 }), of(func(r result) float64 { return r.P999 })
	m.Max, m.CPU = of(func(r result) float64 { return r.Max }), of(func(r result) float64 { return r.CPU })
	return m
}

func print(all []result) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "rate/s\tprogram\tinterval\tp50 ms\tp99\tp99.9\tmax\tclient CPU\t")
	var last []string
	for _, r := range all {
		fmt.Fprintf(w, "%d\t%s\t%g ms\t%.1f\t%.1f\t%.1f\t%.1f\t%.2f\t\n", r.Rate, r.Program, r.Interval, r.P50, r.P99, r.P999, r.Max, r.CPU)
		if r.Interval == usual.Seconds()*1000 || r.Program == "streams" {
			last = append(last, fmt.Sprintf("%s_p50_ms_%d=%.1f %s_p99_ms_%d=%.1f", r.Program, r.Rate, r.P50, r.Program, r.Rate, r.P99))
		}
	}
	w.Flush()
	fmt.Println(strings.Join(last, " "))
}
