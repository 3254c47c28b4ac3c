package main

import (
	"fmt"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/kafka"
)

func doctorCommand() *cobra.Command {
	var asJSON, verbose bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check everything that the environment configures, and say how to mend it",
		Long: `Checks the settings themselves; that the brokers answer, keep the exactly-once promise, have the topics and are set to be fast; who scores, and how far behind; with
DATABASE_URL or API_DATABASE_URL the database: user and rights, version of the tables, partitions, connections, clock; with BUNDLE_DIR or MLFLOW_TRACKING_URI that the bundles
can be had and hold; certificates that end, and disks that run full. Run it with the environment of the role that is in trouble: it looks at that role's rights. Each part is checked whatever is wrong with the
others; it ends within a minute, changes nothing, and shows no secrets.
Exits with 1 when something fails; what only could be better is a warning.`,
		Example: "  KAFKA_BROKERS=kafka:9092 mlmonitor doctor",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			found := app.Doctor(cmd.Context(), demoDir)
			if !verbose {
				found = slices.DeleteFunc(found, func(f kafka.Finding) bool { return f.State == kafka.Skip })
			}
			var err error
			if asJSON {
				err = printJSON(cmd, found)
			} else {
				err = printFindings(cmd, found)
			}
			if err == nil && slices.ContainsFunc(found, func(f kafka.Finding) bool { return f.State == kafka.Fail }) {
				err = errFound
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&verbose, "verbose", false, "show what was not checked, and why")
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
