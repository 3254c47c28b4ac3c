package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/audit"
)

func migrateCommand() *cobra.Command {
	var asJSON bool
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Create or update the audit tables, their partitions and grants",
		Long: `Brings the database of DATABASE_URL to this program's schema, makes the day partitions of the next AUDIT_PARTITIONS_AHEAD_DAYS, drops days older than
AUDIT_RETENTION_DAYS, and grants the writer and reader roles the least they need. DATABASE_URL must be that of the tables' owner. Safe to run
again, and twice at once. Partitions must be made ahead: run it daily, or leave it running with --every 24h.`,
		Example: "  DATABASE_URL_FILE=/run/secrets/owner_url mlmonitor migrate",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if every != 0 && every < time.Minute {
				return fmt.Errorf("--every is %v: set it to 1m or more, or to 0 to run once", every)
			}
			var cfg app.Config
			var a audit.Config
			if err := app.Load(&cfg, &a); err != nil {
				return err
			}
			report, err := audit.Migrate(cmd.Context(), a)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd, report)
			} else {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), report)
			}
			if err != nil || every == 0 {
				return err
			}
			return maintain(cmd.Context(), app.Logger(os.Stderr, &cfg, "migrate"), a, every)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().DurationVar(&every, "every", 0, "keep running, and keep the partitions up to date this often")
	return cmd
}

// maintain keeps partitions and retention until ctx ends; a failure is logged and tried again at the next turn.
func maintain(ctx context.Context, log *slog.Logger, cfg audit.Config, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		done, err := audit.Maintain(ctx, cfg, time.Now())
		if err != nil {
			log.Error("partitions could not be kept up to date", "error", err, "retry_in", every.String())
			continue
		}
		log.Info("partitions are up to date", "result", done)
	}
}
