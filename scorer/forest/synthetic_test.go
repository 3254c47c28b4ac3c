package forest

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"strings"
)

// synthetic is a LightGBM model made up for a test, and scored the slow, plain way: after the rules in LightGBM's tree.h, without any of the
// engine's code.
type synthetic struct {
	features, outputs int
	trees             []syntheticTree
}

type syntheticTree struct {
	feature, decision, left, right []int
	threshold                      []float64 // of a categorical split: the number of its set
	sets                           [][]uint32
	value                          []float64
	linear                         bool
	constant                       []float64
	inputs                         [][]int
	coefficient                    [][]float64
}

// syntheticKinds says which splits and leaves a model gets.
type syntheticKinds struct {
	leaves                       int
	missing, categorical, linear bool
	balanced                     bool // split in turn, not at random
}

var thresholds = []float64{0, -1, 1, 0.5, 1e-35, -1e-35, zero, -zero, 1e300, math.Inf(1), math.SmallestNonzeroFloat64}

// newSynthetic makes a model by splitting leaves at random.
func newSynthetic(r *rand.Rand, features, outputs, iterations int, k syntheticKinds) *synthetic {
	s := &synthetic{features: features, outputs: outputs}
	for range iterations * outputs {
		s.trees = append(s.trees, newSyntheticTree(r, features, k))
	}
	return s
}

func newSyntheticTree(r *rand.Rand, features int, k syntheticKinds) (t syntheticTree) {
	type place struct{ node, side int } // what points to a leaf
	places := []place{{-1, 0}}
	for n := range k.leaves - 1 {
		at := r.IntN(len(places)) // becomes node n: its leaf goes left, the new leaf right
		if k.balanced {
			at = n + 1 - 1<<(bits.Len(uint(n+1))-1)
		}
		if p := places[at]; p.side == 0 && p.node >= 0 {
			t.left[p.node] = n
		} else if p.node >= 0 {
			t.right[p.node] = n
		}
		places[at] = place{n, 0}
		places = append(places, place{n, 1})
		t.left, t.right = append(t.left, ^at), append(t.right, ^(n+1))
		t.feature = append(t.feature, r.IntN(features))
		decision, threshold := 2|2<<2, r.NormFloat64()
		if k.missing {
			decision = r.IntN(3)<<2 | r.IntN(2)<<1
			if r.IntN(3) == 0 {
				threshold = thresholds[r.IntN(len(thresholds))]
			}
		}
		if k.categorical && r.IntN(2) == 0 {
			decision |= 1
			threshold = float64(len(t.sets))
			set := make([]uint32, r.IntN(4)) // also empty
			for i := range set {
				set[i] = r.Uint32()
			}
			t.sets = append(t.sets, set)
		}
		t.decision, t.threshold = append(t.decision, decision), append(t.threshold, threshold)
	}
	t.linear = k.linear && r.IntN(2) == 0
	for range k.leaves {
		t.value = append(t.value, r.NormFloat64())
		t.constant = append(t.constant, r.NormFloat64())
		inputs := r.Perm(features)[:r.IntN(min(features, 3)+1)]
		coefficients := make([]float64, len(inputs))
		for i := range coefficients {
			coefficients[i] = r.NormFloat64()
		}
		t.inputs, t.coefficient = append(t.inputs, inputs), append(t.coefficient, coefficients)
	}
	return t
}

// text is the model's file.
func (s *synthetic) text(objective string) []byte {
	var trees []string
	var sizes []int
	for i, t := range s.trees {
		trees = append(trees, t.text(i))
		sizes = append(sizes, len(trees[i]))
	}
	names := make([]string, s.features)
	for i := range names {
		names[i] = fmt.Sprint("f", i)
	}
	return fmt.Appendf(nil, "tree\nversion=v3\nnum_class=%d\nnum_tree_per_iteration=%d\nlabel_index=0\nmax_feature_idx=%d\nobjective=%s\nfeature_names=%s\nfeature_infos=%s\ntree_sizes=%s\n\n%send of trees\n\nparameters:\nend of parameters\n",
		s.outputs, s.outputs, s.features-1, objective, strings.Join(names, " "), strings.TrimSpace(strings.Repeat("none ", s.features)), words(sizes), strings.Join(trees, ""))
}

func (t *syntheticTree) text(number int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Tree=%d\nnum_leaves=%d\nnum_cat=%d\nsplit_feature=%s\nsplit_gain=%s\nthreshold=%s\ndecision_type=%s\nleft_child=%s\nright_child=%s\nleaf_value=%s\n",
		number, len(t.value), len(t.sets), words(t.feature), words(t.left), words(t.threshold), words(t.decision), words(t.left), words(t.right), words(t.value))
	if len(t.sets) > 0 {
		boundaries, all := []int{0}, []uint32(nil)
		for _, set := range t.sets {
			all = append(all, set...)
			boundaries = append(boundaries, len(all))
		}
		fmt.Fprintf(&b, "cat_boundaries=%s\ncat_threshold=%s\n", words(boundaries), words(all))
	}
	if t.linear {
		var counts, inputs []int
		var coefficients []float64
		for i := range t.inputs {
			counts, inputs, coefficients = append(counts, len(t.inputs[i])), append(inputs, t.inputs[i]...), append(coefficients, t.coefficient[i]...)
		}
		fmt.Fprintf(&b, "is_linear=1\nleaf_const=%s\nnum_features=%s\nleaf_features=%s\nleaf_coeff=%s\n", words(t.constant), words(counts), words(inputs), words(coefficients))
	}
	b.WriteString("shrinkage=1\n\n\n")
	return b.String()
}

func words[T int | uint32 | float64](all []T) string {
	texts := make([]string, len(all))
	for i, v := range all {
		texts[i] = strings.Replace(fmt.Sprint(v), "+Inf", "inf", 1)
	}
	return strings.Join(texts, " ")
}

// margins scores one row with count iterations from start.
func (s *synthetic) margins(row []float64, start, count int) []float64 {
	cleaned := make([]float64, len(row))
	for i, x := range row {
		if !(math.Abs(x) <= float64(float32(1e-35))) {
			cleaned[i] = x
		}
	}
	sums := make([]float64, s.outputs)
	for i := start * s.outputs; i < (start+count)*s.outputs; i++ {
		sums[i%s.outputs] += s.trees[i].score(cleaned)
	}
	return sums
}

func (t *syntheticTree) score(row []float64) float64 {
	at := 0
	if len(t.value) == 1 {
		at = -1
	}
	for at >= 0 {
		if t.goesLeft(at, row[t.feature[at]]) {
			at = t.left[at]
		} else {
			at = t.right[at]
		}
	}
	leaf := -1 - at
	if !t.linear {
		return t.value[leaf]
	}
	sum := t.constant[leaf]
	for i, f := range t.inputs[leaf] {
		if math.IsNaN(row[f]) {
			return t.value[leaf]
		}
		product := t.coefficient[leaf][i] * row[f]
		sum = math.FMA(1, product, sum) // an addition that cannot be fused with the product
	}
	return sum
}

func (t *syntheticTree) goesLeft(at int, x float64) bool {
	if t.decision[at]&1 != 0 {
		if math.IsNaN(x) || math.Trunc(x) < 0 || math.Trunc(x) > math.MaxInt32 {
			return false
		}
		set, category := t.sets[int(t.threshold[at])], int(math.Trunc(x))
		return category/32 < len(set) && set[category/32]&(1<<(category%32)) != 0
	}
	missing := t.decision[at] >> 2
	if math.IsNaN(x) && missing != 2 {
		x = 0
	}
	if missing == 1 && x == 0 || missing == 2 && math.IsNaN(x) {
		return t.decision[at]&2 != 0
	}
	return x <= t.threshold[at]
}

// syntheticRows are n rows, of which some values are hard.
func syntheticRows(r *rand.Rand, n, features int) []float64 {
	hard := append([]float64{math.NaN(), math.NaN(), math.NaN(), math.NaN(), math.Copysign(0, -1), math.Inf(-1), -0.5, 2.7, -1.5, 31, 32, 95, 96, math.MaxInt32, math.MaxInt32 + 1, -1e300,
		math.Nextafter(zero, 1), math.Nextafter(-zero, -1)}, thresholds...)
	rows := make([]float64, n*features)
	for i := range rows {
		if rows[i] = r.NormFloat64(); r.IntN(2) == 0 {
			rows[i] = hard[r.IntN(len(hard))]
		}
	}
	return rows
}
