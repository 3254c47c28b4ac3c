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
// bits 8 to 23 say, its right child behind that. A leaf is a step onto itself.
type step uint32

// stay is the number of a leaf: no rank is above it.
const stay = 255

// steps holds the trees for walks.
type steps[T number] struct {
	all    []step
	values []T     // by step
	roots  []int32 // by tree
	depths []int32 // splits on the longest way
}

// add appends the tree that was read.
func (w *steps[T]) add(tree int, g *grower, value func(leaf int32) T) {
	w.roots[tree] = int32(len(w.all))
	next := 1
	depth, last := int32(-1), 1 // of the level that ends
	for i, queue := 0, []int32{0}; i < len(queue); i++ {
		if i+1 == last {
			depth, last = depth+1, -1
		}
		b := &g.inOrder[queue[i]]
		if b.leaf >= 0 {
			w.all, w.values = append(w.all, stay<<24), append(w.values, value(b.leaf))
		} else {
			w.all, w.values = append(w.all, step(b.number)<<24|step(next-i)<<8|step(b.column)), append(w.values, 0)
			queue = append(queue, queue[i]+1, b.rightAt)
			next += 2
		}
		if last < 0 {
			last = len(queue)
		}
	}
	w.depths[tree] = depth
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
func (w *steps[T]) walk(at *[abreast]int32, ranks *[256]uint8, depth int32) {
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
	for order := g.order; len(order) > 0; {
		n := min(len(order), abreast)
		var at [abreast]int32
		for i, number := range order[:n] {
			at[i] = g.steps.roots[number]
		}
		depth := g.steps.depths[order[n-1]]
		if g.kernel == portable {
			g.steps.walk(&at, &b.rowRanks, depth)
		} else if depth > 0 {
			walkSteps(&g.steps.all[0], &b.rowRanks[0], &at[0], int(depth))
		}
		for i, number := range order[:n] {
			b.places[number] = at[i]
		}
		order = order[n:]
	}
	for i := 0; i < len(g.trees); {
		t := &g.trees[i]
		switch {
		case t.odd:
			sums[t.output] += g.source.walk(t.number, row)
			i++
		case t.chained > 0:
			n := min(int(t.chained), len(g.trees)-i)
			g.chainRow(b, g.chains.of[t.number], n, &sums[t.output])
			i += n
		default:
			sums[t.output] += g.steps.values[b.places[t.number]]
			i++
		}
	}
}

// arrange lists the trees that are walked by steps, those of like depth together, and counts runs that are walked by chains.
func (g *grove[T]) arrange() {
	g.order = nil
	columns := len(g.ladders) + len(g.sets)
	for i := len(g.trees) - 1; i >= 0; i-- {
		t := &g.trees[i]
		if t.odd {
			continue
		}
		if g.kernel != avx512 || columns > chainColumns || g.chains.of[t.number] < 0 {
			g.order = append(g.order, t.number)
			continue
		}
		t.chained = 1
		if i+1 < len(g.trees) && g.trees[i+1].output == t.output {
			t.chained += g.trees[i+1].chained
		}
	}
	slices.SortStableFunc(g.order, func(a, b int32) int { return cmp.Compare(g.steps.depths[a], g.steps.depths[b]) })
}

// fewRows is how many rows it takes to slice a tree instead.
const fewRows = 8

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
