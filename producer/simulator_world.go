package producer

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// point is a place in a plane, in kilometres from the middle of Germany.
type point struct{ x, y float64 }

func (p point) distance(q point) float64 { return math.Hypot(p.x-q.x, p.y-q.y) }

// countries are where terminals stand and customers live; share adds up to 1.
var countries = []struct {
	code     string
	middle   point
	terminal float64 // share of terminals
	customer float64 // share of customers
}{
	{"DE", point{0, 0}, 0.66, 0.86},
	{"AT", point{350, -450}, 0.07, 0.05},
	{"NL", point{-450, 100}, 0.06, 0.04},
	{"FR", point{-700, -350}, 0.06, 0.02},
	{"PL", point{700, 100}, 0.04, 0.03},
	{"IT", point{200, -950}, 0.04, 0},
	{"ES", point{-1500, -1200}, 0.03, 0},
	{"GB", point{-950, 150}, 0.02, 0},
	{"US", point{-6500, 300}, 0.02, 0},
}

const (
	countrySpread = 60.0 // kilometres, standard deviation around a country's middle
	usualPlaces   = 10   // terminals on the spot that a customer goes to again and again
	usualSites    = 4    // the same online
	choices       = 120  // terminals that a customer picks the usual ones from
)

// terminalKind is how a terminal is reached.
type terminalKind uint8

const (
	pos terminalKind = iota
	atm
	online
)

// categories are merchant category codes with what a payment there is relative to the customer's usual amount, and whether such a shop is
// also online. 6011, cash, is for machines alone.
var categories = []struct {
	code   int
	factor float64
	online bool
}{
	{5411, 0.9, true}, {5812, 0.7, false}, {5541, 1.4, false}, {5912, 0.6, true}, {4111, 0.25, true}, {5651, 1.6, true},
	{5732, 4, true}, {5816, 0.2, true}, {5999, 1, true}, {7011, 5, true}, {5944, 5, true}, {5311, 1.3, true},
}

const (
	cashCategory = 6011
	cashFactor   = 2.5
)

// terminal is a place or site that takes payments.
type terminal struct {
	id      string
	kind    terminalKind
	mcc     int
	factor  float64 // amounts here, relative to the customer's usual one
	country string
	place   point
	until   int64 // compromised until, Unix milliseconds
	reports reports
}

// customer is a card holder with habits.
type customer struct {
	id     []byte
	home   point
	joined int64   // day since 1970
	spend  float64 // median amount, cents
	online float64 // share of payments that are made online
	app    bool    // pays online through an app
	usual  [usualPlaces]uint32
	sites  [usualSites]uint32
	known  recentTerminals
	away   int64 // on a journey until, Unix milliseconds
	stay   point // where that is
	busy   bool  // has a burst going on
	spent  velocity
}

// world holds the people and places of a simulation; all of its slices keep their size.
type world struct {
	customers []customer
	activity  []float64 // running sum of how active the customers are
	terminals []terminal
	places    []uint32 // terminals on the spot
	sites     []uint32 // terminals online
}

func newWorld(rng *rand.Rand, customers, terminals int) *world {
	w := &world{customers: make([]customer, customers), activity: make([]float64, customers), terminals: make([]terminal, terminals)}
	for i := range w.terminals {
		w.addTerminal(rng, i)
	}
	total := 0.0
	for i := range w.customers {
		w.addCustomer(rng, i)
		total += math.Exp(0.6 * rng.NormFloat64())
		w.activity[i] = total
	}
	return w
}

func (w *world) addTerminal(rng *rand.Rand, i int) {
	t := &w.terminals[i]
	t.id = fmt.Sprintf("t-%04d", i)
	c := countries[country(rng, func(i int) float64 { return countries[i].terminal })]
	t.country, t.place = c.code, around(rng, c.middle)
	switch i % 14 { // every kind is there, however few terminals are simulated
	case 0, 4, 8, 11:
		t.kind = online
		w.sites = append(w.sites, uint32(i))
	case 6:
		t.kind, t.mcc, t.factor = atm, cashCategory, cashFactor
		w.places = append(w.places, uint32(i))
		return
	default:
		w.places = append(w.places, uint32(i))
	}
	for {
		c := categories[int(math.Pow(rng.Float64(), 1.6)*float64(len(categories)))] // the first ones are more frequent
		if t.kind == pos && c.code != 5816 || t.kind == online && c.online {
			t.mcc, t.factor = c.code, c.factor
			return
		}
	}
}

func (w *world) addCustomer(rng *rand.Rand, i int) {
	c := &w.customers[i]
	c.id = fmt.Appendf(nil, "c-%05d", i)
	at := countries[country(rng, func(i int) float64 { return countries[i].customer })]
	c.home = around(rng, at.middle)
	c.joined = 16436 + int64(math.Sqrt(rng.Float64())*4000) // 2015 to 2025, more of them of late
	c.spend = 1800 * math.Exp(0.5*rng.NormFloat64())
	c.online = 0.08 + 0.5*rng.Float64()*rng.Float64()
	c.app = rng.Float64() < 0.4
	near := make([]uint32, choices)
	for j := range near {
		near[j] = w.places[rng.IntN(len(w.places))]
	}
	slices.SortFunc(near, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(w.terminals[a].place.distance(c.home), w.terminals[b].place.distance(c.home)), cmp.Compare(a, b))
	})
	near = slices.Compact(near)
	for j := range c.usual {
		c.usual[j] = near[j%len(near)]
	}
	for j := range c.sites {
		c.sites[j] = w.sites[rng.IntN(len(w.sites))]
	}
}

// country draws an index of countries by the given share.
func country(rng *rand.Rand, share func(int) float64) int {
	left := rng.Float64()
	for i := range countries {
		if left -= share(i); left < 0 {
			return i
		}
	}
	return 0
}

func around(rng *rand.Rand, p point) point {
	return point{p.x + countrySpread*rng.NormFloat64(), p.y + countrySpread*rng.NormFloat64()}
}

// anyone draws a customer by activity.
func (w *world) anyone(rng *rand.Rand) *customer {
	i, _ := slices.BinarySearch(w.activity, rng.Float64()*w.activity[len(w.activity)-1])
	return &w.customers[i]
}

// near draws a terminal on the spot in the neighbourhood of p: the nearest of eight.
func (w *world) near(rng *rand.Rand, p point) uint32 {
	best, shortest := uint32(0), math.Inf(1)
	for range 8 {
		i := w.places[rng.IntN(len(w.places))]
		if d := w.terminals[i].place.distance(p); d < shortest {
			best, shortest = i, d
		}
	}
	return best
}

// far draws a terminal on the spot away from p: the most distant of three.
func (w *world) far(rng *rand.Rand, p point) uint32 {
	best, longest := uint32(0), -1.0
	for range 3 {
		i := w.places[rng.IntN(len(w.places))]
		if d := w.terminals[i].place.distance(p); d > longest {
			best, longest = i, d
		}
	}
	return best
}
