package api

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/time/rate"
)

// login is the page's: OpenID Connect's authorization code flow with PKCE (RFC 7636), made by this server, so that no script ever holds a token. The access token
// lives in a cookie that scripts cannot read and other sites cannot send; it is checked as any bearer token is, and is good for reading only.
type login struct {
	oauth    oauth2.Config
	identity *oidc.IDTokenVerifier
	tokens   *tokens
	client   *http.Client
	secure   bool
	rate     *rate.Limiter // of exchanges: anybody may come with a code, and each asks the issuer
}

const (
	loginPath    = "/login"
	callbackPath = "/login/callback"
	loginTimeout = 10 * time.Minute
	maxCookie    = 4000 // browsers drop cookies that are larger than 4096 bytes, with their names

	exchangesPerSecond, exchangesAtOnce = 10, 20
)

func newLogin(cfg *Config, t *tokens) *login {
	return &login{
		oauth: oauth2.Config{ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret.Reveal(), Endpoint: t.provider.Endpoint(),
			RedirectURL: strings.TrimSuffix(cfg.PublicURL, "/") + callbackPath, Scopes: strings.Fields(cfg.LoginScopes)},
		identity: t.of(cfg.ClientID),
		tokens:   t, client: &http.Client{Timeout: 10 * time.Second}, secure: strings.HasPrefix(cfg.PublicURL, "https://"),
		rate: rate.NewLimiter(exchangesPerSecond, exchangesAtOnce),
	}
}

// cookie of this server alone: with the prefix __Host- browsers hold it to that.
func (l *login) cookie(name, value string, age time.Duration, same http.SameSite) *http.Cookie {
	c := &http.Cookie{Name: cookieName(name, l.secure), Value: value, Path: "/", HttpOnly: true, Secure: l.secure, SameSite: same, MaxAge: int(age.Seconds())}
	if age <= 0 {
		c.MaxAge = -1
	}
	return c
}

func cookieName(name string, secure bool) string {
	if secure {
		return "__Host-" + name
	}
	return name
}

const (
	tokenCookie = "mlmonitor-token"
	flowCookie  = "mlmonitor-login"
)

// begin sends the browser to the issuer. What the answer must match is kept in a cookie of the browser's.
func (l *login) begin(w http.ResponseWriter, r *http.Request) {
	accessOf(r.Context()).operation = "login"
	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	// Lax: the issuer's redirect comes from another site.
	http.SetCookie(w, l.cookie(flowCookie, state+"."+nonce+"."+verifier, loginTimeout, http.SameSiteLaxMode))
	http.Redirect(w, r, l.oauth.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier), oidc.Nonce(nonce)), http.StatusFound)
}

// finish takes the issuer's answer.
func (s *Server) finish(w http.ResponseWriter, r *http.Request) {
	accessOf(r.Context()).operation = "login-callback"
	l := s.login
	http.SetCookie(w, l.cookie(flowCookie, "", 0, http.SameSiteLaxMode))
	token, age, err := l.exchange(r)
	if err != nil {
		s.log.Warn("a login failed", "error", err, "request_id", r.Context().Value(requestKey))
		http.Redirect(w, r, "/#/login-failed", http.StatusFound)
		return
	}
	http.SetCookie(w, l.cookie(tokenCookie, token, age, http.SameSiteStrictMode))
	http.Redirect(w, r, "/", http.StatusFound)
}

func (l *login) exchange(r *http.Request) (token string, age time.Duration, err error) {
	flow, err := r.Cookie(cookieName(flowCookie, l.secure))
	if err != nil {
		return "", 0, errors.New("no login has begun in this browser")
	}
	parts := strings.SplitN(flow.Value, ".", 3)
	query := r.URL.Query()
	if len(parts) != 3 || subtle.ConstantTimeCompare([]byte(parts[0]), []byte(query.Get("state"))) != 1 {
		return "", 0, errors.New("the answer is to another login")
	}
	if refused := query.Get("error"); refused != "" {
		return "", 0, fmt.Errorf("the issuer refuses: %.100q", refused)
	}
	if !l.rate.Allow() {
		return "", 0, errors.New("too many logins at once")
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(r.Context(), l.client), 10*time.Second)
	defer cancel()
	got, err := l.oauth.Exchange(ctx, query.Get("code"), oauth2.VerifierOption(parts[2]))
	if err != nil {
		return "", 0, fmt.Errorf("exchange the code: %w", err)
	}
	raw, _ := got.Extra("id_token").(string)
	identity, err := l.identity.Verify(ctx, raw)
	if err != nil {
		return "", 0, fmt.Errorf("the identity token: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(identity.Nonce), []byte(parts[1])) != 1 {
		return "", 0, errors.New("the identity token is of another login")
	}
	if _, err := l.tokens.verify(ctx, got.AccessToken); err != nil {
		return "", 0, fmt.Errorf("the access token: %w", err)
	}
	if len(got.AccessToken) > maxCookie {
		return "", 0, fmt.Errorf("the access token has %d bytes, a cookie holds %d: have the issuer leave claims out", len(got.AccessToken), maxCookie)
	}
	age = time.Until(got.Expiry)
	if got.Expiry.IsZero() || age > 24*time.Hour {
		age = 24 * time.Hour // the token itself says when it ends
	}
	return got.AccessToken, age, nil
}

// end forgets the token in this browser. Another site cannot send the cookie, so it cannot end anything either.
func (l *login) end(w http.ResponseWriter, r *http.Request) {
	accessOf(r.Context()).operation = "logout"
	http.SetCookie(w, l.cookie(tokenCookie, "", 0, http.SameSiteStrictMode))
	w.WriteHeader(http.StatusNoContent)
}
