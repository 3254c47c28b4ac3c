//go:build durable

package simulation

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/bundles"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// schedule is one run: which faults befall which requests of which process.
type schedule struct {
	Plans   []map[int]fault // of each scorer, from the start
	Members int             // of each process in the group
	Late    time.Duration   // of delays and freezes
}

// Sizes of a run: enough for several transactions in each partition.
const (
	partitions = 2
	inputs     = 24
	atOnce     = 4 // inputs of a transaction
)

// patience is how much time of the bubble a run may take until all is answered.
const patience = 20 * time.Minute

var sample = sync.OnceValue(func() *scorer.Bundle {
	b, err := scorer.LoadBundle(bundles.Sample(), scorer.Auto)
	if err != nil {
		panic(err)
	}
	return b
})

// outcome is what came of a run.
type outcome struct {
	hit      []fault // that happened
	requests int     // of the first process
	nudged   int     // times that a group of the broker was helped on, see settle
	wrong    []string
}

// world is one run.
type world struct {
	t       *testing.T
	cluster *kfake.Cluster
	network *network
	topics  kafka.Config // of clients that no fault touches
	group   string
	mu      sync.Mutex
	all     []*running
	counted []*prometheus.Registry
}

// running is a scorer.
type running struct {
	*process
	cancel context.CancelFunc
	done   chan error
}

// run plays a schedule in a bubble of its own.
func run(t *testing.T, s schedule) (o outcome) {
	sample()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, network: newNetwork(), group: "score"}
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(func(string, string) (net.Listener, error) { return w.network, nil }),
			kfake.SeedTopics(partitions, "in", "out", "dlq"), kfake.SeedTopics(1, "models"))
		if err != nil {
			t.Fatal(err)
		}
		defer cluster.Close()
		w.cluster = cluster
		w.topics = kafka.Config{Brokers: []string{"127.0.0.1:9092"}, Transactions: "in", Verdicts: "out", DeadLetters: "dlq", Models: "models", Dial: w.network.dial}
		w.produce()
		for i, plan := range s.Plans {
			w.start(fmt.Sprintf("score-%d", i+1), newProcess(w.network, plan, s.Late), s.Members)
		}
		o.wrong, o.nudged = w.settle()
		w.stop()
		// What is late still comes, and a transaction that a dead or frozen scorer left open ends: until then readers do not see what stands behind it.
		time.Sleep(3*s.Late + time.Minute)
		o.wrong = append(o.wrong, w.check()...)
		o.requests = w.all[0].requests
		for _, r := range w.all {
			o.hit = append(o.hit, r.hit...)
		}
	})
	return o
}

// produce puts the inputs on their topic; every fifth cannot be decoded.
func (w *world) produce() {
	opts, err := w.topics.Options()
	if err != nil {
		w.t.Fatal(err)
	}
	cl, err := kgo.NewClient(append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		w.t.Fatal(err)
	}
	defer cl.Close()
	for i, value := range values() {
		r := &kgo.Record{Topic: "in", Partition: int32(i % partitions), Key: fmt.Append(nil, "k", i%3), Value: value, Timestamp: time.UnixMilli(int64(1_770_000_000_000 + i))}
		if err := cl.ProduceSync(w.t.Context(), r).FirstErr(); err != nil {
			w.t.Fatal(err)
		}
	}
}

var values = sync.OnceValue(func() (all [][]byte) {
	sim, err := producer.NewSimulator(producer.DefaultSimulator(1, 0, 0))
	if err != nil {
		panic(err)
	}
	for i := range inputs {
		value := slices.Clone(sim.Next(nil).Value)
		if i%5 == 4 {
			value = value[:len(value)/2]
		}
		all = append(all, value)
	}
	return all
})

func (w *world) config(instance string, members int) consumer.Config {
	return consumer.Config{Group: w.group, Instance: instance, Members: members, TxnInterval: 2 * time.Millisecond, TxnMaxRecords: atOnce, TxnMaxBytes: 1 << 20,
		TxnTimeout: 10 * time.Second, Session: 6 * time.Second, MaxDeadLetterRatio: 1, DeadLetterWindow: 1000, HaltRetry: time.Second}
}

// start starts a scorer, and after its death, as a supervisor would, the next of the same name, which suffers nothing.
func (w *world) start(instance string, p *process, members int) {
	topics := w.topics
	topics.Dial = p.dial
	reg := prometheus.NewRegistry()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{process: p, cancel: cancel, done: make(chan error, 1)}
	w.mu.Lock()
	w.all, w.counted = append(w.all, r), append(w.counted, reg)
	w.mu.Unlock()
	c := consumer.New(w.config(instance, members), &topics, consumer.NewModels(sample(), "simulated"), slog.New(slog.NewTextHandler(io.Discard, nil)), reg)
	go func() { r.done <- c.Run(ctx) }()
	go func() {
		select {
		case <-p.died:
			cancel()
			w.start(instance, newProcess(w.network, nil, 0), members)
		case <-ctx.Done():
		}
	}()
}

// settle waits until every input is answered; what it gives is wrong.
//
// kfake differs from Apache Kafka where members of a group join at different times while one that is expected is gone: each join sets the time for the rebalance anew (groups.go,
// rebalance: "Always reset the timer"), and a client gives up a join sooner than four of them have come and gone, so it never ends. The coordinator
// of Kafka sets that time once. A group that has stood so for five minutes is helped on as an administrator would: its members are removed, and join again.
func (w *world) settle() (wrong []string, nudged int) {
	balancing := time.Now() // since when
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Second) {
		lag, err := consumer.Lag(w.t.Context(), &w.topics, w.group)
		if err == nil && lag == 0 {
			return nil, nudged
		}
		if time.Now().After(deadline) {
			return []string{fmt.Sprintf("after %v of its time %d inputs wait, %v", patience, lag, err)}, nudged
		}
		g := w.cluster.GroupInfo(w.group)
		if g == nil || g.State != "PreparingRebalance" {
			balancing = time.Now()
		} else if time.Since(balancing) > 5*time.Minute {
			nudged++
			balancing = time.Now()
			w.removeMembers(g)
		}
	}
}

func (w *world) removeMembers(g *kfake.GroupInfo) {
	opts, err := w.topics.Options()
	if err != nil {
		w.t.Fatal(err)
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		w.t.Fatal(err)
	}
	defer cl.Close()
	for _, m := range g.Members {
		if m.InstanceID != nil {
			if _, err := kadm.NewClient(cl).LeaveGroup(w.t.Context(), kadm.LeaveGroup(w.group).InstanceIDs(*m.InstanceID)); err != nil {
				w.t.Logf("remove %s: %v", *m.InstanceID, err)
			}
		}
	}
}

func (w *world) stop() {
	for i := 0; ; i++ {
		w.mu.Lock()
		if i == len(w.all) {
			w.mu.Unlock()
			return
		}
		r := w.all[i]
		w.mu.Unlock()
		r.cancel()
		if err := <-r.done; err != nil && !r.isDead() {
			w.t.Errorf("scorer %d ended with %v", i, err)
		}
	}
}

// check compares what stands on the topics with what must.
func (w *world) check() (wrong []string) {
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	expected := w.expected()
	answers := map[schemas.Source]int{}
	last := map[string]int64{}
	committed := 0
	note := func(r *kafka.Record, source schemas.Source, value string) {
		answers[source]++
		if answers[source] > 1 {
			bad("%v has %d answers", source, answers[source])
		}
		if expected[source] != value {
			bad("%v has the answer %q, want %q", source, value, expected[source])
		}
		at := fmt.Sprintf("%s %d", r.Topic, r.Partition)
		if before, ok := last[at]; ok && source.Offset <= before {
			bad("%v is answered after offset %d", source, before)
		}
		last[at] = source.Offset
		if r.Partition != source.Partition {
			bad("%v is answered in partition %d", source, r.Partition)
		}
	}
	w.read("out", func(r *kafka.Record) {
		v, err := schemas.ParseVerdict(r.Value)
		if err != nil {
			bad("%v", err)
			return
		}
		committed++
		note(r, v.Source, string(r.Value))
	})
	w.read("dlq", func(r *kafka.Record) {
		d, err := producer.ParseDeadLetter(r)
		if err != nil {
			bad("%v", err)
			return
		}
		note(r, d.Source, string(d.Class)+": "+string(r.Value))
	})
	for source := range expected {
		if answers[source] == 0 {
			bad("%v has no answer", source)
		}
	}
	if n := w.counter("fraud_predictions_total"); n > float64(committed) {
		bad("%v verdicts are counted, %d stand on the topic", n, committed)
	} else if w.exact() && n != float64(committed) {
		bad("%v verdicts are counted, %d stand on the topic, and no scorer died or was left in doubt", n, committed)
	}
	return wrong
}

// expected answers, by direct scoring, one by one.
func (w *world) expected() map[schemas.Source]string {
	all := map[schemas.Source]string{}
	s := sample().NewScorer()
	for i, value := range values() {
		source := schemas.Source{Topic: "in", Partition: int32(i % partitions), Offset: int64(i / partitions)}
		s.Reset()
		s.Add(value, time.Time{})
		outcomes, err := s.Score()
		if err != nil {
			w.t.Fatal(err)
		}
		if o := &outcomes[0]; o.Err != nil {
			all[source] = string(o.Err.Class) + ": " + string(value)
		} else {
			o.Verdict.Source = source
			payload, err := o.Verdict.Append(nil)
			if err != nil {
				w.t.Fatal(err)
			}
			all[source] = string(payload)
		}
	}
	return all
}

func (w *world) read(topic string, each func(*kafka.Record)) {
	whole, err := kafka.Whole(w.t.Context(), &w.topics, topic)
	if err == nil {
		err = kafka.Read(w.t.Context(), &w.topics, topic, whole, func(r *kafka.Record) error { each(r); return nil })
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// counter adds up a metric over all scorers, the dead ones too, those of its samples that have the label's value where one is given.
func (w *world) counter(name string, label ...string) (sum float64) {
	for _, reg := range w.counted {
		families, err := reg.Gather()
		if err != nil {
			w.t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() != name {
				continue
			}
			for _, m := range f.GetMetric() {
				if len(label) == 0 || len(m.GetLabel()) > 0 && m.GetLabel()[0].GetValue() == label[0] {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

// exact says whether every commit was answered to a scorer that lived on.
func (w *world) exact() bool {
	for _, r := range w.all {
		if r.isDead() {
			return false
		}
	}
	return w.counter("mlmonitor_kafka_transactions_total", "unknown") == 0
}

// random draws a schedule.
func random(seed uint64, requests int) schedule {
	rng := rand.New(rand.NewPCG(seed, 17))
	s := schedule{Members: 1, Late: []time.Duration{300 * time.Millisecond, 3 * time.Second, 8 * time.Second, 12 * time.Second, 25 * time.Second}[rng.IntN(5)]}
	if rng.IntN(4) == 0 {
		s.Members = 2
	}
	for range 1 + rng.IntN(2) {
		plan := map[int]fault{}
		for range 1 + rng.IntN(4) {
			plan[1+rng.IntN(requests)] = fault(1 + rng.IntN(int(faults)-1))
		}
		s.Plans = append(s.Plans, plan)
	}
	return s
}
