package main

import (
	"math"
	"strings"
	"testing"
	"time"
)

// good is a run that holds everything.
func good() *figures {
	return &figures{stream: []float64{5, 8, 99}, http: []float64{12, 40, 99.9}, sent: 9000, asked: 1000, deadLetters: 4, failed: 5, passed: 0.995,
		rows: 9991, verdicts: 9991, sources: 9991, behind: 4 * time.Second, tail: time.Second}
}

func TestEachObjectiveIsMissedByItself(t *testing.T) {
	if err := missed(good().judge()); err != nil {
		t.Fatalf("a good run: %v", err)
	}
	for what, spoil := range map[string]func(*figures){
		"transaction on the topic to committed verdict, p99": func(f *figures) { f.stream = []float64{5, 8, 100, 100} },
		"POST /predict, p50":          func(f *figures) { f.http = nil },
		"errors":                      func(f *figures) { f.failed += 2 },
		"data quality":                func(f *figures) { f.passed = 0.98 },
		"data quality: checks passed": func(f *figures) { f.passed = math.NaN() }, // nothing was checked
		"transactions lost":           func(f *figures) { f.lost = 1 },
		"verdicts doubled":            func(f *figures) { f.doubled = 1 },
		"audit: a row":                func(f *figures) { f.rows-- },
		"audit: a row for each":       func(f *figures) { f.sources-- },
		"audit behind":                func(f *figures) { f.behind = time.Minute },
		"audit, last":                 func(f *figures) { f.tail = time.Minute },
	} {
		f := good()
		spoil(f)
		if err := missed(f.judge()); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("with a bad run the error is %v, want one of %q", err, what)
		}
	}
}

func TestPassRateLeavesRulesWithALimitOut(t *testing.T) {
	got := passRate(map[string]float64{
		`fraud_quality_checks_total{bundle="a",rule="type",severity="dead-letter"}`: 100, `fraud_quality_failures_total{bundle="a",rule="type",severity="dead-letter"}`: 1,
		`fraud_quality_checks_total{bundle="a",rule="known",severity="count"}`: 100, `fraud_quality_failures_total{bundle="a",rule="known",severity="count"}`: 20,
		`fraud_quality_limit_ratio{bundle="a",rule="known"}`: 0.25,
	})
	if got != 0.99 {
		t.Errorf("%v of the checks passed, want 0.99", got)
	}
}
