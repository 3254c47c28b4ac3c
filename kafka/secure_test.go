package kafka

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mlmonitor/mlmonitor/test/rig"
)

func TestARealClusterSaysWhatIsWrong(t *testing.T) {
	server := rig.Kafka(t, 1)
	good := valid()
	good.Brokers, good.CAFile, good.Mechanism, good.Username, good.Password = server.SecureBrokers, server.CAFile, "SCRAM-SHA-512", "admin", Secret(server.AdminPassword)
	if err := Connect(t.Context(), &good, quiet, func(error) {}); err != nil {
		t.Fatalf("the right settings: %v", err)
	}
	for _, tc := range []struct {
		name string
		set  func(*Config)
	}{
		{"KAFKA_SASL_PASSWORD", func(c *Config) { c.Password = "not-this-one" }},
		{"KAFKA_SASL_USERNAME", func(c *Config) { c.Username = "nobody" }},
		{"KAFKA_SASL_MECHANISM", func(c *Config) { c.Mechanism = "PLAIN" }},
		{"KAFKA_TLS_CA_FILE", func(c *Config) { c.CAFile, c.TLS = "", true }},
	} {
		c := good
		tc.set(&c)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		err := Connect(ctx, &c, quiet, func(error) {})
		cancel()
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), tc.name) || strings.Contains(err.Error(), "not-this-one") {
			t.Errorf("%s: got %v", tc.name, err)
		}
	}
}

// A port that wants TLS closes a plain connection, as a broker that stops does: that is no refusal, but the log and /ready say what it may be.
func TestAPlainConnectionToATLSPortIsHintedAt(t *testing.T) {
	c := valid()
	c.Brokers = rig.Kafka(t, 1).SecureBrokers
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var said error
	Connect(ctx, &c, quiet, func(err error) { said = err; cancel() })
	if said == nil || !strings.Contains(said.Error(), "TLS") {
		t.Errorf("readiness was told %v", said)
	}
}

func TestARealClusterHasTransactionVersion2(t *testing.T) {
	c := valid()
	c.Brokers = rig.Kafka(t, 1).Brokers
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if v, err := CheckTransactions(t.Context(), cl, &c); err != nil || v != 2 {
		t.Errorf("version %d, %v", v, err)
	}
}
