package replay

import (
	"context"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/replay/metrics"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// worker replays one part.
type worker struct {
	o         *Options
	counts    *Counts
	candidate *scorer.Scorer
	base      *scorer.Scorer // nil without a base
	memory    *drift.Memory
	chooser   *schemas.Chooser
	clock     *clock // nil where all event times are wanted
	waiting   []waiting
	weights   metrics.Weights
	today     today
	segments  []segmented
}

// waiting is an input that is decoded, not counted yet.
type waiting struct {
	in       Input
	customer uint64
	amount   float64
	values   [8]string // of the segments
	given    *Given
}

// segmented names the values of a feature.
type segmented struct {
	place  int
	name   string
	labels map[float64]string
}

func newWorker(o *Options, source string) *worker {
	w := &worker{o: o, counts: newCounts(o, source), candidate: o.Candidate.NewScorer()}
	w.counts.begin(o)
	if w.memory = drift.NewMemory(o.Candidate.Contract.Rules()); w.memory != nil {
		w.candidate.Remember(w.memory)
	}
	if o.Base != nil {
		w.base = o.Base.NewScorer()
	}
	if o.Sample < 1 {
		w.chooser = schemas.NewChooser(schemas.Canary{Bundle: schemas.BundleID{Digest: "sample"}, Share: o.Sample})
	}
	if !o.Since.IsZero() || !o.Until.IsZero() {
		w.clock = &clock{decoder: o.Candidate.Contract.NewDecoder(), row: make([]float64, len(o.Candidate.Contract.FeatureNames())), since: o.Since, until: o.Until}
	}
	for i, name := range o.Candidate.Contract.FeatureNames() {
		for _, s := range o.Segments {
			if s == name {
				w.segments = append(w.segments, segmented{i, name, o.Candidate.Contract.CategoryLabels(i)})
			}
		}
	}
	return w
}

// clock reads when an event happened; one that cannot be read did so at no time.
type clock struct {
	decoder      *schemas.Decoder
	row          []float64
	tx           schemas.Transaction
	since, until time.Time
}

func (c *clock) within(event []byte) bool {
	if c.decoder.Decode(event, c.row, &c.tx) != nil {
		return false
	}
	return !c.tx.Time.Before(c.since) && (c.until.IsZero() || c.tx.Time.Before(c.until))
}

// read replays a part; stop is the offset after the last input that was counted.
func (w *worker) read(ctx context.Context, part Part, source *Source, cfg *kafka.Config, whole kafka.Range) (stop int64, err error) {
	var given *verdicts
	if w.o.Verdicts {
		inner, cancel := context.WithCancel(ctx)
		defer cancel()
		if given, err = follow(inner, cfg, part.Partition, part.From, part.To, whole, false); err != nil {
			return part.From, err
		}
	}
	stop = part.From
	flush := func() error {
		if len(w.waiting) == 0 {
			return nil
		}
		if given != nil {
			if err := w.join(given); err != nil {
				return err
			}
		}
		last := w.waiting[len(w.waiting)-1].in.Offset
		n := len(w.waiting)
		if err := w.score(); err != nil {
			return err
		}
		stop = last + 1
		if w.o.Seen != nil {
			w.o.Seen(n)
		}
		return nil
	}
	err = part.read(ctx, func(in *Input) error {
		if w.chooser != nil && !w.chooser.Takes(w.key(in)) || w.clock != nil && !w.clock.within(in.Value) {
			w.counts.Left++
			return nil
		}
		w.add(in)
		if len(w.waiting) == scoredAtOnce {
			return flush()
		}
		return nil
	})
	if err != nil {
		return stop, err
	}
	return part.To, flush()
}

// key of an input for sampling: the record's, or in a file, which has none, its line.
func (w *worker) key(in *Input) []byte {
	if len(in.Key) > 0 {
		return in.Key
	}
	return strconv.AppendInt(nil, in.Offset, 10)
}

func (w *worker) add(in *Input) {
	w.candidate.Add(in.Value, in.Timestamp)
	one := waiting{in: *in, customer: xxhash.Sum64(w.candidate.Key()), amount: w.candidate.Amount()}
	if row := w.candidate.Row(); len(row) > 0 {
		for i, s := range w.segments {
			one.values[i] = s.text(row[s.place])
		}
	}
	if w.base != nil {
		w.base.Add(in.Value, in.Timestamp)
	}
	w.waiting = append(w.waiting, one)
}

func (s *segmented) text(v float64) string {
	switch {
	case v != v:
		return "missing"
	case s.labels != nil:
		if name := s.labels[v]; name != "" {
			return name
		}
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}

// join gives the waiting inputs their verdicts.
func (w *worker) join(given *verdicts) error {
	at := 0
	last := w.waiting[len(w.waiting)-1].in.Offset
	return given.until(last, func(r *recorded) {
		w.counts.Bundles[r.verdict.Bundle.Digest]++
		for at < len(w.waiting) && w.waiting[at].in.Offset < r.verdict.Source.Offset {
			at++
		}
		if at < len(w.waiting) && w.waiting[at].in.Offset == r.verdict.Source.Offset {
			w.waiting[at].given = &Given{r.verdict.Decision, r.verdict.Probability, r.verdict.Bundle}
		}
	})
}

// score scores and counts the waiting inputs.
func (w *worker) score() error {
	outcomes, err := w.candidate.Score()
	if err != nil {
		return err
	}
	if w.base != nil {
		others, err := w.base.Score()
		if err != nil {
			return err
		}
		for i := range others {
			if others[i].Err == nil {
				v := &others[i].Verdict
				w.waiting[i].given = &Given{v.Decision, v.Probability, v.Bundle}
			}
		}
	}
	for i := range outcomes {
		if err := w.count(&w.waiting[i], &outcomes[i]); err != nil {
			return err
		}
	}
	if w.counts.timeline != nil {
		w.counts.timeline.Add(w.candidate.Scored())
	}
	if w.memory != nil {
		w.memory.Commit()
	}
	w.candidate.Reset()
	if w.base != nil {
		w.base.Reset()
	}
	clear(w.waiting)
	w.waiting = w.waiting[:0]
	return nil
}

// finish notes what was read of the part.
func (w *worker) finish(part Part, stop int64) {
	w.counts.Partial = stop < part.To
	w.counts.Parts = append(w.counts.Parts, PartDone{w.counts.Settings.Source, part.Partition, part.From, stop, w.counts.Records})
}
