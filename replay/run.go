package replay

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/replay/metrics"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
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
		if given, err = kafka.Whole(ctx, cfg, cfg.Verdicts); err != nil {
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

// today is the day of the last event: neighbours in the input are so in time.
type today struct {
	number int64 // days since 1970
	date   string
	day    *Day
	sides  [2]*SideDay
}

// at gives the day of a time.
func (w *worker) at(t time.Time) (*today, error) {
	number := t.Unix() / 86_400
	if t.Unix()%86_400 < 0 {
		number--
	}
	if w.today.day != nil && number == w.today.number {
		return &w.today, nil
	}
	c := w.counts
	date := t.UTC().Format(time.DateOnly)
	if c.Days[date] == nil {
		if len(c.Days) >= maxDays {
			return nil, fmt.Errorf("%s is one of more than %d days: replay a shorter time", date, maxDays)
		}
		c.Days[date] = &Day{}
	}
	w.today = today{number: number, date: date, day: c.Days[date]}
	return &w.today, nil
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

func (w *worker) count(in *waiting, o *scorer.Outcome) error {
	c := w.counts
	c.Records++
	a := Answer{Input: &in.in, Base: in.given, Amount: in.amount}
	if o.Err != nil {
		c.Refused[o.Err.Class]++
		c.quality.AddRefused(o.Err.Rule)
		a.Refusal = o.Err
		return w.tell(&a)
	}
	c.quality.AddScored(o.Broken)
	v := &o.Verdict
	c.Scored++
	c.span(v.EventTime)
	a.Verdict, a.EventTime = v, v.EventTime
	would := drift.Place(v.Decision)
	now, err := w.at(v.EventTime)
	if err != nil {
		return fmt.Errorf("%s partition %d offset %d: its event time %w", c.Settings.Source, in.in.Partition, in.in.Offset, err)
	}
	day := now.day
	day.Count++
	day.Decided[1][would]++
	was := -1
	if in.given != nil {
		was = drift.Place(in.given.Decision)
		day.Decided[0][was]++
		c.Pairs.Add(was, would, in.given.Probability, v.Probability)
		c.Amounts[was][would] += metrics.MoneyOf(in.amount)
		c.Scatter[scatterBin(in.given.Probability)][scatterBin(v.Probability)]++
	} else if c.Against != "" {
		c.Unpaired++
	}
	w.label(in, &a, was, would)
	if was >= 0 && was != would && (was == 2 || would == 2 || would == 0) {
		w.flip(in, &a, was, would)
	}
	for i, s := range w.segments {
		w.segment(s.name, in.values[i], &a, was, would)
	}
	return w.tell(&a)
}

func (w *worker) tell(a *Answer) error {
	if w.o.Each == nil {
		return nil
	}
	return w.o.Each(a)
}

// label counts a transaction whose label is known on both sides.
func (w *worker) label(in *waiting, a *Answer, was, would int) {
	o, c := w.o, w.counts
	if o.Labels == nil {
		return
	}
	is := o.Labels.of(a.Verdict.TransactionID)
	switch {
	case a.EventTime.After(o.AsOf.Add(-o.Maturity)):
		c.Labels.Immature++
		return
	case is == 0 && o.Unlabelled == "honest":
		c.Labels.Unlabelled++
		is = honest
	case is == 0 || is == contradictory:
		c.Labels.Unlabelled++
		return
	default:
		c.Labels.Labelled++
	}
	a.Labelled, a.Fraud = true, is == fraud
	var costs [3]metrics.Money
	if o.Costs != nil {
		costs = o.Costs.Of(in.amount, a.Fraud)
	}
	w.weights.Draw(in.customer)
	place := xxhash.Sum64(strconv.AppendInt(strconv.AppendInt(nil, int64(in.in.Partition), 10), -in.in.Offset-1, 10))
	if was >= 0 {
		c.Sides[0].count(w, 0, in, a.Fraud, was, a.Base.Probability, costs, place)
	}
	if was >= 0 || c.Against == "" { // both sides have the same transactions
		c.Sides[1].count(w, 1, in, a.Fraud, would, a.Verdict.Probability, costs, place)
	}
}

func (s *Side) count(w *worker, which int, in *waiting, isFraud bool, decision int, p float64, costs [3]metrics.Money, place uint64) {
	class := 0
	if isFraud {
		class = 1
	}
	s.Scores.Add(p, isFraud)
	s.Boot.Add(&w.weights, p, isFraud, decision, costs[decision])
	if s.Grid != nil {
		s.Grid.Add(p, isFraud, costs)
	}
	s.Decided[decision][class]++
	s.Amount[decision][class] += metrics.MoneyOf(in.amount)
	s.Cost += costs[decision]
	d := w.today.sides[which]
	if d == nil {
		d = s.day(w.today.date, w.o.K)
		w.today.sides[which] = d
	}
	switch {
	case isFraud:
		d.Frauds++
		if decision > 0 {
			d.Caught++
		}
	default:
		d.Honest++
		if decision == 2 {
			d.Harmed++
		}
	}
	d.Top.Add(metrics.Ranked{P: p, Fraud: isFraud, Key: place})
	d.Customers.Add(in.customer, p, isFraud)
}

func (w *worker) flip(in *waiting, a *Answer, was, would int) {
	which := 0 // newly declined
	switch {
	case would == 2:
	case would == 0 || was == 2:
		which = 1 // newly approved, or no longer declined
	default:
		return
	}
	says := "unknown"
	if a.Labelled {
		says = map[bool]string{true: "fraud", false: "honest"}[a.Fraud]
	}
	w.counts.Flips[which].add(Flip{ID: string(a.Verdict.TransactionID), Amount: in.amount, Was: string(drift.Decisions[was]), Would: string(drift.Decisions[would]),
		P: a.Base.Probability, Q: a.Verdict.Probability, Fraud: says, Partition: in.in.Partition, Offset: in.in.Offset})
}

func (w *worker) segment(feature, value string, a *Answer, was, would int) {
	s := w.counts.segment(feature, value)
	s.Count++
	if was >= 0 {
		s.Decided[was][would]++
	}
	if !a.Labelled {
		return
	}
	class := 0
	if a.Fraud {
		class = 1
	}
	s.Known[class]++
	for side, d := range [2]int{was, would} {
		switch {
		case a.Fraud && d > 0:
			s.Caught[side]++
		case !a.Fraud && d == 2:
			s.Harmed[side]++
		}
	}
}

// scatterBin puts a probability into one of 32 bins of its log odds.
func scatterBin(p float64) int {
	const reach = 9.0 // e^-9 is a hundredth of a percent
	odds := math.Log(p / (1 - p))
	return int(min(max((odds+reach)/(2*reach)*scatterBins, 0), scatterBins-1))
}

// finish notes what was read of the part.
func (w *worker) finish(part Part, stop int64) {
	w.counts.Partial = stop < part.To
	w.counts.Parts = append(w.counts.Parts, PartDone{w.counts.Settings.Source, part.Partition, part.From, stop, w.counts.Records})
}
