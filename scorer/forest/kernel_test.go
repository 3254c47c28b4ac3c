package forest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// batches are numbers of rows at which the kernels change their ways: few rows, 16, 32 and 64 labelled, a word, a block, and what is left over.
var batches = []int{1, 2, 9, 10, 13, 14, 16, 17, 18, 31, 32, 33, 63, 64, 65, 96, 97, 128, 191, 256, 257, 300}

// underEveryKernel calls f with the model under each kernel of this machine.
func underEveryKernel(t testing.TB, m *Model, f func(name string, m *Model)) {
	t.Helper()
	for _, name := range m.Kernels() {
		other, err := m.With(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := other.Kernel(1000); got != name {
			t.Fatalf("kernel %q scores with %q", name, got)
		}
		f(name, other)
	}
}

// kernelsAgree holds every kernel at every batch size against the walk, row by row.
func kernelsAgree(t testing.TB, m *Model, rows []float64) {
	t.Helper()
	features, outputs := m.Features(), m.Outputs()
	plain, err := m.With(string(walk))
	if err != nil {
		t.Fatal(err)
	}
	n := len(rows) / max(1, features)
	want, got := make([]float64, n*outputs), make([]float64, n*outputs)
	if err := plain.Margins(rows, want); err != nil {
		t.Fatal(err)
	}
	underEveryKernel(t, m, func(name string, m *Model) {
		for _, batch := range batches {
			if batch = min(batch, n); batch == 0 {
				return
			}
			for from := 0; from+batch <= n; from += batch {
				if err := m.Margins(rows[from*features:(from+batch)*features], got[from*outputs:(from+batch)*outputs]); err != nil {
					t.Fatal(err)
				}
			}
			whole := n / batch * batch * outputs
			for i := range whole {
				if differences(want[i:i+1], got[i:i+1]) > 0 {
					row := i / outputs
					t.Fatalf("kernel %s, %d rows at once, row %d %v: %v, the walk gives %v", name, batch, row, rows[row*features:(row+1)*features], got[i], want[i])
				}
			}
		}
	})
}

// hardRows are rows of which most values lie at, or a step beside, a threshold of their feature, or share its upper half.
func hardRows(r *rand.Rand, q *questions, n, features int) []float64 {
	at := make([][]float64, features)
	for i := range q.ladders {
		l := &q.ladders[i]
		at[l.feature] = append(at[l.feature], l.thresholds...)
	}
	special := []float64{
		0, math.Copysign(0, -1), math.NaN(), math.Float64frombits(0x7ff0000000000001), math.Float64frombits(0xfff0000000000001), math.Float64frombits(0xfff8000000000000), // NaN with a payload in the lower half only
		math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, 5e-324, -5e-324, 1e-310, zero, -zero, math.Nextafter(zero, 1), -math.Nextafter(zero, 1), math.Nextafter(zero, 0),
		1<<24 - 1, 1 << 24, 1<<24 + 1, math.MaxInt32, 1 << 31, math.MaxFloat32, 3.5e38, float64(math.SmallestNonzeroFloat32), -float64(math.SmallestNonzeroFloat32), 31, 32, -0.5, 63.9, -1,
	}
	rows := make([]float64, n*features)
	for i := range rows {
		x := r.NormFloat64() * 2
		if all := at[i%features]; len(all) > 0 && r.IntN(4) > 0 {
			x = all[r.IntN(len(all))]
			switch r.IntN(6) {
			case 0:
				x = math.Nextafter(x, math.Inf(1))
			case 1:
				x = math.Nextafter(x, math.Inf(-1))
			case 2:
				x = math.Float64frombits(math.Float64bits(x) ^ uint64(r.Uint32()))
			case 3:
				x = float64(math.Nextafter32(float32(x), float32(math.Inf(r.IntN(2)*2-1))))
			}
		}
		if r.IntN(8) == 0 {
			x = special[r.IntN(len(special))]
		}
		rows[i] = x
	}
	return rows
}

// shape is what decides between ways to score.
type shape struct {
	features, outputs, iterations int
	syntheticKinds
}

var shapes = []shape{
	{1, 1, 1, syntheticKinds{leaves: 1}}, {1, 1, 20, syntheticKinds{leaves: 2}}, {3, 1, 40, syntheticKinds{leaves: 31, missing: true}}, {9, 2, 20, syntheticKinds{leaves: 32, missing: true}},
	{5, 1, 33, syntheticKinds{leaves: 33}}, {9, 1, 9, syntheticKinds{leaves: 64, balanced: true}}, {9, 1, 5, syntheticKinds{leaves: 256, balanced: true}}, {30, 1, 50, syntheticKinds{leaves: 63, missing: true}}, {7, 3, 9, syntheticKinds{leaves: 64, missing: true}}, {4, 1, 17, syntheticKinds{leaves: 65, missing: true}},
	{8, 1, 9, syntheticKinds{leaves: 128, missing: true}}, {17, 1, 12, syntheticKinds{leaves: 129}}, {6, 1, 10, syntheticKinds{leaves: 255, missing: true}}, {16, 2, 6, syntheticKinds{leaves: 256, missing: true}},
	{6, 1, 4, syntheticKinds{leaves: 257, missing: true}}, {2, 1, 5, syntheticKinds{leaves: 700}}, // more than a sliced tree has
	{1, 1, 40, syntheticKinds{leaves: 64}},                                   // 2,520 thresholds of one feature
	{70, 1, 40, syntheticKinds{leaves: 31}},                                  // more columns than a permutation reaches
	{300, 1, 40, syntheticKinds{leaves: 31, missing: true}},                  // more than a byte counts
	{5, 1, 12, syntheticKinds{leaves: 40, missing: true, categorical: true}}, // sets
	{6, 2, 10, syntheticKinds{leaves: 20, missing: true, linear: true}},      // trees that are walked, between others
	{4, 1, 30, syntheticKinds{leaves: 12, categorical: true, linear: true}},  // all of it
}

func TestEveryKernelGivesTheBitsOfTheWalk(t *testing.T) {
	for i, s := range shapes {
		t.Run(fmt.Sprintf("%+v", s), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(i), 5))
			m, err := Load(newSynthetic(r, s.features, s.outputs, s.iterations, s.syntheticKinds).text("custom"))
			if err != nil {
				t.Fatal(err)
			}
			rows := hardRows(r, &m.body.(*lgbForest).grove.questions, 300, s.features)
			kernelsAgree(t, m, rows)
			if s.iterations > 4 {
				kernelsAgree(t, m.Range(3, s.iterations/2), rows)
			}
		})
	}
}

// randomXGBoost makes a forest of float32, as no library wrote it: thresholds near each other, infinite ones, sets, weights.
func randomXGBoost(r *rand.Rand, features, outputs, trees, leaves int, sets bool) *Model {
	f := &xgbForest{objective: "reg:squarederror"}
	for range outputs {
		f.base = append(f.base, float32(r.NormFloat64()))
	}
	f.rules.unknownIsMissing = r.IntN(2) == 0
	if r.IntN(2) == 0 {
		for range trees {
			f.weights = append(f.weights, r.Float32())
		}
	}
	for i := range trees {
		f.trees = append(f.trees, xgbTree{root: int32(len(f.nodes)), output: int32(i % outputs)})
		open := []int32{int32(len(f.nodes))}
		f.nodes = append(f.nodes, xgbNode{})
		for n := range leaves {
			k := r.IntN(len(open))
			at := open[k]
			open = slices.Delete(open, k, k+1)
			if len(open)+n+1 >= leaves { // enough ends
				f.nodes[at] = xgbNode{feature: -1, condition: float32(r.NormFloat64())}
				if len(open) == 0 {
					break
				}
				continue
			}
			left := int32(len(f.nodes))
			node := xgbNode{feature: int32(r.IntN(features)), condition: float32(r.NormFloat64()), left: left, defaultLeft: r.IntN(2) == 0}
			switch r.IntN(12) {
			case 0:
				node.condition = []float32{0, float32(math.Copysign(0, -1)), math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)), math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, 1 << 24}[r.IntN(8)]
			case 1:
				if sets {
					node.categorical, node.set, node.words = true, int32(len(f.sets)), int32(r.IntN(3))
					for range node.words {
						f.sets = append(f.sets, r.Uint32())
					}
				}
			}
			f.nodes[at] = node
			f.nodes = append(f.nodes, xgbNode{}, xgbNode{})
			open = append(open, left, left+1)
		}
		for _, at := range open {
			f.nodes[at] = xgbNode{feature: -1, condition: float32(r.NormFloat64())}
		}
	}
	for i := range trees + 1 {
		f.rounds = append(f.rounds, int32(i))
	}
	f.grove = plant(f, f.roots(), features, f.base, best())
	return &Model{width: 32, features: features, outputs: outputs, body: f}
}

func TestEveryKernelGivesTheBitsOfTheWalkInFloat32(t *testing.T) {
	for i, s := range shapes {
		t.Run(fmt.Sprintf("%+v", s), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(i), 6))
			m := randomXGBoost(r, s.features, s.outputs, s.iterations*s.outputs, 2*s.leaves, s.categorical)
			rows := hardRows(r, &m.body.(*xgbForest).grove.questions, 300, s.features)
			kernelsAgree(t, m, rows)
			kernelsAgree(t, m.Range(s.outputs, s.outputs*max(1, s.iterations/2)), rows)
		})
	}
}

// TestAnyShapeUnderEveryKernel draws shapes that nobody thought of.
func TestAnyShapeUnderEveryKernel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 7))
		features, outputs := rapid.IntRange(1, 80).Draw(rt, "features"), rapid.IntRange(1, 3).Draw(rt, "outputs")
		leaves, trees := rapid.IntRange(1, 270).Draw(rt, "leaves"), rapid.IntRange(1, 20).Draw(rt, "trees")
		n := rapid.IntRange(1, 280).Draw(rt, "rows")
		if rapid.Bool().Draw(rt, "float32") {
			m := randomXGBoost(r, features, outputs, trees*outputs, leaves, rapid.Bool().Draw(rt, "sets"))
			kernelsAgree(t, m, hardRows(r, &m.body.(*xgbForest).grove.questions, n, features))
			return
		}
		m, err := Load(newSynthetic(r, features, outputs, trees, syntheticKinds{leaves: leaves, missing: true, categorical: rapid.Bool().Draw(rt, "sets")}).text("custom"))
		if err != nil {
			rt.Fatal(err)
		}
		kernelsAgree(t, m, hardRows(r, &m.body.(*lgbForest).grove.questions, n, features))
	})
}

func TestAKernelThatIsNotThereIsRefused(t *testing.T) {
	m, err := Load(newSynthetic(rand.New(rand.NewPCG(1, 1)), 2, 1, 2, syntheticKinds{leaves: 3}).text("custom"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.With("gpu"); err == nil {
		t.Error("a kernel gpu is found")
	}
	if want := kernels()[len(kernels())-1]; m.Kernel(256) != string(want) {
		t.Errorf("%s is chosen, %s is the best", m.Kernel(256), want)
	}
	// Two kernels must be on any machine; that the others are there is told by who runs the tests.
	t.Logf("%s: %v", runtime.GOARCH, m.Kernels())
	if got := m.Kernels(); !slices.Contains(got, "walk") || !slices.Contains(got, "portable") {
		t.Errorf("kernels %v", got)
	}
}
