package scorer

import (
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mlmonitor/mlmonitor/bundles"
	"github.com/mlmonitor/mlmonitor/schemas"
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
		s.Add(e)
	}
	out, err := s.Score()
	if err != nil {
		t.Fatal(err)
	}
	return append([]Outcome{}, out...)
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
		if len(got) != len(events) || len(got) > 0 && !cmp.Equal(want, got) {
			t.Fatal(cmp.Diff(want, got))
		}
	})
}

func TestAnEventIsNotKept(t *testing.T) {
	b := sampleBundle(t)
	event := append([]byte{}, b.Examples[0].Event...)
	s := b.NewScorer()
	want := score(t, s, [][]byte{event})[0].Verdict.TransactionID
	s.Reset()
	s.Add(event)
	clear(event)
	out, err := s.Score()
	if err != nil || out[0].Verdict.TransactionID != want {
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
	s.Add(b.Examples[0].Event)
	if out, err := s.Score(); err == nil || out != nil {
		t.Errorf("%v, %v", out, err)
	}
}

func TestThePolicysEdgesBelongToTheStricterSide(t *testing.T) {
	p := Policy{Version: 1, Review: 0.3, Decline: 0.8}
	for probability, want := range map[float64]schemas.Decision{
		0: schemas.Approve, math.Nextafter(0.3, 0): schemas.Approve, 0.3: schemas.Review, math.Nextafter(0.8, 0): schemas.Review, 0.8: schemas.Decline, 1: schemas.Decline,
	} {
		if got := p.Decide(probability); got != want {
			t.Errorf("%v is %s, want %s", probability, got, want)
		}
	}
}
