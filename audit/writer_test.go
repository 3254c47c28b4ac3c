package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/kafka"
)

func TestOnlyCommittedVerdictsReachTheTableEachOnce(t *testing.T) {
	onStages(t, func(t *testing.T, s *stage) {
		m := s.start(t, "a", s.open(t))
		p := s.producer(t)
		for i := range 12 {
			p.transaction(t, 20, i%3 != 1) // the last is aborted: its marker ends the topic
		}
		p.transaction(t, 5, false)
		s.complete(t)
		m.ready(t)
		eventually(t, "rows_total counts each row", func() bool { return value(m.metrics.rows) == float64(len(s.sent)) })
		eventually(t, "there is no lag for each partition", func() bool {
			return testutil.CollectAndCount(m.metrics.lag) == testPartitions && lagSum(m) == 0
		})
		if err := m.end(t); err != nil {
			t.Errorf("Run returned %v", err)
		}
		if n := testutil.CollectAndCount(m.metrics.lag); n != 0 {
			t.Errorf("lag of %d partitions remains", n)
		}
	})
}

func lagSum(m *member) (sum float64) {
	for p := range testPartitions {
		sum += value(m.metrics.lag.WithLabelValues(fmt.Sprint(p)))
	}
	return sum
}

func TestAForeignRecordIsKeptAndDoesNotStopTheStream(t *testing.T) {
	onStages(t, func(t *testing.T, s *stage) {
		p := s.producer(t)
		p.transaction(t, 6, true)
		cl, err := kgo.NewClient(kgo.SeedBrokers(s.topics.Brokers...), kgo.DefaultProduceTopic(s.topics.Verdicts), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Key: []byte{0}, Value: []byte("\xff{")}, &kgo.Record{Key: []byte("tombstone")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		p.transaction(t, 6, true)
		m := s.start(t, "a", s.open(t))
		s.complete(t)
		if n := s.query(t, `SELECT count(*) FROM audit_rejects WHERE reason LIKE 'read verdict%'`, 1); n[0] != "2" {
			t.Errorf("%s rejects", n)
		}
		eventually(t, "rejected_total counts both", func() bool { return value(m.metrics.rejected) == 2 })
	})
}

func TestTwoWritersShareThePartitionsAndOneTakesOverAfterAKill(t *testing.T) {
	onStages(t, func(t *testing.T, s *stage) {
		p := s.producer(t)
		p.transaction(t, 30, true)
		killed := &killable{Store: s.open(t)}
		a, b := s.start(t, "a", killed), s.start(t, "b", s.open(t))
		a.ready(t)
		b.ready(t)
		eventually(t, "both have partitions", func() bool { return a.partitions() > 0 && b.partitions() > 0 })
		p.transaction(t, 30, true)
		s.complete(t)
		killed.dead.Store(true) // as after kill -9: it writes no more, and says no farewell
		p.transaction(t, 60, true)
		s.complete(t)
		eventually(t, "b has them all", func() bool { return b.partitions() == testPartitions })
	})
}

func (m *member) partitions() int {
	m.mu.Lock()
	a := m.assigned
	m.mu.Unlock()
	if a == nil {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.owned)
}

// killable is a store that fails from some time on: its writer neither writes any more nor leaves the group.
type killable struct {
	Store
	dead atomic.Bool
}

func (k *killable) Append(ctx context.Context, topic string, batches []Batch) error {
	if k.dead.Load() {
		return errors.New("dead")
	}
	return k.Store.Append(ctx, topic, batches)
}

func (k *killable) Ping(ctx context.Context) error {
	if k.dead.Load() {
		return errors.New("dead")
	}
	return k.Store.Ping(ctx)
}

// stalled is a store whose first append waits: the writer becomes a zombie with a batch in its hand.
type stalled struct {
	Store
	holding chan struct{} // closed when the append waits
	release chan struct{}
	begun   atomic.Bool
}

func (z *stalled) Append(ctx context.Context, topic string, batches []Batch) error {
	if z.begun.CompareAndSwap(false, true) {
		close(z.holding)
		<-z.release
	}
	return z.Store.Append(context.WithoutCancel(ctx), topic, batches)
}

func TestAZombieIsFencedAndGoesOn(t *testing.T) {
	onStages(t, func(t *testing.T, s *stage) {
		p := s.producer(t)
		p.transaction(t, 30, true)
		z := &stalled{Store: s.open(t), holding: make(chan struct{}), release: make(chan struct{})}
		zombie := s.start(t, "zombie", z)
		<-z.holding
		other := s.loneWriter(t) // writes the same partitions, as the member that took over would
		s.complete(t)
		other.end(t)
		close(z.release)
		eventually(t, "the zombie is fenced", func() bool { return value(zombie.metrics.fenced) == 1 })
		p.transaction(t, 30, true)
		s.complete(t)
		zombie.ready(t)
	})
}

// loneWriter is a writer in a group of its own: it has every partition at once.
func (s *stage) loneWriter(t *testing.T) *member {
	t.Helper()
	return s.start(t, "other", s.open(t), func(w *Writer) { w.cfg.Group += "-other" })
}

func TestARestartGoesOnFromTheStoredOffsets(t *testing.T) {
	onStages(t, func(t *testing.T, s *stage) {
		p := s.producer(t)
		for round := range 3 {
			p.transaction(t, 25, true)
			m := s.start(t, []string{"a", "", "b"}[round], s.open(t)) // also as a dynamic member
			s.complete(t)
			if err := m.end(t); err != nil {
				t.Error(err)
			}
			if got := value(m.metrics.rows); got != 25 {
				t.Errorf("round %d wrote %v rows", round, got)
			}
		}
	})
}

func TestAStopLeavesTheGroup(t *testing.T) {
	onStages(t, func(t *testing.T, s *stage) {
		m := s.start(t, "a", s.open(t))
		m.ready(t)
		m.end(t)
		cl, err := kgo.NewClient(kgo.SeedBrokers(s.topics.Brokers...))
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		groups, err := kadm.NewClient(cl).DescribeGroups(t.Context(), s.writer.Group)
		if err != nil || len(groups[s.writer.Group].Members) != 0 {
			t.Errorf("members: %v, %v", groups[s.writer.Group].Members, err)
		}
		if !strings.Contains(m.log.String(), "left the group") {
			t.Error("the log does not say so")
		}
	})
}

func TestALargePollIsWrittenInBoundedTransactions(t *testing.T) {
	s := newStage(t, onSQLite(t), embeddedBroker(t).Brokers())
	s.writer.BatchBytes = 4000 // some ten verdicts
	p := s.producer(t)
	p.transaction(t, 200, true)
	watched := &largest{Store: s.open(t)}
	s.start(t, "a", watched)
	s.complete(t)
	if n := watched.bytes.Load(); n > 5000 {
		t.Errorf("a transaction had %d bytes", n)
	}
}

// largest remembers the largest append.
type largest struct {
	Store
	bytes atomic.Int64
}

func (l *largest) Append(ctx context.Context, topic string, batches []Batch) error {
	n := int64(0)
	for _, b := range batches {
		for _, r := range b.Rows {
			n += int64(len(r.Payload) + len(r.Key))
		}
	}
	l.bytes.Store(max(l.bytes.Load(), n))
	return l.Store.Append(ctx, topic, batches)
}

// Verdicts that fall out of the topic before they are audited must not be passed over in silence.
func TestVerdictsLostFromTheTopicAreToldUntilSomebodyDecides(t *testing.T) {
	onStages(t, func(t *testing.T, s *stage) {
		p := s.producer(t)
		p.transaction(t, 30, true)
		first := s.start(t, "a", s.open(t))
		s.complete(t)
		first.end(t)
		before := s.sent
		p.transaction(t, 30, true)
		lost := s.sent[len(before):]
		cl, err := kgo.NewClient(kgo.SeedBrokers(s.topics.Brokers...))
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		adm := kadm.NewClient(cl)
		ends, err := adm.ListEndOffsets(t.Context(), s.topics.Verdicts)
		if err != nil {
			t.Fatal(err)
		}
		end := ends[s.topics.Verdicts][1].Offset
		if _, err := adm.DeleteRecords(t.Context(), kadm.Offsets{s.topics.Verdicts: {1: kadm.Offset{Topic: s.topics.Verdicts, Partition: 1, At: end, LeaderEpoch: -1}}}); err != nil {
			t.Fatal(err)
		}
		s.sent = nil
		for _, row := range slices.Concat(before, lost) {
			if !strings.HasPrefix(row, "1 ") || slices.Contains(before, row) {
				s.sent = append(s.sent, row)
			}
		}
		m := s.start(t, "a", s.open(t), func(w *Writer) { w.recheck = 500 * time.Millisecond })
		m.notReady(t, "were deleted from the topic")
		s.complete(t) // the other partitions go on
		eventually(t, "the metric tells", func() bool { return value(m.metrics.lost) == 1 })
		m.notReady(t, "partition 1")
		if n, lives := strings.Count(m.log.String(), "lost to the audit"), value(m.metrics.restarts)+1; float64(n) > lives {
			t.Errorf("%d log lines in %v lives", n, lives)
		}
		// The owner accepts the loss: the writer goes on by itself.
		if _, err := s.view.Exec(fmt.Sprintf(`UPDATE audit_offsets SET next_offset = %d WHERE partition = 1`, end)); err != nil {
			t.Fatal(err)
		}
		p.transaction(t, 30, true)
		s.complete(t)
		m.ready(t)
		if value(m.metrics.lost) != 0 {
			t.Error("the metric still tells of a loss")
		}
	})
}

// TestATopicMadeAnewIsRefused: its first verdicts stand where those of before stood, and would pass for written. Neither a writer that runs while the topic is replaced nor one that
// starts later goes past them in silence; under a new name the topic is audited whole.
func TestATopicMadeAnewIsRefused(t *testing.T) {
	onStages(t, func(t *testing.T, s *stage) {
		running := s.start(t, "a", s.open(t))
		s.producer(t).transaction(t, 30, true)
		s.complete(t)
		old := s.rows(t)

		admin, err := kgo.NewClient(kgo.SeedBrokers(s.topics.Brokers...))
		if err != nil {
			t.Fatal(err)
		}
		defer admin.Close()
		if _, err := kadm.NewClient(admin).DeleteTopic(t.Context(), s.topics.Verdicts); err != nil {
			t.Fatal(err)
		}
		remake := func() {
			eventually(t, "the topic is there again", func() bool {
				_, err := kafka.LayOut(t.Context(), &s.topics, kafka.Layout{Partitions: testPartitions, Replication: -1}, false)
				return err == nil
			})
		}
		remake()
		s.sent = nil
		s.producer(t).transaction(t, 90, true) // beyond where the old topic ended
		running.notReady(t, "was made anew")
		if err := running.end(t); err != nil {
			t.Errorf("the writer that ran ended with %v", err)
		}
		late := s.start(t, "b", s.open(t))
		if err := late.returns(t); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "KAFKA_TOPIC_VERDICTS") {
			t.Errorf("a writer that starts says %v", err)
		}
		if f, err := examineLag(t.Context(), &s.topics, s.writer); err != nil || f.State != kafka.Fail || !strings.Contains(f.Found, "was made anew") {
			t.Errorf("the doctor finds %+v, %v", f, err)
		}
		if diff := cmp.Diff(old, s.rows(t)); diff != "" {
			t.Errorf("the table changed: %s", diff)
		}

		s.topics.Verdicts += ".2"
		remake()
		s.sent = nil
		s.producer(t).transaction(t, 40, true)
		s.start(t, "b", s.open(t)).ready(t)
		s.sent = append(s.sent, old...)
		s.complete(t)
		if f, err := examineLag(t.Context(), &s.topics, s.writer); err != nil || f.State != kafka.OK {
			t.Errorf("under a new name the doctor finds %+v, %v", f, err)
		}
	})
}

func TestASecondProcessUnderOneNameIsAnError(t *testing.T) {
	onStages(t, func(t *testing.T, s *stage) {
		a := s.start(t, "same", s.open(t))
		a.ready(t)
		b := s.start(t, "same", s.open(t))
		if err := a.returns(t); !errors.Is(err, ErrInstanceTaken) || !strings.Contains(err.Error(), `"same"`) {
			t.Errorf("got %v", err)
		}
		b.ready(t)
	})
}

func TestMetricsOfTwoWritersInOneRegistryAreAnError(t *testing.T) {
	s := newStage(t, onSQLite(t), embeddedBroker(t).Brokers())
	store := s.open(t)
	m := s.start(t, "a", store)
	if _, err := New(s.writer, &s.topics, store, m.Writer.log, m.reg); err == nil {
		t.Error("no error")
	}
	if diff := cmp.Diff([]string(nil), lint(t, m)); diff != "" {
		t.Error(diff)
	}
}

func lint(t *testing.T, m *member) (problems []string) {
	t.Helper()
	found, err := testutil.GatherAndLint(m.reg.(*prometheus.Registry))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range found {
		if strings.HasPrefix(p.Metric, "mlmonitor_audit") {
			problems = append(problems, p.Metric+": "+p.Text)
		}
	}
	return problems
}
