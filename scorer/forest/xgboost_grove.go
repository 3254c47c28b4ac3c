package forest

import "math"

// What a grove is made of, in XGBoost's terms. A leaf is the number of its node.

func (m *xgbForest) roots() []root {
	all := make([]root, len(m.trees))
	for i := range m.trees {
		all[i] = root{at: m.trees[i].root, output: m.trees[i].output}
	}
	return all
}

// split: x < c of float32 is x <= the float32 before c, in float64 too.
func (m *xgbForest) split(at int32) split {
	n := &m.nodes[at]
	if n.feature < 0 {
		return split{leaf: at}
	}
	s := split{leaf: -1, left: n.left, right: n.left + 1, feature: n.feature}
	switch {
	case n.categorical:
		s.set = &set{words: m.sets[n.set : n.set+n.words], above: -math.SmallestNonzeroFloat64, below: maxCategory, rightIfIn: true, missingRight: !n.defaultLeft}
		if m.rules.unknownIsMissing {
			s.set.below, s.set.outIsMissing = float64(32*n.words), true
		}
	case math.IsInf(float64(n.condition), -1): // nothing is less: an empty set, of which nothing is a member
		s.set = &set{missingRight: !n.defaultLeft}
	default:
		s.threshold = float64(math.Nextafter32(n.condition, float32(math.Inf(-1))))
		if n.defaultLeft {
			s.layout = nanLeft
		}
	}
	return s
}

// leafValue rounds the product with a dart tree's weight, as the library does before it adds it.
func (m *xgbForest) leafValue(tree, leaf int32) (float32, bool) {
	value := m.nodes[leaf].condition
	if m.weights != nil {
		value *= m.weights[tree]
	}
	return value, true
}

func (m *xgbForest) walk(tree int32, row []float64) float32 {
	value, _ := m.leafValue(tree, m.leaf(m.trees[tree].root, row))
	return value
}

func (m *xgbForest) clean(values []float64) {
	for i, x := range values {
		values[i] = float64(float32(x))
	}
}

func (m *xgbForest) margins(rows, out []float64, n, _, outputs int) {
	m.grove.margins(rows, out, n)
	if m.last != nil {
		for i, sum := range out {
			out[i] = float64(float32(sum) + m.last[i%outputs])
		}
	}
}

func (m *xgbForest) kernel(rows int) kernel { return m.grove.kernel }

func (m *xgbForest) with(k kernel) body {
	other := *m
	other.grove = m.grove.with(k)
	return &other
}

func (m *xgbForest) iterations(int) int           { return len(m.rounds) - 1 }
func (m *xgbForest) leaves() (total, largest int) { return m.grove.leaves() }
