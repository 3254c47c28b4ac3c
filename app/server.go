package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// checkTimeout bounds one look at readiness.
const checkTimeout = 2 * time.Second

// opsServer serves /health (the process lives), /ready (it does its work, 503 with the reason when not), /metrics, and on request profiles.
type opsServer struct {
	http     *http.Server
	listener net.Listener
	Registry *prometheus.Registry
	ready    func(context.Context) error
	grace    time.Duration // for answers that began, at the end
}

// newOpsServer listens at once, so that a taken port is an error of the start; Serve answers.
func newOpsServer(cfg *Config, port int, log *slog.Logger) (*opsServer, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(cfg.OpsHost, strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("OPS_HOST, OPS_PORT: %w", err)
	}
	s := &opsServer{listener: l, Registry: prometheus.NewRegistry(), ready: func(context.Context) error { return errors.New("starting") }, grace: time.Second}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total", Help: "HTTP requests answered, by path and status code."}, []string{"path", "code"})
	s.Registry.MustRegister(requests, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), Program.gauge(),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mlmonitor_ready", Help: "1 while /ready answers 200."}, s.readyGauge))
	mux := http.NewServeMux()
	handle := func(path string, h http.Handler) {
		mux.Handle("GET "+path, promhttp.InstrumentHandlerCounter(requests.MustCurryWith(prometheus.Labels{"path": path}), h))
	}
	handle("/health", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }))
	handle("/ready", http.HandlerFunc(s.serveReady))
	handle("/metrics", promhttp.HandlerFor(s.Registry, promhttp.HandlerOpts{MaxRequestsInFlight: 8}))
	answerTimeout := 15 * time.Second
	if cfg.OpsPprof {
		answerTimeout = 45 * time.Second // a profile takes 30 s unless it is asked for less
		handle("/debug/pprof/", http.HandlerFunc(pprof.Index))
		handle("/debug/pprof/profile", http.HandlerFunc(pprof.Profile))
		handle("/debug/pprof/trace", http.HandlerFunc(pprof.Trace))
	}
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: answerTimeout,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	return s, nil
}

// URL is where the server listens.
func (s *opsServer) URL() string { return "http://" + s.listener.Addr().String() }

// Serve answers until ctx ends; answers that began are finished before it returns. ready is the readiness of the role.
func (s *opsServer) Serve(ctx context.Context, ready func(context.Context) error) error {
	s.ready = ready
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		bounded, cancel := context.WithTimeout(context.Background(), s.grace)
		defer cancel()
		if s.http.Shutdown(bounded) != nil {
			s.http.Close()
		}
	})
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve operations pages: %w", err)
	}
	<-closed
	return nil
}

func (s *opsServer) serveReady(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	if err := s.ready(ctx); err != nil {
		http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

func (s *opsServer) readyGauge() float64 {
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	if s.ready(ctx) != nil {
		return 0
	}
	return 1
}
