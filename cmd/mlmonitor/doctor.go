package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
)

func doctorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the cluster that the roles are configured for, and say how to mend it",
		Long: `Checks that the brokers answer, keep the exactly-once promise, have the topics, and are set to be fast; and how far the scorers are behind. Changes nothing.
Exits with 1 when something fails; what only could be better is a warning.`,
		Example: "  KAFKA_BROKERS=kafka:9092 mlmonitor doctor",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg app.Config
			var topics kafka.Config
			var c consumer.Config
			if err := app.Load(&cfg, &topics, &c); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 30*time.Second)
			defer cancel()
			found, err := app.Doctor(ctx, &topics, &c)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd, found)
			} else {
				err = printFindings(cmd, found)
			}
			for _, f := range found {
				if f.State == kafka.Fail && err == nil {
					err = errFound
				}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printFindings(cmd *cobra.Command, found []kafka.Finding) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, f := range found {
		fmt.Fprintf(w, "%s\t%s\t%s\n", f.State, f.Check, f.Found)
		if f.Mend != "" {
			fmt.Fprintf(w, "\t\t→ %s\n", f.Mend)
		}
	}
	return w.Flush()
}
