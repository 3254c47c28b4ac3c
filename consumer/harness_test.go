package consumer

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/bundles"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// cluster is a broker with the three topics, under names of this test's own.
type cluster struct {
	topics  kafka.Config
	group   string
	members int // of each process
}

var clusters atomic.Int64

// onEmbedded lays the topics out on an embedded broker.
func onEmbedded(t *testing.T) *cluster {
	t.Helper()
	broker, err := kafka.StartEmbedded("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	return newCluster(t, broker.Brokers())
}

func newCluster(t *testing.T, brokers []string) *cluster {
	t.Helper()
	id := fmt.Sprintf("t%d-%d", time.Now().UnixNano(), clusters.Add(1))
	c := &cluster{topics: kafka.Config{Brokers: brokers, Transactions: id + ".in", Verdicts: id + ".out", DeadLetters: id + ".dlq", Models: id + ".models"}, group: id, members: 1}
	if _, err := kafka.LayOut(t.Context(), &c.topics, kafka.Layout{Partitions: 6, Replication: -1}, false); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cluster) config(instance string) Config {
	return Config{Group: c.group, Instance: instance, Members: c.members, TxnInterval: 5 * time.Millisecond, TxnMaxRecords: 1000, TxnMaxBytes: 1 << 25, TxnTimeout: 5 * time.Second,
		Session: 6 * time.Second, MaxDeadLetterRatio: 0.5, DeadLetterWindow: 1000, HaltRetry: 200 * time.Millisecond}
}

func sample(t testing.TB) *scorer.Bundle {
	t.Helper()
	b, err := scorer.LoadBundle(bundles.Sample(), scorer.Auto)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// running is a consumer at work.
type running struct {
	*Consumer
	metrics *prometheus.Registry
	models  *Models
	stop    context.CancelFunc
	done    chan error
}

func (c *cluster) start(t *testing.T, cfg Config, bundle *scorer.Bundle) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	metrics := prometheus.NewRegistry()
	models := NewModels(bundle, "the test says so")
	m := &running{Consumer: New(cfg, &c.topics, models, slog.New(slog.NewTextHandler(t.Output(), nil)), metrics), metrics: metrics, models: models, stop: cancel, done: make(chan error, 1)}
	go func() { m.done <- m.Run(ctx) }()
	t.Cleanup(func() { m.end(t) })
	return m
}

// end stops the member and gives what Run returned; it may be called again.
func (m *running) end(t *testing.T) error {
	t.Helper()
	m.stop()
	select {
	case err := <-m.done:
		m.done <- err
		return err
	case <-time.After(patience):
		t.Fatal("the member did not stop")
		return nil
	}
}

// halted says whether a member has stopped consumption.
func (m *running) halted() bool {
	for _, one := range m.members {
		if testutil.ToFloat64(one.metrics.halted.WithLabelValues(one.name)) == 1 {
			return true
		}
	}
	return false
}

// send simulates n transactions; a share of them malformed.
func (c *cluster) send(t *testing.T, first, n uint64, malformed float64) producer.Produced {
	t.Helper()
	sim := producer.SimulatorConfig{Seed: 7, First: first, Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Customers: 50, Terminals: 30, Malformed: malformed}
	done, err := producer.Produce(t.Context(), &c.topics, producer.ProduceConfig{Simulator: sim, Count: n}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// sendRaw writes values, all under one key.
func (c *cluster) sendRaw(t *testing.T, headers []kgo.RecordHeader, values ...string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.topics.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for _, v := range values {
		rec := &kgo.Record{Topic: c.topics.Transactions, Key: []byte("key"), Value: []byte(v), Headers: headers, Timestamp: time.UnixMilli(1_770_000_000_123)}
		if err := cl.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// answers is what stands on the output topics, by source position; the payloads are verdict JSON or "class: value" of a dead letter.
func (c *cluster) answers(t *testing.T) map[schemas.Source][]string {
	t.Helper()
	found := map[schemas.Source][]string{}
	c.read(t, c.topics.Verdicts, func(r *kgo.Record) {
		v, err := schemas.ParseVerdict(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		found[v.Source] = append(found[v.Source], string(r.Value))
	})
	c.read(t, c.topics.DeadLetters, func(r *kgo.Record) {
		d, err := producer.ParseDeadLetter(r)
		if err != nil {
			t.Fatal(err)
		}
		found[d.Source] = append(found[d.Source], string(d.Class)+": "+string(r.Value))
	})
	return found
}

func (c *cluster) read(t *testing.T, topic string, each func(*kgo.Record)) {
	t.Helper()
	whole, err := kafka.Settled(t.Context(), &c.topics, topic, settlePatience)
	if err != nil {
		t.Fatal(err)
	}
	if err := kafka.Read(t.Context(), &c.topics, topic, whole, func(r *kgo.Record) error { each(r); return nil }); err != nil {
		t.Fatal(err)
	}
}

// patience bounds every wait for what must come: far longer than a machine needs that is not busy with something else.
const patience = 2 * time.Minute

// settlePatience is for transactions that end; what hangs in others is not waited for.
const settlePatience = 5 * time.Second

// eventually waits, bounded, for what other goroutines and the broker do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("%s: it did not come to that", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// answered waits until every input has an answer, and checks that none has two.
func (c *cluster) answered(t *testing.T, inputs int) map[schemas.Source][]string {
	t.Helper()
	var found map[schemas.Source][]string
	eventually(t, fmt.Sprintf("%d inputs are answered", inputs), func() bool {
		lag, err := Lag(t.Context(), &c.topics, c.group)
		if err != nil || lag > 0 {
			return false
		}
		found = c.answers(t)
		return len(found) >= inputs
	})
	if len(found) != inputs {
		t.Errorf("%d inputs have %d answers", inputs, len(found))
	}
	for source, all := range found {
		if len(all) != 1 {
			t.Errorf("%v has %d answers", source, len(all))
		}
	}
	return found
}

func layOut(t *testing.T, c *cluster) {
	t.Helper()
	if _, err := kafka.LayOut(t.Context(), &c.topics, kafka.Layout{Partitions: 6, Replication: -1}, false); err != nil {
		t.Fatal(err)
	}
}

func timeout(*testing.T) <-chan time.Time { return time.After(patience) }
