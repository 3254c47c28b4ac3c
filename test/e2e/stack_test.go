package e2e

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

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
	s.topics = kafka.Config{Brokers: s.kafka.Brokers, Transactions: "transactions", Verdicts: "verdicts", DeadLetters: "transactions.dlq", Shadow: "verdicts.shadow", Replies: "verdicts.replies", Models: "mlmonitor.models"}
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

// unblock waits, and meanwhile does what docs/operations.md says under "When score is stalled": a broker that is killed while it ends a transaction forgets it at times, above all on a machine that has much
// to do, and nobody can then go on.
func (s *stack) unblock(t *testing.T, wait func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		wait()
	}()
	for {
		select {
		case <-done:
			return
		case <-time.After(5 * time.Second):
			if out, _ := run(t, s.env, "topics", "unblock", "--apply", "--quiet", "30s"); strings.Contains(out, "producer") {
				t.Logf("Kafka had forgotten a transaction: %s", out)
			}
		}
	}
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
