package registry

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// as makes a client of a secure server, whose password is read again for each request, as app.Load has it.
func as(t *testing.T, server *rig.Registry, user string) *MLflow {
	t.Helper()
	file := server.PasswordFile(user)
	now := func() (kafka.Secret, error) {
		data, err := os.ReadFile(file)
		return kafka.Secret(data), err
	}
	password, err := now()
	if err != nil {
		t.Fatal(err)
	}
	return clientOf(t, server.URL, func(c *Config) {
		c.CAFile, c.Username, c.Password, c.PasswordNow = server.CAFile(), user, password, now
	})
}

// TestMLflowWithUsersAndTLSKeepsTheContract: what docker-compose.yml starts is used by each as it may, and by nobody else.
func TestMLflowWithUsersAndTLSKeepsTheContract(t *testing.T) {
	server := rig.SecureMLflow(t)
	ctx := t.Context()
	admin, trainer, scorer := as(t, server, "admin"), as(t, server, "trainer"), as(t, server, "scorer")
	contract(t, trainer)
	if _, err := admin.Promote(ctx, "2", "root", "admin may", true, prove); err != nil {
		t.Errorf("admin does not promote: %v", err)
	}

	v, err := scorer.ByAlias(ctx, "champion")
	if err != nil || v.Version != "2" {
		t.Fatalf("the scorer sees champion %q, %v", v.Version, err)
	}
	if _, _, err := scorer.Fetch(ctx, v.Version, prove); err != nil {
		t.Errorf("the scorer does not fetch: %v", err)
	}
	if all, err := scorer.Versions(ctx); err != nil || len(all) != 3 {
		t.Errorf("the scorer lists %d versions, %v", len(all), err)
	}
	checks := map[string]kafka.State{}
	for _, f := range Examine(ctx, scorer.cfg, prove) {
		checks[f.Check] = f.State
	}
	for _, check := range []string{"mlflow", "certificate of MLflow", "alias champion"} {
		if checks[check] != kafka.OK {
			t.Errorf("the scorer's examination of %s: %v", check, checks)
		}
	}
	refused := func(what, says string, status int, err error) {
		t.Helper()
		var e *APIError
		if err == nil || !strings.Contains(err.Error(), says) || status != 0 && !(errors.As(err, &e) && e.Status == status) {
			t.Errorf("%s: %v, want status %d and %q", what, err, status, says)
		}
	}
	_, err = scorer.Promote(ctx, "1", "eve", "I would like to", true, prove)
	refused("a scorer promotes", "may need EDIT on the registered model", http.StatusForbidden, err)
	refused("a scorer moves an alias", "may need EDIT on the registered model", http.StatusForbidden, scorer.SetAlias(ctx, "champion", "1"))
	_, err = scorer.Push(ctx, bundleOf(t, "eve"), prove)
	refused("a scorer pushes", "may need EDIT on the registered model", http.StatusForbidden, err)
	artifacts, err := admin.Artifacts(ctx, "2")
	if err != nil {
		t.Fatal(err)
	}
	refused("a scorer overwrites a bundle", "403", http.StatusForbidden, scorer.upload(ctx, artifacts+"/policy.yaml", []byte("x")))
	if now, err := admin.ByAlias(ctx, "champion"); err != nil || now.Version != "2" || now.Tag(tagBy) != "root" {
		t.Errorf("after what was refused the champion is %+v, %v", now, err)
	}
	if all, err := admin.Versions(ctx); err != nil || len(all) != 3 {
		t.Errorf("after what was refused there are %d versions, %v", len(all), err)
	}

	// A user of whom nothing was said sees nothing.
	if err := admin.post(ctx, "/api/2.0/mlflow/users/create", map[string]string{"username": "guest", "password": "a guest's password"}, nil); err != nil {
		t.Fatal(err)
	}
	with := func(change func(*Config)) *MLflow {
		return clientOf(t, server.URL, func(c *Config) {
			c.CAFile, c.Username, c.Password = server.CAFile(), "guest", "a guest's password"
			change(c)
		})
	}
	_, err = with(func(*Config) {}).ByAlias(ctx, "champion")
	refused("a guest asks", "may need READ on the registered model", http.StatusForbidden, err)
	_, err = with(func(*Config) {}).Push(ctx, bundleOf(t, "guest"), prove)
	refused("a guest pushes", "may need READ on the registered model", http.StatusForbidden, err)
	_, err = with(func(c *Config) { c.Password = "another password" }).ByAlias(ctx, "champion")
	refused("a wrong password", "check MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD", http.StatusUnauthorized, err)
	_, err = with(func(c *Config) { c.Username, c.Password = "", "" }).ByAlias(ctx, "champion")
	refused("nobody asks", "check MLFLOW_TRACKING_USERNAME", http.StatusUnauthorized, err)
	_, err = with(func(c *Config) { c.CAFile = "" }).ByAlias(ctx, "champion")
	refused("the system's authorities", "set MLFLOW_TRACKING_SERVER_CERT_PATH to the file of its authority", 0, err)
	clear := Config{TrackingURI: "http://mlflow:5000", Username: "guest", Password: "x", Model: "m", Alias: "a", CacheDir: "c", Poll: time.Second}
	refused("in clear", "would send the credentials in clear: use https://", 0, clear.Validate())
}

// TestAnotherPasswordOfMLflowStopsNobody: the shipped script gives the scorer's user another one while a watcher asks ten times a second. No look fails, and the old one is good for nothing.
func TestAnotherPasswordOfMLflowStopsNobody(t *testing.T) {
	server := rig.SecureMLflow(t)
	ctx := t.Context()
	trainer, scorer := as(t, server, "trainer"), as(t, server, "scorer")
	for i, version := range []string{"1", "2"} {
		if _, err := trainer.Push(ctx, bundleOf(t, []string{"a", "b"}[i]), prove); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if _, err := trainer.Promote(ctx, version, "ann", "the first", true, prove); err != nil {
				t.Fatal(err)
			}
		}
	}
	w := follow(t, scorer)
	if _, _, err := w.First(ctx); err != nil {
		t.Fatal(err)
	}
	w.run(t)
	for _, by := range []string{"scorer", "admin"} {
		before, err := scorer.cfg.PasswordNow()
		if err != nil {
			t.Fatal(err)
		}
		old := clientOf(t, server.URL, func(c *Config) { c.CAFile, c.Username, c.Password = server.CAFile(), "scorer", before })
		if _, err := old.ByAlias(ctx, "champion"); err != nil {
			t.Fatal(err)
		}
		rotate(ctx, t, server, "scorer", by)
		var refused *APIError
		if _, err := old.ByAlias(ctx, "champion"); !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized { // though it was right a moment ago
			t.Errorf("the old password: %v", err)
		}
		if after, err := scorer.cfg.PasswordNow(); err != nil || after == before || len(after) != 48 {
			t.Errorf("the file has the same password after %s changed it, or none: %v", by, err)
		}
		w.nothing(t, 4)
	}
	if _, err := trainer.Promote(ctx, "2", "ann", "better", true, prove); err != nil {
		t.Fatal(err)
	}
	w.next(t, "b: alias champion")
	if n := testutil.ToFloat64(w.metrics.failures); n != 0 {
		t.Errorf("%v looks failed", n)
	}
	if left, err := filepath.Glob(filepath.Join(server.Secrets(), "*.new")); err != nil || len(left) > 0 {
		t.Errorf("the script left %v, %v", left, err)
	}
	// The server, started again with the files as they are now, has the same users.
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	rotated, err := scorer.cfg.PasswordNow()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if again, err := scorer.cfg.PasswordNow(); err != nil || again != rotated {
		t.Errorf("a start changed the password: %v", err)
	}
	if v, err := scorer.ByAlias(ctx, "champion"); err != nil || v.Version != "2" {
		t.Errorf("after a start: %q, %v", v.Version, err)
	}
}

// rotate has the shipped script change a password, as the user itself or as another.
func rotate(ctx context.Context, t *testing.T, server *rig.Registry, user, by string) {
	t.Helper()
	cmd := exec.CommandContext(ctx, "../deploy/rotate/mlflow.sh", user, server.Secrets())
	cmd.Env = append(os.Environ(), "AS="+by, "MLFLOW_TRACKING_URI="+server.URL, "MLFLOW_TRACKING_SERVER_CERT_PATH="+server.CAFile())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mlflow.sh: %v\n%s", err, out)
	}
}

// TestAPasswordOfAFileIsReadAgain for each request, and once more where MLflow had the new one a moment before the file; one of a variable is not sent again.
func TestAPasswordOfAFileIsReadAgain(t *testing.T) {
	f := newFake(t)
	f.exists, f.aliases["champion"], f.versions = true, "1", []ModelVersion{{Version: "1"}}
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if user, password, _ := r.BasicAuth(); user != "scorer" || password != "new" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		f.serve(w, r)
	}))
	defer server.Close()
	file := []kafka.Secret{"old", "new"}
	m := clientOf(t, server.URL, func(c *Config) {
		c.Username, c.Password = "scorer", "old"
		c.PasswordNow = func() (kafka.Secret, error) {
			now := file[0]
			if len(file) > 1 {
				file = file[1:]
			}
			return now, nil
		}
	})
	if v, err := m.ByAlias(t.Context(), "champion"); err != nil || v.Version != "1" || asked != 2 {
		t.Errorf("%q after %d requests, %v", v.Version, asked, err)
	}
	asked = 0
	var refused *APIError
	if _, err := clientOf(t, server.URL, func(c *Config) { c.Username, c.Password = "scorer", "old" }).ByAlias(t.Context(), "champion"); !errors.As(err, &refused) || asked != 1 {
		t.Errorf("a password of a variable: %v after %d requests", err, asked)
	}
	unreadable := clientOf(t, server.URL, func(c *Config) {
		c.Username, c.Password = "scorer", "new"
		c.PasswordNow = func() (kafka.Secret, error) { return "", errors.New("MLFLOW_TRACKING_PASSWORD_FILE is gone") }
	})
	asked = 0
	if _, err := unreadable.ByAlias(t.Context(), "champion"); err == nil || !strings.Contains(err.Error(), "is gone") || asked != 0 {
		t.Errorf("without the file: %v after %d requests", err, asked)
	}
}
