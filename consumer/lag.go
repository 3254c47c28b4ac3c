package consumer

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
func (m *member) watchLag(ctx context.Context, cl *kgo.Client, assigned *assignment) {
	tick := time.NewTicker(lagEvery)
	defer tick.Stop()
	shown := map[string]bool{} // partitions that the metric has from us
	defer m.showLag(shown, nil, assigned)
	for {
		if lag, err := m.measureLag(ctx, cl, assigned); err == nil {
			m.showLag(shown, lag, assigned)
		} else if ctx.Err() == nil {
			m.log.Warn("could not measure the lag", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// measureLag gives the lag of each partition that is ours.
func (m *member) measureLag(ctx context.Context, cl *kgo.Client, assigned *assignment) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, lagEvery)
	defer cancel()
	lag, err := partitionLag(ctx, kadm.NewClient(cl), m.topics.Transactions, m.cfg.Group)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(lag, func(partition int32, _ int64) bool { return assigned.processor(partition) == nil })
	return lag, nil
}

// showLag sets the metric, and takes away what is no longer ours: another member of this process may have it now, and will show it.
func (m *member) showLag(shown map[string]bool, lag map[int32]int64, assigned *assignment) {
	sum := int64(0)
	before := maps.Clone(shown)
	clear(shown)
	for p, behind := range lag {
		sum += behind
		partition := strconv.Itoa(int(p))
		m.metrics.lag.WithLabelValues(partition).Set(float64(behind))
		age := 0.0
		if behind > 0 {
			age = assigned.age(p, time.Now()).Seconds()
		}
		m.metrics.lagSeconds.WithLabelValues(partition).Set(age)
		shown[partition] = true
		delete(before, partition)
	}
	for partition := range before {
		m.metrics.lag.DeleteLabelValues(partition)
		m.metrics.lagSeconds.DeleteLabelValues(partition)
	}
	m.behind.Store(sum)
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

// Committed is the next input of each partition that a group of scorers has not answered. Partitions of which it has answered none are not there.
func Committed(ctx context.Context, topics *kafka.Config, group string) (map[int32]int64, error) {
	opts, err := topics.Options()
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	done, err := groupOffsets(ctx, kadm.NewClient(cl), group)
	if err != nil {
		return nil, fmt.Errorf("ask for the offsets of group %s: %w", group, err)
	}
	next := map[int32]int64{}
	for p, o := range done[topics.Transactions] {
		if o.Err != nil {
			return nil, fmt.Errorf("ask for the offsets of group %s: %w", group, o.Err)
		}
		next[p] = o.At
	}
	return next, nil
}

// groupOffsets are the committed offsets of a group; none where the group does not exist yet.
func groupOffsets(ctx context.Context, adm *kadm.Client, group string) (kadm.OffsetResponses, error) {
	offsets, err := adm.FetchOffsets(ctx, group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil
	}
	return offsets, err
}
