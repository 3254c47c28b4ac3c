package torture

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// clockKinds give one process a wrong clock. A node of Kafka is the one that decides by the clock: when a transaction has lasted too long, which time a
// record may have. The product's own processes read the kernel's clock past every library, and put no time of theirs into what they write.
func clockKinds() []kind {
	return []kind{{name: "clock-jump", weight: 1, targets: []string{"node-1", "node-2", "node-3"}, needs: []string{aNodeOnly}, do: clockJump}}
}

// clockTopic has a partition on each node, whose records carry the time of the node.
const clockTopic = "torture.clock"

// clockJump starts a node anew on a clock of its own, has that jump while the node works, and starts the node on the right clock again: in Kafka timers
// would wait for a clock that went back.
func clockJump(ctx context.Context, a *act) (string, error) {
	library := filepath.Join(a.dir, "clock.so")
	if out, err := exec.CommandContext(ctx, "test/stack/clock.sh", library).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the clock: %w: %s", err, out)
	}
	adm, err := a.admin()
	if err != nil {
		return "", err
	}
	defer adm.Close()
	i, _ := aNode(ctx, a, adm)
	if err := a.makeClockTopic(ctx); err != nil {
		return "", err
	}
	jump := []time.Duration{-2 * time.Hour, -20 * time.Minute, 20 * time.Minute, 50 * time.Minute, 6 * time.Hour}[a.rng.IntN(5)]
	clock := filepath.Join(a.dir, fmt.Sprintf("clock-%d", i+1))
	file, err := os.Create(clock)
	if err != nil {
		return "", err
	}
	defer file.Close()
	set := func(by time.Duration) error { // in place: the node has the file mapped
		_, err := file.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(int64(by.Seconds()))), 0)
		return err
	}
	if err := set(0); err != nil {
		return "", err
	}
	if err := a.kafka.Kill(i); err != nil {
		return "", fmt.Errorf("%w: %w", errVoid, err)
	}
	err = a.kafka.RestartWith(i, "LD_PRELOAD="+library, "CLOCK_FILE="+clock)
	var off time.Duration
	if err == nil {
		err = a.replicated(ctx, adm)
	}
	if err == nil {
		err = hold(ctx, a.between(2*time.Second, 6*time.Second), func() error { return set(jump) }, func() (err error) {
			off, err = nodeClock(context.WithoutCancel(ctx), a, i)
			return err
		})
	}
	err = errors.Join(err, a.kafka.Kill(i), a.kafka.Restart(i), a.replicated(ctx, adm))
	if err == nil && (off-jump).Abs() > time.Minute {
		err = fmt.Errorf("%w: the clock of node %d is off by %v, wanted %v", errVoid, i+1, off, jump)
	}
	return fmt.Sprintf("the clock of node %d jumped by %v", i+1, off.Round(time.Second)), err
}

func (w *World) makeClockTopic(ctx context.Context) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.topics.Brokers...))
	if err != nil {
		return err
	}
	defer cl.Close()
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = clockTopic, -1, -1
	for i := range int32(nodes) {
		assignment := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		assignment.Partition, assignment.Replicas = i, []int32{i + 1}
		topic.ReplicaAssignment = append(topic.ReplicaAssignment, assignment)
	}
	for name, value := range map[string]string{"message.timestamp.type": "LogAppendTime", "min.insync.replicas": "1"} {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = name, kmsg.StringPtr(value)
		topic.Configs = append(topic.Configs, c)
	}
	req.Topics, req.TimeoutMillis = append(req.Topics, topic), 15_000
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("create topic %s: %w", clockTopic, err)
	}
	return nil
}

// nodeClock is how far the clock of node i is ahead of ours: the time that it gives a record.
func nodeClock(ctx context.Context, a *act, i int) (time.Duration, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(a.topics.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.LeaderAck()))
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r, err := cl.ProduceSync(ctx, &kgo.Record{Topic: clockTopic, Partition: int32(i), Value: []byte("what time is it?")}).First()
	if err != nil {
		return 0, fmt.Errorf("ask node %d for the time: %w", i+1, err)
	}
	now := time.Now()
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{clockTopic: {int32(i): kgo.NewOffset().At(r.Offset)}})
	for {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return 0, fmt.Errorf("ask node %d for the time: %w", i+1, errors.Join(fetches.Err(), ctx.Err()))
		}
		for _, back := range fetches.Records() {
			return back.Timestamp.Sub(now), nil
		}
	}
}
