package registry

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// exchange is one recorded with a real MLflow 3.17.
type exchange struct {
	Name    string
	Request struct {
		Method, Path string
	}
	Response struct {
		Status  int
		Headers map[string]string
		JSON    json.RawMessage
		Text    *string
		Base64  *string
	}
}

// recorded answers requests as the real server did, by method and path.
func recorded(t *testing.T) (*httptest.Server, map[string]exchange) {
	t.Helper()
	files, err := filepath.Glob("testdata/exchanges/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no exchanges", err)
	}
	byName, byRequest := map[string]exchange{}, map[string]exchange{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var e exchange
		if err := json.Unmarshal(data, &e); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		byName[e.Name] = e
		u, err := url.Parse(e.Request.Path)
		if err != nil {
			t.Fatal(err)
		}
		request := e.Request.Method + " " + u.Path + "?" + u.Query().Encode() // whatever the order
		if _, there := byRequest[request]; !there {                           // later ones are of other servers
			byRequest[request] = e
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e, ok := byRequest[r.Method+" "+r.URL.Path+"?"+r.URL.Query().Encode()]
		if !ok {
			http.Error(w, "not recorded: "+r.Method+" "+r.URL.RequestURI(), http.StatusNotImplemented)
			return
		}
		play(w, e)
	}))
	t.Cleanup(server.Close)
	return server, byName
}

func play(w http.ResponseWriter, e exchange) {
	for k, v := range e.Response.Headers {
		if !strings.EqualFold(k, "content-length") {
			w.Header().Set(k, v)
		}
	}
	w.WriteHeader(e.Response.Status)
	switch {
	case e.Response.Text != nil:
		io.WriteString(w, *e.Response.Text)
	case e.Response.Base64 != nil:
		data, err := base64.StdEncoding.DecodeString(*e.Response.Base64)
		if err == nil {
			w.Write(data)
		}
	default:
		w.Write(e.Response.JSON)
	}
}

func clientOf(t *testing.T, url string, change func(*Config)) *MLflow {
	t.Helper()
	cfg := Config{TrackingURI: url, Model: "fraud-detector", Alias: "champion", Challenger: "challenger", CacheDir: t.TempDir(), Poll: 1e9}
	if change != nil {
		change(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	m, err := NewMLflow(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func TestRecordedAnswersAreRead(t *testing.T) {
	server, _ := recorded(t)
	m := clientOf(t, server.URL, nil)
	v, err := m.ByAlias(t.Context(), "champion")
	if err != nil || v.Version != "1" || v.Tag("approved_by") != "risk" || v.Status != "READY" {
		t.Errorf("champion is %+v, %v", v, err)
	}
	path, err := m.Artifacts(t.Context(), "1")
	if err != nil || path != "1/models/m-38a2d69988a046ff94cedee66336529c/artifacts" {
		t.Errorf("artifacts at %q, %v", path, err)
	}
	sizes, err := m.Sizes(t.Context(), path)
	if err != nil || sizes["model.lgb"] != 11889 || sizes["MLmodel"] != 1521 {
		t.Errorf("sizes %v, %v", sizes, err)
	}
}

// What MLflow says no to, and how: each is told apart, and says what to do.
func TestRecordedRefusalsSayWhatIsWrong(t *testing.T) {
	_, byName := recorded(t)
	tried := 0
	for name, want := range map[string]string{
		"alias-missing": "INVALID_PARAMETER_VALUE", "alias-missing-model": "RESOURCE_DOES_NOT_EXIST", "version-missing": "RESOURCE_DOES_NOT_EXIST", "registered-model-missing": "RESOURCE_DOES_NOT_EXIST",
		"auth-none": "MLFLOW_TRACKING_USERNAME", "auth-wrong": "MLFLOW_TRACKING_PASSWORD", "auth-bearer-not-understood": "MLFLOW_TRACKING_TOKEN", "auth-no-permission": "READ on the registered model",
		"host-refused": "host name", "unknown-endpoint": "is MLFLOW_TRACKING_URI an MLflow server?", "artifact-missing": "", "artifact-traversal": "", "auth-artifact-without-experiment-permission": "experiment",
	} {
		e, ok := byName[name]
		if !ok {
			t.Errorf("no exchange %s", name)
			continue
		}
		tried++
		requests := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { requests++; play(w, e) }))
		_, err := clientOf(t, server.URL, nil).ByAlias(t.Context(), "champion")
		server.Close()
		var refused *APIError
		if !errors.As(err, &refused) || refused.Status != e.Response.Status || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want status %d and %q", name, err, e.Response.Status, want)
		}
		if isAlias := strings.HasPrefix(name, "alias"); isAlias && errors.Is(err, ErrNoAlias) != (name == "alias-missing") {
			t.Errorf("%s: taken for a missing alias: %v", name, errors.Is(err, ErrNoAlias))
		}
		if e.Response.Status < 500 && requests != 1 {
			t.Errorf("%s: asked %d times", name, requests)
		}
	}
	if tried != 13 {
		t.Errorf("%d refusals tried", tried)
	}
}

func TestAFailingServerIsAskedAgainAndABusyOneToo(t *testing.T) {
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests++; requests < 3 {
			http.Error(w, "wait", []int{http.StatusServiceUnavailable, http.StatusTooManyRequests}[requests-1])
			return
		}
		io.WriteString(w, `{"model_version":{"version":"7"}}`)
	}))
	defer server.Close()
	v, err := clientOf(t, server.URL, nil).ByAlias(t.Context(), "champion")
	if err != nil || v.Version != "7" || requests != 3 {
		t.Errorf("version %q after %d requests: %v", v.Version, requests, err)
	}
}

func TestCredentialsGoNowhereElse(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed, with %q", r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer s3cret" {
			t.Errorf("authorization %q", r.Header.Get("Authorization"))
		}
		http.Redirect(w, r, elsewhere.URL, http.StatusFound)
	}))
	defer server.Close()
	_, err := clientOf(t, server.URL, func(c *Config) { c.Token = "s3cret" }).ByAlias(t.Context(), "champion")
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("after a redirect: %v", err)
	}
}

func TestAWrongConfigurationNamesItsVariable(t *testing.T) {
	good := Config{TrackingURI: "https://mlflow:5000", Model: "m", Alias: "champion", CacheDir: "x", Poll: 1e9}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for variable, change := range map[string]func(*Config){
		"MLFLOW_TRACKING_URI": func(c *Config) { c.TrackingURI = "file:///x" }, "MLFLOW_TRACKING_URI is http:// and would": func(c *Config) { c.TrackingURI, c.Token = "http://mlflow:5000", "t" },
		"MLFLOW_TRACKING_USERNAME": func(c *Config) { c.Username = "u" }, "MLFLOW_TRACKING_TOKEN": func(c *Config) { c.Username, c.Password, c.Token = "u", "p", "t" },
		"MODEL_POLL_INTERVAL": func(c *Config) { c.Poll = 0 }, "MLFLOW_MODEL": func(c *Config) { c.Model = "" }, "MODEL_CACHE_DIR": func(c *Config) { c.CacheDir = "" },
		"MLFLOW_TRACKING_SERVER_CERT_PATH": func(c *Config) { c.CAFile = "absent.pem" }, "without a user": func(c *Config) { c.TrackingURI = "https://u:hunter2@mlflow" },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), variable) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", variable, err)
		}
	}
}
