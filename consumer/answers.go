package consumer

import (
	"fmt"
	"slices"

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
	payload []byte             // what the verdicts' values point to
	headers []kgo.RecordHeader // what the verdicts' headers point to

	decisions map[schemas.Decision]int
	classes   map[schemas.Class]int // of dead letters
	counts    *drift.Batch          // nil where the bundle has no profile
	quality   *drift.QualityCounts
	memory    *drift.Memory // nil where no quality rule looks at many records
}

// books are what members of one process count together of the transactions that committed.
type books struct {
	monitor *drift.Monitor // nil where the bundle has no profile
	quality *drift.Quality
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
	a.dead, a.payload, a.headers = a.dead[:0], a.payload[:0], a.headers[:0]
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
		producer.SetDeadLetter(out, in, a.topics.DeadLetters, o.Err, a.bundle.ID.Digest)
		a.classes[o.Err.Class]++
		a.quality.AddRefused(o.Err.Rule)
		return nil
	}
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
