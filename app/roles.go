package app

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/mlmonitor/mlmonitor/audit"
	"github.com/mlmonitor/mlmonitor/bundles"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/registry"
	"github.com/mlmonitor/mlmonitor/scorer"
	"github.com/mlmonitor/mlmonitor/tracing"
)

// Default ports of the operations pages.
const (
	demoPort  = 9100
	scorePort = 9101
	auditPort = 9102
	apiPort   = 9103
)

// tracesTimeout is how long the last traces may take when a role ends.
const tracesTimeout = 2 * time.Second

// role is what runs until its context ends, and can say whether it does its work.
type role interface {
	Run(context.Context) error
	Ready(context.Context) error
}

// serve runs a role with its operations pages until ctx ends. build gets the registry for its metrics.
func serve(ctx context.Context, cfg *Config, name string, port int, log *slog.Logger, build func(prometheus.Registerer) (role, error)) error {
	if cfg.OpsPort != 0 {
		port = cfg.OpsPort
	}
	ops, err := newOpsServer(cfg, port, log)
	if err != nil {
		return err
	}
	if cfg.Traces != "" {
		stop, err := tracing.Start(tracing.Identity{Role: name, Instance: cfg.Instance, Version: Program.Version}, log, ops.Registry)
		if err != nil {
			ops.listener.Close()
			return err
		}
		defer func() {
			bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), tracesTimeout)
			defer cancel()
			if err := stop(bounded); err != nil {
				log.Warn("the last traces did not reach the collector", "error", err)
			}
		}()
	}
	r, err := build(ops.Registry)
	if err != nil {
		ops.listener.Close()
		return err
	}
	log.Info("started", "ops", ops.URL())
	group, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancel(ctx)
	group.Go(func() error { return ops.Serve(ctx, r.Ready) })
	group.Go(func() error {
		defer stop() // the pages end with the role
		return r.Run(ctx)
	})
	err = group.Wait()
	log.Info("stopped")
	return err
}

// Score runs a scorer until ctx ends.
func Score(ctx context.Context, log *slog.Logger, cfg *Config, topics *kafka.Config, model *ScorerConfig, models registry.Config, c consumer.Config) error {
	return serve(ctx, cfg, "score", scorePort, log, func(reg prometheus.Registerer) (role, error) {
		watcher, err := registry.NewWatcher(models, model.BundleDir, Prover(model.Engine), log, reg)
		if err != nil {
			return nil, err
		}
		bundle, reason, err := watcher.First(ctx)
		if err != nil {
			return nil, err
		}
		log.Info("bundle loaded", "name", bundle.ID.Name, "version", bundle.ID.Version, "digest", bundle.ID.Digest, "model", bundle.Model.Format(),
			"trees", bundle.Model.Trees(), "scores", scorer.Exactness(bundle.Model), "kernel", scorer.Kernel(bundle.Model))
		inForce := consumer.NewModels(bundle, reason)
		return &scorerRole{consumer.New(c, topics, inForce, log, reg), watcher, inForce}, nil
	})
}

// scorerRole scores under what the registry says.
type scorerRole struct {
	*consumer.Consumer
	watcher *registry.Watcher
	models  *consumer.Models
}

// Run scores until ctx ends, and swaps bundles meanwhile. A registry that does not answer stops nothing.
func (s *scorerRole) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancel(ctx)
	group.Go(func() error { return s.watcher.Run(ctx, s.models.Set, s.models.SetChallenger) })
	group.Go(func() error {
		defer stop()
		return s.Consumer.Run(ctx)
	})
	return group.Wait()
}

// Prover loads bundles from directories, and proves them by their examples.
func Prover(engine scorer.Engine) registry.Prove {
	return func(dir string) (*scorer.Bundle, error) {
		return OpenBundle(&ScorerConfig{BundleDir: dir, Engine: engine})
	}
}

// Audit runs an audit writer until ctx ends.
func Audit(ctx context.Context, log *slog.Logger, cfg *Config, topics *kafka.Config, c audit.Config) error {
	store, err := audit.Open(ctx, c)
	if err != nil {
		return err
	}
	defer store.Close()
	return serve(ctx, cfg, "audit", auditPort, log, func(reg prometheus.Registerer) (role, error) {
		return audit.New(c, topics, store, log, reg)
	})
}

// OpenBundle loads the configured bundle and proves it by its examples.
func OpenBundle(cfg *ScorerConfig) (*scorer.Bundle, error) { return openBundle(cfg, scorer.LoadBundle) }

// OpenUnprofiled is OpenBundle but for the profile, which is to be made anew.
func OpenUnprofiled(cfg *ScorerConfig) (*scorer.Bundle, error) {
	return openBundle(cfg, scorer.LoadUnprofiled)
}

func openBundle(cfg *ScorerConfig, load func(fs.FS, scorer.Engine) (*scorer.Bundle, error)) (*scorer.Bundle, error) {
	var dir fs.FS = bundles.Sample()
	if cfg.BundleDir != "sample" {
		dir = os.DirFS(cfg.BundleDir)
	}
	b, err := load(dir, cfg.Engine)
	if err != nil {
		return nil, fmt.Errorf("load bundle %s: %w", cfg.BundleDir, err)
	}
	if err := b.Check(Tolerance(cfg.Engine)); err != nil {
		return nil, fmt.Errorf("check bundle %s: %w", cfg.BundleDir, err)
	}
	return b, nil
}

// Tolerance is how far an engine may be from what the training library said of an example: nothing, but for leaves.
func Tolerance(e scorer.Engine) float64 {
	if e == scorer.Leaves {
		return 2e-6
	}
	return 0
}
