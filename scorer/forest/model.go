package forest

import (
	"fmt"
	"slices"
	"sync"
)

// Model is a loaded ensemble. It is immutable and safe for concurrent use.
type Model struct {
	format    string
	objective objective
	names     []string
	features  int
	outputs   int
	average   bool // random forest: the prediction is made of the mean of the trees
	trees     []tree
	nodes     []node
	leaves    []float64
	sets      []uint32  // words of categorical sets
	linear    []float64 // coefficients of linear leaves
	inputs    []int32   // features of linear leaves
	scratch   *sync.Pool
}

// tree is a part of the model's arrays. Its root is a node, or with a negative number, ^leaf.
type tree struct {
	root   int32
	linear []linearLeaf // by leaf, from firstLeaf; nil for constant leaves
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

// Format names the file format and its version.
func (m *Model) Format() string { return m.format }

// Objective is the objective's name as the library writes it.
func (m *Model) Objective() string { return m.objective.name }

// Features is the length of a row.
func (m *Model) Features() int { return m.features }

// FeatureNames are the names of the columns of a row.
func (m *Model) FeatureNames() []string { return slices.Clone(m.names) }

// Outputs is the number of values for each row: 1, or one for each class.
func (m *Model) Outputs() int { return m.outputs }

// Trees is the number of trees, over all outputs.
func (m *Model) Trees() int { return len(m.trees) }

// Width is the number of bits of the library's own number type: 64, LightGBM computes in float64.
func (m *Model) Width() int { return 64 }

// Range is the model of count iterations from start, as LightGBM's start_iteration and num_iteration: start is clamped, and a count of 0 or
// less, or too large, means the rest.
func (m *Model) Range(start, count int) *Model {
	total := len(m.trees) / m.outputs
	start = max(0, min(start, total))
	if count <= 0 || count > total-start {
		count = total - start
	}
	part := *m
	part.trees = m.trees[start*m.outputs : (start+count)*m.outputs]
	return &part
}

// check makes sure that the slices have the shapes of one another, and gives the number of rows.
func (m *Model) check(in, perRow, out int) (int, error) {
	rows := out / m.outputs
	if rows*m.outputs != out || rows*perRow != in {
		return 0, fmt.Errorf("%d values in and %d out are not the same number of rows of %d in and %d out", in, out, perRow, m.outputs)
	}
	return rows, nil
}
