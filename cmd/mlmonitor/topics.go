package main

import (
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/kafka"
)

func topicsCommand() *cobra.Command {
	var check, asJSON bool
	cmd := &cobra.Command{
		Use:   "topics",
		Short: "Create the topics that are missing, or check them",
		Long: `Creates the input, output and dead-letter topics where they are missing, and grows the outputs to the input's number of partitions. What exists
keeps its settings. Waits for the cluster.`,
		Example: "  KAFKA_BROKERS=kafka:9092 KAFKA_PARTITIONS=12 mlmonitor topics",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg app.Config
			var topics kafka.Config
			var layout kafka.Layout
			if err := app.Load(&cfg, &topics, &layout); err != nil {
				return err
			}
			log := app.Logger(os.Stderr, &cfg, "topics")
			if err := kafka.Connect(cmd.Context(), &topics, log, func(error) {}); err != nil {
				return err
			}
			found, err := kafka.LayOut(cmd.Context(), &topics, layout, check)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, found)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "TOPIC\tPARTITIONS\tSTATE")
			for _, t := range found {
				state := "there"
				if t.Created {
					state = "created"
				} else if t.Grown {
					state = "grown"
				}
				fmt.Fprintf(w, "%s\t%d\t%s\n", t.Name, t.Partitions, state)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; fail when a topic is missing or too small")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.AddCommand(exportCommand(), usersCommand(), unblockCommand())
	return cmd
}
