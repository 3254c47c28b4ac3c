package producer

import (
	"testing"
	"time"
)

// BenchmarkSimulator is the cost of one event with the demo's number of customers and terminals.
func BenchmarkSimulator(b *testing.B) {
	s, err := NewSimulator(SimulatorConfig{Seed: 1, Start: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), Customers: 5000, Terminals: 1000, Malformed: 0.01})
	if err != nil {
		b.Fatal(err)
	}
	var buf []byte
	bytes := 0
	b.ReportAllocs()
	for b.Loop() {
		buf = s.Next(buf).Value
		bytes += len(buf)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(bytes)/float64(b.N), "B/event")
}
