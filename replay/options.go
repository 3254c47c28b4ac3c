package replay

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mlmonitor/mlmonitor/replay/metrics"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// Options say what is compared with what.
type Options struct {
	Candidate *scorer.Bundle
	Base      *scorer.Bundle // nil: the verdicts that were given, where Verdicts says so, or nothing
	Verdicts  bool           // compare with the verdicts that were given

	Labels     *Labels // nil for none
	Unlabelled string  // what a mature transaction without a label is: "unknown" or "honest"
	Maturity   time.Duration
	AsOf       time.Time // what is known is known at this time: transactions of the Maturity before it are too young

	Costs    *metrics.Costs // nil: no money
	K        int            // transactions or customers that are looked at in a day
	Segments []string       // features
	Sample   float64        // share of the keys, 1 for all
	Since    time.Time      // of a file, whose events have no records: event times from Since, included, to Until, not included; zero for no bound
	Until    time.Time
	Workers  int
	Hop      time.Duration // of the drift's time line
	Command  string        // as it was called, for the report

	Each func(*Answer) error // is given each answer, by several at once; nil: nobody
	Seen func(n int)         // is told of progress
}

// Validate refuses what cannot be replayed.
func (o *Options) Validate() error {
	names := o.Candidate.Contract.FeatureNames()
	for _, s := range o.Segments {
		if !slices.Contains(names, s) {
			return fmt.Errorf("--segment %s: the contract has no such feature; it has %v", s, names)
		}
	}
	switch {
	case len(o.Segments) > 8:
		return errors.New("--segment: eight features at most")
	case !(o.Sample > 0 && o.Sample <= 1):
		return fmt.Errorf("--sample is %v: above 0 and at most 1 is needed", o.Sample)
	case o.K < 1 || o.K > 100_000:
		return fmt.Errorf("--k is %d: 1 to 100000 is needed", o.K)
	case o.Maturity < 0:
		return fmt.Errorf("--maturity is %v: it must not be negative", o.Maturity)
	case o.Labels != nil && o.Unlabelled != "unknown" && o.Unlabelled != "honest":
		return fmt.Errorf("--unlabelled is %q: unknown or honest", o.Unlabelled)
	case o.Labels == nil && o.Costs != nil:
		return errors.New("--costs needs --labels: without them nobody knows what a decision cost")
	}
	return nil
}

// Answer is what was made of one input.
type Answer struct {
	Input     *Input
	Verdict   *schemas.Verdict // the candidate's; nil where it refuses the input
	Refusal   *schemas.Error
	Amount    float64
	Base      *Given // nil where nothing is compared, or the base has no verdict
	Labelled  bool
	Fraud     bool
	EventTime time.Time
}

// Given is what the base made of an input.
type Given struct {
	Decision    schemas.Decision
	Probability float64
	Bundle      schemas.BundleID
}
