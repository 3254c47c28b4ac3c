package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/schemas"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// size of the torture: small in every test run, full with MLMONITOR_TORTURE=full (make torture-smoke).
type size struct {
	transactions uint64
	rate         float64
	kills        int // of each role
}

func tortureSize() size {
	if os.Getenv("MLMONITOR_TORTURE") == "full" {
		return size{transactions: 200_000, rate: 2000, kills: 10}
	}
	return size{transactions: 20_000, rate: 800, kills: 3}
}

// stack is a private Kafka and Postgres, laid out for the roles.
type stack struct {
	kafka    *rig.Cluster
	postgres *rig.Server
	db       rig.Roles
	topics   kafka.Config
	env      []string // of every role
}

func newStack(t *testing.T) *stack {
	t.Helper()
	s := &stack{kafka: rig.PrivateKafka(t, 1), postgres: rig.PrivatePostgres(t)}
	s.db = s.postgres.Roles
	s.topics = kafka.Config{Brokers: s.kafka.Brokers, Transactions: "transactions", Verdicts: "verdicts", DeadLetters: "transactions.dlq"}
	s.env = []string{"KAFKA_BROKERS=" + strings.Join(s.kafka.Brokers, ","), "BUNDLE_DIR=sample"}
	mustRun(t, s.env, "topics")
	mustRun(t, []string{"DATABASE_URL=" + s.db.OwnerURL}, "migrate")
	return s
}

func (s *stack) score(t *testing.T, instance string, port int, more ...string) *process {
	return supervise(t, "score", instance, port, append(s.env, more...))
}

func (s *stack) audit(t *testing.T, instance string, port int) *process {
	return supervise(t, "audit", instance, port, append(s.env, "DATABASE_URL="+s.db.WriterURL))
}

// TestNothingIsLostOrDoubledUnderKills kills scorers, audit writers and the database, and restarts the broker, at random moments under load: every input
// must have one answer for a read_committed reader, every verdict one audit row with its bytes, and a clean second run the same verdicts.
func TestNothingIsLostOrDoubledUnderKills(t *testing.T) {
	if testing.Short() {
		t.Skip("needs real Kafka and PostgreSQL, which -short leaves out: run `make test`")
	}
	n := tortureSize()
	seed := uint64(time.Now().UnixNano())
	t.Logf("%d transactions, %d kills of each role, seed %d", n.transactions, n.kills, seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	s := newStack(t)
	scorers := []*process{s.score(t, "score-1", freePort(t)), s.score(t, "score-2", freePort(t))}
	writers := []*process{s.audit(t, "audit-1", freePort(t)), s.audit(t, "audit-2", freePort(t))}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	sent := make(chan producer.Produced, 1)
	go func() {
		sim := producer.DefaultSimulator(seed, 0, 0.01)
		done, err := producer.Produce(ctx, &s.topics, producer.ProduceConfig{Simulator: sim, Count: n.transactions, Rate: n.rate}, func() {})
		if err != nil {
			t.Errorf("produce: %v", err)
		}
		sent <- done
	}()
	s.torment(t, rng, n, scorers, writers)
	done := <-sent
	if done.Transactions != n.transactions || done.Malformed == 0 {
		t.Fatalf("produced %+v", done)
	}
	s.settle(t, ctx)
	found := s.reconcile(t, ctx, &s.topics)
	if uint64(found.Transactions) != n.transactions || uint64(found.DeadLetters) != done.Malformed {
		t.Errorf("%d transactions and %d dead letters stand on the topics; sent were %+v", found.Transactions, found.DeadLetters, done)
	}
	for _, role := range [][]*process{scorers, writers} {
		kills := 0
		for _, p := range role {
			kills += p.kills
			if code, took := p.stop(); code != 0 || took > 10*time.Second {
				t.Errorf("%s ends on SIGTERM with code %d after %v", p.role, code, took)
			}
		}
		if kills < n.kills {
			t.Errorf("%d kills of %s hit a running process, %d were due", kills, role[0].role, n.kills)
		}
	}
	verdicts := s.verdicts(t, ctx, &s.topics)
	if diff := cmp.Diff(verdicts, s.rows(t, ctx)); diff != "" {
		t.Errorf("the audit table is not the topic: %.2000s", diff)
	}
	if diff := cmp.Diff(verdicts, s.cleanRun(t, ctx)); diff != "" {
		t.Errorf("a clean run gives other verdicts: %.2000s", diff)
	}
	if kinds := s.kinds(t, ctx); len(kinds) < 12 && n.transactions >= 20_000 {
		t.Errorf("only these kinds of malformed input were met: %v", kinds)
	}
}

// torment spreads the kills, one restart of the broker and one of the database over the time that producing takes.
func (s *stack) torment(t *testing.T, rng *rand.Rand, n size, scorers, writers []*process) {
	t.Helper()
	var acts []func() error
	for range n.kills {
		acts = append(acts, func() error { scorers[rng.IntN(2)].kill(); return nil }, func() error { writers[rng.IntN(2)].kill(); return nil })
	}
	acts = append(acts, func() error {
		if err := s.kafka.Stop(); err != nil {
			return err
		}
		return s.kafka.Restart(0)
	}, func() error {
		if err := s.postgres.Kill(); err != nil {
			return err
		}
		return s.postgres.Restart()
	})
	rng.Shuffle(len(acts), func(i, j int) { acts[i], acts[j] = acts[j], acts[i] })
	pause := time.Duration(float64(n.transactions) / n.rate / float64(len(acts)+1) * float64(time.Second))
	for _, act := range acts {
		time.Sleep(pause/2 + rand.N(pause)) // a random moment is what is tested
		if err := act(); err != nil {
			t.Errorf("a fault did not happen: %v", err)
		}
	}
}

// settle waits until every input is answered and every verdict is in the table.
func (s *stack) settle(t *testing.T, ctx context.Context) {
	t.Helper()
	eventually(t, 4*time.Minute, "every transaction is answered", func() bool {
		found, err := app.Reconcile(ctx, &s.topics)
		if err == nil && found.Unanswered > 0 {
			s.abortHanging(t, ctx)
		}
		return err == nil && found.Unanswered == 0
	})
	want := len(s.verdicts(t, ctx, &s.topics))
	eventually(t, 2*time.Minute, fmt.Sprintf("%d verdicts are in the table", want), func() bool { return s.count(ctx) >= want })
}

func (s *stack) reconcile(t *testing.T, ctx context.Context, topics *kafka.Config) app.Reconciliation {
	t.Helper()
	found, err := app.Reconcile(ctx, topics)
	if err != nil {
		t.Fatal(err)
	}
	if !found.Exact() {
		t.Errorf("not exactly once: %+v", found)
	}
	return found
}

// verdicts are the payloads on the topic by source position.
func (s *stack) verdicts(t *testing.T, ctx context.Context, topics *kafka.Config) map[schemas.Source]string {
	t.Helper()
	all := map[schemas.Source]string{}
	s.read(t, ctx, topics, topics.Verdicts, func(r *kafka.Record) error {
		v, err := schemas.ParseVerdict(r.Value)
		all[v.Source] = string(r.Value)
		return err
	})
	return all
}

func (s *stack) read(t *testing.T, ctx context.Context, topics *kafka.Config, topic string, each func(*kafka.Record) error) {
	t.Helper()
	whole, err := kafka.Whole(ctx, topics, topic)
	if err != nil {
		t.Fatal(err)
	}
	if err := kafka.Read(ctx, topics, topic, whole, each); err != nil {
		t.Fatal(err)
	}
}

// kinds counts dead letters by class and path: how many ways of being malformed were met.
func (s *stack) kinds(t *testing.T, ctx context.Context) map[string]int {
	t.Helper()
	all := map[string]int{}
	s.read(t, ctx, &s.topics, s.topics.DeadLetters, func(r *kafka.Record) error {
		d, err := producer.ParseDeadLetter(r)
		all[string(d.Class)]++
		return err
	})
	return all
}

func (s *stack) count(ctx context.Context) (n int) {
	conn, err := pgx.Connect(ctx, s.db.ReaderURL)
	if err != nil {
		return 0
	}
	defer conn.Close(ctx)
	if conn.QueryRow(ctx, "SELECT count(*) FROM verdicts").Scan(&n) != nil {
		return 0
	}
	return n
}

// rows are the payloads in the table by source position; a position that stands twice is an error.
func (s *stack) rows(t *testing.T, ctx context.Context) map[schemas.Source]string {
	t.Helper()
	conn, err := pgx.Connect(ctx, s.db.ReaderURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	result, err := conn.Query(ctx, "SELECT source_topic, source_partition, source_offset, payload::text FROM verdicts")
	if err != nil {
		t.Fatal(err)
	}
	all := map[schemas.Source]string{}
	var at schemas.Source
	var payload string
	if _, err := pgx.ForEachRow(result, []any{&at.Topic, &at.Partition, &at.Offset, &payload}, func() error {
		if _, twice := all[at]; twice {
			return fmt.Errorf("%v has two rows", at)
		}
		all[at] = payload
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// cleanRun scores the same input once more, by one undisturbed process into topics of its own.
func (s *stack) cleanRun(t *testing.T, ctx context.Context) map[schemas.Source]string {
	t.Helper()
	clean := s.topics
	clean.Verdicts, clean.DeadLetters = "clean.verdicts", "clean.dlq"
	env := []string{"KAFKA_TOPIC_VERDICTS=" + clean.Verdicts, "KAFKA_TOPIC_DEAD_LETTERS=" + clean.DeadLetters, "CONSUMER_GROUP=clean"}
	mustRun(t, append(s.env, env...), "topics")
	p := s.score(t, "clean", freePort(t), env...)
	defer p.stop()
	eventually(t, 2*time.Minute, "the clean run answers everything", func() bool {
		found, err := app.Reconcile(ctx, &clean)
		return err == nil && found.Unanswered == 0
	})
	return s.verdicts(t, ctx, &clean)
}

// TestTheDemoProvesItself runs the newcomer's command twice on one directory.
func TestTheDemoProvesItself(t *testing.T) {
	dir := t.TempDir()
	last := app.Summary{}
	for range 2 {
		out := mustRun(t, nil, "demo", "--for", "3s", "--json", "--dir", dir, "--malformed", "0.01")
		var s app.Summary
		dec := json.NewDecoder(strings.NewReader(out))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&s); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		if _, err := dec.Token(); err != io.EOF {
			t.Errorf("more than one document on standard output: %s", out)
		}
		if !s.ExactlyOnce || s.Transactions < last.Transactions+1000 || s.Transactions != s.Verdicts+s.DeadLetters || s.Verdicts != s.AuditRows || s.DeadLetters == 0 {
			t.Errorf("summary %+v after %+v", s, last)
		}
		if !(0 < s.Latency.P50 && s.Latency.P50 <= s.Latency.P99) {
			t.Errorf("latency %+v", s.Latency)
		}
		last = s
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := strconv.Atoi(strings.TrimPrefix(listenOnce(t), "127.0.0.1:"))
	if err != nil {
		t.Fatal(err)
	}
	return port
}
