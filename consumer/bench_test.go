package consumer

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

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

func TestAProcessorAllocatesNothingForVerdicts(t *testing.T) {
	for _, records := range []int64{1, 16, 256, 1000} {
		inputs := simulated(t, records)
		p := newProcessor(&kafka.Config{Verdicts: "verdicts", DeadLetters: "dlq"}, sample(t))
		process := func() {
			answers, err := p.process(inputs)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range answers {
				if a.class != "" {
					t.Fatalf("a dead letter: %s", a.class)
				}
			}
		}
		process()
		payload, headers := cap(p.payload), cap(p.headers)
		if allocs := testing.AllocsPerRun(10, process); allocs != 0 {
			t.Errorf("a batch of %d allocates %v times", records, allocs)
		}
		if cap(p.payload) != payload || cap(p.headers) != headers { // growth by doubling rounds to no allocation
			t.Errorf("the same batch of %d again and again: memory for payloads grows from %d to %d, for headers from %d to %d",
				records, payload, cap(p.payload), headers, cap(p.headers))
		}
	}
}

// BenchmarkProcess is what a scorer does with a batch of one partition, without Kafka: decode, score, decide, write.
func BenchmarkProcess(b *testing.B) {
	const records = 1000
	inputs := simulated(b, records)
	p := newProcessor(&kafka.Config{Verdicts: "verdicts", DeadLetters: "dlq"}, sample(b))
	if _, err := p.process(inputs); err != nil { // the memory grows once
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.process(inputs); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
}
