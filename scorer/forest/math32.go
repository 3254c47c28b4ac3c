package forest

import "math"

// expf gives the bits of glibc 2.36's expf on x86-64 with FMA, on every machine. The method is Szabolcs Nagy's (ARM optimized routines, 2017,
// sysdeps/ieee754/flt-32/e_expf.c): in float64, exp(x) = 2^(k/32)·polynomial(r).
func expf(x float32) float32 {
	const (
		steps  = 32
		perLn2 = 0x1.71547652b82fep0 * steps
		c0     = 0x1.c6af84b912394p-5 / steps / steps / steps
		c1     = 0x1.ebfce50fac4f3p-3 / steps / steps
		c2     = 0x1.62e42ff0c52d6p-1 / steps
	)
	switch {
	case x != x:
		return x
	case x > 0x1.62e42ep6:
		return float32(math.Inf(1))
	case x < -0x1.9fe368p6:
		return 0
	}
	xd := float64(x)
	shifted := math.FMA(perLn2, xd, expShift)
	k := math.Float64bits(shifted)
	r := math.FMA(perLn2, xd, -(shifted - expShift))
	// Every fourth entry of exp's table is 2^(i/32), less what k·2^47 adds again.
	scale := math.Float64frombits(expTable[4*(k%steps)].bits + k<<47)
	y := math.FMA(math.FMA(c0, r, c1), float64(r*r), math.FMA(c2, r, 1))
	return float32(y * scale)
}
