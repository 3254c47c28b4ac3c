package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mlmonitor/mlmonitor/api"
	"github.com/mlmonitor/mlmonitor/audit"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/reports"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// apiSources is what the API reads: the audit where it is named, the topics, and the group of scorers. done ends its connections.
func apiSources(ctx context.Context, a api.Config, topics *kafka.Config, group string, models *consumer.Models) (s api.Sources, done func(), err error) {
	done = func() {}
	if a.DatabaseURL != "" {
		reader, err := audit.OpenReader(ctx, "API_DATABASE_URL", a.DatabaseURL, a.DatabaseURLNow)
		if err != nil {
			return s, nil, err
		}
		done = func() { reader.Close() }
		s.Find, s.Search = finder(reader), searcher(reader)
	}
	s.Drift = func(ctx context.Context, from, to time.Time) (*reports.Report, error) {
		return recentDrift(ctx, topics, models, from, to, a.DriftRecords)
	}
	s.DeadLetters = func(ctx context.Context, most int) ([]api.DeadLetter, error) {
		return lastDeadLetters(ctx, topics, most)
	}
	if topics.Models != "" {
		s.Models = func(ctx context.Context) ([]api.ModelChange, error) { return modelChanges(ctx, topics) }
	}
	s.Replicas = func(ctx context.Context) (*api.Replicas, error) { return replicas(ctx, topics, group) }
	s.Follow = func(ctx context.Context, verdict, letter func(*kafka.Record)) error {
		both, ctx := errgroup.WithContext(ctx)
		both.Go(func() error { return kafka.Follow(ctx, topics, topics.Verdicts, verdict) })
		both.Go(func() error { return kafka.Follow(ctx, topics, topics.DeadLetters, letter) })
		return both.Wait()
	}
	return s, done, nil
}

func finder(reader audit.Reader) api.Find {
	return func(ctx context.Context, id string, limit int) ([]api.RecordedVerdict, error) {
		rows, err := reader.Find(ctx, id, limit)
		return recorded(rows), err
	}
}

func searcher(reader audit.Reader) api.Search {
	return func(ctx context.Context, q api.Query) ([]api.RecordedVerdict, error) {
		asked := audit.Query{Decision: q.Decision, Bundle: q.Bundle, MinProbability: q.MinProbability, From: q.From, To: q.To, Limit: q.Limit}
		if q.After != nil {
			place := audit.Place(*q.After)
			asked.After = &place
		}
		rows, err := reader.Search(ctx, asked)
		return recorded(rows), err
	}
}

func recorded(rows []audit.Found) (all []api.RecordedVerdict) {
	for _, r := range rows {
		all = append(all, api.RecordedVerdict{Verdict: json.RawMessage(r.Payload), Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, PublishedAt: r.PublishedAt})
	}
	return all
}

// recentDrift compares the latest transactions of a time with the profile of the bundle in force.
func recentDrift(ctx context.Context, topics *kafka.Config, models *consumer.Models, from, to time.Time, most int) (*reports.Report, error) {
	r, err := kafka.Between(ctx, topics, topics.Transactions, from, to)
	if err != nil {
		return nil, err
	}
	all := r.Len()
	r.Latest(int64(most))
	what := fmt.Sprintf("%s, all of them", topics.Transactions)
	if r.Len() < all {
		what = fmt.Sprintf("%s, the latest of %d", topics.Transactions, all)
	}
	force, _ := models.Current()
	cfg := drift.Defaults()
	cfg.Hop = 5 * time.Minute
	return DriftReport(what, TopicEvents(ctx, topics, topics.Transactions, r), force.Champion, cfg)
}

// lastDeadLetters reads the ends of the topic's partitions.
func lastDeadLetters(ctx context.Context, topics *kafka.Config, most int) ([]api.DeadLetter, error) {
	r, err := kafka.Whole(ctx, topics, topics.DeadLetters)
	if err != nil {
		return nil, err
	}
	r.Latest(int64(most))
	var all []api.DeadLetter
	err = kafka.Read(ctx, topics, topics.DeadLetters, r, func(rec *kafka.Record) error {
		d, err := producer.ParseDeadLetter(rec)
		if err != nil {
			d = producer.DeadLetter{Class: "foreign", Message: "not written by this program", Timestamp: rec.Timestamp.UTC()}
		}
		all = append(all, api.DeadLetter{Class: string(d.Class), Message: d.Message, Source: api.Source{Topic: d.Source.Topic, Partition: d.Source.Partition, Offset: d.Source.Offset},
			At: d.Timestamp, Bundle: d.Bundle, Attempt: d.Attempt, Partition: rec.Partition, Offset: rec.Offset})
		return nil
	})
	slices.SortFunc(all, func(a, b api.DeadLetter) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Partition, b.Partition), cmp.Compare(b.Offset, a.Offset))
	})
	return all, err
}

// maxModelChanges is how many are told.
const maxModelChanges = 200

// mostModelEvents bounds what is read of a topic that never expires; a member that has said nothing for so long is shown without a bundle.
const mostModelEvents = 10_000

// eachModelEvent reads the end of the topic of models.
func eachModelEvent(ctx context.Context, topics *kafka.Config, each func(*kafka.Record, *schemas.ModelEvent)) error {
	r, err := kafka.Whole(ctx, topics, topics.Models)
	if err != nil {
		return err
	}
	r.Latest(mostModelEvents)
	return kafka.Read(ctx, topics, topics.Models, r, func(rec *kafka.Record) error {
		e, err := schemas.ParseModelEvent(rec.Value)
		if err != nil {
			return fmt.Errorf("%s offset %d: %w", topics.Models, rec.Offset, err)
		}
		each(rec, &e)
		return nil
	})
}

func modelChanges(ctx context.Context, topics *kafka.Config) ([]api.ModelChange, error) {
	var all []api.ModelChange
	err := eachModelEvent(ctx, topics, func(rec *kafka.Record, e *schemas.ModelEvent) {
		c := api.ModelChange{At: rec.Timestamp.UTC(), Bundle: api.Bundle(e.Bundle), Previous: e.Previous, Reason: e.Reason, Instance: e.Instance}
		if e.Canary != nil {
			canary := api.Bundle(e.Canary.Bundle)
			c.Canary, c.Share = &canary, e.Canary.Share
		}
		for p, o := range e.Offsets {
			if c.Offsets == nil {
				c.Offsets = map[string]int64{}
			}
			c.Offsets[strconv.Itoa(int(p))] = o
		}
		all = append(all, c)
	})
	slices.Reverse(all)
	return all[:min(len(all), maxModelChanges)], err
}

func replicas(ctx context.Context, topics *kafka.Config, group string) (*api.Replicas, error) {
	g, err := consumer.DescribeGroup(ctx, topics, group)
	if err != nil {
		return nil, err
	}
	has := map[string]api.Bundle{}
	if topics.Models != "" {
		if err := eachModelEvent(ctx, topics, func(_ *kafka.Record, e *schemas.ModelEvent) { has[e.Instance] = api.Bundle(e.Bundle) }); err != nil {
			return nil, err
		}
	}
	r := &api.Replicas{Group: g.Name, State: g.State, Members: []api.Member{}, Partitions: []api.Partition{}}
	for _, m := range g.Members {
		one := api.Member{Name: m.Name, Host: strings.TrimPrefix(m.Host, "/"), Partitions: append([]int32{}, m.Partitions...)}
		if b, ok := has[m.Name]; ok {
			one.Bundle = &b
		}
		r.Members = append(r.Members, one)
	}
	for p, behind := range g.Behind {
		r.Partitions = append(r.Partitions, api.Partition{Partition: p, Behind: behind})
	}
	slices.SortFunc(r.Partitions, func(a, b api.Partition) int { return cmp.Compare(a.Partition, b.Partition) })
	return r, nil
}
