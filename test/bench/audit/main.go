// Command audit measures, on one real Kafka and one real Postgres, how fast the audit role writes verdicts beside a bare COPY of the same rows, in the same
// run, and how far it is behind a scorer at full speed.
//
//	go run ./test/bench/audit [-n 500000] [-rounds 5] [-settings] [-json]
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/jackc/pgx/v5"

	"github.com/mlmonitor/mlmonitor/audit"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/test/bench/kit"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// result of a run: medians over the rounds, and the lag of one run beside a scorer.
type result struct {
	Copy  figures `json:"copy"`
	Audit figures `json:"audit"`
	Ratio float64 `json:"audit_vs_copy"` // median of the rounds' ratios
	Lag   lag     `json:"lag"`

	Settings []setting `json:"settings,omitempty"`
}

// setting is the audit under other settings than the usual.
type setting struct {
	Name string  `json:"name"`
	Rows float64 `json:"rows_per_second"` // median of the rounds

	writers int
	env     []string
	url     string // added to the database's address
}

// settings are what an operator could turn: connections of a writer, writers, rows of a database transaction, and whether a commit waits for the disk.
func settings() []setting {
	all := []setting{{Name: "as it is", writers: 1}}
	for _, n := range []int{1, 2, 4} {
		all = append(all, setting{Name: fmt.Sprintf("pool_max_conns=%d", n), writers: 1, url: fmt.Sprintf("&pool_max_conns=%d", n)})
	}
	for _, n := range []int{2, 4} {
		all = append(all, setting{Name: fmt.Sprintf("%d writers", n), writers: n})
	}
	for _, n := range []int{500, 1000, 20000} {
		all = append(all, setting{Name: fmt.Sprintf("AUDIT_BATCH_RECORDS=%d", n), writers: 1, env: []string{fmt.Sprintf("AUDIT_BATCH_RECORDS=%d", n)}})
	}
	return append(all, setting{Name: "synchronous_commit=off", writers: 1, url: "&synchronous_commit=off"})
}

type figures struct {
	Rows float64 `json:"rows_per_second"`
	CPU  float64 `json:"client_cpu_seconds_per_million,omitempty"` // of the audit process
	MiB  float64 `json:"client_peak_mib,omitempty"`
}

type bench struct {
	r        *kit.Run
	binary   string
	bundle   string
	n        int64
	last     int64 // sum of the offsets behind the last verdict of each partition; 0 while it is not known
	topics   kafka.Config
	postgres *rig.Server
	settings []setting
}

func main() {
	n := flag.Int64("n", 500_000, "verdicts")
	rounds := flag.Int("rounds", 5, "rounds; the medians are printed")
	bundle := flag.String("bundle", "sample", "bundle of the scorer whose verdicts they are")
	turned := flag.Bool("settings", false, "measure the audit under other settings too")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	kit.Main("bench-audit", func(ctx context.Context, r *kit.Run) error {
		b := &bench{r: r, bundle: *bundle, n: *n}
		if *turned {
			b.settings = settings()
		}
		if *bundle != "sample" {
			var err error
			if b.bundle, err = filepath.Abs(*bundle); err != nil {
				return err
			}
		}
		res, err := b.run(ctx, *rounds)
		if err != nil {
			return err
		}
		if *asJSON {
			return json.NewEncoder(os.Stdout).Encode(res)
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "\trows/s\tclient CPU s per million\tpeak MiB\t")
		fmt.Fprintf(w, "bare COPY of rows in memory\t%.0f\t\t\t\n", res.Copy.Rows)
		fmt.Fprintf(w, "audit, from the topic\t%.0f\t%.2f\t%.0f\t\n", res.Audit.Rows, res.Audit.CPU, res.Audit.MiB)
		for _, one := range res.Settings {
			fmt.Fprintf(w, "%s\t%.0f\t\t\t\n", one.Name, one.Rows)
		}
		w.Flush()
		fmt.Printf("beside a scorer at full speed, %.0f verdicts/s: at most %d behind, all written %.1f s after the last verdict\n", res.Lag.Scored, res.Lag.Most, res.Lag.Tail)
		fmt.Printf("audit_vs_copy=%.2f\n", res.Ratio)
		return nil
	})
}

func (b *bench) run(ctx context.Context, rounds int) (res result, err error) {
	if b.binary, err = b.r.Build(ctx); err != nil {
		return res, err
	}
	b.r.Logf("starting Kafka and Postgres")
	b.topics = kafka.Config{Brokers: rig.PrivateKafka(b.r, 1).Brokers, Transactions: "transactions", Verdicts: "verdicts", DeadLetters: "transactions.dlq", Compression: "snappy"}
	b.postgres = rig.PrivatePostgres(b.r)
	tables := audit.Config{DatabaseURL: kafka.Secret(b.postgres.OwnerURL), WriterRole: "audit", ReaderRole: "reader", PartitionsAhead: 14}
	if _, err := audit.Migrate(ctx, tables); err != nil {
		return res, err
	}
	if _, err := kafka.LayOut(ctx, &b.topics, kafka.Layout{Partitions: 6, Replication: -1}, false); err != nil {
		return res, err
	}
	b.r.Logf("producing and scoring %d transactions", b.n)
	if _, err := producer.Produce(ctx, &b.topics, producer.ProduceConfig{Simulator: producer.DefaultSimulator(1, 0, 0), Count: uint64(b.n)}, func() {}); err != nil {
		return res, err
	}
	if res.Lag, err = b.beside(ctx); err != nil {
		return res, fmt.Errorf("beside a scorer: %w", err)
	}
	rows, err := readRows(ctx, &b.topics, b.n)
	if err != nil {
		return res, err
	}
	b.last = sumOfEnds(rows)
	var copies, audits, ratios, cpu, mib []float64
	turned := make([][]float64, len(b.settings))
	for round := range rounds {
		plain, err := b.copy(ctx, rows)
		if err != nil {
			return res, fmt.Errorf("bare COPY: %w", err)
		}
		written, err := b.audit(ctx, fmt.Sprintf("round-%d", round), setting{writers: 1})
		if err != nil {
			return res, fmt.Errorf("audit: %w", err)
		}
		b.r.Logf("round %d of %d: COPY %8.0f rows/s, audit %8.0f rows/s", round+1, rounds, plain, written.Rows)
		copies, audits, ratios = append(copies, plain), append(audits, written.Rows), append(ratios, written.Rows/plain)
		cpu, mib = append(cpu, written.CPU), append(mib, written.MiB)
		for i, one := range b.settings {
			got, err := b.audit(ctx, fmt.Sprintf("round-%d-%d", round, i), one)
			if err != nil {
				return res, fmt.Errorf("audit with %s: %w", one.Name, err)
			}
			b.r.Logf("round %d of %d: %-26s %8.0f rows/s", round+1, rounds, one.Name, got.Rows)
			turned[i] = append(turned[i], got.Rows)
		}
	}
	for i, one := range b.settings {
		one.Rows = kit.Median(turned[i])
		res.Settings = append(res.Settings, one)
	}
	res.Copy = figures{Rows: kit.Median(copies)}
	res.Audit = figures{Rows: kit.Median(audits), CPU: kit.Median(cpu), MiB: kit.Median(mib)}
	res.Ratio = kit.Median(ratios)
	return res, nil
}

// empty takes all rows away, and has the server write out what it owes: each measurement begins alike.
func (b *bench) empty(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, b.postgres.AdminURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, statement := range []string{"TRUNCATE verdicts, audit_rejects, audit_offsets, audit_topics", "CHECKPOINT"} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}
