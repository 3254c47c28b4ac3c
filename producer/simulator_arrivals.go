package producer

import (
	"math"
	"math/rand/v2"
)

const (
	hourMillis = int64(3_600_000)
	dayMillis  = 24 * hourMillis

	dailyPerCustomer = 2.0
)

// rhythm is how busy each hour (UTC) of a day is, relative to the others.
var rhythm = [24]float64{0.25, 0.18, 0.14, 0.15, 0.3, 0.6, 1.0, 1.3, 1.4, 1.4, 1.5, 1.7, 1.5, 1.3, 1.3, 1.5, 1.8, 1.9, 1.6, 1.2, 0.9, 0.7, 0.5, 0.35}

// weekend is how busy Saturday and Sunday are, as a share of a working day.
var weekend = map[int64]float64{5: 1.15, 6: 0.75}

// arrivals is a Poisson process whose rate changes with the hour of the week.
type arrivals struct{ perMilli [7 * 24]float64 }

func newArrivals(customers int) arrivals {
	var a arrivals
	sum := 0.0
	for h := range a.perMilli {
		day := 1.0
		if w, ok := weekend[int64(h/24)]; ok {
			day = w
		}
		a.perMilli[h] = rhythm[h%24] * day
		sum += a.perMilli[h]
	}
	scale := 7 * dailyPerCustomer * float64(customers) / sum / float64(hourMillis)
	for h := range a.perMilli {
		a.perMilli[h] *= scale
	}
	return a
}

// after is the arrival that follows t, Unix milliseconds: a unit-rate exponential spent hour by hour at the rate of each.
func (a *arrivals) after(t int64, rng *rand.Rand) int64 {
	left := rng.ExpFloat64()
	for {
		hour := t / hourMillis
		end := (hour + 1) * hourMillis
		rate := a.perMilli[(hour+3*24)%int64(len(a.perMilli))] // 1970-01-01 was a Thursday, Monday is day 0
		if need := left / rate; need <= float64(end-t) {
			return t + int64(math.Round(need))
		}
		left -= float64(end-t) * rate
		t = end
	}
}
