package api

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"

	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/reports"
	"github.com/mlmonitor/mlmonitor/scorer"
	"github.com/mlmonitor/mlmonitor/tracing"
)

// InForce is what decides, as far as this process knows: its contract finds a transaction's id and key, and its bundle answers what if. Verdicts name what decided them.
type InForce struct {
	Champion   *scorer.Bundle
	Challenger *scorer.Bundle // nil where there is none
	Share      float64        // of the keys, that the challenger decides
	Reason     string
}

// Asker has a transaction decided: producer.Asker.
type Asker interface {
	Ask(ctx context.Context, key, value []byte) (producer.Reply, error)
	Ready(ctx context.Context) error
}

// Server is the HTTP API.
type Server struct {
	cfg     Config
	asker   Asker
	inForce func() InForce
	sources Sources
	log     *slog.Logger
	gate    gate
	login   *login // nil: none
	proxies proxies
	limits  *limits
	recent  *recent
	metrics *metrics
	api     huma.API
	handler http.Handler

	listener net.Listener // nil before Listen
	url      string

	live      *live
	drift     *cached[*reports.Report]
	models    *cached[[]ModelChange]
	letters   *cached[[]DeadLetter]
	replicas  *cached[*Replicas]
	readiness *cached[struct{}] // anybody may ask: the brokers are asked once for all
	reporting chan struct{}     // holds one while a report is made
	closing   chan struct{}     // closed when the server ends: streams do not end by themselves

	mu    sync.Mutex
	hands *hands // of the champion that was last asked for
}

type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
	unlooked prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mlmonitor_api_requests_total", Help: "Requests of the API answered, by operation and status code."}, []string{"operation", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "mlmonitor_api_request_duration_seconds", Help: "Time to answer a request of the API.",
			Buckets: []float64{0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5}}, []string{"operation"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "mlmonitor_api_in_flight", Help: "Requests of the API that are being answered."}),
		unlooked: prometheus.NewCounter(prometheus.CounterOpts{Name: "mlmonitor_api_audit_unlooked_total", Help: "Transactions published although the audit did not say whether it has them already."}),
	}
	reg.MustRegister(m.requests, m.duration, m.inFlight, m.unlooked)
	return m
}

// Version of the API's description.
const Version = "1.0.0"

// New makes the server. ctx must live as long as the server: the issuer's keys are read again under it.
func New(ctx context.Context, cfg Config, asker Asker, inForce func() InForce, sources Sources, log *slog.Logger, reg prometheus.Registerer) (*Server, error) {
	s := &Server{cfg: cfg, asker: asker, inForce: inForce, sources: sources, log: log, limits: newLimits(cfg.Rate, cfg.ClientRate), recent: newRecent(cfg.Remember), metrics: newMetrics(reg),
		reporting: make(chan struct{}, 1), closing: make(chan struct{})}
	s.live = newLive(sources.Follow, asker.Ready, log)
	s.drift = newCached(driftFresh, s.latestWindow)
	s.models = newCached(modelsFresh, sources.Models)
	s.letters = newCached(lettersFresh, func(ctx context.Context) ([]DeadLetter, error) { return sources.DeadLetters(ctx, maxLetters) })
	s.replicas = newCached(replicasFresh, sources.Replicas)
	s.readiness = newCached(time.Second, func(ctx context.Context) (struct{}, error) { return struct{}{}, s.asker.Ready(ctx) })
	var err error
	if s.proxies, err = parseProxies(cfg.TrustedProxies); err != nil {
		return nil, err
	}
	if err := s.guard(ctx); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	config := huma.DefaultConfig("ML-Monitor", Version)
	config.DocsPath, config.SchemasPath = "", "" // its page comes from elsewhere; ours is below
	config.CreateHooks = nil                     // no links to schemas in the answers
	config.Info.Description = "Fraud verdicts on single transactions: decided by the scorer that owns the transaction's partition, committed and audited before they are answered."
	switch cfg.Auth {
	case "oidc":
		config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"oidc": {Type: "openIdConnect", OpenIDConnectURL: cfg.Issuer + "/.well-known/openid-configuration"}}
	case "mtls":
		config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"mtls": {Type: "mutualTLS"}}
	}
	s.api = humago.New(mux, config)
	s.register()
	mux.HandleFunc("GET /docs", s.docs)
	s.servePage(mux)
	s.handler = s.outer(mux)
	return s, nil
}

// guard sets who is let in.
func (s *Server) guard(ctx context.Context) error {
	switch s.cfg.Auth {
	case "oidc":
		t, err := newTokens(ctx, &s.cfg)
		if err != nil {
			return fmt.Errorf("API_OIDC_ISSUER: %w", err)
		}
		if s.gate = t; s.cfg.ClientID != "" {
			s.login = newLogin(&s.cfg, t)
			t.cookie = cookieName(tokenCookie, s.login.secure)
		}
	case "mtls":
		s.gate = certificates{s.cfg.Callers}
	default:
		s.gate = open{s.proxies}
		s.log.Warn("API_AUTH=off: everybody who reaches the API may use all of it")
	}
	return nil
}

// Handler answers requests.
func (s *Server) Handler() http.Handler { return s.handler }

// Ready says why transactions cannot be answered now.
func (s *Server) Ready(ctx context.Context) error { return s.asker.Ready(ctx) }

// Listen takes the port, so that one that is taken is an error of the start. Run does it where nobody has.
func (s *Server) Listen() error {
	listener, err := net.Listen("tcp", net.JoinHostPort(s.cfg.Host, strconv.Itoa(s.cfg.Port)))
	if err != nil {
		return fmt.Errorf("API_HOST, API_PORT: %w", err)
	}
	listener = netutil.LimitListener(listener, s.cfg.MaxConnections)
	s.listener, s.url = listener, "http://"+listener.Addr().String()
	if s.cfg.CertFile != "" {
		config, err := serverTLS(&s.cfg)
		if err != nil {
			listener.Close()
			return err
		}
		s.listener, s.url = tls.NewListener(listener, config), "https://"+listener.Addr().String()
	}
	return nil
}

// AnyPort has Listen take a free one.
func (s *Server) AnyPort() { s.cfg.Port = 0 }

// URL is where the server listens.
func (s *Server) URL() string { return s.url }

// Run serves until ctx ends; requests that began are answered before it returns.
func (s *Server) Run(ctx context.Context) error {
	if s.listener == nil {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	server := &http.Server{Handler: s.handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: s.cfg.Timeout + 20*time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 32 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)}
	s.log.Info("api", "url", s.url, "auth", s.cfg.Auth)
	server.RegisterOnShutdown(func() { close(s.closing) })
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		bounded, cancel := context.WithTimeout(context.Background(), s.cfg.Timeout+2*time.Second)
		defer cancel()
		if server.Shutdown(bounded) != nil {
			server.Close()
		}
	})
	if err := server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve the API: %w", err)
	}
	<-closed
	return nil
}

type contextKey int

const (
	callerKey contextKey = iota
	requestKey
)

// who is the caller of a request.
func who(ctx context.Context) *caller {
	c, ok := ctx.Value(callerKey).(*caller)
	if !ok {
		return &caller{}
	}
	return c
}

// status remembers what was answered.
type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	if s.code == 0 {
		s.code = code
	}
	s.ResponseWriter.WriteHeader(code)
}

// Unwrap is of http.ResponseController.
func (s *status) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *status) Write(text []byte) (int, error) {
	if s.code == 0 {
		s.code = http.StatusOK
	}
	return s.ResponseWriter.Write(text)
}

// outer is around every request: an id, headers, the log, counts.
func (s *Server) outer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		s.metrics.inFlight.Inc()
		defer s.metrics.inFlight.Dec()
		id := requestID(r)
		h := w.Header()
		h.Set("X-Request-Id", id)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		seen := &status{ResponseWriter: w}
		access := &access{}
		ctx := context.WithValue(context.WithValue(r.Context(), requestKey, id), accessKey, access)
		if r.Method == http.MethodPost { // of a transaction
			ctx = tracing.Request(ctx, r)
		}
		defer func() { // also of what is cut off by a panic
			s.answered(ctx, r, seen, access, id, start)
		}()
		next.ServeHTTP(seen, r.WithContext(ctx))
	})
}

// answered counts and logs.
func (s *Server) answered(ctx context.Context, r *http.Request, seen *status, access *access, id string, start time.Time) {
	operation := access.operation
	if operation == "" {
		operation = "other"
	}
	s.metrics.requests.WithLabelValues(operation, strconv.Itoa(seen.code)).Inc()
	s.metrics.duration.WithLabelValues(operation).Observe(time.Since(start).Seconds())
	level := slog.LevelInfo
	if operation == "page" || operation == "health" || operation == "ready" {
		level = slog.LevelDebug // asked for all the time, and about nothing
	}
	attributes := []any{"request_id", id, "operation", operation, "method", r.Method, "status", seen.code, "caller", access.caller, "remote", s.proxies.client(r), "duration_ms", float64(time.Since(start).Microseconds()) / 1000}
	if access.transactions > 0 {
		attributes = append(attributes, "transactions", access.transactions)
	}
	if access.about != "" {
		attributes = append(attributes, "transaction_id", access.about)
	}
	if trace := tracing.ID(ctx); trace != "" {
		attributes = append(attributes, "trace_id", trace)
	}
	tracing.Answered(ctx, r, operation, access.about, seen.code)
	s.log.Log(r.Context(), level, "request", attributes...)
}

const accessKey contextKey = 100

// access is what the log says of a request; no values of transactions.
type access struct {
	operation, caller string
	transactions      int
	about             string // id of the transaction, where it is about one
}

// one notes the transaction of a request that has only one.
func (a *access) one(id string) {
	if a.transactions == 1 {
		a.about = id
	}
}

func accessOf(ctx context.Context) *access {
	a, ok := ctx.Value(accessKey).(*access)
	if !ok {
		return &access{}
	}
	return a
}

// requestID is the caller's, where that is harmless, or a new one.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	harmless := id != "" && len(id) <= 64
	for i := 0; i < len(id) && harmless; i++ {
		c := id[i]
		harmless = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
	}
	if harmless {
		return id
	}
	var random [12]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "none"
	}
	return hex.EncodeToString(random[:])
}
