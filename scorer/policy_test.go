package scorer

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mlmonitor/mlmonitor/schemas"
)

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

func TestAHigherProbabilityIsNeverTreatedMilder(t *testing.T) {
	strictness := map[schemas.Decision]int{schemas.Approve: 0, schemas.Review: 1, schemas.Decline: 2}
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{Version: 1, Review: rapid.Float64Range(0, 1).Draw(t, "review")}
		p.Decline = rapid.Float64Range(p.Review, 1).Draw(t, "decline")
		low := rapid.Float64Range(0, 1).Draw(t, "low")
		high := rapid.Float64Range(low, 1).Draw(t, "high")
		if strictness[p.Decide(low)] > strictness[p.Decide(high)] {
			t.Fatalf("%+v: %v is %s, %v is %s", p, low, p.Decide(low), high, p.Decide(high))
		}
	})
}

func TestAPolicyIsReadStrictly(t *testing.T) {
	for text, want := range map[string]Policy{
		"version: 1\nreview: 0.30\ndecline: 0.80\n": {1, 0.3, 0.8},
		"version: 1\nreview: 0\ndecline: 0\n":       {1, 0, 0}, // decline all
		"version: 1\nreview: 1\ndecline: 1\n":       {1, 1, 1},
		"{version: 1, review: 1e-3, decline: 0.5}":  {1, 0.001, 0.5},
	} {
		if got, err := ParsePolicy([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"": "policy.yaml",
		"version: 2\nreview: 0.3\ndecline: 0.8\n":              "version is 2",
		"review: 0.3\ndecline: 0.8\n":                          "version is 0",
		"version: 1\nreview: -0.1\ndecline: 0.8\n":             "review -0.1",
		"version: 1\nreview: 0.3\ndecline: 1.1\n":              "decline 1.1",
		"version: 1\nreview: 0.9\ndecline: 0.8\n":              "review 0.9",
		"version: 1\nreview: 0.3\ndecline: .nan\n":             "decline NaN",
		"version: 1\nreview: 0.3\ndecline: .inf\n":             "decline +Inf",
		"version: 1\nreview: high\ndecline: 0.8\n":             "high",
		"version: 1\nreview: 0.3\nreview: 0.4\ndecline: 0.8\n": "review",
		"version: 1\nreview: 0.3\ndecline: 0.8\nblock: 1\n":    "block",
		"- 1": "policy.yaml",
	} {
		if got, err := ParsePolicy([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v does not say %q", text, got, err, want)
		}
	}
}
