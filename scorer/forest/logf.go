package forest

import (
	"math"
	"math/big"
)

// logf is glibc 2.36's logf on x86-64 with FMA, on every machine; it turns the base score of an XGBoost model into the margin that every sum
// begins with, so one wrong bit here is one in every score. The method is Szabolcs Nagy's (ARM optimized routines, 2017,
// sysdeps/ieee754/flt-32/e_logf.c): with x = 2^k·z and c near z, in float64, log(x) = k·ln 2 + log(c) + polynomial(z/c - 1).
func logf(x float32) float32 {
	const (
		first  = 0x3f330000 // bits of the least z, about 0.7
		widest = 23 - 4     // bits of z within one of the 16 intervals
		ln2    = 0x1.62e42fefa39efp-1
		c2     = -0x1.ffffef20a4123p-2
		c3     = 0x1.5575b0be00b6ap-2
		c4     = -0x1.00ea348b88334p-2
	)
	bits := math.Float32bits(x)
	switch {
	case x != x || x < 0:
		return float32(math.NaN())
	case x == 0:
		return float32(math.Inf(-1))
	case math.IsInf(float64(x), 1):
		return x
	case bits < 0x00800000: // subnormal
		bits = math.Float32bits(x*0x1p23) - 23<<23
	}
	above := bits - first
	k := int32(above) >> 23
	z := float64(math.Float32frombits(bits - above&0xff800000))
	entry := &logfTable[above>>widest%16]
	r := math.FMA(z, entry.inverse, -1)
	r2 := float64(r * r)
	base := math.FMA(float64(k), ln2, entry.log)
	y := math.FMA(c4, r2, math.FMA(c3, r, c2))
	return float32(math.FMA(y, r2, float64(base+r)))
}

// logfTable holds 1/c and log(c) for the middle c of each interval of z.
var logfTable = makeLogfTable()

type logfEntry struct{ inverse, log float64 }

// logfNudges move 1/c from that of an interval's middle, in 2^26 units of the last place. glibc's own c were found by a search, and lie beside the
// middle; for most intervals the middle rounds to the same float32, for these the numbers were fitted to glibc's results. So the table gives
// glibc's bits for each positive float32, all 2,139,095,039 of them compared.
var logfNudges = [16]int64{6: 16, 10: 152707, 12: 6, 13: 11, 15: 5}

func makeLogfTable() (table [16]logfEntry) {
	for i := range table {
		low := math.Float32frombits(uint32(0x3f330000 + i<<19))
		high := math.Float32frombits(uint32(0x3f330000 + (i+1)<<19))
		if low < 1 && 1 < high {
			table[i] = logfEntry{1, 0} // so that arguments near 1 keep their precision
			continue
		}
		middle := (float64(low) + float64(high)) / 2
		inverse := math.Float64frombits(math.Float64bits(1/middle) + uint64(logfNudges[i]<<26))
		table[i] = logfEntry{inverse, -naturalLog(inverse)}
	}
	return table
}

// naturalLog rounds log(x) once, for x near 1: 2·artanh((x-1)/(x+1)) as a series, in 200 bits. math.Log differs between machines.
func naturalLog(x float64) float64 {
	const precision = 200
	number := func(v float64) *big.Float { return big.NewFloat(v).SetPrec(precision) }
	s := number(0).Quo(number(x-1), number(x+1))
	square := number(0).Mul(s, s)
	sum, power := number(0), number(0).Set(s)
	for i := 1; i < 100; i += 2 {
		sum.Add(sum, number(0).Quo(power, number(float64(i))))
		power.Mul(power, square)
	}
	result, _ := sum.Mul(sum, number(2)).Float64()
	return result
}
