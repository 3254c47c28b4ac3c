// Command bench measures, on one real Kafka and in one run, what scoring costs against the least that any program pays on this machine:
// reading the topic, and copying it to another exactly once with the same client. Runs are interleaved and repeated; medians are printed.
//
//	go run ./test/bench [-n 500000] [-rounds 5] [-json]
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// figures of one program: medians over the rounds.
type figures struct {
	Name       string  `json:"name"`
	Records    float64 `json:"records_per_second"`
	CPU        float64 `json:"cpu_seconds_per_million"` // of the program, not of the broker
	MiB        float64 `json:"peak_mib"`
	AgainstEOS float64 `json:"ratio_to_passthrough"`
}

// sample is one round of one program.
type sample struct{ records, cpu, mib float64 }

func main() {
	if len(os.Args) == 4 && (os.Args[1] == "consume" || os.Args[1] == "pass") {
		if err := load(os.Args[1], os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	n := flag.Uint64("n", 500_000, "transactions")
	rounds := flag.Int("rounds", 5, "rounds; the medians are printed")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Setenv("KAFKA_JVM", "-Xms1g -Xmx1g -XX:+UseG1GC") // the tests' own is light, not fast
	t := &run{}
	defer t.cleanup()
	result, err := measure(ctx, t, *n, *rounds)
	if err == nil && *asJSON {
		err = json.NewEncoder(os.Stdout).Encode(result)
	} else if err == nil {
		print(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		t.cleanup()
		os.Exit(1)
	}
}

func measure(ctx context.Context, t *run, n uint64, rounds int) ([]figures, error) {
	dir, err := os.MkdirTemp("", "mlmonitor-bench")
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	binary := filepath.Join(dir, "mlmonitor")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/mlmonitor").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w: %s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(os.Stderr, "starting Kafka")
	brokers := rig.PrivateKafka(t, 1).Brokers
	in := kafka.Config{Brokers: brokers, Transactions: "transactions", Verdicts: "unused", DeadLetters: "unused.dlq"}
	if _, err := kafka.LayOut(ctx, &in, kafka.Layout{Partitions: 6, Replication: -1}, false); err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "producing %d transactions\n", n)
	if _, err := producer.Produce(ctx, &in, producer.ProduceConfig{Simulator: producer.DefaultSimulator(1, 0, 0), Count: n}, func() {}); err != nil {
		return nil, err
	}
	programs := []struct {
		name string
		args []string
	}{{"consume only", []string{self, "consume"}}, {"exactly-once pass-through", []string{self, "pass"}}, {"score, sample bundle", []string{binary, "score"}}}
	samples := make([][]sample, len(programs))
	for round := range rounds {
		for i, p := range programs {
			fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, rounds, p.name)
			s, err := once(ctx, in, fmt.Sprintf("r%d-%d", round, i), p.args, n)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
			samples[i] = append(samples[i], s)
		}
	}
	var all []figures
	for i, p := range programs {
		f := figures{Name: p.name}
		f.Records = median(samples[i], func(s sample) float64 { return s.records })
		f.CPU = median(samples[i], func(s sample) float64 { return s.cpu })
		f.MiB = median(samples[i], func(s sample) float64 { return s.mib })
		ratios := make([]sample, rounds) // round by round: the machine's speed drifts
		for r := range ratios {
			ratios[r].records = samples[i][r].records / samples[1][r].records
		}
		f.AgainstEOS = median(ratios, func(s sample) float64 { return s.records })
		all = append(all, f)
	}
	return all, nil
}

// once runs one program over the whole input, in a group and with output topics of its own.
func once(ctx context.Context, topics kafka.Config, id string, args []string, n uint64) (sample, error) {
	topics.Verdicts, topics.DeadLetters = "verdicts."+id, "dlq."+id
	if _, err := kafka.LayOut(ctx, &topics, kafka.Layout{Partitions: 6, Replication: -1}, false); err != nil {
		return sample{}, err
	}
	if args[1] != "score" {
		args = append(args, strings.Join(topics.Brokers, ","), id)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "KAFKA_BROKERS="+strings.Join(topics.Brokers, ","), "CONSUMER_GROUP="+id, "INSTANCE_ID=bench", "BUNDLE_DIR=sample",
		"KAFKA_TOPIC_VERDICTS="+topics.Verdicts, "KAFKA_TOPIC_DEAD_LETTERS="+topics.DeadLetters, "LOG_LEVEL=error", "OPS_PORT=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return sample{}, err
	}
	rate, err := watch(ctx, &topics, id, int64(n))
	cmd.Process.Signal(syscall.SIGTERM)
	if waitErr := cmd.Wait(); err == nil && waitErr != nil {
		err = fmt.Errorf("the program ended: %w", waitErr)
	}
	if err != nil {
		return sample{}, err
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	cpu := (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	return sample{records: rate, cpu: cpu / float64(n) * 1e6, mib: float64(usage.Maxrss) / 1024}, nil
}

// watch gives the rate at which a group commits, from the first commit seen to the last.
func watch(ctx context.Context, topics *kafka.Config, group string, n int64) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	var began time.Time
	var first int64
	for {
		lag, err := consumer.Lag(ctx, topics, group)
		switch {
		case kerr.IsRetriable(err):
			lag = n // the group's coordinator is only just made
		case err != nil:
			return 0, err
		case began.IsZero() && lag < n:
			began, first = time.Now(), lag
		case lag == 0:
			return float64(first) / time.Since(began).Seconds(), nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("lag %d after five minutes: %w", lag, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func median(all []sample, of func(sample) float64) float64 {
	var values []float64
	for _, s := range all {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func print(all []figures) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "program\trecords/s\tCPU s per million\tpeak MiB\tto pass-through\t")
	for _, f := range all {
		fmt.Fprintf(w, "%s\t%.0f\t%.2f\t%.0f\t%.2f\t\n", f.Name, f.Records, f.CPU, f.MiB, f.AgainstEOS)
	}
	w.Flush()
}
