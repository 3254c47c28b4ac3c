package compose

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

// What follows runs services of the file as their containers would, as far as that goes without an engine: their environment and commands, with other paths, addresses and programs, on real servers.

// machine stands for the host: where things lie that containers have at fixed places.
type machine struct {
	t       *testing.T
	p       *types.Project
	dir     string
	program string            // mlmonitor
	places  *strings.Replacer // from what a container sees to what this host has
	kafka   []int             // ports of the listeners for clients, peers and controllers
}

// newMachine has the secrets that make secrets makes, and the program.
func newMachine(t *testing.T) *machine {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real Kafka and Postgres, which -short leaves out: run `make test`")
	}
	dir, err := os.MkdirTemp("", "mlmonitor-compose") // not the test's own: Postgres runs as another user
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	secrets := filepath.Join(dir, "secrets")
	makeSecrets(t, secrets)
	if err := os.Chmod(secrets, 0o755); err != nil { // as a container has them
		t.Fatal(err)
	}
	m := &machine{t: t, p: theProject(t), dir: dir, program: filepath.Join(dir, "mlmonitor"), kafka: freePorts(t, 3)}
	to := func(i int) string { return fmt.Sprintf("localhost:%d", m.kafka[i]) }
	m.places = strings.NewReplacer("/run/secrets", secrets, "/var/lib/kafka/data", filepath.Join(dir, "kafka/data"), "://:9092", "://"+to(0), "://:9094", "://"+to(1), "kafka:9092", to(0), "kafka:9094", to(1), "localhost:9094", to(1),
		"localhost:9093", to(2), "/bundles/sample", "sample", "postgres:5432", "localhost:5432", "/models", filepath.Join(dir, "models"))
	build := exec.CommandContext(t.Context(), "go", "build", "-o", m.program, "./cmd/mlmonitor")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return m
}

// freePorts holds each port until all are found, so that none is found twice.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// environment of a service, and nothing else that would tell the program where to go.
func (m *machine) environment(service string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	for name, value := range m.p.Services[service].Environment {
		if value != nil {
			env = append(env, name+"="+m.places.Replace(*value))
		}
	}
	return env
}

// run runs a service to its end, with further arguments, and returns what it says.
func (m *machine) run(service string, arguments ...string) (string, error) {
	m.t.Helper()
	s := m.p.Services[service]
	var words []string
	for _, w := range append(append(append([]string{}, s.Entrypoint...), s.Command...), arguments...) {
		if w != "/mlmonitor" { // what the image runs
			words = append(words, m.places.Replace(w))
		}
	}
	ctx, cancel := context.WithTimeout(m.t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, m.program, words...)
	cmd.Env = m.environment(service)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (m *machine) mustRun(service string, arguments ...string) string {
	m.t.Helper()
	out, err := m.run(service, arguments...)
	if err != nil {
		m.t.Fatalf("%s %v: %v\n%s", service, arguments, err, out)
	}
	return out
}

// as gives a copy of a service with another setting.
func (m *machine) as(service string, settings map[string]string) *machine {
	other := *m
	p := *m.p
	p.Services = types.Services{}
	for name, s := range m.p.Services {
		p.Services[name] = s
	}
	s := p.Services[service]
	s.Environment = types.MappingWithEquals{}
	for name, value := range m.p.Services[service].Environment {
		s.Environment[name] = value
	}
	for name, value := range settings {
		if s.Environment[name] = &value; value == "" {
			delete(s.Environment, name)
		}
	}
	p.Services[service], other.p = s, &p
	return &other
}

// java runs a program of Kafka's jars.
func (m *machine) java(env []string, words ...string) *exec.Cmd {
	m.t.Helper()
	if out, err := exec.CommandContext(m.t.Context(), filepath.Join(root, "test/stack/kafka.sh"), "install").CombinedOutput(); err != nil {
		m.t.Fatalf("%v\n%s", err, out)
	}
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		cache = filepath.Join(os.Getenv("HOME"), ".cache")
	}
	_, version, _ := strings.Cut(m.p.Services["kafka"].Image, ":") // that of test/stack/pom.xml, or it is not there
	cmd := exec.CommandContext(m.t.Context(), "java", append([]string{"-cp", filepath.Join(cache, "mlmonitor/kafka", version, "*"), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx384m"}, words...)...)
	cmd.Env = env
	return cmd
}

// startKafka makes the broker's configuration and storage by what the image itself does with its environment, starts it, and waits for its health check.
func (m *machine) startKafka() {
	m.t.Helper()
	at := func(name string) string { return filepath.Join(m.dir, "kafka", name) }
	for _, name := range []string{"default", "mounted", "final", "data"} {
		if err := os.MkdirAll(at(name), 0o755); err != nil {
			m.t.Fatal(err)
		}
	}
	if err := os.WriteFile(at("default/server.properties"), nil, 0o600); err != nil {
		m.t.Fatal(err)
	}
	env := m.environment("kafka")
	if out, err := m.java(env, "kafka.docker.KafkaDockerWrapper", "setup", "--default-configs-dir", at("default"), "--mounted-configs-dir", at("mounted"), "--final-configs-dir", at("final")).CombinedOutput(); err != nil {
		m.t.Fatalf("%v\n%s", err, out)
	}
	log, err := os.Create(at("log"))
	if err != nil {
		m.t.Fatal(err)
	}
	defer log.Close()
	broker := m.java(env, "kafka.Kafka", at("final/server.properties"))
	broker.Stdout, broker.Stderr = log, log
	broker.Cancel = func() error { return broker.Process.Signal(syscall.SIGTERM) } // with the test's context, before its end
	broker.WaitDelay = 10 * time.Second
	if err := broker.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { broker.Wait() })
	tools, err := os.ReadFile(filepath.Join(root, "deploy/kafka/admin.properties"))
	if err == nil {
		err = os.WriteFile(at("admin.properties"), []byte(m.places.Replace(string(tools))), 0o600)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	test := m.p.Services["kafka"].HealthCheck.Test
	if len(test) != 6 || test[1] != "/opt/kafka/bin/kafka-broker-api-versions.sh" || test[5] != "/opt/kafka-admin.properties" {
		m.t.Fatalf("the health of the broker is asked by %v", test)
	}
	var out []byte
	for range 30 {
		ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
		health := m.java(nil, "org.apache.kafka.tools.BrokerApiVersionsCommand", test[2], m.places.Replace(test[3]), test[4], at("admin.properties"))
		go func() { <-ctx.Done(); _ = health.Cancel() }()
		out, err = health.CombinedOutput()
		if cancel(); err == nil {
			return
		}
		time.Sleep(time.Second)
	}
	text, _ := os.ReadFile(at("log"))
	m.t.Fatalf("the broker is not healthy: %v\n%s\n%s", err, out, text)
}

// TestKafkaOfComposeLetsInWhoHasAName: the broker starts with the environment of the file, its users are made, and each role may do what it needs and nothing else.
func TestKafkaOfComposeLetsInWhoHasAName(t *testing.T) {
	m := newMachine(t)
	m.startKafka()
	m.mustRun("topics")
	m.mustRun("kafka-users")
	m.mustRun("kafka-users") // each start does
	if out := m.mustRun("produce", "--count=300"); !strings.Contains(out, "300 transactions") {
		t.Errorf("produce says %s", out)
	}
	start := func(m *machine, role string, settings ...string) (end func()) {
		t.Helper()
		ops := freePorts(t, 1)[0]
		cmd := exec.CommandContext(t.Context(), m.program, role)
		cmd.Env = append(append(m.environment(role), "INSTANCE_ID="+role, "OPS_HOST=127.0.0.1", "OPS_PORT="+strconv.Itoa(ops)), settings...)
		var said strings.Builder
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		end = func() {
			cmd.Process.Signal(syscall.SIGTERM)
			cmd.Wait()
		}
		for range 960 {
			if resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/ready", ops)); err == nil {
				resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					return end
				}
			}
			time.Sleep(250 * time.Millisecond)
		}
		end()
		t.Fatalf("%s does not become ready: %s", role, said.String())
		return nil
	}
	defer start(m, "score")()
	// The database is another matter, below.
	database := "DATABASE_URL=sqlite:" + filepath.Join(m.dir, "audit.db")
	migrate := exec.CommandContext(t.Context(), m.program, "migrate")
	migrate.Env = append(m.environment("produce"), database)
	if out, err := migrate.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	endAudit := start(m.as("audit", map[string]string{"DATABASE_URL_FILE": ""}), "audit", database)
	port := freePorts(t, 1)[0]
	endAPI := start(m.as("api", map[string]string{"API_DATABASE_URL_FILE": "", "API_HOST": "127.0.0.1", "API_AUTH": "off", "API_TIMEOUT": "30s", "API_PORT": strconv.Itoa(port)}), "api", "API_"+database)
	m.mustRun("produce", "--first=300", "--count=1", "--out", filepath.Join(m.dir, "event.jsonl"))
	event, err := os.ReadFile(filepath.Join(m.dir, "event.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d/predict", port), "application/json", bytes.NewReader(event))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), `"decision"`) {
		t.Errorf("who asks the API: %d %s, %v", resp.StatusCode, body, err)
	}
	endAPI()
	endAudit()
	var doctor string
	for range 60 {
		doctor, _ = m.runAs("score", "doctor")
		if strings.Contains(doctor, "0 inputs are not answered") {
			break
		}
		time.Sleep(500 * time.Millisecond)
	}
	if !strings.Contains(doctor, "0 inputs are not answered") || strings.Contains(doctor, "fail ") {
		t.Errorf("doctor says %s", doctor)
	}
	if out, err := m.runAs("airflow", "replay", "--verify", "--bundle-dir", filepath.Join(root, "bundles")); err != nil || !strings.Contains(out, "301 inputs") {
		t.Errorf("who replays: %v: %s", err, out)
	}
	if out, err := m.runAs("operate", "replay", "--verify", "--bundle-dir", filepath.Join(root, "bundles")); err != nil || !strings.Contains(out, "301 inputs") {
		t.Errorf("who operates, and replays: %v: %s", err, out)
	}
	for _, words := range [][]string{{"dlq", "list"}, {"dlq", "redrive"}, {"topics", "--check"}} {
		if out, err := m.runAs("operate", words...); err != nil {
			t.Errorf("who operates: %v: %v: %s", words, err, out)
		}
	}
	m.letsRead("desk", "kafka-users")

	for _, service := range []string{"audit", "api", "operate"} { // no role's environment is judged by another's rights; the databases are not there
		env := map[string]string{}
		if service == "api" {
			env["API_AUTH"] = "off" // there is no issuer
		}
		out, _ := m.as(service, env).runAs(service, "doctor")
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, "fail ") && !strings.Contains(line, "database") {
				t.Errorf("%s, by doctor: %s", service, line)
			}
		}
		if service == "api" && !strings.Contains(out, "rights of api") {
			t.Errorf("doctor does not look at the API's rights: %s", out)
		}
	}

	swapped := map[string]string{"KAFKA_TOPIC_TRANSACTIONS": "verdicts", "KAFKA_TOPIC_VERDICTS": "transactions"}
	for _, c := range []struct {
		who      string
		m        *machine
		words    []string
		expected string
	}{
		{"a role that may only write", m, []string{"produce", "dlq", "list"}, "TOPIC_AUTHORIZATION_FAILED"},
		{"a scorer that makes inputs", m, []string{"score", "produce", "--count=1"}, "TOPIC_AUTHORIZATION_FAILED"},
		{"the audit that reads inputs", m, []string{"audit", "topics", "export", "--out", filepath.Join(m.dir, "x")}, "TOPIC_AUTHORIZATION_FAILED"},
		{"a producer that makes verdicts", m.as("produce", swapped), []string{"produce", "produce", "--count=1"}, "TOPIC_AUTHORIZATION_FAILED"},
		{"the API that makes verdicts", m.as("api", swapped), []string{"api", "produce", "--count=1"}, "TOPIC_AUTHORIZATION_FAILED"},
		{"who operates and makes verdicts", m.as("operate", swapped), []string{"operate", "produce", "--count=1"}, "TOPIC_AUTHORIZATION_FAILED"},
		{"a role that may not make topics", m, []string{"audit", "topics"}, "AUTHORIZATION_FAILED"},
		{"a role that may not grant", m, []string{"api", "topics", "users", "produce=api"}, "may Alter the cluster"},
		{"a role that may not give passwords", m, []string{"api", "topics", "users", "produce", "--passwords=" + filepath.Join(m.dir, "secrets")}, "may Alter the cluster"},
		{"a reader in a group of ours", m, []string{"kafka-users", "topics", "users", "consume=mlmonitor-audit"}, "group of ours"},
		{"a wrong password", m.as("audit", map[string]string{"KAFKA_SASL_PASSWORD_FILE": "/run/secrets/kafka_api_password"}), []string{"audit", "topics", "--check"}, `user "audit" is not accepted`},
		{"another authority", m.as("audit", map[string]string{"KAFKA_TLS_CA_FILE": "/run/secrets/postgres_ca"}), []string{"audit", "topics", "--check"}, "KAFKA_TLS_CA_FILE"},
		{"no certificate, where brokers talk", m.as("audit", map[string]string{"KAFKA_BROKERS": "kafka:9094", "KAFKA_SASL_MECHANISM": "", "KAFKA_SASL_USERNAME": "", "KAFKA_SASL_PASSWORD_FILE": ""}), []string{"audit", "topics", "--check"}, "does not accept our certificate"},
		{"the certificate of another server, where brokers talk", m.as("topics", map[string]string{"KAFKA_TLS_CERT_FILE": "/run/secrets/postgres_tls_crt", "KAFKA_TLS_KEY_FILE": "/run/secrets/postgres_tls_key"}), []string{"topics", "topics", "--check"}, "does not accept our certificate"},
	} {
		out, err := c.m.runAs(c.words[0], c.words[1:]...)
		if err == nil || !strings.Contains(out, c.expected) {
			t.Errorf("%s: %v, want %q: %s", c.who, err, c.expected, out)
		}
	}
}

// letsRead makes a user who reads verdicts, with Kafka's own consumer: in the group of his name, in no other, and nothing else.
func (m *machine) letsRead(user, service string) {
	m.t.Helper()
	passwords := m.t.TempDir()
	if err := os.WriteFile(filepath.Join(passwords, "kafka_"+user+"_password"), []byte("of-the-reader\n"), 0o600); err != nil {
		m.t.Fatal(err)
	}
	if out, err := m.runAs(service, "topics", "users", "consume="+user, "--passwords="+passwords); err != nil {
		m.t.Fatalf("%v: %s", err, out)
	}
	environment := m.p.Services[service].Environment
	config := filepath.Join(passwords, "consumer.properties")
	if err := os.WriteFile(config, fmt.Appendf(nil, `security.protocol=SASL_SSL
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="%s" password="of-the-reader";
ssl.truststore.type=PEM
ssl.truststore.location=%s
isolation.level=read_committed
`, user, m.places.Replace(*environment["KAFKA_TLS_CA_FILE"])), 0o600); err != nil {
		m.t.Fatal(err)
	}
	read := func(topic, group string) string {
		out, _ := m.java(nil, "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", m.places.Replace("kafka:9092"), "--command-config", config,
			"--topic", topic, "--group", group, "--from-beginning", "--max-messages", "301", "--timeout-ms", "60000").CombinedOutput()
		return string(out)
	}
	if out := read("verdicts", user); strings.Count(out, `"decision"`) != 301 {
		m.t.Errorf("who reads verdicts has %d of them: %s", strings.Count(out, `"decision"`), out[max(0, len(out)-2000):])
	}
	for _, refused := range [][2]string{{"verdicts", "mlmonitor-audit"}, {"transactions", user}} {
		if out := read(refused[0], refused[1]); !strings.Contains(out, "AuthorizationException") {
			m.t.Errorf("who reads verdicts reads %s in group %s: %s", refused[0], refused[1], out[max(0, len(out)-2000):])
		}
	}
}

// runAs runs another command with a service's environment.
func (m *machine) runAs(service string, words ...string) (string, error) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, m.program, words...)
	cmd.Env = m.environment(service)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestPostgresOfComposeTakesNobodyInClear: with the settings of the file, a real Postgres has who reaches it look at its certificate.
func TestPostgresOfComposeTakesNobodyInClear(t *testing.T) {
	m := newMachine(t)
	script, dir := filepath.Join(root, "test/stack/postgres.sh"), filepath.Join(m.dir, "server")
	port := freePorts(t, 1)[0]
	server := func(verb string) {
		t.Helper()
		cmd := exec.Command(script, verb, dir)
		cmd.Env = append(os.Environ(), fmt.Sprintf("PGPORT=%d", port))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", verb, err, out)
		}
	}
	server("start")
	t.Cleanup(func() { server("stop") })

	// The command of the container, up to where the image's own script takes over: that is one here which says what it was called with.
	bin := filepath.Join(m.dir, "bin")
	key, hba := filepath.Join(dir, "tls.key"), filepath.Join(m.dir, "pg_hba.conf")
	rules, err := os.ReadFile(filepath.Join(root, "deploy/postgres/pg_hba.conf"))
	err = errors.Join(err, os.Mkdir(bin, 0o755), os.WriteFile(filepath.Join(bin, "docker-entrypoint.sh"), []byte("#!/bin/sh\nprintf '%s\\n' \"$@\"\n"), 0o755), os.WriteFile(hba, rules, 0o644)) // #nosec G306
	if err != nil {
		t.Fatal(err)
	}
	words := m.p.Services["postgres"].Command
	line := strings.NewReplacer("/run/postgresql/tls.key", key, "/etc/postgresql/pg_hba.conf", hba).Replace(m.places.Replace(words[len(words)-1]))
	start := []string{words[0], words[1], line}
	if os.Getuid() == 0 { // as the container does, not as root
		start = append([]string{"setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"}, start...)
	}
	cmd := exec.CommandContext(t.Context(), start[0], start[1:]...)
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	settings := ""
	called := strings.Fields(string(out))
	for i := range called {
		if name, value, ok := strings.Cut(called[i], "="); ok && called[i-1] == "-c" {
			settings += fmt.Sprintf("%s = '%s'\n", name, value)
		}
	}
	if called[0] != "postgres" || !strings.Contains(settings, "ssl = 'on'") {
		t.Fatalf("the server would be called with %v", called)
	}
	conf, err := os.OpenFile(filepath.Join(dir, "data/postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conf.WriteString(settings); err != nil {
		t.Fatal(err)
	}
	conf.Close()
	server("restart")

	secret := func(name string) string {
		data, err := os.ReadFile(filepath.Join(m.dir, "secrets", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	password, err := os.ReadFile(filepath.Join(dir, "secrets/owner_password"))
	if err != nil {
		t.Fatal(err)
	}
	// The server has a password of its own; the rest of the address is that of the secret.
	address := strings.Replace(m.places.Replace(secret("owner_url")), secret("owner_password"), strings.TrimSpace(string(password)), 1)
	address = strings.Replace(address, "localhost:5432", fmt.Sprintf("localhost:%d", port), 1)
	for _, c := range []struct{ who, url, expected string }{
		{"who looks at the certificate", address, ""},
		{"who comes in clear", strings.Split(address, "?")[0] + "?sslmode=disable", "no encryption"},
		{"who trusts another authority", strings.Replace(address, "postgres_ca", "kafka_ca", 1), "certificate"},
		{"who has another password", strings.Replace(address, strings.TrimSpace(string(password)), "another", 1), "password"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		cmd := exec.CommandContext(ctx, m.program, "migrate")
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "DATABASE_URL=" + c.url}
		out, err := cmd.CombinedOutput()
		cancel()
		if (err == nil) != (c.expected == "") || !strings.Contains(string(out), c.expected) {
			t.Errorf("%s: %v, want %q: %s", c.who, err, c.expected, out)
		}
	}
}
