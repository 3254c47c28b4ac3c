package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mlmonitor/mlmonitor/scorer"
)

// Watcher follows what is to decide, and hands each bundle over once it is proved.
type Watcher struct {
	cfg     Config
	prove   Prove
	log     *slog.Logger
	metrics *metrics

	champion, challenger followed
}

// followed is what is known of one alias.
type followed struct {
	source  source // nil: nobody is looked for
	force   string // key of the bundle in force, as the source has it
	bundle  *scorer.Bundle
	share   float64
	refused string // key of the last one that did not hold: it is not fetched again and again
}

// wish is what is to be in force.
type wish struct {
	key    string  // another key is another bundle
	share  float64 // of the keys that a challenger decides
	reason string  // why, for people
}

// source is where bundles come from.
type source interface {
	// want names what is to be in force.
	want(ctx context.Context) (wish, error)
	// fetch gets and proves it; kept is a directory of the cache, "" where there is none.
	fetch(ctx context.Context, key string, prove Prove) (b *scorer.Bundle, kept string, err error)
}

type metrics struct {
	polls, refusals, swaps prometheus.Counter
	failures               prometheus.Counter
	success                prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		polls:    counter("mlmonitor_registry_polls_total", "Times that the registry was asked which bundle is to decide."),
		failures: counter("mlmonitor_registry_failures_total", "Times that it gave no answer; the bundle in force stays."),
		refusals: counter("mlmonitor_registry_refused_total", "Times that a bundle could not be fetched or did not hold, and was not put in force."),
		swaps:    counter("mlmonitor_registry_swaps_total", "Bundles put in force after the first."),
		success: prometheus.NewGauge(prometheus.GaugeOpts{Name: "mlmonitor_registry_last_success_timestamp_seconds",
			Help: "When the registry last answered, Unix seconds: how old what is known of it is. 0: never since the start."}),
	}
	reg.MustRegister(m.polls, m.failures, m.refusals, m.swaps, m.success)
	return m
}

// NewWatcher watches the configured source; dir is the bundle's directory where that is not MLflow.
func NewWatcher(cfg Config, dir string, prove Prove, log *slog.Logger, reg prometheus.Registerer) (*Watcher, error) {
	w := &Watcher{cfg: cfg, prove: prove, log: log, metrics: newMetrics(reg), champion: followed{source: directory(dir)}}
	if cfg.UsesMLflow() {
		client, err := NewMLflow(cfg)
		if err != nil {
			return nil, err
		}
		w.champion.source = mlflow{client, cfg.Alias}
		if cfg.Challenger != "" {
			w.challenger.source = mlflow{client, cfg.Challenger}
		}
	}
	return w, nil
}

// A start that falls into the moment in which a directory's bundle is replaced looks again.
const (
	changingTries = 50
	changingPause = 100 * time.Millisecond
)

// First gives the bundle to start with. Where MLflow does not answer it is the last good one of the cache; a bundle that does not hold is an error, since nothing is in
// force that could stay.
func (w *Watcher) First(ctx context.Context) (*scorer.Bundle, string, error) {
	b, wish, err := w.next(ctx, &w.champion)
	for range changingTries {
		if !errors.Is(err, errChanging) {
			break
		}
		select {
		case <-ctx.Done():
			return nil, "", ctx.Err()
		case <-time.After(changingPause):
		}
		b, wish, err = w.next(ctx, &w.champion)
	}
	if err == nil {
		return b, wish.reason, nil
	}
	if !w.cfg.UsesMLflow() {
		return nil, "", err
	}
	kept, cacheErr := lastGood(w.cfg.CacheDir)
	if cacheErr != nil {
		return nil, "", fmt.Errorf("%w; and there is no last good bundle in MODEL_CACHE_DIR", err)
	}
	b, cacheErr = w.prove(kept)
	if cacheErr != nil {
		return nil, "", fmt.Errorf("%w; and the last good bundle does not hold: %w", err, cacheErr)
	}
	w.log.Warn("starting with the last good bundle", "error", err, "bundle", b.ID.Name, "version", b.ID.Version, "digest", b.ID.Digest)
	return b, "the last good bundle: the registry gave none at the start", nil
}

// Run asks again and again until ctx ends, and calls set for each other bundle that holds, and challenge for each other challenger or share of one, with nil when there is none any more.
func (w *Watcher) Run(ctx context.Context, set func(b *scorer.Bundle, reason string), challenge func(b *scorer.Bundle, share float64, reason string)) error {
	for {
		w.followChallenger(ctx, challenge)
		pause := w.cfg.Poll - w.cfg.Poll/10 + rand.N(w.cfg.Poll/5) // replicas do not ask all at once
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		b, wish, err := w.next(ctx, &w.champion)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			w.log.Warn("the bundle in force stays", "error", err)
		case b != nil:
			w.metrics.swaps.Inc()
			w.log.Info("bundle fetched", "bundle", b.ID.Name, "version", b.ID.Version, "digest", b.ID.Digest, "reason", wish.reason)
			set(b, wish.reason)
		}
	}
}

// followChallenger is for the alias of the challenger, which may be nobody's.
func (w *Watcher) followChallenger(ctx context.Context, challenge func(b *scorer.Bundle, share float64, reason string)) {
	f := &w.challenger
	if f.source == nil {
		return
	}
	b, wish, err := w.next(ctx, f)
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, ErrNoAlias):
		if f.force != "" {
			w.log.Info("there is no challenger any more")
			f.force, f.bundle = "", nil
			challenge(nil, 0, "there is no challenger any more")
		}
	case err != nil:
		w.log.Warn("the challenger stays as it is", "error", err)
	case b != nil || wish.key == f.force && wish.share != f.share:
		f.share = wish.share
		w.log.Info("challenger", "bundle", f.bundle.ID.Name, "version", f.bundle.ID.Version, "digest", f.bundle.ID.Digest, "share", f.share, "reason", wish.reason)
		challenge(f.bundle, f.share, wish.reason)
	}
}

// next gives the bundle that is to be in force where it is another than the one that is; nil where it is not, or was refused before.
func (w *Watcher) next(ctx context.Context, f *followed) (*scorer.Bundle, wish, error) {
	w.metrics.polls.Inc()
	want, err := f.source.want(ctx)
	if err != nil {
		if f != &w.challenger || !errors.Is(err, ErrNoAlias) {
			w.metrics.failures.Inc()
		}
		return nil, want, err
	}
	w.metrics.success.SetToCurrentTime()
	if want.key == f.force || want.key == f.refused {
		return nil, want, nil
	}
	b, kept, err := f.source.fetch(ctx, want.key, w.prove)
	if err != nil {
		if ctx.Err() == nil {
			w.metrics.refusals.Inc()
		}
		if errors.As(err, &badBundle{}) {
			f.refused = want.key
		}
		return nil, want, err
	}
	if kept != "" && f == &w.champion {
		if err := remember(w.cfg.CacheDir, kept); err != nil {
			w.log.Warn("the bundle will not be there after a restart without the registry", "error", err)
		}
	}
	f.force, f.bundle, f.refused = want.key, b, ""
	return b, want, nil
}

// mlflow is the version with an alias.
type mlflow struct {
	client *MLflow
	alias  string
}

func (m mlflow) want(ctx context.Context) (w wish, err error) {
	v, err := m.client.ByAlias(ctx, m.alias)
	if err != nil {
		return w, err
	}
	w = wish{key: v.Version, reason: fmt.Sprintf("alias %s of %s is version %s", m.alias, m.client.cfg.Model, v.Version)}
	if w.share, err = v.CanaryShare(); err != nil {
		return w, err
	}
	if w.share > 0 {
		w.reason += fmt.Sprintf(" and decides for %v of the keys", w.share)
	}
	if by := v.Tag(tagBy); by != "" {
		w.reason += ", by " + by
	}
	if why := v.Tag(tagWhy); why != "" {
		w.reason += ": " + why
	}
	return w, nil
}

func (m mlflow) fetch(ctx context.Context, key string, prove Prove) (*scorer.Bundle, string, error) {
	return m.client.Fetch(ctx, key, prove)
}

// directory is a bundle that somebody may replace: its bundle.json is looked at.
type directory string

// errChanging says that the files were not those of one bundle: somebody is writing them.
var errChanging = errors.New("the bundle changed while it was read")

func (d directory) manifest() (string, error) {
	data, err := os.ReadFile(filepath.Join(string(d), manifestName))
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), err
}

func (d directory) want(context.Context) (wish, error) {
	if d == "sample" { // inside the program
		return wish{key: "sample", reason: "BUNDLE_DIR"}, nil
	}
	key, err := d.manifest()
	return wish{key: key, reason: "BUNDLE_DIR " + string(d)}, err
}

func (d directory) fetch(_ context.Context, key string, prove Prove) (*scorer.Bundle, string, error) {
	b, err := prove(string(d))
	if d == "sample" {
		return b, "", err
	}
	if now, again := d.manifest(); again != nil || now != key {
		return nil, "", errors.Join(errChanging, err)
	}
	return b, "", err
}
