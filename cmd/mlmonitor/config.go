package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
)

func configCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "List the environment variables with their defaults and what is set now",
		Example: "  mlmonitor config --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return printJSON(cmd, app.Variables())
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "VARIABLE\tDEFAULT\tSET TO\tMEANING")
			for _, v := range app.Variables() {
				if v.Secret {
					v.Description += "; or " + v.Name + "_FILE, the name of a file that holds it"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", v.Name, v.Default, v.Value, v.Description)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
