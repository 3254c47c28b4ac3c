package producer

import (
	"math"
	"testing"
	"time"
)

func TestEventTimeStartsAtStartAndNeverGoesBack(t *testing.T) {
	s := startSimulator(t, SimulatorConfig{Seed: 2, Start: monday.Add(7*time.Hour + time.Millisecond)})
	last := monday.Add(7*time.Hour + time.Millisecond)
	for i := range 5000 {
		at := readEvent(t, s.Next(nil).Value).EventTime
		if i == 0 && !at.Equal(last) || at.Before(last) {
			t.Fatalf("event %d is at %s, after one at %s", i, at, last)
		}
		last = at
	}
}

func TestCustomersPayAboutTwiceADayAndSleepAtNight(t *testing.T) {
	const customers, days = 500, 14
	s := startSimulator(t, SimulatorConfig{Seed: 4, Customers: customers, Terminals: 100})
	var hours [24]int
	n := 0
	for end := monday.AddDate(0, 0, days); ; n++ {
		at := readEvent(t, s.Next(nil).Value).EventTime
		if !at.Before(end) {
			break
		}
		hours[at.Hour()]++
	}
	if mean := float64(n) / customers / days; mean < 1.9 || mean > 2.4 {
		t.Errorf("%.2f transactions a customer and day", mean)
	}
	if night, day := hours[1]+hours[2]+hours[3], hours[15]+hours[16]+hours[17]; night*5 > day || night == 0 {
		t.Errorf("%d transactions in three hours of the night, %d in three of the afternoon", night, day)
	}
}

// summary is what the first and later events are compared by.
type summary struct{ count7d, average, amount7d, newTerminal, noLast float64 }

func summarize(t *testing.T, s *Simulator, n int) summary {
	t.Helper()
	var sum summary
	for range n {
		e := readEvent(t, s.Next(nil).Value)
		sum.count7d += float64(e.Velocity.Count7D) / float64(n)
		sum.average += e.Velocity.AvgAmount30D / float64(n)
		sum.amount7d += e.Velocity.Amount7D / float64(n)
		if e.Velocity.NewTerminal {
			sum.newTerminal += 1 / float64(n)
		}
		if e.Velocity.SecondsSinceLast == nil {
			sum.noLast += 1 / float64(n)
		}
	}
	return sum
}

func TestFirstEventsLookLikeLaterOnes(t *testing.T) {
	s := startSimulator(t, SimulatorConfig{Seed: 6, Customers: 2000, Terminals: 400})
	const week = 30_000
	first, second := summarize(t, s, week), summarize(t, s, week)
	near := func(what string, a, b, tolerance float64) {
		t.Helper()
		if math.Abs(a-b) > tolerance*b {
			t.Errorf("%s is %.4g in the first week and %.4g in the second", what, a, b)
		}
	}
	near("count_7d", first.count7d, second.count7d, 0.05)
	near("avg_amount_30d", first.average, second.average, 0.08)
	near("amount_7d", first.amount7d, second.amount7d, 0.08)
	near("the share of new terminals", first.newTerminal, second.newTerminal, 0.2)
	if first.noLast == 0 || second.noLast == 0 {
		t.Error("every event has a payment before it: missing values would never be seen")
	}
}

func TestFraudIsRareAndOfThreeKinds(t *testing.T) {
	s := startSimulator(t, SimulatorConfig{Seed: 9, Customers: 2000, Terminals: 400})
	const n = 200_000
	kinds := map[string]int{}
	var amount, honest float64
	for range n {
		e := s.Next(nil)
		kinds[e.Fraud]++
		switch e.Fraud {
		case FraudStolenCard:
			amount += readEvent(t, e.Value).Amount
		case "":
			honest += readEvent(t, e.Value).Amount
		}
	}
	for _, kind := range []string{FraudStolenCard, FraudCompromisedTerminal, FraudAccountTakeover} {
		if share := float64(kinds[kind]) / n; share < 0.001 || share > 0.006 {
			t.Errorf("%s is %.4f of the events, want 0.001 to 0.006", kind, share)
		}
	}
	if len(kinds) != 4 {
		t.Errorf("kinds %v, want three and none", kinds)
	}
	if a, b := amount/float64(kinds[FraudStolenCard]), honest/float64(kinds[""]); a < 1.5*b {
		t.Errorf("a thief takes %.2f on average, holders pay %.2f", a, b)
	}
}

func TestFraudRunsAsItsKindDoes(t *testing.T) {
	s := startSimulator(t, SimulatorConfig{Seed: 10, Customers: 2000, Terminals: 400})
	takeover, stolen := 0, 0
	tests, big, present := 0, 0, 0
	for range 100_000 {
		e := s.Next(nil)
		if e.Fraud == "" {
			continue
		}
		v := readEvent(t, e.Value)
		switch e.Fraud {
		case FraudAccountTakeover:
			takeover++
			if v.Channel != "web" && v.Channel != "app" || v.Card.Present {
				t.Fatalf("an account was taken over at a counter: %s", e.Value)
			}
			if v.Amount < 4 && v.Velocity.Count1H > 2 {
				tests++
			} else if v.Amount > 20 {
				big++
			}
		case FraudStolenCard:
			stolen++
			if v.Card.Present {
				present++
			}
		}
	}
	if tests*2 < takeover || big*20 < takeover {
		t.Errorf("of %d takeover payments %d were quick tests and %d big", takeover, tests, big)
	}
	if present*10 < stolen*9 {
		t.Errorf("of %d payments with stolen cards %d were made with the card", stolen, present)
	}
}

func TestCompromisedTerminalShowsInItsReports(t *testing.T) {
	s := startSimulator(t, SimulatorConfig{Seed: 11, Customers: 2000, Terminals: 400})
	var sums, counts [2]float64
	for range 150_000 {
		e := s.Next(nil)
		i := 0
		if e.Fraud == FraudCompromisedTerminal {
			i = 1
		}
		sums[i] += readEvent(t, e.Value).Velocity.TerminalFraud7D
		counts[i]++
	}
	if honest, copied := sums[0]/counts[0], sums[1]/counts[1]; copied < 10*honest || honest == 0 {
		t.Errorf("share of reports is %.4f at other payments and %.4f at fraud with copied cards", honest, copied)
	}
}

func TestCustomerHasOneBurstAtATime(t *testing.T) {
	s := startSimulator(t, SimulatorConfig{Seed: 13, Customers: 10, Terminals: 20})
	var buf []byte
	most := 0
	for range 50_000 {
		buf = s.Next(buf).Value
		most = max(most, len(s.bursts))
		for i := range s.bursts {
			for j := range i {
				if s.bursts[i].customer == s.bursts[j].customer {
					t.Fatalf("customer %s has two", s.bursts[i].customer.id)
				}
			}
		}
	}
	if most < 2 {
		t.Errorf("never more than %d at once: nothing was tested", most)
	}
}

func TestMemoryOfASimulationDoesNotGrow(t *testing.T) {
	s := startSimulator(t, SimulatorConfig{Seed: 12, Customers: 10, Terminals: 20})
	var buf []byte
	for range 300_000 {
		buf = s.Next(buf).Value
		if len(s.bursts) > len(s.world.customers) {
			t.Fatalf("%d bursts of %d customers", len(s.bursts), len(s.world.customers))
		}
	}
	if cap(s.bursts) > 4*len(s.world.customers) {
		t.Errorf("room for %d bursts of %d customers", cap(s.bursts), len(s.world.customers))
	}
}
