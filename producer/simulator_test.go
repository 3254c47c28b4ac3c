package producer

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// monday is the start of the tests' simulations.
var monday = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

func startSimulator(t *testing.T, c SimulatorConfig) *Simulator {
	t.Helper()
	if c.Customers == 0 {
		c.Customers, c.Terminals = 300, 80
	}
	if c.Start.IsZero() {
		c.Start = monday
	}
	s, err := NewSimulator(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// eventValues makes n events and keeps their values.
func eventValues(s *Simulator, n int) []string {
	all := make([]string, n)
	var buf []byte
	for i := range all {
		buf = s.Next(buf).Value
		all[i] = string(buf)
	}
	return all
}

// simulated is an event as its readers see it; a pointer is null where the field is.
type simulated struct {
	TransactionID string `json:"transaction_id"`
	Customer      struct {
		ID      string `json:"id"`
		AgeDays int    `json:"age_days"`
	} `json:"customer"`
	Terminal struct {
		ID  string `json:"id"`
		MCC int    `json:"mcc"`
	} `json:"terminal"`
	Card struct {
		Present bool `json:"present"`
	} `json:"card"`
	Amount     float64   `json:"amount"`
	Currency   string    `json:"currency"`
	Channel    string    `json:"channel"`
	Country    string    `json:"country"`
	DistanceKM *float64  `json:"distance_km"`
	EventTime  time.Time `json:"event_time"`
	Velocity   struct {
		Count1H          int     `json:"count_1h"`
		Count24H         int     `json:"count_24h"`
		Count7D          int     `json:"count_7d"`
		Amount24H        float64 `json:"amount_24h"`
		Amount7D         float64 `json:"amount_7d"`
		AvgAmount30D     float64 `json:"avg_amount_30d"`
		SecondsSinceLast *int64  `json:"seconds_since_last"`
		TerminalFraud7D  float64 `json:"terminal_fraud_7d"`
		NewTerminal      bool    `json:"new_terminal"`
	} `json:"velocity"`
}

func readEvent(t *testing.T, value []byte) simulated {
	t.Helper()
	var e simulated
	if err := json.Unmarshal(value, &e); err != nil {
		t.Fatalf("%v in %s", err, value)
	}
	return e
}

func TestSameSeedGivesTheSameBytes(t *testing.T) {
	c := SimulatorConfig{Seed: 7, Malformed: 0.05}
	first := eventValues(startSimulator(t, c), 3000)
	if diff := cmp.Diff(first, eventValues(startSimulator(t, c), 3000)); diff != "" {
		t.Errorf("two runs differ:\n%s", diff)
	}
	c.Seed = 8
	if first[0] == eventValues(startSimulator(t, c), 1)[0] {
		t.Error("another seed gives the same first event")
	}
}

func TestEventHasExactlyTheFieldsOfTheDesign(t *testing.T) {
	const shape = `{"transaction_id":"tx-000000000042","customer":{"id":"c-00017","age_days":812},"terminal":{"id":"t-0042","mcc":5411},` +
		`"card":{"present":true},"amount":12.5,"currency":"EUR","channel":"pos","country":"DE","distance_km":3.2,` +
		`"event_time":"2026-01-05T10:11:12.345Z","velocity":{"count_1h":1,"count_24h":3,"count_7d":9,"amount_24h":55.1,"amount_7d":201,` +
		`"avg_amount_30d":31.2,"seconds_since_last":5321,"terminal_fraud_7d":0.01,"new_terminal":false}}`
	at := time.Date(2026, 1, 5, 10, 11, 12, 345e6, time.UTC).UnixMilli()
	c := &customer{id: []byte("c-00017"), joined: at/dayMillis - 812}
	v := &c.spent
	v.total, v.oldest, v.cents = 9, [3]uint64{8, 6, 0}, [3]int64{1250, 5510, 20100}
	v.count, v.sum = 10, 31200
	tx := transaction{at: at, customer: c, terminal: &terminal{id: "t-0042", mcc: 5411, country: "DE", reports: reports{share: 0.00999}},
		channel: "pos", present: true, cents: 1250, distance: 3.2, sinceLast: 5321}
	if diff := cmp.Diff(shape, string(tx.appendJSON(nil, 42))); diff != "" {
		t.Error(diff)
	}
	tx.distance, tx.sinceLast = math.NaN(), -1
	want := strings.NewReplacer(`"distance_km":3.2`, `"distance_km":null`, `"seconds_since_last":5321`, `"seconds_since_last":null`).Replace(shape)
	if diff := cmp.Diff(want, string(tx.appendJSON(nil, 42))); diff != "" {
		t.Error(diff)
	}
}

func TestContinuedRunMeetsTheSamePeopleAndRepeatsNoTransaction(t *testing.T) {
	s := startSimulator(t, SimulatorConfig{Seed: 3})
	before := eventValues(s, 2000)
	end := readEvent(t, []byte(before[1999])).EventTime
	next := startSimulator(t, SimulatorConfig{Seed: 3, First: 2000, Start: end})
	e := next.Next(nil)
	if got := readEvent(t, e.Value); e.Number != 2000 || got.TransactionID != "tx-000000002000" || !got.EventTime.Equal(end) {
		t.Errorf("the second run begins with number %d, %s at %s", e.Number, got.TransactionID, got.EventTime)
	}
	for i := range s.world.customers {
		if a, b := &s.world.customers[i], &next.world.customers[i]; a.home != b.home || a.usual != b.usual {
			t.Fatalf("customer %s has moved", a.id)
		}
	}
}

func TestMalformedShareLeavesOtherEventsAsTheyAre(t *testing.T) {
	clean, mixed := startSimulator(t, SimulatorConfig{Seed: 5}), startSimulator(t, SimulatorConfig{Seed: 5, Malformed: 0.1})
	malformed := 0
	for range 10_000 {
		a, b := clean.Next(nil), mixed.Next(nil)
		if string(a.Key) != string(b.Key) || a.Number != b.Number {
			t.Fatalf("event %d: key or number differ", a.Number)
		}
		if b.Malformed != "" {
			malformed++
			if b.Fraud != "" {
				t.Fatal("a malformed event has a label")
			}
			continue
		}
		if string(a.Value) != string(b.Value) || a.Fraud != b.Fraud {
			t.Fatalf("event %d differs:\n%s\n%s", a.Number, a.Value, b.Value)
		}
	}
	if malformed < 850 || malformed > 1150 {
		t.Errorf("%d of 10,000 events are malformed, want about 1,000", malformed)
	}
}

func TestKeyIsTheCustomer(t *testing.T) {
	s := startSimulator(t, SimulatorConfig{Seed: 1})
	for range 500 {
		if e := s.Next(nil); readEvent(t, e.Value).Customer.ID != string(e.Key) {
			t.Fatalf("key %s of %s", e.Key, e.Value)
		}
	}
}

func TestNextWritesIntoTheGivenBuffer(t *testing.T) {
	s := startSimulator(t, SimulatorConfig{Seed: 1})
	buf := make([]byte, 0, 4096)
	e := s.Next(buf)
	if &e.Value[0] != &buf[:1][0] {
		t.Error("the value is not in the buffer, though it fits")
	}
	if n := testing.AllocsPerRun(20_000, func() { buf = s.Next(buf).Value }); n >= 1 {
		t.Errorf("%v allocations an event, want none but for a new burst", n)
	}
}

func TestSimulatorRefusesWhatItCannotSimulate(t *testing.T) {
	good := SimulatorConfig{Start: monday, Customers: 10, Terminals: 20, Malformed: 1}
	if _, err := NewSimulator(good); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*SimulatorConfig){
		"9 customers":       func(c *SimulatorConfig) { c.Customers = 9 },
		"200001 customers":  func(c *SimulatorConfig) { c.Customers = 200_001 },
		"19 terminals":      func(c *SimulatorConfig) { c.Terminals = 19 },
		"100001 terminals":  func(c *SimulatorConfig) { c.Terminals = 100_001 },
		"share of -0.1":     func(c *SimulatorConfig) { c.Malformed = -0.1 },
		"share of 1.5":      func(c *SimulatorConfig) { c.Malformed = 1.5 },
		"share of NaN":      func(c *SimulatorConfig) { c.Malformed = math.NaN() },
		"from 0001-01-01":   func(c *SimulatorConfig) { c.Start = time.Time{} },
		"from 2201-01-01T0": func(c *SimulatorConfig) { c.Start = time.Date(2201, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		c := good
		change(&c)
		if _, err := NewSimulator(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
	}
}
