package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/audit"
	"github.com/mlmonitor/mlmonitor/kafka"
)

func auditCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "audit",
		Short: "Write every verdict to the audit table, exactly once",
		Long: `Reads committed verdicts and copies them, with their offsets, to the database of DATABASE_URL in one database transaction. Run one or more;
each needs an INSTANCE_ID of its own. DATABASE_URL should be that of the writer role, which may only insert.
Serves /health, /ready and /metrics on OPS_PORT (9102).`,
		Example: "  KAFKA_BROKERS=kafka:9092 DATABASE_URL_FILE=/run/secrets/audit_url INSTANCE_ID=audit-1 mlmonitor audit",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg app.Config
			var topics kafka.Config
			var a audit.Config
			if err := app.Load(&cfg, &topics, &a); err != nil {
				return err
			}
			return app.Audit(cmd.Context(), app.Logger(os.Stderr, &cfg, "audit"), &cfg, &topics, a)
		},
	}
}
