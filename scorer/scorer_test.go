package scorer

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/mlmonitor/mlmonitor/bundles"
)

func sampleBundle(t testing.TB) *Bundle {
	t.Helper()
	b, err := LoadBundle(bundles.Sample(), Auto)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// score gives the outcomes of a batch, copied out of the scorer's memory.
func score(t interface{ Fatal(...any) }, s *Scorer, events [][]byte) []Outcome {
	s.Reset()
	for _, e := range events {
		s.Add(e, time.Time{})
	}
	out, err := s.Score()
	if err != nil {
		t.Fatal(err)
	}
	out = append([]Outcome{}, out...)
	for i := range out {
		out[i].Verdict.TransactionID = slices.Clone(out[i].Verdict.TransactionID)
		out[i].Verdict.Findings = slices.Clone(out[i].Verdict.Findings)
	}
	return out
}

func TestABatchIsScoredAsItsEventsAlone(t *testing.T) {
	b := sampleBundle(t)
	var pool [][]byte
	for _, e := range b.Examples {
		pool = append(pool, e.Event)
	}
	pool = append(pool, []byte(`{"transaction_id":1}`), []byte("not JSON"), nil)
	long, alone := b.NewScorer(), b.NewScorer()
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(rapid.SampledFrom(pool), 0, 40).Draw(t, "events")
		got := score(t, long, events)
		var want []Outcome
		for _, e := range events {
			want = append(want, score(t, alone, [][]byte{e})...)
		}
		if len(got) != len(events) || len(got) > 0 && !cmp.Equal(want, got, cmpopts.EquateEmpty()) {
			t.Fatal(cmp.Diff(want, got, cmpopts.EquateEmpty()))
		}
	})
}

func TestAnEventIsNotKept(t *testing.T) {
	b := sampleBundle(t)
	event := append([]byte{}, b.Examples[0].Event...)
	s := b.NewScorer()
	want := score(t, s, [][]byte{event})[0].Verdict.TransactionID
	s.Reset()
	s.Add(event, time.Time{})
	clear(event)
	out, err := s.Score()
	if err != nil || !cmp.Equal(out[0].Verdict.TransactionID, want) {
		t.Errorf("after the event's bytes were used again: %q, %v", out[0].Verdict.TransactionID, err)
	}
}

// fake is a model with a say over its results.
type fake struct {
	Model
	margin, probability float64
	err                 error
}

func (f fake) Margins(_, out []float64) error {
	for i := range out {
		out[i] = f.margin
	}
	return f.err
}

func (f fake) Transform(_, out []float64) error {
	for i := range out {
		out[i] = f.probability
	}
	return nil
}

func TestNoScoreThatIsNoneBecomesADecision(t *testing.T) {
	for _, c := range []fake{
		{margin: math.NaN(), probability: 0.5}, {margin: math.Inf(1), probability: 1}, {margin: math.Inf(-1), probability: 0},
		{margin: 1, probability: math.NaN()}, {margin: 1, probability: 1.0000001}, {margin: 1, probability: -1e-9},
	} {
		b := sampleBundle(t)
		c.Model = b.Model
		b.Model = c
		out := score(t, b.NewScorer(), [][]byte{b.Examples[0].Event})[0]
		if out.Err == nil || out.Err.Class != ScoreNotFinite || out.Verdict.Decision != "" {
			t.Errorf("margin %v, probability %v: %+v", c.margin, c.probability, out)
		}
	}
}

func TestAFailedEngineGivesNoOutcome(t *testing.T) {
	b := sampleBundle(t)
	b.Model = fake{Model: b.Model, err: errors.New("the engine is broken")}
	s := b.NewScorer()
	s.Add(b.Examples[0].Event, time.Time{})
	if out, err := s.Score(); err == nil || out != nil {
		t.Errorf("%v, %v", out, err)
	}
}

// spoilt gives some rows of a sound model a margin that is no number, and can fail in its transform.
type spoilt struct {
	Model
	every     int
	transform error
}

func (s spoilt) Margins(rows, out []float64) error {
	err := s.Model.Margins(rows, out)
	for i := range out {
		if i%s.every == 0 {
			out[i] = math.NaN()
		}
	}
	return err
}

func (s spoilt) Transform(margins, out []float64) error {
	return errors.Join(s.transform, s.Model.Transform(margins, out))
}

func TestAnEventWithoutAScoreDoesNotDisturbItsNeighbours(t *testing.T) {
	b := sampleBundle(t)
	var events [][]byte
	for i, e := range b.Examples[:12] {
		if i%5 == 1 {
			events = append(events, []byte("{"))
		}
		events = append(events, e.Event)
	}
	want := score(t, b.NewScorer(), events)
	b.Model = spoilt{Model: b.Model, every: 3}
	row := 0
	for i, got := range score(t, b.NewScorer(), events) {
		if want[i].Err == nil {
			if row++; (row-1)%3 == 0 {
				if got.Err == nil || got.Err.Class != ScoreNotFinite || got.Verdict.Decision != "" {
					t.Errorf("event %d: %+v", i, got)
				}
				continue
			}
		}
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Errorf("event %d: %s", i, diff)
		}
	}
}

func TestAFailedTransformGivesNoOutcome(t *testing.T) {
	b := sampleBundle(t)
	b.Model = spoilt{Model: b.Model, every: 1 << 20, transform: errors.New("no transform")}
	s := b.NewScorer()
	s.Add(b.Examples[0].Event, time.Time{})
	if out, err := s.Score(); err == nil || out != nil {
		t.Errorf("%v, %v", out, err)
	}
}

// TestFindingsStayWithTheirEvent: the decoder reuses its list.
func TestFindingsStayWithTheirEvent(t *testing.T) {
	b := sampleBundle(t)
	edit := func(field string) []byte {
		var event map[string]any
		if err := json.Unmarshal(b.Examples[0].Event, &event); err != nil {
			t.Fatal(err)
		}
		delete(event, field)
		delete(event["velocity"].(map[string]any), field)
		data, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	out := score(t, b.NewScorer(), [][]byte{edit("distance_km"), edit("nothing"), edit("avg_amount_30d")})
	want := [][]string{{"missing:distance_km"}, nil, {"missing:avg_amount_30d"}}
	for i, o := range out {
		if o.Err != nil || len(o.Verdict.Findings)+len(want[i]) > 0 && !cmp.Equal(o.Verdict.Findings, want[i]) {
			t.Errorf("event %d: %v, %v, want %v", i, o.Verdict.Findings, o.Err, want[i])
		}
	}
}

// TestVerdictsOfABatchDoNotReachIntoEachOther: they share memory.
func TestVerdictsOfABatchDoNotReachIntoEachOther(t *testing.T) {
	b := sampleBundle(t)
	s := b.NewScorer()
	for _, e := range b.Examples {
		s.Add(e.Event, time.Time{})
	}
	out, err := s.Score()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range out {
		_ = append(o.Verdict.TransactionID, "another"...)
		_ = append(o.Verdict.Findings, "another")
	}
	for i, e := range b.Examples {
		want := score(t, b.NewScorer(), [][]byte{e.Event})[0]
		if diff := cmp.Diff(want, out[i], cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("event %d: %s", i, diff)
		}
	}
}
