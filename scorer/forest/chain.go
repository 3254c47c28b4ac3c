package forest

import (
	"math"
	"unsafe"
)

// The avx512 kernel walks one row through the top of a tree by its heavy paths. All splits are asked at once: a permutation looks up the ranks, a
// comparison makes a bit of each answer. From the root the row follows the chain of each split's larger child, until the first split whose answer
// turns it off to the smaller one, where another chain begins; and so on. A turn leaves at least as many leaves behind as lie ahead, so of 64 there
// are at most six, and each is found by one and and one count of zeros.
//
// Ends are numbered from left to right with the larger child on the left: chain s is that which ends at end s, split n that which turns to end n+1 or
// a chain that ends there. Of the splits of a chain the topmost has the greatest number. The mask of chain s has its splits, and the split by which
// the row came, s-1, which is less than all of them: so the last chain's turn leads to itself.

// chainEnds is the most ends of the top of a tree. They are its leaves, or places from which the row goes on by steps.
const chainEnds = 64

// chainColumns is how many ranks a split may choose from. Those of a row are followed by the same turned over, for splits whose answers are.
const chainColumns = 64

// chains holds trees in this form.
type chains[T number] struct {
	small, large tops    // trees of at most 64 leaves, whose ends are values; and others, whose ends are steps
	of           []int32 // by tree of the forest: its number among the small, or ^number among the large
	ladders      []rowLadder
}

// tops holds the tops of trees: what chainRun reads.
type tops struct {
	splits []uint8  // by tree: 64 columns, then the 64 numbers above whose rank the answer is yes
	masks  []uint64 // by tree: of chain 63 to 0, then what stands at end 63 to 0
	most   int      // turns of any of them
	n      int
}

// rowLadder is a ladder for rankRow512 (row_amd64.s).
type rowLadder struct {
	table     *float64 // 16 pivots, then 256 thresholds
	value     uint32   // offset of the feature in a row, in bytes
	nan, zero uint32   // ranks of NaN and of 0
	many      uint32   // 1 if there are more than 16 thresholds, else 0
}

func (q *questions) newRowLadders() (all []rowLadder) {
	for i := range q.ladders {
		l := &q.ladders[i]
		table := make([]float64, 16+256)
		thresholds := table[16:]
		for j := range thresholds {
			thresholds[j] = math.Inf(1)
		}
		copy(thresholds, l.thresholds)
		for j := range 16 {
			table[j] = thresholds[16*j+15]
		}
		many := uint32(0)
		if len(l.thresholds) > 16 {
			many = 1
		}
		all = append(all, rowLadder{&table[0], uint32(l.feature) * 8, uint32(l.place(math.NaN())), uint32(l.place(0)), many})
	}
	return all
}

// add appends the tree that was read, whose top is open and whose steps are there already. value gives a leaf's.
func (c *chains[T]) add(g *grower, value func(leaf int32) T) {
	size := int(unsafe.Sizeof(T(0)))
	if g.inOrder[0].leaves <= chainEnds {
		c.of = append(c.of, int32(c.small.n))
		c.small.add(g, size, func(b *branch, to unsafe.Pointer) { *(*T)(to) = value(b.leaf) })
		return
	}
	c.of = append(c.of, ^int32(c.large.n))
	c.large.add(g, 4, func(b *branch, to unsafe.Pointer) { *(*int32)(to) = b.copy })
}

// add appends the top of a tree; end writes what stands at an end, of size bytes.
func (t *tops) add(g *grower, size int, end func(b *branch, to unsafe.Pointer)) {
	splits := make([]uint8, 2*chainEnds)
	numbers := splits[chainEnds:]
	masks := make([]uint64, chainEnds+chainEnds*size/8)
	g.inOrder[0].first, g.inOrder[0].turns = 0, 0
	for i := range g.inOrder {
		b := &g.inOrder[i]
		if i > 0 && !g.inOrder[b.parent].open {
			continue // below an end
		}
		if b.first > 0 {
			masks[chainEnds-1-b.first] |= 1 << (b.first - 1)
		}
		if !b.open {
			end(b, unsafe.Add(unsafe.Pointer(&masks[chainEnds]), (chainEnds-1-int(b.first))*size))
			t.most = max(t.most, int(b.turns))
			continue
		}
		large, small := &g.inOrder[i+1], &g.inOrder[b.rightAt]
		column, number := uint8(b.column)+chainColumns, 254-uint8(b.number) // "not above it", of the ranks turned over
		if large.ends < small.ends {
			large, small = small, large
			column, number = uint8(b.column), uint8(b.number)
		}
		large.first, large.turns = b.first, b.turns
		small.first, small.turns = b.first+large.ends, b.turns+1
		split := small.first - 1
		splits[split], numbers[split] = column, number
		masks[chainEnds-1-b.first] |= 1 << split
	}
	t.n++
	t.splits, t.masks = append(t.splits, splits...), append(t.masks, masks...)
}

// openTop chooses the splits of the top of the tree that was read, the deepest first, so that few steps are left below,
// and counts the ends below each.
func (g *grower) openTop() {
	frontier := append(g.level[:0], 0)
	for i := range g.inOrder {
		g.inOrder[i].open = false
	}
	for ends := 1; ends < chainEnds; ends++ {
		at := -1
		for i, f := range frontier {
			if b := &g.inOrder[f]; b.leaf < 0 && (at < 0 || b.height > g.inOrder[frontier[at]].height) {
				at = i
			}
		}
		if at < 0 {
			break
		}
		b := &g.inOrder[frontier[at]]
		b.open = true
		left := frontier[at] + 1
		frontier[at] = left
		frontier = append(frontier, b.rightAt)
	}
	g.level = frontier
	for i := len(g.inOrder) - 1; i >= 0; i-- {
		b := &g.inOrder[i]
		if b.ends = 1; b.open {
			b.ends = g.inOrder[i+1].ends + g.inOrder[b.rightAt].ends
		}
	}
}

// depthBelow is the most splits of the tree that was read between an end of its top and a leaf.
func (g *grower) depthBelow() (deepest int32) {
	for i := range g.inOrder {
		b := &g.inOrder[i]
		if b.depth = 0; i > 0 && !g.inOrder[b.parent].open {
			b.depth = g.inOrder[b.parent].depth + 1
		}
		deepest = max(deepest, b.depth)
	}
	return deepest
}

// chainRow adds a run of small trees to the sum of their output.
func (g *grove[T]) chainRow(b *block[T], first, n int, sum *T) {
	c := &g.chains.small
	if g.single() {
		chainRunf(&b.rowRanks[0], &c.splits[first*2*chainEnds], &c.masks[first*(chainEnds+chainEnds/2)], n, c.most, unsafe.Pointer(sum))
	} else {
		chainRun(&b.rowRanks[0], &c.splits[first*2*chainEnds], &c.masks[first*2*chainEnds], n, c.most, unsafe.Pointer(sum))
	}
}
