package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/prometheus/client_golang/prometheus"
)

// provider is an issuer with the endpoints of the code flow. It checks what an issuer must: the redirect address, the code, once, and PKCE.
type provider struct {
	*issuer
	t        *testing.T
	redirect string
	// What it answers otherwise, by test.
	nonce, audience, scope, error string
	expired                       bool
	padding                       int
	exchanges                     atomic.Int64

	mu    sync.Mutex
	codes map[string]url.Values
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{t: t, issuer: &issuer{}, audience: "mlmonitor", scope: "openid read", codes: map[string]url.Values{}}
	p.rotate(t, "first")
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/auth":
			p.authorize(w, r)
		case "/token":
			p.exchange(w, r)
		default:
			p.issuer.server.ServeHTTP(w, r)
		}
	}))
	p.issuer.server.SetIssuer(p.URL)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("response_type") != "code" || q.Get("client_id") != "page" || q.Get("redirect_uri") != p.redirect || q.Get("code_challenge_method") != "S256" || q.Get("state") == "" || q.Get("nonce") == "" || q.Get("scope") != "openid read" {
		p.t.Errorf("the browser is sent with %v", q)
	}
	answer := url.Values{"state": {q.Get("state")}}
	if p.error != "" {
		answer.Set("error", p.error)
	} else {
		p.mu.Lock()
		p.codes["code-1"] = q
		p.mu.Unlock()
		answer.Set("code", "code-1")
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+answer.Encode(), http.StatusFound)
}

func (p *provider) exchange(w http.ResponseWriter, r *http.Request) {
	p.exchanges.Add(1)
	p.mu.Lock()
	q, ok := p.codes[r.FormValue("code")]
	delete(p.codes, r.FormValue("code"))
	p.mu.Unlock()
	challenge := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !ok || base64.RawURLEncoding.EncodeToString(challenge[:]) != q.Get("code_challenge") {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	nonce := q.Get("nonce")
	if p.nonce != "" {
		nonce = p.nonce
	}
	change := map[string]any{"aud": p.audience, "sub": "ana", "padding": strings.Repeat("x", p.padding)}
	if p.expired {
		change["exp"] = time.Now().Add(-time.Hour).Unix()
	}
	identity, err := json.Marshal(map[string]any{"iss": p.URL, "aud": "page", "sub": "ana", "nonce": nonce, "exp": time.Now().Add(time.Minute).Unix()})
	if err != nil {
		p.t.Error(err)
	}
	w.Header().Set("Content-Type", "application/json")
	err = json.NewEncoder(w).Encode(map[string]any{"access_token": p.token("first", p.scope, change), "token_type": "Bearer", "expires_in": 300, "id_token": oidctest.SignIDToken(p.key, "first", "RS256", string(identity))})
	if err != nil {
		p.t.Error(err)
	}
}

// site is a server with a login, whose address the issuer knows.
func site(t *testing.T, p *provider) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	address := "http://" + server.Listener.Addr().String()
	p.redirect = address + callbackPath
	s, err := New(t.Context(), Config{Auth: "oidc", Issuer: p.URL, Audience: "mlmonitor", ClientID: "page", PublicURL: address, LoginScopes: "openid read", Timeout: time.Second, Rate: 1e7, ClientRate: 1e6, Remember: 10},
		&oracle{}, func() InForce { return InForce{Champion: loaded()} }, Sources{}, slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = s.Handler()
	server.Start()
	t.Cleanup(server.Close)
	return server
}

func aBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

func status1(t *testing.T, client *http.Client, method, url string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Request.URL.String() + " " + string(data)
}

func TestALoginReadsAndDoesNothingElse(t *testing.T) {
	p := newProvider(t)
	server := site(t, p)
	browser := aBrowser(t)
	if code, _ := status1(t, browser, "GET", server.URL+"/model/info"); code != 401 {
		t.Errorf("before the login: %d", code)
	}
	// Others' bad tokens, for which the issuer is asked for its keys until it may not be asked any more, keep nobody from logging in.
	for _, key := range []string{"first", "a", "b", "c", "d"} {
		status1(t, browser, "GET", server.URL+"/model/info", "Authorization", "Bearer "+p.token(key, "read", nil))
	}
	if code, text := status1(t, browser, "GET", server.URL+"/login"); code != 200 || !strings.HasPrefix(text, server.URL+"/ ") {
		t.Fatalf("the login ends at %d %.100s", code, text)
	}
	for _, c := range browser.Jar.Cookies(must(url.Parse(server.URL))) {
		if c.Name != tokenCookie {
			t.Errorf("a cookie is left: %v", c)
		}
	}
	if code, text := status1(t, browser, "GET", server.URL+"/page"); code != 200 || !strings.Contains(text, `"who":"ana"`) || !strings.Contains(text, `"may":true`) {
		t.Errorf("%d %s", code, text)
	}
	if code, text := status1(t, browser, "GET", server.URL+"/model/info", "Sec-Fetch-Site", "same-origin"); code != 200 {
		t.Errorf("after the login: %d %s", code, text)
	}
	if code, _ := status1(t, browser, "GET", server.URL+"/model/info", "Sec-Fetch-Site", "cross-site"); code != 401 {
		t.Errorf("a request of another site: %d", code)
	}
	if code, _ := status1(t, browser, "GET", server.URL+"/model/info", "Authorization", "Bearer nonsense"); code != 401 {
		t.Errorf("a bad token beside a good cookie: %d", code)
	}
	// A page of the same token's that could have transactions decided would let any script of the page do so.
	p.scope = "openid read score admin"
	status1(t, browser, "GET", server.URL+"/login")
	if code, text := status1(t, browser, "POST", server.URL+"/predict"); code != 403 {
		t.Errorf("a cookie has a transaction decided: %d %s", code, text)
	}
	if code, _ := status1(t, browser, "POST", server.URL+"/logout"); code != 204 {
		t.Errorf("the logout: %d", code)
	}
	if code, _ := status1(t, browser, "GET", server.URL+"/model/info"); code != 401 {
		t.Errorf("after the logout: %d", code)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func TestTheCookiesAreForThisServerAlone(t *testing.T) {
	p := newProvider(t)
	server := site(t, p)
	still := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := still.Get(server.URL + "/login")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for _, c := range resp.Cookies() {
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 600 {
			t.Errorf("%+v", c)
		}
	}
	l := &login{secure: true}
	if c := l.cookie(tokenCookie, "x", time.Minute, http.SameSiteStrictMode); c.Name != "__Host-mlmonitor-token" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" {
		t.Errorf("%+v", c)
	}
}

func TestALoginThatIsNotSoundLetsNobodyIn(t *testing.T) {
	for what, spoil := range map[string]func(*provider){
		"the nonce of another login":   func(p *provider) { p.nonce = "other" },
		"a token for somebody else":    func(p *provider) { p.audience = "elsewhere" },
		"an expired token":             func(p *provider) { p.expired = true },
		"a refusal":                    func(p *provider) { p.error = "access_denied" },
		"a token beyond a cookie":      func(p *provider) { p.padding = 4000 },
		"a token signed by a stranger": func(p *provider) { p.key = newIssuer(p.t).key },
	} {
		p := newProvider(t)
		server := site(t, p)
		spoil(p)
		browser := aBrowser(t)
		if code, text := status1(t, browser, "GET", server.URL+"/login"); code != 200 || !strings.Contains(text, "/#/login-failed") {
			t.Errorf("%s ends at %d %.100s", what, code, text)
		}
		if code, _ := status1(t, browser, "GET", server.URL+"/model/info"); code != 401 {
			t.Errorf("%s: %d", what, code)
		}
	}
	// An answer that this browser did not ask for: with a good code, and another login's state, or none.
	p := newProvider(t)
	server := site(t, p)
	for _, state := range []string{"guess", "", "right"} {
		browser := aBrowser(t)
		still := &http.Client{Jar: browser.Jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		answer := must(url.Parse(location(t, still, location(t, still, server.URL+"/login"))))
		query := answer.Query()
		if state != "right" {
			query.Set("state", state)
		}
		answer.RawQuery = query.Encode()
		_, text := status1(t, browser, "GET", answer.String())
		if failed := strings.Contains(text, "/#/login-failed"); failed != (state != "right") {
			t.Errorf("with the state %q: %.100s", state, text)
		}
		if _, text := status1(t, browser, "GET", answer.String()); !strings.Contains(text, "/#/login-failed") {
			t.Errorf("the same answer once more: %.100s", text)
		}
	}
	if _, text := status1(t, aBrowser(t), "GET", server.URL+callbackPath+"?code=x&state=y"); !strings.Contains(text, "/#/login-failed") {
		t.Errorf("without a login: %.100s", text)
	}
}

// location is where an address sends to.
func location(t *testing.T, client *http.Client, address string) string {
	t.Helper()
	resp, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.Header.Get("Location")
}

// TestTheIssuerIsNotFloodedWithCodes: anybody may come with a code and a state of his own making.
func TestTheIssuerIsNotFloodedWithCodes(t *testing.T) {
	p := newProvider(t)
	server := site(t, p)
	begin := time.Now()
	for range 100 {
		_, text := status1(t, http.DefaultClient, "GET", server.URL+callbackPath+"?code=guess&state=mine", "Cookie", flowCookie+"=mine.nonce.verifier")
		if !strings.Contains(text, "/#/login-failed") {
			t.Fatalf("%.100s", text)
		}
	}
	// An exchange asks twice: where the first says no, with the client's secret in the other place.
	most := 2 * (exchangesAtOnce + 1 + int64(exchangesPerSecond*time.Since(begin).Seconds()))
	if n := p.exchanges.Load(); n < 1 || n > most {
		t.Errorf("the issuer was asked %d times, not %d at most", n, most)
	}
}
