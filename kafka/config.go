package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Config says where the cluster is, how to prove who we are, and what the topics are called.
type Config struct {
	Brokers []string `envconfig:"KAFKA_BROKERS" default:"127.0.0.1:9092" desc:"bootstrap brokers, host:port separated by commas"`

	TLS      bool   `envconfig:"KAFKA_TLS" default:"false" desc:"connect with TLS; implied by KAFKA_TLS_CA_FILE and KAFKA_TLS_CERT_FILE"`
	CAFile   string `envconfig:"KAFKA_TLS_CA_FILE" desc:"PEM file of the certificate authorities to trust instead of the system's"`
	CertFile string `envconfig:"KAFKA_TLS_CERT_FILE" desc:"PEM file of the client certificate"`
	KeyFile  string `envconfig:"KAFKA_TLS_KEY_FILE" desc:"PEM file of the client certificate's key"`

	Mechanism string `envconfig:"KAFKA_SASL_MECHANISM" desc:"PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty for none"`
	Username  string `envconfig:"KAFKA_SASL_USERNAME" desc:"SASL user"`
	Password  Secret `envconfig:"KAFKA_SASL_PASSWORD" desc:"SASL password"`

	// PasswordNow reads the password again, for each connection that is made; nil where it does not change while the process runs.
	PasswordNow func() (Secret, error) `ignored:"true" json:"-"`

	AllowOldBrokers bool `envconfig:"KAFKA_ALLOW_OLD_BROKERS" default:"false" desc:"run on a cluster without transaction.version=2; a crash may then lose or double a verdict"`

	Compression string `envconfig:"KAFKA_COMPRESSION" default:"snappy" desc:"of what is published: none, snappy, lz4 or zstd"`

	// Dial connects instead of net.Dialer, for a broker that no network leads to; nil otherwise.
	Dial func(ctx context.Context, network, address string) (net.Conn, error) `ignored:"true" json:"-"`

	Transactions string `envconfig:"KAFKA_TOPIC_TRANSACTIONS" default:"transactions" desc:"input topic"`
	Verdicts     string `envconfig:"KAFKA_TOPIC_VERDICTS" default:"verdicts" desc:"output topic"`
	DeadLetters  string `envconfig:"KAFKA_TOPIC_DEAD_LETTERS" default:"transactions.dlq" desc:"dead-letter topic"`
	Shadow       string `envconfig:"KAFKA_TOPIC_SHADOW" default:"verdicts.shadow" desc:"topic of the challenger's verdicts, which decide nothing; empty: no challenger is scored"`
	Replies      string `envconfig:"KAFKA_TOPIC_REPLIES" default:"verdicts.replies" desc:"topic of copies of verdicts for API instances that wait for them; empty: none"`
	Models       string `envconfig:"KAFKA_TOPIC_MODELS" default:"mlmonitor.models" desc:"topic of which bundle decides from which offset on, it never expires; empty: nothing is told"` // "" in tests that do without
}

// codecs by the name that Kafka has for them.
var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "": kgo.NoCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

// metadataMinAge is how long a client keeps what it knows of leaders, at least. A partition whose broker refuses a request for a moment, as one does that has not
// ended the last transaction yet, waits for new metadata: with the client's own default that stalls it for up to five seconds.
const metadataMinAge = 200 * time.Millisecond

// metadataMaxAge is how long it takes until partitions that were added to a topic are read, at most. The client's own default leaves them alone for five minutes.
const metadataMaxAge = 20 * time.Second

var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// Validate names the variable that is wrong and how to mend it. It reads the certificate files: one that is not there is not waited for.
func (c *Config) Validate() error {
	if len(c.Brokers) == 0 {
		return errors.New("KAFKA_BROKERS is empty: set it to host:port of at least one broker")
	}
	for _, b := range c.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return fmt.Errorf("KAFKA_BROKERS: %q is not host:port: %w", b, err)
		}
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return errors.New("KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE belong together: set both or neither")
	}
	switch c.Mechanism {
	case "":
		if c.Username != "" || c.Password != "" {
			return errors.New("KAFKA_SASL_USERNAME or KAFKA_SASL_PASSWORD is set but KAFKA_SASL_MECHANISM is not: set it to SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN")
		}
	case "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512":
		if c.Username == "" || c.Password == "" {
			return fmt.Errorf("KAFKA_SASL_MECHANISM is %s: set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD (or KAFKA_SASL_PASSWORD_FILE)", c.Mechanism)
		}
		if c.Mechanism == "PLAIN" && !c.UsesTLS() {
			return errors.New("KAFKA_SASL_MECHANISM=PLAIN would send the password in clear: set KAFKA_TLS=true or use SCRAM-SHA-512")
		}
	default:
		return fmt.Errorf("KAFKA_SASL_MECHANISM is %q: use SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN", c.Mechanism)
	}
	if _, ok := codecs[c.Compression]; !ok {
		return fmt.Errorf("KAFKA_COMPRESSION is %q: use none, snappy, lz4 or zstd", c.Compression)
	}
	seen := map[string]string{}
	for _, t := range []struct{ variable, name string }{
		{"KAFKA_TOPIC_TRANSACTIONS", c.Transactions}, {"KAFKA_TOPIC_VERDICTS", c.Verdicts}, {"KAFKA_TOPIC_DEAD_LETTERS", c.DeadLetters}, {"KAFKA_TOPIC_SHADOW", c.Shadow}, {"KAFKA_TOPIC_REPLIES", c.Replies}, {"KAFKA_TOPIC_MODELS", c.Models},
	} {
		if t.name == "" && (t.variable == "KAFKA_TOPIC_MODELS" || t.variable == "KAFKA_TOPIC_SHADOW" || t.variable == "KAFKA_TOPIC_REPLIES") {
			continue // nothing is told, nobody is in the shadow
		}
		if !topicName.MatchString(t.name) || t.name == "." || t.name == ".." {
			return fmt.Errorf("%s is %q: a topic name has 1 to 249 letters, digits, '.', '_' or '-'", t.variable, t.name)
		}
		if other := seen[t.name]; other != "" {
			return fmt.Errorf("%s and %s are both %q: each needs a topic of its own", other, t.variable, t.name)
		}
		seen[t.name] = t.variable
	}
	_, err := c.Options()
	return err
}

// UsesTLS says whether connections are encrypted: any TLS setting makes TLS required.
func (c *Config) UsesTLS() bool { return c.TLS || c.CAFile != "" || c.CertFile != "" }

// Options turns the configuration into client options; it reads the certificate files.
func (c *Config) Options() ([]kgo.Opt, error) {
	opts := []kgo.Opt{kgo.SeedBrokers(c.Brokers...), kgo.ClientID("mlmonitor"), kgo.ProducerBatchCompression(codecs[c.Compression]),
		kgo.MetadataMinAge(metadataMinAge), kgo.MetadataMaxAge(metadataMaxAge)}
	if c.Dial != nil {
		return append(opts, kgo.Dialer(c.Dial)), nil
	}
	if c.UsesTLS() {
		t, err := c.tls()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(t))
	}
	if m := c.sasl(); m != nil {
		opts = append(opts, kgo.SASL(m))
	}
	return opts, nil
}

func (c *Config) tls() (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("KAFKA_TLS_CA_FILE: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("KAFKA_TLS_CA_FILE: %s holds no PEM certificate", c.CAFile)
		}
	}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("KAFKA_TLS_CERT_FILE, KAFKA_TLS_KEY_FILE: %w", err)
		}
		// Read again for each connection, so that the certificate can be replaced while the process runs. One that cannot be read now is no reason to present none.
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if again, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile); err == nil {
				return &again, nil
			}
			return &pair, nil
		}
	}
	return t, nil
}

func (c *Config) sasl() sasl.Mechanism {
	user := c.Username
	pass := func() (string, error) { return c.Password.Reveal(), nil }
	if c.PasswordNow != nil {
		pass = func() (string, error) {
			now, err := c.PasswordNow()
			return now.Reveal(), err
		}
	}
	by := func(context.Context) (scram.Auth, error) {
		text, err := pass()
		return scram.Auth{User: user, Pass: text}, err
	}
	switch c.Mechanism {
	case "PLAIN":
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			text, err := pass()
			return plain.Auth{User: user, Pass: text}, err
		})
	case "SCRAM-SHA-256":
		return scram.Sha256(by)
	case "SCRAM-SHA-512":
		return scram.Sha512(by)
	}
	return nil
}
