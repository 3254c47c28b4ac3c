package forest

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/dmitryikh/leaves"
)

// BenchmarkMargins scores 500 trees of 63 leaves over 30 features, with NaN among the values, beside leaves on the same file in the same run.
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
		out := make([]float64, n)
		for name, score := range map[string]func(rows []float64) error{
			"forest": func(rows []float64) error { return m.Margins(rows, out) },
			"leaves": func(rows []float64) error { return peer.PredictDense(rows, n, features, out, 0, 1) },
		} {
			b.Run(fmt.Sprintf("rows=%d/%s", n, name), func(b *testing.B) {
				b.ReportAllocs()
				turn := 0
				for b.Loop() {
					if err := score(rows[turn*n*features : (turn+1)*n*features]); err != nil {
						b.Fatal(err)
					}
					turn = (turn + 1) % turns
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/row")
			})
		}
	}
}
