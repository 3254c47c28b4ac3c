package api

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"sync"
	"time"
)

// reloaded is what a file holds, read again when the file changes, looked at once a second at most.
type reloaded[T any] struct {
	path string
	load func() (T, error)

	mu     sync.Mutex
	value  T
	there  bool
	at     time.Time // of the file
	looked time.Time
}

// get gives the latest that could be read: one that cannot be read now is no reason to stop, the last one may still hold.
func (r *reloaded[T]) get() (T, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.there && time.Since(r.looked) < time.Second {
		return r.value, nil
	}
	info, err := os.Stat(r.path)
	if err == nil && (!r.there || !info.ModTime().Equal(r.at)) {
		var value T
		if value, err = r.load(); err == nil {
			r.value, r.there, r.at = value, true, info.ModTime()
		}
	}
	r.looked = time.Now()
	if !r.there {
		return r.value, err
	}
	return r.value, nil
}

// serverTLS reads certificate and key, and with API_AUTH=mtls the authorities of clients, again when their files change.
func serverTLS(cfg *Config) (*tls.Config, error) {
	pair := &reloaded[*tls.Certificate]{path: cfg.CertFile, load: func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		return &pair, err
	}}
	if _, err := pair.get(); err != nil {
		return nil, errors.Join(errors.New("API_TLS_CERT_FILE, API_TLS_KEY_FILE"), err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.get() }}
	if cfg.Auth != "mtls" {
		return config, nil
	}
	authorities := &reloaded[*x509.CertPool]{path: cfg.ClientCAFile, load: func() (*x509.CertPool, error) {
		pem, err := os.ReadFile(cfg.ClientCAFile)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, errors.New("no certificate in it")
		}
		return pool, nil
	}}
	if _, err := authorities.get(); err != nil {
		return nil, errors.Join(errors.New("API_TLS_CLIENT_CA_FILE"), err)
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		pool, err := authorities.get()
		if err != nil {
			return nil, err
		}
		one := config.Clone()
		one.GetConfigForClient, one.ClientCAs = nil, pool
		return one, nil
	}
	return config, nil
}
