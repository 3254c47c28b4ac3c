package consumer

import (
	"fmt"
	"math"
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
	topics   *kafka.Config
	deciders []*decider       // the champion's, and the canary's where one decides
	chooser  *schemas.Chooser // of the canary's keys; nil without one

	waiting []waiting // decoded into their deciders, not scored yet
	records []kgo.Record
	dead    []bool             // of each record: it is a dead letter
	decided []decided          // of each record
	payload []byte             // what the verdicts' values point to
	headers []kgo.RecordHeader // what the verdicts' headers point to

	classes map[schemas.Class]int // of dead letters

	replies  []kgo.Record // for inputs that ask for one
	lost     int          // that asked in vain
	repliers *replies
}

type waiting struct {
	in *kgo.Record
	by *decider
}

// decider is a bundle that decides, and what a batch counts of it.
type decider struct {
	bundle   *scorer.Bundle
	scorer   *scorer.Scorer
	digest   []byte           // the bundle's, for a header
	outcomes []scorer.Outcome // not answered yet, in the order of its inputs

	decisions map[schemas.Decision]int
	counts    *drift.Batch // nil where the bundle has no profile
	quality   *drift.QualityCounts
	memory    *drift.Memory // nil where no quality rule looks at many records
	books     *books
}

func newDecider(bundle *scorer.Bundle, books *books) *decider {
	d := &decider{bundle: bundle, scorer: bundle.NewScorer(), digest: []byte(bundle.ID.Digest), decisions: map[schemas.Decision]int{}, books: books}
	if books.monitor != nil {
		d.counts = books.monitor.NewBatch()
	}
	d.quality = books.quality.NewCounts()
	if d.memory = drift.NewMemory(bundle.Contract.Rules()); d.memory != nil {
		d.scorer.Remember(d.memory)
	}
	return d
}

// reset begins a batch.
func (d *decider) reset() {
	d.scorer.Reset()
	clear(d.decisions)
	if d.counts != nil {
		d.counts.Reset()
	}
	d.quality.Reset()
	if d.memory != nil {
		d.memory.Abort() // of a batch before, unless it was committed
	}
}

// commit takes what was counted of a batch that has committed into the books.
func (d *decider) commit() {
	if d.books.monitor != nil {
		d.books.monitor.Commit(d.counts)
	}
	d.books.quality.Commit(d.quality)
	if d.memory != nil {
		d.memory.Commit()
	}
}

// scoredAtOnce is how many inputs are scored together: enough for the engine, few enough for rows and outcomes to stay in a core's cache.
const scoredAtOnce = 512

func newAnswers(topics *kafka.Config, force *Force, shelf *shelf, repliers *replies) *answers {
	a := &answers{topics: topics, repliers: repliers, classes: map[schemas.Class]int{}, deciders: []*decider{newDecider(force.Champion, shelf.books(force.Champion))}}
	if c := force.canary(); c != nil {
		a.deciders = append(a.deciders, newDecider(force.Challenger, shelf.books(force.Challenger)))
		a.chooser = schemas.NewChooser(*c)
	}
	return a
}

// decider of an input: the champion, or the canary that takes its key.
func (a *answers) decider(in *kgo.Record) *decider {
	if a.chooser != nil && a.chooser.Takes(in.Key) {
		return a.deciders[1]
	}
	return a.deciders[0]
}

// to answers a batch, each partition's inputs through its processor, and calls more whenever further records are there; ours is false when a partition is
// no longer ours. An error is a fault of the engine: no answer counts. The answers are a function of the inputs and what is in force alone, and valid until
// the next batch.
func (a *answers) to(b *batch, assigned *assignment, more func()) (ours bool, err error) {
	a.waiting = a.waiting[:0]
	a.records = slices.Grow(a.records[:0], b.records) // now: the client keeps pointers to them
	a.decided, a.dead, a.payload, a.headers = a.decided[:0], a.dead[:0], a.payload[:0], a.headers[:0]
	clear(a.classes)
	a.replies, a.lost = nil, 0 // the client keeps pointers to those of the last transaction no longer
	for _, d := range a.deciders {
		d.reset()
	}
	for _, run := range b.runs {
		p := assigned.processor(run.partition)
		if p == nil {
			return false, nil // revoked since the poll: the commit would be refused
		}
		for _, in := range run.inputs {
			d := a.decider(in)
			p.add(d.scorer, in)
			if a.waiting = append(a.waiting, waiting{in, d}); len(a.waiting) == scoredAtOnce {
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
func (a *answers) score() (err error) {
	for _, d := range a.deciders {
		if d.outcomes, err = d.scorer.Score(); err != nil {
			return err
		}
	}
	for _, w := range a.waiting {
		o := &w.by.outcomes[0]
		w.by.outcomes = w.by.outcomes[1:]
		if err := a.add(w.in, w.by, o); err != nil {
			return err
		}
	}
	for _, d := range a.deciders {
		if d.counts != nil {
			d.counts.Add(d.scorer.Scored())
		}
		d.scorer.Reset()
	}
	clear(a.waiting)
	a.waiting = a.waiting[:0]
	return nil
}

func (a *answers) add(in *kgo.Record, d *decider, o *scorer.Outcome) (err error) {
	a.records = a.records[:len(a.records)+1]
	out := &a.records[len(a.records)-1]
	a.dead = append(a.dead, o.Err != nil)
	if o.Err != nil {
		a.decided = append(a.decided, decided{probability: math.NaN()})
		producer.SetDeadLetter(out, in, a.topics.DeadLetters, o.Err, d.bundle.ID.Digest)
		a.classes[o.Err.Class]++
		d.quality.AddRefused(o.Err.Rule)
		return a.reply(in, nil, o.Err)
	}
	a.decided = append(a.decided, decided{o.Verdict.Probability, o.Verdict.Decision, d == a.deciders[0]})
	o.Verdict.Source = schemas.Source{Topic: in.Topic, Partition: in.Partition, Offset: in.Offset}
	start := len(a.payload)
	if a.payload, err = o.Verdict.Append(a.payload); err != nil {
		return fmt.Errorf("write the verdict of %s partition %d offset %d: %w", in.Topic, in.Partition, in.Offset, err)
	}
	a.headers = producer.SetVerdict(out, in, a.topics.Verdicts, a.payload[start:len(a.payload):len(a.payload)], d.digest, a.headers)
	d.decisions[o.Verdict.Decision]++
	d.quality.AddScored(o.Broken)
	if len(in.Headers) > 0 {
		return a.reply(in, out.Value, nil)
	}
	return nil
}

// reply copies the answer to an input that asks for it.
func (a *answers) reply(in *kgo.Record, payload []byte, refused *schemas.Error) error {
	partition, id, ok := producer.ReplyTo(in)
	if !ok {
		return nil
	}
	if !a.repliers.takes(partition) {
		a.lost++
		return nil
	}
	if refused == nil {
		a.replies = append(a.replies, producer.ReplyVerdict(a.topics.Replies, partition, id, payload))
		return nil
	}
	r, err := producer.ReplyRefusal(a.topics.Replies, partition, id, producer.Refusal{Class: refused.Class, Message: refused.Error(), Source: schemas.Source{Topic: in.Topic, Partition: in.Partition, Offset: in.Offset}})
	if err == nil {
		a.replies = append(a.replies, r)
	}
	return err
}
