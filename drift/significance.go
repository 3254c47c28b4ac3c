package drift

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// chiSquaredTail is P(X ≥ x) of a chi-squared variable; NaN without degrees of freedom. df need not be whole.
func chiSquaredTail(x, df float64) float64 {
	if df <= 0 {
		return math.NaN()
	}
	return mathext.GammaIncRegComp(df/2, x/2)
}

// chiSquaredCritical is the x with P(X ≥ x) = alpha; NaN without degrees of freedom.
func chiSquaredCritical(alpha, df float64) float64 {
	if df <= 0 {
		return math.NaN()
	}
	return 2 * mathext.GammaIncRegCompInv(df/2, alpha)
}

// Bonferroni multiplies each p-value by the number of tests, at most 1: the probability that any of them is below alpha without drift is alpha at most,
// whatever their dependence. NaN is no test, and stays.
func Bonferroni(pvalues []float64) []float64 {
	tests := 0.0
	for _, p := range pvalues {
		if !math.IsNaN(p) {
			tests++
		}
	}
	adjusted := make([]float64, len(pvalues))
	for i, p := range pvalues {
		adjusted[i] = min(1, p*tests) // NaN stays NaN
	}
	return adjusted
}

// BenjaminiHochberg adjusts p-values so that of those below alpha at most the share alpha is expected to be false alarms, for tests that are independent or
// positively dependent. NaN is no test, and stays. Source: Benjamini and Hochberg, "Controlling the false discovery rate", 1995.
func BenjaminiHochberg(pvalues []float64) []float64 {
	order := make([]int, 0, len(pvalues))
	adjusted := slices.Clone(pvalues)
	for i, p := range pvalues {
		if !math.IsNaN(p) {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case pvalues[a] < pvalues[b]:
			return -1
		case pvalues[a] > pvalues[b]:
			return 1
		}
		return a - b
	})
	least := 1.0
	for rank := len(order); rank > 0; rank-- {
		i := order[rank-1]
		least = min(least, pvalues[i]*float64(len(order))/float64(rank))
		adjusted[i] = least
	}
	return adjusted
}
