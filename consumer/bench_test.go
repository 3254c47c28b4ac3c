package consumer

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
)

// BenchmarkProcess is what a scorer does with a batch of one partition, without Kafka: decode, score, decide, write.
func BenchmarkProcess(b *testing.B) {
	const records = 1000
	sim, err := producer.NewSimulator(producer.SimulatorConfig{Seed: 1, Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Customers: 500, Terminals: 100})
	if err != nil {
		b.Fatal(err)
	}
	var inputs []*kgo.Record
	for i := range int64(records) {
		e := sim.Next(nil)
		inputs = append(inputs, &kgo.Record{Topic: "transactions", Offset: i, Key: e.Key, Value: e.Value})
	}
	p := newProcessor(&kafka.Config{Verdicts: "verdicts", DeadLetters: "dlq"}, sample(b))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.process(inputs); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
}
