package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// orphansEvery is the time between two looks for partitions that nobody reads.
const orphansEvery = 10 * time.Second

// AdoptOrphans looks, until ctx ends, for partitions of the topic that no member of the group was given, and has the group balanced anew when it finds the
// same ones twice. A group's leader notices that a topic has grown. One that ends first, and comes back as the static member that it is, may not: it is given
// what it had, without a rebalance, and has known the new size from its start. The client then looks whether it should have something else itself, and not
// whether the others should. Until the next rebalance nobody would read the new partitions, and nobody would say so (KAFKA-13435).
func AdoptOrphans(ctx context.Context, cl *kgo.Client, group, topic string, log *slog.Logger, adoptions prometheus.Counter) {
	adoptOrphans(ctx, cl, group, topic, log, adoptions, orphansEvery)
}

func adoptOrphans(ctx context.Context, cl *kgo.Client, group, topic string, log *slog.Logger, adoptions prometheus.Counter, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var before []int32
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		found, err := orphans(ctx, cl, group, topic)
		if err != nil {
			if ctx.Err() == nil {
				log.Warn("could not look for partitions that nobody reads", "group", group, "topic", topic, "error", err)
			}
			continue
		}
		if len(found) > 0 && slices.Equal(found, before) {
			log.Warn("partitions that nobody reads: having the group balanced anew", "group", group, "topic", topic, "partitions", found)
			adoptions.Inc()
			cl.ForceRebalance()
		}
		before = found
	}
}

// orphans are the partitions, ascending, that no member has; none while the group is being balanced.
func orphans(ctx context.Context, cl *kgo.Client, group, topic string) ([]int32, error) {
	ctx, cancel := context.WithTimeout(ctx, orphansEvery)
	defer cancel()
	adm := kadm.NewClient(cl)
	topics, err := adm.ListTopics(ctx, topic)
	if err != nil {
		return nil, err
	}
	if err := topics[topic].Err; err != nil {
		return nil, fmt.Errorf("topic %s: %w", topic, err)
	}
	groups, err := adm.DescribeGroups(ctx, group)
	if err != nil {
		return nil, err
	}
	g := groups[group]
	if g.Err != nil || g.State != "Stable" {
		return nil, g.Err
	}
	owned := g.AssignedPartitions()
	return slices.DeleteFunc(topics[topic].Partitions.Numbers(), func(p int32) bool { return owned.Lookup(topic, p) }), nil
}
