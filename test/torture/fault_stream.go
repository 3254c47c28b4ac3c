package torture

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/producer"
)

// streamKinds hurt by what stands on the input topic, and by its shape.
func streamKinds() []kind {
	input := []string{"input"}
	return []kind{
		{name: "malformed", weight: 1, targets: input, do: malformed},
		{name: "huge-records", weight: 1, targets: input, do: huge},
		{name: "poison-flood", weight: 1, targets: input, do: flood},
		{name: "topic-limit", weight: 1, targets: []string{"verdicts"}, do: limit},
		{name: "partition-growth", weight: 1, targets: input, needs: []string{aNodeOnly}, do: grow},
	}
}

// send puts values on the input topic, and returns when all are acknowledged.
func (a *act) send(ctx context.Context, values [][]byte) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(a.topics.Brokers...), kgo.DefaultProduceTopic(a.topics.Transactions), kgo.ProducerBatchMaxBytes(1_000_000),
		kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		return err
	}
	defer cl.Close()
	records := make([]*kgo.Record, len(values))
	for i, v := range values {
		records[i] = &kgo.Record{Key: fmt.Append(nil, "torture-", a.rng.IntN(50)), Value: v, Timestamp: time.Now()}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	return cl.ProduceSync(ctx, records...).FirstErr()
}

// events of the simulator, malformed ones as asked.
func (a *act) events(n int, malformed float64) ([][]byte, error) {
	sim, err := producer.NewSimulator(producer.DefaultSimulator(a.rng.Uint64(), 0, malformed))
	if err != nil {
		return nil, err
	}
	all := make([][]byte, n)
	for i := range all {
		all[i] = bytes.Clone(sim.Next(nil).Value)
	}
	return all, nil
}

func malformed(ctx context.Context, a *act) (string, error) {
	values, err := a.events(100+a.rng.IntN(200), 0.5)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d transactions, every second malformed", len(values)), a.send(ctx, values)
}

// huge sends records as large as the topic takes, good ones and bad.
func huge(ctx context.Context, a *act) (string, error) {
	values, err := a.events(10+a.rng.IntN(20), 0)
	if err != nil {
		return "", err
	}
	size := 0
	for i, v := range values {
		pad := bytes.Repeat([]byte{byte('a' + a.rng.IntN(26))}, 100_000+a.rng.IntN(880_000))
		if a.rng.IntN(2) == 0 {
			values[i] = pad
		} else if values[i], err = padded(v, string(pad)); err != nil {
			return "", err
		}
		size += len(values[i])
	}
	return fmt.Sprintf("%d records, %d bytes", len(values), size), a.send(ctx, values)
}

// padded adds a field that no contract knows.
func padded(event []byte, pad string) ([]byte, error) {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(event, &fields); err != nil {
		return nil, err
	}
	fields["padding"], _ = json.Marshal(pad)
	return json.Marshal(fields)
}

// flood sends nothing but bad records, more than the scorers may let through.
func flood(ctx context.Context, a *act) (string, error) {
	values, err := a.events(300+a.rng.IntN(2500), 1)
	if err != nil {
		return "", err
	}
	if err := a.send(ctx, values); err != nil {
		return "", err
	}
	halted := 0
	for _, p := range a.scorers {
		if n, err := p.Counter(ctx, "mlmonitor_consumer_halted"); err == nil && n > 0 {
			halted++
		}
	}
	return fmt.Sprintf("%d malformed records, %d scorers halted", len(values), halted), nil
}

// limit has the verdicts topic refuse every batch for a while, as an operator's slip with its settings does: nothing that is refused may count as answered.
func limit(ctx context.Context, a *act) (string, error) {
	adm, err := a.admin()
	if err != nil {
		return "", err
	}
	defer adm.Close()
	p := a.scorers[a.rng.IntN(len(a.scorers))]
	restarts := func() (float64, error) { return p.Counter(ctx, "mlmonitor_consumer_restarts_total") }
	before, err := restarts()
	if err != nil {
		return "", fmt.Errorf("%w: %w", errVoid, err)
	}
	set := func(ctx context.Context, bytes string) error {
		return until(ctx, time.Minute, func() error {
			altered, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &bytes}}, a.topics.Verdicts)
			if err == nil {
				err = altered[0].Err
			}
			return err
		})
	}
	var evidence string
	err = hold(ctx, a.between(0, 3*time.Second), func() error {
		if err := set(ctx, "200"); err != nil {
			return err
		}
		var err error
		if evidence, err = rises(ctx, "restarts of "+p.Name, before, restarts); err != nil {
			err = errors.Join(err, set(context.WithoutCancel(ctx), "2097152"))
		}
		return err
	}, func() error { return set(context.WithoutCancel(ctx), "2097152") })
	return evidence, err
}

// mostPartitions ends the growth.
const mostPartitions = 60

// grow adds a partition to the input, and to the outputs a moment later, as the runbook says.
func grow(ctx context.Context, a *act) (string, error) {
	adm, err := a.admin()
	if err != nil {
		return "", err
	}
	defer adm.Close()
	topics, err := adm.ListTopics(ctx, a.topics.Transactions)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errVoid, err)
	}
	n := len(topics[a.topics.Transactions].Partitions)
	if n >= mostPartitions {
		return "", fmt.Errorf("%w: the topic has %d partitions", errVoid, n)
	}
	err = hold(ctx, a.between(0, 3*time.Second), func() error { return a.addPartition(ctx, adm, n+1) }, func() error {
		return until(context.WithoutCancel(ctx), time.Minute, func() error {
			return a.command(context.WithoutCancel(ctx), []string{"KAFKA_BROKERS=" + a.kafka.Brokers[0]}, "topics")
		})
	})
	return fmt.Sprintf("from %d to %d partitions", n, n+1), err
}

func (a *act) addPartition(ctx context.Context, adm *kadm.Client, want int) error {
	made, err := adm.UpdatePartitions(ctx, want, a.topics.Transactions)
	if err == nil {
		err = made.Error()
	}
	if errors.Is(err, kerr.InvalidPartitions) {
		return nil // an earlier try, whose answer was lost, made it
	}
	return err
}
