package main

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mlmonitor/mlmonitor/test/bench/kit"
)

// The objectives that docs/operations.md publishes.
const (
	soonEnough  = 100.0 // milliseconds, for the 99th percentile and so for those below
	fewErrors   = 0.001 // of transactions
	goodData    = 0.99  // of quality checks, above
	auditBehind = 5 * time.Second
)

// figures are what one run measured.
type figures struct {
	stream, http []float64 // from when a transaction was due to its verdict, milliseconds, sorted
	sent, asked  int64     // on the topic in all, over HTTP in the measured time
	deadLetters  int64
	failed       int64   // requests without an answer of 200
	passed       float64 // share of quality checks; NaN without any
	lost         int64   // without a verdict on the topic: sent, or answered over HTTP
	doubled      int64   // verdicts beyond the first of a transaction
	rows         int64   // in the audit
	verdicts     int64   // on the topic
	sources      int64   // inputs that the audit's rows are of
	behind       time.Duration
	tail         time.Duration // from the last verdict to the last row
}

// objective is one promise, and what became of it.
type objective struct {
	What     string `json:"objective"`
	Wanted   string `json:"wanted"`
	Measured string `json:"measured"`
	Held     bool   `json:"held"`
}

func (f *figures) judge() (all []objective) {
	add := func(what, wanted string, held bool, measured string, args ...any) {
		all = append(all, objective{what, wanted, fmt.Sprintf(measured, args...), held})
	}
	for _, one := range []struct {
		what string
		late []float64
	}{{"transaction on the topic to committed verdict", f.stream}, {"POST /predict", f.http}} {
		for _, q := range []float64{0.5, 0.95, 0.99} {
			late := math.Inf(1) // none came
			if len(one.late) > 0 {
				late = kit.Quantile(one.late, q)
			}
			add(fmt.Sprintf("%s, p%g", one.what, q*100), fmt.Sprintf("< %g ms", soonEnough), late < soonEnough, "%.1f ms", late)
		}
	}
	both := f.sent + f.asked
	errors := float64(f.deadLetters+f.failed) / float64(both)
	add("errors: dead letters, requests without a verdict", fmt.Sprintf("< %g %%", fewErrors*100), errors < fewErrors, "%.3f %% of %d", errors*100, both)
	add("data quality: checks passed", fmt.Sprintf("> %g %%", goodData*100), f.passed > goodData, "%.3f %%", f.passed*100)
	add("transactions lost", "0", f.lost == 0, "%d", f.lost)
	add("verdicts doubled", "0", f.doubled == 0, "%d", f.doubled)
	add("audit: a row for each verdict, and one only", "all", f.rows == f.verdicts && f.sources == f.verdicts, "%d rows of %d inputs, %d verdicts", f.rows, f.sources, f.verdicts)
	add("audit behind, the most", fmt.Sprintf("< %v", auditBehind), f.behind < auditBehind, "%.1f s", f.behind.Seconds())
	add("audit, last verdict to last row", fmt.Sprintf("< %v", auditBehind), f.tail < auditBehind, "%.1f s", f.tail.Seconds())
	return all
}

// sum of a metric over its labels.
func sum(samples map[string]float64, name string) (total float64) {
	for series, v := range samples {
		if series == name || strings.HasPrefix(series, name+"{") {
			total += v
		}
	}
	return total
}

// most of a metric over its labels.
func most(samples map[string]float64, name string) (highest float64) {
	for series, v := range samples {
		if strings.HasPrefix(series, name+"{") {
			highest = max(highest, v)
		}
	}
	return highest
}

var ruleLabel = regexp.MustCompile(`[{,]rule="([^"]*)"`)

// passRate is the share of quality checks that passed. Rules with a limit of their own are left out, as in the alert DataQuality.
func passRate(samples map[string]float64) float64 {
	rule := func(series string) string {
		if m := ruleLabel.FindStringSubmatch(series); m != nil {
			return m[1]
		}
		return ""
	}
	var limited []string
	for series := range samples {
		if strings.HasPrefix(series, "fraud_quality_limit_ratio{") {
			limited = append(limited, rule(series))
		}
	}
	var checks, failures float64
	for series, v := range samples {
		if slices.Contains(limited, rule(series)) {
			continue
		}
		if strings.HasPrefix(series, "fraud_quality_checks_total{") {
			checks += v
		} else if strings.HasPrefix(series, "fraud_quality_failures_total{") {
			failures += v
		}
	}
	return 1 - failures/checks
}
