package kafka

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func valid() Config {
	return Config{Brokers: []string{"127.0.0.1:9092"}, Transactions: "transactions", Verdicts: "verdicts", DeadLetters: "transactions.dlq"}
}

func TestValidateNamesTheVariable(t *testing.T) {
	c := valid()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		set  func(*Config)
	}{
		{"KAFKA_BROKERS", func(c *Config) { c.Brokers = nil }},
		{"KAFKA_BROKERS", func(c *Config) { c.Brokers = []string{"kafka"} }},
		{"KAFKA_TLS_KEY_FILE", func(c *Config) { c.CertFile = "x" }},
		{"KAFKA_SASL_MECHANISM", func(c *Config) { c.Mechanism = "GSSAPI" }},
		{"KAFKA_SASL_MECHANISM", func(c *Config) { c.Password = "x" }},
		{"KAFKA_SASL_PASSWORD", func(c *Config) { c.Mechanism, c.Username = "SCRAM-SHA-512", "app" }},
		{"KAFKA_TLS", func(c *Config) { c.Mechanism, c.Username, c.Password = "PLAIN", "app", "x" }},
		{"KAFKA_TOPIC_VERDICTS", func(c *Config) { c.Verdicts = "no spaces" }},
		{"KAFKA_TOPIC_DEAD_LETTERS", func(c *Config) { c.DeadLetters = c.Verdicts }},
		{"KAFKA_TOPIC_TRANSACTIONS", func(c *Config) { c.Transactions = ".." }},
	} {
		c := valid()
		tc.set(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), tc.name) {
			t.Errorf("%+v: the error %v does not name %s", c, err, tc.name)
		}
	}
}

func TestASecretIsNeverPrinted(t *testing.T) {
	c := valid()
	c.Password = "hunter2"
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("config", "config", c, "password", c.Password)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", c, c, c, c.Password), string(asJSON), log.String()} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("the password stands in %s", text)
		}
	}
	if c.Password.Reveal() != "hunter2" {
		t.Error("Reveal does not give the value")
	}
}
