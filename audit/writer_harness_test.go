package audit

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// stage is a verdicts topic beside a database.
type stage struct {
	*bench
	topics kafka.Config
	sent   []string // what must stand in the table in the end, as rows gives it
}

const testPartitions = 3

func newStage(t *testing.T, b *bench, brokers []string) *stage {
	t.Helper()
	id := rig.Unique("audit")
	s := &stage{bench: b, topics: kafka.Config{Brokers: brokers, Transactions: id + ".in", Verdicts: id + ".out", DeadLetters: id + ".dlq"}}
	s.writer.Group = id
	if _, err := kafka.LayOut(t.Context(), &s.topics, kafka.Layout{Partitions: testPartitions, Replication: -1}, false); err != nil {
		t.Fatal(err)
	}
	return s
}

func embeddedBroker(t *testing.T) *kafka.Embedded {
	t.Helper()
	broker, err := kafka.StartEmbedded("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	return broker
}

// onStages runs a claim about the writer embedded, and on real servers.
func onStages(t *testing.T, claim func(*testing.T, *stage)) {
	t.Run("embedded", func(t *testing.T) { claim(t, newStage(t, onSQLite(t), embeddedBroker(t).Brokers())) })
	t.Run("servers", func(t *testing.T) {
		b := onPostgres(t)
		claim(t, newStage(t, b, rig.Kafka(t, 1).Brokers))
	})
}

// producer is a scorer as the audit sees it: Kafka transactions with verdicts.
type producer struct {
	s      *stage
	client *kgo.Client
	n      int
}

func (s *stage) producer(t *testing.T) *producer {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.topics.Brokers...), kgo.TransactionalID(rig.Unique("tx")), kgo.DefaultProduceTopic(s.topics.Verdicts),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return &producer{s: s, client: cl}
}

// transaction sends n verdicts in one Kafka transaction, and keeps in mind what was committed.
func (p *producer) transaction(t *testing.T, n int, commit bool) {
	t.Helper()
	if err := p.client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	var records []*kgo.Record
	for range n {
		p.n++
		v := verdict(fmt.Sprintf("tx-%d-%v", p.n, commit), int64(p.n))
		records = append(records, &kgo.Record{Partition: int32(p.n % testPartitions), Key: []byte(v.TransactionID), Value: payload(t, v), Timestamp: published})
	}
	if err := p.client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := p.client.EndTransaction(t.Context(), kgo.TransactionEndTry(commit)); err != nil {
		t.Fatal(err)
	}
	if commit {
		for _, r := range records {
			p.s.sent = append(p.s.sent, fmt.Sprintf("%d %d %s", r.Partition, r.Offset, r.Value))
		}
	}
}

// member is a running writer.
type member struct {
	*Writer
	log  *logbook
	stop context.CancelFunc
	done chan error
}

// logbook is a log that a test can read.
type logbook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start runs a writer on its own store; change may bend it first.
func (s *stage) start(t *testing.T, instance string, store Store, change ...func(*Writer)) *member {
	t.Helper()
	cfg := s.writer
	cfg.Instance = instance
	book := &logbook{}
	w, err := New(cfg, &s.topics, store, slog.New(slog.NewTextHandler(book, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	w.lagEvery = 100 * time.Millisecond
	w.finishIn, w.leaveIn = 5*time.Minute, 30*time.Second // who stops only when the first has passed does not stop in time
	for _, c := range change {
		c(w)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{Writer: w, log: book, stop: cancel, done: make(chan error, 1)}
	go func() { m.done <- w.Run(ctx) }()
	t.Cleanup(func() {
		m.end(t)
		if t.Failed() {
			t.Logf("the log of %q:\n%s", instance, book)
		}
	})
	return m
}

// end stops the member and gives what Run returned; it may be called again.
func (m *member) end(t *testing.T) error {
	t.Helper()
	m.stop()
	select {
	case err := <-m.done:
		m.done <- err
		return err
	case <-time.After(time.Minute):
		t.Fatal("the member did not stop")
		return nil
	}
}

// returns waits for Run to return by itself.
func (m *member) returns(t *testing.T) error {
	t.Helper()
	select {
	case err := <-m.done:
		m.done <- err
		return err
	case <-time.After(150 * time.Second): // the embedded broker may leave a join unanswered, and the client waits 70 s for it
		t.Fatal("Run did not return")
		return nil
	}
}

// patience bounds every wait for what must come: far longer than a machine needs that is not busy with something else.
const patience = 2 * time.Minute

// eventually waits, bounded, for what other goroutines and servers do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("%s: it did not come to that", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// complete waits until as many rows stand in the table as were sent, and checks that they are those.
func (s *stage) complete(t *testing.T) {
	t.Helper()
	eventually(t, "every verdict has a row", func() bool { return len(s.rows(t)) >= len(s.sent) })
	sorted := cmp.Transformer("counted", func(all []string) map[string]int {
		m := map[string]int{}
		for _, one := range all {
			m[one]++
		}
		return m
	})
	if diff := cmp.Diff(s.sent, s.rows(t), sorted); diff != "" {
		t.Errorf("sent and stored differ:\n%s", diff)
	}
}

func (m *member) ready(t *testing.T) {
	t.Helper()
	eventually(t, "the writer is ready", func() bool { return m.Ready(t.Context()) == nil })
}

// notReady waits until readiness names a cause.
func (m *member) notReady(t *testing.T, cause string) {
	t.Helper()
	eventually(t, "readiness names "+cause, func() bool {
		err := m.Ready(t.Context())
		return err != nil && strings.Contains(err.Error(), cause)
	})
}

func value(c prometheus.Collector) float64 { return testutil.ToFloat64(c) }
