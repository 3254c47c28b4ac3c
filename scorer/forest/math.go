package forest

import (
	"math"
	"math/big"
)

// exp and log1p give the bits of glibc 2.36 on x86-64 with FMA, on every machine: predictions are promised to the bit, and math.Exp
// differs from the C library in some percent of arguments and between architectures.

// The method of exp is Szabolcs Nagy's (ARM optimized routines, 2018, sysdeps/ieee754/dbl-64/e_exp.c): x = k/128·ln 2 + r, and
// exp(x) = 2^(k/128)·(1 + tail + polynomial(r)).
const (
	expSteps  = 128
	expShift  = 0x1.8p52                       // adding it rounds to an integer
	expPerLn2 = 0x1.71547652b82fep0 * expSteps // steps in one unit of x
	ln2High   = -0x1.62e42fefa0000p-8          // -ln 2 / 128, in two parts
	ln2Low    = -0x1.cf79abc9e3b39p-47
	expC2     = 0x1.ffffffffffdbdp-2
	expC3     = 0x1.555555555543cp-3
	expC4     = 0x1.55555cf172b91p-5
	expC5     = 0x1.1111167a4d017p-7
)

// expTable holds 2^(i/128) as high·(1 + tail).
var expTable = makeExpTable()

type expEntry struct {
	tail float64
	bits uint64 // of high, less i·2^45, so that adding the whole exponent is one addition
}

// makeExpTable computes the table by repeated square roots, in 200 bits.
func makeExpTable() (table [expSteps]expEntry) {
	const precision = 200
	step := big.NewFloat(2).SetPrec(precision)
	for range 7 { // 2^(1/128)
		step.Sqrt(step)
	}
	power := big.NewFloat(1).SetPrec(precision)
	for i := range table {
		high, _ := power.Float64()
		rest := new(big.Float).SetPrec(precision).Quo(power, big.NewFloat(high))
		tail, _ := rest.Sub(rest, big.NewFloat(1)).Float64()
		table[i] = expEntry{tail, math.Float64bits(high) - uint64(i)<<(52-7)}
		power.Mul(power, step)
	}
	return table
}

func exp(x float64) float64 {
	special := false
	switch ax := math.Abs(x); {
	case x != x:
		return x
	case ax < 0x1p-54:
		return 1 + x
	case ax >= 1024:
		if x < 0 {
			return 0
		}
		return math.Inf(1)
	case ax >= 512:
		special = true // the result may be beyond the normal numbers
	}
	shifted := math.FMA(expPerLn2, x, expShift)
	k := math.Float64bits(shifted)
	steps := shifted - expShift
	r := math.FMA(steps, ln2Low, math.FMA(steps, ln2High, x))
	entry := &expTable[k%expSteps]
	bits := entry.bits + k<<(52-7)
	r2 := r * r
	p := math.FMA(float64(r2*r2), math.FMA(r, expC5, expC4), math.FMA(r2, math.FMA(r, expC3, expC2), entry.tail+r))
	if special {
		return expEdge(p, bits, k)
	}
	scale := math.Float64frombits(bits)
	return math.FMA(scale, p, scale)
}

// expEdge is the end of exp where the scale alone may overflow or the result be subnormal (e_exp.c, specialcase).
func expEdge(p float64, bits, k uint64) float64 {
	if k&0x80000000 == 0 { // a large result
		scale := math.Float64frombits(bits - 1009<<52)
		return 0x1p1009 * math.FMA(scale, p, scale)
	}
	scale := math.Float64frombits(bits + 1022<<52)
	more := float64(scale * p) // the C compiler does not fuse a product that two blocks use
	y := scale + more
	if y < 1 { // subnormal: round once, at the right place
		low := scale - y + more
		high := 1 + y
		low = 1 - high + y + low
		if y = high + low - 1; y == 0 {
			y = 0 // not -0
		}
	}
	return 0x1p-1022 * y
}

// log1p is fdlibm's (sysdeps/ieee754/dbl-64/s_log1p.c), with the polynomial in glibc's order; x is not negative here, as exp is its only
// source. Just one multiply-add is fused: so it gave the library's bits for each of 2,000,000 arguments.
func log1p(x float64) float64 {
	const (
		ln2Hi = 6.93147180369123816490e-01
		ln2Lo = 1.90821492927058770002e-10
		lp1   = 6.666666666666735130e-01
		lp2   = 3.999999999940941908e-01
		lp3   = 2.857142874366239149e-01
		lp4   = 2.222219843214978396e-01
		lp5   = 1.818357216161805012e-01
		lp6   = 1.531383769920937332e-01
		lp7   = 1.479819860511658591e-01
	)
	switch {
	case x != x || math.IsInf(x, 1):
		return x
	case x < 0x1p-54:
		return x
	case x < 0x1p-29:
		return x - float64(float64(x*x)*0.5)
	}
	k, f, c := 0, x, 0.0
	high := uint32(1)
	if math.Float64bits(x)>>32 >= 0x3FDA827A { // x ≥ √2 - 1: reduce to 1 + f in [√2/2, √2)
		u := x
		if x < 0x1p53 {
			u = 1 + x
			k = int(math.Float64bits(u)>>52) - 1023
			if k > 0 {
				c = 1 - (u - x)
			} else {
				c = x - (u - 1)
			}
			c /= u
		} else {
			k = int(math.Float64bits(u)>>52) - 1023
		}
		mantissa := math.Float64bits(u) & (1<<52 - 1)
		high = uint32(mantissa >> 32)
		if high < 0x6a09e {
			u = math.Float64frombits(mantissa | 0x3ff<<52)
		} else {
			k++
			u = math.Float64frombits(mantissa | 0x3fe<<52)
			high = (0x00100000 - high) >> 2
		}
		f = u - 1
	}
	half := float64(0.5 * f * f)
	kd := float64(k)
	if high == 0 { // |f| < 2^-20
		if f == 0 {
			if k == 0 {
				return 0
			}
			c += float64(kd * ln2Lo)
			return float64(kd*ln2Hi) + c
		}
		r := float64(half * (1 - float64(0.66666666666666666*f)))
		if k == 0 {
			return f - r
		}
		return float64(kd*ln2Hi) - ((r - (float64(kd*ln2Lo) + c)) - f)
	}
	s := f / (2 + f)
	z := float64(s * s)
	z2 := float64(z * z)
	r2 := lp2 + float64(z*lp3)
	z4 := float64(z2 * z2)
	r3 := lp4 + float64(z*lp5)
	z6 := float64(z4 * z2)
	r4 := lp6 + float64(z*lp7)
	r := math.FMA(z, lp1, float64(z2*r2)) + float64(z4*r3) + float64(z6*r4)
	if k == 0 {
		return f - (half - float64(s*(half+r)))
	}
	return float64(kd*ln2Hi) - ((half - (float64(s*(half+r)) + (float64(kd*ln2Lo) + c))) - f)
}
