package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
)

func configCommand() *cobra.Command {
	var asJSON, asMarkdown bool
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "List the environment variables with their defaults and what is set now",
		Example: "  mlmonitor config --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON && asMarkdown {
				return errors.New("--json and --markdown: use one")
			}
			if asMarkdown {
				return writeReference(cmd.OutOrStdout())
			}
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
	cmd.Flags().BoolVar(&asMarkdown, "markdown", false, "print docs/configuration.md, which has nothing of what is set now")
	return cmd
}

// writeReference writes docs/configuration.md.
func writeReference(out io.Writer) error {
	var b strings.Builder
	b.WriteString(`# Configuration

Made from the code by ` + "`make docs`" + `: do not edit. Every setting is an environment variable; ` + "`mlmonitor config`" + ` shows the same list with what is set now. A wrong value ends
the start with an error that names its variable. A duration is a number with a unit, such as ` + "`500ms`, `5s` or `1h`" + `; true and false may be 1 and 0.

What is marked **secret** is never shown, and may come from a file: for a secret ` + "`X`, `X_FILE`" + ` names the file or pipe that holds it. One of the two may be set. A newline at its end is left out.
`)
	for _, section := range app.Sections() {
		fmt.Fprintf(&b, "\n## %s\n%s\n\n| variable | default | what |\n|---|---|---|\n", section.Title, section.Readers)
		for _, v := range app.Variables() {
			if v.Section != section.Title {
				continue
			}
			if v.Default != "" {
				v.Default = "`" + v.Default + "`"
			}
			if v.Secret {
				v.Description = "**secret**, or `" + v.Name + "_FILE`: " + v.Description
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.Name, v.Default, strings.ReplaceAll(v.Description, "|", `\|`))
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
