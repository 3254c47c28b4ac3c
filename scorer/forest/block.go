package forest

import "sync/atomic"

// block is the memory of one call.
type block[T number] struct {
	rows    []float64 // clean
	answers []uint64  // slot by slot
	at      []uint64  // T(c) of a tree
	sums    []T       // output by output, row by row
	bits    []uint64  // of the leaves' numbers of a run of trees
	encoding
	row      []float64 // one
	rowRanks [256]uint8
	labelOps [labelTrees]*labelOp
	numbers  [labelTrees * wordRows]uint8 // of leaves
	values   []int32                      // of the row's leaf in each tree, among the grove's
	ends     []int32                      // where it leaves the top of each large tree
	leaf     [wordRows]uint8
}

// keptBlocks bounds the memory that waits for the next call: as many calls may go on at once without allocating.
const keptBlocks = 16

// spare is the slot that a filler looks at where there is no other.
const spare = 1

// blocks waits for the next call.
type blocks[T number] struct {
	last   atomic.Pointer[block[T]] // faster than a channel, where one call follows the other
	others chan *block[T]
}

func (g *grove[T]) borrow() *block[T] {
	if b := g.free.last.Swap(nil); b != nil {
		return b
	}
	select {
	case b := <-g.free.others:
		return b
	default:
	}
	words := g.kernel.words()
	b := &block[T]{
		answers: make([]uint64, (g.slots+spare)*words),
		at:      make([]uint64, 2*maxLeaves*words),
		bits:    make([]uint64, 8*words*runTrees),
		sums:    make([]T, wordRows*words*g.outputs),
		row:     make([]float64, g.features),
		values:  make([]int32, len(g.roots)),
		ends:    make([]int32, g.chains.large.n),
	}
	if g.rowsToo {
		b.rows = make([]float64, wordRows*words*g.features)
	}
	if g.kernel == avx512 {
		b.encoding = newEncoding(g.features, len(g.ladders), len(g.sets))
	}
	for i := range g.kernel.words() {
		b.at[i] = ^uint64(0)
	}
	return b
}

func (g *grove[T]) giveBack(b *block[T]) {
	if g.free.last.CompareAndSwap(nil, b) {
		return
	}
	select {
	case g.free.others <- b:
	default:
	}
}

// begin puts the base into all sums.
func (g *grove[T]) begin(b *block[T]) {
	rows := len(b.sums) / g.outputs
	for i := range b.sums {
		b.sums[i] = g.base[i/rows]
	}
}
