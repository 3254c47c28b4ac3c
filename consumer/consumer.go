package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/kafka"
)

// ErrInstanceTaken means that another process runs under the same INSTANCE_ID: of the two only one may.
var ErrInstanceTaken = errors.New("another process has taken over this INSTANCE_ID")

// Consumer scores the transactions topic, as one or more members of the group of scorers. Members share nothing but counters: while one waits
// for brokers, the others score.
type Consumer struct {
	members []*member
}

// New makes a consumer; it connects when it runs.
func New(cfg Config, topics *kafka.Config, models *Models, log *slog.Logger, reg prometheus.Registerer) *Consumer {
	shared := newMetrics(reg, models)
	if cfg.Drift == (drift.Config{}) {
		cfg.Drift = drift.Defaults()
	}
	counted := &shelf{cfg: cfg.Drift, collector: &drift.Collectors{}, metrics: shared, log: log}
	reg.MustRegister(counted.collector)
	force, _ := models.Current()
	counted.books(force.Champion)
	shadows := newShadowBooks(reg, log)
	c := &Consumer{}
	for i := range cfg.Members {
		c.members = append(c.members, newMember(i, cfg, topics, models, counted, shadows, log, reg, shared))
	}
	return c
}

// Run scores until ctx ends; then each member finishes or abandons its open transaction, leaves the group, and Run returns nil. It outlives
// brokers that go and come back; it returns an error only for what waiting does not mend: kafka.ErrRefused, kafka.ErrOldBroker, ErrInstanceTaken.
func (c *Consumer) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, m := range c.members {
		group.Go(func() error { return m.run(ctx) })
	}
	return group.Wait()
}

// Ready says why this process does not score now, nil when it does: every member is connected, in the group, and not halted, and the brokers answer.
func (c *Consumer) Ready(ctx context.Context) error {
	for _, m := range c.members {
		if err := m.ready(ctx); err != nil {
			if len(c.members) > 1 {
				err = fmt.Errorf("member %s: %w", m.name, err)
			}
			return err
		}
	}
	return nil
}
