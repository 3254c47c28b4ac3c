package audit

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// impostor answers as a PostgreSQL server does until the handshake is over, and counts who asks.
func impostor(t *testing.T, certificate tls.Certificate) (address string, asked *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	asked = &atomic.Int64{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			go func() {
				defer c.Close()
				if _, err := io.ReadFull(c, make([]byte, 8)); err != nil { // SSLRequest
					return
				}
				c.Write([]byte("S"))
				tls.Server(c, &tls.Config{Certificates: []tls.Certificate{certificate}}).Handshake()
			}()
		}
	}()
	return l.Addr().String(), asked
}

func TestWhatIsWrongWithTheServersCertificateIsSaid(t *testing.T) {
	for name, tc := range map[string]struct {
		expired bool
		hosts   []string
		want    string
	}{
		"expired":      {expired: true, want: "has expired"},
		"another host": {hosts: []string{"postgres.example"}, want: "for another host"},
	} {
		server, ca := rig.Certificate(t, t.TempDir(), tc.expired, tc.hosts...)
		address, asked := impostor(t, server)
		_, port, _ := net.SplitHostPort(address)
		store, err := Open(t.Context(), Config{DatabaseURL: kafka.Secret(fmt.Sprintf("postgres://audit:hunter2@localhost:%s/mlmonitor?sslmode=verify-full&sslrootcert=%s", port, ca))})
		if err != nil {
			t.Fatal(err)
		}
		err = store.Ping(t.Context())
		store.Close()
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
		if n := asked.Load(); n > 3 { // localhost may have two addresses
			t.Errorf("%s: asked %d times", name, n)
		}
	}
}
