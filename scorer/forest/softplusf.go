package forest

import "math"

// XGBoost's several expectiles of one row (reg:expectileerror, since 3.3) are a first one and softplus steps, which make sure that they rise. The formulas
// were found from what 3.3.0 and 3.4.1 make of 20,000 margins and 1,200 base scores, to the bit.

// leastStep is the least that an expectile is above the one before.
const leastStep float32 = 1e-6

// expectiles turns the margins of one row into its expectiles.
func expectiles(row []float64) {
	at := float32(row[0])
	for i, x := range row[1:] {
		at += softplusf(float32(x)) + leastStep
		row[i+1] = float64(at)
	}
}

// expectileMargins turns expectiles into margins.
func expectileMargins(scores []float32) {
	for i := len(scores) - 1; i > 0; i-- {
		step := max(scores[i]-scores[i-1]-leastStep, leastStep)
		scores[i] = step + logf(-expm1f(-step))
	}
}

func softplusf(x float32) float32 {
	return max(x, 0) + log1pf(expf(-float32(math.Abs(float64(x)))))
}

// log1pf gives the bits of glibc 2.36 for 0 <= x <= 1: fdlibm's method (sysdeps/ieee754/flt-32/s_log1pf.c).
func log1pf(x float32) float32 {
	const (
		ln2Hi, ln2Lo = 6.9313812256e-01, 9.0580006145e-06
		p1           = 6.6666668653e-01
		p2           = 4.0000000596e-01
		p3           = 2.8571429849e-01
		p4           = 2.2222198546e-01
		p5           = 1.8183572590e-01
		p6           = 1.5313838422e-01
		p7           = 1.4798198640e-01
	)
	switch {
	case x != x:
		return x
	case x < 0x1p-55:
		return x
	case x < 0x1p-29:
		return x - float32(float32(x*x)*0.5)
	}
	f, c, k := x, float32(0), float32(0)
	bits := uint32(1)
	if x >= math.Float32frombits(0x3ed413d7) { // √2 - 1
		u := 1 + x
		exponent := int(math.Float32bits(u)>>23) - 127
		if exponent > 0 {
			c = 1 - (u - x)
		} else {
			c = x - (u - 1)
		}
		c /= u
		if bits = math.Float32bits(u) & (1<<23 - 1); bits < 0x3504f7 {
			u = math.Float32frombits(bits | 0x3f800000)
		} else {
			exponent++
			u = math.Float32frombits(bits | 0x3f000000)
			bits = (1<<23 - bits) >> 2
		}
		f, k = u-1, float32(exponent)
	}
	half := float32(float32(0.5*f) * f)
	low := float32(k*ln2Lo) + c
	if bits == 0 { // |f| < 2^-20
		if f == 0 {
			return float32(k*ln2Hi) + low
		}
		r := float32(half * (1 - float32(0.66666666666666666*f)))
		return float32(k*ln2Hi) - ((r - low) - f)
	}
	s := f / (2 + f)
	z := float32(s * s)
	r := float32(p7 * z)
	for _, p := range [...]float32{p6, p5, p4, p3, p2, p1} {
		r = float32(z * (p + r))
	}
	if k == 0 {
		return f - (half - float32(s*(half+r)))
	}
	return float32(k*ln2Hi) - ((half - (float32(s*(half+r)) + low)) - f)
}

// expm1f gives the bits of glibc 2.36 for x <= 0: fdlibm's method (sysdeps/ieee754/flt-32/s_expm1f.c).
func expm1f(x float32) float32 {
	const (
		ln2Hi, ln2Lo = 6.9313812256e-01, 9.0580006145e-06
		perLn2       = 1.4426950216e+00
		q1           = -3.3333335072e-02
		q2           = 1.5873016091e-03
		q3           = -7.9365076090e-05
		q4           = 4.0082177293e-06
		q5           = -2.0109921195e-07
	)
	size := math.Float32bits(-x)
	k, c := 0, float32(0)
	switch {
	case size >= 0x4195b844: // 27·ln 2
		return -1
	case size > 0x3eb17218: // ln 2 / 2
		hi, lo := x+ln2Hi, float32(-ln2Lo)
		if k = -1; size >= 0x3f851592 { // 3/2·ln 2
			k = int(float32(perLn2*x) - 0.5)
			hi, lo = x-float32(float32(k)*ln2Hi), float32(float32(k)*ln2Lo)
		}
		x = hi - lo
		c = (hi - x) - lo
	case size < 0x33000000: // 2^-25
		return x
	}
	half := float32(0.5 * x)
	square := float32(x * half)
	r := float32(q5 * square)
	for _, q := range [...]float32{q4, q3, q2, q1} {
		r = float32(square * (q + r))
	}
	r++
	t := 3 - float32(r*half)
	e := float32(square * ((r - t) / (6 - float32(x*t))))
	if k == 0 {
		return x - (float32(x*e) - square)
	}
	e = float32(x*(e-c)) - c
	e -= square
	if k == -1 {
		return float32(0.5*(x-e)) - 0.5
	}
	y := 1 - (e - x)
	return math.Float32frombits(math.Float32bits(y)+uint32(k)<<23) - 1
}
