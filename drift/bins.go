package drift

import (
	"math"
	"math/bits"
)

// binner finds the bin of a value. One of its two forms is in use.
type binner struct {
	edges bool
	wide  bool       // there are more than 14
	tree  [32]uint64 // keys of the edges, one that only NaN reaches, and behind it what nothing reaches: the bin is how many of them a value reaches

	table   []uint8 // by value, where all values are small whole numbers
	values  []float64
	other   uint8
	missing uint8
}

// tableSize is from where on values are searched instead of looked up.
const tableSize = 256

func newBinner(r *Reference) binner {
	b := binner{missing: uint8(r.bins() - 1)}
	if r.Edges != nil {
		b.edges, b.wide = true, len(r.Edges) > 14
		for i := range b.tree {
			b.tree[i] = math.MaxUint64
		}
		for i, e := range r.Edges {
			b.tree[i] = key(e)
		}
		b.tree[len(r.Edges)] = key(math.Inf(1)) + 1
		return b
	}
	b.values, b.other = r.Values, uint8(len(r.Values))
	for _, v := range r.Values {
		if v < 0 || v >= tableSize || v != math.Trunc(v) {
			return b
		}
	}
	b.table = make([]uint8, tableSize)
	for i := range b.table {
		b.table[i] = b.other
	}
	for i, v := range r.Values {
		b.table[int(v)] = uint8(i)
	}
	return b
}

// find is the bin of one value.
func (b *binner) find(x float64) uint8 {
	switch {
	case x != x:
		return b.missing
	case b.edges:
		return uint8(search(&b.tree, key(x)))
	case b.table != nil:
		if i := int(x); uint(i) < tableSize && float64(i) == x {
			return b.table[i]
		}
		return b.other
	}
	for i, v := range b.values {
		if v == x {
			return uint8(i)
		}
	}
	return b.other
}

// key orders as the number does, NaN behind infinity.
func key(x float64) uint64 {
	if x != x {
		return math.MaxUint64 - 1
	}
	b := math.Float64bits(x + 0) // -0 is 0
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}

// search halves the edges. Its steps have no branch: which way they go is a matter of chance, which a processor cannot foresee.
func search(tree *[32]uint64, k uint64) uint64 {
	i := reached(tree[15], k) & 16
	i += reached(tree[(i+7)&31], k) & 8
	i += reached(tree[(i+3)&31], k) & 4
	i += reached(tree[(i+1)&31], k) & 2
	return i + reached(tree[i&31], k)&1
}

// reached is all ones where k is at least edge, else 0.
func reached(edge, k uint64) uint64 {
	_, less := bits.Sub64(k, edge, 0)
	return less - 1
}

// each finds the bins of one column's values. stride is the distance of two values.
func (b *binner) each(column []float64, stride int, bins []uint8) {
	n := 0
	switch {
	case b.wide:
		for i := 0; i < len(column); i += stride {
			bins[n] = uint8(search(&b.tree, key(column[i])))
			n++
		}
	case b.edges: // as search, but for its first step, and in place: a call costs as much as the search
		tree := &b.tree
		for i := 0; i < len(column); i += stride {
			k := key(column[i])
			at := reached(tree[7], k) & 8
			at += reached(tree[(at+3)&15], k) & 4
			at += reached(tree[(at+1)&15], k) & 2
			bins[n] = uint8(at + reached(tree[at&15], k)&1)
			n++
		}
	case b.table != nil:
		table := (*[tableSize]uint8)(b.table)
		for i := 0; i < len(column); i += stride {
			x := column[i]
			k := int(x)
			at := b.other
			if uint(k) < tableSize && float64(k) == x {
				at = table[k]
			} else if x != x {
				at = b.missing
			}
			bins[n] = at
			n++
		}
	default:
		for i := 0; i < len(column); i += stride {
			bins[n] = b.find(column[i])
			n++
		}
	}
}
