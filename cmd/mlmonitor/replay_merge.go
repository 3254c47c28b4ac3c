package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/replay"
	"github.com/mlmonitor/mlmonitor/scorer"
)

func writeCounts(name string, c *replay.Counts) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	z := gzip.NewWriter(file)
	return errors.Join(json.NewEncoder(z).Encode(c), z.Close(), file.Close())
}

func replayMerge() *cobra.Command {
	var out, bundle string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "merge COUNTS COUNTS…",
		Short: "Add up the counts of several replays, and report them as one",
		Long: `Reads what replay --counts wrote, on this machine or on others, of other partitions or times under the same bundles and settings, and makes one report. Counts add up exactly. The same
inputs twice are refused.`,
		Example: `  mlmonitor replay --partitions 0-5 --bundle candidate --counts a.json.gz      # on one machine
  mlmonitor replay --partitions 6-11 --bundle candidate --counts b.json.gz     # on another
  mlmonitor replay merge a.json.gz b.json.gz --out report.html`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var total *replay.Counts
			for _, name := range args {
				c, err := readCounts(name)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				if total == nil {
					total = c
				} else if err := total.Merge(c); err != nil {
					return fmt.Errorf("%s does not go with those before it: %w", name, err)
				}
			}
			var candidate *scorer.Bundle
			if bundle != "" {
				b, err := app.FindBundle(cmd.Context(), bundle, chooseEngine(""))
				if err != nil {
					return err
				}
				candidate = b.Bundle
			}
			return writeReport(cmd, replay.NewReport(total, candidate, nil), out, asJSON)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "write the report as an HTML file")
	cmd.Flags().StringVar(&bundle, "bundle", "", "the candidate, whose thresholds the report then shows too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// maxCounts bounds a file of counts, unpacked.
const maxCounts = 4 << 30

func readCounts(name string) (*replay.Counts, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	return replay.ReadCounts(io.LimitReader(z, maxCounts))
}
