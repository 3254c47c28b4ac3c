package main

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/reports"
	"github.com/mlmonitor/mlmonitor/scorer"
)

func driftCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "drift",
		Short:   "Compare transactions with what the model was made for",
		Example: "  mlmonitor drift report --out drift.html",
		Args:    cobra.NoArgs,
		RunE:    showHelp,
	}
	cmd.AddCommand(driftReport())
	return cmd
}

func driftReport() *cobra.Command {
	var part topicRange
	var out, bundle, events string
	var every time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Report the drift of a range of the transactions topic against a bundle's profile",
		Long: `Reads a range of the transactions topic, scores it without publishing anything, and compares features, probabilities and decisions with the profile of the
bundle of BUNDLE_DIR: ranking, p-values, quality rules, time line, distributions. The same range gives the same report. With --events it reads a file, and needs no cluster. --out writes one HTML file that needs nothing else.

Exits with 1 when a feature has drifted (PSI above 0.1, and above chance) with --check.`,
		Example: `  KAFKA_BROKERS=kafka:9092 BUNDLE_DIR=my-bundle mlmonitor drift report --from 24h --out drift.html
  KAFKA_BROKERS=kafka:9092 mlmonitor drift report --bundle my-bundle --from 2026-03-01T00:00:00Z --to 2026-03-02T00:00:00Z --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			check, err := cmd.Flags().GetBool("check")
			if err != nil {
				return err
			}
			if bundle == "" {
				if bundle = os.Getenv("BUNDLE_DIR"); bundle == "" {
					return errors.New("BUNDLE_DIR is empty: set it, or name the bundle with --bundle")
				}
			}
			b, err := app.OpenBundle(&app.ScorerConfig{BundleDir: bundle, Engine: chooseEngine("")})
			if err != nil {
				return err
			}
			found, err := compare(cmd, b, events, every, &part)
			if err != nil {
				return err
			}
			if out != "" {
				if err := writePage(out, found); err != nil {
					return err
				}
			}
			if asJSON {
				err = printJSON(cmd, found)
			} else {
				err = printDrift(cmd, found, out)
			}
			if err == nil && check && (found.Verdict == drift.Warn || found.Verdict == drift.Severe) {
				return errFound
			}
			return err
		},
	}
	part.flags(cmd)
	cmd.Flags().StringVar(&events, "events", "", "JSON lines of events instead of the topic; - is standard input")
	cmd.Flags().StringVar(&bundle, "bundle", "", "directory of the bundle; default BUNDLE_DIR")
	cmd.Flags().DurationVar(&every, "every", 0, "event time of one stretch of the time line; default DRIFT_WINDOW")
	cmd.Flags().StringVar(&out, "out", "", "write the report as an HTML file")
	cmd.Flags().Bool("check", false, "exit with 1 when a feature has drifted")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// compare reads the file of events, or the topic where none is named.
func compare(cmd *cobra.Command, b *scorer.Bundle, events string, every time.Duration, part *topicRange) (*reports.Report, error) {
	var c consumer.Config
	var seen atomic.Int64
	counting := func(source app.Events) app.Events {
		return func(each func([]byte, time.Time) error) error {
			return source(func(event []byte, timestamp time.Time) error {
				seen.Add(1)
				return each(event, timestamp)
			})
		}
	}
	if events != "" {
		if err := app.Load(&app.Config{}, &c); err != nil {
			return nil, err
		}
		cfg, err := app.DriftHop(c.Drift, every)
		if err != nil {
			return nil, err
		}
		file, what := os.Stdin, "standard input"
		if events != "-" {
			what = events
			if file, err = os.Open(events); err != nil {
				return nil, err
			}
			defer file.Close()
		}
		defer showRate(cmd.ErrOrStderr(), &seen, 0)()
		return app.DriftReport(what, counting(app.FileEvents(file)), b, cfg)
	}
	topics, c, err := deadLetterConfig(cmd)
	if err != nil {
		return nil, err
	}
	cfg, err := app.DriftHop(c.Drift, every)
	if err != nil {
		return nil, err
	}
	r, err := part.open(cmd, &topics, topics.Transactions)
	if err != nil {
		return nil, err
	}
	defer showRate(cmd.ErrOrStderr(), &seen, uint64(r.Len()))()
	return app.DriftReport("topic "+topics.Transactions, counting(app.TopicEvents(cmd.Context(), &topics, topics.Transactions, r)), b, cfg)
}

func writePage(name string, r *reports.Report) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(r.HTML(f), f.Close())
}

// printDrift is for a terminal: the ranking, and what else is wrong.
func printDrift(cmd *cobra.Command, r *reports.Report, page string) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "%s against bundle %s %s, %d transactions with a verdict\n\nFEATURE\tLEVEL\tPSI\tCRITICAL\tP\n", r.Source, r.Bundle.Name, r.Bundle.Version, r.Transactions)
	for _, f := range r.Features {
		fmt.Fprintf(w, "%s\t%s\t%.4f\t%.4f\t%.2g\n", f.Name, f.Level, f.PSI, f.Critical, f.Bonferroni)
	}
	fmt.Fprintln(w)
	for _, q := range r.Quality {
		if !q.Holds {
			fmt.Fprintf(w, "quality rule %s is broken: %d of %d\n", q.Name, q.Failures, q.Checks)
		}
	}
	if page != "" {
		fmt.Fprintf(w, "report    %s\n", page)
	}
	return w.Flush()
}
