package forest

import (
	"bufio"
	"bytes"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/dmitryikh/leaves"
)

// TestLeavesAgreesWhereItIsRight compares with an engine that others wrote, on the fixtures' rows and on more that no library has scored.
func TestLeavesAgreesWhereItIsRight(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	compared, sets := 0, 0
	for _, f := range fixtures(t) {
		wrong := bytes.Contains(f.model, []byte("\nis_linear=1")) || // it ignores the linear part of leaves
			bytes.Contains(f.model, []byte("\naverage_output")) || // its margin of a random forest is the mean
			!bytes.Contains(f.model, []byte("\ntree_sizes=")) // it refuses these
		if f.meta.Width != 64 || wrong {
			continue
		}
		if runtime.GOARCH != "amd64" && bytes.Contains(f.model, []byte("\ncat_threshold=")) {
			sets++ // it makes integers of numbers that are none, which gives others on other machines
			continue
		}
		compared++
		t.Run(f.name, func(t *testing.T) {
			m, err := Load(f.model)
			if err != nil {
				t.Fatal(err)
			}
			peer, err := leaves.LGEnsembleFromReader(bufio.NewReader(bytes.NewReader(bytes.Replace(f.model, []byte("\nversion=v4"), []byte("\nversion=v3"), 1))), false)
			if err != nil {
				t.Fatal(err)
			}
			rows := append(slices.Clone(f.rows), rowsLike(r, f.rows, 300, m.Features())...)
			for i, x := range rows {
				if math.Abs(x) <= zero { // LightGBM makes this 0 before any tree sees it, leaves does not
					rows[i] = 0
				}
			}
			n := len(rows) / m.Features()
			got, want := make([]float64, n*m.Outputs()), make([]float64, n*m.Outputs())
			if err := m.Margins(rows, got); err != nil {
				t.Fatal(err)
			}
			for i := range n {
				if err := peer.Predict(rows[i*m.Features():(i+1)*m.Features()], 0, want[i*m.Outputs():(i+1)*m.Outputs()]); err != nil {
					t.Fatal(err)
				}
			}
			if k := differences(want, got); k > 0 {
				t.Errorf("%d of %d margins differ", k, len(got))
			}
		})
	}
	if compared+sets != 73 {
		t.Errorf("%d models were compared, 73 should be", compared+sets)
	}
}

// rowsLike makes rows whose values are those of other rows' same columns, mixed.
func rowsLike(r *rand.Rand, rows []float64, n, features int) []float64 {
	mixed := make([]float64, n*features)
	for i := range mixed {
		mixed[i] = rows[r.IntN(len(rows)/features)*features+i%features]
	}
	return mixed
}
