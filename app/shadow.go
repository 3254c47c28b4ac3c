package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// ShadowReport compares what a challenger would have decided with what a champion decided, on the same inputs.
type ShadowReport struct {
	Champion     schemas.BundleID   `json:"champion"`
	Challenger   schemas.BundleID   `json:"challenger"`
	Transactions int64              `json:"transactions"`
	Agreement    float64            `json:"agreement"` // share of them on which both decide alike
	Decided      [3][3]int64        `json:"decided"`   // by the champion's decision and the challenger's, in the order of Order
	Order        []schemas.Decision `json:"order"`
	MeanDistance float64            `json:"mean_distance"` // of the two probabilities
	MaxDistance  float64            `json:"max_distance"`
	PSI          float64            `json:"psi"` // of the challenger's probabilities against the champion's
}

// maxShadowed bounds the memory of a comparison: some 100 bytes each.
const maxShadowed = 5_000_000

// place is where an input stands in its topic.
type place struct {
	partition int32
	offset    int64
}

type shadowed struct {
	challenger  int // which
	decision    int
	probability float64
}

// CompareShadow pairs the verdicts of a range of the topic in the shadow with those that decided: one report for each two bundles, those with most transactions first.
func CompareShadow(ctx context.Context, topics *kafka.Config, shadow, verdicts kafka.Range) ([]*ShadowReport, error) {
	waiting := map[place]shadowed{}
	var challengers []schemas.BundleID
	err := kafka.Read(ctx, topics, topics.Shadow, shadow, func(r *kafka.Record) error {
		v, err := parseVerdict(r)
		if err != nil {
			return err
		}
		if len(waiting) == maxShadowed {
			return fmt.Errorf("more than %d verdicts in the shadow: compare a shorter time with --from and --to", maxShadowed)
		}
		which := slices.Index(challengers, v.Bundle)
		if which < 0 {
			which = len(challengers)
			challengers = append(challengers, v.Bundle)
		}
		waiting[place{v.Source.Partition, v.Source.Offset}] = shadowed{which, drift.Place(v.Decision), v.Probability}
		return nil
	})
	if err != nil {
		return nil, err
	}
	found := map[[2]schemas.BundleID]*drift.Pairs{}
	err = kafka.Read(ctx, topics, topics.Verdicts, verdicts, func(r *kafka.Record) error {
		v, err := parseVerdict(r)
		if err != nil {
			return err
		}
		at := place{v.Source.Partition, v.Source.Offset}
		s, ok := waiting[at]
		if !ok {
			return nil
		}
		delete(waiting, at)
		both := [2]schemas.BundleID{v.Bundle, challengers[s.challenger]}
		if found[both] == nil {
			found[both] = drift.NewPairs()
		}
		found[both].Add(drift.Place(v.Decision), s.decision, v.Probability, s.probability)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var all []*ShadowReport
	for both, p := range found {
		all = append(all, &ShadowReport{Champion: both[0], Challenger: both[1], Transactions: p.Count(), Agreement: p.Agreement(), Decided: p.Decided, Order: drift.Decisions,
			MeanDistance: p.Sum / float64(p.Count()), MaxDistance: p.Largest, PSI: p.PSI()})
	}
	slices.SortFunc(all, func(a, b *ShadowReport) int {
		return cmp.Or(cmp.Compare(b.Transactions, a.Transactions), cmp.Compare(a.Champion.Digest+a.Challenger.Digest, b.Champion.Digest+b.Challenger.Digest))
	})
	return all, nil
}

func parseVerdict(r *kafka.Record) (schemas.Verdict, error) {
	v, err := schemas.ParseVerdict(r.Value)
	if err != nil {
		return v, fmt.Errorf("%s partition %d offset %d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	return v, nil
}
