package schemas

import (
	"encoding/json"
	"testing"
	"time"
)

func BenchmarkDecode(b *testing.B) {
	c := mustContract(b, simulatorContract)
	data := []byte(event)
	b.Run("mlmonitor", func(b *testing.B) {
		d, row, tx := c.NewDecoder(), make([]float64, len(c.features)), Transaction{}
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if err := d.Decode(data, row, &tx); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encodingJSONMap", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			var m map[string]any
			if err := json.Unmarshal(data, &m); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encodingJSONStruct", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			var tx simulated
			if err := json.Unmarshal(data, &tx); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// simulated is the simulator's event for encoding/json.
type simulated struct {
	ID       string `json:"transaction_id"`
	Customer struct {
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
		Count1h          int      `json:"count_1h"`
		Count24h         int      `json:"count_24h"`
		Count7d          int      `json:"count_7d"`
		Amount24h        float64  `json:"amount_24h"`
		Amount7d         float64  `json:"amount_7d"`
		AvgAmount30d     float64  `json:"avg_amount_30d"`
		SecondsSinceLast *float64 `json:"seconds_since_last"`
		TerminalFraud7d  float64  `json:"terminal_fraud_7d"`
		NewTerminal      bool     `json:"new_terminal"`
	} `json:"velocity"`
}

func BenchmarkVerdictAppend(b *testing.B) {
	v := sampleVerdict()
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = v.Append(dst[:0]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseVerdict(b *testing.B) {
	v := sampleVerdict()
	data, err := v.Append(nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("mlmonitor", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ParseVerdict(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encodingJSON", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var v Verdict
			if err := json.Unmarshal(data, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestDecodeAndAppendDoNotAllocate(t *testing.T) {
	c := mustContract(t, simulatorContract)
	d, row, tx, data := c.NewDecoder(), make([]float64, len(c.features)), Transaction{}, []byte(event)
	// Another order, an unknown field and an escape are normal too, once seen.
	other := []byte(`{"extra":{"a":[1,{"b":2}]},"velocity":{"new_terminal":true,"count_1h":1,"count_24h":3,"count_7d":9,"amount_24h":55.1,` +
		`"terminal_fraud_7d":0.5,"amount_7d":201.0},"amount":1,"country":"D\u0045","terminal":{"mcc":1},"customer":{"id":7},` +
		`"event_time":"2026-07-05T10:11:12+02:00","transaction_id":12}`)
	allocs := testing.AllocsPerRun(100, func() {
		for _, e := range [][]byte{data, other, data} {
			if err := d.Decode(e, row, &tx); err != nil {
				t.Fatal(err)
			}
		}
	})
	if allocs != 0 {
		t.Errorf("Decode allocates %v times for three events", allocs)
	}
	v := sampleVerdict()
	dst := make([]byte, 0, 1024)
	if allocs := testing.AllocsPerRun(100, func() {
		if _, err := v.Append(dst); err != nil {
			t.Fatal(err)
		}
	}); allocs != 0 {
		t.Errorf("Append allocates %v times", allocs)
	}
}
