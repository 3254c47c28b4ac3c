package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// unready waits until /ready answers 503 with a text that holds each of the words.
func (p *process) unready(t *testing.T, words ...string) {
	t.Helper()
	last := ""
	words = append(words, "not ready:") // the page itself, not that there is none yet
	eventually(t, fmt.Sprintf("%s is not ready because of %v", p.role, words), func() bool {
		ok, text := p.ready()
		last = text
		for _, w := range words {
			ok = ok || !strings.Contains(text, w)
		}
		return !ok
	})
	t.Logf("%s: %s", p.role, strings.TrimSpace(last))
}

func (p *process) becomesReady(t *testing.T) {
	t.Helper()
	eventually(t, p.role+" is ready", func() bool { ok, _ := p.ready(); return ok })
}

// starts is how often the process was started: a role that waits does not end and begin again.
func (p *process) starts(t *testing.T) int {
	t.Helper()
	out, err := exec.Command("grep", "-c", `"msg":"started"`, p.log).Output()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	fmt.Sscan(string(out), &n)
	return n
}

func (s *stack) produce(t *testing.T, first, n int, more ...string) {
	t.Helper()
	mustRun(t, s.env, append([]string{"produce", "--first", fmt.Sprint(first), "--count", fmt.Sprint(n)}, more...)...)
}

// TestRolesOutliveTheirServers takes Kafka and Postgres away before the start and mid-way: readiness says why, the process stays, nothing is lost,
// and everything goes on by itself. SIGTERM ends a role in time whatever is away.
func TestRolesOutliveTheirServers(t *testing.T) {
	s := newStack(t)
	if err := errors.Join(s.kafka.Kill(0), s.postgres.Kill()); err != nil {
		t.Fatal(err)
	}
	score, audit := s.score(t, "score-1", rig.FreePort(t)), s.audit(t, "audit-1", rig.FreePort(t))
	score.unready(t, "refused")
	audit.unready(t)
	if err := errors.Join(s.kafka.Restart(0), s.postgres.Restart()); err != nil {
		t.Fatal(err)
	}
	score.becomesReady(t)
	audit.becomesReady(t)
	s.produce(t, 0, 500)

	if err := s.postgres.Kill(); err != nil {
		t.Fatal(err)
	}
	s.produce(t, 500, 500)
	audit.unready(t)
	score.becomesReady(t) // while only Postgres is away
	if err := s.postgres.Restart(); err != nil {
		t.Fatal(err)
	}
	audit.becomesReady(t)

	if err := s.kafka.Kill(0); err != nil {
		t.Fatal(err)
	}
	score.unready(t, "broker")
	if err := s.kafka.Restart(0); err != nil {
		t.Fatal(err)
	}
	score.becomesReady(t)
	s.produce(t, 1000, 500)
	eventually(t, "every input is answered once, and every verdict is in the table once", func() bool {
		found, err := app.Reconcile(t.Context(), &s.topics)
		return err == nil && found.Exact() && found.Transactions == 1500 && s.count(t.Context()) == 1500
	})
	for _, p := range []*process{score, audit} {
		if n := p.starts(t); n != 1 {
			t.Errorf("%s was started %d times", p.role, n)
		}
	}

	if err := s.kafka.Kill(0); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*process{score, audit} {
		if code, took := p.stop(); code != 0 {
			t.Errorf("%s without a broker ends on SIGTERM with code %d after %v", p.role, code, took)
		}
	}
}

// TestABrokenStreamHaltsAndARestartLetsItThrough sends what the contract refuses: the topic must not drain into the dead letters by itself.
func TestABrokenStreamHaltsAndARestartLetsItThrough(t *testing.T) {
	s := sharedStack(t)
	p := s.score(t, "score-1", rig.FreePort(t), "CONSUMER_HALT_RETRY=500ms")
	p.becomesReady(t)
	s.produce(t, 0, 3000, "--malformed", "1")
	p.unready(t, "CONSUMER_MAX_DEAD_LETTER_RATIO")
	if _, metrics := fetch(t, p.url+"/metrics"); !strings.Contains(metrics, "\nmlmonitor_consumer_halted{member=\"1\"} 1\n") {
		t.Error("mlmonitor_consumer_halted is not 1")
	}
	found, err := app.Reconcile(t.Context(), &s.topics)
	if err != nil || found.DeadLetters > 1000 || found.Unanswered != found.Transactions-found.DeadLetters {
		t.Errorf("while halted: %+v, %v", found, err)
	}
	if code, took := p.stop(); code != 0 {
		t.Errorf("a halted scorer ends on SIGTERM with code %d after %v", code, took)
	}
	s.score(t, "score-1", rig.FreePort(t), "CONSUMER_MAX_DEAD_LETTER_RATIO=1").becomesReady(t)
	eventually(t, "every input is answered", func() bool {
		found, err = app.Reconcile(t.Context(), &s.topics)
		return err == nil && found.Exact() && found.DeadLetters == 3000
	})
	out := mustRun(t, s.env, "dlq", "list", "--limit", "5")
	if lines := strings.Count(out, "\n"); lines != 6 || !strings.Contains(out, "CLASS") {
		t.Errorf("dlq list shows %q", out)
	}
}

// TestScoreSaysWhatIsMissing covers what an operator forgets.
func TestScoreSaysWhatIsMissing(t *testing.T) {
	s := sharedStack(t)
	env := []string{"KAFKA_TOPIC_TRANSACTIONS=" + s.topics.Transactions + ".new"}
	p := s.score(t, "score-1", rig.FreePort(t), env...)
	p.unready(t, "mlmonitor topics")
	if _, err := run(t, append(s.env, env...), "topics", "--check"); err == nil || !strings.Contains(err.Error(), "do not exist") {
		t.Errorf("topics --check: %v", err)
	}
	mustRun(t, append(s.env, env...), "topics")
	p.becomesReady(t)
	if out := mustRun(t, append(s.env, env...), "topics", "--json"); !strings.Contains(out, `"created": false`) || strings.Contains(out, `"created": true`) {
		t.Errorf("a second `topics`: %s", out)
	}
	if out, err := run(t, []string{"DATABASE_URL=" + rig.Postgres(t).Database(t).WriterURL, "KAFKA_BROKERS=" + s.brokers()}, "audit"); err == nil || !strings.Contains(err.Error(), "mlmonitor migrate") {
		t.Errorf("audit without tables: %v %s", err, out)
	}
}

// TestARefusalEndsTheProcessAndNamesTheVariable: a wrong password or authority is not retried in silence.
func TestARefusalEndsTheProcessAndNamesTheVariable(t *testing.T) {
	server := rig.Kafka(t, 1)
	secure := func(more ...string) []string {
		return append([]string{"KAFKA_BROKERS=" + strings.Join(server.SecureBrokers, ","), "KAFKA_TLS_CA_FILE=" + server.CAFile, "KAFKA_SASL_MECHANISM=SCRAM-SHA-512",
			"KAFKA_SASL_USERNAME=admin", "KAFKA_SASL_PASSWORD=not-this-one", "BUNDLE_DIR=sample", "OPS_PORT=" + fmt.Sprint(rig.FreePort(t))}, more...)
	}
	for variable, env := range map[string][]string{
		"KAFKA_SASL_PASSWORD": secure(),
		"KAFKA_TLS_CA_FILE":   secure("KAFKA_TLS_CA_FILE=", "KAFKA_TLS=true"),
	} {
		for _, command := range []string{"score", "topics"} {
			_, err := run(t, env, command)
			if err == nil || !strings.Contains(err.Error(), variable) || strings.Contains(err.Error(), "not-this-one") {
				t.Errorf("%s: %v", command, err)
			}
		}
	}
	url := strings.Replace(rig.Postgres(t).OwnerURL, "owner:", "owner:x", 1)
	if _, err := run(t, []string{"DATABASE_URL=" + url}, "migrate"); err == nil || !strings.Contains(err.Error(), "password") || strings.Contains(err.Error(), url) {
		t.Errorf("migrate with a wrong password: %v", err)
	}
}

// TestTwoProcessesDoNotShareAnInstance: the one that was there first ends and says why; the other goes on.
func TestTwoProcessesDoNotShareAnInstance(t *testing.T) {
	s := sharedStack(t)
	first := s.score(t, "same", rig.FreePort(t))
	first.becomesReady(t)
	s.produce(t, 0, 100)
	first.mu.Lock()
	first.quit = true // no supervisor: it would come back and take over in turn
	ended := first.ended
	first.mu.Unlock()
	second := s.score(t, "same", rig.FreePort(t))
	second.becomesReady(t)
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("two processes run under one INSTANCE_ID")
	}
	if code := first.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("the first ends with code %d", code)
	}
	out, err := exec.Command("grep", "INSTANCE_ID", first.log).Output()
	if err != nil || !strings.Contains(string(out), "another process") {
		t.Errorf("the first does not say why: %s", out)
	}
	s.produce(t, 100, 100)
	eventually(t, "every input is answered", func() bool {
		found, err := app.Reconcile(t.Context(), &s.topics)
		return err == nil && found.Exact() && found.Transactions == 200
	})
}

// sharedStack is topics, groups and a database of this test's own on the servers that tests share.
func sharedStack(t *testing.T) *stack {
	t.Helper()
	s := &stack{kafka: rig.Kafka(t, 1), postgres: rig.Postgres(t)}
	id := rig.Unique("e2e")
	s.topics = kafka.Config{Brokers: s.kafka.Brokers, Transactions: id + ".in", Verdicts: id + ".out", DeadLetters: id + ".dlq", Shadow: id + ".shadow", Replies: id + ".replies", Models: id + ".models"}
	s.env = []string{"KAFKA_BROKERS=" + s.brokers(), "BUNDLE_DIR=sample", "CONSUMER_GROUP=" + id, "KAFKA_TOPIC_TRANSACTIONS=" + s.topics.Transactions,
		"KAFKA_TOPIC_VERDICTS=" + s.topics.Verdicts, "KAFKA_TOPIC_DEAD_LETTERS=" + s.topics.DeadLetters, "KAFKA_TOPIC_MODELS=" + s.topics.Models,
		"KAFKA_TOPIC_SHADOW=" + s.topics.Shadow, "KAFKA_TOPIC_REPLIES=" + s.topics.Replies}
	mustRun(t, s.env, "topics")
	return s
}

func (s *stack) brokers() string { return strings.Join(s.kafka.Brokers, ",") }
