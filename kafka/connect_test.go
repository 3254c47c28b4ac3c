package kafka

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// brokers starts an embedded broker with options of its own.
func brokers(t *testing.T, opts ...kfake.Opt) []string {
	t.Helper()
	c, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.ListenAddrs()
}

func TestAnUntrustedCertificateIsSaidAtOnce(t *testing.T) {
	server := httptest.NewTLSServer(nil) // lends its certificate
	defer server.Close()
	c := valid()
	c.Brokers = brokers(t, kfake.TLS(&tls.Config{Certificates: server.TLS.Certificates}))
	c.TLS = true
	err := Connect(t.Context(), &c, quiet, func(error) {})
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "KAFKA_TLS_CA_FILE") {
		t.Errorf("got %v", err)
	}
}

func TestConnectWaitsForABrokerThatIsDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	c := valid()
	c.Brokers = []string{l.Addr().String()}
	var reports []error
	err = Connect(t.Context(), &c, quiet, func(err error) {
		if reports = append(reports, err); len(reports) == 2 {
			brokers(t, kfake.Ports(port)) // it comes up after the second attempt
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(reports) < 3 || reports[0] == nil || reports[len(reports)-1] != nil {
		t.Errorf("readiness was told %v", reports)
	}
}

func TestAnOldClusterIsRefusedUnlessAllowed(t *testing.T) {
	c := valid()
	c.Brokers = brokers(t, kfake.MaxVersions(kversion.V3_9_0()))
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err := CheckTransactions(t.Context(), cl, &c); !errors.Is(err, ErrOldBroker) || !strings.Contains(err.Error(), "KAFKA_ALLOW_OLD_BROKERS") {
		t.Errorf("got %v", err)
	}
	c.AllowOldBrokers = true
	if v, err := CheckTransactions(t.Context(), cl, &c); err != nil || v >= 2 {
		t.Errorf("allowed: version %d, %v", v, err)
	}
}

// A partition that a broker refuses for a moment waits for new metadata: the client's own default would stall it for five seconds, as the torture saw after
// every second kill of a scorer. And partitions that were added to a topic would not be read for five minutes.
func TestMetadataIsNeitherKeptTooLongNorTooFirmly(t *testing.T) {
	c := valid()
	opts, err := c.Options()
	if err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if age := cl.OptValue(kgo.MetadataMinAge).(time.Duration); age > 250*time.Millisecond {
		t.Errorf("metadata is kept for %v at least", age)
	}
	if age := cl.OptValue(kgo.MetadataMaxAge).(time.Duration); age > 30*time.Second {
		t.Errorf("partitions that were added are not seen for %v", age)
	}
}
