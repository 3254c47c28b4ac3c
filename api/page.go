package api

import (
	"embed"
	"encoding/json"
	"net/http"
	"strings"
)

//go:embed page
var pageFiles embed.FS

// pagePolicy: the page's own files, and nothing from elsewhere.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// pageSetup is what the page needs to know before anything else; nothing of it is secret.
type pageSetup struct {
	Auth    string          `json:"auth"`            // oidc, mtls or off
	Login   bool            `json:"login"`           // there is one
	Who     string          `json:"who,omitempty"`   // is logged in
	May     bool            `json:"may"`             // read
	Sources map[string]bool `json:"sources"`         // what there is to read
	Window  string          `json:"drift_window"`    // of drift
	Version string          `json:"program_version"` // of the program
}

// servePage serves the page, which is of static files; what it shows it asks the API for.
func (s *Server) servePage(mux *http.ServeMux) {
	for path, file := range map[string]string{"/{$}": "index.html", "/app.js": "app.js", "/charts.js": "charts.js", "/style.css": "style.css", "/icon.svg": "icon.svg"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			accessOf(r.Context()).operation = "page"
			w.Header().Set("Content-Security-Policy", pagePolicy)
			http.ServeFileFS(w, r, pageFiles, "page/"+file)
		})
	}
	mux.HandleFunc("GET /page", s.setup)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) {
		accessOf(r.Context()).operation = "health"
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, r *http.Request) {
		accessOf(r.Context()).operation = "ready"
		if _, err := s.readiness.get(r.Context()); err != nil { // why is on the operations port
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte("ready\n"))
	})
	if s.login != nil {
		mux.HandleFunc("GET "+loginPath, s.login.begin)
		mux.HandleFunc("GET "+callbackPath, s.finish)
		mux.HandleFunc("POST /logout", s.login.end)
	}
}

func (s *Server) setup(w http.ResponseWriter, r *http.Request) {
	accessOf(r.Context()).operation = "page"
	p := pageSetup{Auth: s.cfg.Auth, Login: s.login != nil, Window: strings.TrimSuffix(strings.TrimSuffix(s.cfg.DriftWindow.String(), "0s"), "0m"), Version: s.cfg.Program,
		Sources: map[string]bool{"search": s.sources.Search != nil, "verdict": s.sources.Find != nil, "drift": s.sources.Drift != nil, "models": s.sources.Models != nil,
			"letters": s.sources.DeadLetters != nil, "replicas": s.sources.Replicas != nil, "stream": s.sources.Follow != nil}}
	if c, err := s.gate.who(r); err == nil {
		p.Who, p.May = c.name, c.may(ScopeRead)
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(p); err != nil {
		s.log.Debug("the caller is gone", "error", err)
	}
}
