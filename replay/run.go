package replay

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/kafka"
)

// scoredAtOnce is how many inputs are scored together.
const scoredAtOnce = 512

// Run scores a source, parts beside each other, and counts. When ctx ends it returns what was counted until then, marked partial. cfg is that of the cluster where verdicts are compared, nil elsewhere.
func Run(ctx context.Context, source *Source, cfg *kafka.Config, o *Options) (*Counts, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	total := newCounts(o, source.Name)
	total.begin(o)
	var given kafka.Range
	if o.Verdicts {
		var err error
		if given, err = settled(ctx, cfg, cfg.Verdicts); err != nil {
			return nil, err
		}
	}
	var mu sync.Mutex
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(max(1, o.Workers))
	if !source.topic {
		group.SetLimit(-1) // parts of a file wait for one reader
	}
	for _, part := range source.Parts {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			w := newWorker(o, source.Name)
			stop, err := w.read(inner, part, source, cfg, given)
			w.finish(part, stop)
			if err != nil && ctx.Err() == nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			total.add(w.counts)
			return nil
		})
	}
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		return nil, err
	}
	total.Partial = total.Partial || ctx.Err() != nil
	total.settle()
	if o.Labels != nil {
		counts := o.Labels.Counts
		counts.Unknown = o.Labels.unknown()
		counts.Merge(total.Labels)
		total.Labels = &counts
	}
	return total, nil
}

// begin makes what only one process can add up.
func (c *Counts) begin(o *Options) {
	if p := o.Candidate.Profile; p != nil {
		c.timeline = drift.NewTimeline(p, o.Hop, drift.Defaults().Ahead)
	}
	c.quality = drift.NewQuality(o.Candidate.Contract.Rules()).NewCounts()
}
