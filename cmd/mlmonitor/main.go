// Command mlmonitor scores card transactions for fraud over Kafka.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
)

// What the linker sets: make build and make release do, and the Dockerfile.
var (
	version    = "dev"
	commit     string
	commitDate string // RFC 3339
)

func init() { app.Program = app.NewBuild(version, commit, commitDate) }

// errFound ends a command that did its work and found a fault: it has said so already, only the exit code is left to set.
var errFound = errors.New("")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		if !errors.Is(err, errFound) {
			fmt.Fprintln(os.Stderr, "mlmonitor:", err)
		}
		os.Exit(1)
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mlmonitor",
		Short: "Score card transactions for fraud over Kafka, exactly once",
		Long: `ML-Monitor reads transactions from a Kafka topic, scores each with a tree-ensemble model, publishes a verdict exactly once, and writes every
verdict to an audit table exactly once.

Configuration is environment variables: mlmonitor config lists them. Results go to standard output, logs to standard error.`,
		Example:       "  mlmonitor demo --for 20s      everything in one process, nothing to install",
		Version:       app.Program.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          showHelp,
	}
	cmd.SetVersionTemplate(app.Program.String())
	cmd.AddCommand(demoCommand(), scoreCommand(), auditCommand(), apiCommand(), produceCommand(), topicsCommand(), migrateCommand(),
		deadLetterCommand(), modelCommand(), driftCommand(), replayCommand(), configCommand(), doctorCommand(), healthCommand())
	return cmd
}

// showHelp is what a command does that only has commands below it. Being runnable, it refuses the name of one that does not exist.
func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// printJSON writes one indented JSON document to standard output.
func printJSON(cmd *cobra.Command, v any) error {
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
