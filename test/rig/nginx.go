package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Proxy is a real nginx with the configuration that is shipped, in front of API replicas and Grafana.
type Proxy struct {
	URL     string // https
	HTTP    string // of the redirect
	Grafana string // https
	dir     string
	script  script
}

// Nginx starts one for this test; it ends with the test. Certificate and key are PEM, grafana and the replicas host:port. Under go test -short it skips the test.
func Nginx(t T, cert, key []byte, grafana string, replicas ...string) *Proxy {
	t.Helper()
	skipWhenShort(t, "nginx")
	fail := func(err error) {
		if err != nil {
			t.Fatalf("start nginx: %v", err)
		}
	}
	sc, err := newScript("nginx.sh")
	fail(err)
	t.Cleanup(func() {
		if err := sc.remove(); err != nil {
			t.Logf("stop nginx: %v", err)
		}
	})
	ports, err := FreePorts(3)
	fail(err)
	p := &Proxy{URL: fmt.Sprintf("https://127.0.0.1:%d", ports[0]), HTTP: fmt.Sprintf("http://127.0.0.1:%d", ports[1]), Grafana: fmt.Sprintf("https://127.0.0.1:%d", ports[2]), dir: sc.dir, script: sc}
	fail(p.certificate(cert, key))
	fail(sc.start(fmt.Sprintf("NGINX_PORT=%d", ports[0]), fmt.Sprintf("NGINX_HTTP_PORT=%d", ports[1]), "UPSTREAMS="+strings.Join(replicas, " "), "GRAFANA_UPSTREAM="+grafana, fmt.Sprintf("NGINX_GRAFANA_PORT=%d", ports[2])))
	return p
}

func (p *Proxy) certificate(cert, key []byte) error {
	if err := os.MkdirAll(filepath.Join(p.dir, "tls"), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(p.dir, "tls", "tls.key"), key, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.dir, "tls", "tls.crt"), cert, 0o600)
}

// Rotate gives it another certificate, as operators do: files, then a reload.
func (p *Proxy) Rotate(cert, key []byte) error {
	if err := p.certificate(cert, key); err != nil {
		return err
	}
	return p.script.call("reload")
}
