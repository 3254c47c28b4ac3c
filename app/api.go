package app

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/mlmonitor/mlmonitor/api"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/registry"
)

// API runs the HTTP API until ctx ends.
func API(ctx context.Context, log *slog.Logger, cfg *Config, topics *kafka.Config, model *ScorerConfig, models registry.Config, group string, a api.Config) error {
	return serve(ctx, cfg, "api", apiPort, log, func(reg prometheus.Registerer) (role, error) {
		watcher, err := registry.NewWatcher(models, model.BundleDir, Prover(model.Engine), log, reg)
		if err != nil {
			return nil, err
		}
		bundle, reason, err := watcher.First(ctx)
		if err != nil {
			return nil, err
		}
		log.Info("bundle loaded", "name", bundle.ID.Name, "version", bundle.ID.Version, "digest", bundle.ID.Digest)
		if err := kafka.Connect(ctx, topics, log, func(error) {}); err != nil {
			return nil, err
		}
		asker, err := producer.NewAsker(ctx, topics, cfg.Instance, a.MaxInFlight, log, reg)
		if err != nil {
			return nil, err
		}
		inForce := consumer.NewModels(bundle, reason)
		return newAPIRole(ctx, log, a, topics, group, asker, watcher, inForce, reg)
	})
}

// newAPIRole makes the server of an asker and of what there is to read. watcher is nil where the bundle stays.
func newAPIRole(ctx context.Context, log *slog.Logger, a api.Config, topics *kafka.Config, group string, asker *producer.Asker, watcher *registry.Watcher, models *consumer.Models, reg prometheus.Registerer) (*apiRole, error) {
	sources, done, err := apiSources(ctx, a, topics, group, models)
	if err != nil {
		return nil, err
	}
	server, err := api.New(ctx, a, asker, func() api.InForce {
		f, _ := models.Current()
		return api.InForce{Champion: f.Champion, Challenger: f.Challenger, Share: f.Share, Reason: f.Reason}
	}, sources, log, reg)
	if err != nil {
		return nil, err
	}
	return &apiRole{server, asker, watcher, models, done}, nil
}

// apiRole answers under what the registry says.
type apiRole struct {
	*api.Server
	asker   *producer.Asker
	watcher *registry.Watcher
	models  *consumer.Models
	done    func() // with the audit
}

// Run answers until ctx ends. Requests that began are answered before the replies are no longer read.
func (r *apiRole) Run(ctx context.Context) error {
	defer r.done()
	group, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancel(ctx)
	replies, enough := context.WithCancel(context.WithoutCancel(ctx))
	if r.watcher != nil {
		group.Go(func() error { return r.watcher.Run(ctx, r.models.Set, r.models.SetChallenger) })
	}
	group.Go(func() error {
		r.asker.Run(replies)
		return nil
	})
	group.Go(func() error {
		defer enough()
		defer stop()
		return r.Server.Run(ctx)
	})
	return group.Wait()
}
