package scorer

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mlmonitor/mlmonitor/schemas"
)

var batchSizes = []int{1, 16, 256, 1000}

// simulated repeats the bundle's examples, which the simulator made: two of five lack a value, which becomes a finding.
func simulated(b *Bundle, records int) [][]byte {
	var events [][]byte
	for i := range records {
		events = append(events, b.Examples[i%len(b.Examples)].Event)
	}
	return events
}

// writeBatch scores events and appends their verdicts to dst, as the consumer does, and counts those refused.
func writeBatch(t testing.TB, s *Scorer, events [][]byte, dst []byte) (verdicts []byte, refused int) {
	s.Reset()
	for _, e := range events {
		s.Add(e, time.Time{})
	}
	out, err := s.Score()
	if err != nil {
		t.Fatal(err)
	}
	for i := range out {
		if out[i].Err != nil {
			refused++
			continue
		}
		v := &out[i].Verdict
		v.Source = schemas.Source{Topic: "transactions", Offset: int64(i)}
		if dst, err = v.Append(dst); err != nil {
			t.Fatal(err)
		}
	}
	return dst, refused
}

// BenchmarkScorerBatch is the way of a batch from events to the bytes of verdicts: decode, score, decide, write.
func BenchmarkScorerBatch(b *testing.B) {
	bundle := sampleBundle(b)
	for _, records := range batchSizes {
		b.Run(fmt.Sprint(records), func(b *testing.B) {
			s := bundle.NewScorer()
			events := simulated(bundle, records)
			payload, _ := writeBatch(b, s, events, nil) // the memory grows once
			b.ReportAllocs()
			for b.Loop() {
				payload, _ = writeBatch(b, s, events, payload[:0])
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*records), "ns/record")
		})
	}
}

func TestABatchAllocatesNothingFromItsEventsToTheBytesOfItsVerdicts(t *testing.T) {
	b := sampleBundle(t)
	for _, records := range batchSizes {
		s := b.NewScorer()
		events := simulated(b, records)
		payload, refused := writeBatch(t, s, events, nil)
		if findings := bytes.Count(payload, []byte(`"missing:`)); refused > 0 || records > 1 && (findings < records/3 || findings == records) {
			t.Fatalf("%d records: %d refused, %d findings: the events are not what a topic has", records, refused, findings)
		}
		ids, finds := cap(s.ids), cap(s.findings)
		if allocs := testing.AllocsPerRun(10, func() { payload, _ = writeBatch(t, s, events, payload[:0]) }); allocs != 0 {
			t.Errorf("a batch of %d allocates %v times", records, allocs)
		}
		if cap(s.ids) != ids || cap(s.findings) != finds { // growth by doubling rounds to no allocation
			t.Errorf("the same batch of %d again and again: memory for ids grows from %d to %d, for findings from %d to %d",
				records, ids, cap(s.ids), finds, cap(s.findings))
		}
	}
}

// TestARefusedEventAllocatesLittle: its reason, which names the path to what is wrong.
func TestARefusedEventAllocatesLittle(t *testing.T) {
	b := sampleBundle(t)
	good := string(b.Examples[0].Event)
	nested := strings.Repeat(`{"`+strings.Repeat("n", 1000)+`":`, schemas.MaxDepth)
	for _, c := range []struct {
		name, event string
		most        float64 // allocations
	}{
		{"empty", "", 5},
		{"no JSON", "not JSON", 5},
		{"cut", good[:len(good)/2], 5},
		{"lacks a field", strings.Replace(good, `"amount":`, `"amounts":`, 1), 5},
		{"wrong type", strings.Replace(good, `"amount":13.6`, `"amount":"13.6"`, 1), 5},
		{"too large", strings.Repeat(" ", schemas.MaxEventBytes+1), 5},
		{"the longest path", nested + "!", 5 + schemas.MaxDepth},
		{"too deep", nested + nested, 5 + schemas.MaxDepth},
	} {
		s, events := b.NewScorer(), [][]byte{[]byte(c.event)}
		if _, refused := writeBatch(t, s, events, nil); refused != 1 {
			t.Errorf("%s: not refused", c.name)
		}
		if allocs := testing.AllocsPerRun(20, func() { writeBatch(t, s, events, nil) }); allocs > c.most {
			t.Errorf("%s: a refusal allocates %v times, more than %v", c.name, allocs, c.most)
		}
	}
}
