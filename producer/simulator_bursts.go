package producer

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"time"
)

// The kinds of fraud, as Event.Fraud names them.
const (
	FraudStolenCard          = "stolen_card"          // a burst of high amounts where the holder never pays
	FraudCompromisedTerminal = "compromised_terminal" // copied cards at one terminal for some days, at amounts that are usual there
	FraudAccountTakeover     = "account_takeover"     // many tiny payments online, to test, then big ones
)

// burst is a run of payments of one customer: fraud, or something honest that looks like it. A customer has one at a time, which bounds
// their number.
type burst struct {
	plan     *plan
	customer *customer
	due      int64   // Unix milliseconds of the next payment
	tests    int     // payments left that only test the card
	left     int     // payments left after those
	place    point   // around which it happens
	distance float64 // of place from the customer's home, NaN where it happens at home
}

// plan is a kind of burst.
type plan struct {
	fraud       string
	chance      float64 // that an ordinary transaction starts one
	delay       time.Duration
	online      bool
	tests       [2]int        // from, to
	payments    [2]int        // from, to
	pause, rest time.Duration // mean, between tests and between payments
	amount      [2]float64    // relative to what is usual for customer and terminal
	away        float64       // share that happens far from the customer's home
}

var plans = []plan{
	{fraud: FraudStolenCard, chance: 0.00058, delay: 20 * time.Hour, payments: [2]int{2, 9}, rest: 25 * time.Minute, amount: [2]float64{1.2, 5}, away: 0.6},
	{fraud: FraudAccountTakeover, chance: 0.00026, delay: 20 * time.Hour, online: true, tests: [2]int{4, 12}, payments: [2]int{1, 5},
		pause: 50 * time.Second, rest: 8 * time.Minute, amount: [2]float64{2, 8}, away: 0.7},
	// The honest ones: a day in town, and games or tickets paid for through a phone.
	{chance: 0.004, delay: 3 * time.Hour, payments: [2]int{2, 6}, rest: 30 * time.Minute, amount: [2]float64{0.8, 2.5}, away: 0.15},
	{chance: 0.004, delay: 3 * time.Hour, online: true, tests: [2]int{1, 6}, payments: [2]int{0, 2}, pause: 4 * time.Minute, rest: 20 * time.Minute,
		amount: [2]float64{0.8, 3}, away: 0.1},
}

// Compromised terminals.
const (
	compromiseChance = 0.00008 // that an ordinary transaction's terminal becomes compromised
	copiedShare      = 0.45    // of the payments there that are fraud
	reportedShare    = 0.8     // of frauds that are reported to the terminal's account
	disputedShare    = 0.0015  // of honest payments that are reported as fraud
)

// maybeBurst may start a burst of the customer.
func (s *Simulator) maybeBurst(c *customer, at int64) {
	draw := s.rng.Float64()
	for i := range plans {
		p := &plans[i]
		if draw -= p.chance; draw >= 0 {
			continue
		}
		if !c.busy {
			s.start(p, c, at)
		}
		return
	}
}

func (s *Simulator) start(p *plan, c *customer, at int64) {
	c.busy = true
	b := burst{plan: p, customer: c, due: at + 1000 + s.rng.Int64N(p.delay.Milliseconds()),
		tests: between(s.rng, p.tests), left: between(s.rng, p.payments), place: c.home, distance: math.NaN()}
	if s.rng.Float64() < p.away {
		b.place = s.world.terminals[s.world.far(s.rng, c.home)].place
		b.distance = b.place.distance(c.home)
	}
	heap.Push(&s.bursts, b)
}

// continueBurst makes the payment that is due of the first burst.
func (s *Simulator) continueBurst() {
	b := &s.bursts[0]
	c, p := b.customer, b.plan
	testing := b.tests > 0
	factor, pause := p.amount[0]+(p.amount[1]-p.amount[0])*s.rng.Float64(), p.rest
	var terminal uint32
	switch {
	case !p.online:
		terminal = s.world.near(s.rng, b.place)
	case p.fraud == "" && s.rng.Float64() < 0.7:
		terminal = c.sites[s.rng.IntN(len(c.sites))]
	default:
		terminal = s.world.sites[s.rng.IntN(len(s.world.sites))]
	}
	s.pay(c, terminal, b.due, factor)
	s.tx.fraud = p.fraud
	if testing {
		s.tx.cents = 50 + s.rng.Int64N(350)
		pause = p.pause
		b.tests--
	} else {
		b.left--
	}
	if p.online && s.rng.Float64() < 0.5 {
		s.tx.distance = b.distance // where the network address seems to be
	}
	if b.tests+b.left <= 0 {
		c.busy = false
		heap.Pop(&s.bursts)
		return
	}
	b.due += 1000 + int64(s.rng.ExpFloat64()*float64(pause.Milliseconds()))
	heap.Fix(&s.bursts, 0)
}

// between draws from limits[0] to limits[1], both included.
func between(rng *rand.Rand, limits [2]int) int { return limits[0] + rng.IntN(limits[1]-limits[0]+1) }

// burstHeap has the burst that is due first at its front; of two at once, the one of the customer with the smaller id.
type burstHeap []burst

func (h burstHeap) Len() int { return len(h) }
func (h burstHeap) Less(i, j int) bool {
	if h[i].due != h[j].due {
		return h[i].due < h[j].due
	}
	return string(h[i].customer.id) < string(h[j].customer.id)
}
func (h burstHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is for container/heap.
func (h *burstHeap) Push(b any) { *h = append(*h, b.(burst)) }

// Pop is for container/heap.
func (h *burstHeap) Pop() any {
	last := len(*h) - 1
	b := (*h)[last]
	*h = (*h)[:last]
	return b
}
