package main

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
)

// exported is what topics export prints with --json.
type exported struct {
	Topic   string `json:"topic"`
	Written int64  `json:"written"`
	Skipped int64  `json:"skipped"`
}

func exportCommand() *cobra.Command {
	var part topicRange
	var topic, out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write a range of a topic to a file, as JSON lines",
		Long: `Reads the committed records of a range of a topic, without a group, and writes their values, one a line, in offset order within a partition: for training, for replay
beyond retention, for looking at. The file appears when it is complete.`,
		Example: "  KAFKA_BROKERS=kafka:9092 mlmonitor topics export --from 1440h --out events.jsonl",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			topics, _, err := deadLetterConfig(cmd)
			if err != nil {
				return err
			}
			if topic == "" {
				topic = topics.Transactions
			}
			r, err := part.open(cmd, &topics, topic)
			if err != nil {
				return err
			}
			var seen atomic.Int64
			defer showRate(cmd.ErrOrStderr(), &seen, uint64(r.Len()))()
			done := exported{Topic: topic}
			if out == "-" {
				done.Written, done.Skipped, err = app.Export(cmd.Context(), &topics, topic, r, cmd.OutOrStdout(), func() { seen.Add(1) })
				return err
			}
			half := out + ".part"
			file, err := os.Create(half)
			if err != nil {
				return err
			}
			defer os.Remove(half)
			done.Written, done.Skipped, err = app.Export(cmd.Context(), &topics, topic, r, file, func() { seen.Add(1) })
			if err := errors.Join(err, file.Close()); err != nil {
				return err
			}
			if err := os.Rename(half, out); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, done)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d records of %s in %s\n", done.Written, topic, out)
			if done.Skipped > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d records left out: they are empty, or no JSON and more than one line\n", done.Skipped)
			}
			return err
		},
	}
	part.flags(cmd)
	cmd.Flags().StringVar(&topic, "topic", "", "the topic; default KAFKA_TOPIC_TRANSACTIONS")
	cmd.Flags().StringVar(&out, "out", "", "file to write; - is standard output")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	if err := cmd.MarkFlagRequired("out"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}
