package forest

import "math"

// zero is LightGBM's kZeroThreshold: the float32 1e-35, widened. What is not farther from 0 counts as 0 before any tree sees it
// (c_api.cpp, RowPairFunctionFromDenseMatric).
const zero = float64(float32(1e-35))

// lgbForest is the body of a LightGBM model: float64 throughout.
type lgbForest struct {
	objective objective
	average   bool // random forest: the prediction is made of the mean of the trees
	trees     []tree
	nodes     []node
	values    []float64 // of leaves
	sets      []uint32  // words of categorical sets
	linear    []float64 // coefficients of linear leaves
	inputs    []int32   // features of linear leaves
	grove     *grove[float64]
}

// tree is a part of the forest's arrays. Its root is a node, or with a negative number, ^leaf.
type tree struct {
	root   int32
	linear []linearLeaf // by leaf, from first; nil for constant leaves
	first  int32        // first leaf
}

// linearLeaf gives constant + Σ coefficient·feature, unless one of the features is missing.
type linearLeaf struct {
	constant   float64
	start, end int32 // in linear and inputs
}

// node is a split. A child is a node, or with a negative number, ^leaf.
type node struct {
	threshold   float64 // numeric: left if x <= threshold
	feature     int32
	left, right int32
	set, words  int32 // categorical: sets[set : set+words]
	kind        kind
	defaultLeft bool
}

// kind of a split: categorical, or numeric with one of three ideas of what is missing.
type kind uint8

const (
	missingNone kind = iota // NaN counts as 0
	missingZero             // 0 and NaN are missing
	missingNaN              // NaN is missing
	categorical
)

func (m *lgbForest) objectiveName() string { return m.objective.name }
func (m *lgbForest) size() int             { return len(m.grove.trees) }

func (m *lgbForest) part(start, count, outputs int) body {
	from, to := clampRange(start, count, m.size()/outputs)
	part := *m
	part.grove = m.grove.part(from*outputs, to*outputs)
	return &part
}

// leaf walks from a root (tree.h, NumericalDecision and CategoricalDecision).
func (m *lgbForest) leaf(at int32, row []float64) int32 {
	for at >= 0 {
		n := &m.nodes[at]
		x := row[n.feature]
		var left bool
		switch {
		case n.kind == categorical:
			left = m.inSet(n, x)
		case x != x:
			if n.kind == missingNone {
				left = 0 <= n.threshold
			} else {
				left = n.defaultLeft
			}
		case n.kind == missingZero && x == 0:
			left = n.defaultLeft
		default:
			left = x <= n.threshold
		}
		if left {
			at = n.left
		} else {
			at = n.right
		}
	}
	return ^at
}

// inSet says whether x, truncated to an int32, is a category of the node's set. NaN, negative numbers and what does not fit are not.
func (m *lgbForest) inSet(n *node, x float64) bool {
	if !(x > -1 && x < math.MaxInt32+1) {
		return false
	}
	category := uint32(x)
	word := category / 32
	return word < uint32(n.words) && m.sets[uint32(n.set)+word]>>(category%32)&1 == 1
}

// linearValue is a linear leaf (tree.h, Tree::Predict): with a missing feature the constant leaf's value. The products are rounded before
// they are added: the conversion forbids a fused multiply-add.
func (m *lgbForest) linearValue(t *tree, leaf int32, row []float64) float64 {
	l := &t.linear[leaf-t.first]
	sum := l.constant
	for i := l.start; i < l.end; i++ {
		x := row[m.inputs[i]]
		if x != x {
			return m.values[leaf]
		}
		sum += float64(m.linear[i] * x)
	}
	return sum
}
