package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrRefused marks a connection error that no retry mends: a wrong password, an untrusted certificate. The text names the variable.
var ErrRefused = errors.New("the cluster refuses the connection")

// ErrOldBroker marks a cluster on which exactly-once is not safe.
var ErrOldBroker = errors.New("the cluster cannot keep the exactly-once promise")

const (
	attemptTimeout = 5 * time.Second
	firstBackoff   = 250 * time.Millisecond
	lastBackoff    = 5 * time.Second
)

// Connect waits until the cluster answers, and returns nil; every failed attempt is logged, and told to report (with nil once it
// answered), so that readiness can name the cause. It gives up only when ctx ends, or with ErrRefused when waiting cannot help: the client
// library itself would retry a wrong password silently.
func Connect(ctx context.Context, cfg *Config, log *slog.Logger, report func(error)) error {
	opts, err := cfg.Options()
	if err != nil {
		return err
	}
	for backoff := firstBackoff; ; backoff = min(2*backoff, lastBackoff) {
		err := ping(ctx, opts)
		report(err)
		if err == nil {
			return nil
		}
		if why := refusal(cfg, err); why != "" {
			return fmt.Errorf("%w: %s: %w", ErrRefused, why, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		log.Warn("waiting for Kafka", "brokers", cfg.Brokers, "error", err, "retry_in", backoff.String())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(backoff):
		}
	}
}

// ping opens a connection of its own: a client that failed once keeps its own, longer, backoff.
func ping(ctx context.Context, opts []kgo.Opt) error {
	cl, err := kgo.NewClient(append(opts[:len(opts):len(opts)], kgo.RequestRetries(0), kgo.RetryTimeout(attemptTimeout), kgo.DialTimeout(attemptTimeout))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return cl.Ping(ctx)
}

// refusal says which setting is wrong, or "" when the error may pass.
func refusal(cfg *Config, err error) string {
	var verify *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var alert *net.OpError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return fmt.Sprintf("user %q is not accepted, check KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD", cfg.Username)
	case errors.Is(err, kerr.UnsupportedSaslMechanism), errors.Is(err, kerr.IllegalSaslState):
		return fmt.Sprintf("the broker does not take %q, check KAFKA_SASL_MECHANISM", cfg.Mechanism)
	case errors.As(err, &host):
		return "the broker's certificate is for another host, check KAFKA_BROKERS"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the broker's certificate has expired or is not valid yet, renew it, or set this machine's clock"
	case errors.As(err, &verify), errors.As(err, &unknown):
		return "the broker's certificate is not trusted, check KAFKA_TLS_CA_FILE"
	case errors.As(err, &alert) && alert.Op == "remote error" && strings.Contains(alert.Err.Error(), "certificate"): // what TLS calls an alert; its type is not exported
		return "the broker does not accept our certificate, check KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE"
	case errors.As(err, &record):
		return "the broker does not speak TLS on this port, check KAFKA_TLS and KAFKA_BROKERS"
	case strings.Contains(err.Error(), "plaintext connection speaking to a tls endpoint"):
		return "the port wants TLS, check KAFKA_TLS and KAFKA_BROKERS"
	}
	return ""
}

// CheckTransactions makes sure that every broker has finalized transaction.version 2 (KIP-890): under older protocols a message that
// arrives late can fall into the next transaction. With AllowOldBrokers it only reports. It returns the lowest version found.
func CheckTransactions(ctx context.Context, cl *kgo.Client, cfg *Config) (int16, error) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "mlmonitor", "1"
	lowest := int16(-1)
	for _, shard := range cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return 0, fmt.Errorf("ask broker %d for its features: %w", shard.Meta.NodeID, shard.Err)
		}
		version := int16(0)
		for _, f := range shard.Resp.(*kmsg.ApiVersionsResponse).FinalizedFeatures {
			if f.Name == "transaction.version" {
				version = f.MaxVersionLevel
			}
		}
		if lowest < 0 || version < lowest {
			lowest = version
		}
	}
	if lowest < 2 && !cfg.AllowOldBrokers {
		return lowest, fmt.Errorf("%w: transaction.version is %d, 2 is needed: run Kafka 4.0 or newer and `kafka-features.sh upgrade --feature transaction.version=2`, "+
			"or set KAFKA_ALLOW_OLD_BROKERS=true and accept that a crash may lose or double a verdict", ErrOldBroker, lowest)
	}
	return lowest, nil
}
