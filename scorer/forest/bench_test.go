package forest

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dmitryikh/leaves"
)

// BenchmarkMargins scores 500 trees of 63 leaves over 30 features, with NaN among the values, then leaves on the same file and rows: ns/row of both,
// and how many times longer leaves takes.
func BenchmarkMargins(b *testing.B) {
	const features = 30
	r := rand.New(rand.NewPCG(500, 63))
	text := newSynthetic(r, features, 1, 500, syntheticKinds{leaves: 63}).text("binary sigmoid:1")
	m, err := Load(text)
	if err != nil {
		b.Fatal(err)
	}
	peer, err := leaves.LGEnsembleFromReader(bufio.NewReader(bytes.NewReader(text)), false)
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 64, 1000} {
		// More rows than fit the branch predictor's memory, taken in turn.
		const turns = 16
		rows := syntheticRows(r, n*turns, features)
		got, want := make([]float64, n), make([]float64, n)
		b.Run(fmt.Sprintf("rows=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			part := func(turn int) []float64 { return rows[turn%turns*n*features : (turn%turns+1)*n*features] }
			turn := 0
			for b.Loop() {
				if err := m.Margins(part(turn), got); err != nil {
					b.Fatal(err)
				}
				turn++
			}
			mine, begin := b.Elapsed(), time.Now()
			for turn := range b.N {
				if err := peer.PredictDense(part(turn), n, features, want, 0, 1); err != nil {
					b.Fatal(err)
				}
			}
			others := time.Since(begin)
			if k := differences(want, got); k > 0 {
				b.Fatalf("%d of %d margins differ from leaves'", k, n)
			}
			perRow := float64(b.N) * float64(n)
			b.ReportMetric(float64(mine.Nanoseconds())/perRow, "ns/row")
			b.ReportMetric(float64(others.Nanoseconds())/perRow, "leaves-ns/row")
			b.ReportMetric(float64(others)/float64(mine), "x-leaves")
		})
	}
}
