package consumer

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
)

const lagEvery = 5 * time.Second

// watchLag measures how many inputs of this member's partitions are not yet answered. It asks the brokers, so that a loop that stands still
// does not leave an old figure behind.
func (c *Consumer) watchLag(ctx context.Context, cl *kgo.Client, assigned *assignment) {
	tick := time.NewTicker(lagEvery)
	defer tick.Stop()
	defer c.metrics.lag.Reset()
	for {
		if err := c.measureLag(ctx, cl, assigned); err != nil && ctx.Err() == nil {
			c.log.Warn("could not measure the lag", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (c *Consumer) measureLag(ctx context.Context, cl *kgo.Client, assigned *assignment) error {
	ctx, cancel := context.WithTimeout(ctx, lagEvery)
	defer cancel()
	lag, err := partitionLag(ctx, kadm.NewClient(cl), c.topics.Transactions, c.cfg.Group)
	if err != nil {
		return err
	}
	c.metrics.lag.Reset()
	sum := int64(0)
	partitions, _ := assigned.partitions()
	for _, p := range partitions {
		if behind, ok := lag[p]; ok {
			sum += behind
			c.metrics.lag.WithLabelValues(strconv.Itoa(int(p))).Set(float64(behind))
		}
	}
	c.behind.Store(sum)
	return nil
}

// Lag is the number of offsets of the input topic that the group of scorers has not answered yet.
func Lag(ctx context.Context, topics *kafka.Config, group string) (int64, error) {
	opts, err := topics.Options()
	if err != nil {
		return 0, err
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	lag, err := partitionLag(ctx, kadm.NewClient(cl), topics.Transactions, group)
	sum := int64(0)
	for _, behind := range lag {
		sum += behind
	}
	return sum, err
}

func partitionLag(ctx context.Context, adm *kadm.Client, topic, group string) (map[int32]int64, error) {
	starts, err := adm.ListStartOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	ends, err := adm.ListCommittedOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	done, err := groupOffsets(ctx, adm, group)
	if err != nil {
		return nil, err
	}
	lag := map[int32]int64{}
	for p, end := range ends[topic] {
		if end.Err != nil {
			return nil, end.Err
		}
		next := int64(0)
		if start, ok := starts.Lookup(topic, p); ok {
			next = start.Offset
		}
		if commit, ok := done.Lookup(topic, p); ok {
			next = max(next, commit.At)
		}
		lag[p] = max(0, end.Offset-next)
	}
	return lag, nil
}

// groupOffsets are the committed offsets of a group; none where the group does not exist yet.
func groupOffsets(ctx context.Context, adm *kadm.Client, group string) (kadm.OffsetResponses, error) {
	offsets, err := adm.FetchOffsets(ctx, group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil
	}
	return offsets, err
}
