package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/kafka"
)

// TestPasswordsAreReplacedWhileEverythingRuns: score, audit and API go by SCRAM and by the roles of the database, with passwords from files. The shipped scripts replace each, then every connection is
// cut. No process is restarted, nothing is lost, and the old passwords are good for nothing.
func TestPasswordsAreReplacedWhileEverythingRuns(t *testing.T) {
	s := newStack(t)
	dir := t.TempDir()
	secret := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := func(path string) string {
		t.Helper()
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(data))
	}
	password := secret("kafka_password", s.kafka.AdminPassword)
	secure := []string{"KAFKA_BROKERS=" + strings.Join(s.kafka.SecureBrokers, ","), "KAFKA_TLS_CA_FILE=" + s.kafka.CAFile, "KAFKA_SASL_MECHANISM=SCRAM-SHA-512", "KAFKA_SASL_USERNAME=admin", "KAFKA_SASL_PASSWORD_FILE=" + password, "BUNDLE_DIR=sample"}
	database := map[string]string{}
	for role, url := range map[string]string{"audit": s.db.WriterURL, "reader": s.db.ReaderURL} {
		database[role] = secret(role+"_url", url)
		parsed, err := pgx.ParseConfig(url)
		if err != nil {
			t.Fatal(err)
		}
		secret(role+"_password", parsed.Password)
	}
	port := freePort(t)
	score := supervise(t, "score", "score-0", freePort(t), secure)
	writer := supervise(t, "audit", "audit-0", freePort(t), append(secure, "DATABASE_URL_FILE="+database["audit"]))
	server := supervise(t, "api", "api-0", freePort(t), append(secure, "API_AUTH=off", "API_DATABASE_URL_FILE="+database["reader"], fmt.Sprintf("API_PORT=%d", port)))
	for _, p := range []*process{score, writer, server} {
		p.becomesReady(t)
	}
	done := make(chan error, 1)
	go func() {
		_, err := run(t, s.env, "produce", "--count", "8000", "--rate", "400", "--customers", "300")
		done <- err
	}()
	rotate := func(script string, env []string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "../../deploy/rotate/"+script, args...)
		cmd.Env = append(os.Environ(), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
	}
	admin, err := pgx.ParseConfig(s.db.AdminURL)
	if err != nil {
		t.Fatal(err)
	}
	for role, file := range database {
		before := text(file)
		rotate("postgres.sh", []string{"PGHOST=" + admin.Host, fmt.Sprintf("PGPORT=%d", admin.Port), "PGUSER=postgres", "PGDATABASE=" + admin.Database}, role, dir)
		if after := text(file); after == before || strings.Contains(after, text(filepath.Join(dir, role+"_password"))) == false {
			t.Errorf("%s: the address is not another one, or not that of the password", role)
		}
		if conn, err := pgx.Connect(t.Context(), before); err == nil {
			conn.Close(t.Context())
			t.Errorf("the old password of %s still holds", role)
		}
	}
	configs, err := filepath.Abs("../stack/kafka-configs.sh")
	if err != nil {
		t.Fatal(err)
	}
	rotate("kafka.sh", []string{"KAFKA_BROKERS=" + strings.Join(s.kafka.Brokers, ","), "KAFKA_CONFIGS=" + configs}, "admin", password)
	for what, c := range map[string]struct {
		password string
		holds    bool
	}{"old": {s.kafka.AdminPassword, false}, "new": {text(password), true}} {
		cfg := kafka.Config{Brokers: s.kafka.SecureBrokers, CAFile: s.kafka.CAFile}
		opts, err := cfg.Options()
		if err != nil {
			t.Fatal(err)
		}
		cl, err := kgo.NewClient(append(opts, kgo.SASL(scram.Auth{User: "admin", Pass: c.password}.AsSha512Mechanism()))...)
		if err != nil {
			t.Fatal(err)
		}
		if err := cl.Ping(t.Context()); (err == nil) != c.holds {
			t.Errorf("the %s password: %v", what, err)
		}
		cl.Close()
	}
	s.db.ReaderURL = text(database["reader"]) // for the test itself
	// Every connection is made anew.
	conn, err := pgx.Connect(t.Context(), s.db.AdminURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ('audit', 'reader')"); err != nil {
		t.Fatal(err)
	}
	if err := s.kafka.Kill(0); err != nil {
		t.Fatal(err)
	}
	if err := s.kafka.Restart(0); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	var found app.Reconciliation
	defer func() {
		t.Logf("%+v, %d rows", found, s.count(t.Context()))
		if t.Failed() {
			_, why := score.ready()
			out, _ := run(t, s.env, "doctor")
			unblock, _ := run(t, s.env, "topics", "unblock")
			_, metrics := fetch(t, score.url+"/metrics")
			t.Logf("ready: %s\n%s\n%s", why, out, unblock)
			for line := range strings.Lines(metrics) {
				if strings.HasPrefix(line, "mlmonitor_") && !strings.Contains(line, "drift") {
					t.Log(line)
				}
			}
		}
	}()
	eventually(t, time.Minute, "every input has one answer, and one row", func() bool {
		found, err = app.Reconcile(t.Context(), &s.topics)
		return err == nil && found.Exact() && found.Transactions == 8000 && int64(s.count(t.Context())) == found.Verdicts
	})
	for _, p := range []*process{score, writer, server} {
		p.becomesReady(t)
		if n := p.starts(t); n != 1 {
			t.Errorf("%s was started %d times", p.role, n)
		}
	}
	if code, body := fetch(t, fmt.Sprintf("http://127.0.0.1:%d/verdicts?limit=1", port)); code != 200 {
		t.Errorf("the API reads the audit: %d %s", code, body)
	}
}
