package producer

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Limits of a simulation. A customer's state is about 2 KiB, a terminal's about 250 bytes.
const (
	minCustomers = 10
	maxCustomers = 200_000
	minTerminals = 20
	maxTerminals = 100_000

	// warmUp is how long a simulation runs unseen before its first event: the longest window of the aggregates.
	warmUp = averageDays * 24 * time.Hour
)

// SimulatorConfig says what is simulated. Equal configurations make the same bytes.
type SimulatorConfig struct {
	Seed      uint64    // of the customers, the terminals and everything that happens to them
	First     uint64    // number of the first transaction; the same seed with another First is the same people on another stretch of time
	Start     time.Time // event time of the first transaction, 2000 to 2200
	Customers int       // 10 to 200,000, each with about two transactions a day
	Terminals int       // 20 to 100,000
	Malformed float64   // share of events that are replaced by malformed ones, 0 to 1
}

// Validate says what is wrong with the configuration.
func (c SimulatorConfig) Validate() error {
	switch {
	case c.Customers < minCustomers || c.Customers > maxCustomers:
		return fmt.Errorf("simulate %d customers: use %d to %d", c.Customers, minCustomers, maxCustomers)
	case c.Terminals < minTerminals || c.Terminals > maxTerminals:
		return fmt.Errorf("simulate %d terminals: use %d to %d", c.Terminals, minTerminals, maxTerminals)
	case !(0 <= c.Malformed && c.Malformed <= 1):
		return fmt.Errorf("simulate a share of %v malformed events: use 0 to 1", c.Malformed)
	case c.Start.UTC().Year() < 2000 || c.Start.UTC().Year() > 2200:
		return fmt.Errorf("simulate from %s: use a year from 2000 to 2200", c.Start.UTC().Format(time.RFC3339))
	}
	return nil
}

// Simulator makes transactions of simulated customers at simulated terminals, three kinds of fraud among them, with the aggregates that a
// feature pipeline upstream would have computed. It is deterministic (between processor architectures but for the rounding of math.Exp),
// has no clock but its own, and its memory does not grow. It is not for concurrent use.
//
// The idea of customers and terminals in a plane with injected fraud follows the simulator of Le Borgne, Siblini, Lebichot and Bontempi,
// "Reproducible Machine Learning for Credit Card Fraud Detection - Practical Handbook", 2022.
type Simulator struct {
	world  *world
	rng    *rand.Rand
	clock  arrivals
	next   int64 // when the next ordinary transaction happens, Unix milliseconds
	bursts burstHeap
	number uint64
	damage damage
	tx     transaction // reused
}

// Event is one simulated transaction, as it would stand in the topic.
type Event struct {
	Number    uint64 // counts from SimulatorConfig.First
	Key       []byte // customer id; shared, not to be changed
	Value     []byte // JSON
	Fraud     string // "" or the kind; only the simulator knows it, the value does not tell. "" where the value is malformed
	Malformed string // "" or which of MalformedKinds
}

// TransactionID is the id that the event has, or had before it was malformed.
func (e Event) TransactionID() string { return string(appendTransactionID(nil, e.Number)) }

// NewSimulator makes a simulator and runs it, unseen, through the thirty days before Start, so that the first event's aggregates look
// like those of later ones. That costs about the time of 60 events for each customer.
func NewSimulator(c SimulatorConfig) (*Simulator, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	start := c.Start.UnixMilli()
	s := &Simulator{
		world:  newWorld(rand.New(rand.NewPCG(c.Seed, streamWorld)), c.Customers, c.Terminals),
		rng:    rand.New(rand.NewPCG(c.Seed^streamEvents, c.First)),
		clock:  newArrivals(c.Customers),
		number: c.First,
		damage: damage{share: c.Malformed, rng: rand.New(rand.NewPCG(c.Seed^streamDamage, c.First))},
	}
	for s.next = start - warmUp.Milliseconds(); s.due() < start; {
		s.advance()
	}
	s.next = start
	return s, nil
}

// The random streams are apart, so that the same people are met whatever First is, and so that the share of malformed events changes no
// other event.
const (
	streamWorld  = 0x776f726c64
	streamEvents = 0x6576656e7473
	streamDamage = 0x64616d616765
)

// Next makes the next transaction. The value is written over buf, which may be nil; it grows where needed.
func (s *Simulator) Next(buf []byte) Event {
	s.advance()
	e := Event{Number: s.number, Key: s.tx.customer.id, Fraud: s.tx.fraud, Value: s.tx.appendJSON(buf[:0], s.number)}
	s.number++
	if kind := s.damage.pick(); kind != nil {
		e.Value, e.Malformed, e.Fraud = kind.apply(e.Value), kind.name, ""
	}
	return e
}

// due is when the next transaction happens.
func (s *Simulator) due() int64 {
	if len(s.bursts) > 0 && s.bursts[0].due < s.next {
		return s.bursts[0].due
	}
	return s.next
}

// advance makes the next transaction in s.tx, and moves the clock.
func (s *Simulator) advance() {
	if len(s.bursts) > 0 && s.bursts[0].due <= s.next {
		s.continueBurst()
	} else {
		s.ordinary()
		s.next = s.clock.after(s.next, s.rng)
	}
	s.tx.account()
}
