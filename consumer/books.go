package consumer

import (
	"log/slog"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// books are what members of one process count together of the transactions that committed.
type books struct {
	monitor *drift.Monitor // nil where the bundle has no profile
	quality *drift.Quality
}

// shelf has the books of the bundles that decide or did so lately, for all members of a process.
type shelf struct {
	cfg       drift.Config
	collector *drift.Collectors
	metrics   *metrics
	log       *slog.Logger

	mu   sync.Mutex
	kept []*shelved // the latest last
}

type shelved struct {
	bundle *scorer.Bundle
	books  *books
}

// keptBooks is how many bundles are counted side by side: a champion and a canary, and those that they were before, while members swap one after the other and Prometheus looks back; older ones go, so that a thousand
// swaps leave nothing behind.
const keptBooks = 4

// books of a bundle, made when the first member adopts it.
func (s *shelf) books(b *scorer.Bundle) *books {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, k := range s.kept {
		if k.bundle.ID == b.ID {
			s.kept = append(slices.Delete(s.kept, i, i+1), k)
			return k.books
		}
	}
	made := &books{quality: drift.NewQuality(b.Contract.Rules())}
	if b.Profile == nil {
		s.log.Warn("the bundle has no profile: nothing will be known of drift; mlmonitor model profile makes one", "bundle", b.ID.Name, "version", b.ID.Version)
	} else {
		made.monitor = drift.NewMonitor(b.Profile, s.cfg)
	}
	s.kept = append(s.kept, &shelved{b, made})
	if len(s.kept) > keptBooks {
		gone := s.kept[0].bundle.ID.Version
		s.kept = slices.Delete(s.kept, 0, 1)
		if !slices.ContainsFunc(s.kept, func(k *shelved) bool { return k.bundle.ID.Version == gone }) {
			s.metrics.predictions.DeletePartialMatch(prometheus.Labels{"model_version": gone})
		}
	}
	var shown []prometheus.Collector
	for _, k := range s.kept {
		shown = append(shown, k.books.quality.Collector(k.bundle.ID.Version, k.bundle.ID.Digest))
		if k.books.monitor != nil {
			shown = append(shown, drift.NewCollector(k.books.monitor, k.bundle.ID.Version, k.bundle.ID.Digest))
		}
	}
	s.collector.Show(shown)
	return made
}
