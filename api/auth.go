package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"
)

// Scopes of a token, in its claim scope (RFC 8693) or scp.
const (
	ScopeScore = "score" // to have transactions decided
	ScopeRead  = "read"  // to read verdicts and figures, and to ask what if
)

// caller is who asks.
type caller struct {
	name   string // of rate limits and the access log
	scopes []string
}

func (c *caller) may(scope string) bool { return slices.Contains(c.scopes, scope) }

// errToken says that there is no token, or none that holds. Why is for the log only.
var errToken = errors.New("no valid token")

// maxToken bounds a token, in bytes.
const maxToken = 16 << 10

// gate knows callers by their tokens.
type gate interface {
	who(r *http.Request) (*caller, error)
}

// open lets everybody in: API_AUTH=off.
type open struct{}

func (open) who(r *http.Request) (*caller, error) {
	host, _, _ := strings.Cut(r.RemoteAddr, ":")
	return &caller{"anonymous@" + host, []string{ScopeScore, ScopeRead}}, nil
}

// tokens checks bearer tokens against the issuer's keys.
type tokens struct {
	verifier *oidc.IDTokenVerifier
}

// algorithms that a token may be signed with: none that a shared secret signs, and not none.
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

// keysEvery is how often the issuer's keys may be asked for: each token with an unknown key would ask.
const keysEvery = 10 * time.Second

// newTokens reads the issuer's configuration. ctx must live as long as the gate: keys are fetched again when they rotate.
func newTokens(ctx context.Context, cfg *Config) (*tokens, error) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &throttled{next: http.DefaultTransport, limit: rate.NewLimiter(rate.Every(keysEvery), 3)}}
	ctx = oidc.ClientContext(ctx, client)
	provider, err := oidc.NewProvider(ctx, cfg.Issuer)
	if err != nil {
		return nil, err
	}
	return &tokens{provider.VerifierContext(ctx, &oidc.Config{ClientID: cfg.Audience, SupportedSigningAlgs: algorithms})}, nil
}

// errThrottled says that the keys were asked for a moment ago.
var errThrottled = errors.New("the issuer's keys were asked for a moment ago")

type throttled struct {
	next  http.RoundTripper
	limit *rate.Limiter
}

// RoundTrip is of http.RoundTripper.
func (t *throttled) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.limit.Allow() {
		return nil, errThrottled
	}
	return t.next.RoundTrip(r)
}

// leeway of clocks.
const leeway = 30 * time.Second

func (t *tokens) who(r *http.Request) (*caller, error) {
	scheme, raw, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || raw == "" || len(raw) > maxToken {
		return nil, errToken
	}
	token, err := t.verifier.Verify(r.Context(), raw)
	if err != nil {
		return nil, errors.Join(errToken, err)
	}
	var claims struct {
		NotBefore int64  `json:"nbf"`
		Scope     string `json:"scope"`
		Scp       any    `json:"scp"`
		Client    string `json:"azp"`
	}
	if err := token.Claims(&claims); err != nil {
		return nil, errors.Join(errToken, err)
	}
	if claims.NotBefore > time.Now().Add(leeway).Unix() {
		return nil, errors.Join(errToken, errors.New("the token is not valid yet"))
	}
	scopes := strings.Fields(claims.Scope)
	switch scp := claims.Scp.(type) {
	case string:
		scopes = append(scopes, strings.Fields(scp)...)
	case []any:
		for _, one := range scp {
			if text, ok := one.(string); ok {
				scopes = append(scopes, text)
			}
		}
	}
	name := token.Subject
	if claims.Client != "" {
		name = claims.Client + "/" + name
	}
	return &caller{name, scopes}, nil
}

// limits are the rates of clients; those that were not seen for long are forgotten.
type limits struct {
	each float64

	mu      sync.Mutex
	clients map[string]*limited
}

type limited struct {
	*rate.Limiter
	seen time.Time
}

const maxClients = 10_000

// allow takes n of what a client may do now.
func (l *limits) allow(name string, n int) bool {
	now := time.Now()
	l.mu.Lock()
	c := l.clients[name]
	if c == nil {
		if len(l.clients) >= maxClients {
			for name, c := range l.clients {
				if now.Sub(c.seen) > time.Minute {
					delete(l.clients, name)
				}
			}
		}
		if len(l.clients) >= maxClients {
			l.mu.Unlock()
			return false
		}
		c = &limited{Limiter: rate.NewLimiter(rate.Limit(l.each), max(1, int(l.each)))}
		l.clients[name] = c
	}
	c.seen = now
	l.mu.Unlock()
	return c.AllowN(now, n)
}
