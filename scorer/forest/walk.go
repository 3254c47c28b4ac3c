package forest

import "math"

// zero is LightGBM's kZeroThreshold: the float32 1e-35, widened. What is not farther from 0 counts as 0 before any tree sees it
// (c_api.cpp, RowPairFunctionFromDenseMatric).
const zero = float64(float32(1e-35))

// onStack is the number of features up to which a cleaned row lives on the stack.
const onStack = 256

// Margins writes the raw score of each row: rows is row-major n × Features(), out is n × Outputs(). It allocates nothing for up to 256
// features. The error is a mismatch of the shapes.
func (m *Model) Margins(rows, out []float64) error {
	n, err := m.check(len(rows), m.features, len(out))
	if err != nil {
		return err
	}
	var stack [onStack]float64
	row := stack[:]
	if m.features > onStack {
		pooled := m.scratch.Get().(*[]float64)
		defer m.scratch.Put(pooled)
		row = *pooled
	}
	row = row[:m.features]
	for i := range n {
		for f, x := range rows[i*m.features : (i+1)*m.features] {
			if -zero <= x && x <= zero {
				x = 0
			}
			row[f] = x
		}
		m.add(row, out[i*m.outputs:(i+1)*m.outputs])
	}
	return nil
}

// add sums the trees in file order: tree i·k+c belongs to output c of k (gbdt_prediction.cpp, PredictRaw).
func (m *Model) add(row, out []float64) {
	clear(out)
	c := 0
	for i := range m.trees {
		t := &m.trees[i]
		leaf := m.leaf(t.root, row)
		if t.linear == nil {
			out[c] += m.leaves[leaf]
		} else {
			out[c] += m.linearValue(t, leaf, row)
		}
		if c++; c == len(out) {
			c = 0
		}
	}
}

// leaf walks from a root (tree.h, NumericalDecision and CategoricalDecision).
func (m *Model) leaf(at int32, row []float64) int32 {
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
func (m *Model) inSet(n *node, x float64) bool {
	if !(x > -1 && x < math.MaxInt32+1) {
		return false
	}
	category := uint32(x)
	word := category / 32
	return word < uint32(n.words) && m.sets[uint32(n.set)+word]>>(category%32)&1 == 1
}

// linearValue is a linear leaf (tree.h, Tree::Predict): with a missing feature the constant leaf's value. The products are rounded before
// they are added: the conversion forbids a fused multiply-add.
func (m *Model) linearValue(t *tree, leaf int32, row []float64) float64 {
	l := &t.linear[leaf-t.first]
	sum := l.constant
	for i := l.start; i < l.end; i++ {
		x := row[m.inputs[i]]
		if x != x {
			return m.leaves[leaf]
		}
		sum += float64(m.linear[i] * x)
	}
	return sum
}
