package api

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return &authority{t, key, must(x509.ParseCertificate(der))}
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func (a *authority) sign(template *x509.Certificate) tls.Certificate {
	a.t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template.SerialNumber = big.NewInt(2)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	template.NotBefore = time.Now().Add(-2 * time.Hour)
	der := must(x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestAClientIsKnownByItsCertificate(t *testing.T) {
	dir := t.TempDir()
	ours, theirs := newAuthority(t), newAuthority(t)
	server := ours.sign(&x509.Certificate{DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	certFile, keyFile, caFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), filepath.Join(dir, "clients.crt")
	write := func(path string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate[0]}))
	write(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: must(x509.MarshalECPrivateKey(server.PrivateKey.(*ecdsa.PrivateKey)))}))
	write(caFile, ours.pem())
	cfg := Config{Host: "127.0.0.1", Auth: "mtls", CertFile: certFile, KeyFile: keyFile, ClientCAFile: caFile, Timeout: time.Second, Rate: 1e7, ClientRate: 1e6, Remember: 10, MaxConnections: 100}
	if err := cfg.Callers.Decode("checkout=score,spiffe://shop/ana=read,root=admin"); err != nil {
		t.Fatal(err)
	}
	s, err := New(t.Context(), cfg, &oracle{}, func() InForce { return InForce{Champion: loaded()} }, Sources{}, slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	roots := x509.NewCertPool()
	roots.AddCert(ours.cert)
	// ask gives the status codes of reading and of deciding; 0 where the handshake fails.
	ask := func(certificates ...tls.Certificate) (read, score int) {
		t.Helper()
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "localhost", Certificates: certificates}}}
		defer client.CloseIdleConnections()
		if resp, err := client.Get(s.URL() + "/model/info"); err == nil {
			resp.Body.Close()
			read = resp.StatusCode
		}
		if resp, err := client.Post(s.URL()+"/predict", "application/json", strings.NewReader(string(example(t, 0)))); err == nil {
			resp.Body.Close()
			score = resp.StatusCode
		}
		return read, score
	}
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	checkout := ours.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "checkout"}, ExtKeyUsage: client})
	for what, c := range map[string]struct {
		certificate []tls.Certificate
		read, score int
	}{
		"one of the callers, by its name":        {[]tls.Certificate{checkout}, 403, 200},
		"by its DNS name":                        {[]tls.Certificate{ours.sign(&x509.Certificate{DNSNames: []string{"root"}, ExtKeyUsage: client})}, 200, 200},
		"by its URI":                             {[]tls.Certificate{ours.sign(&x509.Certificate{URIs: []*url.URL{must(url.Parse("spiffe://shop/ana"))}, ExtKeyUsage: client})}, 200, 403},
		"whom nobody knows":                      {[]tls.Certificate{ours.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "mallory"}, ExtKeyUsage: client})}, 403, 403},
		"without a certificate":                  {nil, 0, 0},
		"of another authority":                   {[]tls.Certificate{theirs.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "root"}, ExtKeyUsage: client})}, 0, 0},
		"expired":                                {[]tls.Certificate{ours.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "root"}, ExtKeyUsage: client, NotAfter: time.Now().Add(-time.Hour)})}, 0, 0},
		"a server's, which is no client's":       {[]tls.Certificate{server}, 0, 0},
		"without a name, and so without a right": {[]tls.Certificate{ours.sign(&x509.Certificate{ExtKeyUsage: client})}, 403, 403},
	} {
		if read, score := ask(c.certificate...); read != c.read || score != c.score {
			t.Errorf("%s: reading %d, deciding %d, want %d, %d", what, read, score, c.read, c.score)
		}
	}
	// Another authority takes over, without a restart.
	write(caFile, theirs.pem())
	at := time.Now().Add(time.Minute)
	if err := os.Chtimes(caFile, at, at); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond) // it is looked at once a second
	if read, _ := ask(theirs.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "root"}, ExtKeyUsage: client})); read != 200 {
		t.Errorf("after the change, of the new authority: %d", read)
	}
	if _, score := ask(checkout); score != 0 {
		t.Errorf("after the change, of the old authority: %d", score)
	}
}

func TestCallersAreReadAsTheyAreWritten(t *testing.T) {
	var c Callers
	if err := c.Decode("a=score+read,spiffe://x/b=c=admin,"); err != nil || len(c) != 2 || fmt.Sprint(c["a"]) != "[score read]" || fmt.Sprint(c["spiffe://x/b=c"]) != "[admin]" {
		t.Errorf("%v, %v", c, err)
	}
	for _, wrong := range []string{"a", "=read", "a=", "a=write", "a=read+"} {
		if err := c.Decode(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}
