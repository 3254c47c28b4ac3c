package forest

import "math"

// compile puts the trees without categories into lockstep form. x < c of float32 is x <= the float32 before c, in float64 too.
func (m *xgbForest) compile(features int) {
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

// numeric says whether each split from at on is numeric and has a condition that something is less than.
func (m *xgbForest) numeric(at int32) bool {
	for stack := []int32{at}; len(stack) > 0; {
		n := &m.nodes[stack[len(stack)-1]]
		if stack = stack[:len(stack)-1]; n.feature < 0 {
			continue
		}
		if n.categorical || math.IsInf(float64(n.condition), -1) {
			return false
		}
		stack = append(stack, n.left, n.left+1)
	}
	return true
}

func (m *xgbForest) split(at int32) split {
	n := &m.nodes[at]
	if n.feature < 0 {
		return split{leaf: at}
	}
	s := split{leaf: -1, threshold: float64(math.Nextafter32(n.condition, float32(math.Inf(-1)))), feature: n.feature, left: n.left, right: n.left + 1}
	if n.defaultLeft {
		s.layout = nanLeft
	}
	return s
}

// fill rounds rows to float32 and lays them out.
func (m *xgbForest) fill(b *block, rows []float64, features int) {
	for i, x := range rows {
		b.clean[i] = float64(float32(x))
	}
	m.lockstep.layOut(b, len(rows)/max(1, features), features)
}

// margins sums in float32, from the base margin, in file order (predictor/cpu_predictor.cc).
func (m *xgbForest) margins(rows, out []float64, n, features, outputs int) {
	b := m.borrow()
	defer m.giveBack(b)
	for i := range out {
		out[i] = float64(m.base[i%outputs])
	}
	for ; n >= lanes; n -= lanes {
		m.marginsBlock(b, rows, out, features, outputs)
		rows, out = rows[lanes*features:], out[lanes*outputs:]
	}
	for i := range n {
		m.marginsRow(b, rows[i*features:(i+1)*features], out[i*outputs:(i+1)*outputs])
	}
}

// marginsBlock adds the trees to a block of rows: tree by tree, all rows at once.
func (m *xgbForest) marginsBlock(b *block, rows, out []float64, features, outputs int) {
	m.fill(b, rows[:lanes*features], features)
	for i := range m.trees {
		t := &m.trees[i]
		if root := m.roots[t.number]; root >= 0 {
			for r, at := range m.walkRows(root, b.cells, m.depths[t.number]) {
				m.add(t, m.leaves[at], &out[r*outputs+int(t.output)])
			}
			continue
		}
		for r := range lanes {
			m.add(t, m.leaf(t.root, b.clean[r*features:(r+1)*features]), &out[r*outputs+int(t.output)])
		}
	}
}

// marginsRow adds the trees to one row: several trees at once.
func (m *xgbForest) marginsRow(b *block, row, out []float64) {
	m.fill(b, row, len(row))
	for first := 0; first < len(m.trees); first += lanes {
		group := m.trees[first:min(first+lanes, len(m.trees))]
		leaves := m.leavesOf(b, len(group), func(i int) int32 { return group[i].number })
		for i := range group {
			leaf := leaves[i]
			if leaf < 0 {
				leaf = m.leaf(group[i].root, b.clean[:len(row)])
			}
			m.add(&group[i], leaf, &out[group[i].output])
		}
	}
}

// add adds a leaf's value to a sum. With dart the product is rounded before it is added: the conversion forbids a fused multiply-add.
func (m *xgbForest) add(t *xgbTree, leaf int32, sum *float64) {
	value := m.nodes[leaf].condition
	if m.weights != nil {
		value = float32(value * m.weights[t.number])
	}
	*sum = float64(float32(*sum) + value)
}
