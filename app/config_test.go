package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mlmonitor/mlmonitor/audit"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
)

// load reads everything, as all roles together would.
func load() (c Config, k kafka.Config, s ScorerConfig, l consumer.Config, a audit.Config, err error) {
	err = Load(&c, &k, &s, &l, &a)
	return
}

// sound sets what has no default.
func sound(t *testing.T) {
	t.Setenv("BUNDLE_DIR", "sample")
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
	for variable, values := range map[string][]string{
		"KAFKA_BROKERS": {"nohost", ","}, "KAFKA_TLS": {"maybe"}, "KAFKA_SASL_MECHANISM": {"GSSAPI"}, "KAFKA_TOPIC_VERDICTS": {"a b", "transactions"},
		"OPS_PORT": {"-1", "70000", "http"}, "LOG_LEVEL": {"loud"}, "INSTANCE_ID": {"a/b"}, "BUNDLE_DIR": {""}, "SCORER_ENGINE": {"onnx"},
		"CONSUMER_GROUP": {"a b"}, "CONSUMER_TXN_INTERVAL": {"-1s", "1h", "5"}, "CONSUMER_TXN_MAX_RECORDS": {"0", "many"}, "CONSUMER_TXN_MAX_BYTES": {"1"},
		"CONSUMER_TXN_TIMEOUT": {"1ms"}, "CONSUMER_SESSION_TIMEOUT": {"1s"}, "CONSUMER_MAX_DEAD_LETTER_RATIO": {"0", "1.1", "NaN"},
		"CONSUMER_DEAD_LETTER_WINDOW": {"1"}, "CONSUMER_HALT_RETRY": {"0"}, "DATABASE_URL": {"", "mysql://x"}, "AUDIT_BATCH_RECORDS": {"0"}, "AUDIT_RETENTION_DAYS": {"-1"},
	} {
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
	if secrets != 2 || len(all) < 30 {
		t.Errorf("%d variables, %d secrets", len(all), secrets)
	}
}

func TestTheDemoNeedsNoVariable(t *testing.T) {
	var c Config
	var l consumer.Config
	var a audit.Config
	if err := LoadDemo(&c, &l, &a); err != nil {
		t.Fatal(err)
	}
	if l.Instance != "demo" || a.Instance != "demo" {
		t.Errorf("instances %q, %q", l.Instance, a.Instance)
	}
}
