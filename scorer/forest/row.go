package forest

import (
	"cmp"
	"slices"
	"unsafe"
)

// A few rows are walked, since slicing a tree costs as much for one row as for 64: eight trees abreast, on the ranks of the row's values, which are
// bytes. All that a split needs is then four bytes.

// abreast is how many walks go on together: one alone waits at every split for two loads and a compare.
const abreast = 8

// step is a split: which rank to look at (bits 0 to 7), and its number (24 to 31): above it the row goes right. Its left child stands as many places on as
// bits 8 to 23 say, its right child behind that. A leaf is a step onto itself, and its number among the leaves stands in bits 0 to 7.
type step uint32

// stay is the number of a leaf: no rank is above it.
const stay = 255

// steps holds the trees for walks.
type steps struct {
	all    []step
	roots  []int32 // by tree
	depths []int32 // splits on the longest way
	below  []int32 // the same, below the top that chains lead through
	tables []int32 // first of the tree's leaves' values
}

func newSteps(trees int) steps {
	return steps{roots: make([]int32, trees), depths: make([]int32, trees), below: make([]int32, trees), tables: make([]int32, trees)}
}

// add appends the tree that was read, whose top is open: the top level by level, and then, from left to right, what is below each of its ends, so that
// it is near in memory. A copy of each end stands before that: there the row goes on that comes by chains.
func (w *steps) add(tree int, g *grower, table int32) {
	root := int32(len(w.all))
	w.roots[tree], w.tables[tree] = root, table
	next := w.lay(g, 0, root, true)
	for i := range g.inOrder {
		if b := &g.inOrder[i]; !b.open && (i == 0 || g.inOrder[b.parent].open) {
			b.copy = next
			next = w.lay(g, int32(i), next, false)
		}
	}
	w.all = append(w.all, make([]step, next-root)...)
	for i := range g.inOrder {
		b := &g.inOrder[i]
		if b.depth = 0; i > 0 {
			b.depth = g.inOrder[b.parent].depth + 1
		}
		w.depths[tree] = max(w.depths[tree], b.depth)
		for _, at := range []int32{b.place, b.copy} {
			if b.leaf >= 0 {
				w.all[at] = stay<<24 | step(b.first)
			} else {
				w.all[at] = step(b.number)<<24 | step(g.inOrder[i+1].place-at)<<8 | step(b.column)
			}
		}
	}
}

// lay gives places to what stands below a branch, level by level, and says which is the next. The branch has the first place, as its copy where it is
// the end of a top.
func (w *steps) lay(g *grower, from, next int32, top bool) int32 {
	if top {
		g.inOrder[from].place, g.inOrder[from].copy = next, next
	}
	next++
	for queue := append(g.level[:0], from); len(queue) > 0; queue = queue[1:] {
		b := &g.inOrder[queue[0]]
		if b.leaf >= 0 || top && !b.open {
			continue
		}
		left, right := queue[0]+1, b.rightAt
		for _, child := range []int32{left, right} {
			g.inOrder[child].place, g.inOrder[child].copy = next, next
			next++
		}
		queue = append(queue, left, right)
	}
	return next
}

// from moves on from a step.
func (s step) from(at int32, ranks *[256]uint8) int32 {
	var right int32 // a set flag, not a jump
	if ranks[uint8(s)] > uint8(s>>24) {
		right = 1
	}
	return at + int32(uint16(s>>8)) + right
}

// walk moves each of eight places, at first the roots of trees, to the row's leaf.
func (w *steps) walk(at *[abreast]int32, ranks *[256]uint8, depth int32) {
	all := w.all
	a0, a1, a2, a3, a4, a5, a6, a7 := at[0], at[1], at[2], at[3], at[4], at[5], at[6], at[7]
	for range depth {
		a0 = all[a0].from(a0, ranks)
		a1 = all[a1].from(a1, ranks)
		a2 = all[a2].from(a2, ranks)
		a3 = all[a3].from(a3, ranks)
		a4 = all[a4].from(a4, ranks)
		a5 = all[a5].from(a5, ranks)
		a6 = all[a6].from(a6, ranks)
		a7 = all[a7].from(a7, ranks)
	}
	*at = [abreast]int32{a0, a1, a2, a3, a4, a5, a6, a7}
}

// rankRow writes the rank of a clean row on each ladder, and 0 or 1 for each set.
func (q *questions) rankRow(row []float64, ranks *[256]uint8) {
	for i := range q.ladders {
		l := &q.ladders[i]
		ranks[i] = uint8(l.place(row[l.feature]))
	}
	q.rankSets(row, ranks)
}

// rankSets writes those of the sets.
func (q *questions) rankSets(row []float64, ranks *[256]uint8) {
	for i := range q.sets {
		s := &q.sets[i]
		ranks[len(q.ladders)+i] = 0
		if s.right(row[s.feature]) {
			ranks[len(q.ladders)+i] = 1
		}
	}
}

// walkRow adds the trees to the sums of one row, in file order.
func (g *grove[T]) walkRow(b *block[T], row []float64, sums []T) {
	if g.kernel == avx512 && len(g.ladders) > 0 {
		rankRow512(&g.chains.ladders[0], len(g.ladders), &row[0], &b.rowRanks[0], unsafe.Sizeof(T(0)) == 4)
		g.rankSets(row, &b.rowRanks)
	} else {
		g.rankRow(row, &b.rowRanks)
	}
	if len(g.order) > 0 {
		g.walkOrder(b)
	}
	for _, run := range g.rowRuns {
		sum := &sums[run.output]
		switch run.by {
		case byWalk:
			*sum += g.source.walk(run.first, row)
		case byChains:
			g.chainRow(b, int(g.chains.of[run.first]), int(run.n), sum)
		default:
			s := *sum
			for _, value := range b.values[run.first : run.first+run.n] {
				s += g.values[value]
			}
			*sum = s
		}
	}
}

// rowRun is trees that follow each other, for one output, and how one row is walked through them.
type rowRun struct {
	first, n, output int32
	by               by
}

type by uint8

const (
	bySteps by = iota
	byChains
	byWalk // the forest's own
)

// walkOrder finds the leaves of the row in all trees that are walked by steps: of those that have a top, from where the row leaves that.
func (g *grove[T]) walkOrder(b *block[T]) {
	from, depths := g.steps.roots, g.steps.depths
	if g.topped {
		large := &g.chains.large
		chainTops(&b.rowRanks[0], &large.splits[0], &large.masks[0], large.n, large.most, &b.ends[0], &g.steps.all[0])
		from, depths = b.ends, g.steps.below
	}
	for order := g.order; len(order) > 0; {
		n := min(len(order), abreast)
		var at [abreast]int32
		for i, number := range order[:n] {
			if g.topped {
				number = ^g.chains.of[number]
			}
			at[i] = from[number]
		}
		depth := depths[order[n-1]]
		if g.kernel == portable {
			g.steps.walk(&at, &b.rowRanks, depth)
		} else if depth > 0 {
			walkSteps(&g.steps.all[0], &b.rowRanks[0], &at[0], int(depth))
		}
		for i, number := range order[:n] {
			b.values[number] = g.steps.tables[number] + int32(uint8(g.steps.all[at[i]]))
		}
		order = order[n:]
	}
}

// arrange lists what one row is walked through, and the trees that are walked by steps once more, those of like depth together.
func (g *grove[T]) arrange() {
	g.order, g.rowRuns = nil, nil
	g.topped = g.kernel == avx512 && len(g.ladders)+len(g.sets) <= chainColumns
	for i := range g.trees {
		t := &g.trees[i]
		how := bySteps
		switch {
		case t.odd:
			how = byWalk
		case g.topped && g.chains.of[t.number] >= 0:
			how = byChains
		default:
			g.order = append(g.order, t.number)
		}
		if last := len(g.rowRuns) - 1; last >= 0 && how != byWalk && g.rowRuns[last].by == how && g.rowRuns[last].output == t.output {
			g.rowRuns[last].n++
		} else {
			g.rowRuns = append(g.rowRuns, rowRun{first: t.number, n: 1, output: t.output, by: how})
		}
	}
	depths := g.steps.depths
	if g.topped {
		depths = g.steps.below
	}
	slices.SortStableFunc(g.order, func(a, b int32) int { return cmp.Compare(depths[a], depths[b]) })
}

// fewRows is how many rows it takes for another way to cost less, by measurement.
func (k kernel) fewRows() int {
	switch k {
	case portable:
		return 14
	case avx2:
		return 18
	case avx512:
		return 10
	}
	return 0
}

// walkFew scores less than few rows.
func (g *grove[T]) walkFew(b *block[T], rows, out []float64) {
	sums := b.sums[:g.outputs]
	for ; len(out) > 0; rows, out = rows[g.features:], out[g.outputs:] {
		row := rows[:g.features]
		if g.rowsToo {
			copy(b.row, row)
			row = b.row
			g.source.clean(row)
		}
		copy(sums, g.base)
		g.walkRow(b, row, sums)
		for i, sum := range sums {
			out[i] = float64(sum)
		}
	}
}
