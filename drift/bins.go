package drift

import "math"

// binner finds the bin of a value. One of its two forms is in use.
type binner struct {
	edges int         // the bin is how many of them are at most the value; 0: there are none
	tree  [32]float64 // the edges, and behind them infinity

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
		b.edges = len(r.Edges)
		for i := range b.tree {
			b.tree[i] = math.Inf(1)
		}
		copy(b.tree[:], r.Edges)
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
	case b.edges > 0:
		return uint8(b.search(x))
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

// search halves the edges, in steps that need no branch.
func (b *binner) search(x float64) int {
	i := 0
	if b.edges > 15 && b.tree[15] <= x {
		i = 16
	}
	if b.tree[i+7] <= x {
		i += 8
	}
	if b.tree[i+3] <= x {
		i += 4
	}
	if b.tree[i+1] <= x {
		i += 2
	}
	if b.tree[i] <= x {
		i++
	}
	return min(i, b.edges) // infinity is at least infinity
}

// count adds the values of one column to the counts of its bins. stride is the distance of two values.
func (b *binner) count(column []float64, stride int, counts []uint32) {
	counts = counts[:int(b.missing)+1]
	switch {
	case b.edges > 0:
		for i := 0; i < len(column); i += stride {
			n := b.search(column[i])
			if x := column[i]; x != x {
				n = int(b.missing)
			}
			counts[n]++
		}
	case b.table != nil:
		for i := 0; i < len(column); i += stride {
			x := column[i]
			k := int(x)
			n := b.other
			if uint(k) < tableSize && float64(k) == x {
				n = b.table[k]
			} else if x != x {
				n = b.missing
			}
			counts[n]++
		}
	default:
		for i := 0; i < len(column); i += stride {
			counts[b.find(column[i])]++
		}
	}
}
