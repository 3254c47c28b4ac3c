package app

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/mlmonitor/mlmonitor/api"
	"github.com/mlmonitor/mlmonitor/audit"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/registry"
)

// API runs the HTTP API until ctx ends.
func API(ctx context.Context, log *slog.Logger, cfg *Config, topics *kafka.Config, model *ScorerConfig, models registry.Config, a api.Config) error {
	return serve(ctx, cfg, apiPort, log, func(reg prometheus.Registerer) (role, error) {
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
		find, done, err := finder(ctx, a)
		if err != nil {
			return nil, err
		}
		server, err := api.New(ctx, a, asker, func() api.InForce {
			f, _ := inForce.Current()
			return api.InForce{Champion: f.Champion, Challenger: f.Challenger, Share: f.Share, Reason: f.Reason}
		}, find, log, reg)
		if err != nil {
			return nil, err
		}
		return &apiRole{server, asker, watcher, inForce, done}, nil
	})
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
	group.Go(func() error { return r.watcher.Run(ctx, r.models.Set, r.models.SetChallenger) })
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

// finder reads the audit; nil where none is named.
func finder(ctx context.Context, a api.Config) (find api.Find, done func(), err error) {
	if a.DatabaseURL == "" {
		return nil, func() {}, nil
	}
	reader, err := audit.OpenReader(ctx, "API_DATABASE_URL", a.DatabaseURL)
	if err != nil {
		return nil, nil, err
	}
	find = func(ctx context.Context, id string, limit int) ([]api.RecordedVerdict, error) {
		rows, err := reader.Find(ctx, id, limit)
		var all []api.RecordedVerdict
		for _, r := range rows {
			all = append(all, api.RecordedVerdict{Verdict: json.RawMessage(r.Payload), Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, PublishedAt: r.PublishedAt})
		}
		return all, err
	}
	return find, func() { reader.Close() }, nil
}
