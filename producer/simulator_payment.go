package producer

import "math"

const (
	minCents = 10
	maxCents = 1_500_000

	journeyChance = 0.0035 // that an ordinary transaction is the first of a journey
	maxJourney    = 12 * dayMillis
)

// ordinary makes a customer's payment at s.next as habits go, and lets things begin: journeys, bursts, compromised terminals.
func (s *Simulator) ordinary() {
	at := s.next
	c := s.world.anyone(s.rng)
	if at >= c.away && s.rng.Float64() < journeyChance {
		c.away = at + dayMillis + s.rng.Int64N(maxJourney)
		c.stay = s.world.terminals[s.world.far(s.rng, c.home)].place
	}
	var i uint32
	switch {
	case s.rng.Float64() < c.online:
		i = c.sites[s.rng.IntN(len(c.sites))]
		if s.rng.Float64() < 0.25 {
			i = s.world.sites[s.rng.IntN(len(s.world.sites))]
		}
	case at < c.away:
		i = s.world.near(s.rng, c.stay)
	case s.rng.Float64() < 0.12:
		i = s.world.near(s.rng, c.home)
	default:
		f := s.rng.Float64()
		i = c.usual[int(f*f*float64(len(c.usual)))]
	}
	s.pay(c, i, at, 1)
	t := s.tx.terminal
	if at >= t.until && s.rng.Float64() < compromiseChance {
		t.until = at + 2*dayMillis + s.rng.Int64N(6*dayMillis)
	}
	if at < t.until && s.rng.Float64() < copiedShare {
		s.tx.fraud = FraudCompromisedTerminal
		s.tx.cents = min(int64(float64(s.tx.cents)*(1.1+1.9*s.rng.Float64())), maxCents)
	}
	s.maybeBurst(c, at)
}

// pay sets s.tx to an honest payment of an amount that is usual for customer and terminal, times factor.
func (s *Simulator) pay(c *customer, terminal uint32, at int64, factor float64) {
	t := &s.world.terminals[terminal]
	s.tx = transaction{at: at, customer: c, terminal: t, index: terminal, distance: math.NaN(), mood: s.rng.Float64()}
	s.tx.cents = min(max(int64(c.spend*t.factor*factor*math.Exp(0.55*s.rng.NormFloat64())), minCents), maxCents)
	switch t.kind {
	case online:
		s.tx.channel = "web"
		if c.app {
			s.tx.channel = "app"
		}
		if s.rng.Float64() < 0.35 { // some networks tell where the payer is
			s.tx.distance = math.Abs(8 * s.rng.NormFloat64())
			if at < c.away {
				s.tx.distance += c.stay.distance(c.home)
			}
		}
	case atm:
		s.tx.channel, s.tx.present = "atm", true
		s.tx.cents = max((s.tx.cents+500)/1000, 1) * 1000 // notes
	default:
		s.tx.channel, s.tx.present = "pos", s.rng.Float64() < 0.985
	}
	if t.kind != online && s.rng.Float64() < 0.99 { // a few terminals have no known place
		s.tx.distance = t.place.distance(c.home)
	}
}

// account adds the transaction to the windows of customer and terminal, and reads their aggregates.
func (tx *transaction) account() {
	c, t := tx.customer, tx.terminal
	day := tx.at / dayMillis
	tx.sinceLast = c.spent.add(tx.at, tx.cents)
	tx.newTerminal = c.known.add(tx.index)
	reported := tx.mood < disputedShare
	if tx.fraud != "" {
		reported = tx.mood < reportedShare
	}
	t.reports.add(day, reported)
}
