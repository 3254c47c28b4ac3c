package forest

// What a grove is made of, in LightGBM's terms. A leaf is numbered as in the forest's values.

// roots: tree i·k+c belongs to output c of k (gbdt_prediction.cpp, PredictRaw).
func (m *lgbForest) roots(outputs int) []root {
	all := make([]root, len(m.trees))
	for i := range m.trees {
		all[i] = root{at: m.trees[i].root, output: int32(i % outputs)}
	}
	return all
}

func (m *lgbForest) split(at int32) split {
	if at < 0 {
		return split{leaf: ^at}
	}
	n := &m.nodes[at]
	s := split{leaf: -1, left: n.left, right: n.right, feature: n.feature, threshold: n.threshold}
	switch {
	case n.kind == categorical:
		s.set = &set{words: m.sets[n.set : n.set+n.words], above: -1, below: 1 << 31, missingRight: true}
	case n.kind == missingNone:
		s.layout = nanIsZero
	case n.kind == missingZero && n.defaultLeft:
		s.layout = zeroLeft
	case n.kind == missingZero:
		s.layout = zeroRight
	case n.defaultLeft:
		s.layout = nanLeft
	}
	return s
}

func (m *lgbForest) leafValue(tree, leaf int32) (float64, bool) {
	return m.values[leaf], m.trees[tree].linear == nil
}

func (m *lgbForest) walk(tree int32, row []float64) float64 {
	t := &m.trees[tree]
	leaf := m.leaf(t.root, row)
	if t.linear == nil {
		return m.values[leaf]
	}
	return m.linearValue(t, leaf, row)
}

func (m *lgbForest) clean(values []float64) {
	for i, x := range values {
		if -zero <= x && x <= zero {
			values[i] = 0
		}
	}
}

func (m *lgbForest) margins(rows, out []float64, n, _, _ int) { m.grove.margins(rows, out, n) }

func (m *lgbForest) kernel(rows int) kernel { return m.grove.kernel }

func (m *lgbForest) with(k kernel) body {
	other := *m
	other.grove = m.grove.with(k)
	return &other
}

func (m *lgbForest) iterations(outputs int) int   { return m.size() / outputs }
func (m *lgbForest) leaves() (total, largest int) { return m.grove.leaves() }
