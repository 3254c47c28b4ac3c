package main

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
)

func usersCommand() *cobra.Command {
	var passwords string
	var dry, asJSON bool
	cmd := &cobra.Command{
		Use:   "users ROLE[=USER]...",
		Short: "Let a Kafka user do what a role needs, and nothing else",
		Long: `Adds the ACLs that each role needs for the user of its name, or for USER: the table "Least privilege" of docs/operations.md, for the topics and groups of the
configuration. The roles are ` + strings.Join(kafka.Roles, ", ") + `. Nothing is taken away. consume is for readers of verdicts: their
group has the name of their user.

With --passwords, each user is made, or gets another password: that of the file kafka_USER_password in the directory, for SCRAM-SHA-512. Run it as an administrator. It may run
again and again. Waits for the cluster.`,
		Example: `  mlmonitor topics users score audit api --passwords secrets
  mlmonitor topics users score=fraud audit=fraud --dry-run`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: cobra.FixedCompletions(kafka.Roles, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			var cfg app.Config
			var topics kafka.Config
			var c consumer.Config
			if err := app.Load(&cfg, &topics, &c); err != nil {
				return err
			}
			users, err := app.Users(args, &topics, &c, passwords)
			if err != nil {
				return err
			}
			if !dry {
				if err := kafka.Connect(cmd.Context(), &topics, app.Logger(os.Stderr, &cfg, "topics users"), func(error) {}); err != nil {
					return err
				}
				if err := kafka.MakeUsers(cmd.Context(), &topics, app.Grants(users)); err != nil {
					return err
				}
			}
			if asJSON {
				return printJSON(cmd, users)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "USER\tMAY")
			for _, u := range users {
				for _, right := range u.Rights {
					fmt.Fprintf(w, "%s\t%s\n", u.User, right)
				}
			}
			return w.Flush()
		},
	}
	cmd.Flags().StringVar(&passwords, "passwords", "", "directory with kafka_USER_password of each user")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would be granted")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
