package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/drift/report"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// scoredAtOnce is how many records of a topic are scored together.
const scoredAtOnce = 512

// DriftReport compares a range of the transactions topic with the bundle's profile. It scores each record as a scorer would, and writes nothing. seen is called for each
// record. The same range gives the same report.
func DriftReport(ctx context.Context, topics *kafka.Config, r kafka.Range, b *scorer.Bundle, cfg drift.Config, seen func()) (*report.Report, error) {
	if b.Profile == nil {
		return nil, fmt.Errorf("bundle %s %s has no profile: mlmonitor model profile makes one", b.ID.Name, b.ID.Version)
	}
	rules := b.Contract.Rules()
	quality := drift.NewQuality(rules).NewCounts()
	timeline := drift.NewTimeline(b.Profile, cfg.Hop, cfg.Ahead)
	s := b.NewScorer()
	memory := drift.NewMemory(rules)
	if memory != nil {
		s.Remember(memory)
	}
	waiting := 0
	flush := func() error {
		outcomes, err := s.Score()
		if err != nil {
			return err
		}
		for i := range outcomes {
			if reason := outcomes[i].Err; reason != nil {
				quality.AddRefused(reason.Rule)
			} else {
				quality.AddScored(outcomes[i].Broken)
			}
		}
		timeline.Add(s.Scored())
		if memory != nil {
			memory.Commit()
		}
		s.Reset()
		waiting = 0
		return nil
	}
	err := kafka.Read(ctx, topics, topics.Transactions, r, func(in *kafka.Record) error {
		s.Add(in.Value, in.Timestamp)
		seen()
		if waiting++; waiting == scoredAtOnce {
			return flush()
		}
		return nil
	})
	if err := errors.Join(err, flush()); err != nil {
		return nil, err
	}
	source := report.Source{Bundle: b.ID, What: fmt.Sprintf("topic %s, %d records", topics.Transactions, quality.Records)}
	return report.New(source, b.Profile, timeline, rules, quality), nil
}

// DriftHop is the length of the time line's stretches: as the scorer's windows, which alarms look at.
func DriftHop(cfg drift.Config, asked time.Duration) (drift.Config, error) {
	cfg.Hop = cfg.Window
	if asked != 0 {
		cfg.Hop = asked
	}
	if cfg.Hop < time.Second {
		return cfg, fmt.Errorf("--every is %v: set it to 1s or more", asked)
	}
	return cfg, nil
}
