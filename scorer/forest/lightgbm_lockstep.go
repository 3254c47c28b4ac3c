package forest

// compile puts the trees without categories into lockstep form.
func (m *lgbForest) compile(features int) {
	for i := range m.trees {
		m.trees[i].number = int32(i)
		if m.numeric(m.trees[i].root) {
			m.lockstep.addTree(m.trees[i].root, features, m.split)
		} else {
			m.lockstep.skipTree()
		}
	}
	m.lockstep.ready(features)
}

// numeric says whether no split from at on is categorical.
func (m *lgbForest) numeric(at int32) bool {
	for stack := []int32{at}; len(stack) > 0; {
		at := stack[len(stack)-1]
		if stack = stack[:len(stack)-1]; at < 0 {
			continue
		}
		if m.nodes[at].kind == categorical {
			return false
		}
		stack = append(stack, m.nodes[at].left, m.nodes[at].right)
	}
	return true
}

func (m *lgbForest) split(at int32) split {
	if at < 0 {
		return split{leaf: ^at}
	}
	n := &m.nodes[at]
	s := split{leaf: -1, threshold: n.threshold, feature: n.feature, left: n.left, right: n.right}
	switch {
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

// fill cleans rows and lays them out.
func (m *lgbForest) fill(b *block, rows []float64, features int) {
	for i, x := range rows {
		if -zero <= x && x <= zero {
			x = 0
		}
		b.clean[i] = x
	}
	m.lockstep.layOut(b, len(rows)/features, features)
}

func (m *lgbForest) margins(rows, out []float64, n, features, outputs int) {
	b := m.borrow()
	defer m.giveBack(b)
	for ; n >= lanes; n -= lanes {
		m.marginsBlock(b, rows, out, features, outputs)
		rows, out = rows[lanes*features:], out[lanes*outputs:]
	}
	for i := range n {
		m.marginsRow(b, rows[i*features:(i+1)*features], out[i*outputs:(i+1)*outputs])
	}
}

// marginsBlock scores a block of rows: tree by tree, all rows at once. Sums are in file order; tree i·k+c belongs to output c of k
// (gbdt_prediction.cpp, PredictRaw).
func (m *lgbForest) marginsBlock(b *block, rows, out []float64, features, outputs int) {
	m.fill(b, rows[:lanes*features], features)
	clear(out[:lanes*outputs])
	c := 0
	for i := range m.trees {
		t := &m.trees[i]
		root := m.roots[t.number]
		switch {
		case root < 0 || t.linear != nil:
			for r := range lanes {
				row := b.clean[r*features : (r+1)*features]
				out[r*outputs+c] += m.value(t, m.leaf(t.root, row), row)
			}
		default:
			for r, at := range m.walkRows(root, b.cells, m.depths[t.number]) {
				out[r*outputs+c] += m.values[m.lockstep.leaves[at]]
			}
		}
		if c++; c == outputs {
			c = 0
		}
	}
}

// marginsRow scores one row: several trees at once.
func (m *lgbForest) marginsRow(b *block, row, out []float64) {
	m.fill(b, row, len(row))
	row = b.clean[:len(row)]
	clear(out)
	c := 0
	for first := 0; first < len(m.trees); first += lanes {
		group := m.trees[first:min(first+lanes, len(m.trees))]
		leaves := m.leavesOf(b, len(group), func(i int) int32 { return group[i].number })
		for i := range group {
			leaf := leaves[i]
			if leaf < 0 {
				leaf = m.leaf(group[i].root, row)
			}
			out[c] += m.value(&group[i], leaf, row)
			if c++; c == len(out) {
				c = 0
			}
		}
	}
}

// value of a leaf for a cleaned row.
func (m *lgbForest) value(t *tree, leaf int32, row []float64) float64 {
	if t.linear == nil {
		return m.values[leaf]
	}
	return m.linearValue(t, leaf, row)
}
