package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// topicRange are the flags that choose a part of a topic by the records' timestamps.
type topicRange struct{ from, to string }

func (r *topicRange) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.from, "from", "", "first record: by its timestamp, RFC 3339 or a time ago such as 24h, or an offset of every partition; default the topic's begin")
	cmd.Flags().StringVar(&r.to, "to", "", "where to end, likewise, not included; default what is committed now")
}

func (r *topicRange) open(cmd *cobra.Command, topics *kafka.Config, topic string) (kafka.Range, error) {
	from, first, err := bound("from", r.from)
	if err != nil {
		return kafka.Range{}, err
	}
	to, last, err := bound("to", r.to)
	if err != nil {
		return kafka.Range{}, err
	}
	found, err := kafka.Between(cmd.Context(), topics, topic, from, to)
	if err != nil {
		return found, err
	}
	for p := range found.To {
		if first >= 0 {
			found.From[p] = min(max(first, found.From[p]), found.To[p])
		}
		if last >= 0 {
			found.To[p] = max(min(last, found.To[p]), found.From[p])
		}
	}
	return found, nil
}

// bound is a time, or an offset; -1 where it is none.
func bound(flag, text string) (at time.Time, offset int64, err error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return at, n, nil
	}
	at, err = moment(flag, text)
	return at, -1, err
}

func moment(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return time.Now().Add(-ago), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("--%s is %q: use a time as 2026-01-02T15:04:05Z, a time ago as 24h, or an offset", flag, text)
	}
	return t, nil
}

func modelProfile() *cobra.Command {
	var events, rows, customer, engine string
	var topic, write, asJSON bool
	var part topicRange
	cmd := &cobra.Command{
		Use:   "profile BUNDLE",
		Short: "Make a bundle's profile: the reference that drift is measured against",
		Long: `Scores transactions under a bundle, and writes how its features, probabilities and decisions are distributed: bins, counts, and how much windows of
them differ although nothing is wrong, since transactions of one customer or one hour resemble each other. Take transactions as the model will meet them, 10,000 at
least, better weeks of them, that it was not trained on.

They come from JSON lines (--events), from a table of the model's inputs in the order of time (--rows, CSV or Parquet, columns named as the features,
--customer names the column of the key), or from the transactions topic. The profile goes to standard output, or with --write into the bundle, whose digest changes
by that.`,
		Example: `  mlmonitor model profile my-bundle --events held-out.jsonl --write
  mlmonitor model profile my-bundle --rows held-out.parquet --customer customer_id --write
  KAFKA_BROKERS=kafka:9092 mlmonitor model profile my-bundle --topic --from 336h > profile.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sources := 0
			for _, named := range []bool{events != "", rows != "", topic} {
				if named {
					sources++
				}
			}
			if sources != 1 {
				return errors.New("name one source: --events, --rows or --topic")
			}
			b, err := app.OpenUnprofiled(&app.ScorerConfig{BundleDir: args[0], Engine: chooseEngine(engine)})
			if err != nil {
				return err
			}
			var seen atomic.Int64
			p := app.NewProfiler(b, func() { seen.Add(1) })
			if err := readSource(cmd, p, &seen, events, rows, customer, &part); err != nil {
				return err
			}
			if p.Transactions() < drift.MinReference {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d transactions: with fewer than %d every comparison will say that there is not enough data\n", p.Transactions(), drift.MinReference)
			}
			for class, n := range p.Refused {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d events without a verdict left out: %s\n", n, class)
			}
			profile, err := p.Profile(featureProgress(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			if !write {
				text, err := profile.Encode()
				if err != nil {
					return err
				}
				_, err = cmd.OutOrStdout().Write(text)
				return err
			}
			digest, err := app.WriteProfile(args[0], profile)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, map[string]any{"transactions": profile.Observations, "features": len(profile.Features), "digest": digest})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "profile   %s, %d transactions, %d features\ndigest    %s\n", filepath.Join(args[0], scorer.ProfileFile), profile.Observations, len(profile.Features), digest)
			return nil
		},
	}
	engineFlag(cmd, &engine)
	cmd.Flags().StringVar(&events, "events", "", "JSON lines of events; - is standard input")
	cmd.Flags().StringVar(&rows, "rows", "", "table of the model's inputs, .parquet or CSV; - is a CSV on standard input")
	cmd.Flags().StringVar(&customer, "customer", "", "column of --rows that says whose transaction it is")
	cmd.Flags().BoolVar(&topic, "topic", false, "read the transactions topic")
	part.flags(cmd)
	cmd.Flags().BoolVar(&write, "write", false, "put the profile into the bundle")
	cmd.Flags().BoolVar(&asJSON, "json", false, "with --write, print JSON")
	return cmd
}

// readSource gives the profiler all transactions of the source that is named; the topic if none is.
func readSource(cmd *cobra.Command, p *app.Profiler, seen *atomic.Int64, events, rows, customer string, part *topicRange) error {
	name := events + rows
	if name == "" {
		topics, _, err := deadLetterConfig(cmd)
		if err != nil {
			return err
		}
		r, err := part.open(cmd, &topics, topics.Transactions)
		if err != nil {
			return err
		}
		defer showRate(cmd.ErrOrStderr(), seen, uint64(r.Len()))()
		return p.Events(app.TopicEvents(cmd.Context(), &topics, topics.Transactions, r))
	}
	defer showRate(cmd.ErrOrStderr(), seen, 0)()
	file := os.Stdin
	if name != "-" {
		var err error
		if file, err = os.Open(name); err != nil {
			return err
		}
		defer file.Close()
	}
	var err error
	switch {
	case events != "":
		err = p.Events(app.FileEvents(file))
	case filepath.Ext(rows) == ".parquet":
		err = p.Parquet(file, customer)
	default:
		err = p.CSV(file, customer)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// featureProgress keeps a line on a terminal while features are looked at, which takes seconds.
func featureProgress(w io.Writer) func(done, of int) {
	if !isTerminal(w) {
		return func(int, int) {}
	}
	return func(done, of int) {
		fmt.Fprintf(w, "\r\x1b[Kfeature %d of %d", done, of)
		if done == of {
			fmt.Fprint(w, "\r\x1b[K")
		}
	}
}
