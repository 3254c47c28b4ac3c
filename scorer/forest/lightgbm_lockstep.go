package forest

import (
	"math"
	"sync"
)

// A row is laid out once for each thing that the model's splits do with missing values, so that a split need not ask: what goes left becomes
// -Inf, what goes right NaN, which is not <= anything. One more cell stands for leaves, whose step always compares 0 with +Inf.
const (
	nanRight  = iota // NaN is missing, and goes right; other values as they are
	nanLeft          // NaN is missing, and goes left
	nanIsZero        // nothing is missing, NaN counts as 0
	zeroRight        // 0 and NaN are missing, and go right
	zeroLeft         // 0 and NaN are missing, and go left
	layouts
)

func layoutOf(n *node) int32 {
	layout := map[kind]int32{missingNone: nanIsZero, missingZero: zeroRight, missingNaN: nanRight}[n.kind]
	if n.defaultLeft && layout != nanIsZero {
		layout++
	}
	return layout
}

// lay gives the cell of a cleaned value in a layout.
func lay(x float64, layout int) float64 {
	missing := x != x
	switch layout {
	case nanIsZero:
		if missing {
			return 0
		}
		return x
	case zeroRight, zeroLeft:
		missing = missing || x == 0
	}
	switch {
	case !missing:
		return x
	case layout == nanLeft || layout == zeroLeft:
		return math.Inf(-1)
	}
	return math.NaN()
}

// compile puts the trees without categories into lockstep form.
func (m *lgbForest) compile(features int) {
	for i := range m.trees {
		root, depth := int32(-1), int32(0)
		if m.numeric(m.trees[i].root) {
			root, depth = m.compileTree(m.trees[i].root, features)
		}
		m.steps.roots = append(m.steps.roots, root)
		m.steps.depths = append(m.steps.depths, depth)
		m.trees[i].number = int32(i)
	}
	m.blocks = &sync.Pool{New: func() any {
		return &block{clean: make([]float64, lanes*features), cells: make([]float64, lanes*(1+layouts*features))}
	}}
}

// numeric says whether no split below at is categorical.
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

// compileTree copies a tree in the order of its levels, so that the children of a step stand side by side.
func (m *lgbForest) compileTree(root int32, features int) (first, depth int32) {
	type visit struct{ from, depth int32 }
	first = int32(len(m.steps.all))
	next := first + 1 // where the next children will stand
	for queue := []visit{{from: root}}; len(queue) > 0; queue = queue[1:] {
		v := queue[0]
		if v.from < 0 {
			m.steps.all = append(m.steps.all, step{threshold: math.Inf(1), right: int32(len(m.steps.all)) + 1})
			m.steps.leaves = append(m.steps.leaves, ^v.from)
			depth = max(depth, v.depth)
			continue
		}
		n := &m.nodes[v.from]
		layout := layoutOf(n)
		m.layouts[layout] = true
		m.steps.all = append(m.steps.all, step{threshold: n.threshold, cell: lanes * (1 + layout*int32(features) + n.feature), right: next + 1})
		m.steps.leaves = append(m.steps.leaves, 0)
		next += 2
		queue = append(queue, visit{n.left, v.depth + 1}, visit{n.right, v.depth + 1})
	}
	return first, depth
}

// block holds the rows of walks in lockstep.
type block struct {
	clean []float64 // row by row
	cells []float64 // laid out, cell by cell
}

// fill cleans rows and lays them out.
func (m *lgbForest) fill(b *block, rows []float64, features int) {
	for i, x := range rows {
		if -zero <= x && x <= zero {
			x = 0
		}
		b.clean[i] = x
	}
	for layout, used := range m.layouts {
		if !used {
			continue
		}
		cells := b.cells[lanes*(1+layout*features):]
		for r := range len(rows) / features {
			for f, x := range b.clean[r*features : (r+1)*features] {
				cells[f*lanes+r] = lay(x, layout)
			}
		}
	}
}

// marginsBlock scores a block of rows: tree by tree, all rows at once. Sums are in file order.
func (m *lgbForest) marginsBlock(b *block, rows, out []float64, features, outputs int) {
	m.fill(b, rows[:lanes*features], features)
	clear(out[:lanes*outputs])
	c := 0
	for i := range m.trees {
		t := &m.trees[i]
		root := m.steps.roots[t.number]
		switch {
		case root < 0:
			for r := range lanes {
				row := b.clean[r*features : (r+1)*features]
				out[r*outputs+c] += m.value(t, m.leaf(t.root, row), row)
			}
		case t.linear != nil:
			for r, at := range m.steps.walkRows(root, b.cells, m.steps.depths[t.number]) {
				out[r*outputs+c] += m.linearValue(t, m.steps.leaves[at], b.clean[r*features:(r+1)*features])
			}
		default:
			for r, at := range m.steps.walkRows(root, b.cells, m.steps.depths[t.number]) {
				out[r*outputs+c] += m.leaves[m.steps.leaves[at]]
			}
		}
		if c++; c == outputs {
			c = 0
		}
	}
}

// value of a leaf for a cleaned row.
func (m *lgbForest) value(t *tree, leaf int32, row []float64) float64 {
	if t.linear == nil {
		return m.leaves[leaf]
	}
	return m.linearValue(t, leaf, row)
}

// marginsRow scores one row: several trees at once.
func (m *lgbForest) marginsRow(b *block, row, out []float64) {
	m.fill(b, row, len(row))
	row = b.clean[:len(row)]
	clear(out)
	c := 0
	for first := 0; first < len(m.trees); first += lanes {
		group := m.trees[first:min(first+lanes, len(m.trees))]
		var roots, ends [lanes]int32
		depth := int32(0)
		for i := range group {
			roots[i] = max(0, m.steps.roots[group[i].number]) // a tree without lockstep form walks idly along
			depth = max(depth, m.steps.depths[group[i].number])
		}
		if depth > 0 {
			ends = m.steps.walkTrees(roots, b.cells, depth)
		} else {
			ends = roots // constants
		}
		for i := range group {
			t := &group[i]
			leaf := int32(0)
			if m.steps.roots[t.number] >= 0 {
				leaf = m.steps.leaves[ends[i]]
			} else {
				leaf = m.leaf(t.root, row)
			}
			out[c] += m.value(t, leaf, row)
			if c++; c == len(out) {
				c = 0
			}
		}
	}
}
