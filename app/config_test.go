package app

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mlmonitor/mlmonitor/api"
	"github.com/mlmonitor/mlmonitor/audit"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/registry"
)

// load reads everything, as all roles together would.
func load() (c Config, k kafka.Config, s ScorerConfig, l consumer.Config, a audit.Config, err error) {
	err = Load(&c, &k, &kafka.Layout{}, &s, &registry.Config{}, &l, &a, &api.Config{})
	return
}

// sound sets what has no default.
func sound(t *testing.T) {
	t.Setenv("BUNDLE_DIR", "sample")
	t.Setenv("API_OIDC_ISSUER", "https://id.example.com/realms/payments")
	t.Setenv("DATABASE_URL", "postgres://audit:hunter2@db:5432/mlmonitor?sslmode=verify-full")
}

func TestDefaultsAreSound(t *testing.T) {
	sound(t)
	c, k, _, l, a, err := load()
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if c.Instance != host || l.Instance != host || a.Instance != host {
		t.Errorf("instances %q, %q, %q on host %q", c.Instance, l.Instance, a.Instance, host)
	}
	if c.OpsHost != "127.0.0.1" || k.Transactions != "transactions" || k.Verdicts != "verdicts" || k.DeadLetters != "transactions.dlq" || k.AllowOldBrokers {
		t.Errorf("defaults %+v %+v", c, k)
	}
}

func TestAWrongVariableIsNamed(t *testing.T) {
	known := map[string]bool{"OPS_HOST": true, "API_HOST": true, "API_DATABASE_URL": true, "API_OIDC_CLIENT_SECRET": true} // what they take, only listening and connecting tell
	for _, name := range []string{"TRACKING_URI", "TRACKING_USERNAME", "TRACKING_PASSWORD", "TRACKING_TOKEN", "TRACKING_SERVER_CERT_PATH", "MODEL", "ALIAS", "CHALLENGER_ALIAS"} {
		known["MLFLOW_"+name] = true // by package registry
	}
	known["MODEL_CACHE_DIR"] = true
	for variable, values := range map[string][]string{
		"KAFKA_BROKERS": {"nohost", ","}, "KAFKA_TLS": {"maybe"}, "KAFKA_TLS_CA_FILE": {"absent.pem", "config_test.go"}, "KAFKA_TLS_CERT_FILE": {"x"}, "KAFKA_TLS_KEY_FILE": {"x"},
		"KAFKA_SASL_MECHANISM": {"GSSAPI", "PLAIN"}, "KAFKA_SASL_USERNAME": {"app"}, "KAFKA_SASL_PASSWORD": {"hunter2"}, "KAFKA_ALLOW_OLD_BROKERS": {"perhaps"},
		"KAFKA_TOPIC_TRANSACTIONS": {"", "..", "verdicts"}, "KAFKA_TOPIC_VERDICTS": {"a b", "transactions"}, "KAFKA_TOPIC_DEAD_LETTERS": {"verdicts"}, "KAFKA_TOPIC_MODELS": {"a b", "verdicts"}, "KAFKA_TOPIC_SHADOW": {"a b", "verdicts"}, "KAFKA_TOPIC_REPLIES": {"a b", "verdicts"}, "SHADOW_BUDGET": {"-1", "11", "NaN", "much"},
		"KAFKA_PARTITIONS": {"0", "10001", "six"}, "KAFKA_REPLICATION_FACTOR": {"0", "-2", "40000"},
		"KAFKA_COMPRESSION": {"brotli"}, "SCORE_MEMBERS": {"0", "65", "two"}, "OPS_PPROF": {"perhaps"}, "OTEL_EXPORTER_OTLP_ENDPOINT": {"collector:4318", "https://user:hunter2@collector:4318", "grpc://collector"},
		"OPS_PORT": {"-1", "70000", "http"}, "LOG_LEVEL": {"loud"}, "INSTANCE_ID": {"a/b"}, "BUNDLE_DIR": {""}, "SCORER_ENGINE": {"onnx"},
		"MODEL_POLL_INTERVAL": {"1ms", "2h", "soon"},
		"API_PORT":            {"-1", "70000", "http"}, "API_TLS_CERT_FILE": {"x"}, "API_TLS_KEY_FILE": {"x"}, "API_AUTH": {"basic"}, "API_OIDC_ISSUER": {"", "http://id.example.com", "id"}, "API_OIDC_AUDIENCE": {""},
		"API_TIMEOUT": {"1ms", "2m"}, "API_MAX_IN_FLIGHT": {"0"}, "API_REMEMBER": {"-1"}, "API_CLIENT_RATE": {"0", "NaN"}, "API_RATE": {"0", "NaN"}, "API_MAX_CONNECTIONS": {"0"}, "API_TRUSTED_PROXIES": {"proxy"}, "API_OIDC_CLIENT_ID": {"page"}, "API_OIDC_LOGIN_SCOPES": {"read"}, "API_PUBLIC_URL": {"http://fraud.example.com", "x"},
		"API_TLS_CLIENT_CA_FILE": {"x"}, "API_MTLS_CALLERS": {"a", "a=write", "a=read"}, "API_DRIFT_WINDOW": {"1s", "999h"}, "API_DRIFT_RECORDS": {"1", "99999999"},
		"CONSUMER_GROUP": {"a b"}, "CONSUMER_TXN_INTERVAL": {"-1s", "1h", "5"}, "CONSUMER_TXN_MAX_RECORDS": {"0", "many"}, "CONSUMER_TXN_MAX_BYTES": {"1"},
		"CONSUMER_TXN_TIMEOUT": {"1ms"}, "CONSUMER_SESSION_TIMEOUT": {"1s"}, "CONSUMER_MAX_DEAD_LETTER_RATIO": {"0", "1.1", "NaN"},
		"CONSUMER_DEAD_LETTER_WINDOW": {"1"}, "CONSUMER_HALT_RETRY": {"0"},
		"DRIFT_WINDOW": {"0", "7m", "1000h", "week"}, "DRIFT_HOP": {"0", "1500ms", "-5m"}, "DRIFT_LATENESS": {"-1s", "1000h"}, "DRIFT_AHEAD": {"-1s"},
		"DATABASE_URL": {"", "mysql://x:hunter2@db", "postgres://audit:hunter2@db:port/x", "sqlite:"}, "AUDIT_GROUP": {"a b"}, "AUDIT_BATCH_RECORDS": {"0"}, "AUDIT_BATCH_BYTES": {"1"},
		"AUDIT_SESSION_TIMEOUT": {"1s"}, "AUDIT_WRITER_ROLE": {"reader"}, "AUDIT_READER_ROLE": {"audit"}, "AUDIT_RETENTION_DAYS": {"-1"}, "AUDIT_PARTITIONS_AHEAD_DAYS": {"0"},
	} {
		known[variable] = true
		for _, value := range values {
			t.Run(variable+"="+value, func(t *testing.T) {
				sound(t)
				t.Setenv(variable, value)
				_, _, _, _, _, err := load()
				if err == nil || !strings.Contains(err.Error(), variable) {
					t.Errorf("the error does not name the variable: %v", err)
				}
				if err != nil && strings.Contains(err.Error(), "hunter2") {
					t.Errorf("the error shows the password: %v", err)
				}
			})
		}
	}
	for _, v := range Variables() {
		if !known[v.Name] {
			t.Errorf("no wrong value of %s is tried", v.Name)
		}
	}
}

func TestASecretMayComeFromAFile(t *testing.T) {
	sound(t)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("hunter3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512")
	t.Setenv("KAFKA_SASL_USERNAME", "app")
	t.Setenv("KAFKA_SASL_PASSWORD_FILE", file)
	_, k, _, _, _, err := load()
	if err != nil || k.Password.Reveal() != "hunter3" {
		t.Errorf("password %q, %v", k.Password.Reveal(), err)
	}
	t.Setenv("KAFKA_SASL_PASSWORD", "hunter2")
	if _, _, _, _, _, err := load(); err == nil || !strings.Contains(err.Error(), "both") {
		t.Errorf("both set: %v", err)
	}
	t.Setenv("KAFKA_SASL_PASSWORD", "")
	t.Setenv("KAFKA_SASL_PASSWORD_FILE", file+".absent")
	if _, _, _, _, _, err := load(); err == nil || !strings.Contains(err.Error(), "KAFKA_SASL_PASSWORD_FILE") {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(file, make([]byte, maxSecretFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KAFKA_SASL_PASSWORD_FILE", file)
	if _, _, _, _, _, err := load(); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("large file: %v", err)
	}
}

func TestTheListOfVariablesIsWholeAndHidesSecrets(t *testing.T) {
	sound(t)
	t.Setenv("KAFKA_SASL_PASSWORD", "hunter2")
	all := Variables()
	if text := fmt.Sprintf("%+v", all); strings.Contains(text, "hunter2") {
		t.Error("a secret is listed")
	}
	secrets := 0
	for _, v := range all {
		if v.Description == "" {
			t.Errorf("%s has no description", v.Name)
		}
		if v.Secret {
			secrets++
		}
	}
	if secrets != 6 {
		t.Errorf("%d variables are secret", secrets)
	}
	var listed []string
	for _, v := range all {
		listed = append(listed, v.Name)
	}
	slices.Sort(listed)
	if diff := cmp.Diff(variablesInSource(t), listed); diff != "" {
		t.Errorf("the list is not what the packages read: %s", diff)
	}
}

// variablesInSource are the names in the envconfig tags of all packages.
func variablesInSource(t *testing.T) (names []string) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if field, ok := n.(*ast.Field); ok && field.Tag != nil {
				if name := reflect.StructTag(strings.Trim(field.Tag.Value, "`")).Get("envconfig"); name != "" {
					names = append(names, name)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// TestASecretMayComeFromAPipe, as shells and secret stores give it: it has no size to ask for, so what is read is bounded.
func TestASecretMayComeFromAPipe(t *testing.T) {
	for name, c := range map[string]struct {
		size  int
		wrong string
	}{"a password": {size: 7}, "without end": {size: maxSecretFile + 1, wrong: "larger"}} {
		t.Run(name, func(t *testing.T) {
			sound(t)
			pipe := filepath.Join(t.TempDir(), "pipe")
			if err := syscall.Mkfifo(pipe, 0o600); err != nil {
				t.Fatal(err)
			}
			text := "sqlite:" + strings.Repeat("x", c.size)
			written := make(chan error, 1)
			go func() { written <- os.WriteFile(pipe, []byte(text), 0o600) }()
			t.Setenv("DATABASE_URL", "")
			t.Setenv("DATABASE_URL_FILE", pipe)
			_, _, _, _, a, err := load()
			if err := <-written; err != nil && !errors.Is(err, syscall.EPIPE) {
				t.Fatal(err)
			}
			if c.wrong == "" && (err != nil || a.DatabaseURL.Reveal() != text) {
				t.Errorf("read %q, %v", a.DatabaseURL.Reveal(), err)
			}
			if c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong) || !strings.Contains(err.Error(), "DATABASE_URL_FILE") || strings.Contains(err.Error(), "xx")) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestTheDemoNeedsNoVariable(t *testing.T) {
	var c Config
	var l consumer.Config
	var a audit.Config
	var web api.Config
	if err := LoadDemo(&c, &l, &a, &web); err != nil {
		t.Fatal(err)
	}
	if web.Auth != "off" || web.Host != "127.0.0.1" {
		t.Errorf("the page: %+v", web)
	}
	if l.Instance != "demo" || a.Instance != "demo" {
		t.Errorf("instances %q, %q", l.Instance, a.Instance)
	}
}

// TestASecretInAFileIsReadAgain: another one is taken, one that is gone or half written is an error, and a pipe, which can be read once, is not read again.
func TestASecretInAFileIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	t.Setenv("KAFKA_SASL_PASSWORD_FILE", file)
	if again("KAFKA_SASL_PASSWORD") != nil {
		t.Error("a file that is not there is read again")
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	now := again("KAFKA_SASL_PASSWORD")
	for _, c := range []struct{ text, want string }{{"first\n", "first"}, {"second", "second"}, {"", ""}, {"\n", ""}, {strings.Repeat("x", maxSecretFile+1), ""}, {"third", "third"}} {
		write(c.text)
		got, err := now()
		if got.Reveal() != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%.10q: %.10q, %v", c.text, got.Reveal(), err)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := now(); err == nil {
		t.Error("a file that is gone is read")
	}
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if again("KAFKA_SASL_PASSWORD") != nil {
		t.Error("a pipe is read again")
	}
}
