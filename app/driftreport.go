package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/reports"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// scoredAtOnce is how many records of a topic are scored together.
const scoredAtOnce = 512

// Events calls each for transactions, in any order, with the timestamps of their records, zero where they have none.
type Events func(each func(event []byte, timestamp time.Time) error) error

// TopicEvents are the committed records of a range of a topic.
func TopicEvents(ctx context.Context, topics *kafka.Config, topic string, r kafka.Range) Events {
	return func(each func([]byte, time.Time) error) error {
		return kafka.Read(ctx, topics, topic, r, func(in *kafka.Record) error { return each(in.Value, in.Timestamp) })
	}
}

// FileEvents are JSON lines.
func FileEvents(r io.Reader) Events {
	return func(each func([]byte, time.Time) error) error {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, schemas.MaxEventBytes+1)
		for lines.Scan() {
			if err := each(lines.Bytes(), time.Time{}); err != nil {
				return err
			}
		}
		return lines.Err()
	}
}

// DriftReport compares transactions with the bundle's profile: what names them. It scores each as a scorer would, and writes nothing. The same transactions give
// the same report.
func DriftReport(what string, events Events, b *scorer.Bundle, cfg drift.Config) (*reports.Report, error) {
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
	err := events(func(event []byte, timestamp time.Time) error {
		s.Add(event, timestamp)
		if waiting++; waiting == scoredAtOnce {
			return flush()
		}
		return nil
	})
	if err := errors.Join(err, flush()); err != nil {
		return nil, err
	}
	source := reports.Source{Bundle: b.ID, What: fmt.Sprintf("%s, %d records", what, quality.Records)}
	return reports.New(source, b.Profile, timeline, rules, quality), nil
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
