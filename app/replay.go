package app

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mlmonitor/mlmonitor/registry"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// modelsScheme names bundles of the registry: models:/NAME/VERSION or models:/NAME@ALIAS, as MLflow does.
const modelsScheme = "models:/"

// Named is a bundle, and of the registry also its version.
type Named struct {
	*scorer.Bundle
	Version string // "" for a folder
}

// FindBundle opens the bundle that a name is of: a folder, "sample", or of the registry.
func FindBundle(ctx context.Context, name string, engine scorer.Engine) (*Named, error) {
	rest, ok := strings.CutPrefix(name, modelsScheme)
	if !ok {
		b, err := OpenBundle(&ScorerConfig{BundleDir: name, Engine: engine})
		return &Named{b, ""}, err
	}
	cfg, client, err := openRegistry()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer client.Close()
	model, version, _ := strings.Cut(rest, "/")
	if before, alias, ok := strings.Cut(rest, "@"); ok {
		model = before
		v, err := client.ByAlias(ctx, alias)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		version = v.Version
	}
	if model != cfg.Model || version == "" {
		return nil, fmt.Errorf("%s: write models:/%s/VERSION or models:/%s@ALIAS; MLFLOW_MODEL is %s", name, cfg.Model, cfg.Model, cfg.Model)
	}
	b, _, err := client.Fetch(ctx, version, Prover(engine))
	if err != nil {
		return nil, err
	}
	return &Named{b, version}, nil
}

func openRegistry() (registry.Config, *registry.MLflow, error) {
	var cfg registry.Config
	if err := Load(&cfg); err != nil {
		return cfg, nil, err
	}
	if !cfg.UsesMLflow() {
		return cfg, nil, fmt.Errorf("MLFLOW_TRACKING_URI is empty: set it to the MLflow server")
	}
	client, err := registry.NewMLflow(cfg)
	return cfg, client, err
}

// Attach logs a backtest to the version that was replayed.
func Attach(ctx context.Context, version string, b registry.Backtest, files map[string][]byte, engine scorer.Engine) error {
	_, client, err := openRegistry()
	if err != nil {
		return err
	}
	defer client.Close()
	return client.Attach(ctx, version, b, files, Prover(engine))
}

// ByDigest finds bundles: in the folders that are named, in the cache of the registry's bundles, among the registry's versions; nil for one that is nowhere.
func ByDigest(folders []string, engine scorer.Engine) func(ctx context.Context, digest string) (*scorer.Bundle, error) {
	known := map[string]string{} // digest to folder
	var listed bool
	look := func(folder string) {
		var dir fs.FS = os.DirFS(folder)
		if digest, err := scorer.Digest(dir); err == nil {
			known[digest] = folder
		}
	}
	return func(ctx context.Context, digest string) (*scorer.Bundle, error) {
		if !listed {
			listed = true
			for _, f := range folders {
				look(f)
			}
			var cfg registry.Config
			if err := Load(&cfg); err != nil {
				return nil, err
			}
			cached, err := filepath.Glob(filepath.Join(cfg.CacheDir, "sha256-*"))
			if err != nil {
				return nil, err
			}
			for _, f := range cached {
				look(f)
			}
			if b, err := OpenBundle(&ScorerConfig{BundleDir: "sample", Engine: engine}); err == nil {
				known[b.ID.Digest] = "sample"
			}
		}
		if folder, ok := known[digest]; ok {
			return OpenBundle(&ScorerConfig{BundleDir: folder, Engine: engine})
		}
		return fromRegistry(ctx, digest, engine)
	}
}

// fromRegistry looks through the versions; the tag of a pushed one names its digest, others are fetched to see.
func fromRegistry(ctx context.Context, digest string, engine scorer.Engine) (*scorer.Bundle, error) {
	var cfg registry.Config
	if err := Load(&cfg); err != nil || !cfg.UsesMLflow() {
		return nil, err
	}
	client, err := registry.NewMLflow(cfg)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	versions, err := client.Versions(ctx)
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		if tag := v.Tag("mlmonitor.digest"); tag != "" && tag != digest {
			continue
		}
		b, _, err := client.Fetch(ctx, v.Version, Prover(engine))
		if err != nil {
			continue // it does not hold, or is none of ours: not what made a verdict
		}
		if b.ID.Digest == digest {
			return b, nil
		}
	}
	return nil, nil
}
