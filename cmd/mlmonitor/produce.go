package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
)

func produceCommand() *cobra.Command {
	var cfg producer.ProduceConfig
	var out, labels, start string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "produce",
		Short: "Send simulated transactions to the input topic, or write them to a file",
		Long: `Simulates customers, terminals and three kinds of fraud, the same for the same seed. A run continues another with --first set to the "next"
that it printed. With --out nothing is sent: transactions are written as JSON lines, and --labels writes which of them are fraud.`,
		Example: `  KAFKA_BROKERS=kafka:9092 mlmonitor produce --rate 2000 --for 1m --malformed 0.001
  mlmonitor produce --out events.jsonl --labels labels.csv --count 600000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.Simulator, err = simulator(cfg.Simulator, start); err != nil {
				return err
			}
			var sent atomic.Int64
			stop := showRate(cmd.ErrOrStderr(), &sent, cfg.Count)
			done, err := produce(cmd.Context(), cfg, out, labels, func() { sent.Add(1) })
			stop()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, done)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d transactions, of which %d fraud and %d malformed; continue with --first %d\n", done.Transactions, done.Frauds, done.Malformed, done.Next)
			return nil
		},
	}
	f := cmd.Flags()
	f.Uint64Var(&cfg.Count, "count", 0, "transactions to send; 0 for no limit")
	f.DurationVar(&cfg.For, "for", 0, "time to send for; 0 for no limit")
	f.Float64Var(&cfg.Rate, "rate", 0, "transactions a second; 0 for as fast as possible")
	f.Uint64Var(&cfg.Simulator.Seed, "seed", 1, "seed of the simulation")
	f.Uint64Var(&cfg.Simulator.First, "first", 0, "number of the first transaction")
	f.Float64Var(&cfg.Simulator.Malformed, "malformed", 0, "share of malformed events, 0 to 1")
	f.StringVar(&start, "start", "", "event time of the first transaction, RFC 3339; default: where --first stands since 2026-01-01")
	f.IntVar(&cfg.Simulator.Customers, "customers", 0, "customers; default 5000")
	f.IntVar(&cfg.Simulator.Terminals, "terminals", 0, "terminals; default 1000")
	f.StringVar(&out, "out", "", "write events to this file instead of the topic")
	f.StringVar(&labels, "labels", "", "with --out: write transaction_id,fraud_kind to this file")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// simulator fills what was not asked for with defaults.
func simulator(asked producer.SimulatorConfig, start string) (producer.SimulatorConfig, error) {
	c := producer.DefaultSimulator(asked.Seed, asked.First, asked.Malformed)
	if asked.Customers != 0 {
		c.Customers = asked.Customers
	}
	if asked.Terminals != 0 {
		c.Terminals = asked.Terminals
	}
	if start != "" {
		t, err := time.Parse(time.RFC3339, start)
		if err != nil {
			return c, fmt.Errorf("--start: %w", err)
		}
		c.Start = t
	}
	return c, c.Validate()
}

func produce(ctx context.Context, cfg producer.ProduceConfig, out, labels string, sent func()) (producer.Produced, error) {
	if err := cfg.Validate(); err != nil { // before a file is truncated or a broker waited for
		return producer.Produced{}, err
	}
	if out != "" {
		return produceFile(ctx, cfg, out, labels, sent)
	}
	if labels != "" {
		return producer.Produced{}, errors.New("--labels goes with --out")
	}
	var c app.Config
	var topics kafka.Config
	if err := app.Load(&c, &topics); err != nil {
		return producer.Produced{}, err
	}
	if err := kafka.Connect(ctx, &topics, app.Logger(os.Stderr, &c, "produce"), func(error) {}); err != nil {
		return producer.Produced{}, err
	}
	return producer.Produce(ctx, &topics, cfg, sent)
}

func produceFile(ctx context.Context, cfg producer.ProduceConfig, out, labels string, sent func()) (done producer.Produced, err error) {
	events, closeEvents, err := create(out)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, closeEvents()) }()
	var table io.Writer
	if labels != "" {
		w, closeTable, err := create(labels)
		if err != nil {
			return done, err
		}
		defer func() { err = errors.Join(err, closeTable()) }()
		table = w
	}
	return producer.WriteTransactions(ctx, cfg, events, table, sent)
}

// create opens a file for buffered writing; close also reports what could not be written.
func create(name string) (*bufio.Writer, func() error, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, nil, err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	return w, func() error { return errors.Join(w.Flush(), f.Close()) }, nil
}
