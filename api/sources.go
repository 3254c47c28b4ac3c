package api

import (
	"context"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/reports"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// Sources is what the API reads. Where one is nil, there is none, and what shows it is not offered.
type Sources struct {
	Find        Find
	Search      Search
	Drift       func(ctx context.Context, from, to time.Time) (*reports.Report, error) // of the latest transactions in between; a zero time does not bound
	Models      func(context.Context) ([]ModelChange, error)                           // the latest first
	DeadLetters func(ctx context.Context, most int) ([]DeadLetter, error)              // the latest first
	Replicas    func(context.Context) (*Replicas, error)
	Follow      Follow
}

// Find looks for the recorded verdicts of a transaction id, the latest first, at most limit.
type Find func(ctx context.Context, transactionID string, limit int) ([]RecordedVerdict, error)

// Search looks for recorded verdicts, the latest first, at most q.Limit.
type Search func(ctx context.Context, q Query) ([]RecordedVerdict, error)

// Query narrows a search; its zero value matches every verdict.
type Query struct {
	Decision       schemas.Decision
	Bundle         string // digest
	MinProbability float64
	From, To       time.Time
	After          *Place
	Limit          int
}

// Place is where a verdict stands in the order of searches.
type Place struct {
	PublishedAt time.Time `json:"at"`
	Topic       string    `json:"t"`
	Partition   int32     `json:"p"`
	Offset      int64     `json:"o"`
}

// Follow calls verdict and letter for each record that is committed from now on to the topics of verdicts and of dead letters, until ctx ends. Neither is called twice at a time.
type Follow func(ctx context.Context, verdict, letter func(*kafka.Record)) error

// readTimeout bounds what several wait for.
const readTimeout = 15 * time.Second

// cached answers with what it read within the last while; who asks during a read waits for it. So any number of open pages cost one read.
type cached[T any] struct {
	read  func(context.Context) (T, error)
	fresh time.Duration

	flight singleflight.Group
	value  T // with at: only within the flight
	at     time.Time
}

func newCached[T any](fresh time.Duration, read func(context.Context) (T, error)) *cached[T] {
	return &cached[T]{read: read, fresh: fresh}
}

func (c *cached[T]) get(ctx context.Context) (T, error) {
	answer := c.flight.DoChan("", func() (any, error) {
		if !c.at.IsZero() && time.Since(c.at) < c.fresh {
			return c.value, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		value, err := c.read(ctx)
		if err == nil {
			c.value, c.at = value, time.Now()
		}
		return value, err
	})
	var none T
	select {
	case <-ctx.Done():
		return none, ctx.Err()
	case got := <-answer:
		if got.Err != nil {
			return none, got.Err
		}
		return got.Val.(T), nil
	}
}
