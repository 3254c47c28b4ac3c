package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/registry"
)

func scoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "score",
		Short: "Score the transactions topic: verdicts and dead letters, exactly once",
		Long: `Reads transactions, scores each under the bundle of BUNDLE_DIR, or of the MLflow version that has the alias MLFLOW_ALIAS, and commits verdicts, dead letters and offsets in one
Kafka transaction. When another bundle is there, it is proved and takes over between two transactions; the topic mlmonitor.models says from which offset on. One that does not hold
never decides: the bundle in force stays.
Run as many as the topic has partitions; each needs an INSTANCE_ID of its own that stays the same across restarts. SIGTERM ends the open
transaction, leaves the group and exits 0 within 10 s. Serves /health, /ready and /metrics on OPS_PORT (9101).`,
		Example: "  KAFKA_BROKERS=kafka:9092 BUNDLE_DIR=bundles/sample INSTANCE_ID=score-1 mlmonitor score",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg app.Config
			var topics kafka.Config
			var model app.ScorerConfig
			var models registry.Config
			var c consumer.Config
			if err := app.Load(&cfg, &topics, &model, &models, &c); err != nil {
				return err
			}
			return app.Score(cmd.Context(), app.Logger(os.Stderr, &cfg, "score"), &cfg, &topics, &model, models, c)
		},
	}
}
