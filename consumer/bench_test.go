package consumer

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
)

// simulated makes the records of one partition; every second has a trace context.
func simulated(t testing.TB, records int64) (inputs []*kgo.Record) {
	t.Helper()
	sim, err := producer.NewSimulator(producer.SimulatorConfig{Seed: 1, Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Customers: 500, Terminals: 100})
	if err != nil {
		t.Fatal(err)
	}
	for i := range records {
		e := sim.Next(nil)
		in := &kgo.Record{Topic: "transactions", Offset: i, Key: e.Key, Value: e.Value}
		if i%2 == 0 {
			in.Headers = []kgo.RecordHeader{{Key: "traceparent", Value: []byte("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")}}
		}
		inputs = append(inputs, in)
	}
	return inputs
}

// polled is what a member takes of a poll and answers: everything between fetch and produce.
type polled struct {
	fetches kgo.Fetches
	batch   batch
	owned   *assignment
	answers *answers
	failed  delivery
}

// newPolled has records of two partitions, of which a canary decides for a share of the keys.
func newPolled(t testing.TB, records int64, share float64) *polled {
	t.Helper()
	reg := prometheus.NewRegistry()
	models := NewModels(sample(t), "")
	models.SetChallenger(version(t, 2), share, "")
	force, _ := models.Current()
	counted := &shelf{cfg: drift.Defaults(), collector: &drift.Collectors{}, metrics: newMetrics(reg, models), log: slog.New(slog.DiscardHandler)}
	p := &polled{owned: newAssignment(), answers: newAnswers(&kafka.Config{Verdicts: "verdicts", DeadLetters: "dlq"}, force, counted, newReplies(counted.metrics, counted.log))}
	p.owned.give("", map[string][]int32{"transactions": {0, 1}})
	topic := kgo.FetchTopic{Topic: "transactions", Partitions: []kgo.FetchPartition{{Partition: 0}, {Partition: 1}}}
	for i, r := range simulated(t, records) {
		r.Partition = int32(i % 2)
		topic.Partitions[r.Partition].Records = append(topic.Partitions[r.Partition].Records, r)
	}
	p.fetches = kgo.Fetches{{Topics: []kgo.FetchTopic{topic}}}
	return p
}

// answer is what a session does with a poll, but for the client's part.
func (p *polled) answer(t testing.TB) {
	p.batch.reset()
	p.fetches.EachPartition(p.batch.add)
	if ours, err := p.answers.to(&p.batch, p.owned, func() {}); !ours || err != nil {
		t.Fatal(ours, err)
	}
	p.failed.begin()
	for i := range p.answers.records {
		p.failed.done(&p.answers.records[i], nil)
	}
	if err := p.failed.err(); err != nil {
		t.Fatal(err)
	}
}

func TestFromFetchToProduceNothingIsAllocated(t *testing.T) {
	for _, c := range []struct {
		records int64
		share   float64
	}{{1, 0}, {16, 0}, {256, 0}, {2000, 0}, {2000, 0.3}} {
		records := c.records
		p := newPolled(t, records, c.share)
		p.answer(t)
		if len(p.answers.records) != int(records) || len(p.answers.classes) > 0 {
			t.Fatalf("%d records have %d answers, dead letters %v", records, len(p.answers.records), p.answers.classes)
		}
		payload, headers := cap(p.answers.payload), cap(p.answers.headers)
		if allocs := testing.AllocsPerRun(10, func() { p.answer(t) }); allocs != 0 {
			t.Errorf("a batch of %d allocates %v times", records, allocs)
		}
		if cap(p.answers.payload) != payload || cap(p.answers.headers) != headers { // growth by doubling rounds to no allocation
			t.Errorf("the same batch of %d again and again: memory for payloads grows from %d to %d, for headers from %d to %d",
				records, payload, cap(p.answers.payload), headers, cap(p.answers.headers))
		}
	}
}

// BenchmarkAnswer is what a scorer does with a batch, without Kafka: decode, score, decide, write; with and without counting features against the profile, and with a canary that
// decides for a tenth of the keys.
func BenchmarkAnswer(b *testing.B) {
	const records = 1000
	for _, c := range []struct {
		name    string
		counted bool
		share   float64
	}{{"counted=false", false, 0}, {"counted=true", true, 0}, {"canary", true, 0.1}} {
		b.Run(c.name, func(b *testing.B) {
			p := newPolled(b, records, c.share)
			if !c.counted {
				p.answers.deciders[0].counts = nil
				p.answers.deciders[0].books.monitor = nil
			}
			p.answer(b) // the memory grows once
			b.ReportAllocs()
			for b.Loop() {
				p.answer(b)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
		})
	}
}
