package forest

import (
	"errors"
	"math"
	"strings"
)

// parseSigmoid reads the sigmoid of an objective, which must be positive and finite, with the rounding errors that LightGBM makes there: not the
// nearest float64, as for all numbers of trees, but whole part, fraction and exponent rounded one after the other (utils/common.h, Atof).
// So 1.6647 becomes 1.6646999999999998, one unit in the last place below the nearest, and probabilities move too.
func parseSigmoid(word string) (float64, error) {
	if nearest, err := parseFloat(word); err != nil || !(nearest > 0) || math.IsInf(nearest, 0) {
		return 0, errors.Join(err, errNotPositive)
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(word, "+")), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	value := digits(whole) + float64(digits(fraction)/tenTo(len(fraction)))
	if power, negative := strings.CutPrefix(exponent, "-"); negative {
		value /= scale(power)
	} else {
		value *= scale(strings.TrimPrefix(power, "+"))
	}
	if !(value > 0) || math.IsInf(value, 0) { // at the edges these roundings may pass what the nearest number does not
		return 0, errNotPositive
	}
	return value, nil
}

var errNotPositive = errors.New("not a positive, finite number")

// digits is the number that decimal digits write.
func digits(text string) (value float64) {
	for _, digit := range []byte(text) {
		value = float64(value*10) + float64(digit-'0')
	}
	return value
}

// tenTo is exact up to 10^22, far more digits than LightGBM writes.
func tenTo(n int) float64 {
	value := 1.0
	for range n {
		value *= 10
	}
	return value
}

// scale is ten to an exponent's magnitude, by way of 10^50, 10^8 and 10, and at most 10^308.
func scale(exponent string) float64 {
	n := min(digits(exponent), 308)
	value := 1.0
	for _, step := range []struct{ n, factor float64 }{{50, 1e50}, {8, 1e8}, {1, 10}} {
		for ; n >= step.n; n -= step.n {
			value *= step.factor
		}
	}
	return value
}
