package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/mlmonitor/mlmonitor/app"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/test/rig"
	"github.com/mlmonitor/mlmonitor/test/torture/wire"
)

// TestSecretsAreReplacedWhileEverythingRuns: score, audit and API go by TLS and SCRAM, and by the roles of the database over verify-full, with passwords from files. The shipped scripts replace the
// certificates of Kafka and Postgres, then each password; after either every connection is cut. No process is restarted, nothing is lost, and the old passwords are good for nothing.
func TestSecretsAreReplacedWhileEverythingRuns(t *testing.T) {
	told := rig.FreePort(t)
	t.Setenv("KAFKA_SECURE_TOLD", fmt.Sprint(told))
	s := newStack(t)
	// Through a proxy connections can be cut while the broker runs.
	link, err := wire.New("secure", told, s.kafka.SecureBrokers[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(link.Close)
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
	secure := []string{fmt.Sprintf("KAFKA_BROKERS=localhost:%d", told), "KAFKA_TLS_CA_FILE=" + s.kafka.CAFile, "KAFKA_SASL_MECHANISM=SCRAM-SHA-512", "KAFKA_SASL_USERNAME=admin", "KAFKA_SASL_PASSWORD_FILE=" + password, "BUNDLE_DIR=sample"}
	database := map[string]string{}
	for role, url := range map[string]string{"audit": s.db.WriterURL, "reader": s.db.ReaderURL} {
		database[role] = secret(role+"_url", url)
		parsed, err := pgx.ParseConfig(url)
		if err != nil {
			t.Fatal(err)
		}
		secret(role+"_password", parsed.Password)
	}
	port := rig.FreePort(t)
	score := supervise(t, "score", "score-0", rig.FreePort(t), secure)
	writer := supervise(t, "audit", "audit-0", rig.FreePort(t), append(secure, "DATABASE_URL_FILE="+database["audit"]))
	server := supervise(t, "api", "api-0", rig.FreePort(t), append(secure, "API_AUTH=off", "API_DATABASE_URL_FILE="+database["reader"], fmt.Sprintf("API_PORT=%d", port)))
	for _, p := range []*process{score, writer, server} {
		p.becomesReady(t)
	}
	load := s.flow(t, "--rate", "400", "--customers", "300")
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
	asAdmin := []string{"WAIT=240", "PGHOST=" + admin.Host, fmt.Sprintf("PGPORT=%d", admin.Port), "PGUSER=postgres", "PGDATABASE=" + admin.Database, "KAFKA_BROKERS=" + strings.Join(s.kafka.Brokers, ","), "KAFKA_CONFIGS=" + filepath.Join(rig.KafkaTools(t), "kafka-configs.sh")}
	cutDatabase := func() {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), s.db.AdminURL)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		var cut int
		if err := conn.QueryRow(t.Context(), "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename IN ('audit', 'reader')").Scan(&cut); err != nil || cut == 0 {
			t.Errorf("%d connections to the database were cut: %v", cut, err)
		}
	}
	cutKafka := func() {
		t.Helper()
		before := link.Hits().Resets
		link.Set(wire.Fault{Cut: true})
		link.Set(wire.Fault{})
		if cut := link.Hits().Resets - before; cut < 3 {
			t.Errorf("%d connections to Kafka were cut", cut)
		}
	}

	running := s.servers(t)
	kafkaTLS, postgresTLS := filepath.Dir(s.kafka.CAFile), filepath.Join(admin.Host, "tls")
	before := s.presented(t)
	for _, tls := range []string{kafkaTLS, postgresTLS} {
		rotate("../certs/certs.sh", []string{"RENEW=1"}, tls)
	}
	put(t, filepath.Join(kafkaTLS, "tls.pem"), filepath.Join(kafkaTLS, "node.pem"))
	rotate("certificates.sh", asAdmin, "kafka", filepath.Join(kafkaTLS, "tls.crt"), "SASL_SSL", filepath.Join(kafkaTLS, "node.pem"), "1="+s.kafka.SecureBrokers[0])
	put(t, filepath.Join(postgresTLS, "tls.key"), filepath.Join(postgresTLS, "server.key"))
	put(t, filepath.Join(postgresTLS, "tls.crt"), filepath.Join(postgresTLS, "server.crt"))
	rotate("certificates.sh", asAdmin, "postgres", filepath.Join(postgresTLS, "server.crt"), fmt.Sprintf("localhost:%d", admin.Port))
	for range 20 { // a broker has several threads that take connections
		after := s.presented(t)
		for server, file := range map[string]string{"kafka": filepath.Join(kafkaTLS, "tls.crt"), "postgres": filepath.Join(postgresTLS, "server.crt")} {
			block, _ := pem.Decode([]byte(text(file)))
			if block == nil || after[server] != string(block.Bytes) || after[server] == before[server] {
				t.Errorf("%s does not present its new certificate", server)
			}
		}
	}
	cutKafka()
	cutDatabase()
	overNewConnections := func() {
		t.Helper()
		rows := s.count(t.Context())
		eventually(t, "rows over new connections", func() bool { return s.count(t.Context()) > rows+500 })
	}
	overNewConnections()
	if now := s.servers(t); now != running {
		t.Errorf("a server was restarted: %s, before %s", now, running)
	}

	for role, file := range database {
		before := text(file)
		rotate("postgres.sh", asAdmin, role, dir)
		if after := text(file); after == before || strings.Contains(after, text(filepath.Join(dir, role+"_password"))) == false {
			t.Errorf("%s: the address is not another one, or not that of the password", role)
		}
		if conn, err := pgx.Connect(t.Context(), before); err == nil {
			conn.Close(t.Context())
			t.Errorf("the old password of %s still holds", role)
		}
	}
	rotate("kafka.sh", asAdmin, "admin", password)
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
	cutKafka()
	cutDatabase()
	overNewConnections()
	all := load.end(t)
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
	eventually(t, "every input has one answer, and one row", func() bool {
		found, err = app.Reconcile(t.Context(), &s.topics)
		return err == nil && found.Exact() && found.Transactions == int64(all.Transactions) && int64(s.count(t.Context())) == found.Verdicts
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

// TestACertificateIsReplacedWhenAllThreadsOfABrokerHaveIt: a broker's network threads read a new certificate one after the other, so that for a moment every third connection sees the old one still; a thread that never has it, and a server that says nothing, are errors.
func TestACertificateIsReplacedWhenAllThreadsOfABrokerHaveIt(t *testing.T) {
	dir := t.TempDir()
	var both [2]tls.Certificate
	for i, name := range []string{"old", "new"} {
		made := filepath.Join(dir, name)
		if out, err := exec.CommandContext(t.Context(), "../../deploy/certs/certs.sh", made).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		var err error
		if both[i], err = tls.LoadX509KeyPair(filepath.Join(made, "tls.crt"), filepath.Join(made, "tls.key")); err != nil {
			t.Fatal(err)
		}
	}
	const turns = 30
	for what, c := range map[string]struct {
		old  func(n int64) bool // the n-th connection sees the old certificate
		told string             // "" where the script is done
	}{
		"some threads later": {func(n int64) bool { return n <= turns && n%3 == 0 }, ""},
		"one thread never":   {func(n int64) bool { return n%3 == 0 }, "not always"},
	} {
		t.Run(what, func(t *testing.T) {
			var seen atomic.Int64
			server := httptest.NewUnstartedServer(http.NotFoundHandler())
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				if c.old(seen.Add(1)) {
					return &both[0], nil
				}
				return &both[1], nil
			}}
			server.StartTLS()
			defer server.Close()
			wait := "240"
			if c.told != "" {
				wait = "3"
			}
			out, err := replaced(t, dir, server.Listener.Addr().String(), wait)
			if (err == nil) != (c.told == "") || !strings.Contains(out, c.told) {
				t.Fatalf("%v\n%s", err, out)
			}
			if n := seen.Load(); c.told == "" && n <= turns {
				t.Errorf("the script believed %d connections, while each third saw the old certificate", n)
			}
		})
	}
	t.Run("a server that says nothing", func(t *testing.T) {
		mute, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer mute.Close()
		if out, err := replaced(t, dir, mute.Addr().String(), "1"); err == nil || !strings.Contains(out, "presents none") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// replaced has the script wait for the new certificate at an address.
func replaced(t *testing.T, dir, address, wait string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "../../deploy/rotate/certificates.sh", "kafka", filepath.Join(dir, "new", "tls.crt"), "SASL_SSL", "/tls.pem", "1="+address)
	cmd.Env = append(os.Environ(), "KAFKA_BROKERS=localhost:1", "KAFKA_CONFIGS=true", "WAIT="+wait)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// put has a file take the place of another, with its owner and mode, as an operator does.
func put(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", `chmod --reference="$1" "$0" && chown --reference="$1" "$0" && cp -p "$0" "$0.put" && mv "$0.put" "$1"`, from, to).CombinedOutput(); err != nil {
		t.Fatalf("put %s: %v\n%s", to, err, out)
	}
}

// servers tells the running Kafka and Postgres from others after a restart.
func (s *stack) servers(t *testing.T) string {
	t.Helper()
	pids, err := s.kafka.PIDs()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), s.db.AdminURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var since time.Time
	if err := conn.QueryRow(t.Context(), "SELECT pg_postmaster_start_time()").Scan(&since); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(pids, since)
}

// presented are the certificates of Kafka and Postgres that a new client sees, and trusts.
func (s *stack) presented(t *testing.T) map[string]string {
	t.Helper()
	roots := x509.NewCertPool()
	if ca, err := os.ReadFile(s.kafka.CAFile); err != nil || !roots.AppendCertsFromPEM(ca) {
		t.Fatalf("%s: %v", s.kafka.CAFile, err)
	}
	broker, err := tls.Dial("tcp", s.kafka.SecureBrokers[0], &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	conn, err := pgx.Connect(t.Context(), s.db.ReaderURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	found := map[string]string{}
	for server, c := range map[string]*tls.Conn{"kafka": broker, "postgres": conn.PgConn().Conn().(*tls.Conn)} {
		found[server] = string(c.ConnectionState().PeerCertificates[0].Raw)
	}
	return found
}

// asUser is how a user of a secure MLflow is told to a process.
func asUser(server *rig.Registry, user string) []string {
	return []string{"MLFLOW_TRACKING_URI=" + server.URL, "MLFLOW_TRACKING_SERVER_CERT_PATH=" + server.CAFile(), "MLFLOW_TRACKING_USERNAME=" + user, "MLFLOW_TRACKING_PASSWORD_FILE=" + server.PasswordFile(user)}
}

// TestAScorerTakesAnotherPasswordOfMLflow: the shipped script gives the users of MLflow, behind TLS, other passwords. The scorer is not restarted, no look of it fails, and the next promotion reaches it.
func TestAScorerTakesAnotherPasswordOfMLflow(t *testing.T) {
	s := newStack(t)
	mlflow := rig.SecureMLflow(t)
	env := append(s.env[:len(s.env):len(s.env)], "BUNDLE_DIR=", "MODEL_POLL_INTERVAL=500ms", "MODEL_CACHE_DIR="+t.TempDir())
	trainer, reader := append(env[:len(env):len(env)], asUser(mlflow, "trainer")...), append(env[:len(env):len(env)], asUser(mlflow, "scorer")...)
	for _, version := range []string{"one", "two"} {
		dir, _ := bundleOf(t, version)
		mustRun(t, trainer, "model", "push", dir)
	}
	mustRun(t, trainer, "model", "promote", "1", "--force", "--by", "ann", "--why", "the first")
	score := supervise(t, "score", "score-0", rig.FreePort(t), append(reader, "MODEL_CACHE_DIR="+t.TempDir()))
	score.becomesReady(t)
	for _, user := range []string{"scorer", "trainer", "admin"} {
		cmd := exec.CommandContext(t.Context(), "../../deploy/rotate/mlflow.sh", user, mlflow.Secrets())
		cmd.Env = append(os.Environ(), asUser(mlflow, user)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", user, err, out)
		}
	}
	if out, err := run(t, reader, "model", "promote", "2", "--force", "--by", "eve", "--why", "a reader"); err == nil || !strings.Contains(err.Error(), "may need EDIT") {
		t.Errorf("the scorer's user promotes: %s%v", out, err)
	}
	mustRun(t, trainer, "model", "promote", "2", "--force", "--by", "ann", "--why", "better", "--wait", "2m")
	if n := score.starts(t); n != 1 {
		t.Errorf("the scorer was started %d times", n)
	}
	if _, page := fetch(t, score.url+"/metrics"); !strings.Contains(page, "\nmlmonitor_registry_failures_total 0\n") {
		t.Error("a look at MLflow failed")
	}
}
