package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// TestTheDocumentedACLsAreEnough runs score, audit and replay as a user who may do what docs/operations.md lists, and nothing else.
func TestTheDocumentedACLsAreEnough(t *testing.T) {
	s := sharedStack(t)
	db := rig.Postgres(t).Database(t)
	mustRun(t, []string{"DATABASE_URL=" + db.OwnerURL}, "migrate")
	s.db = db
	group := strings.TrimSuffix(s.topics.Transactions, ".in")
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.kafka.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	allow := func(b *kadm.ACLBuilder) {
		t.Helper()
		if _, err := kadm.NewClient(cl).CreateACLs(t.Context(), b.ResourcePatternType(kadm.ACLPatternLiteral).Allow("User:app").AllowHosts()); err != nil {
			t.Fatal(err)
		}
	}
	secure := append(s.env, "KAFKA_BROKERS="+strings.Join(s.kafka.SecureBrokers, ","), "KAFKA_TLS_CA_FILE="+s.kafka.CAFile, "KAFKA_SASL_MECHANISM=SCRAM-SHA-512",
		"KAFKA_SASL_USERNAME=app", "KAFKA_SASL_PASSWORD="+s.kafka.AppPassword)
	score := supervise(t, "score", "score-1", rig.FreePort(t), append(secure, "SCORE_MEMBERS=2"))
	score.unready(t, "AUTHORIZATION_FAILED")
	allow(kadm.NewACLs().Topics(s.topics.Transactions).Operations(kadm.OpRead))
	allow(kadm.NewACLs().Topics(s.topics.Verdicts, s.topics.DeadLetters).Operations(kadm.OpRead, kadm.OpWrite, kadm.OpDescribeConfigs))
	allow(kadm.NewACLs().Topics(s.topics.Models, s.topics.Shadow).Operations(kadm.OpWrite))
	allow(kadm.NewACLs().Groups(group).Operations(kadm.OpRead))
	allow(kadm.NewACLs().TransactionalIDs(group+"-score-1", group+"-score-1.m2").Operations(kadm.OpWrite))
	score.becomesReady(t)
	allow(kadm.NewACLs().Topics(s.topics.Verdicts).Operations(kadm.OpRead))
	allow(kadm.NewACLs().Groups(group + "-audit").Operations(kadm.OpRead))
	supervise(t, "audit", "audit-1", rig.FreePort(t), append(secure, "AUDIT_GROUP="+group+"-audit", "DATABASE_URL="+db.WriterURL)).becomesReady(t)
	s.produce(t, 0, 300, "--malformed", "0.1")
	eventually(t, "every input is answered, and audited", func() bool {
		found, err := app.Reconcile(t.Context(), &s.topics)
		return err == nil && found.Exact() && found.Transactions == 300 && int64(s.count(t.Context())) == found.Verdicts
	})
	// Who asks for a reply that the scorer may not write has his verdict on the topic all the same.
	allow(kadm.NewACLs().Topics(s.topics.Replies).Operations(kadm.OpDescribe))
	ask := func(from, n int) {
		t.Helper()
		sim, err := producer.NewSimulator(producer.SimulatorConfig{Seed: 1, First: uint64(from), Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Customers: 50, Terminals: 30})
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			e := sim.Next(nil)
			in := &kgo.Record{Topic: s.topics.Transactions, Key: e.Key, Value: e.Value}
			producer.AskReply(in, 0, fmt.Sprint(e.Number))
			if err := cl.ProduceSync(t.Context(), in).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "every input is answered", func() bool {
			found, err := app.Reconcile(t.Context(), &s.topics)
			return err == nil && found.Exact() && found.Transactions == int64(from+n)
		})
	}
	ask(300, 40)
	allow(kadm.NewACLs().Topics(s.topics.Replies).Operations(kadm.OpWrite))
	allow(kadm.NewACLs().Topics(s.topics.DeadLetters, s.topics.Models).Operations(kadm.OpRead))
	if out := mustRun(t, secure, "replay", "--verify"); !strings.Contains(out, "340 inputs") {
		t.Errorf("replay says %s", out)
	}
	mustRun(t, secure, "replay", "--bundle", "sample")
	target := s.topics
	target.Verdicts = s.topics.Verdicts + ".backfill"
	if _, err := kafka.LayOut(t.Context(), &target, kafka.Layout{Partitions: 6, Replication: -1}, false); err != nil {
		t.Fatal(err)
	}
	allow(kadm.NewACLs().Topics(target.Verdicts).Operations(kadm.OpRead, kadm.OpWrite))
	for p := range 6 {
		allow(kadm.NewACLs().TransactionalIDs(fmt.Sprintf("mlmonitor-replay-%s-%d", target.Verdicts, p)).Operations(kadm.OpWrite))
	}
	mustRun(t, secure, "replay", "--bundle", "sample", "--publish", target.Verdicts)

	allow(kadm.NewACLs().Topics(s.topics.Transactions).Operations(kadm.OpWrite))
	allow(kadm.NewACLs().Topics(s.topics.Replies).Operations(kadm.OpRead))
	port := rig.FreePort(t)
	supervise(t, "api", "api-1", rig.FreePort(t), append(secure, "API_AUTH=off", fmt.Sprintf("API_PORT=%d", port), "API_DATABASE_URL="+db.ReaderURL)).becomesReady(t)
	for _, path := range []string{"/verdicts?limit=1", "/verdicts.csv?limit=1", "/model/info", "/model/history", "/drift/status", "/dead-letters", "/replicas"} {
		if code, body := fetch(t, fmt.Sprintf("http://127.0.0.1:%d%s", port, path)); code != 200 || len(body) < 50 {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/stream", port), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	told := 0 // in a row: it is true before the topics are asked for
	for lines := bufio.NewScanner(resp.Body); told < 4 && lines.Scan(); {
		switch {
		case strings.Contains(lines.Text(), `"following":true`):
			told++
		case strings.Contains(lines.Text(), `"following":false`):
			told = 0
		}
	}
	if told < 4 {
		t.Error("the stream does not say that it follows the topics")
	}
}
