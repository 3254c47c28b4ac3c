package consumer

import (
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// answers are what the inputs of one batch become: a verdict or a dead letter each, in the order of the inputs. One batch after the other uses
// the same memory: a batch no larger than those before allocates nothing but dead letters.
type answers struct {
	topics *kafka.Config
	bundle *scorer.Bundle
	scorer *scorer.Scorer
	digest []byte // the bundle's, for a header

	waiting []*kgo.Record // decoded into the scorer, not scored yet
	records []kgo.Record
	dead    []bool             // of each record: it is a dead letter
	decided []decided          // of each record
	payload []byte             // what the verdicts' values point to
	headers []kgo.RecordHeader // what the verdicts' headers point to

	decisions map[schemas.Decision]int
	classes   map[schemas.Class]int // of dead letters
	counts    *drift.Batch          // nil where the bundle has no profile
	quality   *drift.QualityCounts
	memory    *drift.Memory // nil where no quality rule looks at many records
	books     *books
}

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

// keptBooks is how many bundles are counted side by side: while members swap one after the other, and while Prometheus looks back, two; older ones go, so that a thousand
// swaps leave nothing behind.
const keptBooks = 3

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

// commit takes in what was counted of a batch that has committed.
func (b *books) commit(a *answers) {
	if b.monitor != nil {
		b.monitor.Commit(a.counts)
	}
	b.quality.Commit(a.quality)
	if a.memory != nil {
		a.memory.Commit()
	}
}

// scoredAtOnce is how many inputs are scored together: enough for the engine, few enough for rows and outcomes to stay in a core's cache.
const scoredAtOnce = 512

func newAnswers(topics *kafka.Config, bundle *scorer.Bundle, books *books) *answers {
	a := &answers{topics: topics, bundle: bundle, scorer: bundle.NewScorer(), digest: []byte(bundle.ID.Digest),
		decisions: map[schemas.Decision]int{}, classes: map[schemas.Class]int{}}
	a.books = books
	if books.monitor != nil {
		a.counts = books.monitor.NewBatch()
	}
	a.quality = books.quality.NewCounts()
	if a.memory = drift.NewMemory(bundle.Contract.Rules()); a.memory != nil {
		a.scorer.Remember(a.memory)
	}
	return a
}

// to answers a batch, each partition's inputs through its processor, and calls more whenever further records are there; ours is false when a partition is
// no longer ours. An error is a fault of the engine: no answer counts. The answers are a function of the inputs and the bundle alone, and valid until
// the next batch.
func (a *answers) to(b *batch, assigned *assignment, more func()) (ours bool, err error) {
	a.scorer.Reset()
	a.waiting = a.waiting[:0]
	a.records = slices.Grow(a.records[:0], b.records) // now: the client keeps pointers to them
	a.decided, a.dead, a.payload, a.headers = a.decided[:0], a.dead[:0], a.payload[:0], a.headers[:0]
	clear(a.decisions)
	clear(a.classes)
	if a.counts != nil {
		a.counts.Reset()
	}
	a.quality.Reset()
	if a.memory != nil {
		a.memory.Abort() // of a batch before, unless it was committed
	}
	for _, run := range b.runs {
		p := assigned.processor(run.partition)
		if p == nil {
			return false, nil // revoked since the poll: the commit would be refused
		}
		for _, in := range run.inputs {
			p.add(a.scorer, in)
			if a.waiting = append(a.waiting, in); len(a.waiting) == scoredAtOnce {
				if err := a.score(); err != nil {
					return false, err
				}
				more()
			}
		}
	}
	return true, a.score()
}

// score answers the inputs that wait.
func (a *answers) score() error {
	outcomes, err := a.scorer.Score()
	if err != nil {
		return err
	}
	for i := range outcomes {
		if err := a.add(a.waiting[i], &outcomes[i]); err != nil {
			return err
		}
	}
	if a.counts != nil {
		a.counts.Add(a.scorer.Scored())
	}
	a.scorer.Reset()
	clear(a.waiting)
	a.waiting = a.waiting[:0]
	return nil
}

func (a *answers) add(in *kgo.Record, o *scorer.Outcome) (err error) {
	a.records = a.records[:len(a.records)+1]
	out := &a.records[len(a.records)-1]
	a.dead = append(a.dead, o.Err != nil)
	if o.Err != nil {
		a.decided = append(a.decided, decided{probability: math.NaN()})
		producer.SetDeadLetter(out, in, a.topics.DeadLetters, o.Err, a.bundle.ID.Digest)
		a.classes[o.Err.Class]++
		a.quality.AddRefused(o.Err.Rule)
		return nil
	}
	a.decided = append(a.decided, decided{o.Verdict.Probability, o.Verdict.Decision})
	o.Verdict.Source = schemas.Source{Topic: in.Topic, Partition: in.Partition, Offset: in.Offset}
	start := len(a.payload)
	if a.payload, err = o.Verdict.Append(a.payload); err != nil {
		return fmt.Errorf("write the verdict of %s partition %d offset %d: %w", in.Topic, in.Partition, in.Offset, err)
	}
	a.headers = producer.SetVerdict(out, in, a.topics.Verdicts, a.payload[start:len(a.payload):len(a.payload)], a.digest, a.headers)
	a.decisions[o.Verdict.Decision]++
	a.quality.AddScored(o.Broken)
	return nil
}
