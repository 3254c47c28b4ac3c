package forest

import (
	"math"
	"unsafe"
)

// The avx512 kernel walks one row through a tree of at most 64 leaves by its heavy paths. All splits are asked at once: a permutation looks up the
// ranks, a comparison makes a bit of each answer. From the root the row follows the chain of each split's larger child, until the first split
// whose answer turns it off to the smaller one, where another chain begins; and so on. A turn leaves at least as many leaves behind as lie ahead, so
// there are at most six, and each is found by one and and one count of zeros.
//
// Leaves are numbered from left to right with the larger child on the left: chain s is that which ends at leaf s, split n that which turns to leaf n+1
// or a chain that ends there. Of the splits of a chain the topmost has the greatest number. The mask of chain s has its splits, and the split by which
// the row came, s-1, which is less than all of them: so the last chain's turn leads to itself.

// chainLeaves is the most leaves of such a tree.
const chainLeaves = 64

// chainColumns is how many ranks such a split may choose from.
const chainColumns = 128

// chains holds the trees of at most 64 leaves in this form, the row's ranks in another.
type chains[T number] struct {
	splits  []uint8  // by tree: 64 columns, then the 64 numbers above whose rank a row goes right
	turned  []uint64 // by tree: a bit for each split whose larger child is the left, to turn its answer over
	masks   []uint64 // by tree: of chain 63 to 0
	values  []T      // by tree: of leaf 63 to 0
	of      []int32  // by tree of the forest: its number here, or -1
	most    int      // turns of any of them, less one
	ladders []rowLadder
}

// rowLadder is a ladder for rankRow512 (row_amd64.s).
type rowLadder struct {
	table     *float64 // 16 pivots, then 256 thresholds
	value     uint32   // offset of the feature in a row, in bytes
	nan, zero uint32   // ranks of NaN and of 0
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
		all = append(all, rowLadder{&table[0], uint32(l.feature) * 8, uint32(l.place(math.NaN())), uint32(l.place(0))})
	}
	return all
}

// add appends the tree that was read, if it is small enough.
func (c *chains[T]) add(g *grower, value func(leaf int32) T) {
	if g.inOrder[0].leaves > chainLeaves {
		c.of = append(c.of, -1)
		return
	}
	c.of = append(c.of, int32(len(c.turned)))
	columns := make([]uint8, 2*chainLeaves)
	numbers := columns[chainLeaves:]
	for i := range numbers {
		numbers[i] = math.MaxUint8
	}
	turned, masks, values := ^uint64(0), make([]uint64, chainLeaves), make([]T, chainLeaves)
	turns := make([]int, len(g.inOrder))
	g.inOrder[0].first = 0
	for i := range g.inOrder {
		b := &g.inOrder[i]
		if b.first > 0 {
			masks[chainLeaves-1-b.first] |= 1 << (b.first - 1)
		}
		if b.leaf >= 0 {
			values[chainLeaves-1-b.first] = value(b.leaf)
			c.most = max(c.most, turns[i]-1)
			continue
		}
		large, small := int32(i)+1, b.rightAt
		swap := g.inOrder[large].leaves < g.inOrder[small].leaves
		if swap {
			large, small = small, large
		}
		g.inOrder[large].first, turns[large] = b.first, turns[i]
		g.inOrder[small].first, turns[small] = b.first+g.inOrder[large].leaves, turns[i]+1
		split := g.inOrder[small].first - 1
		columns[split], numbers[split] = uint8(b.column), uint8(b.number)
		masks[chainLeaves-1-b.first] |= 1 << split
		if swap {
			turned &^= 1 << split
		}
	}
	c.splits, c.turned = append(c.splits, columns...), append(c.turned, turned)
	c.masks, c.values = append(c.masks, masks...), append(c.values, values...)
}

// chainRow adds a run of small trees to the sum of their output.
func (g *grove[T]) chainRow(b *block[T], first int32, n int, sum *T) {
	c := &g.chains
	run := chainRun
	if unsafe.Sizeof(*sum) == 4 {
		run = chainRunf
	}
	run(&b.rowRanks[0], &c.splits[first*2*chainLeaves], &c.turned[first], &c.masks[first*chainLeaves], unsafe.Pointer(&c.values[first*chainLeaves]), n, c.most, unsafe.Pointer(sum))
}
