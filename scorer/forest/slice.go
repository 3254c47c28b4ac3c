package forest

import "encoding/binary"

// A tree is evaluated for 64 rows of a word at once, without walking. Its leaves are numbered from left to right, and T(c) says of each row whether
// it ends at leaf c or right of it. T(0) is true, T(number of leaves) is false, and a split whose leaves are [a, b), those of its right child
// from c on, gives
//
//	T(c) = T(b) or T(a) and the split's answer
//
// since a row that reaches the split is right of a, and not right of b. One or and one and decide 64 rows at a split. The numbers of the rows'
// leaves, bit by bit, are exclusive ors of these: bit j of a row's leaf is set if an odd number of T(c) with c a multiple of 2^j, c > 0, is.
//
// The idea to keep a set of rows for each split, not a set of leaves for each row, turns QuickScorer (Lucchese et al., 2015) by a quarter.

// op is one split: T(to) = T(right) or T(left) and answer. The places of T and of the answer are offsets in words: left stands in bits 0 to 10, right in 11
// to 21, to in 22 to 32, answer in 33 to 63. One load and four shifts are faster than four loads.
type op uint64

const (
	opRight  = 11
	opTo     = 22
	opAnswer = 33
	opPlace  = 1<<11 - 1
)

func newOp(left, right, to, answer, words int) op {
	return op(left*words) | op(right*words)<<opRight | op(to*words)<<opTo | op(answer*words)<<opAnswer
}

// maxLeaves is the most leaves of a sliced tree: a leaf's number is a byte.
const maxLeaves = 256

// never is the place of T(number of leaves), which no row reaches.
const never = maxLeaves

// sliced is a tree in this form.
type sliced struct {
	ops    []op // a parent before its children; fillers after them
	leaves int32
	slots  int32    // leaves, rounded up to one of sizes: the fillers make T of the rest false
	table  int32    // first of its leaves' values
	tables int      // of the same, byte by byte
	labels *labelOp // its splits from left to right
	output int32
	number int32 // in the file, also where the forest is a part of it
	odd    bool  // has no such form, or leaves without a value of their own: the forest's own walk gives its value
}

// sizes are the numbers of leaves that trees are filled up to.
var sizes = []int32{32, 64, 128, 256}

// grower makes sliced trees. Its slices are kept from tree to tree.
type grower struct {
	of      func(int32) split // a node or leaf of the forest
	inOrder []branch
	stack   []pending
	level   []int32
}

// branch is a split or leaf of a tree in depth-first order: a split's left child stands behind it.
type branch struct {
	split
	parent  int32
	rightAt int32 // where its right child stands
	leaves  int32 // below it
	height  int32 // splits on the longest way to one
	first   int32 // the first of them
	slot    int32 // of its answers
	column  int32 // of its rank, and the rank above which rows go right
	number  int32
	place   int32 // among the steps
	copy    int32 // of an end of the top, else the same
	open    bool  // in the top of the tree
	ends    int32 // of the top, below it
	turns   int32
	depth   int32 // below the top
}

// pending is a branch that is still to be read.
type pending struct {
	at, parent int32
	isRight    bool // child of its parent
}

// read lists the splits and leaves below root, and says whether there are at most maxLeaves of the latter.
func (g *grower) read(root int32) bool {
	g.inOrder, g.stack = g.inOrder[:0], append(g.stack[:0], pending{at: root, parent: -1})
	for len(g.stack) > 0 {
		next := g.stack[len(g.stack)-1]
		g.stack = g.stack[:len(g.stack)-1]
		here := int32(len(g.inOrder))
		if here == 2*maxLeaves {
			return false
		}
		g.inOrder = append(g.inOrder, branch{split: g.of(next.at), parent: next.parent})
		if next.isRight {
			g.inOrder[next.parent].rightAt = here
		}
		if b := &g.inOrder[here]; b.leaf < 0 {
			g.stack = append(g.stack, pending{b.split.right, here, true}, pending{b.split.left, here, false})
		}
	}
	for i := len(g.inOrder) - 1; i >= 0; i-- {
		b := &g.inOrder[i]
		if b.leaves = 1; b.leaf < 0 {
			left, right := &g.inOrder[i+1], &g.inOrder[b.rightAt]
			b.leaves, b.height = left.leaves+right.leaves, 1+max(left.height, right.height)
		}
	}
	return g.inOrder[0].leaves <= maxLeaves
}

// grow appends the tree that was read to ops, level by level, so that a split seldom waits for the one before it, and then fillers. leaf is called
// with each leaf, from left to right.
func (g *grower) grow(ops []op, words int, leaf func(int32)) []op {
	leaves := g.inOrder[0].leaves
	for i := range g.inOrder {
		b := &g.inOrder[i]
		if b.leaf >= 0 {
			leaf(b.leaf)
			continue
		}
		left, right := &g.inOrder[i+1], &g.inOrder[b.rightAt]
		left.first, right.first = b.first, b.first+left.leaves
	}
	for level := append(g.level[:0], 0); len(level) > 0; level = level[1:] {
		at := level[0]
		b := &g.inOrder[at]
		if b.leaf >= 0 {
			continue
		}
		end := b.first + b.leaves
		if end == leaves {
			end = never
		}
		ops = append(ops, newOp(int(b.first), int(end), int(g.inOrder[b.rightAt].first), int(b.slot), words))
		level = append(level, at+1, b.rightAt)
	}
	for filler := leaves; filler < roundUp(leaves); filler++ {
		ops = append(ops, newOp(never, never, int(filler), 0, words))
	}
	return ops
}

// roundUp is the least of sizes that is not below n.
func roundUp(n int32) int32 {
	for _, size := range sizes {
		if n <= size {
			return size
		}
	}
	return maxLeaves
}

// slice evaluates a tree for the rows of one word, and writes the numbers of their leaves, bit by bit. T(0) and T(never) are set by the caller.
func (t *sliced) slice(answers []uint64, at *[2 * maxLeaves]uint64, bits *[8]uint64) {
	for _, o := range t.ops[:t.leaves-1] {
		at[o>>opTo%(2*maxLeaves)] = at[o>>opRight%(2*maxLeaves)] | at[o%(2*maxLeaves)]&answers[o>>opAnswer]
	}
	*bits = [8]uint64{}
	odd := uint64(0) // of the multiples of the last power
	for j := 7; j >= 0; j-- {
		for c := int32(1) << j; c < t.leaves; c += 2 << j {
			odd ^= at[c]
		}
		bits[j] = odd
	}
}

// numbers turns eight words, bit j of the number of each row, into a byte for each row.
func numbers(bits *[8]uint64, out *[wordRows]uint8) {
	// As matrices of 8 × 8 bytes: first bytes, then the bits of each eight bytes, change places.
	for i := range 8 {
		var x uint64
		for j := range 8 {
			x |= bits[j] >> (8 * i) & 0xff << (8 * j)
		}
		t := (x ^ x>>7) & 0x00aa00aa00aa00aa
		x ^= t ^ t<<7
		t = (x ^ x>>14) & 0x0000cccc0000cccc
		x ^= t ^ t<<14
		t = (x ^ x>>28) & 0x00000000f0f0f0f0
		x ^= t ^ t<<28
		binary.LittleEndian.PutUint64(out[8*i:], x)
	}
}
