package drift

import "math"

// binner finds the bin of a value. One of its two forms is in use.
type binner struct {
	edges []float64 // the bin is how many of them are at most the value

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
		b.edges = r.Edges
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
	case b.edges != nil:
		n := uint8(0)
		for _, e := range b.edges {
			if e <= x {
				n++
			}
		}
		return n
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

// count adds the values of one column to the counts of its bins. stride is the distance of two values.
func (b *binner) count(column []float64, stride int, counts []uint32) {
	counts = counts[:int(b.missing)+1]
	switch {
	case b.edges != nil:
		for i := 0; i < len(column); i += stride {
			x := column[i]
			n := 0
			for _, e := range b.edges {
				if e <= x {
					n++
				}
			}
			if x != x {
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
