package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/replay"
	"github.com/mlmonitor/mlmonitor/replay/metrics"
)

// replayFlags are those of replay.
type replayFlags struct {
	part                                topicRange
	partitions                          string
	events, bundle, against, labels     string
	unlabelled, maturity, asOf, costs   string
	k, workers                          int
	segments, bundleDirs                []string
	sample                              float64
	out, table, counts, publish, policy string
	verify, attach, asJSON              bool
}

func replayCommand() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Backtest a bundle on what really happened",
		Long: `Scores a range of the transactions topic again, or files of it, and reports what the bundle would have done: against the verdicts that were given, or another bundle; with
labels, how good it is, what it costs, and which policy would have been better. It is in no group, and changes no offset and no topic.

--verify scores each input under the bundle that its verdict names, and compares byte by byte: exit code 1 if any differs. --publish writes the verdicts to another topic, exactly once.
--attach logs figures and report to the bundle's version in MLflow, which model promote asks for. Interrupted, it reports what it has read, marked so, and exits with 1.`,
		Example: `  KAFKA_BROKERS=kafka:9092 mlmonitor replay --bundle models:/fraud-detector@challenger --from 720h --labels labels.csv --costs costs.yaml --out report.html --attach
  mlmonitor replay --events may.jsonl.zst --bundle candidate --against champion --labels labels.csv --out report.html
  KAFKA_BROKERS=kafka:9092 mlmonitor replay --verify --from 24h`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case f.verify:
				return f.runVerify(cmd)
			case f.publish != "":
				return f.runPublish(cmd)
			}
			return f.run(cmd)
		},
	}
	f.part.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.partitions, "partitions", "", "only these partitions, such as 0-5,7: several machines share a range so, and replay merge adds up their --counts")
	flags.StringVar(&f.events, "events", "", "file of events instead of the topic: JSON lines (.gz, .zst too), or Parquet with a column value; - is standard input")
	flags.StringVar(&f.bundle, "bundle", "", "the bundle: a folder, models:/NAME/VERSION, models:/NAME@ALIAS, or sample; default BUNDLE_DIR")
	flags.StringVar(&f.against, "against", "", "what to compare with: verdicts (those that were given), none, or a bundle; default verdicts of a topic, none of a file")
	flags.StringVar(&f.labels, "labels", "", "labels: a CSV or JSON lines of transaction_id, label (0, 1) and perhaps labelled_at; or topic:NAME of such JSON")
	flags.StringVar(&f.unlabelled, "unlabelled", "unknown", "what a mature transaction without a label is: unknown (it does not count) or honest")
	flags.StringVar(&f.maturity, "maturity", "7d", "how old a transaction must be for its label to be final")
	flags.StringVar(&f.asOf, "as-of", "", "when the labels are from, RFC 3339; default the newest labelled_at, or now")
	flags.StringVar(&f.costs, "costs", "", "costs.yaml: what decisions cost, and the capacity")
	flags.IntVar(&f.k, "k", 100, "of precision at k: transactions, or customers, that are looked at in a day")
	flags.StringSliceVar(&f.segments, "segment", nil, "feature by whose values to split; may be given several times")
	flags.Float64Var(&f.sample, "sample", 1, "share of the record keys to replay, chosen by hash")
	flags.IntVar(&f.workers, "workers", runtime.GOMAXPROCS(0), "partitions at a time")
	flags.StringVar(&f.out, "out", "", "write the report as an HTML file")
	flags.StringVar(&f.policy, "policy", "", "write the suggested policy to this file: of those within the capacity the one that would have cost least; needs --costs")
	flags.StringVar(&f.table, "parquet", "", "write a line for each transaction to a Parquet file")
	flags.StringVar(&f.counts, "counts", "", "write the counts for replay merge to a file, gzipped JSON")
	flags.StringVar(&f.publish, "publish", "", "write the verdicts to this topic, exactly once; started again, it goes on where it was")
	flags.BoolVar(&f.verify, "verify", false, "score each input under the bundle that its verdict names, and compare")
	flags.StringSliceVar(&f.bundleDirs, "bundle-dir", nil, "with --verify: folder of a bundle that is neither in the cache nor in the registry; may be given several times")
	flags.BoolVar(&f.attach, "attach", false, "log figures and report to the bundle's version in MLflow")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
	cmd.AddCommand(replayMerge())
	return cmd
}

// days reads a duration that may have days: 7d, 36h.
func days(flag, text string) (time.Duration, error) {
	if n, ok := strings.CutSuffix(text, "d"); ok {
		if count, err := strconv.ParseFloat(n, 64); err == nil && count >= 0 && count < 100_000 {
			return time.Duration(count * 24 * float64(time.Hour)), nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("--%s is %q: use days or hours, as 7d or 36h", flag, text)
	}
	return d, nil
}

func (f *replayFlags) name() (string, error) {
	if f.bundle == "" {
		if f.bundle = os.Getenv("BUNDLE_DIR"); f.bundle == "" {
			return "", errors.New("BUNDLE_DIR is empty: set it, or name the bundle with --bundle")
		}
	}
	return f.bundle, nil
}

// options are what is asked for, but for the labels of a topic.
func (f *replayFlags) options(ctx context.Context) (*replay.Options, *app.Named, error) {
	name, err := f.name()
	if err != nil {
		return nil, nil, err
	}
	candidate, err := app.FindBundle(ctx, name, chooseEngine(""))
	if err != nil {
		return nil, nil, err
	}
	if f.attach && candidate.Version == "" {
		return nil, nil, fmt.Errorf("--attach needs a version: name the bundle as models:/NAME/VERSION or models:/NAME@ALIAS")
	}
	o := &replay.Options{Candidate: candidate.Bundle, Unlabelled: f.unlabelled, K: f.k, Segments: f.segments, Sample: f.sample, Workers: f.workers, Hop: drift.Defaults().Window,
		Command: strings.Join(append([]string{"mlmonitor"}, os.Args[1:]...), " ")}
	if o.Maturity, err = days("maturity", f.maturity); err != nil {
		return nil, nil, err
	}
	switch f.against {
	case "verdicts":
		if f.events != "" {
			return nil, nil, errors.New("--against verdicts: a file has none; name a bundle")
		}
		o.Verdicts = true
	case "":
		o.Verdicts = f.events == ""
	case "none":
	default:
		base, err := app.FindBundle(ctx, f.against, chooseEngine(""))
		if err != nil {
			return nil, nil, fmt.Errorf("--against: %w", err)
		}
		o.Base = base.Bundle
	}
	if f.costs != "" {
		text, err := os.ReadFile(f.costs)
		if err != nil {
			return nil, nil, err
		}
		if o.Costs, err = metrics.ParseCosts(text); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", f.costs, err)
		}
	}
	return o, candidate, nil
}

// readLabels reads the labels, and says when they are from.
func (f *replayFlags) readLabels(ctx context.Context, topics *kafka.Config, o *replay.Options) (err error) {
	topic, isTopic := strings.CutPrefix(f.labels, "topic:")
	switch {
	case f.labels == "":
		return nil
	case isTopic && f.events != "":
		return errors.New("--labels topic: goes with a topic of events")
	case isTopic:
		o.Labels, err = replay.TopicLabels(ctx, topics, topic)
	default:
		o.Labels, err = replay.ReadLabels(f.labels)
	}
	if err != nil {
		return err
	}
	o.AsOf = o.Labels.Newest
	if o.AsOf.IsZero() {
		o.AsOf = time.Now().UTC().Truncate(time.Second)
	}
	if f.asOf != "" {
		if o.AsOf, err = time.Parse(time.RFC3339, f.asOf); err != nil {
			return fmt.Errorf("--as-of is %q: use a time as 2026-01-02T15:04:05Z", f.asOf)
		}
	}
	return nil
}

// topic gives the range that is asked for.
func (f *replayFlags) topic(cmd *cobra.Command) (topics kafka.Config, r kafka.Range, err error) {
	topics, _, err = deadLetterConfig(cmd)
	if err != nil {
		return topics, r, err
	}
	if r, err = f.part.open(cmd, &topics, topics.Transactions); err != nil {
		return topics, r, err
	}
	only, err := partitionSet(f.partitions)
	if err != nil {
		return topics, r, err
	}
	for p := range r.To {
		if only != nil && !only[p] {
			delete(r.To, p)
			delete(r.From, p)
		}
	}
	if r.Len() == 0 {
		return topics, r, fmt.Errorf("there is nothing in this range of %s", topics.Transactions)
	}
	return topics, r, nil
}

// partitionSet reads 0-5,7; nil for all.
func partitionSet(text string) (map[int32]bool, error) {
	if text == "" {
		return nil, nil
	}
	all := map[int32]bool{}
	for _, one := range strings.Split(text, ",") {
		first, last, isRange := strings.Cut(one, "-")
		if !isRange {
			last = first
		}
		a, err1 := strconv.ParseInt(first, 10, 32)
		b, err2 := strconv.ParseInt(last, 10, 32)
		if err1 != nil || err2 != nil || a < 0 || b < a || b > 100_000 {
			return nil, fmt.Errorf("--partitions is %q: write numbers and ranges, as 0-5,7", text)
		}
		for p := a; p <= b; p++ {
			all[int32(p)] = true
		}
	}
	return all, nil
}

func (f *replayFlags) run(cmd *cobra.Command) error {
	ctx := cmd.Context()
	o, candidate, err := f.options(ctx)
	if err != nil {
		return err
	}
	var source *replay.Source
	var topics kafka.Config
	if f.events != "" {
		source = replay.FromFile(f.events, max(1, f.workers))
		if o.Since, err = moment("from", f.part.from); err != nil {
			return err
		}
		if o.Until, err = moment("to", f.part.to); err != nil {
			return err
		}
	} else {
		var r kafka.Range
		if topics, r, err = f.topic(cmd); err != nil {
			return err
		}
		source = replay.FromTopic(&topics, topics.Transactions, r)
	}
	if err := f.readLabels(ctx, &topics, o); err != nil {
		return err
	}
	if f.policy != "" && (o.Costs == nil || o.Labels == nil) {
		return errors.New("--policy needs --labels and --costs")
	}
	var table *replay.Table
	if f.table != "" {
		if table, err = replay.NewTable(f.table); err != nil {
			return err
		}
		o.Each = table.Add
	}
	var seen atomic.Int64
	o.Seen = func(n int) { seen.Add(int64(n)) }
	stop := showRate(cmd.ErrOrStderr(), &seen, uint64(source.Total))
	counts, err := replay.Run(ctx, source, &topics, o)
	stop()
	if table != nil {
		err = errors.Join(err, table.Close(err == nil && !counts.Partial))
	}
	if err != nil {
		return err
	}
	if f.counts != "" {
		if err := writeCounts(f.counts, counts); err != nil {
			return err
		}
	}
	report := replay.NewReport(counts, o.Candidate, o.Base)
	if err := writeReport(cmd, report, f.out, f.asJSON); err != nil {
		return err
	}
	if f.policy != "" && !report.Partial {
		if err := writePolicy(f.policy, report); err != nil {
			return err
		}
	}
	if report.Partial {
		return errors.New("interrupted: the report is of a part")
	}
	if f.attach {
		return attach(cmd, report, candidate)
	}
	return nil
}
