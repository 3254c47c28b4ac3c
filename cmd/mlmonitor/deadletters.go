package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/schemas"
)

func deadLetterCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "dlq",
		Short:   "Look at dead letters and send them back",
		Example: "  mlmonitor dlq list",
		Args:    cobra.NoArgs,
		RunE:    showHelp,
	}
	cmd.AddCommand(deadLetterList(), deadLetterRedrive())
	return cmd
}

// deadLetterConfig loads what both subcommands need, and waits for the cluster.
func deadLetterConfig(cmd *cobra.Command) (topics kafka.Config, c consumer.Config, err error) {
	var cfg app.Config
	if err := app.Load(&cfg, &topics, &c); err != nil {
		return topics, c, err
	}
	return topics, c, kafka.Connect(cmd.Context(), &topics, app.Logger(os.Stderr, &cfg, "dlq"), func(error) {})
}

// letterJSON is a line of dlq list --json. Value is the input as text where it is UTF-8, else value_base64 holds it.
type letterJSON struct {
	Partition   int32          `json:"partition"` // in the dead-letter topic
	Offset      int64          `json:"offset"`
	Class       schemas.Class  `json:"class"`
	Message     string         `json:"message"`
	Source      schemas.Source `json:"source"`
	Timestamp   time.Time      `json:"timestamp"`
	Bundle      string         `json:"bundle"`
	Attempt     int            `json:"attempt"`
	Key         string         `json:"key"`
	Value       string         `json:"value,omitempty"`
	ValueBase64 []byte         `json:"value_base64,omitempty"`
	Error       string         `json:"error,omitempty"` // why it is not a dead letter of this program
}

func deadLetterList() *cobra.Command {
	var all, asJSON bool
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List dead letters that were not redriven",
		Example: `  mlmonitor dlq list
  mlmonitor dlq list --all --limit 0 --json | jq -r .class | sort | uniq -c`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return fmt.Errorf("--limit is %d: set it to 1 or more, or to 0 for all", limit)
			}
			topics, c, err := deadLetterConfig(cmd)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			enc := json.NewEncoder(cmd.OutOrStdout())
			if !asJSON {
				fmt.Fprintln(w, "SOURCE\tATTEMPT\tCLASS\tREASON")
			}
			shown, more := 0, 0
			err = consumer.OpenDeadLetters(cmd.Context(), &c, &topics, all, func(d producer.DeadLetter, bad error) error {
				if limit > 0 && shown == limit {
					more++
					return nil
				}
				shown++
				if asJSON {
					return enc.Encode(asLetterJSON(d, bad))
				}
				if bad != nil {
					_, err := fmt.Fprintf(w, "?\t?\t?\t%v\n", bad)
					return err
				}
				_, err := fmt.Fprintf(w, "%s/%d@%d\t%d\t%s\t%s\n", printable(d.Source.Topic), d.Source.Partition, d.Source.Offset, d.Attempt, printable(string(d.Class)), printable(d.Message))
				return err
			})
			if !asJSON {
				err = errors.Join(err, w.Flush())
			}
			if err != nil {
				return err
			}
			if more > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d more: use --limit 0 for all\n", more)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also those that were redriven")
	cmd.Flags().IntVar(&limit, "limit", 100, "letters to show; 0 for all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line, with the input")
	return cmd
}

func asLetterJSON(d producer.DeadLetter, bad error) letterJSON {
	l := letterJSON{Partition: d.Record.Partition, Offset: d.Record.Offset, Class: d.Class, Message: d.Message, Source: d.Source,
		Timestamp: d.Timestamp, Bundle: d.Bundle, Attempt: d.Attempt, Key: string(d.Record.Key)}
	if bad != nil {
		l.Error = bad.Error()
	}
	if utf8.Valid(d.Record.Value) {
		l.Value = string(d.Record.Value)
	} else {
		l.ValueBase64 = d.Record.Value
	}
	return l
}

// printable keeps hostile bytes of an input off the terminal.
func printable(s string) string {
	quoted := fmt.Sprintf("%q", s)
	return quoted[1 : len(quoted)-1]
}

func deadLetterRedrive() *cobra.Command {
	var classes []string
	var r consumer.Redrive
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "redrive",
		Short: "Send dead letters back to the topic they came from, exactly once",
		Long: `Sends every dead letter that is open back to its source partition as it came, in Kafka transactions. A letter that was refused --max-attempts times
stays, as do those of other classes with --class. Letters that come in meanwhile may be left for the next run.`,
		Example: "  mlmonitor dlq redrive --class unknown_category",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if r.MaxAttempts < 1 {
				return fmt.Errorf("--max-attempts is %d: set it to 1 or more", r.MaxAttempts)
			}
			for _, c := range classes {
				r.Classes = append(r.Classes, schemas.Class(c))
			}
			topics, c, err := deadLetterConfig(cmd)
			if err != nil {
				return err
			}
			done, err := r.Run(cmd.Context(), &c, &topics, func(now consumer.Redriven) {
				if isTerminal(cmd.ErrOrStderr()) {
					fmt.Fprintf(cmd.ErrOrStderr(), "\r\x1b[K%d redriven", now.Redriven)
				}
			})
			if isTerminal(cmd.ErrOrStderr()) {
				fmt.Fprint(cmd.ErrOrStderr(), "\r\x1b[K")
			}
			if err != nil {
				return fmt.Errorf("after %d letters: %w", done.Redriven, err)
			}
			if asJSON {
				return printJSON(cmd, done)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d redriven, %d kept, %d refused too often, %d not dead letters of this program\n", done.Redriven, done.Kept, done.Exhausted, done.Foreign)
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&classes, "class", nil, "reason classes to send back; default all")
	cmd.Flags().IntVar(&r.MaxAttempts, "max-attempts", 3, "a letter that was refused this often stays")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
