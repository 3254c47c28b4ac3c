package producer

import (
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// aggregates are what a velocity tells after a payment.
type aggregates struct {
	Counts, Cents      [3]int64
	Average, SinceLast int64
}

// recount works the aggregates out from the whole history, whose last payment is the current one.
func recount(history []payment) aggregates {
	now := history[len(history)-1]
	a := aggregates{SinceLast: -1}
	for w, span := range spans {
		for _, p := range history[max(0, len(history)-recentPayments):] {
			if p.at > now.at-span {
				a.Counts[w]++
				a.Cents[w] += p.cents
			}
		}
	}
	var count, sum int64
	for _, p := range history {
		if p.at/dayMillis > now.at/dayMillis-averageDays {
			count++
			sum += p.cents
		}
	}
	a.Average = sum / count
	if len(history) > 1 {
		if gap := now.at - history[len(history)-2].at; gap <= 7*dayMillis {
			a.SinceLast = gap / 1000
		}
	}
	return a
}

func TestVelocityIsWhatTheWholeHistorySays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gaps := rapid.SliceOfN(rapid.OneOf(rapid.Int64Range(0, 120_000), rapid.Int64Range(0, 2*dayMillis), rapid.SampledFrom([]int64{
			hourMillis, dayMillis, 7 * dayMillis, 7*dayMillis + 1, 29 * dayMillis, 30 * dayMillis, 90 * dayMillis})), 1, 300).Draw(t, "gaps")
		var v velocity
		var history []payment
		at := monday.UnixMilli()
		for i, gap := range gaps {
			at += gap
			cents := int64(10 + i*37%1000)
			history = append(history, payment{at, cents})
			got := aggregates{SinceLast: v.add(at, cents), Average: v.average()}
			for w := range spans {
				got.Counts[w], got.Cents[w] = v.window(w)
			}
			if diff := cmp.Diff(recount(history), got); diff != "" {
				t.Fatalf("after payment %d:\n%s", i, diff)
			}
		}
	})
}

func TestTerminalReportsAreTheSevenDaysBeforeToday(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type report struct {
			day   int64
			fraud bool
		}
		var r reports
		var history []report
		day := monday.UnixMilli() / dayMillis
		for range rapid.IntRange(1, 200).Draw(t, "payments") {
			day += rapid.SampledFrom([]int64{0, 0, 0, 1, 2, 7, 8, 9, 30}).Draw(t, "days")
			fraud := rapid.Bool().Draw(t, "fraud")
			r.add(day, fraud)
			var payments, frauds float64
			for _, h := range history {
				if h.day < day && h.day >= day-reportDays {
					payments++
					if h.fraud {
						frauds++
					}
				}
			}
			if want := frauds / max(payments, 1); r.share != want {
				t.Fatalf("share %v on day %d, want %v", r.share, day, want)
			}
			history = append(history, report{day, fraud})
		}
	})
}

func TestTerminalIsNewUntilUsedAndAgainAfterManyOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r recentTerminals
		var known []uint32
		for range rapid.IntRange(1, 200).Draw(t, "payments") {
			i := rapid.Uint32Range(0, 60).Draw(t, "terminal")
			if isNew := r.add(i); isNew == slices.Contains(known, i) {
				t.Fatalf("terminal %d new: %v, known are %v", i, isNew, known)
			}
			if !slices.Contains(known, i) {
				known = append(known, i)
				known = known[max(0, len(known)-knownTerminals):]
			}
		}
	})
}

func TestDecimalsAreTheShortestText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		units := rapid.Int64Range(0, 1<<40).Draw(t, "units")
		for _, scale := range []int64{1, 10, 100, 10_000} {
			want := strconv.FormatFloat(float64(units)/float64(scale), 'f', -1, 64)
			if got := string(appendDecimal(nil, units, scale)); got != want {
				t.Fatalf("%d/%d is %q, want %q", units, scale, got, want)
			}
		}
	})
}

func TestTransactionIDHasAtLeastTwelveDigits(t *testing.T) {
	for number, want := range map[uint64]string{
		0: "tx-000000000000", 1: "tx-000000000001", 10: "tx-000000000010", 99: "tx-000000000099", 100_000_000_000: "tx-100000000000",
		999_999_999_999: "tx-999999999999", 1_000_000_000_000: "tx-1000000000000", 1<<64 - 1: "tx-18446744073709551615",
	} {
		if got := string(appendTransactionID(nil, number)); got != want {
			t.Errorf("number %d is %s, want %s", number, got, want)
		}
	}
}
