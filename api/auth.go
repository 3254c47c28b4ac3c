package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"
)

// Scopes of a token, in its claim scope (RFC 8693) or scp.
const (
	ScopeScore = "score" // to have transactions decided
	ScopeRead  = "read"  // to read verdicts and figures, and to ask what if
	ScopeAdmin = "admin" // all of it
)

// caller is who asks.
type caller struct {
	name   string // of rate limits and the access log
	scopes []string
	page   bool // its token came in a cookie: it may only read
}

func (c *caller) may(scope string) bool {
	if c.page && scope != ScopeRead {
		return false
	}
	return slices.Contains(c.scopes, scope) || slices.Contains(c.scopes, ScopeAdmin)
}

// errToken says that there is no token, or none that holds. Why is for the log only.
var errToken = errors.New("no valid token")

// maxToken bounds a token, in bytes.
const maxToken = 16 << 10

// gate knows callers by their tokens.
type gate interface {
	who(r *http.Request) (*caller, error)
}

// open lets everybody in: API_AUTH=off.
type open struct{ proxies proxies }

func (o open) who(r *http.Request) (*caller, error) {
	return &caller{name: "anonymous@" + o.proxies.client(r), scopes: []string{ScopeAdmin}}, nil
}

// certificates knows callers by theirs, which the handshake has verified: API_AUTH=mtls.
type certificates struct{ scopes Callers }

func (c certificates) who(r *http.Request) (*caller, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil, errToken
	}
	leaf := r.TLS.PeerCertificates[0]
	var names []string
	for _, u := range leaf.URIs {
		names = append(names, u.String())
	}
	names = append(append(names, leaf.DNSNames...), leaf.Subject.CommonName)
	for _, name := range names {
		if scopes, ok := c.scopes[name]; ok {
			return &caller{name: name, scopes: scopes}, nil
		}
	}
	return &caller{name: names[0]}, nil // who is known by nobody may do nothing
}

// tokens checks bearer tokens against the issuer's keys.
type tokens struct {
	provider *oidc.Provider
	issuer   string
	keys     oidc.KeySet // one for all, so that they are asked for once
	verifier *oidc.IDTokenVerifier
	cookie   string // that may hold one; empty: none
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
	var told struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&told); err != nil {
		return nil, err
	}
	t := &tokens{provider: provider, issuer: cfg.Issuer, keys: oidc.NewRemoteKeySet(ctx, told.Keys)}
	t.verifier = t.of(cfg.Audience)
	return t, nil
}

// of checks tokens for an audience.
func (t *tokens) of(audience string) *oidc.IDTokenVerifier {
	return oidc.NewVerifier(t.issuer, t.keys, &oidc.Config{ClientID: audience, SupportedSigningAlgs: algorithms})
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
	if header := r.Header.Get("Authorization"); header != "" || t.cookie == "" {
		scheme, raw, ok := strings.Cut(header, " ")
		if !ok || !strings.EqualFold(scheme, "Bearer") {
			return nil, errToken
		}
		return t.verify(r.Context(), raw)
	}
	cookie, err := r.Cookie(t.cookie)
	if err != nil {
		return nil, errToken
	}
	// Browsers do not send the cookie (SameSite=Strict) for another site, and say where a request comes from.
	if from := r.Header.Get("Sec-Fetch-Site"); from != "" && from != "same-origin" && from != "none" {
		return nil, errors.Join(errToken, errors.New("the cookie comes with a request of another site"))
	}
	c, err := t.verify(r.Context(), cookie.Value)
	if err != nil {
		return nil, err
	}
	c.page = true
	return c, nil
}

// verify reads a token's caller.
func (t *tokens) verify(ctx context.Context, raw string) (*caller, error) {
	if raw == "" || len(raw) > maxToken {
		return nil, errToken
	}
	token, err := t.verifier.Verify(ctx, raw)
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
	return &caller{name: name, scopes: scopes}, nil
}
