package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/mlmonitor/mlmonitor/api"
	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/registry"
)

func apiCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "api",
		Short: "Answer single transactions over HTTP",
		Long: `Serves POST /predict, /predict/batch and /score, what there is to read, /openapi.json, /docs and a page for people on API_PORT (8000). A transaction is published to the input topic, the scorer that owns its
partition decides, and the answer is the committed verdict: it is audited and replayed as any other. Needs at least one scorer, and a bundle or MLflow as scorers do.

Callers need a bearer token of API_OIDC_ISSUER; API_AUTH=off lets everybody in. Serves /health, /ready and /metrics on OPS_PORT (9103).`,
		Example: `  KAFKA_BROKERS=kafka:9092 BUNDLE_DIR=bundles/sample API_OIDC_ISSUER=https://id.example.com/realms/payments mlmonitor api
  KAFKA_BROKERS=kafka:9092 BUNDLE_DIR=sample API_AUTH=off mlmonitor api`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg app.Config
			var topics kafka.Config
			var model app.ScorerConfig
			var models registry.Config
			var a api.Config
			var c consumer.Config
			if err := app.Load(&cfg, &topics, &model, &models, &a, &c); err != nil {
				return err
			}
			a.Program = app.Program.Version
			return app.API(cmd.Context(), app.Logger(os.Stderr, &cfg, "api"), &cfg, &topics, &model, models, c.Group, a)
		},
	}
}
