package registry

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/scorer"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

func TestAnExaminationOfMLflow(t *testing.T) {
	f, m := pushed(t, "1", "2")
	m.SetAlias(t.Context(), "champion", "1")
	cfg := m.cfg
	cfg.Challenger = "challenger"
	kept := cfg.CacheDir
	expect := func(check string, state kafka.State, says string) {
		t.Helper()
		seen := false
		for _, f := range Examine(t.Context(), cfg, prove) {
			if f.Check == check {
				seen = true
				if f.State != state || !strings.Contains(f.Found, says) || (f.State == kafka.OK) != (f.Mend == "") {
					t.Errorf("%+v, want %s with %q", f, state, says)
				}
			}
		}
		if !seen {
			t.Errorf("no finding about %s", check)
		}
	}
	expect("mlflow", kafka.OK, cfg.TrackingURI)
	expect("alias champion", kafka.OK, "examples hold")
	expect("alias champion profile", kafka.OK, "features")
	expect("alias challenger", kafka.OK, "there is none")
	expect("bundle cache", kafka.Warn, "no last good bundle")
	if left, _ := filepath.Glob(filepath.Join(kept, "*")); len(left) > 0 {
		t.Errorf("the examination left %v", left)
	}

	_, dir, err := m.Fetch(t.Context(), "1", prove)
	if err == nil {
		err = remember(kept, dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	expect("bundle cache", kafka.OK, "last good bundle")
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	expect("bundle cache", kafka.Warn, "does not hold")

	m.SetAlias(t.Context(), "challenger", "2")
	expect("alias challenger", kafka.OK, "version 2")
	f.set(func(f *fake) {
		f.tamper = func(name string, data []byte) []byte {
			if strings.HasSuffix(name, "policy.yaml") {
				return append([]byte(nil), strings.Repeat(" ", len(data))...)
			}
			return data
		}
	})
	expect("alias champion", kafka.Fail, "policy.yaml")
	expect("alias challenger", kafka.Warn, "policy.yaml")
	f.set(func(f *fake) { f.tamper = nil; delete(f.aliases, "champion") })
	expect("alias champion", kafka.Fail, "no version")
	f.set(func(f *fake) { f.down = true })
	expect("mlflow", kafka.Fail, "503")
	cfg.CAFile = "gone.pem"
	if found := Examine(t.Context(), cfg, prove); len(found) != 1 || found[0].State != kafka.Fail || !strings.Contains(found[0].Found, "gone.pem") {
		t.Errorf("%+v", found)
	}
}

func TestRefusedCredentialsAreNamedAndNotShown(t *testing.T) {
	_, byName := recorded(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { play(w, byName["auth-wrong"]) }))
	defer server.Close()
	m := clientOf(t, server.URL, func(c *Config) { c.Username, c.Password = "scorer", "hunter2" })
	found := Examine(t.Context(), m.cfg, prove)
	if found[0].Check != "mlflow" || found[0].State != kafka.Fail || !strings.Contains(found[0].Found, "MLFLOW_TRACKING_PASSWORD") || strings.Contains(fmt.Sprint(found), "hunter2") {
		t.Errorf("%+v", found)
	}
}

func TestAnExaminationOfADirectory(t *testing.T) {
	found := ExamineDirectory(sampleDir, prove)
	if len(found) != 2 || found[0].State != kafka.OK || found[1].State != kafka.OK {
		t.Errorf("the sample: %+v", found)
	}
	without := func(dir string) (*scorer.Bundle, error) {
		b, err := prove(dir)
		b.Profile = nil
		return b, err
	}
	if found := ExamineDirectory(sampleDir, without); found[1].State != kafka.Warn || !strings.Contains(found[1].Mend, "model profile") {
		t.Errorf("without a profile: %+v", found)
	}
	broken := func(string) (*scorer.Bundle, error) { return nil, errors.New("example 3: margin") }
	if found := ExamineDirectory(sampleDir, broken); len(found) != 1 || found[0].State != kafka.Fail || found[0].Mend == "" {
		t.Errorf("one that does not hold: %+v", found)
	}
}

// TestTheCertificateOfMLflowIsWarnedOf in time: one of an hour is warned of, and in clear there is none.
func TestTheCertificateOfMLflowIsWarnedOf(t *testing.T) {
	f, m := pushed(t, "1")
	certificate, caFile := rig.Certificate(t, t.TempDir(), false)
	server := httptest.NewUnstartedServer(f.Config.Handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	defer server.Close()
	cfg := m.cfg
	about := func() (found []kafka.Finding) {
		for _, f := range Examine(t.Context(), cfg, prove) {
			if strings.HasPrefix(f.Check, "certificate") {
				found = append(found, f)
			}
		}
		return found
	}
	if found := about(); len(found) != 0 {
		t.Errorf("in clear: %+v", found)
	}
	cfg.TrackingURI, cfg.CAFile = server.URL, caFile
	if found := about(); len(found) != 1 || found[0].State != kafka.Warn || !strings.Contains(found[0].Found, "in 0 days") {
		t.Errorf("%+v", found)
	}
}
