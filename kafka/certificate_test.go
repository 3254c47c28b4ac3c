package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/mlmonitor/mlmonitor/test/rig"
)

func TestWhatIsWrongWithACertificateIsSaidAtOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		expired bool
		hosts   []string
		want    string // "" when nothing is wrong
	}{
		"good":         {},
		"expired":      {expired: true, want: "has expired"},
		"another host": {hosts: []string{"kafka.example"}, want: "for another host"},
	} {
		server, ca := rig.Certificate(t, t.TempDir(), tc.expired, tc.hosts...)
		c := valid()
		c.Brokers, c.CAFile = brokers(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{server}})), ca
		attempts := 0
		err := Connect(t.Context(), &c, quiet, func(err error) {
			if late := net.Error(nil); !errors.As(err, &late) || !late.Timeout() { // on a slow machine it may take longer than an attempt
				attempts++
			}
		})
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tc.want != "" && (!errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
		if attempts != 1 {
			t.Errorf("%s: %d attempts", name, attempts)
		}
	}
}

// A broker that asks for a certificate, and gets none or one that it does not trust, says so in an alert of TLS.
func TestACertificateOfOursThatIsRefusedIsSaidAtOnce(t *testing.T) {
	server, ca := rig.Certificate(t, t.TempDir(), false)
	theirs := x509.NewCertPool()
	pem, err := os.ReadFile(ca)
	if err != nil || !theirs.AppendCertsFromPEM(pem) {
		t.Fatal(err)
	}
	foreign := t.TempDir()
	other, _ := rig.Certificate(t, foreign, false)
	cert, key := rig.PEM(t, other)
	pair := filepath.Join(foreign, "tls.pem")
	if err := os.WriteFile(pair, append(key, cert...), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string][2]string{"none": {}, "another authority's": {pair, pair}} {
		c := valid()
		c.Brokers, c.CAFile = brokers(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: theirs})), ca
		c.CertFile, c.KeyFile = files[0], files[1]
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		err := Connect(ctx, &c, quiet, func(error) {})
		cancel()
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "KAFKA_TLS_CERT_FILE") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
