package app

import (
	"context"
	"database/sql"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/mlmonitor/mlmonitor/api"
	"github.com/mlmonitor/mlmonitor/audit"
	"github.com/mlmonitor/mlmonitor/consumer"
)

// anyPort keeps demos of tests from one another.
func anyPort(t *testing.T) (web api.Config) {
	t.Helper()
	t.Setenv("API_PORT", "0")
	return web
}

func runDemo(t *testing.T, dir string) (Summary, error) {
	t.Helper()
	var cfg Config
	var c consumer.Config
	var a audit.Config
	web := anyPort(t)
	if err := LoadDemo(&cfg, &c, &a, &web); err != nil {
		t.Fatal(err)
	}
	log := Logger(testWriter{t}, &Config{LogLevel: "error"}, "demo")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	return Demo(ctx, log, &cfg, DemoConfig{Dir: dir, Rate: 500, Malformed: 0.05, Seed: 3}, c, a, web, func(s Snapshot) {
		if s.DeadLetters > 0 {
			cancel() // as ^C
		}
	})
}

// testWriter sends log lines to the test's log.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func TestTheDemoSeesAMissingAuditRow(t *testing.T) {
	dir := t.TempDir()
	before, err := runDemo(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if !before.ExactlyOnce || before.Transactions == 0 || before.DeadLetters == 0 {
		t.Fatalf("first run: %+v", before)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "audit.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `DELETE FROM verdicts WHERE rowid = (SELECT max(rowid) FROM verdicts)`); err != nil {
		t.Fatal(err)
	}
	settleTimeoutFor(t, 10*time.Second) // the audit is that far behind at most, on a busy machine too
	after, err := runDemo(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if after.ExactlyOnce || !after.AnsweredOnce || after.AuditRows != after.Verdicts-1 || after.Transactions <= before.Transactions {
		t.Errorf("a row was deleted, and the summary is %+v", after)
	}
}

// slowStore counts for as long as it takes.
type slowStore struct{ audit.Store }

func (slowStore) Count(ctx context.Context) (int64, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(50 * time.Millisecond):
		return 5, nil
	}
}

// A count that lasts beyond the deadline is a count all the same.
func TestTheLastCountOfRowsStays(t *testing.T) {
	d := demo{store: slowStore{}, found: Reconciliation{Verdicts: 6}}
	wait, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := d.countRows(t.Context(), wait); err != nil || d.rows != 5 {
		t.Errorf("%d rows, %v", d.rows, err)
	}
}

func settleTimeoutFor(t *testing.T, d time.Duration) {
	old := settleTimeout
	settleTimeout = d
	t.Cleanup(func() { settleTimeout = old })
}

func TestTwoDemosDoNotShareADirectory(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockDir(dir); err == nil || !strings.Contains(err.Error(), "--dir") {
		t.Errorf("a second lock: %v", err)
	}
	unlock()
	again, err := lockDir(dir)
	if err != nil {
		t.Fatalf("after the first ended: %v", err)
	}
	again()
}

func TestAWrongFlagOfTheDemoIsNamed(t *testing.T) {
	sound := DemoConfig{Dir: "d", Rate: 1, Malformed: 1}
	if err := sound.Validate(); err != nil {
		t.Fatal(err)
	}
	for flag, spoil := range map[string]func(*DemoConfig){
		"--dir": func(c *DemoConfig) { c.Dir = "" }, "--rate": func(c *DemoConfig) { c.Rate = math.NaN() }, "--for": func(c *DemoConfig) { c.For = -1 },
		"--malformed": func(c *DemoConfig) { c.Malformed = math.NaN() },
	} {
		c := sound
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

func TestADemoThatIsStoppedEarlyStillProvesItself(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var cfg Config
	var c consumer.Config
	var a audit.Config
	web := anyPort(t)
	if err := LoadDemo(&cfg, &c, &a, &web); err != nil {
		t.Fatal(err)
	}
	s, err := Demo(ctx, Logger(testWriter{t}, &Config{LogLevel: "error"}, "demo"), &cfg, DemoConfig{Dir: t.TempDir(), Rate: 300, Seed: 3}, c, a, web, func(s Snapshot) {
		if s.Transactions > 0 {
			cancel() // as ^C
		}
	})
	if err != nil || !s.ExactlyOnce || s.Transactions == 0 {
		t.Errorf("%+v, %v", s, err)
	}
}
