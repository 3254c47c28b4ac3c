package app

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// unset takes every variable of ours out of the environment, for a test.
func unset(t *testing.T) {
	t.Helper()
	for _, v := range Variables() {
		t.Setenv(v.Name, "")
		t.Setenv(v.Name+"_FILE", "")
		os.Unsetenv(v.Name) // a variable that is set to nothing is not one that is not set
		os.Unsetenv(v.Name + "_FILE")
	}
}

// names are those of the parts that would be examined.
func names(parts []part) string {
	var all []string
	for _, p := range parts {
		all = append(all, p.name)
	}
	return strings.Join(all, ", ")
}

func TestWhatIsConfiguredIsExaminedAndNothingElse(t *testing.T) {
	for name, c := range map[string]struct {
		env   map[string]string
		parts string
		fault string // that a finding of the configuration names; "" for none
	}{
		"nothing":     {nil, "cluster", ""},
		"a scorer":    {map[string]string{"BUNDLE_DIR": "sample"}, "cluster, bundle", ""},
		"audit":       {map[string]string{"DATABASE_URL": "postgres://audit:hunter2@h/d"}, "cluster, audit.database", ""},
		"audit, file": {map[string]string{"DATABASE_URL_FILE": "testdata/none"}, "cluster", "DATABASE_URL_FILE"},
		"an API":      {map[string]string{"API_AUTH": "off", "API_DATABASE_URL": "postgres://reader:hunter2@h/d"}, "cluster, api.database", ""},
		"MLflow":      {map[string]string{"MLFLOW_TRACKING_URI": "https://mlflow"}, "cluster, mlflow, disk MODEL_CACHE_DIR", ""},
		"both":        {map[string]string{"MLFLOW_TRACKING_URI": "https://mlflow", "BUNDLE_DIR": "sample"}, "cluster, disk MODEL_CACHE_DIR", "BUNDLE_DIR and MLFLOW_TRACKING_URI"},
		// What is wrong in one place keeps nobody from looking elsewhere.
		"a wrong API":   {map[string]string{"API_DATABASE_URL": "postgres://reader:hunter2@h/d", "BUNDLE_DIR": "sample"}, "cluster, api.database, bundle", "API_OIDC_ISSUER"},
		"a wrong audit": {map[string]string{"DATABASE_URL": "postgres://audit:hunter2@h/d", "AUDIT_BATCH_RECORDS": "0"}, "cluster, audit.database", "AUDIT_BATCH_RECORDS"},
		"wrong brokers": {map[string]string{"KAFKA_BROKERS": "nowhere", "BUNDLE_DIR": "sample"}, "bundle", "KAFKA_BROKERS"},
		"no number":     {map[string]string{"SCORE_MEMBERS": "two"}, "cluster", "SCORE_MEMBERS"},
		"certificates":  {map[string]string{"API_AUTH": "off", "API_TLS_CERT_FILE": "a", "API_TLS_KEY_FILE": "b"}, "cluster, certificate API_TLS_CERT_FILE", ""},
	} {
		t.Run(name, func(t *testing.T) {
			unset(t)
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			found, parts := diagnose(time.Now(), filepath.Join(t.TempDir(), "none"))
			if got := names(parts); got != c.parts {
				t.Errorf("examines %s, want %s", got, c.parts)
			}
			failed := ""
			for _, f := range found {
				if f.State == kafka.Fail {
					failed += f.Found + "\n"
				}
				if f.State == kafka.Skip && !strings.HasSuffix(f.Found, "is not set") {
					t.Errorf("%+v", f)
				}
			}
			if (failed == "") != (c.fault == "") || !strings.Contains(failed, c.fault) || strings.Contains(failed, "hunter2") {
				t.Errorf("finds %q, want %q", failed, c.fault)
			}
		})
	}
}

func TestAPartThatStandsStillIsLeftBehind(t *testing.T) {
	forever := func(context.Context) []kafka.Finding { select {} } // such as a disk that is away
	well := func(context.Context) []kafka.Finding { return []kafka.Finding{kafka.Good("well", "")} }
	found := examineAll(t.Context(), []part{{"stuck", forever}, {"well", well}, {"stuck too", forever}}, 2*time.Second)
	if len(found) != 3 || found[0].State != kafka.Fail || found[0].Check != "stuck" || found[1].State != kafka.OK || found[2].Check != "stuck too" {
		t.Errorf("%+v", found)
	}
}

func TestRoomIsJudged(t *testing.T) {
	for free, want := range map[uint64]kafka.State{2 << 30: kafka.OK, 500 << 20: kafka.Warn, 40 << 20: kafka.Fail} {
		if f := judgeRoom("disk", "d", free); f.State != want || (want == kafka.OK) != (f.Mend == "") {
			t.Errorf("%d: %+v", free, f)
		}
	}
	dir := t.TempDir()
	if f := examineRoom("disk", filepath.Join(dir, "not", "yet")); f.State == kafka.Fail {
		t.Errorf("a directory that is to be made: %+v", f)
	}
	if os.Geteuid() != 0 { // root may write everywhere
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		if f := examineRoom("disk", dir); f.State != kafka.Fail {
			t.Errorf("a directory of others: %+v", f)
		}
	}
}
