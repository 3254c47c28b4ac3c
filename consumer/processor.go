package consumer

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// processor answers the records of one partition, in offset order, one batch at a time. It is made when the partition is assigned and
// dropped when it is revoked; state that it will hold one day is a function of the log up to the last committed batch.
type processor struct {
	topics  *kafka.Config
	bundle  *scorer.Bundle
	scorer  *scorer.Scorer
	digest  []byte             // the bundle's, for a header
	answers []answer           // of the batch in hand
	records []kgo.Record       // what the answers point to
	payload []byte             // what the verdicts' values point to
	headers []kgo.RecordHeader // what the verdicts' headers point to
}

// answer is what one input becomes.
type answer struct {
	record   *kgo.Record
	decision schemas.Decision // of a verdict
	class    schemas.Class    // of a dead letter
}

func newProcessor(topics *kafka.Config, bundle *scorer.Bundle) *processor {
	return &processor{topics: topics, bundle: bundle, scorer: bundle.NewScorer(), digest: []byte(bundle.ID.Digest)}
}

// process gives one answer for each input, in order; they are valid until the next batch. An error is a fault of the engine: no answer
// counts. The answers are a function of the inputs and the bundle alone. A batch no larger than those before allocates nothing but dead letters.
func (p *processor) process(inputs []*kgo.Record) ([]answer, error) {
	p.scorer.Reset()
	for _, in := range inputs {
		p.scorer.Add(in.Value)
	}
	outcomes, err := p.scorer.Score()
	if err != nil {
		return nil, err
	}
	p.answers = p.answers[:0]
	p.payload = p.payload[:0]
	p.headers = p.headers[:0]
	p.records = slices.Grow(p.records[:0], len(inputs))[:len(inputs)] // full length now: answers point into it
	for i, in := range inputs {
		out, o := &p.records[i], &outcomes[i]
		if o.Err != nil {
			producer.SetDeadLetter(out, in, p.topics.DeadLetters, o.Err, p.bundle.ID.Digest)
			p.answers = append(p.answers, answer{record: out, class: o.Err.Class})
			continue
		}
		o.Verdict.Source = schemas.Source{Topic: in.Topic, Partition: in.Partition, Offset: in.Offset}
		start := len(p.payload)
		if p.payload, err = o.Verdict.Append(p.payload); err != nil {
			return nil, fmt.Errorf("write the verdict of %s partition %d offset %d: %w", in.Topic, in.Partition, in.Offset, err)
		}
		p.headers = producer.SetVerdict(out, in, p.topics.Verdicts, p.payload[start:len(p.payload):len(p.payload)], p.digest, p.headers)
		p.answers = append(p.answers, answer{record: out, decision: o.Verdict.Decision})
	}
	return p.answers, nil
}
