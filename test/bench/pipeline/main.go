// Command pipeline measures, on one real Kafka and in one run, what scoring costs against the least that any program pays on this machine: reading
// the topic, and copying it to another. Programs take turns, round after round; medians are printed.
//
//	go run ./test/bench/pipeline -bundle DIR [-n 1000000] [-rounds 5] [-partitions 6] [-peers all] [-json]
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/test/bench/floor"
	"github.com/mlmonitor/mlmonitor/test/bench/kit"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// settings of a run, from the command line.
type settings struct {
	records     uint64
	rounds      int
	partitions  int
	bundle      string
	peers       string // folder of the installed peers; "" leaves them out
	only        string
	properties  string
	asJSON      bool
	variants    []string
	compression string
}

// otherBundles: a variant scores with a bundle of its own, so that verdicts differ in what names it, and in nothing else.
var otherBundles bool

func main() {
	floor.Main()
	var s settings
	flag.Uint64Var(&s.records, "n", 1_000_000, "transactions")
	flag.IntVar(&s.rounds, "rounds", 5, "rounds; the medians are printed")
	flag.IntVar(&s.partitions, "partitions", 6, "partitions of every topic")
	flag.StringVar(&s.bundle, "bundle", "", "folder of the bundle to score with")
	flag.StringVar(&s.peers, "peers", "", "folder of the installed peers, to measure them too")
	flag.StringVar(&s.only, "only", "", "measure only programs whose name contains one of these words, separated by commas, and the exactly-once pass-through")
	flag.StringVar(&s.properties, "broker", "", "lines for the broker's server.properties, separated by commas")
	flag.Func("variant", "measure score with this further environment too, such as SCORE_MEMBERS=1; may be given several times", func(v string) error {
		s.variants = append(s.variants, v)
		otherBundles = otherBundles || strings.Contains(v, "BUNDLE_DIR=")
		return nil
	})
	flag.StringVar(&s.compression, "compression", "snappy", "of what all programs publish, and of the input")
	flag.BoolVar(&s.asJSON, "json", false, "print JSON")
	flag.Parse()
	kit.Main("bench-pipeline", func(ctx context.Context, r *kit.Run) error {
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

func measure(ctx context.Context, r *kit.Run, s *settings) ([]figures, error) {
	programs, err := programs(ctx, r, s)
	if err != nil {
		return nil, err
	}
	r.Logf("starting Kafka")
	cluster := rig.PrivateKafka(r, 1, strings.Split(s.properties, ",")...)
	pids, err := cluster.PIDs()
	if err != nil {
		return nil, err
	}
	b := &bench{topics: kafka.Config{Brokers: cluster.Brokers, Transactions: "transactions", Verdicts: "unused", DeadLetters: "unused.dlq",
		Compression: s.compression},
		broker: pids[0], records: int64(s.records), partitions: int32(s.partitions), verdicts: make([]verdict, s.records)}
	if _, err := kafka.LayOut(ctx, &b.topics, b.layout(), false); err != nil {
		return nil, err
	}
	r.Logf("producing %d transactions", s.records)
	if _, err := producer.Produce(ctx, &b.topics, producer.ProduceConfig{Simulator: producer.DefaultSimulator(1, 0, 0), Count: s.records}, func() {}); err != nil {
		return nil, err
	}
	r.Logf("warming up")
	if _, err := b.once(ctx, programs[0], "warm"); err != nil { // the broker's Java compiles what it runs often
		return nil, err
	}
	samples := make([][]sample, len(programs))
	for round := range s.rounds {
		for i, p := range programs {
			got, err := b.once(ctx, p, fmt.Sprintf("r%d-%d", round, i))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
			r.Logf("round %d of %d: %-42s %8.0f records/s", round+1, s.rounds, p.name, got.records)
			samples[i] = append(samples[i], got)
		}
	}
	return summarize(programs, samples), nil
}

// summarize takes the medians; ratios are taken round by round first, because the machine's speed drifts.
func summarize(programs []program, samples [][]sample) []figures {
	pass := slices.IndexFunc(programs, func(p program) bool { return p.name == passThrough })
	of := func(i int, f func(sample) float64) float64 {
		var values []float64
		for _, s := range samples[i] {
			values = append(values, f(s))
		}
		return kit.Median(values)
	}
	ratio := func(i, j int) float64 {
		var values []float64
		for round := range samples[i] {
			values = append(values, samples[i][round].records/samples[j][round].records)
		}
		return kit.Median(values)
	}
	var all []figures
	for i, p := range programs {
		f := figures{Name: p.name, Records: of(i, func(s sample) float64 { return s.records }), CPU: of(i, func(s sample) float64 { return s.cpu }),
			Broker: of(i, func(s sample) float64 { return s.broker }), MiB: of(i, func(s sample) float64 { return s.mib }), ToPass: ratio(i, pass), ratios: map[string]float64{}}
		for j, other := range programs {
			f.ratios[other.name] = ratio(i, j)
		}
		all = append(all, f)
	}
	return all
}
