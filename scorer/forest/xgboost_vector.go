package forest

import (
	"fmt"
	"math"
)

// xgbVectors is the body of an XGBoost model whose leaves hold a value for each output (multi_strategy=multi_output_tree, 2.0 and later). Its trees are
// walked. Of a node of the forest that is a leaf, left is its row in vectors.
type xgbVectors struct {
	forest  *xgbForest // all trees, without a grove
	trees   []xgbTree  // of this part
	weights []float32  // of dart, one for each of these trees; nil otherwise
	rounds  []int32    // the first tree of each round of this part, as in the forest
	vectors []float32  // row-major, one column for each output
}

func (m *xgbVectors) objectiveName() string       { return m.forest.objective }
func (m *xgbVectors) size() int                   { return len(m.trees) }
func (m *xgbVectors) predictions(outputs int) int { return m.forest.predictions(outputs) }

func (m *xgbVectors) transform(margins, out []float64, n, outputs int) {
	m.forest.transform(margins, out, n, outputs)
}

func (m *xgbVectors) iterations(int) int { return len(m.rounds) - 1 }

func (m *xgbVectors) leaves() (total, largest int) {
	for i := range m.trees {
		n := countLeaves(m.forest.split, m.trees[i].root)
		total, largest = total+n, max(largest, n)
	}
	return total, largest
}

func (m *xgbVectors) part(start, count, _ int) body {
	from, to := clampRange(start, count, len(m.rounds)-1)
	part, first := *m, m.rounds[0]
	part.rounds = m.rounds[from : to+1]
	part.trees = m.trees[m.rounds[from]-first : m.rounds[to]-first]
	if m.weights != nil {
		part.weights = m.weights[m.rounds[from]-first : m.rounds[to]-first]
	}
	return &part
}

// margins adds the vectors in tree order, in float32, to the base margin (predictor/cpu_predictor.cc). With dart, whose products are rounded before they are
// added, XGBoost does so from 3.4.
func (m *xgbVectors) margins(rows, out []float64, n, features, outputs int) {
	for i := range n {
		row, sums := rows[i*features:(i+1)*features], out[i*outputs:(i+1)*outputs]
		for c, base := range m.forest.base {
			sums[c] = float64(base)
		}
		for t := range m.trees {
			weight := float32(1)
			if m.weights != nil {
				weight = m.weights[t]
			}
			leaf := m.forest.leaf(m.trees[t].root, row)
			vector := m.vectors[int(m.forest.nodes[leaf].left)*outputs:][:outputs]
			for c, value := range vector {
				sums[c] = float64(float32(sums[c]) + float32(value*weight))
			}
		}
	}
}

// leafSize takes a tree's size_leaf_vector: above 1 in all trees of a model or in none, and then a value for each output.
func (x *xgboost) leafSize(path string, size int) error {
	if size > 1 && len(x.forest.trees) == 0 {
		x.vectors = &xgbVectors{forest: x.forest}
	}
	switch {
	case size > 1 && x.vectors == nil, size <= 1 && x.vectors != nil:
		return fmt.Errorf("%s has a size_leaf_vector of %d, the trees before it have another", path, size)
	case size > 1 && size != x.model.outputs:
		return fmt.Errorf("%s has leaves of %d values, the model has %d outputs", path, size, x.model.outputs)
	}
	return nil
}

// readVectors appends a tree's vectors: from 3.1 those of its leaves (leaf_weights), before those of all its nodes (base_weights).
func (x *xgboost) readVectors(v value, path string, a *xgbArrays) error {
	outputs := x.model.outputs
	a.firstVector, a.leaves = len(x.vectors.vectors)/outputs, -1
	key, n := "base_weights", a.nodes*outputs
	list, ok := v.members["leaf_weights"]
	if ok {
		key, n = "leaf_weights", max(list.count, len(list.items))
		if n%outputs != 0 {
			return fmt.Errorf("%s.leaf_weights has %d values, no whole number of leaves of %d", path, n, outputs)
		}
		a.leaves = n / outputs
	} else if list, ok = v.members[key]; !ok {
		return fmt.Errorf("%s has leaves of %d values, and neither leaf_weights nor base_weights", path, outputs)
	}
	vectors, err := list.floats(path+"."+key, n)
	if err != nil {
		return err
	}
	x.vectors.vectors = append(x.vectors.vectors, vectors...)
	if len(x.vectors.vectors)/outputs > math.MaxInt32 {
		return fmt.Errorf("%s: the model has more than %d leaves", path, math.MaxInt32)
	}
	return nil
}

// vectorLeaf checks a leaf that the root reaches: its right child is its row of leaf_weights.
func (x *xgboost) vectorLeaf(a xgbArrays, path string, at int32) (xgbNode, error) {
	row := int(at)
	if a.leaves >= 0 {
		if row = int(a.right[at]); row < 0 || row >= a.leaves {
			return xgbNode{}, fmt.Errorf("%s: node %d is leaf %d of %d", path, at, row, a.leaves)
		}
	} else if a.right[at] != -1 {
		return xgbNode{}, fmt.Errorf("%s: node %d has a right child, %d, and no left", path, at, a.right[at])
	}
	row += a.firstVector
	for c, v := range x.vectors.vectors[row*x.model.outputs:][:x.model.outputs] {
		if v-v != 0 {
			return xgbNode{}, fmt.Errorf("%s: node %d is a leaf whose value %d is not finite", path, at, c)
		}
	}
	return xgbNode{feature: -1, left: int32(row)}, nil
}
