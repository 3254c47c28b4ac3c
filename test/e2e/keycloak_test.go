//go:build keycloak

package e2e

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mlmonitor/mlmonitor/bundles"
	"github.com/mlmonitor/mlmonitor/scorer"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

//go:embed testdata/keycloak-realm.json
var realm string

// TestKeycloakSaysWhoMayDoWhat: services by client credentials, people by the page's login in a real browser.
func TestKeycloakSaysWhoMayDoWhat(t *testing.T) {
	s := newStack(t)
	s.score(t, "score-0", rig.FreePort(t)).becomesReady(t)
	port := rig.FreePort(t)
	origin := fmt.Sprintf("http://127.0.0.1:%d", port)
	issuer := rig.Keycloak(t, realm, origin+"/login/callback")
	server := supervise(t, "api", "api-0", rig.FreePort(t), append(s.env, "API_OIDC_ISSUER="+issuer, "API_OIDC_CLIENT_ID=page", "API_PUBLIC_URL="+origin, "API_DATABASE_URL="+s.db.ReaderURL, fmt.Sprintf("API_PORT=%d", port)))
	server.becomesReady(t)

	b, err := scorer.LoadBundle(bundles.Sample(), scorer.Auto)
	if err != nil {
		t.Fatal(err)
	}
	token := func(client, secret, scope string) string {
		t.Helper()
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {client}, "client_secret": {secret}}
		if scope != "" {
			form.Set("scope", scope)
		}
		resp, err := http.PostForm(issuer+"/protocol/openid-connect/token", form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var got struct {
			Token  string `json:"access_token"`
			Reason string `json:"error_description"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got.Token == "" {
			t.Fatalf("%s: status %d %s, %v", client, resp.StatusCode, got.Reason, err)
		}
		return got.Token
	}
	ask := func(method, path, token string) int {
		t.Helper()
		req, err := http.NewRequest(method, origin+path, strings.NewReader(string(b.Examples[0].Event)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if text, err := io.ReadAll(resp.Body); err != nil {
			t.Fatal(err)
		} else if resp.StatusCode >= 500 {
			t.Errorf("%s %s: %s", method, path, text)
		}
		return resp.StatusCode
	}
	checkout := token("checkout", "of-the-checkout", "score")
	for _, c := range []struct {
		what, method, path, token string
		want                      int
	}{
		{"the checkout scores", "POST", "/predict", checkout, 200},
		{"the checkout reads", "GET", "/model/info", checkout, 403},
		{"the checkout without the scope", "POST", "/predict", token("checkout", "of-the-checkout", ""), 403},
		{"a token for another audience", "POST", "/predict", token("elsewhere", "of-elsewhere", "score"), 401},
		{"a token whose signature is changed", "POST", "/predict", checkout[:len(checkout)-6] + "AAAAAA", 401},
	} {
		if got := ask(c.method, c.path, c.token); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}

	web := newBrowser(t)
	web.look(1280, 900, "light")
	web.visit(origin+"/", "Overview")
	web.until("that a login is needed", `document.body.innerText.includes("Log in to see")`)
	web.picture("login")
	web.run(`document.querySelector("main a[href='/login']").click()`)
	web.until("Keycloak's form", `document.querySelector("#username") !== null && document.querySelector("#password") !== null`)
	web.run(`document.querySelector("#username").value = "ana"; document.querySelector("#password").value = "of-ana"; document.querySelector("#kc-form-login").requestSubmit()`)
	web.until("the page, logged in", `location.pathname === "/" && document.querySelector("#who")?.textContent.includes("Log out") && document.querySelector(".cards .value") !== null`)
	if cookies := read[string](web, "document.cookie"); cookies != "" {
		t.Errorf("scripts see the cookies %q", cookies)
	}
	if code := read[int](web, `fetch("/predict", {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"}).then(r => r.status)`); code != 403 {
		t.Errorf("the page has a transaction decided: %d", code)
	}
	web.forgive("/predict")
	web.run(`[...document.querySelectorAll("#who button")].find(n => n.textContent === "Log out").click()`)
	web.until("that a login is needed again", `document.body.innerText.includes("Log in to see")`)
	web.forgive("/stream")
	web.clean(origin, strings.TrimSuffix(issuer, "/realms/shop"))
}
