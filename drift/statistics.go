package drift

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// ErrNotEnoughData says that a statistic is undefined, or that a window is too small for an alarm to mean anything. It is never a 0.
var ErrNotEnoughData = errors.New("not enough data")

// maxTotal bounds the sum of counts on either side, so that cross products fit into 128 bits.
const maxTotal = 1 << 61

// pair is two counts of the same bins, checked.
type pair struct {
	reference, current []int64
	n, m               uint64 // their sums, at least 1
	occupied           int    // bins with a count on either side
}

func newPair(reference, current []int64) (pair, error) {
	p := pair{reference: reference, current: current}
	if len(reference) != len(current) {
		return p, fmt.Errorf("%d bins in the reference, %d in the current counts", len(reference), len(current))
	}
	for i, r := range reference {
		c := current[i]
		if r < 0 || c < 0 {
			return p, fmt.Errorf("bin %d has a negative count", i)
		}
		if p.n += uint64(r); p.n > maxTotal {
			return p, fmt.Errorf("the reference has more than %d observations", int64(maxTotal))
		}
		if p.m += uint64(c); p.m > maxTotal {
			return p, fmt.Errorf("the current counts are more than %d", int64(maxTotal))
		}
		if r+c > 0 {
			p.occupied++
		}
	}
	if p.n == 0 || p.m == 0 {
		return p, ErrNotEnoughData
	}
	return p, nil
}

// cross is a·m − b·n, exact until the last rounding: the difference of two shares that are nearly equal keeps all its digits.
func cross(a, m, b, n uint64) float64 {
	hi1, lo1 := bits.Mul64(a, m)
	hi2, lo2 := bits.Mul64(b, n)
	if hi1 < hi2 || hi1 == hi2 && lo1 < lo2 {
		return -cross(b, n, a, m)
	}
	lo, borrow := bits.Sub64(lo1, lo2, 0)
	hi, _ := bits.Sub64(hi1, hi2, borrow)
	return float64(hi)*(1<<64) + float64(lo)
}

// shares gives the raw shares of bin i and their exact difference, current less reference.
func (p *pair) shares(i int) (ref, cur, diff float64) {
	r, c := uint64(p.reference[i]), uint64(p.current[i])
	n, m := float64(p.n), float64(p.m)
	return float64(r) / n, float64(c) / m, cross(c, p.n, r, p.m) / n / m
}

// PSI is the population stability index of two counts of the same bins, a number of nats from 0 up, and the probability of at least that much
// between two independent samples of one distribution.
//
// Of the bins with a count on either side, B of them, each gets half a count on both sides: p = (reference+½)/(N+B/2), q = (current+½)/(M+B/2),
// PSI = Σ (q−p) ln(q/p). Without drift PSI/(1/N+1/M) is nearly chi-squared with B−1 degrees of freedom, in empty and rare bins too. One bin has PSI 0 and
// no test: its p-value is NaN. N = 0 or M = 0 gives ErrNotEnoughData.
//
// The index is Jeffreys' divergence (Jeffreys, "An invariant form for the prior probability in estimation problems", 1946); its law: Yurdakul and Naranjo, "Statistical
// properties of the population stability index", 2020. Half a count is Jeffreys' prior of a multinomial.
func PSI(reference, current []int64) (psi, pvalue float64, err error) {
	p, err := newPair(reference, current)
	if err != nil {
		return 0, 0, err
	}
	b := uint64(p.occupied)
	n, m := 2*p.n+b, 2*p.m+b // in half counts
	for i := range reference {
		r, c := uint64(reference[i]), uint64(current[i])
		if r+c == 0 {
			continue
		}
		diff := cross(2*c+1, n, 2*r+1, m)
		// ln(q/p) = ln(1 + (q−p)/p), in the direction in which the sum is not near 0.
		if diff < 0 {
			psi += diff / float64(n) / float64(m) * -math.Log1p(-diff/(float64(2*c+1)*float64(n)))
		} else {
			psi += diff / float64(n) / float64(m) * math.Log1p(diff/(float64(2*r+1)*float64(m)))
		}
	}
	return psi, p.chiSquaredTail(psi / p.nullScale()), nil
}

// nullScale is 1/N + 1/M.
func (p *pair) nullScale() float64 { return 1/float64(p.n) + 1/float64(p.m) }

// chiSquaredTail is P(X ≥ x) with B−1 degrees of freedom; NaN for one bin.
func (p *pair) chiSquaredTail(x float64) float64 { return chiSquaredTail(x, float64(p.occupied-1)) }

// ChiSquared is Pearson's statistic of homogeneity of the 2 × B table, without Yates' correction, bins that are empty on both sides left out, and its
// p-value with B−1 degrees of freedom, NaN for one bin. It needs an expected count of about 5 in each cell: use PSI where bins are rare. Source: Pearson, "On the criterion
// …", 1900.
func ChiSquared(reference, current []int64) (chi2, pvalue float64, err error) {
	p, err := newPair(reference, current)
	if err != nil {
		return 0, 0, err
	}
	n, m := float64(p.n), float64(p.m)
	for i := range reference {
		if both := float64(reference[i]) + float64(current[i]); both > 0 {
			d := cross(uint64(current[i]), p.n, uint64(reference[i]), p.m)
			chi2 += d / n * (d / m) / both
		}
	}
	return chi2, p.chiSquaredTail(chi2), nil
}

// JensenShannon is the Jensen-Shannon distance, 0 to 1: the square root of the divergence in bits, of raw shares. It is a metric. Source: Lin, "Divergence
// measures based on the Shannon entropy", 1991; Endres and Schindelin, "A new metric for probability distributions", 2003.
func JensenShannon(reference, current []int64) (float64, error) {
	p, err := newPair(reference, current)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for i := range reference {
		ref, cur, diff := p.shares(i)
		if ref+cur > 0 {
			sum += (ref + cur) / 2 * entropyGap(diff/(ref+cur))
		}
	}
	return math.Sqrt(sum / 2 / math.Ln2), nil
}

// entropyGap is (1+d) ln(1+d) + (1−d) ln(1−d) for −1 ≤ d ≤ 1, without the cancellation near 0: there Σ d^2k / (k (2k−1)).
func entropyGap(d float64) float64 {
	d = math.Abs(d)
	switch {
	case d >= 1:
		return 2 * math.Ln2
	case d > 0.2:
		return (1+d)*math.Log1p(d) + (1-d)*math.Log1p(-d)
	}
	sum, power := 0.0, 1.0
	for k := 1.0; k < 16; k++ {
		power *= d * d
		sum += power / (k * (2*k - 1))
	}
	return sum
}

// Hellinger is the Hellinger distance, 0 to 1, of raw shares: √(½ Σ (√p−√q)²). Source: Hellinger, "Neue Begründung der Theorie quadratischer Formen von
// unendlichvielen Veränderlichen", 1909.
func Hellinger(reference, current []int64) (float64, error) {
	p, err := newPair(reference, current)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for i := range reference {
		ref, cur, diff := p.shares(i)
		if ref+cur > 0 {
			root := diff / (math.Sqrt(ref) + math.Sqrt(cur))
			sum += root * root
		}
	}
	return math.Sqrt(sum / 2), nil
}

// TotalVariation is half the sum of the differences of raw shares, 0 to 1: the largest difference in probability of any set of bins.
func TotalVariation(reference, current []int64) (float64, error) {
	p, err := newPair(reference, current)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for i := range reference {
		_, _, diff := p.shares(i)
		sum += math.Abs(diff)
	}
	return sum / 2, nil
}

// LInfinity is the largest difference of raw shares of one bin, 0 to 1.
func LInfinity(reference, current []int64) (float64, error) {
	p, err := newPair(reference, current)
	if err != nil {
		return 0, err
	}
	most := 0.0
	for i := range reference {
		_, _, diff := p.shares(i)
		most = max(most, math.Abs(diff))
	}
	return most, nil
}

// KolmogorovSmirnov is the largest difference between the two cumulative shares at the edges of bins, 0 to 1: a lower bound of the statistic of the
// values themselves, which may differ more within a bin. The bins must stand in order, the one of missing values left out. Source: Smirnov, "Table
// for estimating the goodness of fit of empirical distributions", 1948.
func KolmogorovSmirnov(reference, current []int64) (float64, error) {
	most := 0.0
	err := cumulative(reference, current, func(diff float64) { most = max(most, diff) })
	return most, err
}

// Wasserstein is the least amount of share times distance that turns one distribution into the other, with neighbouring bins one apart: 0 to B−1 bins. The bins
// must stand in order, the one of missing values left out.
func Wasserstein(reference, current []int64) (float64, error) {
	sum := 0.0
	err := cumulative(reference, current, func(diff float64) { sum += diff })
	return sum, err
}

// cumulative calls each with the absolute difference of the cumulative shares after each bin.
func cumulative(reference, current []int64, each func(diff float64)) error {
	p, err := newPair(reference, current)
	if err != nil {
		return err
	}
	r, c := uint64(0), uint64(0)
	for i := range reference {
		r += uint64(reference[i])
		c += uint64(current[i])
		each(math.Abs(cross(c, p.n, r, p.m)) / float64(p.n) / float64(p.m))
	}
	return nil
}
